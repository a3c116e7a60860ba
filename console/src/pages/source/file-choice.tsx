// The file of a source.

import { useQuery } from "@tanstack/react-query";
import { FileSpreadsheet } from "lucide-react";
import { api, read } from "../../api/client";
import { CHOICE } from "../../choices";
import { Button } from "../../ui/basics";
import { Uploads } from "../../ui/dropzone";

/** A file of one's own, or a new one. */
export function FileChoice({
    value,
    onValue,
    error,
    onNamed,
}: {
    value?: string;
    onValue: (value: unknown) => void;
    error?: string;
    onNamed: (name: string) => void;
}) {
    const files = useQuery({
        queryKey: ["files", "choice"],
        meta: CHOICE,
        queryFn: () =>
            read(api.GET("/api/v1/storage/files", { params: { query: { page_size: 100, scope: "own" as never } } })),
    });
    if (value)
        return (
            <div className="row">
                <FileSpreadsheet size={17} aria-hidden />
                <code className="grow break">{value.split("/").at(-1)}</code>
                <Button small onClick={() => onValue(undefined)}>
                    Another file
                </Button>
            </div>
        );
    return (
        <div className="stack tight">
            <span className="label">File</span>
            <Uploads
                many={false}
                onDone={(file, name) => {
                    onValue(file.objectName);
                    onNamed(name);
                }}
            />
            {(files.data?.items.length ?? 0) > 0 && (
                <label className="field">
                    <span className="label">Or an uploaded file</span>
                    <select
                        value=""
                        onChange={(event) => {
                            onValue(event.target.value);
                            onNamed(event.target.selectedOptions[0]?.text ?? "");
                        }}
                    >
                        <option value="">Choose…</option>
                        {files.data?.items.map((file) => (
                            <option key={file.storage_file_id} value={file.object_name}>
                                {file.file_name}
                            </option>
                        ))}
                    </select>
                </label>
            )}
            {error && (
                <span className="wrong" style={{ color: "var(--bad)" }} role="alert">
                    {error}
                </span>
            )}
        </div>
    );
}
