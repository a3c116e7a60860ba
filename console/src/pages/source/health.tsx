// How a source is doing: its checks, and how long it took to answer.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "../../api/client";
import { Card, Status, When, words } from "../../ui/basics";
import { Table } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { Capabilities } from "./capabilities";

export function Health({ id }: { id: string }) {
    const path = { data_source_id: Number(id) };
    const health = useQuery({
        queryKey: ["health", id],
        queryFn: () =>
            read(api.GET("/api/v1/data-sources/{data_source_id}/health", { params: { path, query: { limit: 100 } } })),
    });
    return (
        <Loaded query={health}>
            {(data) => {
                const longest = Math.max(1, ...data.health_history.map((check) => check.response_time_ms ?? 0));
                return (
                    <div className="stack">
                        <div
                            className="card"
                            style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(150px, 1fr))" }}
                        >
                            <div className="stat">
                                <b>
                                    {data.uptime_percentage == null
                                        ? "—"
                                        : `${Math.round(data.uptime_percentage * 10) / 10}%`}
                                </b>
                                <span>of checks passed</span>
                            </div>
                            <div className="stat">
                                <b>
                                    {data.avg_response_time_ms == null
                                        ? "—"
                                        : `${Math.round(data.avg_response_time_ms)} ms`}
                                </b>
                                <span>average response</span>
                            </div>
                            <div className="stat">
                                <b>{data.failure_count_24h}</b>
                                <span>failures in 24 hours</span>
                            </div>
                            <div className="stat">
                                <b style={{ fontSize: "1.125rem", lineHeight: "1.875rem" }}>
                                    <When at={data.next_check_at} never="not planned" />
                                </b>
                                <span>next check</span>
                            </div>
                        </div>
                        <Card title="Capabilities">
                            <Capabilities abilities={data.abilities} verification={data.verification} />
                        </Card>
                        <Card title="Checks" flush>
                            <div style={{ padding: "14px 18px 0" }}>
                                <div className="spark" aria-hidden>
                                    {[...data.health_history].reverse().map((check) => (
                                        <i
                                            key={check.checked_at}
                                            className={check.error_code ? "bad" : ""}
                                            style={{ height: `${((check.response_time_ms ?? 0) / longest) * 100}%` }}
                                        />
                                    ))}
                                </div>
                            </div>
                            <Table
                                name="Checks"
                                items={data.health_history}
                                id={(check) => check.checked_at}
                                columns={[
                                    { head: "When", cell: (check) => <When at={check.checked_at} /> },
                                    { head: "Status", cell: (check) => <Status value={check.status} /> },
                                    { head: "Trigger", cell: (check) => words(check.origin) },
                                    {
                                        head: "Duration",
                                        numeric: true,
                                        cell: (check) =>
                                            check.response_time_ms == null ? "—" : `${check.response_time_ms} ms`,
                                    },
                                    {
                                        head: "Problem",
                                        className: "small",
                                        cell: (check) => check.error_message ?? "—",
                                    },
                                ]}
                            />
                        </Card>
                    </div>
                );
            }}
        </Loaded>
    );
}
