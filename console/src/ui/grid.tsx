// A grid that holds a hundred thousand rows: only what is in sight is in the page. Arrow keys move, Ctrl C copies, a click
// on a head sorts what is loaded.

import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp, EyeOff } from "lucide-react";
import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import { type Cell, asText, shown } from "./cell";
import { copy } from "./clipboard";

export type { Cell } from "./cell";
export type GridColumn = { name: string; type: string; masked: boolean };

const isNumber = (type: string) => /int|float|double|decimal|numeric|real/i.test(type);

export function Grid({ columns, rows, label }: { columns: GridColumn[]; rows: Cell[][]; label: string }) {
    const scroller = useRef<HTMLDivElement>(null);
    const [sort, setSort] = useState<{ column: number; down: boolean }>();
    const [at, setAt] = useState<{ row: number; column: number }>({ row: 0, column: 0 });

    const widths = useMemo(
        () =>
            columns.map((column, index) => {
                let longest = column.name.length + 3;
                for (const row of rows.slice(0, 200)) longest = Math.max(longest, shown(row[index]).length);
                return Math.min(360, Math.max(84, longest * 7.4 + 28));
            }),
        [columns, rows],
    );
    const ordered = useMemo(() => {
        if (!sort) return rows;
        const { column, down } = sort;
        const compare = (a: Cell[], b: Cell[]) => {
            const [left, right] = [a[column], b[column]];
            if (left == null || right == null) return left == null ? (right == null ? 0 : 1) : -1;
            const order =
                typeof left === "number" && typeof right === "number"
                    ? left - right
                    : shown(left).localeCompare(shown(right), undefined, { numeric: true });
            return down ? -order : order;
        };
        return rows.toSorted(compare);
    }, [rows, sort]);
    const virtual = useVirtualizer({
        count: ordered.length,
        getScrollElement: () => scroller.current,
        estimateSize: () => 33,
        overscan: 12,
    });

    const move = (event: KeyboardEvent) => {
        const step = {
            ArrowDown: [1, 0],
            ArrowUp: [-1, 0],
            ArrowRight: [0, 1],
            ArrowLeft: [0, -1],
            PageDown: [15, 0],
            PageUp: [-15, 0],
            Home: [-1e9, 0],
            End: [1e9, 0],
        }[event.key];
        if (step) {
            event.preventDefault();
            const row = Math.min(ordered.length - 1, Math.max(0, at.row + (step[0] ?? 0)));
            const column = Math.min(columns.length - 1, Math.max(0, at.column + (step[1] ?? 0)));
            setAt({ row, column });
            virtual.scrollToIndex(row);
            requestAnimationFrame(() =>
                scroller.current?.querySelector<HTMLElement>(`[data-cell="${row}:${column}"]`)?.focus(),
            );
        }
        if (event.key === "c" && (event.ctrlKey || event.metaKey) && !getSelection()?.toString()) {
            void copy(shown(ordered[at.row]?.[at.column]), "Cell copied.");
        }
    };

    return (
        <div
            className="grid-wrap"
            ref={scroller}
            role="grid"
            aria-label={label}
            aria-rowcount={rows.length + 1}
            aria-colcount={columns.length}
            onKeyDown={move}
            tabIndex={-1}
        >
            <div role="rowgroup" className="grid-head">
                <div role="row" aria-rowindex={1} style={{ display: "flex" }}>
                    {columns.map((column, index) => (
                        <div
                            key={column.name + index}
                            role="columnheader"
                            className="grid-cell"
                            style={{ width: widths[index] }}
                            aria-sort={sort?.column === index ? (sort.down ? "descending" : "ascending") : "none"}
                        >
                            <button
                                type="button"
                                title={`${column.name}, ${column.type}${column.masked ? ", masked by a policy" : ""}`}
                                style={{ justifyContent: isNumber(column.type) ? "flex-end" : undefined }}
                                onClick={() =>
                                    setSort(
                                        sort?.column === index
                                            ? sort.down
                                                ? undefined
                                                : { column: index, down: true }
                                            : { column: index, down: false },
                                    )
                                }
                            >
                                {column.masked && <EyeOff size={12} role="img" aria-label="masked" />}
                                {column.name}
                                {sort?.column === index &&
                                    (sort.down ? <ArrowDown size={12} /> : <ArrowUp size={12} />)}
                            </button>
                        </div>
                    ))}
                </div>
            </div>
            <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
                {virtual.getVirtualItems().map((item) => (
                    <div
                        key={item.index}
                        role="row"
                        aria-rowindex={item.index + 2}
                        className="grid-row"
                        style={{ transform: `translateY(${item.start}px)` }}
                    >
                        {columns.map((column, index) => {
                            const value = ordered[item.index]?.[index];
                            const isAt = at.row === item.index && at.column === index;
                            return (
                                <div
                                    key={column.name + index}
                                    role="gridcell"
                                    data-cell={`${item.index}:${index}`}
                                    tabIndex={isAt ? 0 : -1}
                                    onFocus={() => !isAt && setAt({ row: item.index, column: index })}
                                    className={`grid-cell ${isNumber(column.type) ? "num" : ""} ${column.masked ? "masked" : ""} ${value == null ? "null" : ""}`}
                                    style={{ width: widths[index] }}
                                    title={shown(value)}
                                >
                                    {asText(value)}
                                </div>
                            );
                        })}
                    </div>
                ))}
            </div>
        </div>
    );
}

/** What a spreadsheet takes from the clipboard. */
export function asTabs(columns: GridColumn[], rows: Cell[][]): string {
    const clean = (value: Cell | undefined) => (value == null ? "" : shown(value).replace(/[\t\n\r]/g, " "));
    return [
        columns.map((column) => column.name).join("\t"),
        ...rows.map((row) => columns.map((_, index) => clean(row[index])).join("\t")),
    ].join("\n");
}
