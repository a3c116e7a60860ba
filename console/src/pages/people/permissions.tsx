// What one person may do, and by which role.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, read } from "../../api/client";
import { named, permissionGroup, useRoles, useWorkspacesHere } from "../../choices";
import { useMay, usePlace } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Badge, Button, Card, Filter, SearchBox, When } from "../../ui/basics";
import { DayField, midnight } from "../../ui/day";
import { Loaded } from "../../ui/loaded";
import { WorkspaceName } from "../../ui/workspace-name";

/** Each permission, with the role that it comes from. */
export function Permissions({ id }: { id: number }) {
    const { organization, workspace } = usePlace();
    const may = useMay();
    const roles = useRoles();
    const [role, setRole] = useState("");
    const [room, setRoom] = useState("");
    const [until, setUntil] = useState("");
    const [typed, setTyped] = useState("");
    const workspaces = useWorkspacesHere();
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
                    body: {
                        user_id: id,
                        workspace_id: room ? Number(room) : undefined,
                        expires_at: midnight(until, 1),
                    },
                }),
            ),
        {
            done: "Assigned.",
            changes,
            inline: true,
            onDone: () => {
                setRole("");
                setRoom("");
                setUntil("");
            },
        },
    );
    const take = useAction(
        (assignment: { role_id: number; id: number }) =>
            read(
                api.DELETE("/api/v1/roles/{role_id}/assignments/{assignment_id}", {
                    params: { path: { role_id: assignment.role_id, assignment_id: assignment.id } },
                }),
            ),
        { done: "Removed.", changes },
    );
    return (
        <Loaded query={held}>
            {(data) => {
                const roleName = (roleId: number) =>
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
                                            {each.workspace_id ? (
                                                <>
                                                    in <WorkspaceName id={each.workspace_id} />
                                                </>
                                            ) : (
                                                "in the whole organization"
                                            )}
                                            {each.expires_at && (
                                                <>
                                                    , until <When at={each.expires_at} />
                                                </>
                                            )}
                                        </span>
                                        {may("role.assign") && (
                                            <ActionButton small kind="danger" action={take} on={each}>
                                                Remove
                                            </ActionButton>
                                        )}
                                    </li>
                                ))}
                                {data.roles.length === 0 && <li className="soft">None.</li>}
                                {may("role.assign") && (
                                    <li>
                                        <ActionForm
                                            action={give}
                                            className="stack tight grow"
                                            touched={role !== "" || room !== "" || until !== ""}
                                            what="The role is"
                                        >
                                            <div className="row">
                                                <Filter
                                                    label="Role"
                                                    value={role}
                                                    onValue={setRole}
                                                    options={[["", "A role…"], ...named(roles.data?.roles)]}
                                                />
                                                <Filter
                                                    label="Where"
                                                    value={room}
                                                    onValue={setRoom}
                                                    options={[["", "Whole organization"], ...named(workspaces)]}
                                                />
                                                <DayField label="until" day={until} onDay={setUntil} />
                                                <Button small type="submit" busy={give.busy} disabled={!role}>
                                                    Assign
                                                </Button>
                                            </div>
                                        </ActionForm>
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
                                        <h3>{permissionGroup(group)}</h3>
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
                                                                : permission.source_role_ids.map(roleName).join(", ")}
                                                        </span>{" "}
                                                        {permission.denied_by_policy && (
                                                            <Badge tone="bad">
                                                                Currently denied by an access policy
                                                            </Badge>
                                                        )}
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
