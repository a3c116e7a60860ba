// One role: what it lets somebody do, who holds it, and who has got and lost it.

import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { useOrganization } from "../../standing";
import { Page } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Parts } from "../../ui/parts";
import { EditRole } from "./editing";
import { History } from "./history";
import { Holders } from "./holders";

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
            <Loaded query={role}>
                {({ role: loaded }) => (
                    <>
                        <Parts
                            at={{ to: "/roles/$id", params: { id } }}
                            of={[
                                ["permissions", "Permissions"],
                                ["people", "People"],
                                ["history", "History"],
                            ]}
                            open={tab}
                        />
                        {tab === "people" && <Holders id={Number(id)} />}
                        {tab === "history" && <History id={Number(id)} />}
                        {tab === "permissions" && (
                            <EditRole
                                key={loaded.updated_at}
                                id={loaded.id}
                                name={loaded.name}
                                description={loaded.description ?? ""}
                                permissions={loaded.permissions}
                                isSystem={loaded.is_system}
                            />
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
