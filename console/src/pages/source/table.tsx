// One table of a source: its columns and, for whoever asks, what is in them.

import { ChartColumn, EyeOff, Filter as FilterIcon, KeyRound, Table2 } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { useMay } from "../../standing";
import { Badge, Button, Problem, count, words } from "../../ui/basics";
import { Cells, Heads, Sampled, useStatistics } from "./statistics";

export function Table({
    source,
    schema,
    table,
    isOpen,
    tagsOf,
}: {
    source: string;
    schema: string;
    table: Schemas["TableInfo"];
    /** Whether its columns are in sight from the beginning. */
    isOpen: boolean;
    tagsOf: (column: string) => { tag: string }[];
}) {
    const may = useMay();
    const [isAsked, setIsAsked] = useState(false);
    const statistics = useStatistics(source, schema, table.table_name, isAsked);
    const hasCells = isAsked && (statistics.data !== undefined || !statistics.error);
    return (
        <details open={isOpen}>
            <summary>
                <Table2 size={15} aria-hidden />
                <b className="strong">{table.table_name}</b>
                {table.table_type !== "table" && <Badge>{words(table.table_type)}</Badge>}
                {table.rows_filtered && (
                    <Badge tone="accent">
                        <FilterIcon size={11} aria-hidden />
                        Rows filtered
                    </Badge>
                )}
                <span className="small soft" style={{ marginLeft: "auto" }}>
                    {table.row_count != null && `${count(table.row_count)} rows · `}
                    {table.columns?.length ?? 0} columns
                </span>
            </summary>
            {table.table_comment && (
                <p className="soft" style={{ padding: "8px 16px 0" }}>
                    {table.table_comment}
                </p>
            )}
            {may("datasource.query") && (
                <div className="row under">
                    <Button
                        small
                        kind="quiet"
                        aria-pressed={isAsked}
                        icon={<ChartColumn size={14} aria-hidden />}
                        onClick={() => setIsAsked(!isAsked)}
                    >
                        Column statistics
                    </Button>
                    <div className="small soft grow" aria-live="polite">
                        {isAsked &&
                            (statistics.data ? <Sampled of={statistics.data} /> : !statistics.error && "Reading rows…")}
                    </div>
                </div>
            )}
            {isAsked && statistics.error && (
                <div className="under">
                    <Problem error={statistics.error} retry={() => statistics.refetch()} />
                </div>
            )}
            <div className="table-wrap" tabIndex={0} role="region" aria-label={`Columns of ${table.table_name}`}>
                <table className="rows" aria-label={`Columns of ${table.table_name}`}>
                    <thead>
                        <tr>
                            <th scope="col">Column</th>
                            <th scope="col">Type</th>
                            {hasCells && <Heads />}
                            <th scope="col">Tags</th>
                        </tr>
                    </thead>
                    <tbody>
                        {table.columns?.map((column) => (
                            <tr key={column.column_name}>
                                <td className="title">
                                    <span className="row" style={{ gap: 6 }}>
                                        {column.is_primary_key && (
                                            <KeyRound
                                                size={13}
                                                aria-label="Primary key"
                                                style={{ color: "var(--warn)" }}
                                            />
                                        )}
                                        <span className="strong">{column.column_name}</span>
                                    </span>
                                    {column.column_comment && <div className="small soft">{column.column_comment}</div>}
                                </td>
                                <td data-label="Type">
                                    <code className="soft">{column.column_type}</code>
                                    {!column.is_nullable && <span className="small soft"> not null</span>}
                                </td>
                                {hasCells && <Cells of={statistics.data} column={column.column_name} />}
                                <td data-label="Tags">
                                    <Marks column={column} tags={tagsOf(column.column_name)} />
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </details>
    );
}

/** What policies, keys and people say of a column. */
function Marks({ column, tags }: { column: Schemas["ColumnInfo"]; tags: { tag: string }[] }) {
    return (
        <span className="row">
            {column.masked && (
                <Badge tone="warn">
                    <EyeOff size={11} aria-hidden />
                    Masked for you
                </Badge>
            )}
            {column.references && (
                <Badge>
                    → {column.references.table_name}.{column.references.column_name}
                </Badge>
            )}
            {tags.map((tag) => (
                <Badge key={tag.tag} tone="accent">
                    {tag.tag}
                </Badge>
            ))}
        </span>
    );
}
