// A choice of one person of the organization. A list holds a hundred; where there are more, they are searched for by the server.

import { useDeferredValue, useState } from "react";
import { usePeople } from "../choices";
import { Filter, SearchBox, SelectField } from "./basics";

type Person = { id: number; display_name: string; email: string; role_name?: string | null };

export const personName = (person: { display_name: string; email: string }) => person.display_name || person.email;

export function PersonChoice({
    label,
    none,
    value,
    onValue,
    without,
    text = personName,
    isCompact,
    error,
}: {
    label: string;
    /** What stands for nobody in particular; without it somebody must be chosen. */
    none?: string;
    value: string;
    onValue: (value: string) => void;
    /** Somebody who cannot be chosen. */
    without?: number;
    text?: (person: Person) => string;
    /** Without a visible label, for a line. */
    isCompact?: boolean;
    error?: string;
}) {
    const [typed, setTyped] = useState("");
    const [chosen, setChosen] = useState<Person>();
    const all = usePeople();
    const found = usePeople(useDeferredValue(typed.trim()));
    const isMany = (all.data?.total_count ?? 0) > (all.data?.users.length ?? 0);
    const shown: Person[] = ((isMany ? found : all).data?.users ?? []).filter((each) => each.id !== without);
    // Whoever is chosen stays, also where a search no longer finds them.
    if (chosen && String(chosen.id) === value && !shown.some((each) => each.id === chosen.id)) shown.unshift(chosen);
    const field = {
        label,
        value,
        onValue: (next: string) => {
            setChosen(shown.find((each) => String(each.id) === next));
            onValue(next);
        },
        options: [
            ...(none === undefined ? [] : [["", none] as const]),
            // Somebody whom an address named, beyond the first hundred.
            ...(Number(value) > 0 && !shown.some((each) => String(each.id) === value)
                ? [[value, `Person ${value}`] as const]
                : []),
            ...shown.map((each) => [String(each.id), text(each)] as const),
        ],
    };
    const failed = all.error ? "The people could not be looked up." : undefined;
    return (
        <>
            {isMany && <SearchBox label={`Search people for “${label}”`} value={typed} onValue={setTyped} />}
            {isCompact ? <Filter {...field} /> : <SelectField {...field} error={error ?? failed} />}
        </>
    );
}
