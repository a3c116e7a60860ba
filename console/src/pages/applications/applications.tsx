// Other programs that sign people in with RiverGen, or act for them; and what members may allow them.

import { Link, useSearch } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { api, read } from "../../api/client";
import { REGISTER, useMay, useOrganization } from "../../standing";
import { Badge, Empty, Page, When } from "../../ui/basics";
import { List } from "../../ui/list";
import { Parts } from "../../ui/parts";
import { State } from "./pieces";
import { Policy } from "./policy";

export function Applications() {
    const id = useOrganization();
    const { tab = "registered" } = useSearch({ strict: false }) as { tab?: string };
    const register = useMay()(REGISTER) && (
        <Link className="button primary" to="/organization/applications/new">
            <Plus size={16} />
            Register an application
        </Link>
    );
    return (
        <Page
            title="Applications"
            lead="Programs that sign people in with RiverGen and act for them, within what they are allowed to do."
            actions={register}
        >
            <Parts
                at={{ to: "/organization/applications" }}
                of={[
                    ["registered", "Registered"],
                    ["policy", "Policy"],
                ]}
                open={tab}
            />
            {tab === "policy" ? (
                <Policy />
            ) : (
                <List
                    name="Applications"
                    of={["applications", id]}
                    load={async ({ skip, size }) => {
                        const answer = await read(
                            api.GET("/api/v1/organizations/{org_id}/oauth-applications", {
                                params: { path: { org_id: id }, query: { skip, limit: size } },
                            }),
                        );
                        return { items: answer.applications, total: answer.total };
                    }}
                    id={(application) => application.id}
                    columns={[
                        {
                            head: "Name",
                            className: "break",
                            cell: (application) => (
                                <>
                                    <Link
                                        className="strong"
                                        to="/organization/applications/$id"
                                        params={{ id: String(application.id) }}
                                    >
                                        {application.name}
                                    </Link>
                                    {application.description && (
                                        <div className="small soft">{application.description}</div>
                                    )}
                                </>
                            ),
                        },
                        {
                            head: "Kind",
                            cell: (application) => (
                                <span className="row">
                                    <Badge>{application.client_type === "public" ? "Public" : "Confidential"}</Badge>
                                    {application.preapproved && <Badge tone="accent">Preapproved</Badge>}
                                    {application.origin !== "administrator" && !application.verified_at && (
                                        <Badge tone="warn">Not verified</Badge>
                                    )}
                                </span>
                            ),
                        },
                        {
                            head: "Scopes",
                            cell: (application) => (
                                <span className="row">
                                    {application.scopes.map((scope) => (
                                        <Badge key={scope}>{scope}</Badge>
                                    ))}
                                </span>
                            ),
                        },
                        { head: "Status", cell: (application) => <State of={application} /> },
                        { head: "Last used", cell: (application) => <When at={application.last_used_at} /> },
                    ]}
                    empty={
                        <Empty title="No applications yet" actions={register}>
                            Register one so that people can sign in to it with RiverGen.
                        </Empty>
                    }
                />
            )}
        </Page>
    );
}
