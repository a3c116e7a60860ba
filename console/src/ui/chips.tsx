// A choice of several among few, a tap each.

import type { ReactNode } from "react";
import { Loaded, type Query } from "./loaded";

type Thing = { id: number; name: string };

/** What is taken or not; where it needs a name of its own, with it. */
export function Toggles<K extends string | number>({
    label,
    options,
    chosen,
    onChosen,
}: {
    label?: string;
    options: readonly (readonly [K, ReactNode])[];
    chosen: readonly K[];
    onChosen: (chosen: K[]) => void;
}) {
    return (
        <div className="chips" role={label && "group"} aria-label={label}>
            {options.map(([key, text]) => (
                <button
                    type="button"
                    key={key}
                    className="chip"
                    aria-pressed={chosen.includes(key)}
                    onClick={() =>
                        onChosen(chosen.includes(key) ? chosen.filter((each) => each !== key) : [...chosen, key])
                    }
                >
                    {text}
                </button>
            ))}
        </div>
    );
}

/** The same of things that one query names. */
export function Chips<T>({
    label,
    query,
    items,
    none,
    chosen,
    onChosen,
    error,
}: {
    label: string;
    query: Query<T>;
    items: (data: T) => readonly Thing[];
    /** What stands there when there are none. */
    none: string;
    chosen: number[];
    onChosen: (chosen: number[]) => void;
    error?: string;
}) {
    return (
        <div className="field">
            <span className="label">{label}</span>
            <Loaded query={query} lines={1}>
                {(data) =>
                    items(data).length === 0 ? (
                        <span className="small soft">{none}</span>
                    ) : (
                        <Toggles
                            label={label}
                            options={items(data).map(({ id, name }) => [id, name] as const)}
                            chosen={chosen}
                            onChosen={onChosen}
                        />
                    )
                }
            </Loaded>
            {error && (
                <span className="wrong" role="alert">
                    {error}
                </span>
            )}
        </div>
    );
}
