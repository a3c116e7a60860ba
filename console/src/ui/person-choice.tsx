// People of the organization: what they are called, a choice of one, and of several. A list holds a hundred; where there are
// more, they are searched for by the server.

import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { type ReactNode, useDeferredValue, useState } from "react";
import { api, read } from "../api/client";
import { usePeople } from "../choices";
import { useMay, useMe } from "../standing";
import { Choices, Filter, SearchBox, SelectField } from "./basics";

type Person = { id: number; display_name: string; email: string; role_name?: string | null };

export const personName = (person: { display_name: string; email: string }) => person.display_name || person.email;

/** What somebody is called. Whoever may not see the people is told no name. */
export function PersonName({ id }: { id: number }) {
    const may = useMay();
    const me = useMe();
    const people = usePeople();
    const isMe = me.data?.user.id === id;
    const known = people.data?.users.find((each) => each.id === id);
    const person = useQuery({
        queryKey: ["person", String(id)],
        enabled: may("user.read") && people.isSuccess && !known && !isMe,
        queryFn: () => read(api.GET("/api/v1/users/{user_id}", { params: { path: { user_id: id } } })),
    });
    const found = known ?? person.data?.user;
    return isMe ? "You" : found ? personName(found) : "Another member";
}

export function PersonChoice({
    label,
    none,
    value,
    onValue,
    without = [],
    text = personName,
    isCompact,
    error,
}: {
    label: string;
    /** What stands for nobody in particular; without it somebody must be chosen. */
    none?: string;
    value: string;
    onValue: (value: string) => void;
    /** Those who cannot be chosen. */
    without?: readonly number[];
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
    const shown: Person[] = ((isMany ? found : all).data?.users ?? []).filter((each) => !without.includes(each.id));
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
    const failed = all.error ? "People could not be loaded." : undefined;
    return (
        <>
            {isMany && <SearchBox label={`Search people for “${label}”`} value={typed} onValue={setTyped} />}
            {isCompact ? <Filter {...field} /> : <SelectField {...field} error={error ?? failed} />}
        </>
    );
}

/** A choice of several: each who is chosen is a tap from being taken out again. */
export function PeopleChoice({
    label,
    hint,
    error,
    chosen,
    onChosen,
    without = [],
}: {
    label: string;
    hint?: ReactNode;
    error?: ReactNode;
    chosen: readonly number[];
    onChosen: (chosen: number[]) => void;
    without?: readonly number[];
}) {
    return (
        <Choices legend={label} hint={hint} error={error}>
            <div className="row">
                {chosen.map((id) => (
                    <button
                        type="button"
                        key={id}
                        className="chip"
                        onClick={() => onChosen(chosen.filter((each) => each !== id))}
                    >
                        <span className="visually-hidden">Remove </span>
                        <PersonName id={id} />
                        <X size={13} aria-hidden />
                    </button>
                ))}
                <PersonChoice
                    isCompact
                    label="Add someone"
                    none="Add someone…"
                    value=""
                    onValue={(value) => onChosen([...chosen, Number(value)])}
                    without={[...chosen, ...without]}
                />
            </div>
        </Choices>
    );
}
