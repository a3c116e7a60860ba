// The people: members, one of them with what they may do and why, invitations, imports.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MoreHorizontal, UserRoundPlus } from "lucide-react";
import { useState } from "react";
import { api, checked, read, save, send } from "../api/client";
import { queries } from "../queries";
import { useMay, useMe, useOrganization, usePlace } from "../standing";
import { proved, useAction } from "../ui/action";
import {
    Avatar,
    Badge,
    Button,
    Card,
    Check,
    Empty,
    Facts,
    Field,
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
    words,
} from "../ui/basics";
import { ActionMenu, Confirm } from "../ui/dialog";
import { List, Loaded } from "../ui/list";

export function useRoles() {
    const organization = useOrganization();
    return useQuery({
        queryKey: ["roles", organization, "all"],
        enabled: organization > 0,
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/roles", {
                    params: { path: { org_id: organization }, query: { limit: 100 } },
                }),
            ),
    });
}

export function People() {
    const may = useMay();
    const organization = useOrganization();
    const navigate = useNavigate();
    const roles = useRoles();
    const [role, setRole] = useState("");
    const [status, setStatus] = useState("");
    const [chosen, setChosen] = useState<number[]>([]);
    const bulk = useAction(
        (next: "active" | "suspended") =>
            read(
                api.POST("/api/v1/users/bulk-status", {
                    body: { organization_id: organization, user_ids: chosen, status: next },
                }),
            ),
        { done: "Done.", changes: [["members"]], onDone: () => setChosen([]) },
    );
    const one = useAction(
        (change: { id: number; status: "active" | "suspended" }) =>
            read(
                api.PUT("/api/v1/users/{user_id}/status", {
                    params: { path: { user_id: change.id } },
                    body: { status: change.status },
                }),
            ),
        { done: "Done.", changes: [["members"]] },
    );
    return (
        <Page
            title="Members"
            lead="Everybody in this organization, and how they come in."
            actions={
                <>
                    {may("user.create") && (
                        <Link className="button" to="/imports">
                            Import
                        </Link>
                    )}
                    {may("member.invite") && (
                        <Link className="button primary" to="/invitations">
                            <UserRoundPlus size={16} />
                            Invite
                        </Link>
                    )}
                </>
            }
        >
            {chosen.length > 0 && (
                <div className="card pad row apart" style={{ padding: "10px 16px" }} role="status">
                    <span>{chosen.length} chosen</span>
                    <span className="row">
                        <Button small onClick={() => bulk.start("active")} busy={bulk.busy}>
                            Let in
                        </Button>
                        <Button small kind="danger" onClick={() => bulk.start("suspended")} busy={bulk.busy}>
                            Suspend
                        </Button>
                        <Button small kind="quiet" onClick={() => setChosen([])}>
                            Clear
                        </Button>
                    </span>
                </div>
            )}
            <List
                name="Members"
                of={["members", organization, role, status]}
                search="Search by name or e-mail"
                sort="display_name"
                filters={
                    <>
                        <Filter
                            label="Role"
                            value={role}
                            onValue={setRole}
                            options={[
                                ["", "Any role"],
                                ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        <Filter
                            label="State"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "Any state"],
                                ["active", "Active"],
                                ["suspended", "Suspended"],
                                ["deactivated", "Deactivated"],
                            ]}
                        />
                    </>
                }
                load={async ({ skip, size, search, sort, order }) => {
                    const answer = await read(
                        api.POST("/api/v1/users/search", {
                            body: {
                                organization_id: organization,
                                query: search || undefined,
                                skip,
                                limit: size,
                                sort_by: sort as "email",
                                sort_order: order,
                                filters: {
                                    role_ids: role ? [Number(role)] : undefined,
                                    status: (status || undefined) as "active",
                                },
                            },
                        }),
                    );
                    return { items: answer.users, total: answer.total_count };
                }}
                id={(person) => person.id}
                columns={[
                    may("user.suspend") && {
                        head: " ",
                        cell: (person) => (
                            <input
                                type="checkbox"
                                aria-label={`Choose ${person.display_name}`}
                                checked={chosen.includes(person.id)}
                                onChange={() =>
                                    setChosen(
                                        chosen.includes(person.id)
                                            ? chosen.filter((id) => id !== person.id)
                                            : [...chosen, person.id],
                                    )
                                }
                            />
                        ),
                    },
                    {
                        head: "Name",
                        sort: "display_name",
                        cell: (person) => (
                            <div className="row" style={{ flexWrap: "nowrap" }}>
                                <Avatar name={person.display_name || person.email} />
                                <div>
                                    <Link className="strong" to="/people/$id" params={{ id: String(person.id) }}>
                                        {person.display_name || person.email}
                                    </Link>
                                    <div className="small soft">{person.email}</div>
                                </div>
                            </div>
                        ),
                    },
                    { head: "Role", cell: (person) => person.role_name ?? "—" },
                    { head: "State", cell: (person) => <Status value={person.status} /> },
                    { head: "Signed in", sort: "last_login_at", cell: (person) => <When at={person.last_login_at} /> },
                    {
                        head: "",
                        cell: (person) => (
                            <ActionMenu
                                label={`Actions for ${person.display_name}`}
                                choices={[
                                    {
                                        label: "Open",
                                        run: () =>
                                            void navigate({ to: "/people/$id", params: { id: String(person.id) } }),
                                    },
                                    may("policy.write") && {
                                        label: "See as they do",
                                        run: () =>
                                            void navigate({ to: "/simulate", search: { user: String(person.id) } }),
                                    },
                                    may("user.suspend") &&
                                        (person.status === "active"
                                            ? {
                                                  label: "Suspend",
                                                  danger: true,
                                                  run: () => void one.start({ id: person.id, status: "suspended" }),
                                              }
                                            : {
                                                  label: "Let in again",
                                                  run: () => void one.start({ id: person.id, status: "active" }),
                                              }),
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={<Empty title="Nobody fits" />}
            />
        </Page>
    );
}

const PARTS = [
    ["permissions", "What they may do"],
    ["activity", "Activity"],
    ["sessions", "Sessions"],
    ["manage", "Manage"],
] as const;

export function Person() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "permissions" } = useSearch({ strict: false }) as { tab?: string };
    const person = useQuery({
        queryKey: ["person", id],
        queryFn: () => read(api.GET("/api/v1/users/{user_id}", { params: { path: { user_id: Number(id) } } })),
    });
    const user = person.data?.user;
    return (
        <Page
            title={user?.display_name || user?.email || "Person"}
            crumbs={<Link to="/people">Members</Link>}
            actions={
                <Link className="button" to="/simulate" search={{ user: id }}>
                    See as they do
                </Link>
            }
        >
            <Loaded query={person}>
                {({ user: data }) => (
                    <>
                        <Card>
                            <Facts
                                of={[
                                    [
                                        "E-mail",
                                        <>
                                            {data.email}{" "}
                                            {data.is_verified ? (
                                                <Badge tone="good">Verified</Badge>
                                            ) : (
                                                <Badge tone="warn">Not verified</Badge>
                                            )}
                                        </>,
                                    ],
                                    ["State", <Status key="state" value={data.status} />],
                                    [
                                        "Roles",
                                        data.memberships.flatMap((membership) => membership.roles).join(", ") || "—",
                                    ],
                                    [
                                        "Second factor",
                                        data.mfa_enabled ? (
                                            <Badge tone="good">On</Badge>
                                        ) : (
                                            <Badge tone="warn">Off</Badge>
                                        ),
                                    ],
                                    ["Came by", words(data.auth_source)],
                                    ["Joined", <When key="joined" at={data.memberships[0]?.joined_at} />],
                                    ["Last signed in", <When key="in" at={data.last_login_at} />],
                                ]}
                            />
                        </Card>
                        <nav className="tabs" aria-label="Parts">
                            {PARTS.map(([key, label]) => (
                                <Link
                                    key={key}
                                    to="/people/$id"
                                    params={{ id }}
                                    search={{ tab: key }}
                                    className={tab === key ? "active" : ""}
                                    aria-current={tab === key ? "page" : undefined}
                                >
                                    {label}
                                </Link>
                            ))}
                        </nav>
                        {tab === "permissions" && <Permissions id={Number(id)} />}
                        {tab === "activity" && <Activity id={Number(id)} />}
                        {tab === "sessions" && <TheirSessions id={Number(id)} />}
                        {tab === "manage" && (
                            <Manage id={Number(id)} name={data.display_name || data.email} status={data.status} />
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}

/** Each permission, with the role that it comes from. */
function Permissions({ id }: { id: number }) {
    const { organization, workspace } = usePlace();
    const may = useMay();
    const roles = useRoles();
    const [role, setRole] = useState("");
    const [room, setRoom] = useState("");
    const [typed, setTyped] = useState("");
    const workspaces = useQuery({
        queryKey: ["workspaces"],
        queryFn: () => read(api.GET("/api/v1/workspaces", { params: { query: { limit: 100 } } })),
    });
    const held = useQuery({
        queryKey: ["held", id, organization, workspace],
        queryFn: () =>
            read(
                api.GET("/api/v1/roles/users/{user_id}/permissions", {
                    params: {
                        path: { user_id: id },
                        query: { organization_id: organization, workspace_id: workspace },
                    },
                }),
            ),
    });
    const changes = [["held", id], ["person", String(id)], ["members"]];
    const give = useAction(
        () =>
            read(
                api.POST("/api/v1/roles/{role_id}/assignments", {
                    params: { path: { role_id: Number(role) } },
                    body: { user_id: id, workspace_id: room ? Number(room) : undefined },
                }),
            ),
        { done: "Given.", changes },
    );
    const take = useAction(
        (assignment: { role_id: number; id: number }) =>
            read(
                api.DELETE("/api/v1/roles/{role_id}/assignments/{assignment_id}", {
                    params: { path: { role_id: assignment.role_id, assignment_id: assignment.id } },
                }),
            ),
        { done: "Taken away.", changes },
    );
    return (
        <Loaded query={held}>
            {(data) => {
                const named = (roleId: number) =>
                    data.roles.find((each) => each.role_id === roleId)?.role_name ??
                    roles.data?.roles.find((each) => each.id === roleId)?.name ??
                    `role ${roleId}`;
                const shown = data.permissions.filter((permission) => permission.name.includes(typed.toLowerCase()));
                const groups = [...new Set(shown.map((permission) => permission.name.split(".")[0] ?? ""))];
                return (
                    <div className="stack">
                        <Card title="Roles" flush>
                            <ul className="list">
                                {data.roles.map((each) => (
                                    <li key={each.id}>
                                        <b className="strong">{each.role_name}</b>
                                        <span className="soft grow">
                                            {each.workspace_id
                                                ? `in ${workspaces.data?.workspaces.find((one) => one.id === each.workspace_id)?.name ?? `workspace ${each.workspace_id}`}`
                                                : "in the whole organization"}
                                            {each.expires_at && (
                                                <>
                                                    , until <When at={each.expires_at} />
                                                </>
                                            )}
                                        </span>
                                        {may("role.assign") && (
                                            <Button small kind="danger" onClick={() => take.start(each)}>
                                                Take away
                                            </Button>
                                        )}
                                    </li>
                                ))}
                                {data.roles.length === 0 && <li className="soft">None.</li>}
                                {may("role.assign") && (
                                    <li>
                                        <form
                                            className="row grow"
                                            onSubmit={(event) => {
                                                event.preventDefault();
                                                void give.start(undefined);
                                            }}
                                        >
                                            <Filter
                                                label="Role"
                                                value={role}
                                                onValue={setRole}
                                                options={[
                                                    ["", "A role…"],
                                                    ...(roles.data?.roles ?? []).map(
                                                        (each) => [String(each.id), each.name] as const,
                                                    ),
                                                ]}
                                            />
                                            <Filter
                                                label="Where"
                                                value={room}
                                                onValue={setRoom}
                                                options={[
                                                    ["", "Whole organization"],
                                                    ...(workspaces.data?.workspaces ?? []).map(
                                                        (each) => [String(each.id), each.name] as const,
                                                    ),
                                                ]}
                                            />
                                            <Button small type="submit" busy={give.busy} disabled={!role}>
                                                Give
                                            </Button>
                                        </form>
                                    </li>
                                )}
                            </ul>
                        </Card>
                        <Card
                            title={`${data.permissions.length} permissions`}
                            actions={<SearchBox label="Search permissions" value={typed} onValue={setTyped} />}
                        >
                            <div
                                className="columns"
                                style={{ gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 230px), 1fr))" }}
                            >
                                {groups.map((group) => (
                                    <div key={group} className="stack tight">
                                        <h3>{words(group)}</h3>
                                        <ul className="stack tight" style={{ gap: 3 }}>
                                            {shown
                                                .filter((permission) => permission.name.startsWith(`${group}.`))
                                                .map((permission) => (
                                                    <li key={permission.name} className="small">
                                                        <code>{permission.name.split(".")[1]}</code>{" "}
                                                        <span className="soft">
                                                            by{" "}
                                                            {permission.through_public_access
                                                                ? "public access"
                                                                : permission.source_role_ids.map(named).join(", ")}
                                                        </span>
                                                    </li>
                                                ))}
                                        </ul>
                                    </div>
                                ))}
                            </div>
                        </Card>
                    </div>
                );
            }}
        </Loaded>
    );
}

function Activity({ id }: { id: number }) {
    return (
        <List
            name="Activity"
            of={["activity", id]}
            load={async ({ skip, size }) => {
                const answer = await read(
                    api.GET("/api/v1/users/{user_id}/activity", {
                        params: { path: { user_id: id }, query: { skip, limit: size } },
                    }),
                );
                return { items: answer.activities, total: answer.total_count };
            }}
            id={(each) => each.id}
            columns={[
                { head: "What", cell: (each) => <code>{each.action}</code> },
                {
                    head: "On",
                    cell: (each) =>
                        each.resource_type ? `${words(each.resource_type)} ${each.resource_id ?? ""}` : "—",
                },
                {
                    head: "By",
                    cell: (each) =>
                        each.actor_id === each.user_id ? "Themselves" : each.actor_id ? `Person ${each.actor_id}` : "—",
                },
                { head: "From", cell: (each) => <span className="small soft">{each.ip_address ?? "—"}</span> },
                { head: "When", cell: (each) => <When at={each.created_at} /> },
            ]}
            empty={<Empty title="Nothing yet" />}
        />
    );
}

function TheirSessions({ id }: { id: number }) {
    const may = useMay();
    const end = useAction(
        (session: number) =>
            read(api.DELETE("/api/v1/sessions/{session_id}", { params: { path: { session_id: session } } })),
        { done: "Ended.", changes: [["sessions", id]] },
    );
    return (
        <List
            name="Sessions"
            of={["sessions", id]}
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/sessions", { params: { query: { user_id: id, page, page_size: size } } }),
                );
                return { items: answer.sessions, total: answer.total_count };
            }}
            id={(each) => each.id}
            columns={[
                {
                    head: "Where",
                    cell: (each) => (
                        <>
                            <div className="break">{device(each.user_agent)}</div>
                            <div className="small soft">{each.ip_address}</div>
                        </>
                    ),
                },
                { head: "Begun", cell: (each) => <When at={each.created_at} /> },
                { head: "Last used", cell: (each) => <When at={each.last_activity_at} /> },
                may("session.revoke") && {
                    head: "",
                    cell: (each) => (
                        <Button small kind="danger" onClick={() => end.start(each.id)}>
                            End
                        </Button>
                    ),
                },
            ]}
            empty={<Empty title="No session" />}
        />
    );
}

/** A browser and a system, as people call them. */
export function device(agent: string | null | undefined): string {
    if (!agent) return "Unknown client";
    const browser = /Edg\//.test(agent)
        ? "Edge"
        : /Firefox\//.test(agent)
          ? "Firefox"
          : /Chrome\//.test(agent)
            ? "Chrome"
            : /Safari\//.test(agent)
              ? "Safari"
              : agent.split(/[ /]/)[0];
    const system = /Windows/.test(agent)
        ? "Windows"
        : /iPhone|iPad/.test(agent)
          ? "iOS"
          : /Mac OS/.test(agent)
            ? "macOS"
            : /Android/.test(agent)
              ? "Android"
              : /Linux/.test(agent)
                ? "Linux"
                : "";
    return system ? `${browser} on ${system}` : (browser ?? agent);
}

function Manage({ id, name, status }: { id: number; name: string; status: string }) {
    const may = useMay();
    const organization = useOrganization();
    const navigate = useNavigate();
    const people = useQuery({
        queryKey: ["people", "all"],
        queryFn: () => read(api.GET("/api/v1/users", { params: { query: { limit: 100 } } })),
    });
    const [heir, setHeir] = useState("");
    const [target, setTarget] = useState("");
    const [removing, setRemoving] = useState(false);
    const [merging, setMerging] = useState(false);
    const change = useAction(
        (next: "active" | "suspended") =>
            read(
                api.PUT("/api/v1/users/{user_id}/status", {
                    params: { path: { user_id: id } },
                    body: { status: next },
                }),
            ),
        { done: "Done.", changes: [["person", String(id)], ["members"]] },
    );
    const hand = useAction(
        async (format: "json" | "csv") =>
            save(
                await checked(
                    await send(`/api/v1/users/${id}/export?format=${format}&organization_id=${organization}`),
                ),
                `person-${id}.${format === "csv" ? "zip" : "json"}`,
            ),
        { done: "Downloaded. They are told by mail." },
    );
    const others = (people.data?.users ?? [])
        .filter((each) => each.id !== id)
        .map((each) => [String(each.id), each.display_name || each.email] as const);
    return (
        <div className="stack">
            {may("user.suspend") && (
                <Card title="Access">
                    <div className="row apart">
                        <p className="soft">
                            {status === "active"
                                ? "Suspended people cannot come in; what they own stays."
                                : "They cannot come in now."}
                        </p>
                        {status === "active" ? (
                            <Button kind="danger" busy={change.busy} onClick={() => change.start("suspended")}>
                                Suspend
                            </Button>
                        ) : (
                            <Button kind="primary" busy={change.busy} onClick={() => change.start("active")}>
                                Let in again
                            </Button>
                        )}
                    </div>
                </Card>
            )}
            {may("user.export") && (
                <Card title="Their data">
                    <div className="row apart">
                        <p className="soft">All that is kept about them here (GDPR, articles 15 and 20).</p>
                        <span className="row">
                            <Button busy={hand.busy} onClick={() => hand.start("json")}>
                                JSON
                            </Button>
                            <Button busy={hand.busy} onClick={() => hand.start("csv")}>
                                CSV
                            </Button>
                        </span>
                    </div>
                </Card>
            )}
            {may("user.merge") && (
                <Card title="Merge">
                    <div className="row apart">
                        <p className="soft">Fold this account into another of the same person.</p>
                        <span className="row">
                            <Filter
                                label="Into"
                                value={target}
                                onValue={setTarget}
                                options={[["", "Into…"], ...others]}
                            />
                            <Button disabled={!target} onClick={() => setMerging(true)}>
                                Merge…
                            </Button>
                        </span>
                    </div>
                </Card>
            )}
            {may("member.remove") && (
                <Card title="Remove">
                    <div className="row apart">
                        <p className="soft">
                            They leave the organization; what they own goes to somebody else, or stays without an owner.
                        </p>
                        <span className="row">
                            <Filter
                                label="What they own goes to"
                                value={heir}
                                onValue={setHeir}
                                options={[["", "Nobody"], ...others]}
                            />
                            <Button kind="danger" onClick={() => setRemoving(true)}>
                                Remove…
                            </Button>
                        </span>
                    </div>
                </Card>
            )}
            {removing && (
                <Confirm
                    title={`Remove ${name}?`}
                    action="Remove"
                    onClose={() => setRemoving(false)}
                    onConfirm={async () => {
                        await proved(() =>
                            read(
                                api.DELETE("/api/v1/organizations/{org_id}/members/{user_id}", {
                                    params: {
                                        path: { org_id: organization, user_id: id },
                                        query: { transfer_to: heir ? Number(heir) : undefined },
                                    },
                                }),
                            ),
                        );
                        void queries.invalidateQueries({ queryKey: ["members"] });
                        void navigate({ to: "/people" });
                    }}
                >
                    <p>Their sessions in this organization end at once.</p>
                </Confirm>
            )}
            {merging && (
                <Confirm
                    title={`Merge ${name}?`}
                    action="Merge"
                    onClose={() => setMerging(false)}
                    onConfirm={async () => {
                        await proved(() =>
                            read(
                                api.POST("/api/v1/users/merge", {
                                    body: { source_user_id: id, target_user_id: Number(target) },
                                }),
                            ),
                        );
                        void navigate({ to: "/people/$id", params: { id: target } });
                    }}
                >
                    <p>This account ends; what it had is the other's. This cannot be undone.</p>
                </Confirm>
            )}
        </div>
    );
}

export function InvitationsPage() {
    const may = useMay();
    const organization = useOrganization();
    const { workspace } = usePlace();
    const roles = useRoles();
    const workspaces = useQuery({
        queryKey: ["workspaces"],
        queryFn: () => read(api.GET("/api/v1/workspaces", { params: { query: { limit: 100 } } })),
    });
    const [status, setStatus] = useState("pending");
    const [addresses, setAddresses] = useState("");
    const [role, setRole] = useState("");
    const [room, setRoom] = useState(String(workspace ?? ""));
    const [message, setMessage] = useState("");
    const many = addresses.split(/[\s,;]+/).filter(Boolean);
    const changes = [["invitations"], ["first"]];
    const [failed, setFailed] = useState<{ email: string; error_code?: string | null }[]>([]);
    const invite = useAction(
        async () => {
            const each = { role_id: role ? Number(role) : undefined, workspace_id: Number(room) };
            if (many.length === 1) {
                await read(
                    api.POST("/api/v1/organizations/{org_id}/members/invite", {
                        params: { path: { org_id: organization } },
                        body: { email: many[0] ?? "", message: message || undefined, ...each },
                    }),
                );
                return 1;
            }
            const answer = await read(
                api.POST("/api/v1/organizations/{org_id}/members/invite/bulk", {
                    params: { path: { org_id: organization } },
                    body: { invitations: many.map((email) => ({ email, ...each })), message: message || undefined },
                }),
            );
            setFailed(answer.results.filter((result) => result.status === "failed"));
            return answer.invited_count;
        },
        {
            done: (sent) => `${sent} ${sent === 1 ? "invitation is" : "invitations are"} on the way.`,
            changes,
            inline: true,
            onDone: () => setAddresses(""),
        },
    );
    const resend = useAction(
        (id: number) =>
            read(
                api.POST("/api/v1/organizations/{org_id}/invitations/{invitation_id}/resend", {
                    params: { path: { org_id: organization, invitation_id: id } },
                }),
            ),
        { done: "Sent again.", changes },
    );
    const revoke = useAction(
        (id: number) => read(api.DELETE("/api/v1/invitations/{invitation}", { params: { path: { invitation: id } } })),
        { done: "Cancelled.", changes },
    );
    return (
        <Page title="Invitations" lead="They come by mail, and are good for the address that they name.">
            {may("member.invite") && (
                <Card title="Invite">
                    <form
                        className="form-grid"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void invite.start(undefined);
                        }}
                    >
                        <div className="span">
                            <Field
                                label="E-mail addresses"
                                hint="One, or many with commas or lines between them."
                                error={invite.of("email")}
                            >
                                {(props) => (
                                    <textarea
                                        {...props}
                                        rows={2}
                                        style={{ minHeight: 58 }}
                                        required
                                        value={addresses}
                                        onChange={(event) => setAddresses(event.target.value)}
                                        placeholder="ada@acme.example"
                                    />
                                )}
                            </Field>
                        </div>
                        <SelectField
                            label="Role"
                            value={role}
                            onValue={setRole}
                            options={[
                                ["", "The organization's default"],
                                ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        <SelectField
                            label="Workspace"
                            value={room}
                            onValue={setRoom}
                            options={(workspaces.data?.workspaces ?? [])
                                .filter((each) => each.organization_id === organization)
                                .map((each) => [String(each.id), each.name] as const)}
                        />
                        <div className="span">
                            <TextField
                                label="Message (optional)"
                                value={message}
                                onValue={setMessage}
                                error={invite.of("message")}
                            />
                        </div>
                        {invite.error !== undefined && (
                            <div className="span">
                                <Problem error={invite.error} />
                            </div>
                        )}
                        {failed.length > 0 && (
                            <div className="span">
                                <Note tone="warn">
                                    Not invited: {failed.map((each) => `${each.email} (${each.error_code})`).join(", ")}
                                </Note>
                            </div>
                        )}
                        <div className="form-end span">
                            <Button kind="primary" type="submit" busy={invite.busy}>
                                {many.length > 1 ? `Invite ${many.length} people` : "Invite"}
                            </Button>
                        </div>
                    </form>
                </Card>
            )}
            <List
                name="Invitations"
                of={["invitations", organization, status]}
                filters={
                    <Filter
                        label="State"
                        value={status}
                        onValue={setStatus}
                        options={[
                            ["", "All"],
                            ["pending", "Pending"],
                            ["accepted", "Accepted"],
                            ["expired", "Expired"],
                            ["revoked", "Cancelled"],
                        ]}
                    />
                }
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/organizations/{org_id}/invitations", {
                            params: {
                                path: { org_id: organization },
                                query: { skip, limit: size, status: (status || undefined) as never },
                            },
                        }),
                    );
                    return { items: answer.invitations, total: answer.total_count };
                }}
                id={(each) => each.id}
                columns={[
                    { head: "For", cell: (each) => <span className="strong break">{each.email}</span> },
                    { head: "Role", cell: (each) => each.role?.name ?? "—" },
                    { head: "Workspace", cell: (each) => each.workspace?.name ?? "—" },
                    { head: "State", cell: (each) => <Status value={each.status} /> },
                    { head: "Until", cell: (each) => <When at={each.expires_at} /> },
                    may("member.invite") && {
                        head: "",
                        cell: (each) =>
                            (each.status === "pending" || each.status === "expired") && (
                                <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                                    <Button small onClick={() => resend.start(each.id)}>
                                        Send again
                                    </Button>
                                    {each.status === "pending" && (
                                        <Button small kind="danger" onClick={() => revoke.start(each.id)}>
                                            Cancel
                                        </Button>
                                    )}
                                </span>
                            ),
                    },
                ]}
                empty={<Empty title="None">{status === "pending" ? "Nobody is being waited for." : ""}</Empty>}
            />
        </Page>
    );
}

export function Imports() {
    const organization = useOrganization();
    const me = useMe();
    const [content, setContent] = useState("email,display_name,role\n");
    const [format, setFormat] = useState("csv");
    const [dry, setDry] = useState(true);
    const [running, setRunning] = useState<string>();
    const begin = useAction(
        async () =>
            (
                await read(
                    api.POST("/api/v1/users/bulk-import", {
                        body: { organization_id: organization, format: format as "csv", content, dry_run: dry },
                    }),
                )
            ).import_id,
        { inline: true, onDone: setRunning },
    );
    const progress = useQuery({
        queryKey: ["import", running],
        enabled: running !== undefined,
        refetchInterval: (query) =>
            query.state.data?.import && query.state.data.import.status !== "processing" ? false : 1000,
        queryFn: async () => ({
            import: await read(
                api.GET("/api/v1/users/bulk-import/{import_id}", { params: { path: { import_id: running as never } } }),
            ),
        }),
    });
    const state = progress.data?.import;
    return (
        <Page
            title="Import people"
            lead="From a CSV file, or from SCIM. Try it out first: nothing is changed then."
            crumbs={<Link to="/people">Members</Link>}
            narrow
        >
            <Card>
                <form
                    className="stack"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void begin.start(undefined);
                    }}
                >
                    <div className="form-grid">
                        <SelectField
                            label="Format"
                            value={format}
                            onValue={setFormat}
                            options={[
                                ["csv", "CSV"],
                                ["scim", "SCIM"],
                            ]}
                        />
                        <label className="field">
                            <span className="label">File</span>
                            <input
                                type="file"
                                className="input"
                                accept=".csv,.json,text/csv,application/json"
                                onChange={async (event) => {
                                    const file = event.target.files?.[0];
                                    if (file) setContent(await file.text());
                                }}
                            />
                        </label>
                    </div>
                    <Field label="Content" error={begin.of("content")}>
                        {(props) => (
                            <textarea
                                {...props}
                                className="mono"
                                rows={8}
                                spellCheck={false}
                                required
                                value={content}
                                onChange={(event) => setContent(event.target.value)}
                            />
                        )}
                    </Field>
                    <Check label="Only try it out" checked={dry} onChange={(event) => setDry(event.target.checked)} />
                    {begin.error !== undefined && <Problem error={begin.error} />}
                    <div className="form-end">
                        <Button kind="primary" type="submit" busy={begin.busy} disabled={!me.data}>
                            {dry ? "Try it out" : "Import"}
                        </Button>
                    </div>
                </form>
            </Card>
            {running &&
                (state ? (
                    <Card title="Progress" actions={<Status value={state.status} />}>
                        <div className="stack tight" aria-live="polite">
                            <div
                                className="meter"
                                role="progressbar"
                                aria-label="Rows done"
                                aria-valuenow={state.processed}
                                aria-valuemin={0}
                                aria-valuemax={state.total_rows}
                            >
                                <i style={{ width: `${(state.processed / Math.max(1, state.total_rows)) * 100}%` }} />
                            </div>
                            <p className="soft">
                                {state.processed} of {state.total_rows} rows: {state.created} new, {state.updated}{" "}
                                changed, {state.failed} refused.
                            </p>
                            {state.failure && <Note tone="bad">{state.failure}</Note>}
                            {state.errors.length > 0 && (
                                <div className="table-wrap" tabIndex={0} role="region" aria-label="Refused rows">
                                    <table>
                                        <thead>
                                            <tr>
                                                <th>Row</th>
                                                <th>Field</th>
                                                <th>Why</th>
                                            </tr>
                                        </thead>
                                        <tbody>
                                            {state.errors.map((error) => (
                                                <tr key={`${error.row}${error.field}${error.code}`}>
                                                    <td>{error.row}</td>
                                                    <td>{error.field ?? "—"}</td>
                                                    <td>{error.message}</td>
                                                </tr>
                                            ))}
                                        </tbody>
                                    </table>
                                </div>
                            )}
                        </div>
                    </Card>
                ) : (
                    <Skeleton />
                ))}
        </Page>
    );
}
