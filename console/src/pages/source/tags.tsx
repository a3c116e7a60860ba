// What columns hold, in tags that policies name.

import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Empty, Filter, Status, TextField } from "../../ui/basics";
import { List } from "../../ui/list";

export function ColumnTags({ id }: { id: string }) {
    const may = useMay();
    const [status, setStatus] = useState("");
    const [adding, setAdding] = useState(false);
    const path = { data_source_id: Number(id) };
    const changes = [["tags", id]];
    const propose = useAction(
        () => read(api.POST("/api/v1/data-sources/{data_source_id}/tags/proposals", { params: { path }, body: {} })),
        { done: "Looked at names and some values; proposals wait for you.", changes },
    );
    const set = useAction(
        (columns: { table: string; column: string; tags: string[] }[]) =>
            read(api.PUT("/api/v1/data-sources/{data_source_id}/tags", { params: { path }, body: { columns } })),
        { done: "Saved.", changes },
    );
    const [form, setForm] = useState({ table: "", column: "", tag: "" });
    return (
        <div className="stack tight">
            <List
                name="Tags"
                of={["tags", id, status]}
                filters={
                    <>
                        <Filter
                            label="State"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "All"],
                                ["proposed", "Proposed"],
                                ["confirmed", "Confirmed"],
                                ["rejected", "Rejected"],
                            ]}
                        />
                        {may("policy.write") && (
                            <>
                                <ActionButton small action={propose} on={undefined}>
                                    Propose tags
                                </ActionButton>
                                <Button small onClick={() => setAdding(!adding)}>
                                    Tag a column
                                </Button>
                            </>
                        )}
                    </>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/data-sources/{data_source_id}/tags", {
                            params: {
                                path,
                                query: { page, page_size: size, status: (status || undefined) as "proposed" },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(tag) => `${tag.schema_name}.${tag.table}.${tag.column}.${tag.tag}`}
                columns={[
                    {
                        head: "Column",
                        cell: (tag) => (
                            <code>
                                {tag.table}.{tag.column}
                            </code>
                        ),
                    },
                    { head: "Tag", cell: (tag) => <Badge tone="accent">{tag.tag}</Badge> },
                    { head: "State", cell: (tag) => <Status value={tag.status} /> },
                    { head: "Why", cell: (tag) => <span className="small soft">{tag.reason}</span> },
                    may("policy.write") && {
                        head: "",
                        cell: (tag) =>
                            tag.status === "confirmed" ? (
                                <ActionButton
                                    small
                                    kind="quiet"
                                    action={set}
                                    on={[{ table: tag.table, column: tag.column, tags: [] }]}
                                >
                                    Take away
                                </ActionButton>
                            ) : (
                                <ActionButton
                                    small
                                    action={set}
                                    on={[{ table: tag.table, column: tag.column, tags: [tag.tag] }]}
                                >
                                    Confirm
                                </ActionButton>
                            ),
                    },
                ]}
                empty={
                    <Empty title="Nothing tagged yet">
                        Tags say what columns hold, so that one policy covers “every e-mail address”, also of tables to
                        come.
                    </Empty>
                }
            />
            {adding && (
                <form
                    className="card pad form-grid"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void set.start([
                            {
                                table: form.table,
                                column: form.column,
                                tags: form.tag.split(",").map((tag) => tag.trim()),
                            },
                        ]);
                    }}
                >
                    <TextField
                        label="Table"
                        required
                        value={form.table}
                        onValue={(table) => setForm({ ...form, table })}
                    />
                    <TextField
                        label="Column"
                        required
                        value={form.column}
                        onValue={(column) => setForm({ ...form, column })}
                    />
                    <TextField
                        label="Tags"
                        required
                        placeholder="pii.email"
                        value={form.tag}
                        onValue={(tag) => setForm({ ...form, tag })}
                        hint="With commas between them."
                    />
                    <div className="form-end span">
                        <Button kind="primary" type="submit" busy={set.busy}>
                            Save
                        </Button>
                    </div>
                </form>
            )}
        </div>
    );
}
