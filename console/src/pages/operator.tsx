// The server at a glance: whether it is ready, and what its own metrics say. Both are open to whoever runs it.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { demo } from "../demo";
import { Badge, Card, Empty, Page, Problem, Skeleton, Status, count, words } from "../ui/basics";
import { Table } from "../ui/list";

type Sample = { name: string; labels: Record<string, string>; value: number };

/** Prometheus's text format, as far as the server writes it. */
function samples(text: string): Sample[] {
    return text
        .split("\n")
        .filter((line) => line && !line.startsWith("#"))
        .flatMap((line) => {
            const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)$/.exec(line);
            if (!match?.[1] || !match[3]) return [];
            const labels = Object.fromEntries(
                [...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((label) => [
                    label[1] ?? "",
                    label[2] ?? "",
                ]),
            );
            return [{ name: match[1], labels, value: Number(match[3]) }];
        });
}

const get = async (path: string) => {
    const response = await fetch(path);
    if (!response.ok && response.status !== 503) throw new Error(`${path} answered ${response.status}.`);
    return response;
};

export function Operator() {
    const health = useQuery({
        queryKey: ["ready"],
        refetchInterval: 5000,
        queryFn: async () =>
            (await (await get("/health/ready")).json()) as { status: string; checks: Record<string, string> },
    });
    const metrics = useQuery({
        queryKey: ["metrics"],
        refetchInterval: 10_000,
        queryFn: async () => samples(await (await get("/metrics")).text()),
    });
    const all = metrics.data ?? [];
    const requests = all.filter((sample) => sample.name === "rivergen_http_requests_total");
    const sum = (list: Sample[]) => list.reduce((total, sample) => total + sample.value, 0);
    const failed = requests.filter((sample) => Number(sample.labels.status) >= 500);
    const routes = [...new Set(requests.map((sample) => `${sample.labels.method} ${sample.labels.route}`))]
        .map((route) => {
            const of = (name: string) =>
                sum(
                    all.filter(
                        (sample) => sample.name === name && `${sample.labels.method} ${sample.labels.route}` === route,
                    ),
                );
            const calls = of("rivergen_http_requests_total");
            return {
                route,
                calls,
                milliseconds:
                    (of("rivergen_http_request_seconds_sum") / Math.max(1, of("rivergen_http_request_seconds_count"))) *
                    1000,
            };
        })
        .sort((a, b) => b.calls - a.calls);
    const jobs = all.filter((sample) => sample.name === "rivergen_jobs_total");
    const kinds = [...new Set(jobs.map((sample) => sample.labels.kind ?? ""))].sort().map((kind) => {
        const of = (outcome: string) =>
            sum(jobs.filter(({ labels }) => labels.kind === kind && labels.outcome === outcome));
        return { kind, done: of("done"), retried: of("retried"), dead: of("dead") };
    });
    const others = all.filter(
        ({ name }) => !name.startsWith("rivergen_http_") && name !== "rivergen_jobs_total" && !/_bucket$/.test(name),
    );
    return (
        <Page
            title="Server health"
            lead="Live metrics of this node."
            actions={
                demo() && (
                    <Link className="button" to="/operator/mails">
                        Demo mailbox
                    </Link>
                )
            }
        >
            {health.error ? (
                <Problem error={health.error} retry={() => health.refetch()} />
            ) : health.data ? (
                <div
                    className="card"
                    style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(150px, 1fr))" }}
                >
                    <div className="stat">
                        <span>
                            <Status value={health.data.status === "ok" ? "active" : "failed"} />
                        </span>
                        <span>Server</span>
                    </div>
                    {Object.entries(health.data.checks).map(([name, state]) => (
                        <div className="stat" key={name}>
                            <span>
                                <Status value={state === "ok" ? "active" : "failed"} />
                            </span>
                            <span>{words(name)}</span>
                        </div>
                    ))}
                    <div className="stat">
                        <b>{count(sum(requests))}</b>
                        <span>Requests since start</span>
                    </div>
                    <div className="stat">
                        <b>{count(sum(failed))}</b>
                        <span>Failed requests</span>
                    </div>
                    <div className="stat">
                        <b>{count(sum(jobs))}</b>
                        <span>Job runs</span>
                    </div>
                    <div className="stat">
                        <b>{count(kinds.reduce((total, kind) => total + kind.dead, 0))}</b>
                        <span>Failed jobs</span>
                    </div>
                </div>
            ) : (
                <Skeleton />
            )}
            {metrics.error ? (
                <Problem error={metrics.error} retry={() => metrics.refetch()} />
            ) : !metrics.data ? (
                <Skeleton lines={6} />
            ) : (
                <>
                    <Card title="Requests" flush>
                        <Table
                            name="Requests"
                            items={routes.slice(0, 25)}
                            id={(route) => route.route}
                            columns={[
                                { head: "Operation", cell: (route) => <code className="break">{route.route}</code> },
                                { head: "Calls", numeric: true, cell: (route) => count(route.calls) },
                                {
                                    head: "Average",
                                    numeric: true,
                                    cell: (route) =>
                                        `${route.milliseconds.toLocaleString("en", { maximumFractionDigits: 1 })} ms`,
                                },
                            ]}
                        />
                    </Card>
                    <Card title="Jobs" flush>
                        {kinds.length === 0 ? (
                            <Empty title="No jobs have run since start" />
                        ) : (
                            <Table
                                name="Jobs"
                                items={kinds}
                                id={(job) => job.kind}
                                columns={[
                                    { head: "Kind", cell: (job) => <code className="break">{job.kind}</code> },
                                    { head: "Done", numeric: true, cell: (job) => count(job.done) },
                                    { head: "Retrying", numeric: true, cell: (job) => count(job.retried) },
                                    {
                                        head: "Failed",
                                        numeric: true,
                                        cell: (job) =>
                                            job.dead > 0 ? (
                                                <Badge tone="bad">{count(job.dead)}</Badge>
                                            ) : (
                                                count(job.dead)
                                            ),
                                    },
                                ]}
                            />
                        )}
                    </Card>
                    {others.length > 0 ? (
                        <Card title="More" flush>
                            <Table
                                name="More metrics"
                                items={others.slice(0, 60)}
                                id={(sample) => sample.name + JSON.stringify(sample.labels)}
                                columns={[
                                    { head: "Name", cell: (sample) => <code>{sample.name}</code> },
                                    {
                                        head: "Labels",
                                        className: "small soft",
                                        cell: (sample) =>
                                            Object.entries(sample.labels)
                                                .map(([key, value]) => `${key}=${value}`)
                                                .join(", "),
                                    },
                                    { head: "Value", numeric: true, cell: (sample) => count(sample.value) },
                                ]}
                            />
                        </Card>
                    ) : (
                        <div className="card">
                            <Empty title="No other metrics yet" />
                        </div>
                    )}
                </>
            )}
        </Page>
    );
}
