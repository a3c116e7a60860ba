// The members: found, and suspended or let in, one or many.

import { Link, useNavigate } from "@tanstack/react-router";
import { MoreHorizontal, UserRoundPlus } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { named, useRoles } from "../../choices";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Avatar, Button, Empty, Filter, Page, Status, When } from "../../ui/basics";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { AddPerson } from "./adding";

export function People() {
    const may = useMay();
    const organization = useOrganization();
    const navigate = useNavigate();
    const roles = useRoles();
    const [role, setRole] = useState("");
    const [status, setStatus] = useState("");
    const [chosen, setChosen] = useState<number[]>([]);
    const [given, setGiven] = useState("");
    const [adding, setAdding] = useState(false);
    const bulk = useAction(
        (next: "active" | "suspended") =>
            read(
                api.POST("/api/v1/users/bulk-status", {
                    body: { organization_id: organization, user_ids: chosen, status: next },
                }),
            ),
        {
            done: ({ succeeded, failed }) =>
                failed === 0 ? "Done." : `${succeeded} changed, ${failed} failed and remain selected.`,
            changes: [["members"]],
            onDone: ({ results }) => setChosen(results.flatMap((result) => (result.success ? [] : [result.user_id]))),
        },
    );
    const give = useAction(
        (of: number) =>
            read(
                api.POST("/api/v1/roles/bulk-assign", {
                    body: {
                        organization_id: organization,
                        operations: chosen.map((user_id) => ({ action: "assign" as const, user_id, role_id: of })),
                    },
                }),
            ),
        {
            done: ({ succeeded, failed, results }) =>
                failed === 0
                    ? `Role assigned to ${succeeded} ${succeeded === 1 ? "person" : "people"}.`
                    : `Role assigned to ${succeeded}. ${failed} failed and remain selected. ${results.find((each) => !each.success)?.message ?? ""}`,
            changes: [["members"], ["roles"], ["holders"]],
            onDone: ({ results }) => setChosen(chosen.filter((_, index) => !results[index]?.success)),
        },
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
            lead="Everyone in this organization, their roles and status."
            actions={
                <>
                    {may("user.create") && (
                        <>
                            <Link className="button" to="/imports">
                                Import
                            </Link>
                            <Button onClick={() => setAdding(true)}>Add…</Button>
                        </>
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
                    <span>{chosen.length} selected</span>
                    <span className="row">
                        {may("role.assign") && (
                            <>
                                <Filter
                                    label="Role to assign"
                                    value={given}
                                    onValue={setGiven}
                                    options={[["", "A role…"], ...named(roles.data?.roles)]}
                                />
                                <ActionButton small disabled={given === ""} action={give} on={Number(given)}>
                                    Assign
                                </ActionButton>
                            </>
                        )}
                        {may("user.suspend") && (
                            <>
                                <ActionButton small action={bulk} on="active">
                                    Reactivate
                                </ActionButton>
                                <ActionButton small kind="danger" action={bulk} on="suspended">
                                    Suspend
                                </ActionButton>
                            </>
                        )}
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
                            options={[["", "Any role"], ...named(roles.data?.roles)]}
                        />
                        <Filter
                            label="Status"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "Any status"],
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
                    (may("user.suspend") || may("role.assign")) && {
                        head: " ",
                        label: "Selected",
                        cell: (person) => (
                            <input
                                type="checkbox"
                                aria-label={`Select ${person.display_name}`}
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
                                <Avatar name={person.display_name || person.email} picture={person.profile_image_url} />
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
                    { head: "Status", cell: (person) => <Status value={person.status} /> },
                    {
                        head: "Last sign-in",
                        sort: "last_login_at",
                        cell: (person) => <When at={person.last_login_at} />,
                    },
                    {
                        head: "",
                        cell: (person) => (
                            <ActionMenu
                                label={`Actions for ${person.display_name}`}
                                busy={(["active", "suspended"] as const).some((status) =>
                                    one.isBusyWith({ id: person.id, status }),
                                )}
                                choices={[
                                    {
                                        label: "Open",
                                        run: () =>
                                            void navigate({ to: "/people/$id", params: { id: String(person.id) } }),
                                    },
                                    may("policy.write") && {
                                        label: "View as this person",
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
                                                  label: "Reactivate",
                                                  run: () => void one.start({ id: person.id, status: "active" }),
                                              }),
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={<Empty title="No matching members">Try another role or status.</Empty>}
            />
            {adding && <AddPerson onClose={() => setAdding(false)} />}
        </Page>
    );
}
