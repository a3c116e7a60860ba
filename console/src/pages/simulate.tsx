// What somebody else sees, beside what they would see: with policies added or taken away, side by side and table by table.

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { EyeOff, Filter as FilterIcon, Lock } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { usePeople, usePolicies, useSources } from "../choices";
import { Badge, Card, Check, Empty, Note, Page, Problem, SelectField, Skeleton, TextField, count } from "../ui/basics";
import { Chips } from "../ui/chips";
import { type Cell, Grid } from "../ui/grid";
import { PersonChoice, personName } from "../ui/person-choice";

/** Whether it is an address of a network; what is typed until then is none. */
const isAddress = (text: string) =>
    text.includes(":")
        ? URL.canParse(`http://[${text}]`)
        : /^\d+(\.\d+){3}$/.test(text) && URL.canParse(`http://${text}`);

export function Simulate() {
    const given = useSearch({ strict: false }) as { user?: string; source?: string; without?: string; with?: string };
    const people = usePeople();
    const sources = useSources();
    const policies = usePolicies();
    const [user, setUser] = useState(given.user);
    const [source, setSource] = useState(given.source);
    const [removed, setRemoved] = useState<number[]>(given.without ? [Number(given.without)] : []);
    const [added, setAdded] = useState<number[]>(given.with ? [Number(given.with)] : []);
    const [ip, setIp] = useState("");
    const from = isAddress(ip.trim()) ? ip.trim() : undefined;
    const [sample, setSample] = useState(true);
    const changes =
        removed.length + added.length > 0 ? { remove_policy_ids: removed, add_policy_ids: added } : undefined;
    const userId = Number(user ?? people.data?.users.at(-1)?.id ?? 0);
    const sourceId = Number(source ?? sources.data?.items[0]?.id ?? 0);
    const answer = useQuery({
        queryKey: ["simulate", userId, sourceId, changes, from, sample],
        enabled: userId > 0 && sourceId > 0,
        queryFn: () =>
            read(
                api.POST("/api/v1/policies/simulate", {
                    body: {
                        user_id: userId,
                        data_source_id: sourceId,
                        sample_rows: undefined,
                        changes,
                        ip: from,
                    },
                }),
            ),
    });
    const table = answer.data?.tables[0]?.table;
    const rows = useQuery({
        queryKey: ["simulate", "sample", userId, sourceId, changes, from, table],
        enabled: Boolean(sample && table),
        retry: false,
        queryFn: () =>
            read(
                api.POST("/api/v1/policies/simulate", {
                    body: {
                        user_id: userId,
                        data_source_id: sourceId,
                        table,
                        sample_rows: 8,
                        changes,
                        ip: from,
                    },
                }),
            ),
    });
    const person = people.data?.users.find((each) => each.id === userId);
    return (
        <Page
            title="View as someone else"
            lead="What someone sees of a source now, and what they would see if policies changed. Nothing is modified."
        >
            <div className="card pad form-grid">
                <PersonChoice
                    label="Person"
                    value={String(userId)}
                    onValue={setUser}
                    text={(each) => `${personName(each)}${each.role_name ? `, ${each.role_name}` : ""}`}
                />
                <SelectField
                    label="Source"
                    value={String(sourceId)}
                    onValue={setSource}
                    options={(sources.data?.items ?? []).map((each) => [String(each.id), each.name] as const)}
                />
                <div className="span">
                    <Chips
                        label="Without these policies"
                        query={policies}
                        items={(data) => data.filter((each) => !added.includes(each.id))}
                        none="No policies yet."
                        chosen={removed}
                        onChosen={setRemoved}
                    />
                </div>
                <div className="span">
                    <Chips
                        label="With these, as if active and assigned"
                        query={policies}
                        items={(data) => data.filter((each) => !removed.includes(each.id))}
                        none="No policies yet."
                        chosen={added}
                        onChosen={setAdded}
                    />
                </div>
                <TextField
                    label="IP address (optional)"
                    placeholder="198.51.100.7"
                    hint={
                        ip.trim() !== "" && !from
                            ? "Not a complete address yet, so it is ignored."
                            : "For policies that depend on the network."
                    }
                    value={ip}
                    onValue={setIp}
                />
                <div className="span">
                    <Check
                        label="Show sample rows, limited to what you can see yourself"
                        hint="Samples are recorded in the audit log."
                        checked={sample}
                        onChange={(event) => setSample(event.target.checked)}
                    />
                </div>
            </div>
            {(people.error ?? sources.error ?? answer.error) ? (
                <Problem
                    error={people.error ?? sources.error ?? answer.error}
                    retry={() => void [people, sources, answer].map((each) => each.error && each.refetch())}
                />
            ) : sources.data?.items.length === 0 ? (
                <div className="card">
                    <Empty title="No sources yet">Connect a source to preview what each person sees of it.</Empty>
                </div>
            ) : !answer.data ? (
                <Skeleton lines={6} />
            ) : (
                <div className="stack">
                    {!answer.data.may_query && (
                        <Note tone="warn">
                            {person?.display_name ?? "This person"} cannot query sources at all. This shows the effect
                            of policies alone.
                        </Note>
                    )}
                    {answer.data.tables.length === 0 && (
                        <div className="card">
                            <Empty title="No tables">The source has none, or they have not been read yet.</Empty>
                        </div>
                    )}
                    {answer.data.tables.map((each) => (
                        <Card
                            key={each.table}
                            title={
                                <span className="mono" style={{ fontSize: "0.875rem" }}>
                                    {each.table}
                                </span>
                            }
                            actions={
                                each.changed ? (
                                    <Badge tone="warn">Changes</Badge>
                                ) : changes ? (
                                    <Badge>Unchanged</Badge>
                                ) : null
                            }
                        >
                            <div className={changes ? "halves" : ""}>
                                <Seen title={changes ? "Now" : undefined} table={each.before} />
                                {changes && <Seen title="Then" table={each.after} />}
                            </div>
                            {sample && each.table === table && (
                                <div style={{ marginTop: 14 }}>
                                    {rows.error ? (
                                        <Problem error={rows.error} retry={() => rows.refetch()} />
                                    ) : !rows.data ? (
                                        <Skeleton lines={3} />
                                    ) : rows.data.sample_refused_because ? (
                                        <p className="small soft">No rows: {rows.data.sample_refused_because}.</p>
                                    ) : (
                                        <div className={changes ? "halves" : ""}>
                                            {(changes
                                                ? [rows.data.sample?.before, rows.data.sample?.after]
                                                : [rows.data.sample?.before ?? rows.data.sample?.after]
                                            ).map(
                                                (part, index) =>
                                                    part && (
                                                        <div
                                                            key={index}
                                                            className="card"
                                                            style={{ overflow: "hidden" }}
                                                        >
                                                            <p className="small soft" style={{ padding: "8px 12px" }}>
                                                                {changes && (index === 0 ? "Now: " : "Then: ")}
                                                                {count(part.row_count)} rows
                                                            </p>
                                                            <Grid
                                                                label={index === 0 ? "Now" : "Then"}
                                                                columns={part.columns}
                                                                rows={part.rows as unknown as Cell[][]}
                                                            />
                                                        </div>
                                                    ),
                                            )}
                                        </div>
                                    )}
                                </div>
                            )}
                        </Card>
                    ))}
                </div>
            )}
        </Page>
    );
}

function Seen({ title, table }: { title?: string; table: Schemas["SeenTable"] }) {
    return (
        <div className="stack tight">
            {title && <h3 className="soft">{title}</h3>}
            {!table.allowed ? (
                <p className="row">
                    <Lock size={15} aria-hidden style={{ color: "var(--bad)" }} />
                    Closed{table.denied_because ? `: ${table.denied_because}` : ""}
                </p>
            ) : (
                <>
                    {table.row_filters.length === 0 &&
                        table.masked_columns.length === 0 &&
                        table.hidden_columns.length === 0 && <p className="soft">Everything.</p>}
                    {table.row_filters.map((filter) => (
                        <p
                            key={filter.condition}
                            className="row"
                            style={{ flexWrap: "nowrap", alignItems: "flex-start" }}
                        >
                            <FilterIcon size={15} aria-hidden style={{ marginTop: 3, color: "var(--accent)" }} />
                            <span>
                                Rows {/^(rows )?where /i.test(filter.in_words) ? "" : "where "}
                                {filter.in_words.replace(/^rows /i, "")}
                                {filter.hides_all_rows && (
                                    <>
                                        {" "}
                                        <Badge tone="bad">none</Badge>
                                    </>
                                )}
                            </span>
                        </p>
                    ))}
                    {table.masked_columns.map((mask) => (
                        <p key={mask.column} className="row" style={{ flexWrap: "nowrap", alignItems: "flex-start" }}>
                            <EyeOff size={15} aria-hidden style={{ marginTop: 3, color: "var(--warn)" }} />
                            <span>
                                <code>{mask.column}</code>: {mask.in_words}
                            </span>
                        </p>
                    ))}
                    {table.hidden_columns.map((hidden) => (
                        <p key={hidden.column} className="row">
                            <Lock size={15} aria-hidden style={{ color: "var(--bad)" }} />
                            <code>{hidden.column}</code> hidden
                        </p>
                    ))}
                    {(table.limits.max_rows ??
                        table.limits.max_execution_seconds ??
                        table.limits.max_queries_per_hour) != null && (
                        <p className="small soft">
                            {[
                                table.limits.max_rows != null && `at most ${count(table.limits.max_rows)} rows`,
                                table.limits.max_execution_seconds != null &&
                                    `at most ${table.limits.max_execution_seconds} s`,
                                table.limits.max_queries_per_hour != null &&
                                    `${table.limits.max_queries_per_hour} queries per hour`,
                            ]
                                .filter(Boolean)
                                .join(", ")}
                        </p>
                    )}
                </>
            )}
        </div>
    );
}
