// The tables of a source, as the person who looks may see them.

import { useQuery } from "@tanstack/react-query";
import { EyeOff, Filter as FilterIcon, KeyRound, Table2 } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { PAGE, everyPage } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Card, Empty, Problem, SearchBox, Skeleton, count, words } from "../../ui/basics";
import { Pager } from "../../ui/list";
import { Explain } from "../about-answer";

/** Tables on one page. */
const SIZE = 50;

export function Tables({ id, discovering }: { id: string; discovering: boolean }) {
    const may = useMay();
    const [typed, setTyped] = useState("");
    const [page, setPage] = useState(1);
    const [explaining, setExplaining] = useState(false);
    const path = { data_source_id: Number(id) };
    const schemas = useQuery({
        queryKey: ["schemas", id, typed, page, discovering],
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources/{data_source_id}/schemas", {
                    params: { path, query: { search: typed || undefined, page, page_size: SIZE } },
                }),
            ),
    });
    const tags = useQuery({
        queryKey: ["tags", id, "confirmed"],
        enabled: may("policy.read"),
        queryFn: () =>
            everyPage(async (skip) => {
                const query = { status: "confirmed", page: skip / PAGE + 1, page_size: PAGE } as const;
                const tags = await read(
                    api.GET("/api/v1/data-sources/{data_source_id}/tags", { params: { path, query } }),
                );
                return { things: tags.items, total: tags.pagination.total_items };
            }),
    });
    const discover = useAction(
        () =>
            read(
                api.POST("/api/v1/data-sources/{data_source_id}/discover-schema", {
                    params: { path, query: { refresh: true } },
                }),
            ),
        {
            done: "Its tables are being read anew.",
            changes: [
                ["schemas", id],
                ["source", id],
                ["discoveries", id],
            ],
        },
    );
    const total = schemas.data?.pagination.total_items ?? 0;
    const tagsOf = (schema: string, table: string, column: string) =>
        tags.data?.filter((tag) => tag.schema_name === schema && tag.table === table && tag.column === column) ?? [];
    const all = schemas.data?.schemas ?? [];
    return (
        <div className="stack tight">
            <div className="row apart">
                <SearchBox
                    label="Search tables and columns"
                    value={typed}
                    onValue={(value) => {
                        setTyped(value);
                        setPage(1);
                    }}
                />
                <span className="row">
                    <Button small kind="quiet" icon={<EyeOff size={14} />} onClick={() => setExplaining(true)}>
                        What is hidden from me?
                    </Button>
                    {may("datasource.write") && (
                        <ActionButton small action={discover} on={undefined}>
                            Refresh tables
                        </ActionButton>
                    )}
                </span>
            </div>
            {schemas.error ? (
                <Problem error={schemas.error} retry={() => schemas.refetch()} />
            ) : !schemas.data || discovering ? (
                <Card>
                    <p className="soft" aria-live="polite">
                        {discovering ? "Its tables are being read…" : ""}
                    </p>
                    <Skeleton lines={5} />
                </Card>
            ) : total === 0 ? (
                <div className="card">
                    <Empty title={typed ? `Nothing matches “${typed}”` : "No tables"}>
                        {typed ? "" : "It has none, or you may see none of them."}
                    </Empty>
                </div>
            ) : (
                all.map((schema) => (
                    <section className="card tree" key={schema.schema_name} style={{ overflow: "hidden" }}>
                        <header>
                            <h2 className="mono" style={{ fontSize: "0.875rem" }}>
                                {schema.schema_name}
                            </h2>
                            <span className="small soft">
                                {schema.tables.length} {schema.tables.length === 1 ? "table" : "tables"}
                            </span>
                        </header>
                        {schema.tables.map((table) => (
                            <details key={table.table_name} open={total === 1}>
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
                                <div
                                    className="table-wrap"
                                    tabIndex={0}
                                    role="region"
                                    aria-label={`Columns of ${table.table_name}`}
                                >
                                    <table>
                                        <thead>
                                            <tr>
                                                <th scope="col">Column</th>
                                                <th scope="col">Type</th>
                                                <th scope="col">Marks</th>
                                            </tr>
                                        </thead>
                                        <tbody>
                                            {table.columns?.map((column) => (
                                                <tr key={column.column_name}>
                                                    <td>
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
                                                        {column.column_comment && (
                                                            <div className="small soft">{column.column_comment}</div>
                                                        )}
                                                    </td>
                                                    <td>
                                                        <code className="soft">{column.column_type}</code>
                                                        {!column.is_nullable && (
                                                            <span className="small soft"> not null</span>
                                                        )}
                                                    </td>
                                                    <td>
                                                        <span className="row">
                                                            {column.masked && (
                                                                <Badge tone="warn">
                                                                    <EyeOff size={11} aria-hidden />
                                                                    Masked for you
                                                                </Badge>
                                                            )}
                                                            {column.references && (
                                                                <Badge>
                                                                    → {column.references.table_name}.
                                                                    {column.references.column_name}
                                                                </Badge>
                                                            )}
                                                            {tagsOf(
                                                                schema.schema_name,
                                                                table.table_name,
                                                                column.column_name,
                                                            ).map((tag) => (
                                                                <Badge key={tag.tag} tone="accent">
                                                                    {tag.tag}
                                                                </Badge>
                                                            ))}
                                                        </span>
                                                    </td>
                                                </tr>
                                            ))}
                                        </tbody>
                                    </table>
                                </div>
                            </details>
                        ))}
                    </section>
                ))
            )}
            <Pager name="tables" page={page} size={SIZE} total={total} onPage={setPage} />
            {explaining && <Explain sources={[Number(id)]} masked={[]} onClose={() => setExplaining(false)} />}
        </div>
    );
}
