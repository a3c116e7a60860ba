// What was asked before: each run with how it ended, to be read, run again, or stopped.

import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { Suspense, lazy, useState } from "react";
import { api, read } from "../api/client";
import { useMay, useMe } from "../standing";
import { ActionButton, useAction } from "../ui/action";
import { Card, Empty, Facts, Filter, Note, Page, Skeleton, Status, When, bytes, count, words } from "../ui/basics";
import { List } from "../ui/list";
import { Loaded } from "../ui/loaded";
import { PersonName } from "../ui/person-choice";
import { SourceNames } from "./questions/part";

// The table of rows comes with the first that is kept.
const KeptResult = lazy(async () => ({ default: (await import("./kept-result")).KeptResult }));

const STATES = [
    ["", "Any state"],
    ["running", "Running"],
    ["succeeded", "Succeeded"],
    ["denied", "Denied"],
    ["failed", "Failed"],
    ["cancelled", "Cancelled"],
    ["interrupted", "Interrupted"],
] as const;

export function HistoryPage() {
    const [status, setStatus] = useState("");
    const may = useMay();
    const [whose, setWhose] = useState("own");
    const me = useMe();
    const own = !may("audit.read") || whose === "own";
    return (
        <Page title="History" lead="Every query that ran, and how it ended.">
            <List
                name="Runs"
                of={["runs", status, own && me.data?.user.id]}
                filters={
                    <>
                        <Filter label="Status" value={status} onValue={setStatus} options={STATES} />
                        {may("audit.read") && (
                            <Filter
                                label="Whose"
                                value={whose}
                                onValue={setWhose}
                                options={[
                                    ["own", "Mine"],
                                    ["all", "Everyone's"],
                                ]}
                            />
                        )}
                    </>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/queries", {
                            params: {
                                query: {
                                    page,
                                    page_size: size,
                                    status: (status || undefined) as "running",
                                    user_id: own ? me.data?.user.id : undefined,
                                },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(run) => run.query_id}
                columns={[
                    {
                        head: "Query",
                        cell: (run) => (
                            <Link
                                className="strong mono small clamp"
                                to="/history/$id"
                                params={{ id: String(run.query_id) }}
                            >
                                {run.query || "…"}
                            </Link>
                        ),
                        className: "break",
                    },
                    !own && { head: "Who", cell: (run) => <PersonName id={run.user_id} /> },
                    { head: "Status", cell: (run) => <Status value={run.status} /> },
                    { head: "Rows", cell: (run) => count(run.row_count), numeric: true },
                    {
                        head: "Duration",
                        cell: (run) => (run.duration_ms == null ? "—" : `${run.duration_ms.toLocaleString()} ms`),
                        numeric: true,
                        className: "nowrap",
                    },
                    { head: "When", cell: (run) => <When at={run.started_at} /> },
                ]}
                empty={
                    <Empty
                        title="No queries yet"
                        actions={
                            <Link className="button primary" to="/ask">
                                Ask a question
                            </Link>
                        }
                    />
                }
            />
        </Page>
    );
}

export function Run() {
    const { id } = useParams({ strict: false }) as { id: string };
    const path = { query_id: Number(id) };
    const me = useMe();
    const run = useQuery({
        queryKey: ["run", id],
        queryFn: () => read(api.GET("/api/v1/queries/{query_id}", { params: { path } })),
        refetchInterval: (query) => (query.state.data?.status === "running" ? 2000 : false),
    });
    const cancel = useAction(() => read(api.POST("/api/v1/queries/{query_id}/cancel", { params: { path } })), {
        done: "Cancelled.",
        changes: [["run", id], ["runs"]],
    });
    return (
        <Page
            title={`Run ${id}`}
            crumbs={<Link to="/history">History</Link>}
            narrow
            actions={
                <>
                    {run.data?.status === "running" && (
                        <ActionButton kind="danger" action={cancel} on={undefined}>
                            Cancel
                        </ActionButton>
                    )}
                    {run.data && (
                        <Link
                            className="button primary"
                            to="/ask"
                            search={{ sql: run.data.query, sources: run.data.data_source_ids.join(",") }}
                        >
                            Open as SQL
                        </Link>
                    )}
                </>
            }
        >
            <Loaded query={run}>
                {(data) => (
                    <>
                        {data.error_message && <Note tone="bad">{data.error_message}</Note>}
                        <pre className="code-block">{data.query}</pre>
                        <Card>
                            <Facts
                                of={[
                                    ["Status", <Status key="state" value={data.status} />],
                                    data.stage ? ["Stage", words(data.stage)] : null,
                                    ["Run by", <PersonName key="by" id={data.user_id} />],
                                    ["Sources", <SourceNames key="of" ids={data.data_source_ids} />],
                                    ["Kind", words(data.kind)],
                                    ["Started", <When key="began" at={data.started_at} />],
                                    [
                                        "Duration",
                                        data.duration_ms == null ? "—" : `${data.duration_ms.toLocaleString()} ms`,
                                    ],
                                    ["Rows", count(data.row_count)],
                                    ["Size", data.byte_count == null ? "—" : bytes(data.byte_count)],
                                    data.result_expires_at
                                        ? ["Kept until", <When key="kept" at={data.result_expires_at} />]
                                        : null,
                                ]}
                            />
                        </Card>
                        {/* What the policies let somebody see is theirs alone. */}
                        {data.result_expires_at && data.user_id === me.data?.user.id && (
                            <Suspense fallback={<Skeleton lines={6} />}>
                                <KeptResult id={data.query_id} />
                            </Suspense>
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
