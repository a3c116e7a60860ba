// What changed in the tables of a source, and when they were read.

import { api, read } from "../../api/client";
import { Badge, Empty, Status, When, count, words } from "../../ui/basics";
import { List } from "../../ui/list";

export function Changes({ id }: { id: string }) {
    const path = { data_source_id: Number(id) };
    return (
        <div className="stack">
            <List
                name="Schema changes"
                of={["drift", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/data-sources/{data_source_id}/drift", {
                            params: { path, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(change) => change.id}
                columns={[
                    { head: "What", cell: (change) => words(change.change) },
                    {
                        head: "Where",
                        cell: (change) => (
                            <code>
                                {change.schema_name}.{change.table_name}
                                {change.column_name ? `.${change.column_name}` : ""}
                            </code>
                        ),
                    },
                    { head: "Before", cell: (change) => change.was ?? "—" },
                    { head: "After", cell: (change) => change.became ?? "—" },
                    {
                        head: "Effect",
                        cell: (change) =>
                            change.closes_table ? (
                                <Badge tone="bad">Closes the table</Badge>
                            ) : change.policies.length > 0 ? (
                                <Badge tone="warn">{change.policies.length} policies refer to it</Badge>
                            ) : (
                                "—"
                            ),
                    },
                    { head: "When", cell: (change) => <When at={change.detected_at} /> },
                ]}
                empty={<Empty title="No schema changes">Its tables have not changed since they were first read.</Empty>}
            />
            <h2>Schema refreshes</h2>
            <List
                name="Schema refreshes"
                of={["discoveries", id]}
                size={10}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/data-sources/{data_source_id}/discoveries", {
                            params: { path, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(run) => run.id}
                columns={[
                    { head: "Started", cell: (run) => <When at={run.started_at} /> },
                    { head: "Status", cell: (run) => <Status value={run.state} /> },
                    { head: "Trigger", cell: (run) => words(run.origin) },
                    { head: "Tables", cell: (run) => count(run.total_tables), numeric: true },
                    { head: "Columns", cell: (run) => count(run.total_columns), numeric: true },
                    { head: "Changes", cell: (run) => count(run.changes), numeric: true },
                ]}
                empty={<Empty title="Not refreshed yet" />}
            />
        </div>
    );
}
