// One source: its tables, what its columns hold, how it is doing, what changed in it, and its settings.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { EyeOff, Filter as FilterIcon, KeyRound, RefreshCw, Table2 } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { useMay } from "../standing";
import { useAction } from "../ui/action";
import {
    Badge,
    Button,
    Card,
    Check,
    Empty,
    Facts,
    Filter,
    Note,
    Page,
    Problem,
    SearchBox,
    SelectField,
    Skeleton,
    Status,
    TextField,
    When,
    count,
    words,
} from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { type JsonSchema, SchemaForm, type Values } from "../ui/schema-form";
import { Explain } from "./about-answer";
import { TestOutcome, titles, useKinds } from "./sources";

const TABS = [
    ["tables", "Tables"],
    ["tags", "Tags"],
    ["health", "Health"],
    ["changes", "Changes"],
    ["settings", "Settings"],
] as const;

export function Source() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "tables" } = useSearch({ strict: false }) as { tab?: string };
    const may = useMay();
    const path = { data_source_id: Number(id) };
    const source = useQuery({
        queryKey: ["source", id],
        queryFn: () => read(api.GET("/api/v1/data-sources/{data_source_id}", { params: { path } })),
        // A new source is tested and discovered behind the page.
        refetchInterval: (query) =>
            query.state.data &&
            (query.state.data.status === "testing" ||
                (query.state.data.status === "active" && !query.state.data.schema_discovered_at))
                ? 1000
                : false,
    });
    const test = useAction(
        () => read(api.POST("/api/v1/data-sources/{data_source_id}/test", { params: { path }, body: {} })),
        { changes: [["source", id], ["health", id], ["sources"]] },
    );
    const [outcome, setOutcome] = useState<Schemas["TestAnswer"]>();
    const data = source.data;
    return (
        <Page
            title={data?.name ?? "Source"}
            lead={data?.description}
            crumbs={<Link to="/sources">Sources</Link>}
            actions={
                data && (
                    <>
                        {may("datasource.write") && (
                            <Button
                                busy={test.busy}
                                icon={<RefreshCw size={15} />}
                                onClick={async () => setOutcome(await test.start(undefined))}
                            >
                                Test
                            </Button>
                        )}
                        <Link className="button primary" to="/ask" search={{ sources: id }}>
                            Ask it
                        </Link>
                    </>
                )
            }
        >
            <Loaded query={source}>
                {(loaded) => (
                    <>
                        <div className="row">
                            <Status value={loaded.status} />
                            <Badge>{titles[loaded.type] ?? loaded.type}</Badge>
                            {loaded.sql_name && (
                                <Badge>
                                    In SQL: <code>{loaded.sql_name}</code>
                                </Badge>
                            )}
                            {loaded.tags.map((tag) => (
                                <Badge key={String(tag)}>{String(tag)}</Badge>
                            ))}
                        </div>
                        {outcome ? (
                            <TestOutcome outcome={outcome} />
                        ) : (
                            loaded.failure_reason && <Note tone="bad">{loaded.failure_reason}</Note>
                        )}
                        <nav className="tabs" aria-label="Parts">
                            {TABS.filter(
                                ([key]) =>
                                    (key !== "settings" || may("datasource.write")) &&
                                    (key !== "tags" || may("policy.read")),
                            ).map(([key, label]) => (
                                <Link
                                    key={key}
                                    to="/sources/$id"
                                    params={{ id }}
                                    search={{ tab: key }}
                                    className={tab === key ? "active" : ""}
                                    aria-current={tab === key ? "page" : undefined}
                                >
                                    {label}
                                </Link>
                            ))}
                        </nav>
                        {tab === "tables" && (
                            <Tables
                                id={id}
                                discovering={
                                    loaded.status === "testing" ||
                                    (loaded.status === "active" && !loaded.schema_discovered_at)
                                }
                            />
                        )}
                        {tab === "tags" && <ColumnTags id={id} />}
                        {tab === "health" && <Health id={id} />}
                        {tab === "changes" && <Changes id={id} />}
                        {tab === "settings" && <Settings source={loaded} />}
                    </>
                )}
            </Loaded>
        </Page>
    );
}

function Tables({ id, discovering }: { id: string; discovering: boolean }) {
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
                    params: { path, query: { search: typed || undefined, page, page_size: 50 } },
                }),
            ),
    });
    const tags = useQuery({
        queryKey: ["tags", id, "confirmed"],
        enabled: may("policy.read"),
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources/{data_source_id}/tags", {
                    params: { path, query: { status: "confirmed", page_size: 100 } },
                }),
            ),
    });
    const discover = useAction(
        () =>
            read(
                api.POST("/api/v1/data-sources/{data_source_id}/discover-schema", {
                    params: { path, query: { refresh: true } },
                }),
            ),
        {
            done: "Its tables are being read anew.",
            changes: [
                ["schemas", id],
                ["source", id],
                ["discoveries", id],
            ],
        },
    );
    const total = schemas.data?.pagination.total_items ?? 0;
    const tagsOf = (schema: string, table: string, column: string) =>
        tags.data?.items.filter((tag) => tag.schema_name === schema && tag.table === table && tag.column === column) ??
        [];
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
                        <Button small busy={discover.busy} onClick={() => discover.start(undefined)}>
                            Read again
                        </Button>
                    )}
                </span>
            </div>
            {schemas.error ? (
                <Problem error={schemas.error} />
            ) : !schemas.data || discovering ? (
                <Card>
                    <p className="soft" aria-live="polite">
                        {discovering ? "Its tables are being read…" : ""}
                    </p>
                    <Skeleton lines={5} />
                </Card>
            ) : total === 0 ? (
                <div className="card">
                    <Empty title={typed ? `Nothing matches “${typed}”` : "No tables"}>
                        {typed ? "" : "It has none, or you may see none of them."}
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
                            <details key={table.table_name} open={total === 1}>
                                <summary>
                                    <Table2 size={15} aria-hidden />
                                    <b className="strong">{table.table_name}</b>
                                    {table.table_type !== "table" && <Badge>{words(table.table_type)}</Badge>}
                                    {table.rows_filtered && (
                                        <Badge tone="accent">
                                            <FilterIcon size={11} aria-hidden />
                                            Rows filtered
                                        </Badge>
                                    )}
                                    <span className="small soft" style={{ marginLeft: "auto" }}>
                                        {table.row_count != null && `${count(table.row_count)} rows · `}
                                        {table.columns?.length ?? 0} columns
                                    </span>
                                </summary>
                                {table.table_comment && (
                                    <p className="soft" style={{ padding: "8px 16px 0" }}>
                                        {table.table_comment}
                                    </p>
                                )}
                                <div
                                    className="table-wrap"
                                    tabIndex={0}
                                    role="region"
                                    aria-label={`Columns of ${table.table_name}`}
                                >
                                    <table>
                                        <thead>
                                            <tr>
                                                <th>Column</th>
                                                <th>Type</th>
                                                <th>Marks</th>
                                            </tr>
                                        </thead>
                                        <tbody>
                                            {table.columns?.map((column) => (
                                                <tr key={column.column_name}>
                                                    <td>
                                                        <span className="row" style={{ gap: 6 }}>
                                                            {column.is_primary_key && (
                                                                <KeyRound
                                                                    size={13}
                                                                    aria-label="Primary key"
                                                                    style={{ color: "var(--warn)" }}
                                                                />
                                                            )}
                                                            <span className="strong">{column.column_name}</span>
                                                        </span>
                                                        {column.column_comment && (
                                                            <div className="small soft">{column.column_comment}</div>
                                                        )}
                                                    </td>
                                                    <td>
                                                        <code className="soft">{column.column_type}</code>
                                                        {!column.is_nullable && (
                                                            <span className="small soft"> not null</span>
                                                        )}
                                                    </td>
                                                    <td>
                                                        <span className="row">
                                                            {column.masked && (
                                                                <Badge tone="warn">
                                                                    <EyeOff size={11} aria-hidden />
                                                                    Masked for you
                                                                </Badge>
                                                            )}
                                                            {column.references && (
                                                                <Badge>
                                                                    → {column.references.table_name}.
                                                                    {column.references.column_name}
                                                                </Badge>
                                                            )}
                                                            {tagsOf(
                                                                schema.schema_name,
                                                                table.table_name,
                                                                column.column_name,
                                                            ).map((tag) => (
                                                                <Badge key={tag.tag} tone="accent">
                                                                    {tag.tag}
                                                                </Badge>
                                                            ))}
                                                        </span>
                                                    </td>
                                                </tr>
                                            ))}
                                        </tbody>
                                    </table>
                                </div>
                            </details>
                        ))}
                    </section>
                ))
            )}
            {total > 50 && (
                <div className="pager">
                    <span>
                        Page {page} of {Math.ceil(total / 50)}
                    </span>
                    <span className="row">
                        <Button small disabled={page === 1} onClick={() => setPage(page - 1)}>
                            Previous
                        </Button>
                        <Button small disabled={page * 50 >= total} onClick={() => setPage(page + 1)}>
                            Next
                        </Button>
                    </span>
                </div>
            )}
            {explaining && <Explain sources={[Number(id)]} masked={[]} onClose={() => setExplaining(false)} />}
        </div>
    );
}

function ColumnTags({ id }: { id: string }) {
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
                                <Button small busy={propose.busy} onClick={() => propose.start(undefined)}>
                                    Propose tags
                                </Button>
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
                                <Button
                                    small
                                    kind="quiet"
                                    onClick={() => set.start([{ table: tag.table, column: tag.column, tags: [] }])}
                                >
                                    Take away
                                </Button>
                            ) : (
                                <Button
                                    small
                                    onClick={() =>
                                        set.start([{ table: tag.table, column: tag.column, tags: [tag.tag] }])
                                    }
                                >
                                    Confirm
                                </Button>
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

function Health({ id }: { id: string }) {
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
                                <b>{data.uptime_percentage == null ? "—" : `${data.uptime_percentage.toFixed(1)} %`}</b>
                                <span>of checks passed</span>
                            </div>
                            <div className="stat">
                                <b>
                                    {data.avg_response_time_ms == null
                                        ? "—"
                                        : `${Math.round(data.avg_response_time_ms)} ms`}
                                </b>
                                <span>on average</span>
                            </div>
                            <div className="stat">
                                <b>{data.failure_count_24h}</b>
                                <span>failures in 24 hours</span>
                            </div>
                            <div className="stat">
                                <b style={{ fontSize: "1rem", lineHeight: 2 }}>
                                    <When at={data.next_check_at} never="not planned" />
                                </b>
                                <span>next check</span>
                            </div>
                        </div>
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
                            <div className="table-wrap" tabIndex={0} role="region" aria-label="Checks">
                                <table>
                                    <thead>
                                        <tr>
                                            <th>When</th>
                                            <th>State</th>
                                            <th>By</th>
                                            <th className="num">Took</th>
                                            <th>What was wrong</th>
                                        </tr>
                                    </thead>
                                    <tbody>
                                        {data.health_history.map((check) => (
                                            <tr key={check.checked_at}>
                                                <td>
                                                    <When at={check.checked_at} />
                                                </td>
                                                <td>
                                                    <Status value={check.status} />
                                                </td>
                                                <td>{words(check.origin)}</td>
                                                <td className="num">
                                                    {check.response_time_ms == null
                                                        ? "—"
                                                        : `${check.response_time_ms} ms`}
                                                </td>
                                                <td className="small">{check.error_message ?? "—"}</td>
                                            </tr>
                                        ))}
                                    </tbody>
                                </table>
                            </div>
                        </Card>
                    </div>
                );
            }}
        </Loaded>
    );
}

function Changes({ id }: { id: string }) {
    const path = { data_source_id: Number(id) };
    return (
        <div className="stack">
            <List
                name="Changes of tables and columns"
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
                    { head: "Was", cell: (change) => change.was ?? "—" },
                    { head: "Became", cell: (change) => change.became ?? "—" },
                    {
                        head: "Effect",
                        cell: (change) =>
                            change.closes_table ? (
                                <Badge tone="bad">Closes the table</Badge>
                            ) : change.policies.length > 0 ? (
                                <Badge tone="warn">{change.policies.length} policies name it</Badge>
                            ) : (
                                "—"
                            ),
                    },
                    { head: "When", cell: (change) => <When at={change.detected_at} /> },
                ]}
                empty={
                    <Empty title="Nothing changed">
                        Since its tables were first read they have stayed as they are.
                    </Empty>
                }
            />
            <h2>Readings of its tables</h2>
            <List
                name="Readings"
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
                    { head: "Began", cell: (run) => <When at={run.started_at} /> },
                    { head: "State", cell: (run) => <Status value={run.state} /> },
                    { head: "By", cell: (run) => words(run.origin) },
                    { head: "Tables", cell: (run) => count(run.total_tables), numeric: true },
                    { head: "Columns", cell: (run) => count(run.total_columns), numeric: true },
                    { head: "Changes", cell: (run) => count(run.changes), numeric: true },
                ]}
                empty={<Empty title="Not read yet" />}
            />
        </div>
    );
}

function Settings({ source }: { source: Schemas["DataSource"] }) {
    const may = useMay();
    const navigate = useNavigate();
    const kinds = useKinds();
    const kind = kinds.data?.items.find((each) => each.type === source.type);
    const path = { data_source_id: source.id };
    const [name, setName] = useState(source.name);
    const [description, setDescription] = useState(source.description ?? "");
    const [status, setStatus] = useState<string>(source.status);
    const [refresh, setRefresh] = useState(source.schema_auto_refresh);
    const [values, setValues] = useState<Values>({});
    const [deleting, setDeleting] = useState(false);
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/data-sources/{data_source_id}", {
                    params: { path },
                    body: {
                        ...values,
                        name,
                        description,
                        schema_auto_refresh: refresh,
                        status: status !== source.status ? (status as "active") : undefined,
                    } as never,
                }),
            ),
        {
            done: "Saved.",
            changes: [["source", String(source.id)], ["sources"]],
            inline: true,
            onDone: () => setValues({}),
        },
    );
    return (
        <div className="stack">
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void save.start(undefined);
                }}
            >
                <Card title="General">
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} />
                        <TextField
                            label="Description"
                            value={description}
                            onValue={setDescription}
                            error={save.of("description")}
                        />
                        <SelectField
                            label="State"
                            value={status}
                            onValue={setStatus}
                            options={[...new Set([source.status, "active", "inactive", "maintenance"])].map(
                                (each) => [each, words(each)] as const,
                            )}
                        />
                        <div className="span">
                            <Check
                                label="Read its tables again by itself"
                                checked={refresh}
                                onChange={(event) => setRefresh(event.target.checked)}
                            />
                        </div>
                    </div>
                </Card>
                <Card title="Connection">
                    <div className="stack">
                        <Facts
                            of={[
                                source.host
                                    ? [
                                          "Now at",
                                          `${source.host}${source.port ? `:${source.port}` : ""}${source.database_name ? ` / ${source.database_name}` : ""}`,
                                      ]
                                    : null,
                                source.file_path
                                    ? [
                                          "File",
                                          <code key="file" className="break">
                                              {source.file_path}
                                          </code>,
                                      ]
                                    : null,
                                source.credentials_updated_at
                                    ? ["Credentials set", <When key="set" at={source.credentials_updated_at} />]
                                    : null,
                            ]}
                        />
                        <p className="soft">What you leave empty stays as it is. Secrets are never shown.</p>
                        {kind ? (
                            <SchemaForm
                                schema={kind.form as unknown as JsonSchema}
                                required={[]}
                                values={values}
                                onValues={setValues}
                                error={save.of}
                            />
                        ) : (
                            <Skeleton />
                        )}
                    </div>
                </Card>
                {save.error !== undefined && <Problem error={save.error} />}
                <div className="form-end">
                    <Button kind="primary" type="submit" busy={save.busy}>
                        Save
                    </Button>
                </div>
            </form>
            {may("datasource.delete") && (
                <Card title="Delete">
                    <div className="row apart">
                        <p className="soft">Nobody can ask it any more. For thirty days it can be restored.</p>
                        <Button kind="danger" onClick={() => setDeleting(true)}>
                            Delete…
                        </Button>
                    </div>
                </Card>
            )}
            {deleting && (
                <Confirm
                    title={`Delete ${source.name}?`}
                    action="Delete"
                    onClose={() => setDeleting(false)}
                    onConfirm={async () => {
                        await read(api.DELETE("/api/v1/data-sources/{data_source_id}", { params: { path } }));
                        void navigate({ to: "/sources" });
                    }}
                >
                    <p>Questions over it fail from now on. The data itself is not touched.</p>
                </Confirm>
            )}
        </div>
    );
}
