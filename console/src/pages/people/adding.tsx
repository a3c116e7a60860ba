// Adding somebody to the organization. A new address gets an account, and a link to choose a password with; one that has an
// account is invited.

import { useState } from "react";
import { api, read } from "../../api/client";
import { named, useRoles } from "../../choices";
import { useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { SelectField, TextField } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";

export function AddPerson({ onClose }: { onClose: () => void }) {
    const organization = useOrganization();
    const roles = useRoles();
    const [email, setEmail] = useState("");
    const [name, setName] = useState("");
    const [role, setRole] = useState("");
    const touched = email !== "" || name !== "";
    const add = useAction(
        () =>
            read(
                api.POST("/api/v1/users", {
                    body: {
                        email,
                        display_name: name,
                        organization_id: organization,
                        role_id: role ? Number(role) : undefined,
                    },
                }),
            ),
        {
            done: ({ user }) =>
                user.id == null
                    ? `${user.email} already has an account and has been invited.`
                    : `${user.display_name} is now a member. A link to choose a password is on its way.`,
            changes: [["members"], ["people"], ["invitations"], ["first"]],
            inline: true,
            onDone: onClose,
        },
    );
    return (
        <Dialog title="Add a person" touched={touched} onClose={onClose}>
            <ActionForm action={add} submit="Add" onCancel={onClose} touched={touched} what="The person is">
                <TextField
                    label="E-mail"
                    type="email"
                    autoComplete="off"
                    required
                    value={email}
                    onValue={setEmail}
                    autoFocus
                    error={add.of("email")}
                />
                <TextField
                    label="Name"
                    autoComplete="off"
                    required
                    value={name}
                    onValue={setName}
                    error={add.of("display_name")}
                />
                <SelectField
                    label="Role"
                    value={role}
                    onValue={setRole}
                    options={[["", "The organization's default"], ...named(roles.data?.roles)]}
                    error={add.of("role_id")}
                />
            </ActionForm>
        </Dialog>
    );
}
