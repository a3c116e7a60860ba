// How provisioning is doing: who came by it, how the last reconciliation ended, and what the provider got wrong.

import { Link } from "@tanstack/react-router";
import { type Schemas, api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Card, Facts, Note, Status, When, words } from "../../ui/basics";
import { Table } from "../../ui/list";
import { PersonName } from "../../ui/person-choice";

export function ProvisioningState({ provider, state }: { provider: number; state: Schemas["ScimState"] }) {
    const sync = useAction(
        (type: "full" | "incremental") =>
            read(api.POST("/api/v1/sso/scim/sync", { body: { provider_id: provider, sync_type: type } })),
        { done: "Started.", changes: [["scim", provider]] },
    );
    const last = state.last_sync;
    return (
        <>
            <Card title="Status">
                <div className="stack">
                    <Facts
                        of={[
                            ["Provisioned people", `${state.provisioned_users} (${state.active_users} active)`],
                            ["Last request", <When key="last" at={state.last_request_at} />],
                            [
                                "Last reconciliation",
                                last ? (
                                    <span key="sync" className="row">
                                        <Status value={last.status} />
                                        <When at={last.started_at} />
                                    </span>
                                ) : (
                                    "never"
                                ),
                            ],
                            last ? ["People changed", last.users_changed] : null,
                        ]}
                    />
                    {last && last.conflicts.length > 0 && (
                        <Note tone="warn">
                            <b>Unchanged</b>
                            <ul aria-label="Unchanged">
                                {last.conflicts.map((each, index) => (
                                    <li key={index} className="break">
                                        {each.user_id != null && (
                                            <>
                                                <Link to="/people/$id" params={{ id: String(each.user_id) }}>
                                                    <PersonName id={each.user_id} />
                                                </Link>
                                                :{" "}
                                            </>
                                        )}
                                        {each.detail}
                                    </li>
                                ))}
                            </ul>
                        </Note>
                    )}
                    <div className="form-end">
                        <ActionButton action={sync} on="incremental">
                            Reconcile changes
                        </ActionButton>
                        <ActionButton action={sync} on="full">
                            Reconcile all
                        </ActionButton>
                    </div>
                </div>
            </Card>
            {state.recent_errors.length > 0 && (
                <Card title="Recently rejected requests" flush>
                    <Table
                        name="Rejected requests"
                        items={state.recent_errors.map((fault, index) => ({ ...fault, index }))}
                        id={(fault) => fault.index}
                        columns={[
                            { head: "Request", cell: (fault) => <code className="break">{fault.request}</code> },
                            { head: "Status", numeric: true, cell: (fault) => fault.status },
                            {
                                head: "Reason",
                                className: "small break",
                                cell: (fault) =>
                                    fault.scim_type ? `${words(fault.scim_type)}: ${fault.detail}` : fault.detail,
                            },
                            { head: "When", cell: (fault) => <When at={fault.occurred_at} /> },
                        ]}
                    />
                </Card>
            )}
        </>
    );
}
