// The catalogue of permissions, to choose from.

import { useState } from "react";
import { permissionGroup, usePermissions } from "../../choices";
import { Check, SearchBox, words } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";

/** The catalogue as boxes to tick, by what they are about. */
export function Picker({
    held,
    onHeld,
    disabled,
}: {
    held: string[];
    onHeld: (held: string[]) => void;
    disabled?: boolean;
}) {
    const catalogue = usePermissions();
    const [typed, setTyped] = useState("");
    if (!catalogue.data)
        return (
            <Loaded query={catalogue} lines={8}>
                {() => null}
            </Loaded>
        );
    const shown = catalogue.data.permissions.filter((permission) =>
        `${permission.name} ${permission.description}`.toLowerCase().includes(typed.toLowerCase()),
    );
    const flip = (name: string) => onHeld(held.includes(name) ? held.filter((each) => each !== name) : [...held, name]);
    return (
        <div className="stack">
            <SearchBox label="Search permissions" value={typed} onValue={setTyped} />
            <div className="columns" style={{ gap: 20 }}>
                {[...new Set(shown.map((permission) => permission.category))].map((category) => (
                    <fieldset key={category} disabled={disabled} style={{ border: 0, padding: 0, margin: 0 }}>
                        <legend className="strong" style={{ padding: 0, marginBottom: 2 }}>
                            {permissionGroup(category)}
                        </legend>
                        {shown
                            .filter((permission) => permission.category === category)
                            .map((permission) => (
                                <Check
                                    key={permission.name}
                                    label={words(permission.name.split(".")[1] ?? permission.name)}
                                    hint={permission.description}
                                    checked={held.includes(permission.name)}
                                    onChange={() => flip(permission.name)}
                                />
                            ))}
                    </fieldset>
                ))}
            </div>
        </div>
    );
}
