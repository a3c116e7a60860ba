// What columns hold, in tags that policies name.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { PAGE, everyPage } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Badge, Button, Empty, Filter, Status, TextField } from "../../ui/basics";
import { List } from "../../ui/list";

type Tag = Schemas["ColumnTag"];

/** Tables of one name in several schemas are told apart. */
const qualified = ({ schema_name, table }: Tag) => (schema_name ? `${schema_name}.${table}` : table);

const BLANK = { table: "", column: "", tag: "" };

export function ColumnTags({ id }: { id: string }) {
    const may = useMay();
    const [status, setStatus] = useState("");
    const [adding, setAdding] = useState(false);
    const path = { data_source_id: Number(id) };
    const changes = [["tags", id]];
    const propose = useAction(
        () => read(api.POST("/api/v1/data-sources/{data_source_id}/tags/proposals", { params: { path }, body: {} })),
        { done: "Column names and sample values were checked. Review the suggestions.", changes },
    );
    /** The server takes all tags of a column at once and rejects the others, so those that are confirmed are sent along. */
    const write = async (table: string, column: string, change: (held: string[]) => string[]) => {
        const confirmed = await everyPage(async (skip) => {
            const query = { status: "confirmed", page: skip / PAGE + 1, page_size: PAGE } as const;
            const tags = await read(api.GET("/api/v1/data-sources/{data_source_id}/tags", { params: { path, query } }));
            return { things: tags.items, total: tags.pagination.total_items };
        });
        const held = confirmed
            .filter((each) => each.column === column && [each.table, qualified(each)].includes(table))
            .map((each) => each.tag);
        const columns = [{ table, column, tags: [...new Set(change(held))] }];
        return read(api.PUT("/api/v1/data-sources/{data_source_id}/tags", { params: { path }, body: { columns } }));
    };
    const confirm = useAction((tag: Tag) => write(qualified(tag), tag.column, (held) => [...held, tag.tag]), {
        done: "Confirmed.",
        changes,
    });
    const take = useAction(
        (tag: Tag) => write(qualified(tag), tag.column, (held) => held.filter((each) => each !== tag.tag)),
        { done: "Removed.", changes },
    );
    const [form, setForm] = useState(BLANK);
    const add = useAction(
        () => write(form.table, form.column, (held) => [...held, ...form.tag.split(",").map((tag) => tag.trim())]),
        {
            done: "Saved.",
            changes,
            inline: true,
            onDone: () => {
                setForm(BLANK);
                setAdding(false);
            },
        },
    );
    return (
        <div className="stack tight">
            <List
                name="Tags"
                of={["tags", id, status]}
                filters={
                    <>
                        <Filter
                            label="Status"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "All"],
                                ["proposed", "Suggested"],
                                ["confirmed", "Confirmed"],
                                ["rejected", "Rejected"],
                            ]}
                        />
                        {may("policy.write") && (
                            <>
                                <ActionButton small action={propose} on={undefined}>
                                    Suggest tags
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
                    { head: "Status", cell: (tag) => <Status value={tag.status} /> },
                    { head: "Reason", cell: (tag) => <span className="small soft">{tag.reason}</span> },
                    may("policy.write") && {
                        head: "",
                        cell: (tag) =>
                            tag.status === "confirmed" ? (
                                <ActionButton small kind="quiet" action={take} on={tag}>
                                    Remove
                                </ActionButton>
                            ) : (
                                <ActionButton small action={confirm} on={tag}>
                                    Confirm
                                </ActionButton>
                            ),
                    },
                ]}
                empty={
                    <Empty title="No tags yet">
                        Tags say what columns hold, so one policy can cover every e-mail address, in future tables too.
                    </Empty>
                }
            />
            {adding && (
                <ActionForm
                    className="card pad stack"
                    action={add}
                    submit="Save"
                    touched={form !== BLANK}
                    what="The tag is"
                >
                    <div className="form-grid">
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
                            hint="Separate with commas."
                        />
                    </div>
                </ActionForm>
            )}
        </div>
    );
}
