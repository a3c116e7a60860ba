// Questions before something is lost.

import { type ComponentProps, type ReactNode, useState } from "react";
import { queries } from "../queries";
import { type Options, useAction } from "./action";
import { Button, Card, Problem } from "./basics";
import { Dialog } from "./dialog";

/** Asks before something is lost. `word` must be typed where the loss is great. */
export function Confirm<R>({
    title,
    children,
    action,
    word,
    run,
    onDone,
    onClose,
    ...options
}: Omit<Options<R>, "inline"> & {
    title: string;
    children: ReactNode;
    /** The word on the button. */
    action: string;
    word?: string;
    run: () => Promise<R>;
    onClose: () => void;
}) {
    const confirmed = useAction(run, {
        ...options,
        inline: true,
        onDone: (result) => {
            onDone?.(result);
            onClose();
        },
    });
    const [typed, setTyped] = useState("");
    return (
        <Dialog title={title} onClose={onClose}>
            <div className="stack tight">{children}</div>
            {word !== undefined && (
                <label className="field">
                    <span className="label">
                        Type <b>{word}</b> to confirm
                    </span>
                    <input type="text" value={typed} onChange={(event) => setTyped(event.target.value)} />
                </label>
            )}
            {confirmed.error !== undefined && <Problem error={confirmed.error} />}
            <div className="form-end">
                <Button onClick={onClose} autoFocus>
                    Keep
                </Button>
                <Button
                    kind="danger"
                    busy={confirmed.busy}
                    disabled={word !== undefined && typed !== word}
                    onClick={() => void confirmed.start(undefined)}
                >
                    {action}
                </Button>
            </div>
        </Dialog>
    );
}

/** The same for what is deleted: lists that are shown are looked up again, and those that are not forget that it was there. */
export function Deletion<R>({
    of,
    changes,
    onDone,
    ...rest
}: Omit<ComponentProps<typeof Confirm<R>>, "title" | "action" | "changes"> & {
    /** What is deleted, by its name. */
    of: string;
    /** The lists that have it. */
    changes: unknown[][];
}) {
    return (
        <Confirm<R>
            {...rest}
            title={`Delete ${of}?`}
            action="Delete"
            changes={changes}
            onDone={(result) => {
                for (const queryKey of changes) queries.removeQueries({ queryKey, type: "inactive" });
                onDone?.(result);
            }}
        />
    );
}

/** Where a page of settings ends with the way to delete what it is about; the question comes with the click. */
export function DeleteCard({
    title = "Delete",
    children,
    onDelete,
}: {
    title?: string;
    /** What goes with it. */
    children: ReactNode;
    onDelete: () => void;
}) {
    return (
        <Card title={title}>
            <div className="row apart">
                <p className="soft">{children}</p>
                <Button kind="danger" onClick={onDelete}>
                    Delete…
                </Button>
            </div>
        </Card>
    );
}
