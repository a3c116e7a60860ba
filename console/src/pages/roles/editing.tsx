// Changing a role, with whom that would touch before it is made; its copy and its end.

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { useMay, useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Avatar, Badge, Button, Card, Note, SelectField, TextField } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { Loaded } from "../../ui/loaded";
import { NameDialog } from "../../ui/naming";
import { Picker } from "./picker";

export function EditRole({
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
        { done: "Saved. It applies immediately.", changes, inline: true },
    );
    const clone = useAction(
        (called: string) =>
            read(
                api.POST("/api/v1/roles/{role_id}/clone", {
                    params: { path: { role_id: id } },
                    body: { name: called },
                }),
            ),
        { done: "Created.", changes, inline: true, onDone: () => void navigate({ to: "/roles" }) },
    );
    return (
        <ActionForm
            action={save}
            submit={isOwn && "Save"}
            disabled={!touched}
            touched={touched}
            beside={
                <>
                    {may("role.delete") && (
                        <Button kind="danger" onClick={() => setDeleting(true)}>
                            Delete…
                        </Button>
                    )}
                    <Button onClick={() => setCloning(true)}>Copy…</Button>
                </>
            }
        >
            {isSystem && (
                <Note>
                    <div className="row apart">
                        <span>Built-in roles cannot be changed. Copy this role to customize it.</span>
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
                <Card title="Effect of this change">
                    <Loaded query={impact}>
                        {(data) => (
                            <div className="stack tight">
                                <p>
                                    {data.affected_count === 0
                                        ? "Nobody is affected."
                                        : `${data.affected_count} ${data.affected_count === 1 ? "person is" : "people are"} affected.`}{" "}
                                    {data.added.length > 0 && (
                                        <span className="soft">Added: {data.added.join(", ")}. </span>
                                    )}
                                    {data.removed.length > 0 && (
                                        <span className="soft">Removed: {data.removed.join(", ")}.</span>
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
            {cloning && (
                <NameDialog
                    title="Copy role"
                    first={`${first} (copy)`}
                    action="Copy"
                    make={clone}
                    onClose={() => setCloning(false)}
                />
            )}
            {deleting && (
                <Deletion
                    of={first}
                    run={() =>
                        read(
                            api.DELETE("/api/v1/organizations/{org_id}/roles/{role_id}", {
                                params: {
                                    path: { org_id: organization, role_id: id },
                                    query: { replacement_role_id: heir ? Number(heir) : undefined },
                                },
                            }),
                        )
                    }
                    changes={[["roles"]]}
                    onDone={() => void navigate({ to: "/roles" })}
                    onClose={() => setDeleting(false)}
                >
                    <SelectField
                        label="Replace it with"
                        value={heir}
                        onValue={setHeir}
                        options={[
                            ["", "Nothing"],
                            ...(roles.data?.roles ?? [])
                                .filter((each) => each.id !== id)
                                .map((each) => [String(each.id), each.name] as const),
                        ]}
                    />
                </Deletion>
            )}
        </ActionForm>
    );
}
