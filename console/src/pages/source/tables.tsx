// The tables of a source, as the person who looks may see them.

import { useQuery } from "@tanstack/react-query";
import { EyeOff } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { PAGE, everyPage } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Button, Card, Empty, Problem, SearchBox, Skeleton } from "../../ui/basics";
import { Pager } from "../../ui/list";
import { Explain } from "../about-answer";
import { Table } from "./table";

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
            done: "Refreshing its tables.",
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
                            Refresh
                        </ActionButton>
                    )}
                </span>
            </div>
            {schemas.error ? (
                <Problem error={schemas.error} retry={() => schemas.refetch()} />
            ) : !schemas.data || discovering ? (
                <Card>
                    <p className="soft" aria-live="polite">
                        {discovering ? "Reading its tables…" : ""}
                    </p>
                    <Skeleton lines={5} />
                </Card>
            ) : total === 0 ? (
                <div className="card">
                    <Empty title={typed ? `Nothing matches “${typed}”` : "No tables"}>
                        {typed ? "" : "It has none, or you have no access to them."}
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
                            <Table
                                key={table.table_name}
                                source={id}
                                schema={schema.schema_name}
                                table={table}
                                isOpen={total === 1}
                                tagsOf={(column) => tagsOf(schema.schema_name, table.table_name, column)}
                            />
                        ))}
                    </section>
                ))
            )}
            <Pager name="tables" page={page} size={SIZE} total={total} onPage={setPage} />
            {explaining && <Explain sources={[Number(id)]} masked={[]} onClose={() => setExplaining(false)} />}
        </div>
    );
}
