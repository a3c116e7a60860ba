// The parts of a page, one at a time, each with an address: that of the page, and `tab`.

import { Link, type LinkProps } from "@tanstack/react-router";
import { showActive } from "./basics";

export function Parts({
    at,
    of,
    open,
}: {
    /** The page. */
    at: Pick<LinkProps, "to" | "params">;
    /** What `tab` says of each, and how it is called. */
    of: readonly (readonly [string, string])[];
    open: string;
}) {
    return (
        <nav className="tabs" ref={showActive} aria-label="Parts">
            {of.map(([key, label]) => (
                <Link
                    key={key}
                    {...at}
                    search={{ tab: key }}
                    className={open === key ? "active" : ""}
                    aria-current={open === key ? "page" : undefined}
                >
                    {label}
                </Link>
            ))}
        </nav>
    );
}
