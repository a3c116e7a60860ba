// Where files are dropped, chosen, and seen going up.

import { Upload, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button as AriaButton, DropZone, FileTrigger } from "react-aria-components";
import { type Uploaded, upload } from "../upload";
import { Unsaved } from "./unsaved";
import { Button, Problem, bytes } from "./basics";

type Sending = { file: File; sent: number; stop: AbortController; error?: unknown };

export function Uploads({
    onDone,
    category,
    folder,
    accept,
    many = true,
}: {
    onDone: (file: Uploaded, name: string) => void;
    category?: string;
    folder?: string;
    accept?: string[];
    many?: boolean;
}) {
    const [sending, setSending] = useState<Sending[]>([]);
    const isUnderWay = sending.some((each) => each.error === undefined);
    // Whoever leaves it leaves nothing of it behind.
    const stops = useRef(new Set<AbortController>());
    useEffect(() => {
        const { current } = stops;
        return () => {
            for (const stop of current) stop.abort();
        };
    }, []);
    const begin = (files: File[]) => {
        for (const file of many ? files : files.slice(0, 1)) {
            const stop = new AbortController();
            const change = (part: Partial<Sending>) =>
                setSending((all) => all.map((each) => (each.stop === stop ? { ...each, ...part } : each)));
            setSending((all) => [...all, { file, sent: 0, stop }]);
            stops.current.add(stop);
            upload(file, { category, folder, signal: stop.signal, onProgress: (sent) => change({ sent }) })
                .then((done) => {
                    setSending((all) => all.filter((each) => each.stop !== stop));
                    onDone(done, file.name);
                })
                .catch((error) => {
                    if (stop.signal.aborted) setSending((all) => all.filter((each) => each.stop !== stop));
                    else change({ error });
                })
                .finally(() => stops.current.delete(stop));
        }
    };
    return (
        <div className="stack tight">
            <DropZone
                className="drop"
                aria-label="Drop files here"
                onDrop={async (event) => {
                    const files = await Promise.all(
                        event.items.filter((item) => item.kind === "file").map((item) => item.getFile()),
                    );
                    begin(files);
                }}
            >
                <Upload size={20} aria-hidden />
                <span>Drop {many ? "files" : "a file"} here, or</span>
                <FileTrigger
                    allowsMultiple={many}
                    acceptedFileTypes={accept}
                    onSelect={(files) => begin([...(files ?? [])])}
                >
                    <AriaButton className="button">Choose</AriaButton>
                </FileTrigger>
            </DropZone>
            <Unsaved touched={isUnderWay} busy={false} what="The upload is" />
            <ul className="stack tight" aria-live="polite">
                {sending.map(({ file, sent, stop, error }) => (
                    <li key={file.name + file.lastModified} className="stack tight">
                        <div className="row apart">
                            <span className="break">{file.name}</span>
                            <span className="row small soft">
                                {bytes(sent)} of {bytes(file.size)}
                                <Button
                                    kind="quiet"
                                    small
                                    icon={<X size={14} />}
                                    aria-label={`Cancel ${file.name}`}
                                    onClick={() => {
                                        stop.abort();
                                        setSending((all) => all.filter((each) => each.stop !== stop));
                                    }}
                                />
                            </span>
                        </div>
                        {error ? (
                            <Problem error={error} />
                        ) : (
                            <div
                                className="meter"
                                role="progressbar"
                                aria-label={file.name}
                                aria-valuenow={Math.round((sent / file.size) * 100)}
                                aria-valuemin={0}
                                aria-valuemax={100}
                            >
                                <i style={{ width: `${(sent / file.size) * 100}%` }} />
                            </div>
                        )}
                    </li>
                ))}
            </ul>
        </div>
    );
}
