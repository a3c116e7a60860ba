// A choice of several among few, a tap each, from one query.

import { Loaded, type Query } from "./loaded";

type Thing = { id: number; name: string };

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
                        <div className="chips" role="group" aria-label={label}>
                            {items(data).map(({ id, name }) => (
                                <button
                                    type="button"
                                    key={id}
                                    className="chip"
                                    aria-pressed={chosen.includes(id)}
                                    onClick={() =>
                                        onChosen(
                                            chosen.includes(id)
                                                ? chosen.filter((each) => each !== id)
                                                : [...chosen, id],
                                        )
                                    }
                                >
                                    {name}
                                </button>
                            ))}
                        </div>
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
