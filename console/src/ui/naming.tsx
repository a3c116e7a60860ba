// Names: the dialog that asks for one and makes something by it, and the form that changes one.

import { useState } from "react";
import { ActionForm } from "./action";
import { Button, TextField } from "./basics";
import { Dialog } from "./dialog";

/** As `useAction` gives it, with its errors shown here. */
type Naming = {
    start: (name: string) => Promise<unknown>;
    busy: boolean;
    error: unknown;
    of: (field: string) => string | undefined;
};

export function NameDialog({
    title,
    label = "Name",
    first = "",
    action,
    make,
    field = "name",
    onClose,
}: {
    title: string;
    label?: string;
    /** What stands in the field at first. */
    first?: string;
    /** The word on the button. */
    action: string;
    make: Naming;
    /** What the API calls the name. */
    field?: string;
    onClose: () => void;
}) {
    const [name, setName] = useState(first);
    return (
        <Dialog title={title} touched={name !== first} onClose={onClose}>
            <ActionForm
                action={make}
                on={name.trim()}
                submit={action}
                disabled={name.trim() === ""}
                onCancel={onClose}
                touched={name !== first}
                what="The name is"
            >
                <TextField label={label} required value={name} onValue={setName} autoFocus error={make.of(field)} />
            </ActionForm>
        </Dialog>
    );
}

/** A name that is there, to be changed; its key is the name, so that it begins anew with what was saved. */
export function NameForm({ name: first, save, disabled }: { name: string; save: Naming; disabled?: boolean }) {
    const [name, setName] = useState(first);
    const touched = name !== first;
    return (
        <ActionForm action={save} on={name} className="stack tight" touched={touched} what="The name is">
            <div className="row">
                <div className="grow">
                    <input
                        type="text"
                        aria-label="Name"
                        required
                        value={name}
                        disabled={disabled}
                        onChange={(event) => setName(event.target.value)}
                    />
                </div>
                {!disabled && (
                    <Button type="submit" kind="primary" busy={save.busy} disabled={!touched}>
                        Save
                    </Button>
                )}
            </div>
        </ActionForm>
    );
}
