// The sources: found, and restored where they were deleted.

import { Link } from "@tanstack/react-router";
import { Database, Plus } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Empty, Filter, Page, Status, When } from "../../ui/basics";
import { List } from "../../ui/list";
import { fileName, titles } from "./names";

export function Sources() {
    const may = useMay();
    const [status, setStatus] = useState("");
    const [deleted, setDeleted] = useState("");
    return (
        <Page
            title="Sources"
            lead="Databases and files that people can query, under your policies."
            actions={
                may("datasource.write") && (
                    <Link className="button primary" to="/sources/new">
                        <Plus size={16} />
                        Connect a source
                    </Link>
                )
            }
        >
            <List
                name="Sources"
                of={["sources", status, deleted]}
                search="Search sources"
                sort="name"
                filters={
                    <>
                        <Filter
                            label="Status"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "Any status"],
                                ["active", "Active"],
                                ["failed", "Failed"],
                                ["testing", "Testing"],
                                ["inactive", "Inactive"],
                                ["maintenance", "Maintenance"],
                            ]}
                        />
                        {may("datasource.delete") && (
                            <Filter
                                label="Current or deleted"
                                value={deleted}
                                onValue={setDeleted}
                                options={[
                                    ["", "Current"],
                                    ["yes", "Deleted"],
                                ]}
                            />
                        )}
                    </>
                }
                load={async ({ page, size, search, sort, order }) => {
                    const answer = await read(
                        api.GET("/api/v1/data-sources", {
                            params: {
                                query: {
                                    page,
                                    page_size: size,
                                    search: search || undefined,
                                    sort_by: sort as "name",
                                    sort_order: order,
                                    status_filter: (status || undefined) as "active",
                                    deleted: deleted === "yes" || undefined,
                                },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(source) => source.id}
                columns={[
                    {
                        head: "Name",
                        sort: "name",
                        cell: (source) => (
                            <div className="row" style={{ flexWrap: "nowrap" }}>
                                <span className="tile">
                                    <Database size={16} aria-hidden />
                                </span>
                                <div>
                                    <Link className="strong" to="/sources/$id" params={{ id: String(source.id) }}>
                                        {source.name}
                                    </Link>
                                    {source.description && <div className="small soft">{source.description}</div>}
                                </div>
                            </div>
                        ),
                    },
                    { head: "Kind", sort: "type", cell: (source) => titles[source.type] ?? source.type },
                    {
                        head: "Status",
                        sort: "status",
                        cell: (source) => <Status value={deleted ? "deleted" : source.status} />,
                    },
                    {
                        head: "Location",
                        cell: (source) => (
                            <span className="small soft break">
                                {source.host
                                    ? `${source.host}${source.port ? `:${source.port}` : ""}`
                                    : source.file_path && fileName(source.file_path)}
                            </span>
                        ),
                    },
                    { head: "Last tested", cell: (source) => <When at={source.last_tested_at} /> },
                    deleted === "yes" && { head: "", cell: (source) => <Restore id={source.id} /> },
                ]}
                empty={
                    <Empty
                        title={deleted ? "No deleted sources" : "No sources yet"}
                        actions={
                            !deleted &&
                            may("datasource.write") && (
                                <Link className="button primary" to="/sources/new">
                                    Connect a source
                                </Link>
                            )
                        }
                    >
                        {deleted
                            ? "You can restore deleted sources for thirty days."
                            : "Connect a database or upload a file. Its tables are discovered automatically."}
                    </Empty>
                }
            />
        </Page>
    );
}

function Restore({ id }: { id: number }) {
    const restore = useAction(
        () =>
            read(
                api.POST("/api/v1/data-sources/{data_source_id}/restore", { params: { path: { data_source_id: id } } }),
            ),
        { done: "Restored.", changes: [["sources"]] },
    );
    return (
        <ActionButton small action={restore} on={undefined}>
            Restore
        </ActionButton>
    );
}
