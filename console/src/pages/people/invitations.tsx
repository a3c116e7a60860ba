// Invitations: of one address or many at once, sent again, cancelled.

import { useState } from "react";
import { api, read } from "../../api/client";
import { named, useRoles, useWorkspacesHere } from "../../choices";
import { useMay, useOrganization, usePlace } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Card, Empty, Field, Filter, Note, Page, SelectField, Status, TextField, When } from "../../ui/basics";
import { List } from "../../ui/list";

export function InvitationsPage() {
    const may = useMay();
    const organization = useOrganization();
    const { workspace } = usePlace();
    const roles = useRoles();
    const workspaces = useWorkspacesHere();
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
            done: (sent) => `${sent} ${sent === 1 ? "invitation" : "invitations"} sent.`,
            changes,
            inline: true,
            onDone: () => {
                setAddresses("");
                setMessage("");
            },
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
        <Page title="Invitations" lead="Sent by e-mail. Each is valid for the address it was sent to.">
            {may("member.invite") && (
                <Card title="Invite">
                    <ActionForm
                        action={invite}
                        submit={many.length > 1 ? `Invite ${many.length} people` : "Invite"}
                        touched={addresses.trim() !== "" || message !== ""}
                        what="The invitations are"
                    >
                        <div className="form-grid">
                            <div className="span">
                                <Field
                                    label="E-mail addresses"
                                    hint="One or more, separated by commas or lines."
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
                            <SelectField label="Workspace" value={room} onValue={setRoom} options={named(workspaces)} />
                            <div className="span">
                                <TextField
                                    label="Message (optional)"
                                    value={message}
                                    onValue={setMessage}
                                    error={invite.of("message")}
                                />
                            </div>
                        </div>
                        {failed.length > 0 && (
                            <Note tone="warn">
                                Not invited: {failed.map((each) => `${each.email} (${each.error_code})`).join(", ")}
                            </Note>
                        )}
                    </ActionForm>
                </Card>
            )}
            <List
                name="Invitations"
                of={["invitations", organization, status]}
                filters={
                    <Filter
                        label="Status"
                        value={status}
                        onValue={setStatus}
                        options={[
                            ["", "Any status"],
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
                    { head: "Recipient", cell: (each) => <span className="strong break">{each.email}</span> },
                    { head: "Role", cell: (each) => each.role?.name ?? "—" },
                    { head: "Workspace", cell: (each) => each.workspace?.name ?? "—" },
                    { head: "Status", cell: (each) => <Status value={each.status} /> },
                    { head: "Expires", cell: (each) => <When at={each.expires_at} /> },
                    may("member.invite") && {
                        head: "",
                        cell: (each) =>
                            (each.status === "pending" || each.status === "expired") && (
                                <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                                    <ActionButton small action={resend} on={each.id}>
                                        Send again
                                    </ActionButton>
                                    {each.status === "pending" && (
                                        <ActionButton small kind="danger" action={revoke} on={each.id}>
                                            Cancel
                                        </ActionButton>
                                    )}
                                </span>
                            ),
                    },
                ]}
                empty={<Empty title={status === "pending" ? "No pending invitations" : "No invitations"} />}
            />
        </Page>
    );
}
