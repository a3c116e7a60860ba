// How an organization's people come in by its own identity provider: connecting one step by step, provisioning, and requiring it.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { CheckCircle2, Circle, Plus, XCircle } from "lucide-react";
import { type ReactNode, useState } from "react";
import { type Schemas, api, checked, read, save, send } from "../api/client";
import { useMay, useOrganization } from "../standing";
import { proved, useAction } from "../ui/action";
import {
    Avatar,
    Badge,
    Button,
    Card,
    Check,
    Copyable,
    Empty,
    Facts,
    Field,
    Note,
    Page,
    Problem,
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
import { useRoles } from "./people";

const VENDORS = [
    ["okta", "Okta"],
    ["entra", "Microsoft Entra ID"],
    ["google", "Google Workspace"],
    ["keycloak", "Keycloak"],
    ["generic-oidc", "Another, by OpenID Connect"],
    ["generic-saml", "Another, by SAML 2.0"],
] as const;
type Vendor = (typeof VENDORS)[number][0];

export function Providers() {
    const may = useMay();
    const organization = useOrganization();
    const domains = useQuery({
        queryKey: ["domains", organization],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/domains", { params: { path: { org_id: organization } } })),
    });
    const proven = domains.data?.domains.some((domain) => domain.status === "verified");
    return (
        <Page
            title="Single sign-on"
            lead="Your people sign in at your own identity provider, and come with their groups."
        >
            {domains.data && !proven && (
                <Note tone="warn">
                    A provider speaks for mail domains that you have proved.{" "}
                    <Link to="/organization" search={{ tab: "domains" }}>
                        Prove one first
                    </Link>
                    .
                </Note>
            )}
            <List
                name="Identity providers"
                of={["providers"]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sso/providers", { params: { query: { offset: skip, limit: size } } }),
                    );
                    return { items: answer.providers, total: answer.total };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Name",
                        cell: (each) => (
                            <Link className="strong" to="/sso/$id" params={{ id: String(each.id) }}>
                                {each.name}
                            </Link>
                        ),
                    },
                    {
                        head: "Kind",
                        cell: (each) => <Badge>{each.provider_type === "saml" ? "SAML" : "OpenID Connect"}</Badge>,
                    },
                    { head: "State", cell: (each) => <Status value={each.status} /> },
                    {
                        head: "Tested",
                        cell: (each) => (
                            <span className="row">
                                <When at={each.last_tested_at} />
                                {each.last_tested_at && (
                                    <Badge tone={each.last_test_succeeded ? "good" : "bad"}>
                                        {each.last_test_succeeded ? "passed" : "failed"}
                                    </Badge>
                                )}
                            </span>
                        ),
                    },
                    { head: "Sign-ins", cell: (each) => count(each.login_count), numeric: true },
                ]}
                empty={
                    <Empty title="No identity provider yet">
                        Choose yours below; the assistant says what to enter where.
                    </Empty>
                }
            />
            {may("sso.manage") && (
                <section className="stack tight">
                    <h2>Connect one</h2>
                    <div
                        style={{
                            display: "grid",
                            gap: 10,
                            gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 230px), 1fr))",
                        }}
                    >
                        {VENDORS.map(([key, label]) => (
                            <Link
                                key={key}
                                className="card card-link row"
                                to="/sso/new/$vendor"
                                params={{ vendor: key }}
                            >
                                <Plus size={16} aria-hidden />
                                <b className="strong">{label}</b>
                            </Link>
                        ))}
                    </div>
                </section>
            )}
        </Page>
    );
}

/** One step of the assistant, with its number. */
function Step({
    number,
    title,
    done,
    children,
}: {
    number: number;
    title: string;
    done?: boolean;
    children: ReactNode;
}) {
    return (
        <Card
            title={
                <span className="row">
                    {done ? (
                        <CheckCircle2 size={18} style={{ color: "var(--good)" }} aria-label="Done" />
                    ) : (
                        <span className="badge accent">{number}</span>
                    )}
                    {title}
                </span>
            }
        >
            <div className="stack">{children}</div>
        </Card>
    );
}

export function Setup() {
    const { vendor } = useParams({ strict: false }) as { vendor: Vendor };
    const navigate = useNavigate();
    const setup = useQuery({
        queryKey: ["setup", vendor],
        queryFn: () => read(api.GET("/api/v1/sso/setup/{vendor}", { params: { path: { vendor } } })),
    });
    const [values, setValues] = useState<Record<string, string>>({});
    const label = VENDORS.find(([key]) => key === vendor)?.[1] ?? vendor;
    const isSaml = setup.data?.provider_type === "saml";
    const create = useAction(
        () =>
            read(
                api.POST("/api/v1/sso/providers", {
                    body: {
                        provider_type: setup.data?.provider_type ?? "oidc",
                        name: values.name || label,
                        status: "inactive",
                        attribute_mapping: (setup.data?.provider as { attribute_mapping?: never } | undefined)
                            ?.attribute_mapping,
                        scopes: (setup.data?.provider as { scopes?: string[] } | undefined)?.scopes,
                        ...Object.fromEntries(
                            [
                                "issuer",
                                "client_id",
                                "client_secret",
                                "metadata_url",
                                "metadata_xml",
                                "entity_id",
                                "sso_url",
                                "certificate",
                            ].flatMap((key) => (values[key] ? [[key, values[key]]] : [])),
                        ),
                    } as never,
                }),
            ),
        {
            done: "Registered; now test it.",
            changes: [["providers"]],
            inline: true,
            onDone: (answer) => void navigate({ to: "/sso/$id", params: { id: String(answer.provider.id) } }),
        },
    );
    const field = (
        name: string,
        text: string,
        rest: { required?: boolean; type?: string; placeholder?: string; span?: boolean } = {},
    ) => (
        <TextField
            key={name}
            label={text}
            value={values[name] ?? ""}
            onValue={(value) => setValues({ ...values, [name]: value })}
            error={create.of(name)}
            autoComplete="off"
            {...rest}
        />
    );
    const example = (setup.data?.provider ?? {}) as { issuer?: string };
    return (
        <Page title={`Connect ${label}`} crumbs={<Link to="/sso">Single sign-on</Link>} narrow>
            <Loaded query={setup}>
                {(data) => (
                    <>
                        <Step number={1} title={`At ${label}`}>
                            <ol className="stack tight" style={{ listStyle: "decimal", paddingLeft: 20 }}>
                                {data.steps.map((step) => (
                                    <li key={step} className="break">
                                        {step}
                                    </li>
                                ))}
                            </ol>
                        </Step>
                        <Step number={2} title="Enter there">
                            {data.values.map((value) => (
                                <div key={value.field + value.value} className="stack tight" style={{ gap: 4 }}>
                                    <span className="label">{value.field}</span>
                                    <Copyable text={value.value} label={value.field} />
                                </div>
                            ))}
                        </Step>
                        <Step number={3} title="And here">
                            <form
                                className="stack"
                                onSubmit={(event) => {
                                    event.preventDefault();
                                    void create.start(undefined);
                                }}
                            >
                                <div className="form-grid">
                                    {field("name", "Name", { placeholder: label })}
                                    {isSaml ? (
                                        <>
                                            {field("metadata_url", "Address of its metadata", { type: "url" })}
                                            <div className="span">
                                                <Field label="Or its metadata (XML)" error={create.of("metadata_xml")}>
                                                    {(props) => (
                                                        <textarea
                                                            {...props}
                                                            className="mono"
                                                            spellCheck={false}
                                                            value={values.metadata_xml ?? ""}
                                                            onChange={(event) =>
                                                                setValues({
                                                                    ...values,
                                                                    metadata_xml: event.target.value,
                                                                })
                                                            }
                                                        />
                                                    )}
                                                </Field>
                                            </div>
                                        </>
                                    ) : (
                                        <>
                                            {field("issuer", "Issuer", { required: true, placeholder: example.issuer })}
                                            {field("client_id", "Client id", { required: true })}
                                            {field("client_secret", "Client secret", { type: "password" })}
                                        </>
                                    )}
                                </div>
                                {create.error !== undefined && <Problem error={create.error} />}
                                <div className="form-end">
                                    <Button kind="primary" type="submit" busy={create.busy}>
                                        Register it, inactive
                                    </Button>
                                </div>
                            </form>
                        </Step>
                    </>
                )}
            </Loaded>
        </Page>
    );
}

export function Provider() {
    const { id } = useParams({ strict: false }) as { id: string };
    const may = useMay();
    const navigate = useNavigate();
    const roles = useRoles();
    const path = { provider_id: Number(id) };
    const provider = useQuery({
        queryKey: ["provider", id],
        queryFn: () => read(api.GET("/api/v1/sso/providers/{provider_id}", { params: { path } })),
    });
    const changes = [["provider", id], ["providers"]];
    const [results, setResults] = useState<Schemas["ProviderTestResults"]>();
    const [deleting, setDeleting] = useState(false);
    const [groups, setGroups] = useState<string>();
    const test = useAction(() => read(api.POST("/api/v1/sso/providers/{provider_id}/test", { params: { path } })), {
        changes,
        onDone: (answer) => setResults(answer.test_results),
    });
    const whole = useAction(async () => {
        const answer = await read(
            api.GET("/api/v1/sso/login", {
                params: { query: { provider_id: Number(id), test: true, response_mode: "json" } },
            }),
        );
        window.open(answer.authorization_url, "_blank", "noopener");
    });
    const update = useAction(
        (body: object) =>
            read(api.PUT("/api/v1/sso/providers/{provider_id}", { params: { path }, body: body as never })),
        { done: "Saved.", changes },
    );
    const data = provider.data?.provider;
    const parse = (text: string) =>
        Object.fromEntries(
            text
                .split("\n")
                .map((line) => line.split("=").map((part) => part.trim()))
                .filter(([group, role]) => group && role)
                .map(([group, role]) => [
                    group,
                    roles.data?.roles.find((each) => each.name.toLowerCase() === role?.toLowerCase())?.id ??
                        Number(role),
                ]),
        );
    const written = Object.entries((data?.group_role_mapping ?? {}) as Record<string, unknown>)
        .map(
            ([group, role]) =>
                `${group} = ${roles.data?.roles.find((each) => each.id === role)?.name ?? JSON.stringify(role)}`,
        )
        .join("\n");
    return (
        <Page
            title={data?.name ?? "Identity provider"}
            crumbs={<Link to="/sso">Single sign-on</Link>}
            narrow
            actions={
                data &&
                may("sso.manage") &&
                (data.status === "active" ? (
                    <Button busy={update.busy} onClick={() => update.start({ status: "inactive" })}>
                        Switch off
                    </Button>
                ) : (
                    <Button kind="primary" busy={update.busy} onClick={() => update.start({ status: "active" })}>
                        Switch on
                    </Button>
                ))
            }
        >
            <Loaded query={provider}>
                {({ provider: loaded }) => (
                    <>
                        <Card>
                            <Facts
                                of={[
                                    ["State", <Status key="state" value={loaded.status} />],
                                    ["Kind", loaded.provider_type === "saml" ? "SAML 2.0" : "OpenID Connect"],
                                    [
                                        loaded.provider_type === "saml" ? "Entity id" : "Issuer",
                                        <code key="issuer" className="break">
                                            {loaded.issuer ?? loaded.entity_id}
                                        </code>,
                                    ],
                                    loaded.client_id
                                        ? ["Client id", <code key="client">{loaded.client_id}</code>]
                                        : null,
                                    ["Mail domains", loaded.domains.join(", ") || "All that are proved"],
                                    loaded.certificate_expires_at
                                        ? ["Certificate until", <When key="cert" at={loaded.certificate_expires_at} />]
                                        : null,
                                    ["Last sign-in", <When key="in" at={loaded.last_login_at} />],
                                ]}
                            />
                        </Card>
                        {may("sso.manage") && (
                            <>
                                <Step number={1} title="Test what it says of itself" done={loaded.last_test_succeeded}>
                                    <p className="soft">Reads its documents and keys, and signs nobody in.</p>
                                    {results && (
                                        <Note tone={results.errors.length > 0 ? "bad" : "good"}>
                                            <ul className="steps">
                                                <li>
                                                    {results.connection === "success" ? (
                                                        <CheckCircle2 size={15} />
                                                    ) : (
                                                        <XCircle size={15} />
                                                    )}
                                                    Connection: {results.connection}
                                                </li>
                                                <li>
                                                    {results.authentication_flow === "success" ? (
                                                        <CheckCircle2 size={15} />
                                                    ) : (
                                                        <Circle size={15} />
                                                    )}
                                                    Sign-in: {results.authentication_flow}
                                                </li>
                                            </ul>
                                            {results.errors.map((error) => (
                                                <p key={error}>{error}</p>
                                            ))}
                                        </Note>
                                    )}
                                    <div>
                                        <Button busy={test.busy} onClick={() => test.start(undefined)}>
                                            Test
                                        </Button>
                                    </div>
                                </Step>
                                <Step number={2} title="Go the whole way once">
                                    <p className="soft">
                                        In a new tab you sign in there, and see what it says of you, which roles that
                                        gives, and what would have happened.
                                    </p>
                                    <div>
                                        <Button busy={whole.busy} onClick={() => whole.start(undefined)}>
                                            Try a sign-in
                                        </Button>
                                    </div>
                                </Step>
                                <Step number={3} title="Who comes in, and as what">
                                    <Check
                                        label="Make members of people who come for the first time"
                                        checked={loaded.jit_provisioning}
                                        onChange={(event) => update.start({ jit_provisioning: event.target.checked })}
                                    />
                                    <SelectField
                                        label="Their role"
                                        value={String(loaded.default_role_id ?? "")}
                                        onValue={(value) => value && update.start({ default_role_id: Number(value) })}
                                        options={[
                                            ["", "The organization's default"],
                                            ...(roles.data?.roles ?? []).map(
                                                (each) => [String(each.id), each.name] as const,
                                            ),
                                        ]}
                                    />
                                    <Field
                                        label="Roles by groups"
                                        hint="One a line: group = role. A role that a group gave goes when the group does."
                                    >
                                        {(props) => (
                                            <textarea
                                                {...props}
                                                className="mono"
                                                spellCheck={false}
                                                placeholder="data-analysts = Viewer"
                                                value={groups ?? written}
                                                onChange={(event) => setGroups(event.target.value)}
                                            />
                                        )}
                                    </Field>
                                    <div className="form-end">
                                        <Button
                                            disabled={groups === undefined}
                                            busy={update.busy}
                                            onClick={() => update.start({ group_role_mapping: parse(groups ?? "") })}
                                        >
                                            Save the groups
                                        </Button>
                                    </div>
                                </Step>
                                <Identities id={Number(id)} />
                                <Card title="Remove">
                                    <div className="row apart">
                                        <p className="soft">Nobody comes in by it any more.</p>
                                        <Button kind="danger" onClick={() => setDeleting(true)}>
                                            Remove…
                                        </Button>
                                    </div>
                                </Card>
                            </>
                        )}
                        {deleting && (
                            <Confirm
                                title={`Remove ${loaded.name}?`}
                                word={loaded.name}
                                action="Remove"
                                onClose={() => setDeleting(false)}
                                onConfirm={async () => {
                                    await proved(() =>
                                        read(api.DELETE("/api/v1/sso/providers/{provider_id}", { params: { path } })),
                                    );
                                    void navigate({ to: "/sso" });
                                }}
                            >
                                <p>Links between people and this provider are lost.</p>
                            </Confirm>
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}

function Identities({ id }: { id: number }) {
    const unlink = useAction(
        (user: number) =>
            read(
                api.DELETE("/api/v1/sso/providers/{provider_id}/identities/{user_id}", {
                    params: { path: { provider_id: id, user_id: user } },
                }),
            ),
        { done: "Unlinked.", changes: [["identities", id]] },
    );
    return (
        <section className="stack tight">
            <h2>Linked people</h2>
            <List
                name="Linked people"
                of={["identities", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sso/providers/{provider_id}/identities", {
                            params: { path: { provider_id: id }, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.subject}
                columns={[
                    {
                        head: "Person",
                        cell: (each) => (
                            <Link to="/people/$id" params={{ id: String(each.user_id) }}>
                                {each.email ?? `Person ${each.user_id}`}
                            </Link>
                        ),
                    },
                    { head: "Subject there", cell: (each) => <code className="break small">{each.subject}</code> },
                    { head: "Groups", cell: (each) => each.groups.join(", ") || "—" },
                    { head: "Last in", cell: (each) => <When at={each.last_login_at} /> },
                    {
                        head: "",
                        cell: (each) => (
                            <Button small kind="danger" onClick={() => unlink.start(each.user_id)}>
                                Unlink
                            </Button>
                        ),
                    },
                ]}
                empty={<Empty title="Nobody yet" />}
            />
        </section>
    );
}

export function Scim() {
    const may = useMay();
    const roles = useRoles();
    const providers = useQuery({
        queryKey: ["providers", "all"],
        queryFn: () => read(api.GET("/api/v1/sso/providers", { params: { query: { limit: 100 } } })),
    });
    const [chosen, setChosen] = useState("");
    const provider = Number(chosen || providers.data?.providers[0]?.id || 0);
    const scim = useQuery({
        queryKey: ["scim", provider],
        enabled: provider > 0,
        retry: false,
        queryFn: () => read(api.GET("/api/v1/sso/scim/config", { params: { query: { provider_id: provider } } })),
    });
    const [token, setToken] = useState<string>();
    const changes = [["scim", provider]];
    const configure = useAction(
        (body: { enabled?: boolean; rotate_token?: boolean; default_role_id?: number }) =>
            read(api.POST("/api/v1/sso/scim/config", { body: { provider_id: provider, ...body } })),
        { done: "Saved.", changes, onDone: (answer) => answer.bearer_token && setToken(answer.bearer_token) },
    );
    const sync = useAction(
        (type: "full" | "incremental") =>
            read(api.POST("/api/v1/sso/scim/sync", { body: { provider_id: provider, sync_type: type } })),
        { done: "Begun.", changes },
    );
    return (
        <Page
            title="Provisioning"
            lead="Your identity provider pushes people and groups here (SCIM 2.0): who joins is here, who leaves is out."
            narrow
        >
            {providers.data?.providers.length === 0 ? (
                <div className="card">
                    <Empty
                        title="Connect an identity provider first"
                        actions={
                            <Link className="button primary" to="/sso">
                                Single sign-on
                            </Link>
                        }
                    />
                </div>
            ) : (
                <>
                    {(providers.data?.providers.length ?? 0) > 1 && (
                        <SelectField
                            label="Provider"
                            value={String(provider)}
                            onValue={setChosen}
                            options={(providers.data?.providers ?? []).map(
                                (each) => [String(each.id), each.name] as const,
                            )}
                        />
                    )}
                    {token && (
                        <Note tone="good">
                            <div className="stack tight">
                                <b>The bearer token. It is shown this once.</b>
                                <Copyable text={token} label="token" />
                            </div>
                        </Note>
                    )}
                    {scim.error ? (
                        <Card title="Switch it on">
                            <div className="stack">
                                <p className="soft">You get an address and a token to enter at your provider.</p>
                                <div>
                                    <Button
                                        kind="primary"
                                        busy={configure.busy}
                                        onClick={() => configure.start({ enabled: true })}
                                    >
                                        Switch on
                                    </Button>
                                </div>
                            </div>
                        </Card>
                    ) : !scim.data ? (
                        <Skeleton />
                    ) : (
                        <>
                            <Card
                                title="Enter at your provider"
                                actions={<Status value={scim.data.config.enabled ? "active" : "inactive"} />}
                            >
                                <div className="stack">
                                    <div className="stack tight" style={{ gap: 4 }}>
                                        <span className="label">Base address</span>
                                        <Copyable text={scim.data.config.base_url} label="address" />
                                    </div>
                                    <Facts
                                        of={[
                                            [
                                                "Token",
                                                scim.data.config.token_prefix ? (
                                                    <code key="token">{scim.data.config.token_prefix}…</code>
                                                ) : (
                                                    "—"
                                                ),
                                            ],
                                            ["Used", <When key="used" at={scim.data.config.token_last_used_at} />],
                                            [
                                                "Until",
                                                <When key="until" at={scim.data.config.expires_at} never="revoked" />,
                                            ],
                                        ]}
                                    />
                                    <SelectField
                                        label="Role of people who come by it"
                                        value={String(scim.data.config.default_role_id ?? "")}
                                        onValue={(value) =>
                                            value && configure.start({ default_role_id: Number(value) })
                                        }
                                        options={[
                                            ["", "The organization's default"],
                                            ...(roles.data?.roles ?? []).map(
                                                (each) => [String(each.id), each.name] as const,
                                            ),
                                        ]}
                                    />
                                    {may("scim.manage") && (
                                        <div className="form-end">
                                            <Button onClick={() => configure.start({ rotate_token: true })}>
                                                New token
                                            </Button>
                                            <Button
                                                kind={scim.data.config.enabled ? "danger" : "primary"}
                                                onClick={() => configure.start({ enabled: !scim.data?.config.enabled })}
                                            >
                                                {scim.data.config.enabled ? "Switch off" : "Switch on"}
                                            </Button>
                                        </div>
                                    )}
                                </div>
                            </Card>
                            <Card title="How it is doing">
                                <div className="stack">
                                    <Facts
                                        of={[
                                            [
                                                "People by it",
                                                `${scim.data.status.provisioned_users} (${scim.data.status.active_users} active)`,
                                            ],
                                            ["Last request", <When key="last" at={scim.data.status.last_request_at} />],
                                            [
                                                "Last reconciliation",
                                                scim.data.status.last_sync ? (
                                                    <span key="sync" className="row">
                                                        <Status value={scim.data.status.last_sync.status} />
                                                        <When at={scim.data.status.last_sync.started_at} />
                                                    </span>
                                                ) : (
                                                    "never"
                                                ),
                                            ],
                                        ]}
                                    />
                                    {scim.data.status.recent_errors.length > 0 && (
                                        <Note tone="warn">
                                            <ul>
                                                {scim.data.status.recent_errors.slice(0, 5).map((fault, index) => (
                                                    <li key={index} className="break">
                                                        {Object.values(fault as Record<string, unknown>)
                                                            .map(String)
                                                            .join(" · ")}
                                                    </li>
                                                ))}
                                            </ul>
                                        </Note>
                                    )}
                                    <div className="form-end">
                                        <Button busy={sync.busy} onClick={() => sync.start("incremental")}>
                                            Reconcile what changed
                                        </Button>
                                        <Button busy={sync.busy} onClick={() => sync.start("full")}>
                                            Reconcile all
                                        </Button>
                                    </div>
                                </div>
                            </Card>
                        </>
                    )}
                </>
            )}
        </Page>
    );
}

const MODES = [
    ["off", "Off"],
    ["warn", "Ask for it"],
    ["required", "Require it"],
] as const;

export function Enforcement() {
    const organization = useOrganization();
    const path = { organization_id: organization };
    const status = useQuery({
        queryKey: ["enforcement", organization],
        queryFn: () => read(api.GET("/api/v1/sso/enforcement/status/{organization_id}", { params: { path } })),
    });
    const plan = useQuery({
        queryKey: ["plan", organization],
        queryFn: () => read(api.GET("/api/v1/sso/enforcement/migration-plan/{organization_id}", { params: { path } })),
    });
    return (
        <Page
            title="Enforcement"
            lead="From asking for single sign-on and second factors to requiring them, step by step, with a way back in."
            narrow
        >
            <Loaded query={plan}>
                {(data) => (
                    <div
                        className="card"
                        style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(140px, 1fr))" }}
                    >
                        <div className="stat">
                            <b>{Math.round(data.readiness_percent)} %</b>
                            <span>ready</span>
                        </div>
                        <div className="stat">
                            <b>{data.users_with_sso}</b>
                            <span>of {data.total_users} linked</span>
                        </div>
                        <div className="stat">
                            <b>{data.users_with_mfa}</b>
                            <span>with a second factor</span>
                        </div>
                        <div className="stat">
                            <b>{data.users_password_only}</b>
                            <span>with a password alone</span>
                        </div>
                    </div>
                )}
            </Loaded>
            {plan.data && plan.data.blockers.length > 0 && (
                <Note tone="warn">
                    <b>In the way</b>
                    <ul>
                        {plan.data.blockers.map((blocker) => (
                            <li key={blocker.code}>{blocker.detail}</li>
                        ))}
                    </ul>
                </Note>
            )}
            <Loaded query={status}>{(data) => <Enforce key={data.updated_at ?? ""} status={data} />}</Loaded>
            {plan.data && (
                <Card title="Plan" flush>
                    <ol className="list">
                        {plan.data.phases.map((phase) => (
                            <li key={phase.order}>
                                {phase.status === "completed" ? (
                                    <CheckCircle2 size={17} style={{ color: "var(--good)" }} aria-hidden />
                                ) : (
                                    <Circle size={17} aria-hidden />
                                )}
                                <b className="strong grow">{words(phase.name)}</b>
                                <Status value={phase.status} />
                                {phase.start_at && (
                                    <span className="small soft">
                                        <When at={phase.start_at} />
                                    </span>
                                )}
                            </li>
                        ))}
                    </ol>
                </Card>
            )}
            <Notices />
            {plan.data && plan.data.users_pending.length > 0 && (
                <Card title="Who is not ready" flush>
                    <ul className="list">
                        {plan.data.users_pending.map((user) => {
                            const person = user as { user_id: number; email?: string; display_name?: string };
                            return (
                                <li key={person.user_id}>
                                    <Avatar name={person.display_name ?? person.email ?? "?"} />
                                    <Link className="grow" to="/people/$id" params={{ id: String(person.user_id) }}>
                                        {person.display_name ?? person.email}
                                    </Link>
                                </li>
                            );
                        })}
                    </ul>
                </Card>
            )}
        </Page>
    );
}

function Enforce({ status }: { status: Schemas["EnforcementStatus"] }) {
    const organization = useOrganization();
    const path = { organization_id: organization };
    const [sso, setSso] = useState<string>(status.sso_mode);
    const [mfa, setMfa] = useState<string>(status.mfa_mode);
    const [from, setFrom] = useState("");
    const [grace, setGrace] = useState(String(status.grace_period_days || 14));
    const body = (dry: boolean) => ({
        sso_mode: sso as "off",
        mfa_mode: mfa as "off",
        effective_at: from ? new Date(from).toISOString() : undefined,
        grace_period_days: Number(grace),
        dry_run: dry,
    });
    const [tried, setTried] = useState<Schemas["Enforced"]>();
    const attempt = useAction(
        () =>
            read(api.POST("/api/v1/sso/enforcement/enforce/{organization_id}", { params: { path }, body: body(true) })),
        { inline: true, onDone: setTried },
    );
    const enforce = useAction(
        () =>
            read(
                api.POST("/api/v1/sso/enforcement/enforce/{organization_id}", { params: { path }, body: body(false) }),
            ),
        {
            done: "Set; all Owners and Admins are told by mail.",
            changes: [["enforcement"], ["plan"]],
            inline: true,
            onDone: () => setTried(undefined),
        },
    );
    const error = enforce.error ?? attempt.error;
    return (
        <Card
            title="What holds"
            actions={
                <>
                    <Badge>Single sign-on: {status.sso_mode}</Badge>
                    <Badge>Second factor: {status.mfa_mode}</Badge>
                </>
            }
        >
            <div className="stack">
                <div className="form-grid">
                    <SelectField label="Single sign-on" value={sso} onValue={setSso} options={MODES} />
                    <SelectField label="Second factor" value={mfa} onValue={setMfa} options={MODES} />
                    <TextField
                        label="From"
                        type="datetime-local"
                        value={from}
                        onValue={setFrom}
                        hint="Empty for now."
                    />
                    <TextField label="Days of grace" type="number" min={0} value={grace} onValue={setGrace} />
                </div>
                {tried && (
                    <Note>
                        {tried.affected_users} people are touched, {tried.sessions_to_end} sessions would end. In force
                        from <When at={tried.effective_at} />
                        {tried.exempt_user_ids.length > 0 &&
                            `; ${tried.exempt_user_ids.length} exempt for the day the provider is down`}
                        .
                    </Note>
                )}
                {error !== undefined && <Problem error={error} />}
                <div className="form-end">
                    <Button busy={attempt.busy} onClick={() => attempt.start(undefined)}>
                        Try it
                    </Button>
                    <Button
                        kind="primary"
                        busy={enforce.busy}
                        disabled={!tried}
                        onClick={() => enforce.start(undefined)}
                    >
                        Set it
                    </Button>
                </div>
            </div>
        </Card>
    );
}

function Notices() {
    const organization = useOrganization();
    const path = { organization_id: organization };
    const notify = useAction(
        (kind: "mfa_setup" | "sso_migration" | "enforcement_warning") =>
            read(
                api.POST("/api/v1/sso/enforcement/notifications/{organization_id}", {
                    params: { path, query: { notification_type: kind } },
                }),
            ),
        { done: (answer) => `${answer.notifications_sent} people get a mail.` },
    );
    const report = useAction(
        async () =>
            save(
                await checked(
                    await send(`/api/v1/sso/enforcement/bulk-action/${organization}?action=generate_migration_report`, {
                        method: "POST",
                        headers: { "content-type": "application/json", accept: "text/csv" },
                        body: "{}",
                    }),
                ),
                "migration-report.csv",
            ),
        { done: "Downloaded." },
    );
    return (
        <Card title="Tell people">
            <div className="row">
                <Button busy={notify.busy} onClick={() => notify.start("mfa_setup")}>
                    Ask for a second factor
                </Button>
                <Button busy={notify.busy} onClick={() => notify.start("sso_migration")}>
                    Ask to use single sign-on
                </Button>
                <Button busy={notify.busy} onClick={() => notify.start("enforcement_warning")}>
                    Warn
                </Button>
                <Button busy={report.busy} onClick={() => report.start(undefined)}>
                    Report
                </Button>
            </div>
        </Card>
    );
}
