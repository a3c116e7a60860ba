// A new role, from nothing, a template or another role.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { CHOICE, useRoles } from "../../choices";
import { useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Page, SelectField, TextField } from "../../ui/basics";
import { Picker } from "./picker";

export function NewRole() {
    const organization = useOrganization();
    const navigate = useNavigate();
    const roles = useRoles();
    const templates = useQuery({
        queryKey: ["role-templates"],
        meta: CHOICE,
        queryFn: () => read(api.GET("/api/v1/roles/templates")),
    });
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
        { done: "Created.", changes: [["roles"]], inline: true, onDone: () => void navigate({ to: "/roles" }) },
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
            <ActionForm
                action={create}
                submit="Create role"
                beside={
                    <Link className="button" to="/roles">
                        Cancel
                    </Link>
                }
                touched={name !== "" || description !== "" || held.length > 0}
                what="The role is"
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
                            label="Start from"
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
            </ActionForm>
        </Page>
    );
}
