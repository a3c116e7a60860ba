// The roles: what each lets somebody do, and how many hold it.

import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { Badge, Empty, Page, When } from "../../ui/basics";
import { List } from "../../ui/list";

export function RolesPage() {
    const may = useMay();
    const organization = useOrganization();
    return (
        <Page
            title="Roles"
            lead="What people may do, across the organization or in one workspace."
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
