// Applications: other programs that sign people in with RiverGen, or act for them; and what members may allow them.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MoreHorizontal, Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { queries } from "../queries";
import { useMay, useMe, useOrganization } from "../standing";
import { proved, useAction } from "../ui/action";
import {
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
    Status,
    TextField,
    When,
} from "../ui/basics";
import { ActionMenu, Confirm, Dialog } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { Unsaved } from "../ui/unsaved";
import { Picker } from "./roles";

type Application = Schemas["OauthApplication"];
type Grant = Application["grant_types"][number];

/** As the people whom an application asks read them. */
const SCOPES = [
    ["read", "See what you can see, and ask questions of the data that you may query."],
    ["write", "Create and change things as you can: sources, files, prompts."],
    ["admin", "Do everything that you can do, the organization's affairs included."],
] as const;

const GRANTS = [
    ["authorization_code", "Sign people in", "They see who asks for what, and agree."],
    [
        "urn:ietf:params:oauth:grant-type:device_code",
        "Sign people in from another device",
        "For programs without a browser: it shows a code, which its person types elsewhere.",
    ],
    [
        "client_credentials",
        "Act for itself",
        "Nobody is there: it acts for the administrator who answers for it. It needs a secret.",
    ],
    [
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "Go on with a token that it was shown",
        "For services behind another program. It needs a secret.",
    ],
] as const;

/** Grants for applications that can prove who they are. */
const PROVED: Grant[] = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"];

export function Applications() {
    const may = useMay();
    const id = useOrganization();
    const { tab = "registered" } = useSearch({ strict: false }) as { tab?: string };
    const register = may("oauth_app.manage") && (
        <Link className="button primary" to="/organization/applications/new">
            <Plus size={16} />
            Register an application
        </Link>
    );
    return (
        <Page
            title="Applications"
            lead="Other programs that sign people in with RiverGen and act for them, never with more than they may do."
            actions={register}
        >
            <nav className="tabs" aria-label="Parts">
                {[
                    ["registered", "Registered"],
                    ["policy", "What members may allow"],
                ].map(([key, label]) => (
                    <Link
                        key={key}
                        to="/organization/applications"
                        search={{ tab: key }}
                        className={tab === key ? "active" : ""}
                        aria-current={tab === key ? "page" : undefined}
                    >
                        {label}
                    </Link>
                ))}
            </nav>
            {tab === "policy" ? (
                <Policy />
            ) : (
                <List
                    name="Applications"
                    of={["applications", id]}
                    load={async ({ skip, size }) => {
                        const answer = await read(
                            api.GET("/api/v1/organizations/{org_id}/oauth-applications", {
                                params: { path: { org_id: id }, query: { skip, limit: size } },
                            }),
                        );
                        return { items: answer.applications, total: answer.total };
                    }}
                    id={(application) => application.id}
                    columns={[
                        {
                            head: "Name",
                            className: "break",
                            cell: (application) => (
                                <>
                                    <Link
                                        className="strong"
                                        to="/organization/applications/$id"
                                        params={{ id: String(application.id) }}
                                    >
                                        {application.name}
                                    </Link>
                                    {application.description && (
                                        <div className="small soft">{application.description}</div>
                                    )}
                                </>
                            ),
                        },
                        {
                            head: "Kind",
                            cell: (application) => (
                                <span className="row">
                                    <Badge>{application.client_type === "public" ? "Public" : "Confidential"}</Badge>
                                    {application.preapproved && <Badge tone="accent">Preapproved</Badge>}
                                </span>
                            ),
                        },
                        {
                            head: "May ask for",
                            cell: (application) => (
                                <span className="row">
                                    {application.scopes.map((scope) => (
                                        <Badge key={scope}>{scope}</Badge>
                                    ))}
                                </span>
                            ),
                        },
                        { head: "State", cell: (application) => <State of={application} /> },
                        { head: "Used", cell: (application) => <When at={application.last_used_at} /> },
                    ]}
                    empty={
                        <Empty title="No applications" actions={register}>
                            Register one, and people can sign in to it with RiverGen.
                        </Empty>
                    }
                />
            )}
        </Page>
    );
}

/** The API calls it revoked; it can be let in again. */
const State = ({ of }: { of: Application }) => <Status value={of.status === "active" ? "active" : "suspended"} />;

const Crumbs = () => (
    <>
        <Link to="/organization">Organization</Link>
        <span aria-hidden>/</span>
        <Link to="/organization/applications">Applications</Link>
    </>
);

/** What is shown this once, to be copied now. */
function Secret({ secret, of, children }: { secret: string; of: string; children?: ReactNode }) {
    return (
        <Note tone="good">
            <div className="stack tight">
                <b>The secret of {of}. It is shown this once: copy it now.</b>
                <Copyable text={secret} label="secret" />
                {children}
            </div>
        </Note>
    );
}

type Draft = Pick<
    Application,
    | "name"
    | "client_type"
    | "grant_types"
    | "redirect_uris"
    | "post_logout_redirect_uris"
    | "resources"
    | "scopes"
    | "preapproved"
> & { description: string };

const BLANK: Draft = {
    name: "",
    description: "",
    client_type: "confidential",
    grant_types: ["authorization_code"],
    redirect_uris: [],
    post_logout_redirect_uris: [],
    resources: [],
    scopes: ["read"],
    preapproved: false,
};

export function NewApplication() {
    const id = useOrganization();
    const [draft, setDraft] = useState(BLANK);
    const [made, setMade] = useState<Schemas["CreatedApplication"]>();
    const create = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/oauth-applications", {
                    params: { path: { org_id: id } },
                    body: { ...draft, description: draft.description || undefined },
                }),
            ),
        { done: "Registered.", changes: [["applications"]], inline: true, onDone: setMade },
    );
    if (made)
        return (
            <Page title={made.name} crumbs={<Crumbs />} narrow>
                {made.client_secret && <Secret secret={made.client_secret} of={made.name} />}
                <Card title="What the program is told">
                    <div className="stack tight">
                        <span className="label">Client ID</span>
                        <Copyable text={made.client_id} label="client ID" />
                        <span className="label">Server</span>
                        <Copyable text={location.origin} label="server" />
                    </div>
                </Card>
                <div className="form-end">
                    <Link
                        className="button primary"
                        to="/organization/applications/$id"
                        params={{ id: String(made.id) }}
                    >
                        Go on
                    </Link>
                </div>
            </Page>
        );
    return (
        <Page title="Register an application" crumbs={<Crumbs />} narrow>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void create.start(undefined);
                }}
            >
                <Fields draft={draft} onDraft={setDraft} of={create.of} isNew />
                {create.error !== undefined && <Problem error={create.error} />}
                <Unsaved touched={draft !== BLANK} busy={create.busy} what="This application is" />
                <div className="form-end">
                    <Link className="button" to="/organization/applications">
                        Cancel
                    </Link>
                    <Button kind="primary" type="submit" busy={create.busy}>
                        Register
                    </Button>
                </div>
            </form>
        </Page>
    );
}

function Fields({
    draft,
    onDraft,
    of,
    isNew,
}: {
    draft: Draft;
    onDraft: (draft: Draft) => void;
    of: (field: string) => string | undefined;
    isNew?: boolean;
}) {
    const set = (change: Partial<Draft>) => onDraft({ ...draft, ...change });
    const flip = (grant: Grant) =>
        set({
            grant_types: draft.grant_types.includes(grant)
                ? draft.grant_types.filter((each) => each !== grant)
                : [...draft.grant_types, grant],
        });
    return (
        <>
            <Card>
                <div className="stack">
                    <div className="form-grid">
                        <TextField
                            label="Name"
                            required
                            hint="People read it when they are asked."
                            value={draft.name}
                            onValue={(name) => set({ name })}
                            error={of("name")}
                        />
                        <TextField
                            label="Description (optional)"
                            value={draft.description}
                            onValue={(description) => set({ description })}
                            error={of("description")}
                        />
                    </div>
                    {isNew && (
                        <Choices legend="Can it keep a secret?">
                            <Check
                                type="radio"
                                name="client_type"
                                label="Yes: it runs on a server"
                                hint="Confidential. It gets a secret, shown once."
                                checked={draft.client_type === "confidential"}
                                onChange={() => set({ client_type: "confidential" })}
                            />
                            <Check
                                type="radio"
                                name="client_type"
                                label="No: it runs at its users'"
                                hint="Public: in a browser, on a phone or a computer. It gets no secret."
                                checked={draft.client_type === "public"}
                                onChange={() =>
                                    set({
                                        client_type: "public",
                                        grant_types: draft.grant_types.filter((grant) => !PROVED.includes(grant)),
                                    })
                                }
                            />
                        </Choices>
                    )}
                </div>
            </Card>
            <Card title="What it does">
                <div className="stack">
                    <Choices legend="Grant types" isHidden error={of("grant_types")}>
                        {GRANTS.map(([grant, label, hint]) => (
                            <Check
                                key={grant}
                                label={label}
                                hint={hint}
                                checked={draft.grant_types.includes(grant)}
                                disabled={draft.client_type === "public" && PROVED.includes(grant)}
                                onChange={() => flip(grant)}
                            />
                        ))}
                    </Choices>
                    {draft.grant_types.includes("authorization_code") && (
                        <Lines
                            label="Redirect addresses"
                            hint="Where people are sent back to, one a line, word for word: https, a loopback address, or a scheme of its own."
                            placeholder="https://reports.acme.example/callback"
                            required
                            value={draft.redirect_uris}
                            onValue={(redirect_uris) => set({ redirect_uris })}
                            error={of("redirect_uris") ?? of("redirect_uris[0]")}
                        />
                    )}
                </div>
            </Card>
            <Card title="What it may ask for">
                <div className="stack">
                    <ScopeChoice scopes={draft.scopes} onScopes={(scopes) => set({ scopes })} error={of("scopes")} />
                    <Check
                        label="Members are not asked"
                        hint="An administrator agrees for everybody, as long as what it asks for only reads."
                        checked={draft.preapproved}
                        onChange={(event) => set({ preapproved: event.target.checked })}
                    />
                </div>
            </Card>
            <details className="card pad">
                <summary style={{ cursor: "pointer", fontWeight: 560 }}>More settings</summary>
                <div className="stack" style={{ marginTop: 12 }}>
                    <Lines
                        label="Addresses after a sign-out (optional)"
                        hint="Where browsers may go after a sign-out that it began."
                        value={draft.post_logout_redirect_uris}
                        onValue={(post_logout_redirect_uris) => set({ post_logout_redirect_uris })}
                        error={of("post_logout_redirect_uris")}
                    />
                    <Lines
                        label="Other servers (optional)"
                        hint="That its tokens may be meant for, beside this one."
                        value={draft.resources}
                        onValue={(resources) => set({ resources })}
                        error={of("resources")}
                    />
                </div>
            </details>
        </>
    );
}

function Choices({
    legend,
    isHidden,
    error,
    children,
}: {
    legend: string;
    isHidden?: boolean;
    error?: string;
    children: ReactNode;
}) {
    return (
        <fieldset style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}>
            <legend className={isHidden ? "visually-hidden" : "label"} style={{ padding: 0 }}>
                {legend}
            </legend>
            {children}
            {error && (
                <div className="field">
                    <span className="wrong" role="alert">
                        {error}
                    </span>
                </div>
            )}
        </fieldset>
    );
}

/** Several texts, one a line. What is typed stays as it is until it is left. */
function Lines({
    value,
    onValue,
    label,
    hint,
    error,
    ...rest
}: {
    label: string;
    hint: string;
    value: string[];
    onValue: (value: string[]) => void;
    error?: string;
    placeholder?: string;
    required?: boolean;
}) {
    const [text, setText] = useState(value.join("\n"));
    return (
        <Field label={label} hint={hint} error={error}>
            {(props) => (
                <textarea
                    {...rest}
                    {...props}
                    className="mono"
                    rows={2}
                    spellCheck={false}
                    value={text}
                    onChange={(event) => {
                        setText(event.target.value);
                        onValue(
                            event.target.value
                                .split("\n")
                                .map((line) => line.trim())
                                .filter(Boolean),
                        );
                    }}
                />
            )}
        </Field>
    );
}

function ScopeChoice({
    scopes,
    onScopes,
    error,
}: {
    scopes: string[];
    onScopes: (scopes: string[]) => void;
    error?: string;
}) {
    const isBroad = (scope: string) => SCOPES.some(([name]) => name === scope);
    const permissions = scopes.filter((scope) => !isBroad(scope));
    return (
        <Choices legend="Scopes" isHidden error={error}>
            {SCOPES.map(([scope, sentence]) => (
                <Check
                    key={scope}
                    label={<code>{scope}</code>}
                    hint={sentence}
                    checked={scopes.includes(scope)}
                    onChange={(event) =>
                        onScopes(event.target.checked ? [...scopes, scope] : scopes.filter((each) => each !== scope))
                    }
                />
            ))}
            <details open={permissions.length > 0}>
                <summary style={{ cursor: "pointer", padding: "6px 0" }}>
                    Single permissions {permissions.length > 0 && `(${permissions.length})`}
                </summary>
                <Picker held={permissions} onHeld={(held) => onScopes([...scopes.filter(isBroad), ...held])} />
            </details>
        </Choices>
    );
}

export function ApplicationPage() {
    const { id: written } = useParams({ strict: false }) as { id: string };
    const organization = useOrganization();
    const path = { org_id: organization, app_id: Number(written) };
    const may = useMay();
    const me = useMe();
    const navigate = useNavigate();
    const [asking, setAsking] = useState<"suspend" | "delete" | "take over">();
    const application = useQuery({
        queryKey: ["application", path.app_id],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/oauth-applications/{app_id}", { params: { path } })),
    });
    const one = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}";
    const changed = async () => {
        await queries.invalidateQueries({ queryKey: ["application"] });
        await queries.invalidateQueries({ queryKey: ["applications"] });
        await queries.invalidateQueries({ queryKey: ["secrets"] });
    };
    const resume = useAction(() => read(api.PATCH(one, { params: { path }, body: { status: "active" } })), {
        done: "It is let in again. The tokens that it had stay void.",
        changes: [["application"], ["applications"]],
    });
    const data = application.data;
    const isMine = data?.responsible_user_id === me.data?.user.id;
    const mayManage = may("oauth_app.manage");
    return (
        <Page
            title={data?.name ?? "Application"}
            lead={data?.description}
            crumbs={<Crumbs />}
            narrow
            actions={
                data &&
                mayManage && (
                    <>
                        {data.status === "active" ? (
                            <Button onClick={() => setAsking("suspend")}>Suspend…</Button>
                        ) : (
                            <Button kind="primary" busy={resume.busy} onClick={() => resume.start(undefined)}>
                                Let it in again
                            </Button>
                        )}
                        <ActionMenu
                            label="More"
                            choices={[{ label: "Delete…", danger: true, run: () => setAsking("delete") }]}
                        >
                            <MoreHorizontal size={16} />
                        </ActionMenu>
                    </>
                )
            }
        >
            <Loaded query={application}>
                {(loaded) => (
                    <>
                        <Card>
                            <div className="stack">
                                <div className="stack tight">
                                    <span className="label">Client ID</span>
                                    <Copyable text={loaded.client_id} label="client ID" />
                                </div>
                                <Facts
                                    of={[
                                        ["State", <State key="state" of={loaded} />],
                                        ["Kind", loaded.client_type === "public" ? "Public" : "Confidential"],
                                        ["Registered", <When key="at" at={loaded.created_at} />],
                                        ["Last used", <When key="used" at={loaded.last_used_at} />],
                                        [
                                            "Answers for it",
                                            isMine ? (
                                                "You"
                                            ) : (
                                                <Link
                                                    key="who"
                                                    to="/people/$id"
                                                    params={{ id: String(loaded.responsible_user_id) }}
                                                >
                                                    Another administrator
                                                </Link>
                                            ),
                                        ],
                                    ]}
                                />
                                {!isMine && mayManage && me.data && (
                                    <Note>
                                        <div className="row apart">
                                            <span className="grow">
                                                Only who answers for it gives out its secrets and lets it ask for more.
                                            </span>
                                            <Button small onClick={() => setAsking("take over")}>
                                                Answer for it…
                                            </Button>
                                        </div>
                                    </Note>
                                )}
                            </div>
                        </Card>
                        {loaded.client_type === "confidential" && !loaded.jwks && mayManage && (
                            <Secrets path={path} name={loaded.name} />
                        )}
                        {mayManage ? (
                            <Editing
                                key={JSON.stringify({ ...loaded, status: null, last_used_at: null })}
                                application={loaded}
                                path={path}
                            />
                        ) : (
                            <Card title="What it may ask for">
                                <span className="row">
                                    {loaded.scopes.map((scope) => (
                                        <Badge key={scope}>{scope}</Badge>
                                    ))}
                                </span>
                            </Card>
                        )}
                    </>
                )}
            </Loaded>
            {asking === "suspend" && data && (
                <Confirm
                    title={`Suspend ${data.name}?`}
                    action="Suspend"
                    onClose={() => setAsking(undefined)}
                    onConfirm={async () => {
                        await proved(() => read(api.POST(`${one}/revoke`, { params: { path } })));
                        await changed();
                    }}
                >
                    <p>All of its tokens are void at once, and stay so when it is let in again.</p>
                </Confirm>
            )}
            {asking === "delete" && data && (
                <Confirm
                    title={`Delete ${data.name}?`}
                    action="Delete"
                    word={data.name}
                    onClose={() => setAsking(undefined)}
                    onConfirm={async () => {
                        await proved(() => read(api.DELETE(one, { params: { path } })));
                        // The list that was known still has it.
                        queries.removeQueries({ queryKey: ["applications"] });
                        void navigate({ to: "/organization/applications" });
                    }}
                >
                    <p>Whoever signs in with it is shut out at once. It cannot be restored.</p>
                </Confirm>
            )}
            {asking === "take over" && data && (
                <Confirm
                    title={`Answer for ${data.name}?`}
                    action="Answer for it"
                    onClose={() => setAsking(undefined)}
                    onConfirm={async () => {
                        await proved(() => read(api.PATCH(one, { params: { path }, body: { take_over: true } })));
                        await changed();
                    }}
                >
                    <p>
                        Where nobody is there it acts for you then. Its secrets and tokens are void, because others know
                        them.
                    </p>
                </Confirm>
            )}
        </Page>
    );
}

type Path = { org_id: number; app_id: number };

function Secrets({ path, name }: { path: Path; name: string }) {
    const [shown, setShown] = useState<string>();
    const [adding, setAdding] = useState(false);
    const [replacing, setReplacing] = useState(false);
    const [days, setDays] = useState("");
    const all = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets";
    const secrets = useQuery({
        queryKey: ["secrets", path.app_id],
        queryFn: () => read(api.GET(all, { params: { path } })),
    });
    const add = useAction(
        () =>
            read(
                api.POST(all, {
                    params: { path },
                    body: { expires_in_days: days ? Number(days) : undefined },
                }),
            ),
        {
            changes: [["secrets"]],
            inline: true,
            onDone: (made) => {
                setShown(made.client_secret);
                setAdding(false);
            },
        },
    );
    const remove = useAction(
        (secret: number) => read(api.DELETE(`${all}/{secret}`, { params: { path: { ...path, secret } } })),
        { done: "Removed. What proves itself by it is refused now.", changes: [["secrets"]] },
    );
    return (
        <Card
            title="Secrets"
            actions={
                <>
                    <Button small onClick={() => setReplacing(true)}>
                        Replace all…
                    </Button>
                    <Button small onClick={() => setAdding(true)}>
                        Add a secret…
                    </Button>
                </>
            }
            flush
        >
            {shown && (
                <div style={{ padding: "14px 18px 0" }}>
                    <Secret secret={shown} of={name} />
                </div>
            )}
            <Loaded query={secrets} lines={2}>
                {(data) =>
                    data.secrets.length === 0 ? (
                        <Empty title="No secret">It cannot prove who it is until it has one.</Empty>
                    ) : (
                        <ul className="list">
                            {data.secrets.map((secret) => (
                                <li key={secret.id}>
                                    <code>{secret.prefix}…</code>
                                    <span className="grow small soft">
                                        Added <When at={secret.created_at} />, good{" "}
                                        {secret.expires_at ? (
                                            <>
                                                until <When at={secret.expires_at} />
                                            </>
                                        ) : (
                                            "until it is removed"
                                        )}
                                    </span>
                                    <Button
                                        small
                                        kind="danger"
                                        disabled={remove.busy}
                                        aria-label={`Remove ${secret.prefix}`}
                                        onClick={() => remove.start(secret.id)}
                                    >
                                        Remove
                                    </Button>
                                </li>
                            ))}
                        </ul>
                    )
                }
            </Loaded>
            {adding && (
                <Dialog title="Add a secret" onClose={() => setAdding(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void add.start(undefined);
                        }}
                    >
                        <p className="soft">
                            Those that it has stay good: give it the new one, then remove the old one.
                        </p>
                        <SelectField
                            label="Good for"
                            value={days}
                            onValue={setDays}
                            options={[
                                ["", "Until it is removed"],
                                ["90", "90 days"],
                                ["180", "180 days"],
                                ["365", "A year"],
                            ]}
                            error={add.of("expires_in_days")}
                        />
                        {add.error !== undefined && <Problem error={add.error} />}
                        <div className="form-end">
                            <Button onClick={() => setAdding(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={add.busy}>
                                Add
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
            {replacing && (
                <Confirm
                    title="Replace all secrets?"
                    action="Replace"
                    onClose={() => setReplacing(false)}
                    onConfirm={async () => {
                        const made = await proved(() =>
                            read(
                                api.POST(
                                    "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/regenerate-secret",
                                    { params: { path } },
                                ),
                            ),
                        );
                        setShown(made.client_secret);
                        await queries.invalidateQueries({ queryKey: ["secrets"] });
                    }}
                >
                    <p>
                        Its secrets and all of its tokens are void at once. To change a secret without a gap, add one.
                    </p>
                </Confirm>
            )}
        </Card>
    );
}

function Editing({ application, path }: { application: Application; path: Path }) {
    const first: Draft = { ...application, description: application.description ?? "" };
    const [draft, setDraft] = useState(first);
    // Only what has changed is sent: some of it is for who answers for the application alone.
    const changes = Object.fromEntries(
        Object.keys(BLANK)
            .map((key) => key as keyof Draft)
            .filter((key) => JSON.stringify(draft[key]) !== JSON.stringify(first[key]))
            .map((key) => [key, key === "description" ? draft.description || null : draft[key]]),
    );
    const touched = Object.keys(changes).length > 0;
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/oauth-applications/{app_id}", {
                    params: { path },
                    body: changes,
                }),
            ),
        { done: "Saved.", changes: [["application"], ["applications"]], inline: true },
    );
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <Fields draft={draft} onDraft={setDraft} of={save.of} />
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            <div className="form-end">
                <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                    Save
                </Button>
            </div>
        </form>
    );
}

function Policy() {
    const id = useOrganization();
    const policy = useQuery({
        queryKey: ["oauth-policy", id],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/oauth-policy", { params: { path: { org_id: id } } })),
    });
    return <Loaded query={policy}>{(data) => <PolicyForm key={data.updated_at} policy={data} />}</Loaded>;
}

function PolicyForm({ policy }: { policy: Schemas["OauthPolicy"] }) {
    const may = useMay();
    const id = useOrganization();
    const [applications, setApplications] = useState(policy.applications);
    const [scopes, setScopes] = useState<string[] | undefined>(policy.scopes ?? undefined);
    const touched =
        applications !== policy.applications || JSON.stringify(scopes) !== JSON.stringify(policy.scopes ?? undefined);
    const save = useAction(
        () =>
            read(
                api.PUT("/api/v1/organizations/{org_id}/oauth-policy", {
                    params: { path: { org_id: id } },
                    body: { applications, scopes },
                }),
            ),
        { done: "Saved; it holds at once.", changes: [["oauth-policy"]], inline: true },
    );
    return (
        <form
            className="stack"
            style={{ maxWidth: 760 }}
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <fieldset
                disabled={!may("oauth_app.manage")}
                className="stack"
                style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}
            >
                <legend className="visually-hidden">What members may allow</legend>
                <Card title="Which applications may act for members">
                    <Check
                        type="radio"
                        name="applications"
                        label="All that are registered"
                        checked={applications === "all"}
                        onChange={() => setApplications("all")}
                    />
                    <Check
                        type="radio"
                        name="applications"
                        label="Only those that are preapproved"
                        checked={applications === "preapproved"}
                        onChange={() => setApplications("preapproved")}
                    />
                </Card>
                <Card title="With which scopes">
                    <Check
                        type="radio"
                        name="scopes"
                        label="All that an application is registered with"
                        checked={scopes === undefined}
                        onChange={() => setScopes(undefined)}
                    />
                    <Check
                        type="radio"
                        name="scopes"
                        label="At most these"
                        checked={scopes !== undefined}
                        onChange={() => setScopes(["read"])}
                    />
                    {scopes && (
                        <div style={{ paddingLeft: 26 }}>
                            <ScopeChoice scopes={scopes} onScopes={setScopes} error={save.of("scopes")} />
                        </div>
                    )}
                </Card>
            </fieldset>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            {may("oauth_app.manage") && (
                <div className="form-end">
                    <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                        Save
                    </Button>
                </div>
            )}
        </form>
    );
}
