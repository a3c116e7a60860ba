// The organization itself: its settings, its mail domains, its workspaces, the tokens that members hold for it, its end.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { queries } from "../queries";
import { session } from "../session";
import { useMay, useOrganization } from "../standing";
import { proved, useAction } from "../ui/action";
import {
    Badge,
    Button,
    Card,
    Check,
    Copyable,
    Empty,
    Field,
    Filter,
    Note,
    Page,
    Problem,
    SelectField,
    Status,
    TextField,
    When,
} from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { Unsaved } from "../ui/unsaved";
import { useRoles } from "./people";

export function OrganizationPage() {
    const may = useMay();
    const id = useOrganization();
    const { tab = "general" } = useSearch({ strict: false }) as { tab?: string };
    const path = { org_id: id };
    const organization = useQuery({
        queryKey: ["organization", id],
        queryFn: () => read(api.GET("/api/v1/organizations/{org_id}", { params: { path } })),
    });
    const settings = useQuery({
        queryKey: ["settings", id],
        enabled: may("organization.update"),
        queryFn: () => read(api.GET("/api/v1/organizations/{org_id}/settings", { params: { path } })),
    });
    const data = organization.data?.organization;
    return (
        <Page title={data?.name ?? "Organization"} lead="How people sign in here, from where, and for how long." narrow>
            <nav className="tabs" aria-label="Parts">
                {[
                    ["general", "General"],
                    ["domains", "Mail domains"],
                    ["security", "Security"],
                ].map(([key, label]) => (
                    <Link
                        key={key}
                        to="/organization"
                        search={{ tab: key }}
                        className={tab === key ? "active" : ""}
                        aria-current={tab === key ? "page" : undefined}
                    >
                        {label}
                    </Link>
                ))}
            </nav>
            {tab === "general" && (
                <Loaded query={organization}>
                    {({ organization: loaded }) => <General key={loaded.name} name={loaded.name} id={id} />}
                </Loaded>
            )}
            {tab === "domains" && <Domains />}
            {tab === "security" &&
                (may("organization.update") ? (
                    <Loaded query={settings}>
                        {(loaded) => <Settings key={loaded.version} settings={loaded.settings as unknown as Values} />}
                    </Loaded>
                ) : (
                    <Note>Only administrators see these.</Note>
                ))}
        </Page>
    );
}

function General({ name: first, id }: { name: string; id: number }) {
    const may = useMay();
    const [name, setName] = useState(first);
    const [deleting, setDeleting] = useState(false);
    const save = useAction(
        () => read(api.PATCH("/api/v1/organizations/{org_id}", { params: { path: { org_id: id } }, body: { name } })),
        { done: "Saved.", changes: [["organization", id], ["me"]], inline: true },
    );
    return (
        <div className="stack">
            <Card title="Name">
                <form
                    className="row"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void save.start(undefined);
                    }}
                >
                    <div className="grow">
                        <input
                            type="text"
                            aria-label="Name"
                            value={name}
                            disabled={!may("organization.update")}
                            onChange={(event) => setName(event.target.value)}
                        />
                    </div>
                    {may("organization.update") && (
                        <Button type="submit" kind="primary" busy={save.busy} disabled={name === first}>
                            Save
                        </Button>
                    )}
                </form>
                {save.error !== undefined && <Problem error={save.error} />}
            </Card>
            {may("organization.delete") && (
                <Card title="Delete the organization">
                    <div className="row apart">
                        <p className="soft">Its sources, files, policies and records go with it.</p>
                        <Button kind="danger" onClick={() => setDeleting(true)}>
                            Delete…
                        </Button>
                    </div>
                </Card>
            )}
            {deleting && (
                <Confirm
                    title={`Delete ${first}?`}
                    word={first}
                    action="Delete"
                    onClose={() => setDeleting(false)}
                    onConfirm={async () => {
                        await proved(() =>
                            read(
                                api.DELETE("/api/v1/organizations/{org_id}", {
                                    params: { path: { org_id: id } },
                                    body: { confirm_name: first },
                                }),
                            ),
                        );
                        session.end();
                    }}
                >
                    <p>Everybody loses it at once.</p>
                </Confirm>
            )}
        </div>
    );
}

function Domains() {
    const may = useMay();
    const id = useOrganization();
    const [domain, setDomain] = useState("");
    const path = { org_id: id };
    const changes = [["domains", id]];
    const domains = useQuery({
        queryKey: ["domains", id],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/domains", { params: { path, query: { limit: 100 } } })),
    });
    const add = useAction(
        () => read(api.POST("/api/v1/organizations/{org_id}/domains", { params: { path }, body: { domain } })),
        { done: "Now publish its record.", changes, inline: true, onDone: () => setDomain("") },
    );
    const verify = useAction(
        (each: number) =>
            read(
                api.POST("/api/v1/organizations/{org_id}/domains/{domain_id}/verify", {
                    params: { path: { ...path, domain_id: each } },
                }),
            ),
        { done: "Looked it up.", changes },
    );
    const join = useAction(
        (each: Schemas["Domain"]) =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/domains/{domain_id}", {
                    params: { path: { ...path, domain_id: each.id } },
                    body: { auto_join: !each.auto_join },
                }),
            ),
        { done: "Saved.", changes },
    );
    const remove = useAction(
        (each: number) =>
            read(
                api.DELETE("/api/v1/organizations/{org_id}/domains/{domain_id}", {
                    params: { path: { ...path, domain_id: each } },
                }),
            ),
        { done: "Given up.", changes },
    );
    return (
        <div className="stack">
            <Loaded query={domains}>
                {(data) =>
                    data.domains.length === 0 ? (
                        <div className="card">
                            <Empty title="No mail domain">
                                Prove that one is yours, and its people can sign in at your identity provider, or join
                                by themselves.
                            </Empty>
                        </div>
                    ) : (
                        data.domains.map((each) => (
                            <Card key={each.id} title={each.domain} actions={<Status value={each.status} />}>
                                <div className="stack tight">
                                    {each.status === "verified" ? (
                                        <Check
                                            label="People of this domain may join by themselves"
                                            checked={each.auto_join}
                                            disabled={!may("organization.update")}
                                            onChange={() => join.start(each)}
                                        />
                                    ) : (
                                        <>
                                            <p className="soft">
                                                Publish this {each.record.type} record, then have it looked up.
                                            </p>
                                            <span className="label">Name</span>
                                            <Copyable text={each.record.name} label="name" />
                                            <span className="label">Value</span>
                                            <Copyable text={each.record.value} label="value" />
                                        </>
                                    )}
                                    {may("organization.update") && (
                                        <div className="form-end">
                                            <Button kind="danger" onClick={() => remove.start(each.id)}>
                                                Give up
                                            </Button>
                                            {each.status !== "verified" && (
                                                <Button
                                                    kind="primary"
                                                    busy={verify.busy}
                                                    onClick={() => verify.start(each.id)}
                                                >
                                                    Look it up
                                                </Button>
                                            )}
                                        </div>
                                    )}
                                </div>
                            </Card>
                        ))
                    )
                }
            </Loaded>
            {may("organization.update") && (
                <Card title="Claim a domain">
                    <form
                        className="row"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void add.start(undefined);
                        }}
                    >
                        <div className="grow">
                            <input
                                type="text"
                                aria-label="Domain"
                                placeholder="acme.example"
                                required
                                value={domain}
                                onChange={(event) => setDomain(event.target.value)}
                            />
                        </div>
                        <Button type="submit" busy={add.busy}>
                            Claim
                        </Button>
                    </form>
                    {add.error !== undefined && <Problem error={add.error} />}
                </Card>
            )}
        </div>
    );
}

type Values = Record<string, unknown> & { password_policy: Record<string, unknown> };

function Settings({ settings }: { settings: Values }) {
    const id = useOrganization();
    const roles = useRoles();
    const [changed, setChanged] = useState<Record<string, unknown>>({});
    const value = (name: string) => (name in changed ? changed[name] : settings[name]);
    const set = (name: string, next: unknown) => setChanged({ ...changed, [name]: next });
    const password = { ...settings.password_policy, ...(changed.password_policy as object | undefined) } as Record<
        string,
        unknown
    >;
    const setPassword = (name: string, next: unknown) => set("password_policy", { ...password, [name]: next });
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/settings", {
                    params: { path: { org_id: id } },
                    body: { settings: changed as never },
                }),
            ),
        { done: "Saved.", changes: [["settings", id]], inline: true, onDone: () => setChanged({}) },
    );
    const touched = Object.keys(changed).length > 0;
    const number = (name: string, label: string, hint?: string) => (
        <TextField
            label={label}
            hint={hint}
            type="number"
            min={0}
            value={String(value(name) ?? "")}
            onValue={(text) => set(name, text === "" ? null : Number(text))}
            error={save.of(`settings.${name}`) ?? save.of(name)}
        />
    );
    const flag = (name: string, label: string, hint?: string) => (
        <Check
            label={label}
            hint={hint}
            checked={Boolean(value(name))}
            onChange={(event) => set(name, event.target.checked)}
        />
    );
    const list = (name: string, label: string, hint: string) => (
        <Field label={label} hint={hint} error={save.of(`settings.${name}`)}>
            {(props) => (
                <textarea
                    {...props}
                    className="mono"
                    spellCheck={false}
                    value={((value(name) as string[] | null) ?? []).join("\n")}
                    onChange={(event) =>
                        set(
                            name,
                            event.target.value
                                .split("\n")
                                .map((line) => line.trim())
                                .filter(Boolean),
                        )
                    }
                />
            )}
        </Field>
    );
    const rule = (name: string, label: string) => (
        <Check
            label={label}
            checked={Boolean(password[name])}
            onChange={(event) => setPassword(name, event.target.checked)}
        />
    );
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <Card title="Proofs">
                <div className="stack">
                    {flag(
                        "mfa_required",
                        "A second factor is required",
                        "Nothing of the organization is open to a session without one.",
                    )}
                    <div className="form-grid">
                        {number("mfa_grace_days", "Days of grace")}
                        {number("trusted_device_days", "Days that a device may be trusted", "0 forbids it.")}
                    </div>
                </div>
            </Card>
            <Card title="Passwords">
                <div className="stack">
                    <div className="form-grid">
                        <TextField
                            label="Characters at least"
                            type="number"
                            min={8}
                            value={String(password.min_length ?? "")}
                            onValue={(text) => setPassword("min_length", Number(text))}
                        />
                        <TextField
                            label="Strength at least (0 to 4)"
                            type="number"
                            min={0}
                            max={4}
                            value={String(password.min_score ?? "")}
                            onValue={(text) => setPassword("min_score", Number(text))}
                        />
                        <TextField
                            label="Earlier ones that may not come back"
                            type="number"
                            min={0}
                            value={String(password.history ?? "")}
                            onValue={(text) => setPassword("history", Number(text))}
                        />
                        <TextField
                            label="Days until it must change"
                            type="number"
                            min={0}
                            hint="Empty for never."
                            value={String(password.max_age_days ?? "")}
                            onValue={(text) => setPassword("max_age_days", text === "" ? null : Number(text))}
                        />
                    </div>
                    <div>
                        {rule("require_upper", "Upper case")}
                        {rule("require_lower", "Lower case")}
                        {rule("require_digit", "A digit")}
                        {rule("require_symbol", "A symbol")}
                        {rule("reject_breached", "None that is known from breaches")}
                    </div>
                </div>
            </Card>
            <Card title="Sessions and tokens">
                <div className="form-grid">
                    {number(
                        "session_idle_timeout_minutes",
                        "Minutes without use until a session ends",
                        "Empty: the server's.",
                    )}
                    {number("session_max_lifetime_minutes", "Minutes until a session ends at all")}
                    {number("access_token_expire_minutes", "Minutes that an access token lives")}
                    {number("max_token_lifetime_days", "Days that personal tokens live at most")}
                    {number("max_file_link_minutes", "Minutes that links to files live at most")}
                </div>
            </Card>
            <Card title="From where, and who">
                <div className="form-grid">
                    {list(
                        "allowed_networks",
                        "Networks that requests may come from",
                        "One a line: 10.0.0.0/8. Empty: from anywhere.",
                    )}
                    {list("allowed_email_domains", "Mail domains that may be invited", "One a line. Empty: all.")}
                    {number("invitation_expiry_days", "Days that an invitation is good")}
                    <SelectField
                        label="Role of new members"
                        value={String(value("default_role_id") ?? "")}
                        onValue={(next) => set("default_role_id", next ? Number(next) : null)}
                        options={[
                            ["", "Viewer"],
                            ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                        ]}
                    />
                    <div className="span">
                        {flag("allow_public_workspaces", "Workspaces may be open to the whole organization")}
                    </div>
                </div>
            </Card>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            <div className="form-end">
                <Button disabled={!touched} onClick={() => setChanged({})}>
                    Undo
                </Button>
                <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                    Save
                </Button>
            </div>
        </form>
    );
}

export function WorkspacesPage() {
    const may = useMay();
    const id = useOrganization();
    const [making, setMaking] = useState(false);
    const [name, setName] = useState("");
    const changes = [["rooms", id], ["workspaces"]];
    const make = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/workspaces", {
                    params: { path: { org_id: id } },
                    body: { name },
                }),
            ),
        {
            done: "Made.",
            changes,
            inline: true,
            onDone: () => {
                setMaking(false);
                setName("");
            },
        },
    );
    const first = useAction(
        (room: number) =>
            read(
                api.POST("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/default", {
                    params: { path: { org_id: id, workspace_id: room } },
                }),
            ),
        { done: "It is the default now.", changes },
    );
    return (
        <Page
            title="Workspaces"
            lead="Rooms of their own inside the organization: sources, files and roles can be bound to one."
            actions={
                may("workspace.create") && (
                    <Button kind="primary" icon={<Plus size={16} />} onClick={() => setMaking(true)}>
                        New workspace
                    </Button>
                )
            }
        >
            <List
                name="Workspaces"
                of={["rooms", id]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/organizations/{org_id}/workspaces", {
                            params: { path: { org_id: id }, query: { skip, limit: size } },
                        }),
                    );
                    return { items: answer.workspaces, total: answer.total_count };
                }}
                id={(room) => room.id}
                columns={[
                    {
                        head: "Name",
                        cell: (room) => (
                            <span className="row">
                                <Link className="strong" to="/workspaces/$id" params={{ id: String(room.id) }}>
                                    {room.name}
                                </Link>
                                {room.is_default && <Badge tone="accent">Default</Badge>}
                            </span>
                        ),
                    },
                    { head: "Short name", cell: (room) => <code>{room.slug}</code> },
                    may("workspace.write") && {
                        head: "",
                        cell: (room) =>
                            !room.is_default && (
                                <Button small onClick={() => first.start(room.id)}>
                                    Make it the default
                                </Button>
                            ),
                    },
                ]}
                empty={<Empty title="No workspace" />}
            />
            {making && (
                <Dialog title="New workspace" onClose={() => setMaking(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void make.start(undefined);
                        }}
                    >
                        <TextField
                            label="Name"
                            required
                            value={name}
                            onValue={setName}
                            autoFocus
                            error={make.of("name")}
                        />
                        {make.error !== undefined && <Problem error={make.error} />}
                        <div className="form-end">
                            <Button onClick={() => setMaking(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={make.busy}>
                                Make it
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
        </Page>
    );
}

export function WorkspacePage() {
    const { id } = useParams({ strict: false }) as { id: string };
    const may = useMay();
    const navigate = useNavigate();
    const organization = useOrganization();
    const roles = useRoles();
    const path = { org_id: organization, workspace_id: Number(id) };
    const room = useQuery({
        queryKey: ["room", id],
        queryFn: () => read(api.GET("/api/v1/organizations/{org_id}/workspaces/{workspace_id}", { params: { path } })),
    });
    const people = useQuery({
        queryKey: ["people", "all"],
        queryFn: () => read(api.GET("/api/v1/users", { params: { query: { limit: 100 } } })),
    });
    const [name, setName] = useState<string>();
    const [person, setPerson] = useState("");
    const [deleting, setDeleting] = useState(false);
    const changes = [["room", id], ["rooms"], ["room-members", id], ["workspaces"]];
    const data = room.data?.workspace;
    const save = useAction(
        (body: Schemas["PatchWorkspaceRequest"]) =>
            read(api.PATCH("/api/v1/organizations/{org_id}/workspaces/{workspace_id}", { params: { path }, body })),
        { done: "Saved.", changes, onDone: () => setName(undefined) },
    );
    const copy = useAction(
        () =>
            read(
                api.POST("/api/v1/workspaces/{workspace_id}/clone", {
                    params: { path: { workspace_id: Number(id) } },
                    body: { name: `${data?.name} (copy)`, copy_members: true, copy_settings: true },
                }),
            ),
        { done: "Copied.", changes, onDone: () => void navigate({ to: "/workspaces" }) },
    );
    const add = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members", {
                    params: { path },
                    body: { user_id: Number(person) },
                }),
            ),
        { done: "Let in.", changes },
    );
    const change = useAction(
        (next: { user: number; role: number }) =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}", {
                    params: { path: { ...path, user_id: next.user } },
                    body: { role_id: next.role },
                }),
            ),
        { done: "Changed.", changes },
    );
    const remove = useAction(
        (user: number) =>
            read(
                api.DELETE("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}", {
                    params: { path: { ...path, user_id: user } },
                }),
            ),
        { done: "Taken out.", changes },
    );
    return (
        <Page
            title={data?.name ?? "Workspace"}
            crumbs={<Link to="/workspaces">Workspaces</Link>}
            narrow
            actions={
                may("workspace.create") && (
                    <Button busy={copy.busy} onClick={() => copy.start(undefined)}>
                        Copy it
                    </Button>
                )
            }
        >
            <Loaded query={room}>
                {({ workspace: loaded }) => (
                    <>
                        <Card title="General">
                            <div className="stack">
                                <form
                                    className="row"
                                    onSubmit={(event) => {
                                        event.preventDefault();
                                        void save.start({ name });
                                    }}
                                >
                                    <div className="grow">
                                        <input
                                            type="text"
                                            aria-label="Name"
                                            value={name ?? loaded.name}
                                            disabled={!may("workspace.write")}
                                            onChange={(event) => setName(event.target.value)}
                                        />
                                    </div>
                                    {may("workspace.write") && (
                                        <Button
                                            type="submit"
                                            kind="primary"
                                            disabled={name === undefined}
                                            busy={save.busy}
                                        >
                                            Save
                                        </Button>
                                    )}
                                </form>
                                <Check
                                    label="Open to the whole organization"
                                    hint="Everybody in it may come in, with the role below."
                                    checked={Boolean(loaded.settings.allow_public_access)}
                                    disabled={!may("workspace.write")}
                                    onChange={(event) =>
                                        save.start({ settings: { allow_public_access: event.target.checked } })
                                    }
                                />
                                <SelectField
                                    label="Role of people who come in so"
                                    value={String(loaded.settings.default_role_id ?? "")}
                                    disabled={!may("workspace.write")}
                                    onValue={(value) =>
                                        save.start({ settings: { default_role_id: value ? Number(value) : undefined } })
                                    }
                                    options={[
                                        ["", "The organization's default"],
                                        ...(roles.data?.roles ?? []).map(
                                            (each) => [String(each.id), each.name] as const,
                                        ),
                                    ]}
                                />
                            </div>
                        </Card>
                        <h2>People</h2>
                        <List
                            name="People of the workspace"
                            of={["room-members", id]}
                            filters={
                                may("workspace.write") && (
                                    <>
                                        <Filter
                                            label="Person"
                                            value={person}
                                            onValue={setPerson}
                                            options={[
                                                ["", "Let somebody in…"],
                                                ...(people.data?.users ?? []).map(
                                                    (each) =>
                                                        [String(each.id), each.display_name || each.email] as const,
                                                ),
                                            ]}
                                        />
                                        <Button
                                            small
                                            disabled={!person}
                                            busy={add.busy}
                                            onClick={() => add.start(undefined)}
                                        >
                                            Let in
                                        </Button>
                                    </>
                                )
                            }
                            load={async ({ skip, size }) => {
                                const answer = await read(
                                    api.GET("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members", {
                                        params: { path, query: { skip, limit: size } },
                                    }),
                                );
                                return { items: answer.members, total: answer.total_count };
                            }}
                            id={(member) => member.user_id}
                            columns={[
                                {
                                    head: "Person",
                                    cell: (member) => (
                                        <Link
                                            className="strong"
                                            to="/people/$id"
                                            params={{ id: String(member.user_id) }}
                                        >
                                            {member.display_name ?? member.email}
                                        </Link>
                                    ),
                                },
                                {
                                    head: "Role",
                                    cell: (member) => (
                                        <Filter
                                            label={`Role of ${member.email}`}
                                            value={String(member.role.id)}
                                            onValue={(value) =>
                                                void change.start({ user: member.user_id, role: Number(value) })
                                            }
                                            options={(roles.data?.roles ?? [member.role]).map(
                                                (each) => [String(each.id), each.name] as const,
                                            )}
                                        />
                                    ),
                                },
                                may("workspace.write") && {
                                    head: "",
                                    cell: (member) => (
                                        <Button small kind="danger" onClick={() => remove.start(member.user_id)}>
                                            Take out
                                        </Button>
                                    ),
                                },
                            ]}
                            empty={
                                <Empty title="Nobody by name">
                                    People whose role holds in the whole organization are here all the same.
                                </Empty>
                            }
                        />
                        {may("workspace.delete") && !loaded.is_default && (
                            <Card title="Delete">
                                <div className="row apart">
                                    <p className="soft">What is bound to it goes with it.</p>
                                    <Button kind="danger" onClick={() => setDeleting(true)}>
                                        Delete…
                                    </Button>
                                </div>
                            </Card>
                        )}
                        {deleting && (
                            <Confirm
                                title={`Delete ${loaded.name}?`}
                                word={loaded.name}
                                action="Delete"
                                onClose={() => setDeleting(false)}
                                onConfirm={async () => {
                                    await read(
                                        api.DELETE("/api/v1/organizations/{org_id}/workspaces/{workspace_id}", {
                                            params: { path },
                                        }),
                                    );
                                    void queries.invalidateQueries({ queryKey: ["workspaces"] });
                                    void navigate({ to: "/workspaces" });
                                }}
                            >
                                <p>This cannot be undone.</p>
                            </Confirm>
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}

export function OrganizationTokens() {
    const may = useMay();
    const id = useOrganization();
    const path = { org_id: id };
    const [state, setState] = useState("active");
    const revoke = useAction(
        (token: number) =>
            read(
                api.DELETE("/api/v1/organizations/{org_id}/tokens/{token_id}", {
                    params: { path: { ...path, token_id: token } },
                }),
            ),
        { done: "Revoked.", changes: [["tokens", id]] },
    );
    return (
        <Page
            title="Tokens"
            lead="What members hold for programs that act in this organization. Your own are in your account."
            actions={
                <Link className="button" to="/me/tokens">
                    My tokens
                </Link>
            }
        >
            <List
                name="Tokens"
                of={["tokens", id, state]}
                filters={
                    <Filter
                        label="State"
                        value={state}
                        onValue={setState}
                        options={[
                            ["active", "In use"],
                            ["", "All"],
                        ]}
                    />
                }
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/organizations/{org_id}/tokens", {
                            params: { path, query: { skip, limit: size, is_active: state === "active" || undefined } },
                        }),
                    );
                    return { items: answer.tokens, total: answer.total_count };
                }}
                id={(token) => token.id}
                columns={[
                    {
                        head: "Name",
                        cell: (token) => (
                            <>
                                <b className="strong">{token.name}</b>
                                <div className="small soft mono">{token.token_prefix}…</div>
                            </>
                        ),
                    },
                    {
                        head: "Whose",
                        cell: (token) => (
                            <Link to="/people/$id" params={{ id: String(token.user_id) }}>
                                {token.user_email}
                            </Link>
                        ),
                    },
                    {
                        head: "Scopes",
                        cell: (token) => (
                            <span className="row">
                                {token.scopes.map((scope) => (
                                    <Badge key={scope}>{scope}</Badge>
                                ))}
                            </span>
                        ),
                    },
                    { head: "Used", cell: (token) => <When at={token.last_used_at} /> },
                    { head: "Until", cell: (token) => <When at={token.expires_at} never="revoked" /> },
                    may("token.revoke") && {
                        head: "",
                        cell: (token) =>
                            token.is_active && (
                                <Button small kind="danger" onClick={() => revoke.start(token.id)}>
                                    Revoke
                                </Button>
                            ),
                    },
                ]}
                empty={<Empty title="No tokens" />}
            />
        </Page>
    );
}
