// The dialog that asks for one name, and makes something by it.

import { useState } from "react";
import { Button, Problem, TextField } from "./basics";
import { Dialog } from "./dialog";

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
    /** As `useAction` gives it, with its errors shown here. */
    make: {
        start: (name: string) => Promise<unknown>;
        busy: boolean;
        error: unknown;
        of: (field: string) => string | undefined;
    };
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
