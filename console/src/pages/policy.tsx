// One policy: its rules, whom it governs, its versions, what it did; and a new one. Rules are checked by the server while they
// are typed, by the same code that will write them into queries.

import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { CheckCircle2, LoaderCircle } from "lucide-react";
import { useDeferredValue, useEffect, useMemo, useState } from "react";
import { ApiError, type Schemas, api, read } from "../api/client";
import { useMay, useMe, useOrganization } from "../standing";
import { useAction } from "../ui/action";
import {
    Button,
    Card,
    Check,
    Empty,
    Facts,
    Note,
    Page,
    Problem,
    SelectField,
    Skeleton,
    Status,
    TextField,
    When,
    words,
} from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { Unsaved } from "../ui/unsaved";
import { type PolicyType, TYPES } from "./policies";
import { type Rule, Rules, type Table, emptyRule } from "./rules";

function useTables(sources: number[]): Table[] {
    const schemas = useQueries({
        queries: sources.slice(0, 8).map((id) => ({
            queryKey: ["schemas", id, "policy"],
            staleTime: 60_000,
            queryFn: () =>
                read(
                    api.GET("/api/v1/data-sources/{data_source_id}/schemas", {
                        params: { path: { data_source_id: id }, query: { page_size: 200 } },
                    }),
                ),
        })),
        combine: (results) => results.flatMap((result) => result.data?.schemas ?? []),
    });
    return useMemo(
        () =>
            schemas.flatMap((schema) =>
                schema.tables.map((table) => ({
                    name: table.table_name,
                    columns: (table.columns ?? []).map((column) => ({
                        name: column.column_name,
                        type: column.column_type,
                    })),
                })),
            ),
        [schemas],
    );
}

/** Asks the server what these rules would do, which also says what is wrong with them. */
function useCheck(type: PolicyType, rules: Rule[], sources: number[], ready: boolean, roleIds: number[]) {
    const me = useMe();
    const may = useMay();
    // Shown for somebody whom it would govern, where there is one.
    const people = useQuery({
        queryKey: ["people", "all"],
        enabled: may("user.read"),
        queryFn: () => read(api.GET("/api/v1/users", { params: { query: { limit: 100 } } })),
    });
    const text = useDeferredValue(JSON.stringify(rules));
    const [settled, setSettled] = useState(text);
    useEffect(() => {
        const timer = setTimeout(() => setSettled(text), 450);
        return () => clearTimeout(timer);
    }, [text]);
    const governed = people.data?.users.find((person) => person.role_id != null && roleIds.includes(person.role_id));
    const id = governed?.id ?? me.data?.user.id;
    const check = useQuery({
        queryKey: ["check", type, settled, sources[0], id],
        enabled: Boolean(ready && id && sources[0]),
        retry: false,
        queryFn: () =>
            read(
                api.POST("/api/v1/policies/simulate", {
                    body: {
                        user_id: id ?? 0,
                        data_source_id: sources[0] ?? 0,
                        changes: {
                            drafts: [
                                {
                                    name: "draft",
                                    type,
                                    rules: (JSON.parse(settled) as Rule[]).map((rule) => ({
                                        ...rule,
                                        rule_name: rule.rule_name || "rule",
                                    })) as never,
                                },
                            ],
                        },
                    },
                }),
            ),
    });
    return { ...check, whom: governed ? governed.display_name || governed.email : "you" };
}

function isReady(type: PolicyType, rules: Rule[]): boolean {
    return rules.every(({ rule_config: config }) =>
        type === "row_level_security"
            ? Boolean(config.condition)
            : type === "data_masking"
              ? Boolean(config.column || config.tag)
              : type === "query_limit"
                ? Object.keys(config).length > 0
                : true,
    );
}

function Checked({ check, ready, sources }: { check: ReturnType<typeof useCheck>; ready: boolean; sources: number[] }) {
    if (!ready) return null;
    if (sources.length === 0)
        return <p className="small soft">Choose a source, and the rules are checked against its tables.</p>;
    if (check.isFetching)
        return (
            <p className="row small soft">
                <LoaderCircle size={15} className="spin" aria-hidden />
                Checking…
            </p>
        );
    if (check.error) {
        const details = check.error instanceof ApiError ? check.error.details : [];
        return (
            <Note tone="bad">
                {details.length > 0 ? (
                    <ul>
                        {details.map((detail) => (
                            <li key={detail.field + detail.reason}>{detail.reason}</li>
                        ))}
                    </ul>
                ) : (
                    check.error.message
                )}
            </Note>
        );
    }
    if (!check.data) return null;
    const touched = check.data.tables.flatMap((table) => [
        ...table.after.row_filters.map((filter) => `${table.table}: ${filter.in_words}`),
        ...table.after.masked_columns.map((mask) => `${table.table}.${mask.column}: ${mask.in_words}`),
        ...(table.after.allowed ? [] : [`${table.table}: closed`]),
        ...table.after.hidden_columns.map((hidden) => `${table.table}.${hidden.column}: hidden`),
    ]);
    return (
        <div className="row small" style={{ alignItems: "flex-start", color: "var(--good)" }} role="status">
            <CheckCircle2 size={16} aria-hidden style={{ marginTop: 2 }} />
            <div className="grow">
                <b>It can be applied.</b>
                {touched.length > 0 && <> For {check.whom}:</>}
                {touched.length > 0 && (
                    <ul className="soft">
                        {touched.slice(0, 5).map((line) => (
                            <li key={line}>{line}</li>
                        ))}
                    </ul>
                )}
            </div>
        </div>
    );
}

export function NewPolicy() {
    const navigate = useNavigate();
    const organization = useOrganization();
    const { source } = useSearch({ strict: false }) as { source?: string };
    const [type, setType] = useState<PolicyType>("row_level_security");
    const [name, setName] = useState("");
    const [description, setDescription] = useState("");
    const [rules, setRules] = useState<Rule[]>([emptyRule("row_level_security")]);
    const [chosen, setChosen] = useState<number[]>(source ? [Number(source)] : []);
    const [roleIds, setRoleIds] = useState<number[]>([]);
    const [active, setActive] = useState(true);
    const [touched, setTouched] = useState(false);
    const sources = useQuery({
        queryKey: ["sources", "all"],
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources", {
                    params: { query: { page_size: 100, sort_by: "name", sort_order: "asc" } },
                }),
            ),
    });
    const roles = useQuery({
        queryKey: ["roles", organization, "all"],
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/roles", {
                    params: { path: { org_id: organization }, query: { limit: 100 } },
                }),
            ),
    });
    const tables = useTables(chosen);
    const ready = isReady(type, rules);
    const check = useCheck(type, rules, chosen, ready, roleIds);
    const create = useAction(
        async () => {
            const policy = await read(
                api.POST("/api/v1/policies", {
                    body: {
                        name,
                        description: description || undefined,
                        type,
                        is_active: active,
                        rules: rules.map((rule) => ({ ...rule, rule_name: rule.rule_name || name })) as never,
                        data_source_ids: chosen,
                        role_ids: roleIds,
                    },
                }),
            );
            setTouched(false);
            return policy;
        },
        {
            done: "It governs from the next query on.",
            changes: [["policies"], ["first"]],
            inline: true,
            onDone: (policy) => void navigate({ to: "/policies/$id", params: { id: String(policy.id) } }),
        },
    );
    const flip = (list: number[], id: number) =>
        list.includes(id) ? list.filter((each) => each !== id) : [...list, id];
    return (
        <Page title="New policy" crumbs={<Link to="/policies">Policies</Link>} narrow>
            <form
                className="stack"
                onChange={() => setTouched(true)}
                onSubmit={(event) => {
                    event.preventDefault();
                    void create.start(undefined);
                }}
            >
                <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
                    <legend className="label" style={{ marginBottom: 6 }}>
                        Kind
                    </legend>
                    <div
                        style={{
                            display: "grid",
                            gap: 10,
                            gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 165px), 1fr))",
                        }}
                    >
                        {(Object.keys(TYPES) as PolicyType[]).map((each) => {
                            const Icon = TYPES[each].icon;
                            return (
                                <label
                                    key={each}
                                    className="card card-link"
                                    style={{
                                        cursor: "pointer",
                                        ...(type === each
                                            ? { borderColor: "var(--accent)", background: "var(--accent-soft)" }
                                            : {}),
                                    }}
                                >
                                    <span className="row">
                                        <input
                                            type="radio"
                                            name="type"
                                            checked={type === each}
                                            onChange={() => {
                                                setType(each);
                                                setRules([emptyRule(each)]);
                                            }}
                                        />
                                        <Icon size={16} aria-hidden />
                                        <b className="strong">{TYPES[each].name}</b>
                                    </span>
                                    <span className="small soft" style={{ display: "block", marginTop: 4 }}>
                                        {TYPES[each].text}
                                    </span>
                                </label>
                            );
                        })}
                    </div>
                </fieldset>
                <Card title="Over what, for whom">
                    <div className="stack">
                        <div className="stack tight">
                            <span className="label">Sources</span>
                            {sources.data ? (
                                <div className="chips" role="group" aria-label="Sources">
                                    {sources.data.items.map((each) => (
                                        <button
                                            type="button"
                                            key={each.id}
                                            className="chip"
                                            aria-pressed={chosen.includes(each.id)}
                                            onClick={() => {
                                                setChosen(flip(chosen, each.id));
                                                setTouched(true);
                                            }}
                                        >
                                            {each.name}
                                        </button>
                                    ))}
                                </div>
                            ) : (
                                <Skeleton lines={1} />
                            )}
                        </div>
                        <div className="stack tight">
                            <span className="label">Roles</span>
                            {roles.data ? (
                                <div className="chips" role="group" aria-label="Roles">
                                    {roles.data.roles.map((each) => (
                                        <button
                                            type="button"
                                            key={each.id}
                                            className="chip"
                                            aria-pressed={roleIds.includes(each.id)}
                                            onClick={() => {
                                                setRoleIds(flip(roleIds, each.id));
                                                setTouched(true);
                                            }}
                                        >
                                            {each.name}
                                        </button>
                                    ))}
                                </div>
                            ) : (
                                <Skeleton lines={1} />
                            )}
                            <p className="small soft">
                                {chosen.length === 0 && roleIds.length === 0
                                    ? "Until it is bound to a source or a role it governs nothing."
                                    : `It governs ${roleIds.length === 0 ? "everybody" : `people with ${roleIds.length === 1 ? "this role" : "one of these roles"}`}${chosen.length > 0 ? `, in ${chosen.length === 1 ? "this source" : "these sources"}` : ", in every source"}.`}
                            </p>
                        </div>
                    </div>
                </Card>
                <Rules type={type} rules={rules} onRules={setRules} tables={tables} problem={create.of} />
                <Checked check={check} ready={ready} sources={chosen} />
                <Card title="What to call it">
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={create.of("name")} />
                        <TextField
                            label="Description (optional)"
                            value={description}
                            onValue={setDescription}
                            error={create.of("description")}
                        />
                        <div className="span">
                            <Check
                                label="Active"
                                checked={active}
                                onChange={(event) => setActive(event.target.checked)}
                            />
                        </div>
                    </div>
                </Card>
                {create.error !== undefined && <Problem error={create.error} />}
                <Unsaved touched={touched} busy={create.busy} what="This policy is" />
                <div className="form-end">
                    <Link className="button" to="/policies">
                        Cancel
                    </Link>
                    <Button kind="primary" type="submit" busy={create.busy}>
                        Set the policy
                    </Button>
                </div>
            </form>
        </Page>
    );
}

const TABS = [
    ["rules", "Rules"],
    ["assignments", "Whom it governs"],
    ["evaluations", "What it did"],
    ["versions", "Versions"],
] as const;

export function PolicyPage() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "rules" } = useSearch({ strict: false }) as { tab?: string };
    const policy = useQuery({
        queryKey: ["policy", id],
        queryFn: () => read(api.GET("/api/v1/policies/{policy_id}", { params: { path: { policy_id: Number(id) } } })),
    });
    return (
        <Page
            title={policy.data?.name ?? "Policy"}
            lead={policy.data?.description}
            crumbs={<Link to="/policies">Policies</Link>}
            narrow={tab === "rules"}
            actions={
                <Link
                    className="button"
                    to="/simulate"
                    search={{
                        without: id,
                        source: policy.data?.assignments
                            .find((each) => each.data_source_id)
                            ?.data_source_id?.toString(),
                    }}
                >
                    What if it were not there?
                </Link>
            }
        >
            <Loaded query={policy}>
                {(data) => (
                    <>
                        <div className="row">
                            <Status value={data.is_active ? "active" : "inactive"} />
                            <span className="badge accent">{TYPES[data.type].name}</span>
                            <span className="soft small">
                                Version {data.version}, changed <When at={data.updated_at} />
                            </span>
                        </div>
                        <nav className="tabs" aria-label="Parts">
                            {TABS.map(([key, label]) => (
                                <Link
                                    key={key}
                                    to="/policies/$id"
                                    params={{ id }}
                                    search={{ tab: key }}
                                    className={tab === key ? "active" : ""}
                                    aria-current={tab === key ? "page" : undefined}
                                >
                                    {label}
                                </Link>
                            ))}
                        </nav>
                        {tab === "rules" && <Edit key={data.version} policy={data} />}
                        {tab === "assignments" && <Assignments id={id} />}
                        {tab === "evaluations" && <Evaluations id={id} />}
                        {tab === "versions" && <Versions id={id} now={data.version} />}
                    </>
                )}
            </Loaded>
        </Page>
    );
}

function Edit({ policy }: { policy: Schemas["Policy"] }) {
    const may = useMay();
    const [name, setName] = useState(policy.name);
    const [description, setDescription] = useState(policy.description ?? "");
    const [active, setActive] = useState(policy.is_active);
    const [rules, setRules] = useState<Rule[]>(
        policy.rules.map(({ rule_name, rule_type, rule_config, is_active }) => ({
            rule_name,
            rule_type,
            rule_config: rule_config as Record<string, unknown>,
            is_active,
        })),
    );
    const sources = useMemo(
        () => [...new Set(policy.assignments.flatMap((each) => each.data_source_id ?? []))],
        [policy],
    );
    const tables = useTables(sources);
    const before = JSON.stringify([
        policy.name,
        policy.description ?? "",
        policy.is_active,
        policy.rules.map(({ rule_name, rule_type, rule_config, is_active }) => ({
            rule_name,
            rule_type,
            rule_config,
            is_active,
        })),
    ]);
    const touched = JSON.stringify([name, description, active, rules]) !== before;
    const ready = isReady(policy.type, rules);
    const check = useCheck(
        policy.type,
        rules,
        sources,
        ready && touched,
        policy.assignments.flatMap((each) => each.role_id ?? []),
    );
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/policies/{policy_id}", {
                    params: { path: { policy_id: policy.id } },
                    body: { name, description, is_active: active, rules: rules as never, version: policy.version },
                }),
            ),
        {
            done: "Saved; it holds from the next query on.",
            changes: [["policy", String(policy.id)], ["policies"]],
            inline: true,
        },
    );
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <fieldset
                disabled={!may("policy.write")}
                style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}
                className="stack"
            >
                <Rules type={policy.type} rules={rules} onRules={setRules} tables={tables} problem={save.of} />
                {touched && <Checked check={check} ready={ready} sources={sources} />}
                <Card title="Name and state">
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} />
                        <TextField
                            label="Description"
                            value={description}
                            onValue={setDescription}
                            error={save.of("description")}
                        />
                        <div className="span">
                            <Check
                                label="Active"
                                checked={active}
                                onChange={(event) => setActive(event.target.checked)}
                            />
                        </div>
                    </div>
                </Card>
            </fieldset>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            {may("policy.write") && (
                <div className="form-end">
                    <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                        Save
                    </Button>
                </div>
            )}
        </form>
    );
}

function Assignments({ id }: { id: string }) {
    const may = useMay();
    const organization = useOrganization();
    const path = { policy_id: Number(id) };
    const [adding, setAdding] = useState(false);
    const [form, setForm] = useState({ data_source_id: "", role_id: "", user_id: "", workspace_id: "" });
    const sources = useQuery({
        queryKey: ["sources", "all"],
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources", {
                    params: { query: { page_size: 100, sort_by: "name", sort_order: "asc" } },
                }),
            ),
    });
    const roles = useQuery({
        queryKey: ["roles", organization, "all"],
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/roles", {
                    params: { path: { org_id: organization }, query: { limit: 100 } },
                }),
            ),
    });
    const people = useQuery({
        queryKey: ["people", "all"],
        queryFn: () => read(api.GET("/api/v1/users", { params: { query: { limit: 100 } } })),
    });
    const workspaces = useQuery({
        queryKey: ["workspaces"],
        queryFn: () => read(api.GET("/api/v1/workspaces", { params: { query: { limit: 100 } } })),
    });
    const changes = [
        ["assignments", id],
        ["policy", id],
    ];
    const number = (text: string) => (text ? Number(text) : undefined);
    const add = useAction(
        () =>
            read(
                api.POST("/api/v1/policies/{policy_id}/assignments", {
                    params: { path },
                    body: {
                        data_source_id: number(form.data_source_id),
                        role_id: number(form.role_id),
                        user_id: number(form.user_id),
                        workspace_id: number(form.workspace_id),
                    },
                }),
            ),
        { done: "Bound.", changes, inline: true, onDone: () => setAdding(false) },
    );
    const remove = useAction(
        (assignment: number) =>
            read(
                api.DELETE("/api/v1/policies/{policy_id}/assignments/{policy_assignment_id}", {
                    params: { path: { ...path, policy_assignment_id: assignment } },
                }),
            ),
        { done: "Taken away.", changes },
    );
    const named = (list: { id: number; name: string }[] | undefined, each: number | null | undefined) =>
        list?.find((one) => one.id === each)?.name;
    const persons = people.data?.users.map((person) => ({ id: person.id, name: person.display_name || person.email }));
    return (
        <div className="stack">
            <div className="row apart">
                <p className="soft">All of one line must match; the lines add up.</p>
                {may("policy.write") && <Button onClick={() => setAdding(true)}>Bind it to more</Button>}
            </div>
            <List
                name="Assignments"
                of={["assignments", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/policies/{policy_id}/assignments", {
                            params: { path, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Source",
                        cell: (each) =>
                            named(sources.data?.items, each.data_source_id) ??
                            (each.data_source_id ? `Source ${each.data_source_id}` : "Every source"),
                    },
                    {
                        head: "Workspace",
                        cell: (each) =>
                            named(workspaces.data?.workspaces, each.workspace_id) ??
                            (each.workspace_id ? `Workspace ${each.workspace_id}` : "Every one"),
                    },
                    { head: "Role", cell: (each) => each.role_name ?? "Every role" },
                    {
                        head: "Person",
                        cell: (each) =>
                            named(persons, each.user_id) ?? (each.user_id ? `User ${each.user_id}` : "Everybody"),
                    },
                    { head: "Since", cell: (each) => <When at={each.applied_at} /> },
                    may("policy.write") && {
                        head: "",
                        cell: (each) => (
                            <Button small kind="danger" onClick={() => remove.start(each.id)}>
                                Take away
                            </Button>
                        ),
                    },
                ]}
                empty={<Empty title="It governs nothing">Bind it to a source, a role, a person or a workspace.</Empty>}
            />
            {adding && (
                <Dialog title="Bind it to more" onClose={() => setAdding(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void add.start(undefined);
                        }}
                    >
                        <SelectField
                            label="Source"
                            value={form.data_source_id}
                            onValue={(value) => setForm({ ...form, data_source_id: value })}
                            options={[
                                ["", "Every source"],
                                ...(sources.data?.items ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        <SelectField
                            label="Role"
                            value={form.role_id}
                            onValue={(value) => setForm({ ...form, role_id: value })}
                            options={[
                                ["", "Every role"],
                                ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        <SelectField
                            label="Person"
                            value={form.user_id}
                            onValue={(value) => setForm({ ...form, user_id: value })}
                            options={[
                                ["", "Everybody"],
                                ...(persons ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        <SelectField
                            label="Workspace"
                            value={form.workspace_id}
                            onValue={(value) => setForm({ ...form, workspace_id: value })}
                            options={[
                                ["", "Every workspace"],
                                ...(workspaces.data?.workspaces ?? []).map(
                                    (each) => [String(each.id), each.name] as const,
                                ),
                            ]}
                        />
                        {add.error !== undefined && <Problem error={add.error} />}
                        <div className="form-end">
                            <Button onClick={() => setAdding(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={add.busy}>
                                Bind
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
        </div>
    );
}

function Evaluations({ id }: { id: string }) {
    const path = { policy_id: Number(id) };
    return (
        <List
            name="Evaluations"
            of={["evaluations", id]}
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/policies/{policy_id}/evaluations", {
                        params: { path, query: { page, page_size: size } },
                    }),
                );
                return { items: answer.items, total: answer.pagination.total_items };
            }}
            id={(each) => each.id}
            columns={[
                { head: "When", cell: (each) => <When at={each.evaluated_at} /> },
                {
                    head: "Who",
                    cell: (each) => (
                        <Link to="/people/$id" params={{ id: String(each.user_id) }}>
                            Person {each.user_id}
                        </Link>
                    ),
                },
                { head: "Outcome", cell: (each) => <Status value={each.evaluation_result} /> },
                { head: "What it did", cell: (each) => words(each.action_taken) },
                {
                    head: "Run",
                    cell: (each) =>
                        each.query_id ? (
                            <Link to="/history/$id" params={{ id: String(each.query_id) }}>
                                {each.query_id}
                            </Link>
                        ) : (
                            "—"
                        ),
                },
            ]}
            empty={<Empty title="It has done nothing yet">Each query that it takes part in is listed here.</Empty>}
        />
    );
}

function Versions({ id, now }: { id: string; now: number }) {
    const may = useMay();
    const path = { policy_id: Number(id) };
    const [shown, setShown] = useState<number>();
    const restore = useAction(
        (version: number) =>
            read(
                api.POST("/api/v1/policies/{policy_id}/versions/{version}/restore", {
                    params: { path: { ...path, version } },
                }),
            ),
        { done: "It is again what it was.", changes: [["policy", id], ["versions", id], ["policies"]] },
    );
    const whole = useQuery({
        queryKey: ["version", id, shown],
        enabled: shown !== undefined,
        queryFn: () =>
            read(
                api.GET("/api/v1/policies/{policy_id}/versions/{version}", {
                    params: { path: { ...path, version: shown ?? 0 } },
                }),
            ),
    });
    return (
        <>
            <List
                name="Versions"
                of={["versions", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/policies/{policy_id}/versions", {
                            params: { path, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.version}
                columns={[
                    {
                        head: "Version",
                        cell: (each) => (
                            <Button small kind="quiet" onClick={() => setShown(each.version)}>
                                {each.version}
                                {each.version === now ? " (now)" : ""}
                            </Button>
                        ),
                    },
                    { head: "When", cell: (each) => <When at={each.changed_at} /> },
                    {
                        head: "What changed",
                        cell: (each) =>
                            each.changes.length > 0
                                ? each.changes.map((change) => words(change.field)).join(", ")
                                : "Made",
                    },
                    may("policy.write") && {
                        head: "",
                        cell: (each) =>
                            each.version !== now && (
                                <Button small onClick={() => restore.start(each.version)}>
                                    Restore
                                </Button>
                            ),
                    },
                ]}
                empty={<Empty title="No versions" />}
            />
            {shown !== undefined && (
                <Dialog title={`Version ${shown}`} wide onClose={() => setShown(undefined)}>
                    <Loaded query={whole}>
                        {(data) => (
                            <>
                                <Facts of={[["When", <When key="when" at={data.changed_at} />]]} />
                                <pre className="code-block">{JSON.stringify(data.definition, null, 2)}</pre>
                            </>
                        )}
                    </Loaded>
                    <div className="form-end">
                        <Button onClick={() => setShown(undefined)}>Close</Button>
                    </div>
                </Dialog>
            )}
        </>
    );
}
