// One application: who answers for it, its secrets, what it may ask for, its suspension and its end.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { MoreHorizontal } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay, useMe, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Card, Copyable, Facts, Note, Page, When } from "../../ui/basics";
import { Confirm, Deletion } from "../../ui/confirm";
import { ActionMenu } from "../../ui/dialog";
import { Loaded } from "../../ui/loaded";
import { Editing } from "./editing";
import { Keys, KeysField, writtenKeys } from "./keys";
import { Logo } from "./logo";
import { Crumbs, State } from "./pieces";
import { Secrets } from "./secrets";
import { Usage } from "./usage";

const ORIGINS = {
    administrator: "Registered by an administrator",
    registered: "Registered itself",
    document: "Client ID metadata document",
} as const;

export function ApplicationPage() {
    const { id: written } = useParams({ strict: false }) as { id: string };
    const organization = useOrganization();
    const path = { org_id: organization, app_id: Number(written) };
    const may = useMay();
    const me = useMe();
    const navigate = useNavigate();
    const [asking, setAsking] = useState<"suspend" | "delete" | "take over">();
    const [keys, setKeys] = useState("");
    const application = useQuery({
        queryKey: ["application", path.app_id],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/oauth-applications/{app_id}", { params: { path } })),
    });
    const one = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}";
    const changes = [["application"], ["applications"], ["secrets"]];
    const resume = useAction(() => read(api.PATCH(one, { params: { path }, body: { status: "active" } })), {
        done: "Reactivated. Its old tokens stay revoked.",
        changes,
    });
    const verify = useAction((verified: boolean) => read(api.PATCH(one, { params: { path }, body: { verified } })), {
        done: ({ verified_at }) =>
            verified_at ? "Marked as verified. People are no longer warned." : "Mark removed. People are warned again.",
        changes,
    });
    const data = application.data;
    const isMine = data?.responsible_user_id === me.data?.user.id;
    const mayManage = may("oauth_app.manage");
    return (
        <Page
            title={data?.name ?? "Application"}
            lead={data?.description}
            crumbs={<Crumbs />}
            narrow
            actions={
                data &&
                mayManage && (
                    <>
                        {data.status === "active" ? (
                            <Button onClick={() => setAsking("suspend")}>Suspend…</Button>
                        ) : (
                            <ActionButton kind="primary" action={resume} on={undefined}>
                                Reactivate
                            </ActionButton>
                        )}
                        <ActionMenu
                            label="More"
                            choices={[{ label: "Delete…", danger: true, run: () => setAsking("delete") }]}
                        >
                            <MoreHorizontal size={16} />
                        </ActionMenu>
                    </>
                )
            }
        >
            <Loaded query={application}>
                {(loaded) => (
                    <>
                        <Card>
                            <div className="stack">
                                <div className="stack tight">
                                    <span className="label">Client ID</span>
                                    <Copyable text={loaded.client_id} label="client ID" />
                                </div>
                                <Facts
                                    of={[
                                        ["Status", <State key="state" of={loaded} />],
                                        ["Kind", loaded.client_type === "public" ? "Public" : "Confidential"],
                                        ["Registered", <When key="at" at={loaded.created_at} />],
                                        ["Origin", ORIGINS[loaded.origin]],
                                        loaded.jwks_uri
                                            ? [
                                                  "Keys URL",
                                                  <code key="keys" className="break">
                                                      {loaded.jwks_uri}
                                                  </code>,
                                              ]
                                            : null,
                                        [
                                            "Owner",
                                            isMine ? (
                                                "You"
                                            ) : (
                                                <Link
                                                    key="who"
                                                    to="/people/$id"
                                                    params={{ id: String(loaded.responsible_user_id) }}
                                                >
                                                    Another administrator
                                                </Link>
                                            ),
                                        ],
                                    ]}
                                />
                                {loaded.origin !== "administrator" && mayManage && (
                                    <Note tone={loaded.verified_at ? "good" : "warn"}>
                                        <div className="row apart">
                                            <span className="grow">
                                                {loaded.verified_at ? (
                                                    <>
                                                        Verified <When at={loaded.verified_at} />: an administrator
                                                        vouches for its publisher.
                                                    </>
                                                ) : (
                                                    "It registered itself. People are warned that its publisher is not verified."
                                                )}
                                            </span>
                                            <ActionButton small action={verify} on={!loaded.verified_at}>
                                                {loaded.verified_at ? "Remove verification" : "Mark as verified"}
                                            </ActionButton>
                                        </div>
                                    </Note>
                                )}
                                {!isMine && mayManage && me.data && (
                                    <Note>
                                        <div className="row apart">
                                            <span className="grow">
                                                Only its owner can issue its secrets and extend its scopes.
                                            </span>
                                            <Button small onClick={() => setAsking("take over")}>
                                                Take ownership…
                                            </Button>
                                        </div>
                                    </Note>
                                )}
                            </div>
                        </Card>
                        {loaded.client_type === "confidential" && !loaded.jwks && mayManage && (
                            <Secrets path={path} name={loaded.name} />
                        )}
                        {loaded.jwks && <Keys of={loaded.jwks} />}
                        <Usage path={path} />
                        {mayManage && <Logo path={path} logo={loaded.logo} />}
                        {mayManage ? (
                            <Editing
                                key={JSON.stringify({
                                    ...loaded,
                                    status: null,
                                    last_used_at: null,
                                    logo: null,
                                    verified_at: null,
                                })}
                                application={loaded}
                                path={path}
                            />
                        ) : (
                            <Card title="Scopes">
                                <span className="row">
                                    {loaded.scopes.map((scope) => (
                                        <Badge key={scope}>{scope}</Badge>
                                    ))}
                                </span>
                            </Card>
                        )}
                    </>
                )}
            </Loaded>
            {asking === "suspend" && data && (
                <Confirm
                    title={`Suspend ${data.name}?`}
                    action="Suspend"
                    run={() => read(api.POST(`${one}/revoke`, { params: { path } }))}
                    changes={changes}
                    onClose={() => setAsking(undefined)}
                >
                    <p>All its tokens are revoked immediately, and stay revoked when it is reactivated.</p>
                </Confirm>
            )}
            {asking === "delete" && data && (
                <Deletion
                    of={data.name}
                    word={data.name}
                    run={() => read(api.DELETE(one, { params: { path } }))}
                    changes={[["applications"]]}
                    onDone={() => void navigate({ to: "/organization/applications" })}
                    onClose={() => setAsking(undefined)}
                >
                    <p>Everyone who signs in with it is locked out immediately. This cannot be undone.</p>
                </Deletion>
            )}
            {asking === "take over" && data && (
                <Confirm
                    title={`Take ownership of ${data.name}?`}
                    action="Take ownership"
                    run={async () => {
                        const jwks = data.jwks ? writtenKeys(keys) : undefined;
                        return read(api.PATCH(one, { params: { path }, body: { take_over: true, jwks } }));
                    }}
                    changes={changes}
                    onDone={() => setKeys("")}
                    onClose={() => setAsking(undefined)}
                >
                    <p>
                        When no person is involved, it then acts as you.{" "}
                        {data.jwks
                            ? "Its tokens are revoked and it needs new keys, because others know the current ones."
                            : "Its secrets and tokens are revoked, because others know them."}
                    </p>
                    {data.jwks && <KeysField label="New public keys" required value={keys} onValue={setKeys} />}
                </Confirm>
            )}
        </Page>
    );
}
