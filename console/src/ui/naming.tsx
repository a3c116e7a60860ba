// Names: the dialog that asks for one and makes something by it, and the form that changes one.

import { useState } from "react";
import { Button, Problem, TextField } from "./basics";
import { Dialog } from "./dialog";
import { Unsaved } from "./unsaved";

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
        <Dialog title={title} onClose={onClose}>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    // A form around the page that opened this one would hear of it, and send itself too.
                    event.stopPropagation();
                    void make.start(name.trim());
                }}
            >
                <TextField label={label} required value={name} onValue={setName} autoFocus error={make.of(field)} />
                {make.error !== undefined && <Problem error={make.error} />}
                <div className="form-end">
                    <Button onClick={onClose}>Cancel</Button>
                    <Button kind="primary" type="submit" busy={make.busy} disabled={name.trim() === ""}>
                        {action}
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}

/** A name that is there, to be changed; its key is the name, so that it begins anew with what was saved. */
export function NameForm({ name: first, save, disabled }: { name: string; save: Naming; disabled?: boolean }) {
    const [name, setName] = useState(first);
    const touched = name !== first;
    return (
        <div className="stack tight">
            <form
                className="row"
                onSubmit={(event) => {
                    event.preventDefault();
                    void save.start(name);
                }}
            >
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
            </form>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} what="The name is" />
        </div>
    );
}
