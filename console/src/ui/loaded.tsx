// What shows of one query while it is loaded, when it fails, and when it is there.

import { Link, useLocation } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { useMay } from "../standing";
import { Empty, Problem, Skeleton } from "./basics";
import { placeAt } from "./places";

export type Query<T> = { data: T | undefined; error: unknown; refetch: () => unknown };

/** The short list of a card, from one query: its outline, its error, or what stands there where there is nothing. */
export function Rows<T, I>({
    query,
    items,
    none,
    children,
    after,
}: {
    query: Query<T>;
    items: (data: T) => I[];
    none: ReactNode;
    /** One item, as a `li`. */
    children: (item: I) => ReactNode;
    after?: ReactNode;
}) {
    const shown = query.data === undefined ? undefined : items(query.data);
    return (
        <ul className="list">
            {shown === undefined ? (
                <li>
                    <div className="grow">
                        <Loaded query={query} lines={1}>
                            {() => null}
                        </Loaded>
                    </div>
                </li>
            ) : shown.length === 0 ? (
                <li className="soft">{none}</li>
            ) : (
                shown.map(children)
            )}
            {after}
        </ul>
    );
}

/** Content of one query: its outline while it loads, its error with a way out. */
export function Loaded<T>({
    query,
    children,
    lines = 5,
}: {
    query: Query<T>;
    children: (data: T) => ReactNode;
    lines?: number;
}) {
    if (query.data !== undefined) return <>{children(query.data)}</>;
    if (query.error instanceof ApiError && query.error.status === 404) return <NotThere />;
    if (query.error) return <Problem error={query.error} retry={() => query.refetch()} />;
    return <Skeleton lines={lines} />;
}

/** What the server does not find for this person. It does not say which: to ask again would change nothing. */
function NotThere() {
    const may = useMay();
    const pathname = useLocation({ select: (location) => location.pathname });
    const place = placeAt(pathname);
    const isOpen = place && place.path !== pathname && (!place.needs || may(place.needs));
    return (
        <div className="card">
            <Empty
                title="Not found"
                actions={
                    isOpen && (
                        <Link className="button" to={place.path}>
                            Go to {place.label}
                        </Link>
                    )
                }
            >
                It does not exist, or you do not have access to it.
            </Empty>
        </div>
    );
}
