// How far an organization is on the way to single sign-on and second factors for everybody.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CheckCircle2, Circle } from "lucide-react";
import { useState } from "react";
import { api, checked, read, save, send } from "../../api/client";
import { useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Avatar, Badge, Card, Note, Page, Status, When, words } from "../../ui/basics";
import { Pager } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { Enforce } from "./enforce";

/** People on one page of those who are not ready. */
const SIZE = 20;

export function Enforcement() {
    const organization = useOrganization();
    const path = { organization_id: organization };
    const status = useQuery({
        queryKey: ["enforcement", organization],
        queryFn: () => read(api.GET("/api/v1/sso/enforcement/status/{organization_id}", { params: { path } })),
    });
    const [page, setPage] = useState(1);
    const plan = useQuery({
        queryKey: ["plan", organization, page],
        placeholderData: keepPreviousData,
        queryFn: () =>
            read(
                api.GET("/api/v1/sso/enforcement/migration-plan/{organization_id}", {
                    params: { path, query: { page, page_size: SIZE } },
                }),
            ),
    });
    return (
        <Page
            title="Enforcement"
            lead="Roll out single sign-on and two-factor step by step, without locking anyone out."
            narrow
        >
            <Loaded query={plan}>
                {(data) => (
                    <div
                        className="card"
                        style={{ display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(140px, 1fr))" }}
                    >
                        <div className="stat">
                            <b>{Math.round(data.readiness_percent)}%</b>
                            <span>ready</span>
                        </div>
                        <div className="stat">
                            <b>{data.users_with_sso}</b>
                            <span>of {data.total_users} linked</span>
                        </div>
                        <div className="stat">
                            <b>{data.users_with_mfa}</b>
                            <span>with two-factor</span>
                        </div>
                        <div className="stat">
                            <b>{data.users_password_only}</b>
                            <span>password only</span>
                        </div>
                    </div>
                )}
            </Loaded>
            {plan.data && plan.data.blockers.length > 0 && (
                <Note tone="warn">
                    <b>Before you can enforce this</b>
                    <ul>
                        {plan.data.blockers.map((blocker) => (
                            <li key={blocker.code}>{blocker.detail}</li>
                        ))}
                    </ul>
                </Note>
            )}
            <Loaded query={status}>{(data) => <Enforce key={data.updated_at ?? ""} status={data} />}</Loaded>
            {plan.data && (
                <Card title="Plan" flush>
                    <ol className="list">
                        {plan.data.phases.map((phase) => (
                            <li key={phase.order}>
                                {phase.status === "completed" ? (
                                    <CheckCircle2 size={17} style={{ color: "var(--good)" }} aria-hidden />
                                ) : (
                                    <Circle size={17} aria-hidden />
                                )}
                                <b className="strong grow">{words(phase.name).replace(/\bmfa\b/, "second factors")}</b>
                                <Status value={phase.status} />
                                {phase.start_at && (
                                    <span className="small soft">
                                        <When at={phase.start_at} />
                                    </span>
                                )}
                            </li>
                        ))}
                    </ol>
                </Card>
            )}
            <Notices />
            {plan.data && plan.data.users_pending.length > 0 && (
                <Card title="People not ready" flush>
                    <ul className="list">
                        {plan.data.users_pending.map((person) => (
                            <li key={person.user_id}>
                                <Avatar name={person.email} />
                                <Link className="grow" to="/people/$id" params={{ id: String(person.user_id) }}>
                                    {person.email}
                                </Link>
                                {!person.sso_linked && <Badge tone="warn">No single sign-on</Badge>}
                                {!person.mfa_enabled && <Badge tone="warn">No second factor</Badge>}
                            </li>
                        ))}
                    </ul>
                    <Pager
                        name="people who are not ready"
                        page={page}
                        size={SIZE}
                        total={plan.data.pagination.total_items}
                        onPage={setPage}
                    />
                </Card>
            )}
        </Page>
    );
}

function Notices() {
    const organization = useOrganization();
    const path = { organization_id: organization };
    const notify = useAction(
        (kind: "mfa_setup" | "sso_migration" | "enforcement_warning") =>
            read(
                api.POST("/api/v1/sso/enforcement/notifications/{organization_id}", {
                    params: { path, query: { notification_type: kind } },
                }),
            ),
        { done: (answer) => `E-mails sent: ${answer.notifications_sent}.` },
    );
    const report = useAction(
        async () =>
            save(
                await checked(
                    await send(`/api/v1/sso/enforcement/bulk-action/${organization}?action=generate_migration_report`, {
                        method: "POST",
                        headers: { "content-type": "application/json", accept: "text/csv" },
                        body: "{}",
                    }),
                ),
                "migration-report.csv",
            ),
        { done: "Downloaded." },
    );
    return (
        <Card title="Notify people">
            <div className="row">
                <ActionButton action={notify} on="mfa_setup">
                    Ask to set up two-factor
                </ActionButton>
                <ActionButton action={notify} on="sso_migration">
                    Ask to use single sign-on
                </ActionButton>
                <ActionButton action={notify} on="enforcement_warning">
                    Announce the requirement
                </ActionButton>
                <ActionButton action={report} on={undefined}>
                    Download the report
                </ActionButton>
            </div>
        </Card>
    );
}
