// Access policies: when somebody may do what a role lets them do, by what is known of them and of the request.

import { MoreHorizontal, Plus } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay } from "../../standing";
import { useAction } from "../../ui/action";
import { Badge, Button, Empty, Page, Status } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { EditAccess } from "./editing";
import { Try } from "./trying";

export function Access() {
    const may = useMay();
    const [editing, setEditing] = useState<Schemas["AbacPolicy"] | "new">();
    const [deleting, setDeleting] = useState<Schemas["AbacPolicy"]>();
    const toggle = useAction(
        (policy: Schemas["AbacPolicy"]) =>
            read(
                api.PUT("/api/v1/sso/abac/policies/{policy_id}", {
                    params: { path: { policy_id: policy.id } },
                    body: { is_active: !policy.is_active },
                }),
            ),
        { done: "Changed.", changes: [["access"]] },
    );
    return (
        <Page
            title="Access policies"
            lead="Roles say what people may do, these say when: only from the office, only with two-factor, not after hours. A denial overrides every role."
            actions={
                may("sso.manage") && (
                    <Button kind="primary" icon={<Plus size={16} />} onClick={() => setEditing("new")}>
                        New policy
                    </Button>
                )
            }
        >
            <List
                name="Access policies"
                of={["access"]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sso/abac/policies", { params: { query: { offset: skip, limit: size } } }),
                    );
                    return { items: answer.policies, total: answer.total };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Name",
                        cell: (each) => (
                            <>
                                <b className="strong">{each.name}</b>
                                {each.description && <div className="small soft">{each.description}</div>}
                            </>
                        ),
                    },
                    {
                        head: "Effect",
                        cell: (each) => (
                            <Badge tone={each.effect === "deny" ? "bad" : "good"}>
                                {each.effect === "deny" ? "Denies" : "Allows"}
                            </Badge>
                        ),
                    },
                    {
                        head: "Permissions",
                        cell: (each) => <span className="small break">{each.actions.join(", ")}</span>,
                    },
                    { head: "Status", cell: (each) => <Status value={each.is_active ? "active" : "inactive"} /> },
                    may("sso.manage") && {
                        head: "",
                        cell: (each) => (
                            <ActionMenu
                                label={`Actions for ${each.name}`}
                                busy={toggle.isBusyWith(each)}
                                choices={[
                                    { label: "Edit…", run: () => setEditing(each) },
                                    {
                                        label: each.is_active ? "Switch off" : "Switch on",
                                        run: () => void toggle.start(each),
                                    },
                                    { label: "Delete…", danger: true, run: () => setDeleting(each) },
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={
                    <Empty title="No access policies yet">Until you add one, roles alone decide who may do what.</Empty>
                }
            />
            <Try />
            {editing && (
                <EditAccess policy={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />
            )}
            {deleting && (
                <Deletion
                    of={`“${deleting.name}”`}
                    run={() =>
                        read(
                            api.DELETE("/api/v1/sso/abac/policies/{policy_id}", {
                                params: { path: { policy_id: deleting.id } },
                            }),
                        )
                    }
                    changes={[["access"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>It stops applying from the next request.</p>
                </Deletion>
            )}
        </Page>
    );
}
