// One workspace: its name, who comes in, and as what.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Card, Check, Empty, Filter, Page, SelectField } from "../../ui/basics";
import { DeleteCard, Deletion } from "../../ui/confirm";
import { List } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { NameForm } from "../../ui/naming";
import { PersonChoice } from "../../ui/person-choice";

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
    const [person, setPerson] = useState("");
    const [deleting, setDeleting] = useState(false);
    const changes = [["room", id], ["rooms"], ["room-members", id], ["workspaces"]];
    const data = room.data?.workspace;
    const patch = (body: Schemas["PatchWorkspaceRequest"]) =>
        read(api.PATCH("/api/v1/organizations/{org_id}/workspaces/{workspace_id}", { params: { path }, body }));
    const rename = useAction((name: string) => patch({ name }), { done: "Saved.", changes, inline: true });
    const save = useAction(patch, { done: "Saved.", changes });
    const copy = useAction(
        () =>
            read(
                api.POST("/api/v1/workspaces/{workspace_id}/clone", {
                    params: { path: { workspace_id: Number(id) } },
                    body: { name: `${data?.name} (copy)`, copy_members: true, copy_settings: true },
                }),
            ),
        { done: "Duplicated.", changes, onDone: () => void navigate({ to: "/workspaces" }) },
    );
    const add = useAction(
        () =>
            read(
                api.POST("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members", {
                    params: { path },
                    body: { user_id: Number(person) },
                }),
            ),
        { done: "Added.", changes },
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
        { done: "Removed.", changes },
    );
    return (
        <Page
            title={data?.name ?? "Workspace"}
            crumbs={<Link to="/workspaces">Workspaces</Link>}
            narrow
            actions={
                data &&
                may("workspace.create") && (
                    <ActionButton action={copy} on={undefined}>
                        Duplicate
                    </ActionButton>
                )
            }
        >
            <Loaded query={room}>
                {({ workspace: loaded }) => (
                    <>
                        <Card title="General">
                            <div className="stack">
                                <NameForm
                                    key={loaded.name}
                                    name={loaded.name}
                                    save={rename}
                                    disabled={!may("workspace.write")}
                                />
                                <Check
                                    label="Open to the whole organization"
                                    hint="Everyone in it can join, with the role below."
                                    checked={Boolean(loaded.settings.allow_public_access)}
                                    disabled={!may("workspace.write") || save.busy}
                                    onChange={(event) =>
                                        save.start({ settings: { allow_public_access: event.target.checked } })
                                    }
                                />
                                <SelectField
                                    label="Role for people who join this way"
                                    value={String(loaded.settings.default_role_id ?? "")}
                                    disabled={!may("workspace.write") || save.busy}
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
                                        <PersonChoice
                                            isCompact
                                            label="Person"
                                            none="Add a person…"
                                            value={person}
                                            onValue={setPerson}
                                        />
                                        <ActionButton small disabled={!person} action={add} on={undefined}>
                                            Add
                                        </ActionButton>
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
                                            busy={change.busy}
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
                                        <ActionButton small kind="danger" action={remove} on={member.user_id}>
                                            Remove
                                        </ActionButton>
                                    ),
                                },
                            ]}
                            empty={
                                <Empty title="No individual members">
                                    People with a role in the whole organization have access anyway.
                                </Empty>
                            }
                        />
                        {may("workspace.delete") && !loaded.is_default && (
                            <DeleteCard onDelete={() => setDeleting(true)}>
                                Everything that belongs to it is deleted with it.
                            </DeleteCard>
                        )}
                        {deleting && (
                            <Deletion
                                of={loaded.name}
                                word={loaded.name}
                                run={() =>
                                    read(
                                        api.DELETE("/api/v1/organizations/{org_id}/workspaces/{workspace_id}", {
                                            params: { path },
                                        }),
                                    )
                                }
                                changes={[["rooms"], ["workspaces"]]}
                                onDone={() => void navigate({ to: "/workspaces" })}
                                onClose={() => setDeleting(false)}
                            >
                                <p>This cannot be undone.</p>
                            </Deletion>
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
