// What is in the columns of a table, by a sample of the rows that the person who looks may see.

import { useQuery } from "@tanstack/react-query";
import { type Schemas, api, read } from "../../api/client";
import { When, count } from "../../ui/basics";
import { type Cell, asText } from "../../ui/cell";

/** As long as the server gives a sample again. */
const FRESH = 600_000;

/** Heads of the cells, with how wide they are as a rule. */
const OUTLINE = [
    ["Empty", 56],
    ["Distinct", 40],
    ["Range or most common", 160],
] as const;

/** Read when it is asked for: it is a query of the person's, on record, and may cost where the source is paid by the query. */
export function useStatistics(source: string, schema: string, table: string, isAsked: boolean) {
    return useQuery({
        queryKey: ["statistics", source, schema, table],
        enabled: isAsked,
        staleTime: FRESH,
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources/{data_source_id}/statistics", {
                    params: {
                        path: { data_source_id: Number(source) },
                        query: { schema_name: schema, table_name: table },
                    },
                }),
            ),
    });
}

/** Which rows the numbers are about. */
export function Sampled({ of }: { of: Schemas["TableStatistics"] }) {
    const { rows_sampled: rows, columns_left_out: left } = of;
    return (
        <>
            {of.is_whole
                ? rows === 0
                    ? "There are no rows you can see"
                    : `From ${rows === 1 ? "the one row" : `all ${rows.toLocaleString("en")} rows`} that you may see`
                : `From the first ${rows.toLocaleString("en")} rows that you may see`}
            {" · "}
            <When at={of.sampled_at} />
            {left.length > 0 &&
                ` · ${left.length} ${left.length === 1 ? "column was" : "columns were"} not looked at: ${left.slice(0, 3).join(", ")}${left.length > 3 ? ", …" : ""}`}
        </>
    );
}

/** The heads of what {@link Cells} shows. */
export function Heads() {
    return (
        <>
            <th scope="col">Empty</th>
            <th scope="col" className="num">
                Distinct
            </th>
            <th scope="col">Range or most common</th>
        </>
    );
}

/** What is in one column; nothing of one that is masked or was not looked at, and its outline while the rows are read. */
export function Cells({ of, column }: { of?: Schemas["TableStatistics"]; column: string }) {
    const found = of?.columns.find((each) => each.column_name === column);
    const rows = of?.rows_sampled ?? 0;
    if (!of) {
        return OUTLINE.map(([label, width]) => (
            <td key={label} data-label={label}>
                <div>
                    <span className="skeleton" style={{ width, maxWidth: "100%" }} />
                </div>
            </td>
        ));
    }
    if (!found || found.masked || rows === 0) {
        return (
            <>
                <td data-label="Empty" />
                <td data-label="Distinct" />
                <td data-label="Range or most common" />
            </>
        );
    }
    const missing = found.null_count ?? 0;
    return (
        <>
            <td data-label="Empty">
                {missing === 0 ? (
                    <span className="soft">none</span>
                ) : (
                    <div className="share" title={`${count(missing)} of ${count(rows)} rows`}>
                        <span>{percent(missing, rows)}</span>
                        <div className="meter thin" aria-hidden>
                            <i style={{ width: `${(missing / rows) * 100}%` }} />
                        </div>
                    </div>
                )}
            </td>
            <td data-label="Distinct" className="num">
                {found.distinct_count == null ? (
                    <span className="soft">—</span>
                ) : (
                    found.distinct_count.toLocaleString("en")
                )}
            </td>
            <td data-label={found.most_common ? "Most common" : "Range"}>
                {found.most_common ? (
                    <ul className="commonest">
                        {found.most_common.map((each) => (
                            <li key={JSON.stringify(each.value)}>
                                <Value of={each.value as Cell} />
                                <span className="soft num">{percent(each.count, rows)}</span>
                            </li>
                        ))}
                    </ul>
                ) : (
                    <Range least={found.minimum as Cell | undefined} greatest={found.maximum as Cell | undefined} />
                )}
            </td>
        </>
    );
}

function Range({ least, greatest }: { least: Cell | undefined; greatest: Cell | undefined }) {
    if (least == null || greatest == null) return <span className="soft">—</span>;
    return (
        <span className="range">
            <Value of={least} />
            {greatest !== least && (
                <span className="to">
                    <span className="soft">to</span>
                    <Value of={greatest} />
                </span>
            )}
        </span>
    );
}

function Value({ of }: { of: Cell }) {
    const text = asText(of);
    if (text.trim() === "") return <i className="soft">{text === "" ? "empty" : "blank"}</i>;
    return (
        <span className="value" title={text}>
            {text}
        </span>
    );
}

/** What is not all is not called all, and what is something is not called nothing. */
function percent(part: number, whole: number) {
    const share = (part / whole) * 100;
    if (share > 0 && share < 1) return "< 1 %";
    if (share > 99 && share < 100) return "> 99 %";
    return `${Math.round(share)}%`;
}
