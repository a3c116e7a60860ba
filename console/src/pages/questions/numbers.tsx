// The numbers of all queries, asked in words or typed as SQL: the organization's for whoever may read its audit log, one's own
// for everybody else. The server decides which, and says so.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { Badge, Card, Empty, Filter, Note, Status, When, count } from "../../ui/basics";
import { Chart } from "../../ui/chart";
import { DayField } from "../../ui/day";
import { Table } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { Figure, QuestionsPart } from "./part";

type Analytics = Schemas["QueryAnalytics"];
type Period = Analytics["period"]["period"];

const METRICS = {
    query_count: { name: "Queries", type: "int", of: (value: number) => value },
    execution_time: { name: "Average seconds", type: "double", of: (value: number) => value },
    success_rate: {
        name: "Success rate, %",
        type: "double",
        of: (value: number) => Math.round(value * 1000) / 10,
    },
} as const;
type Metric = keyof typeof METRICS;

/** Midnight in UTC, as the days of the numbers are; `later` days on. */
const midnight = (day: string, later = 0) => new Date(Date.parse(day) + later * 86_400_000).toISOString();

export function Numbers() {
    const [period, setPeriod] = useState<Period>("last_7_days");
    const [metric, setMetric] = useState<Metric>("query_count");
    const [from, setFrom] = useState("");
    const [to, setTo] = useState("");
    const isCustom = period === "custom";
    const isWhole = !isCustom || (from !== "" && to !== "" && from <= to);
    const numbers = useQuery({
        queryKey: ["numbers", period, metric, ...(isCustom ? [from, to] : [])],
        enabled: isWhole,
        queryFn: () =>
            read(
                api.GET("/api/v1/prompts/analytics/query-analytics", {
                    params: {
                        query: {
                            period,
                            metric_type: metric,
                            // Its end is exclusive.
                            ...(isCustom ? { start_date: midnight(from), end_date: midnight(to, 1) } : {}),
                        },
                    },
                }),
            ),
    });
    return (
        <QuestionsPart
            lead={
                numbers.data?.scope === "own"
                    ? "Your own queries. People who can read the audit log see everyone's."
                    : "All queries in the organization."
            }
        >
            <div className="row">
                <Filter
                    label="Time"
                    value={period}
                    onValue={(value) => setPeriod(value as Period)}
                    options={[
                        ["last_7_days", "Last 7 days"],
                        ["last_30_days", "Last 30 days"],
                        ["custom", "Custom range"],
                    ]}
                />
                {isCustom && (
                    <>
                        <DayField label="From" day={from} onDay={setFrom} />
                        <DayField label="to" day={to} onDay={setTo} />
                    </>
                )}
            </div>
            {isWhole ? (
                <Loaded query={numbers} lines={8}>
                    {(data) =>
                        data.kpis.total_queries === 0 ? (
                            <div className="card">
                                <Empty
                                    title="No queries in this period"
                                    actions={
                                        <Link className="button primary" to="/ask">
                                            Ask a question
                                        </Link>
                                    }
                                />
                            </div>
                        ) : (
                            <Told data={data} metric={metric} onMetric={setMetric} />
                        )
                    }
                </Loaded>
            ) : (
                <Note>Choose a first and a last day, at most a year apart.</Note>
            )}
        </QuestionsPart>
    );
}

/** A change against the time before, which is as long. */
function trend(change: number): string {
    const percent = Math.round(Math.abs(change) * 100);
    return percent === 0 ? "no change" : `${percent}% ${change > 0 ? "more" : "less"} than before`;
}

function Told({ data, metric, onMetric }: { data: Analytics; metric: Metric; onMetric: (metric: Metric) => void }) {
    const { kpis, status_distribution: ended } = data;
    const shape = METRICS[metric];
    return (
        <div className="stack">
            <div className="columns" style={{ gridTemplateColumns: "repeat(auto-fit, minmax(140px, 1fr))" }}>
                <Figure of={`queries, ${trend(kpis.total_queries_trend)}`} value={count(kpis.total_queries)} />
                <Figure
                    of={`average time, ${trend(kpis.avg_execution_time_trend)}`}
                    value={`${kpis.avg_execution_time_seconds.toFixed(2)} s`}
                />
                <Figure of="success rate" value={`${Math.round(kpis.success_rate * 100)}%`} />
                <Figure
                    of={kpis.data_sources_used === 1 ? "source" : "sources"}
                    value={count(kpis.data_sources_used)}
                />
            </div>
            <Card
                title="By day"
                actions={
                    <Filter
                        label="Metric"
                        value={metric}
                        onValue={(value) => onMetric(value as Metric)}
                        options={Object.entries(METRICS).map(([key, { name }]) => [key, name] as const)}
                    />
                }
                flush
            >
                <Chart
                    columns={[
                        { name: "Day", type: "date", masked: false },
                        { name: shape.name, type: shape.type, masked: false },
                    ]}
                    rows={data.time_series.map((point) => [point.date, shape.of(point.value)])}
                />
            </Card>
            <div className="columns">
                <Card title="Outcomes">
                    <div className="stack tight">
                        {(
                            [
                                ["Succeeded", ended.success, undefined],
                                ["Failed", ended.failed, "var(--bad)"],
                                ["Still running", ended.running, "var(--warn)"],
                            ] as const
                        ).map(([label, part, background]) => (
                            <div key={label}>
                                <div className="row apart small">
                                    <span>{label}</span>
                                    <span>{Math.round(part * 100)}%</span>
                                </div>
                                <div className="meter" aria-hidden>
                                    <i style={{ width: `${part * 100}%`, background }} />
                                </div>
                            </div>
                        ))}
                    </div>
                </Card>
                <Card title="By hour">
                    <Hours of={data.peak_usage_times} />
                </Card>
            </div>
            <Card title="Most frequent" flush>
                <Table
                    name="Most frequent"
                    items={data.most_used_queries}
                    id={(query) => query.query_preview}
                    columns={[
                        {
                            head: "Query",
                            cell: (query) => <code className="small clamp">{query.query_preview}</code>,
                        },
                        { head: "Runs", numeric: true, cell: (query) => count(query.executions) },
                        {
                            head: "Average",
                            numeric: true,
                            className: "nowrap",
                            cell: (query) => `${query.avg_time_seconds.toFixed(2)} s`,
                        },
                        { head: "Last run", cell: (query) => <When at={query.last_run} /> },
                    ]}
                />
            </Card>
            <Card title="By source" flush>
                <Table
                    name="By source"
                    items={data.data_source_performance}
                    id={(source) => source.data_source_id}
                    columns={[
                        {
                            head: "Source",
                            cell: (source) =>
                                source.data_source_name ? (
                                    <Link to="/sources/$id" params={{ id: String(source.data_source_id) }}>
                                        {source.data_source_name}
                                    </Link>
                                ) : (
                                    `Source ${source.data_source_id}`
                                ),
                        },
                        { head: "Queries", numeric: true, cell: (source) => count(source.queries) },
                        {
                            head: "Average",
                            numeric: true,
                            className: "nowrap",
                            cell: (source) => `${source.avg_latency_ms.toLocaleString()} ms`,
                        },
                        {
                            head: "Status",
                            cell: (source) =>
                                source.status === "healthy" ? (
                                    <Badge tone="good">Healthy</Badge>
                                ) : (
                                    <Status value={source.status} />
                                ),
                        },
                    ]}
                />
            </Card>
        </div>
    );
}

/** Queries by hour of the day, in UTC. */
function Hours({ of }: { of: number[] }) {
    const most = Math.max(1, ...of);
    const busiest = of.indexOf(Math.max(...of));
    const hour = (at: number) => `${String(at).padStart(2, "0")}:00`;
    return (
        <div className="stack tight">
            <div
                className="spark"
                role="img"
                aria-label={of.flatMap((value, at) => (value > 0 ? `${hour(at)} UTC: ${value}` : [])).join(", ")}
            >
                {of.map((value, at) => (
                    <i key={at} title={`${hour(at)}: ${value}`} style={{ height: `${(value / most) * 100}%` }} />
                ))}
            </div>
            <p className="small soft">
                Busiest between {hour(busiest)} and {hour((busiest + 1) % 24)}, UTC.
            </p>
        </div>
    );
}
