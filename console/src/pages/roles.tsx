// Roles: what each lets somebody do, who holds it, and whom a change would touch, before it is made.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { api, read } from "../api/client";
import { usePeople, usePermissions, useRoles } from "../choices";
import { useMay, useOrganization } from "../standing";
import { ActionButton, useAction } from "../ui/action";
import {
    Avatar,
    Badge,
    Button,
    Card,
    Check,
    Empty,
    Note,
    Page,
    Problem,
    SearchBox,
    SelectField,
    TextField,
    When,
    words,
} from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { List } from "../ui/list";
import { Loaded } from "../ui/loaded";
import { NameDialog } from "../ui/naming";
import { PersonChoice, personName } from "../ui/person-choice";
import { Unsaved } from "../ui/unsaved";

export function RolesPage() {
    const may = useMay();
    const organization = useOrganization();
    return (
        <Page
            title="Roles"
            lead="What somebody may do, in the whole organization or in one workspace."
            actions={
                may("role.create") && (
                    <Link className="button primary" to="/roles/new">
                        <Plus size={16} />
                        New role
                    </Link>
                )
            }
        >
            <List
                name="Roles"
                of={["roles", organization]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/organizations/{org_id}/roles", {
                            params: { path: { org_id: organization }, query: { skip, limit: size } },
                        }),
                    );
                    return { items: answer.roles, total: answer.total_count };
                }}
                id={(role) => role.id}
                columns={[
                    {
                        head: "Name",
                        cell: (role) => (
                            <>
                                <Link className="strong" to="/roles/$id" params={{ id: String(role.id) }}>
                                    {role.name}
                                </Link>
                                {role.description && <div className="small soft">{role.description}</div>}
                            </>
                        ),
                    },
                    { head: "Kind", cell: (role) => <Badge>{role.is_system ? "Built in" : "Custom"}</Badge> },
                    { head: "Permissions", cell: (role) => role.permissions.length, numeric: true },
                    { head: "People", cell: (role) => role.member_count, numeric: true },
                    { head: "Changed", cell: (role) => <When at={role.updated_at} /> },
                ]}
                empty={<Empty title="No roles" />}
            />
        </Page>
    );
}

/** The catalogue as boxes to tick, by what they are about. */
export function Picker({
    held,
    onHeld,
    disabled,
}: {
    held: string[];
    onHeld: (held: string[]) => void;
    disabled?: boolean;
}) {
    const catalogue = usePermissions();
    const [typed, setTyped] = useState("");
    if (!catalogue.data)
        return (
            <Loaded query={catalogue} lines={8}>
                {() => null}
            </Loaded>
        );
    const shown = catalogue.data.permissions.filter((permission) =>
        `${permission.name} ${permission.description}`.toLowerCase().includes(typed.toLowerCase()),
    );
    const flip = (name: string) => onHeld(held.includes(name) ? held.filter((each) => each !== name) : [...held, name]);
    return (
        <div className="stack">
            <SearchBox label="Search permissions" value={typed} onValue={setTyped} />
            <div className="columns" style={{ gap: 20 }}>
                {[...new Set(shown.map((permission) => permission.category))].map((category) => (
                    <fieldset key={category} disabled={disabled} style={{ border: 0, padding: 0, margin: 0 }}>
                        <legend className="strong" style={{ padding: 0, marginBottom: 2 }}>
                            {words(category)}
                        </legend>
                        {shown
                            .filter((permission) => permission.category === category)
                            .map((permission) => (
                                <Check
                                    key={permission.name}
                                    label={words(permission.name.split(".")[1] ?? permission.name)}
                                    hint={permission.description}
                                    checked={held.includes(permission.name)}
                                    onChange={() => flip(permission.name)}
                                />
                            ))}
                    </fieldset>
                ))}
            </div>
        </div>
    );
}

export function NewRole() {
    const organization = useOrganization();
    const navigate = useNavigate();
    const roles = useRoles();
    const templates = useQuery({ queryKey: ["templates"], queryFn: () => read(api.GET("/api/v1/roles/templates")) });
    const [name, setName] = useState("");
    const [description, setDescription] = useState("");
    const [held, setHeld] = useState<string[]>([]);
    const create = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/roles", {
                    params: { path: { org_id: organization } },
                    body: { name, description: description || undefined, permissions: held as never },
                }),
            ),
        { done: "Made.", changes: [["roles"]], inline: true, onDone: () => void navigate({ to: "/roles" }) },
    );
    const begin = (from: string) => {
        const template = templates.data?.templates.find((each) => `t:${each.key}` === from);
        const role = roles.data?.roles.find((each) => `r:${each.id}` === from);
        if (template) {
            setHeld(template.permissions);
            setName(name || template.name);
            setDescription(description || template.description);
        }
        if (role) setHeld(role.permissions);
    };
    return (
        <Page title="New role" crumbs={<Link to="/roles">Roles</Link>}>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void create.start(undefined);
                }}
            >
                <Card>
                    <div className="form-grid">
                        <TextField
                            label="Name"
                            required
                            value={name}
                            onValue={setName}
                            error={create.of("name")}
                            autoFocus
                        />
                        <TextField
                            label="Description"
                            value={description}
                            onValue={setDescription}
                            error={create.of("description")}
                        />
                        <SelectField
                            label="Begin with"
                            defaultValue=""
                            onValue={begin}
                            options={[
                                ["", "Nothing"],
                                ...(templates.data?.templates ?? []).map(
                                    (each) => [`t:${each.key}`, `Template: ${each.name}`] as const,
                                ),
                                ...(roles.data?.roles ?? []).map(
                                    (each) => [`r:${each.id}`, `Role: ${each.name}`] as const,
                                ),
                            ]}
                        />
                    </div>
                </Card>
                <Card title={`Permissions (${held.length})`}>
                    <Picker held={held} onHeld={setHeld} />
                </Card>
                {create.error !== undefined && <Problem error={create.error} />}
                <Unsaved
                    touched={name !== "" || description !== "" || held.length > 0}
                    busy={create.busy}
                    what="This role is"
                />
                <div className="form-end">
                    <Link className="button" to="/roles">
                        Cancel
                    </Link>
                    <Button kind="primary" type="submit" busy={create.busy}>
                        Make the role
                    </Button>
                </div>
            </form>
        </Page>
    );
}

export function RolePage() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "permissions" } = useSearch({ strict: false }) as { tab?: string };
    const organization = useOrganization();
    const role = useQuery({
        queryKey: ["role", id],
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/roles/{role_id}", {
                    params: { path: { org_id: organization, role_id: Number(id) } },
                }),
            ),
    });
    const data = role.data?.role;
    return (
        <Page title={data?.name ?? "Role"} lead={data?.description} crumbs={<Link to="/roles">Roles</Link>}>
            <nav className="tabs" aria-label="Parts">
                {[
                    ["permissions", "Permissions"],
                    ["people", "Who holds it"],
                ].map(([key, label]) => (
                    <Link
                        key={key}
                        to="/roles/$id"
                        params={{ id }}
                        search={{ tab: key }}
                        className={tab === key ? "active" : ""}
                        aria-current={tab === key ? "page" : undefined}
                    >
                        {label}
                    </Link>
                ))}
            </nav>
            {tab === "people" ? (
                <Holders id={Number(id)} />
            ) : (
                <Loaded query={role}>
                    {({ role: loaded }) => (
                        <EditRole
                            key={loaded.updated_at}
                            id={loaded.id}
                            name={loaded.name}
                            description={loaded.description ?? ""}
                            permissions={loaded.permissions}
                            isSystem={loaded.is_system}
                        />
                    )}
                </Loaded>
            )}
        </Page>
    );
}

function EditRole({
    id,
    name: first,
    description: text,
    permissions,
    isSystem,
}: {
    id: number;
    name: string;
    description: string;
    permissions: string[];
    isSystem: boolean;
}) {
    const may = useMay();
    const organization = useOrganization();
    const navigate = useNavigate();
    const roles = useRoles();
    const [name, setName] = useState(first);
    const [description, setDescription] = useState(text);
    const [held, setHeld] = useState(permissions);
    const [heir, setHeir] = useState("");
    const [deleting, setDeleting] = useState(false);
    const [cloning, setCloning] = useState(false);
    const isOwn = !isSystem && may("role.update");
    const sorted = useMemo(() => [...held].sort(), [held]);
    const touched =
        name !== first || description !== text || JSON.stringify(sorted) !== JSON.stringify([...permissions].sort());
    const impact = useQuery({
        queryKey: ["impact", id, sorted],
        enabled: isOwn && touched,
        queryFn: () =>
            read(
                api.POST("/api/v1/roles/{role_id}/impact", {
                    params: { path: { role_id: id } },
                    body: { permissions: sorted as never },
                }),
            ),
    });
    const changes = [["role", String(id)], ["roles"], ["standing"]];
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/roles/{role_id}", {
                    params: { path: { org_id: organization, role_id: id } },
                    body: { name, description, permissions: held as never },
                }),
            ),
        { done: "Saved; it holds at once.", changes, inline: true },
    );
    const clone = useAction(
        (called: string) =>
            read(
                api.POST("/api/v1/roles/{role_id}/clone", {
                    params: { path: { role_id: id } },
                    body: { name: called },
                }),
            ),
        { done: "Made.", changes, inline: true, onDone: () => void navigate({ to: "/roles" }) },
    );
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            {isSystem && (
                <Note>
                    <div className="row apart">
                        <span>Built-in roles stay as they are. Copy it to change it.</span>
                        {may("role.create") && (
                            <Button small onClick={() => setCloning(true)}>
                                Copy…
                            </Button>
                        )}
                    </div>
                </Note>
            )}
            {isOwn && (
                <Card>
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} />
                        <TextField
                            label="Description"
                            value={description}
                            onValue={setDescription}
                            error={save.of("description")}
                        />
                    </div>
                </Card>
            )}
            <Card title={`Permissions (${held.length})`}>
                <Picker held={held} onHeld={setHeld} disabled={!isOwn} />
            </Card>
            {touched && isOwn && (
                <Card title="What this would change">
                    <Loaded query={impact}>
                        {(data) => (
                            <div className="stack tight">
                                <p>
                                    {data.affected_count === 0
                                        ? "Nobody is touched."
                                        : `${data.affected_count} ${data.affected_count === 1 ? "person is" : "people are"} touched.`}{" "}
                                    {data.added.length > 0 && (
                                        <span className="soft">Given: {data.added.join(", ")}. </span>
                                    )}
                                    {data.removed.length > 0 && (
                                        <span className="soft">Taken: {data.removed.join(", ")}.</span>
                                    )}
                                </p>
                                <ul className="stack tight">
                                    {data.affected_users.slice(0, 12).map((user) => (
                                        <li key={`${user.user_id}${user.workspace_id}`} className="row">
                                            <Avatar name={user.display_name || user.email} />
                                            <b className="strong">{user.display_name || user.email}</b>
                                            {user.gains.length > 0 && (
                                                <Badge tone="good">+ {user.gains.join(", ")}</Badge>
                                            )}
                                            {user.loses.length > 0 && (
                                                <Badge tone="bad">− {user.loses.join(", ")}</Badge>
                                            )}
                                        </li>
                                    ))}
                                </ul>
                            </div>
                        )}
                    </Loaded>
                </Card>
            )}
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            {isOwn && (
                <div className="form-end">
                    {may("role.delete") && (
                        <Button kind="danger" onClick={() => setDeleting(true)}>
                            Delete…
                        </Button>
                    )}
                    <Button onClick={() => setCloning(true)}>Copy…</Button>
                    <Button kind="primary" type="submit" disabled={!touched} busy={save.busy}>
                        Save
                    </Button>
                </div>
            )}
            {cloning && (
                <NameDialog
                    title="Copy this role"
                    first={`${first} (copy)`}
                    action="Copy"
                    make={clone}
                    onClose={() => setCloning(false)}
                />
            )}
            {deleting && (
                <Confirm
                    title={`Delete ${first}?`}
                    action="Delete"
                    onClose={() => setDeleting(false)}
                    onConfirm={async () => {
                        await read(
                            api.DELETE("/api/v1/organizations/{org_id}/roles/{role_id}", {
                                params: {
                                    path: { org_id: organization, role_id: id },
                                    query: { replacement_role_id: heir ? Number(heir) : undefined },
                                },
                            }),
                        );
                        void navigate({ to: "/roles" });
                    }}
                >
                    <SelectField
                        label="Who holds it gets instead"
                        value={heir}
                        onValue={setHeir}
                        options={[
                            ["", "Nothing"],
                            ...(roles.data?.roles ?? [])
                                .filter((each) => each.id !== id)
                                .map((each) => [String(each.id), each.name] as const),
                        ]}
                    />
                </Confirm>
            )}
        </form>
    );
}

function Holders({ id }: { id: number }) {
    const may = useMay();
    const people = usePeople();
    const [person, setPerson] = useState("");
    const changes = [["holders", id], ["roles"]];
    const give = useAction(
        () =>
            read(
                api.POST("/api/v1/roles/{role_id}/assignments", {
                    params: { path: { role_id: id } },
                    body: { user_id: Number(person) },
                }),
            ),
        { done: "Given.", changes },
    );
    const take = useAction(
        (assignment: number) =>
            read(
                api.DELETE("/api/v1/roles/{role_id}/assignments/{assignment_id}", {
                    params: { path: { role_id: id, assignment_id: assignment } },
                }),
            ),
        { done: "Taken away.", changes },
    );
    const name = (user: number) => {
        const found = people.data?.users.find((each) => each.id === user);
        return found ? personName(found) : `Person ${user}`;
    };
    return (
        <List
            name="Who holds it"
            of={["holders", id]}
            filters={
                may("role.assign") && (
                    <>
                        <PersonChoice isCompact label="Person" none="Give it to…" value={person} onValue={setPerson} />
                        <ActionButton small disabled={!person} action={give} on={undefined}>
                            Give
                        </ActionButton>
                    </>
                )
            }
            load={async ({ skip, size }) => {
                const answer = await read(
                    api.GET("/api/v1/roles/{role_id}/assignments", {
                        params: { path: { role_id: id }, query: { skip, limit: size } },
                    }),
                );
                return { items: answer.assignments, total: answer.total_count };
            }}
            id={(each) => each.id}
            columns={[
                {
                    head: "Person",
                    cell: (each) => (
                        <Link className="strong" to="/people/$id" params={{ id: String(each.user_id) }}>
                            {name(each.user_id)}
                        </Link>
                    ),
                },
                {
                    head: "Where",
                    cell: (each) => (each.workspace_id ? `Workspace ${each.workspace_id}` : "Whole organization"),
                },
                { head: "Since", cell: (each) => <When at={each.created_at} /> },
                { head: "Until", cell: (each) => <When at={each.expires_at} never="taken away" /> },
                may("role.assign") && {
                    head: "",
                    cell: (each) => (
                        <ActionButton small kind="danger" action={take} on={each.id}>
                            Take away
                        </ActionButton>
                    ),
                },
            ]}
            empty={<Empty title="Nobody holds it" />}
        />
    );
}
