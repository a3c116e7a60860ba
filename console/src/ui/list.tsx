// A list whose pages, search and order are the server's work; and what shows while it loads, when it is empty, when it fails.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight } from "lucide-react";
import { type ReactNode, useDeferredValue, useEffect, useRef, useState } from "react";
import { Button, Problem, SearchBox, Skeleton } from "./basics";

export type Column<T> = {
    head: string;
    /** Its head for screen readers, where nothing is written there. */
    label?: string;
    cell: (item: T) => ReactNode;
    sort?: string;
    numeric?: boolean;
    className?: string;
};
export type Asked = { page: number; size: number; skip: number; search: string; sort?: string; order: "asc" | "desc" };
export type Answered<T> = { items: T[]; total: number };

export function List<T>({
    name,
    of,
    load,
    columns,
    id,
    search,
    filters,
    empty,
    isUnderWay,
    size = 20,
    sort: firstSort,
    order: firstOrder = "asc",
}: {
    /** What it lists, for screen readers. */
    name: string;
    /** The key of the query, with every filter that is not the list's own. */
    of: unknown[];
    load: (asked: Asked) => Promise<Answered<T>>;
    columns: (Column<T> | false | undefined)[];
    id: (item: T) => string | number;
    /** The label of the search box; none without it. */
    search?: string;
    filters?: ReactNode;
    empty: ReactNode;
    /** Whether one of them changes by itself; then it is looked up again until none does. */
    isUnderWay?: (item: T) => boolean;
    size?: number;
    sort?: string;
    order?: "asc" | "desc";
}) {
    const [page, setPage] = useState(1);
    const [typed, setTyped] = useState("");
    const [sort, setSort] = useState(firstSort);
    const [order, setOrder] = useState(firstOrder);
    const [known, setKnown] = useState(JSON.stringify(of));
    if (known !== JSON.stringify(of)) {
        setKnown(JSON.stringify(of));
        setPage(1);
    }
    const searched = useDeferredValue(typed.trim());
    const asked = { page, size, skip: (page - 1) * size, search: searched, sort, order };
    const answer = useQuery({
        queryKey: [...of, asked],
        queryFn: () => load(asked),
        placeholderData: keepPreviousData,
        refetchInterval: (query) => (isUnderWay && query.state.data?.items.some(isUnderWay) ? 2000 : false),
    });
    const shown = columns.filter((column): column is Column<T> => Boolean(column));
    const total = answer.data?.total ?? 0;
    // Whoever takes a row away, and with it what had the focus, goes on at the list and not at the top of the page.
    const frame = useRef<HTMLDivElement>(null);
    const focused = useRef<Element>(undefined);
    useEffect(() => {
        if (!focused.current || focused.current.isConnected) return;
        focused.current = undefined;
        if (document.activeElement === document.body) frame.current?.focus({ preventScroll: true });
    });

    return (
        <div className="stack tight">
            {(search || filters) && (
                <div className="row">
                    {search && (
                        <SearchBox
                            label={search}
                            value={typed}
                            onValue={(value) => {
                                setTyped(value);
                                setPage(1);
                            }}
                        />
                    )}
                    {filters}
                    <span className="visually-hidden" role="status">
                        {searched && answer.data && !answer.isFetching && `${total.toLocaleString()} found`}
                    </span>
                </div>
            )}
            {answer.error && <Problem error={answer.error} retry={() => answer.refetch()} />}
            {/* What is known stays in sight. */}
            {(!answer.error || answer.data) && (
                <div
                    ref={frame}
                    className="table-wrap"
                    aria-busy={answer.isFetching}
                    tabIndex={0}
                    role="region"
                    aria-label={name}
                    // Of a dialog that a row opens, which is not within it, it hears too.
                    onFocus={({ currentTarget, target }) => {
                        if (currentTarget.contains(target)) focused.current = target;
                    }}
                    onBlur={() => {
                        focused.current = undefined;
                    }}
                >
                    {!answer.data ? (
                        <div style={{ padding: 18 }}>
                            <Skeleton lines={6} />
                        </div>
                    ) : answer.data.items.length === 0 ? (
                        searched ? (
                            <div className="empty">
                                <h2>Nothing matches “{searched}”</h2>
                            </div>
                        ) : (
                            empty
                        )
                    ) : (
                        <table className="rows" aria-label={name}>
                            <thead>
                                <tr>
                                    {shown.map((column) => (
                                        <th
                                            key={column.head}
                                            scope="col"
                                            className={column.numeric ? "num" : ""}
                                            aria-sort={
                                                column.sort && column.sort === sort
                                                    ? order === "asc"
                                                        ? "ascending"
                                                        : "descending"
                                                    : undefined
                                            }
                                        >
                                            {column.sort ? (
                                                <button
                                                    type="button"
                                                    className="sort"
                                                    onClick={() => {
                                                        setOrder(
                                                            sort === column.sort && order === "asc" ? "desc" : "asc",
                                                        );
                                                        setSort(column.sort);
                                                        setPage(1);
                                                    }}
                                                >
                                                    {column.head}
                                                    {sort === column.sort &&
                                                        (order === "asc" ? (
                                                            <ArrowUp size={13} aria-hidden />
                                                        ) : (
                                                            <ArrowDown size={13} aria-hidden />
                                                        ))}
                                                </button>
                                            ) : column.head.trim() === "" ? (
                                                <span className="visually-hidden">{column.label ?? "Actions"}</span>
                                            ) : (
                                                column.head
                                            )}
                                        </th>
                                    ))}
                                </tr>
                            </thead>
                            <Rows columns={shown} items={answer.data.items} id={id} />
                        </table>
                    )}
                </div>
            )}
            <Pager name={name} page={page} size={size} total={total} onPage={setPage} />
        </div>
    );
}

/** What is told whole, in its order: nothing of it is looked up by page. */
export function Table<T>({
    name,
    columns,
    items,
    id,
}: {
    /** What it tells, for screen readers. */
    name: string;
    columns: Omit<Column<T>, "sort">[];
    items: T[];
    id: (item: T) => string | number;
}) {
    return (
        <div className="table-wrap" tabIndex={0} role="region" aria-label={name}>
            <table className="rows" aria-label={name}>
                <thead>
                    <tr>
                        {columns.map((column) => (
                            <th key={column.head} scope="col" className={column.numeric ? "num" : ""}>
                                {column.head}
                            </th>
                        ))}
                    </tr>
                </thead>
                <Rows columns={columns} items={items} id={id} />
            </table>
        </div>
    );
}

function Rows<T>({ columns, items, id }: { columns: Column<T>[]; items: T[]; id: (item: T) => string | number }) {
    // What a row is called where it stands by itself, on a phone.
    const title = columns.find((column) => column.head.trim() !== "");
    return (
        <tbody>
            {items.map((item) => (
                <tr key={id(item)}>
                    {columns.map((column) => (
                        <td
                            key={column.head}
                            data-label={column.head.trim()}
                            className={`${column.className ?? ""} ${column.numeric ? "num" : ""} ${column.head === "" ? "actions" : ""} ${column === title ? "title" : ""}`}
                        >
                            {column.cell(item)}
                        </td>
                    ))}
                </tr>
            ))}
        </tbody>
    );
}

/** The way to the other pages of a list, where there are some. */
export function Pager({
    name,
    page,
    size,
    total,
    onPage,
}: {
    name: string;
    page: number;
    size: number;
    total: number;
    onPage: (page: number) => void;
}) {
    // Whoever takes away the last item of the last page goes to the one before.
    const last = Math.ceil(total / size);
    useEffect(() => {
        if (last > 0 && page > last) onPage(last);
    });
    if (last < 2) return null;
    return (
        <nav className="pager" aria-label={`Pages of ${name}`}>
            <span>
                {((page - 1) * size + 1).toLocaleString()} to {Math.min(total, page * size).toLocaleString()} of{" "}
                {total.toLocaleString()}
            </span>
            {/* At an end they keep the focus that led there. */}
            <span className="row">
                <Button
                    small
                    icon={<ChevronLeft size={15} />}
                    aria-label="Previous page"
                    aria-disabled={page <= 1}
                    onClick={() => page > 1 && onPage(page - 1)}
                />
                <Button
                    small
                    icon={<ChevronRight size={15} />}
                    aria-label="Next page"
                    aria-disabled={page >= last}
                    onClick={() => page < last && onPage(page + 1)}
                />
            </span>
        </nav>
    );
}
