// A record of the API as people read it: its names in words, its moments in the time of whoever reads it, and beneath each
// name what is within.

import { Copy } from "lucide-react";
import type { ReactNode } from "react";
import { Button, Facts, words } from "./basics";
import { copy } from "./clipboard";

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/;
/** What nobody reads to its end, such as a UUID or a hash. */
const KEY = /^[0-9a-f-]{20,}$/i;

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Whether there is nothing to tell of it. */
export const isBlank = (value: unknown) =>
    value == null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);

/** A value that has no others within. */
export function plain(value: unknown): string {
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "string" || !MOMENT.test(value)) return String(value);
    const at = new Date(value);
    return Number.isNaN(at.getTime()) ? value : moments.format(at);
}

export function Fields({ of }: { of: object }) {
    const isNumbered = Array.isArray(of);
    return (
        <Facts
            of={Object.entries(of).map(
                ([key, value]) =>
                    [
                        isNumbered ? String(Number(key) + 1) : words(key),
                        <Value key={key} name={words(key)} of={value} />,
                    ] as const,
            )}
        />
    );
}

function Value({ name, of }: { name: string; of: unknown }): ReactNode {
    if (isBlank(of)) return "—";
    if (Array.isArray(of) && of.every((each) => typeof each !== "object")) return of.map(plain).join(", ");
    if (typeof of === "object" && of !== null) return <Fields of={of} />;
    const text = plain(of);
    if (!KEY.test(text)) return text;
    return (
        <span className="row" style={{ flexWrap: "nowrap" }}>
            <code title={text}>{text.slice(0, 8)}…</code>
            <Button
                kind="quiet"
                small
                icon={<Copy size={13} />}
                aria-label={`Copy ${name}`}
                onClick={() => void copy(text, "Copied.")}
            />
        </span>
    );
}
