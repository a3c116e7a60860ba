// The sources: all of them, the kinds that there are, and the form that connects one.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Braces, CheckCircle2, Cloud, Database, FileSpreadsheet, Leaf, Plus, Radio, XCircle } from "lucide-react";
import { useMemo, useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { useMay, usePlace } from "../standing";
import { ActionButton, useAction } from "../ui/action";
import {
    Button,
    Card,
    Check,
    Empty,
    Filter,
    Note,
    Page,
    Problem,
    SearchBox,
    Skeleton,
    Status,
    TextField,
    When,
    words,
} from "../ui/basics";
import { List } from "../ui/list";
import { Loaded } from "../ui/loaded";
import { type JsonSchema, SchemaForm, type Values, write } from "../ui/schema-form";
import { Uploads } from "../ui/dropzone";
import { Unsaved } from "../ui/unsaved";
import { Capabilities } from "./source/capabilities";

export const titles: Record<string, string> = {
    postgresql: "PostgreSQL",
    mysql: "MySQL",
    mariadb: "MariaDB",
    mssql: "SQL Server",
    oracle: "Oracle",
    sqlite: "SQLite",
    cockroachdb: "CockroachDB",
    timescaledb: "TimescaleDB",
    clickhouse: "ClickHouse",
    trino: "Trino",
    mongodb: "MongoDB",
    cassandra: "Cassandra",
    redis: "Redis",
    dynamodb: "DynamoDB",
    elasticsearch: "Elasticsearch",
    opensearch: "OpenSearch",
    neo4j: "Neo4j",
    snowflake: "Snowflake",
    bigquery: "BigQuery",
    redshift: "Redshift",
    databricks: "Databricks",
    synapse: "Synapse",
    athena: "Athena",
    s3: "Amazon S3",
    gcs: "Google Cloud Storage",
    azure_blob: "Azure Blob Storage",
    minio: "MinIO",
    csv: "CSV",
    tsv: "TSV",
    excel: "Excel",
    json: "JSON",
    jsonl: "JSON Lines",
    parquet: "Parquet",
    avro: "Avro",
    kafka: "Kafka",
    kinesis: "Kinesis",
    rest_api: "REST API",
    graphql: "GraphQL",
};
const icons = { SQL: Database, NoSQL: Leaf, Cloud: Cloud, Files: FileSpreadsheet, Streaming: Radio, API: Braces };

export function useKinds() {
    return useQuery({
        queryKey: ["kinds"],
        staleTime: Number.POSITIVE_INFINITY,
        queryFn: () => read(api.GET("/api/v1/data-sources/types")),
    });
}

export function Sources() {
    const may = useMay();
    const [status, setStatus] = useState("");
    const [deleted, setDeleted] = useState("");
    return (
        <Page
            title="Sources"
            lead="Databases and files that people may ask, each under your policies."
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
                            label="State"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "Any state"],
                                ["active", "Active"],
                                ["failed", "Failed"],
                                ["testing", "Testing"],
                                ["inactive", "Inactive"],
                                ["maintenance", "Maintenance"],
                            ]}
                        />
                        {may("datasource.delete") && (
                            <Filter
                                label="Deleted or not"
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
                        head: "State",
                        sort: "status",
                        cell: (source) => <Status value={deleted ? "deleted" : source.status} />,
                    },
                    {
                        head: "Where",
                        cell: (source) => (
                            <span className="small soft break">
                                {source.host
                                    ? `${source.host}${source.port ? `:${source.port}` : ""}`
                                    : source.file_path?.split("/").at(-1)}
                            </span>
                        ),
                    },
                    { head: "Tested", cell: (source) => <When at={source.last_tested_at} /> },
                    deleted === "yes" && { head: "", cell: (source) => <Restore id={source.id} /> },
                ]}
                empty={
                    <Empty
                        title={deleted ? "Nothing deleted" : "No source yet"}
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
                            ? "Deleted sources can be restored for thirty days."
                            : "Connect a database, or upload a file: its tables are found by themselves."}
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

export function Kinds() {
    const kinds = useKinds();
    const [typed, setTyped] = useState("");
    const shown =
        kinds.data?.items.filter((kind) =>
            `${titles[kind.type]} ${kind.type} ${kind.category}`.toLowerCase().includes(typed.toLowerCase()),
        ) ?? [];
    const categories = [...new Set(shown.map((kind) => kind.category))];
    return (
        <Page title="Connect a source" crumbs={<Link to="/sources">Sources</Link>}>
            <SearchBox label="Search kinds" value={typed} onValue={setTyped} />
            <Loaded query={kinds}>
                {() => (
                    <div className="stack loose">
                        {categories.map((category) => {
                            const Icon = icons[category as keyof typeof icons] ?? Database;
                            return (
                                <section key={category} className="stack tight">
                                    <h2>{category}</h2>
                                    <div
                                        style={{
                                            display: "grid",
                                            gap: 10,
                                            gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 190px), 1fr))",
                                        }}
                                    >
                                        {shown
                                            .filter((kind) => kind.category === category)
                                            .map((kind) =>
                                                kind.is_available ? (
                                                    <Link
                                                        key={kind.type}
                                                        className="card card-link row"
                                                        style={{ padding: "11px 13px", flexWrap: "nowrap" }}
                                                        to="/sources/new/$kind"
                                                        params={{ kind: kind.type }}
                                                    >
                                                        <span className="tile">
                                                            <Icon size={17} aria-hidden />
                                                        </span>
                                                        <b className="strong">{titles[kind.type] ?? kind.type}</b>
                                                    </Link>
                                                ) : (
                                                    <div
                                                        key={kind.type}
                                                        className="card row"
                                                        style={{ padding: "11px 13px", flexWrap: "nowrap" }}
                                                    >
                                                        <span className="tile">
                                                            <Icon size={17} aria-hidden />
                                                        </span>
                                                        <span className="soft">
                                                            {titles[kind.type] ?? kind.type}
                                                            <br />
                                                            <span className="small">Not in this build</span>
                                                        </span>
                                                    </div>
                                                ),
                                            )}
                                    </div>
                                </section>
                            );
                        })}
                        {shown.length === 0 && <Empty title={`No kind matches “${typed}”`} />}
                    </div>
                )}
            </Loaded>
        </Page>
    );
}

export function Connect() {
    const { kind: type } = useParams({ strict: false }) as { kind: string };
    const kinds = useKinds();
    const kind = kinds.data?.items.find((each) => each.type === type);
    return (
        <Page
            title={`Connect ${titles[type] ?? type}`}
            narrow
            crumbs={
                <>
                    <Link to="/sources">Sources</Link>/<Link to="/sources/new">Connect</Link>
                </>
            }
        >
            {kinds.error ? (
                <Problem error={kinds.error} />
            ) : !kinds.data ? (
                <Skeleton />
            ) : kind ? (
                <div className="stack">
                    <ConnectForm kind={kind} />
                    <Card title="What it can do">
                        <Capabilities abilities={kind.abilities} verification={kind.verification} />
                    </Card>
                </div>
            ) : (
                <Empty title="There is no such kind of source" />
            )}
        </Page>
    );
}

function ConnectForm({ kind }: { kind: Schemas["DataSourceTypeInfo"] }) {
    const navigate = useNavigate();
    const { workspace } = usePlace();
    const schema = kind.form as unknown as JsonSchema;
    const [name, setName] = useState("");
    const [description, setDescription] = useState("");
    const [onlyHere, setOnlyHere] = useState(false);
    const [values, setValues] = useState<Values>(() => (kind.default_port ? { port: kind.default_port } : {}));
    const [made, setMade] = useState<number>();
    const [touched, setTouched] = useState(false);
    const change = (next: Values) => {
        setValues(next);
        setTouched(true);
    };

    const test = useAction(
        (id: number) =>
            read(
                api.POST("/api/v1/data-sources/{data_source_id}/test", {
                    params: { path: { data_source_id: id } },
                    body: {},
                }),
            ),
        { inline: true, changes: [["sources"], ["kinds"]] },
    );
    const [outcome, setOutcome] = useState<Schemas["TestAnswer"]>();
    const connect = useAction(
        async () => {
            const body = { ...values, name, description: description || undefined } as Record<string, unknown>;
            let id = made;
            if (id === undefined) {
                const source = await read(
                    api.POST("/api/v1/data-sources", {
                        body: {
                            ...body,
                            type: kind.type,
                            name,
                            workspace_id: onlyHere ? workspace : undefined,
                        } as never,
                    }),
                );
                id = source.id;
                setMade(id);
            } else
                await read(
                    api.PATCH("/api/v1/data-sources/{data_source_id}", {
                        params: { path: { data_source_id: id } },
                        body: body as never,
                    }),
                );
            setTouched(false);
            const result = await test.start(id);
            setOutcome(result);
            if (result?.connection_successful) void navigate({ to: "/sources/$id", params: { id: String(id) } });
        },
        { inline: true, changes: [["sources"]] },
    );
    const special = useMemo(
        () => ({
            file_path: ({
                value,
                onValue,
                error,
            }: {
                value: unknown;
                onValue: (value: unknown) => void;
                error?: string;
            }) => (
                <FileChoice
                    value={value as string | undefined}
                    onValue={onValue}
                    error={error}
                    onNamed={(file) => setName((before) => before || file.replace(/\.[^.]+$/, ""))}
                />
            ),
        }),
        [],
    );
    const offersTunnel = kind.can_be_tunnelled;
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void connect.start(undefined);
            }}
        >
            <Card>
                <div className="stack">
                    <SchemaForm
                        schema={schema}
                        required={kind.required.all}
                        values={values}
                        onValues={change}
                        error={connect.of}
                        special={special}
                    />
                    {offersTunnel && <Tunnel values={values} onValues={change} error={connect.of} />}
                </div>
            </Card>
            <Card title="What people see">
                <div className="form-grid">
                    <TextField
                        label="Name"
                        required
                        value={name}
                        onValue={(value) => {
                            setName(value);
                            setTouched(true);
                        }}
                        error={connect.of("name")}
                    />
                    <TextField
                        label="Description (optional)"
                        value={description}
                        onValue={setDescription}
                        error={connect.of("description")}
                    />
                    <div className="span">
                        <Check
                            label="Only in this workspace"
                            hint="Otherwise people of all workspaces reach it, as far as their roles go."
                            checked={onlyHere}
                            onChange={(event) => setOnlyHere(event.target.checked)}
                        />
                    </div>
                </div>
            </Card>
            {outcome && <TestOutcome outcome={outcome} />}
            {(connect.error ?? test.error) !== undefined && <Problem error={connect.error ?? test.error} />}
            <div className="form-end">
                {made !== undefined && (
                    <Link className="button" to="/sources/$id" params={{ id: String(made) }}>
                        Leave it as it is
                    </Link>
                )}
                <Button kind="primary" type="submit" busy={connect.busy}>
                    {connect.busy
                        ? test.busy
                            ? "Testing the connection…"
                            : "Connecting…"
                        : made === undefined
                          ? "Connect"
                          : "Try again"}
                </Button>
            </div>
            <Unsaved touched={touched} busy={connect.busy} what="What you entered is" />
        </form>
    );
}

export function Tunnel({
    values,
    onValues,
    error,
}: {
    values: Values;
    onValues: (values: Values) => void;
    error: (path: string) => string | undefined;
}) {
    const isOn = Boolean(values.use_ssh_tunnel);
    const field = (path: string) => ({
        value: String(
            path.split(".").reduce<unknown>((value, name) => (value as Values | undefined)?.[name], values) ?? "",
        ),
        onValue: (value: string) => onValues(write(values, path.split("."), value)),
        error: error(path),
    });
    return (
        <div className="stack tight">
            <Check
                label="Through an SSH tunnel"
                checked={isOn}
                onChange={(event) => onValues({ ...values, use_ssh_tunnel: event.target.checked })}
            />
            {isOn && (
                <div className="form-grid">
                    <TextField label="SSH host" required {...field("ssh_host")} />
                    <TextField
                        label="SSH port"
                        type="number"
                        placeholder="22"
                        value={String(values.ssh_port ?? "")}
                        onValue={(value) => onValues(write(values, ["ssh_port"], value ? Number(value) : undefined))}
                        error={error("ssh_port")}
                    />
                    <TextField label="SSH user" required {...field("ssh_username")} />
                    <TextField
                        label="Key passphrase (optional)"
                        type="password"
                        autoComplete="off"
                        {...field("credentials.ssh_passphrase")}
                    />
                    <label className="field span">
                        <span className="label">Private key (PEM)</span>
                        <textarea
                            className="mono"
                            spellCheck={false}
                            value={field("credentials.ssh_private_key").value}
                            onChange={(event) => field("credentials.ssh_private_key").onValue(event.target.value)}
                        />
                    </label>
                </div>
            )}
        </div>
    );
}

/** How a test went, step by step, and what to do about it. */
export function TestOutcome({ outcome }: { outcome: Schemas["TestAnswer"] }) {
    return (
        <Note tone={outcome.connection_successful ? "good" : "bad"}>
            <div className="stack tight">
                <b>
                    {outcome.connection_successful
                        ? `Connected${outcome.database_version ? ` to ${outcome.database_version}` : ""}${outcome.response_time_ms != null ? ` in ${outcome.response_time_ms} ms` : ""}`
                        : "The connection failed"}
                </b>
                {outcome.error_message && <p>{outcome.error_message.replace(/^./, (first) => first.toUpperCase())}</p>}
                <ol className="steps">
                    {outcome.steps.map((step) => (
                        <li key={step.step}>
                            {step.result === "passed" ? (
                                <CheckCircle2 size={15} style={{ color: "var(--good)" }} aria-hidden />
                            ) : step.result === "failed" ? (
                                <XCircle size={15} style={{ color: "var(--bad)" }} aria-hidden />
                            ) : (
                                <i className="dot" />
                            )}
                            {words(step.step)}: {words(step.result).toLowerCase()}
                        </li>
                    ))}
                </ol>
            </div>
        </Note>
    );
}

/** A file of one's own, or a new one. */
function FileChoice({
    value,
    onValue,
    error,
    onNamed,
}: {
    value?: string;
    onValue: (value: unknown) => void;
    error?: string;
    onNamed: (name: string) => void;
}) {
    const files = useQuery({
        queryKey: ["files", "choice"],
        queryFn: () =>
            read(api.GET("/api/v1/storage/files", { params: { query: { page_size: 100, scope: "own" as never } } })),
    });
    if (value)
        return (
            <div className="row">
                <FileSpreadsheet size={17} aria-hidden />
                <code className="grow break">{value.split("/").at(-1)}</code>
                <Button small onClick={() => onValue(undefined)}>
                    Another file
                </Button>
            </div>
        );
    return (
        <div className="stack tight">
            <span className="label">File</span>
            <Uploads
                many={false}
                onDone={(file, name) => {
                    onValue(file.objectName);
                    onNamed(name);
                }}
            />
            {(files.data?.items.length ?? 0) > 0 && (
                <label className="field">
                    <span className="label">Or one that is here already</span>
                    <select
                        value=""
                        onChange={(event) => {
                            onValue(event.target.value);
                            onNamed(event.target.selectedOptions[0]?.text ?? "");
                        }}
                    >
                        <option value="">Choose…</option>
                        {files.data?.items.map((file) => (
                            <option key={file.storage_file_id} value={file.object_name}>
                                {file.file_name}
                            </option>
                        ))}
                    </select>
                </label>
            )}
            {error && (
                <span className="wrong" style={{ color: "var(--bad)" }} role="alert">
                    {error}
                </span>
            )}
        </div>
    );
}
