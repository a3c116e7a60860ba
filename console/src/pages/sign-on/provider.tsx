// One identity provider: tested, switched on, and who comes in by it as what.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { CheckCircle2, Circle, XCircle } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Button, Card, Check, Facts, Note, Page, SelectField, Status, When } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { Loaded } from "../../ui/loaded";
import { Addresses } from "./addresses";
import { Connection } from "./connection";
import { Identities } from "./identities";
import { AttributeMapping, GroupMapping } from "./mapping";
import { Step } from "./step";

export function Provider() {
    const { id } = useParams({ strict: false }) as { id: string };
    const may = useMay();
    const navigate = useNavigate();
    const roles = useRoles();
    const path = { provider_id: Number(id) };
    const provider = useQuery({
        queryKey: ["provider", id],
        queryFn: () => read(api.GET("/api/v1/sso/providers/{provider_id}", { params: { path } })),
    });
    const changes = [["provider", id], ["providers"]];
    const [results, setResults] = useState<Schemas["ProviderTestResults"]>();
    const [deleting, setDeleting] = useState(false);
    const test = useAction(() => read(api.POST("/api/v1/sso/providers/{provider_id}/test", { params: { path } })), {
        changes,
        onDone: (answer) => setResults(answer.test_results),
    });
    const whole = useAction(async () => {
        const answer = await read(
            api.GET("/api/v1/sso/login", {
                params: { query: { provider_id: Number(id), test: true, response_mode: "json" } },
            }),
        );
        window.open(answer.authorization_url, "_blank", "noopener");
    });
    const update = useAction(
        (body: object) =>
            read(api.PUT("/api/v1/sso/providers/{provider_id}", { params: { path }, body: body as never })),
        { done: "Saved.", changes },
    );
    const data = provider.data?.provider;
    // Of the last test on this page; of a provider that says nothing of them there are none.
    const offered = results?.claims ?? [];
    return (
        <Page
            title={data?.name ?? "Identity provider"}
            crumbs={<Link to="/sso">Single sign-on</Link>}
            narrow
            actions={
                data &&
                may("sso.manage") &&
                (data.status === "active" ? (
                    <ActionButton action={update} on={{ status: "inactive" }}>
                        Switch off
                    </ActionButton>
                ) : (
                    <ActionButton kind="primary" action={update} on={{ status: "active" }}>
                        Switch on
                    </ActionButton>
                ))
            }
        >
            <Loaded query={provider}>
                {({ provider: loaded }) => (
                    <>
                        <Card>
                            <Facts
                                of={[
                                    ["Status", <Status key="state" value={loaded.status} />],
                                    ["Kind", loaded.provider_type === "saml" ? "SAML 2.0" : "OpenID Connect"],
                                    [
                                        loaded.provider_type === "saml" ? "Entity id" : "Issuer",
                                        <code key="issuer" className="break">
                                            {loaded.issuer ?? loaded.entity_id}
                                        </code>,
                                    ],
                                    loaded.client_id
                                        ? ["Client id", <code key="client">{loaded.client_id}</code>]
                                        : null,
                                    ["Mail domains", loaded.domains.join(", ") || "All verified domains"],
                                    loaded.certificate_expires_at
                                        ? [
                                              "Certificate valid until",
                                              <When key="cert" at={loaded.certificate_expires_at} />,
                                          ]
                                        : null,
                                    loaded.metadata_url
                                        ? [
                                              "Metadata URL",
                                              <code key="metadata" className="break">
                                                  {loaded.metadata_url}
                                              </code>,
                                          ]
                                        : null,
                                    ["Last sign-in", <When key="in" at={loaded.last_login_at} />],
                                ]}
                            />
                        </Card>
                        <Addresses id={Number(id)} />
                        {may("sso.manage") && (
                            <>
                                <Connection provider={loaded} />
                                <Step number={1} title="Test the configuration" done={loaded.last_test_succeeded}>
                                    <p className="soft">Reads its documents and keys without signing anyone in.</p>
                                    {results && (
                                        <Note tone={results.errors.length > 0 ? "bad" : "good"}>
                                            <ul className="steps">
                                                <li>
                                                    {results.connection === "success" ? (
                                                        <CheckCircle2 size={15} />
                                                    ) : (
                                                        <XCircle size={15} />
                                                    )}
                                                    Connection: {results.connection}
                                                </li>
                                                <li>
                                                    {results.authentication_flow === "success" ? (
                                                        <CheckCircle2 size={15} />
                                                    ) : (
                                                        <Circle size={15} />
                                                    )}
                                                    Sign-in: {results.authentication_flow}
                                                </li>
                                            </ul>
                                            {results.errors.map((error) => (
                                                <p key={error}>{error}</p>
                                            ))}
                                        </Note>
                                    )}
                                    <div>
                                        <ActionButton action={test} on={undefined}>
                                            Test
                                        </ActionButton>
                                    </div>
                                </Step>
                                <Step number={2} title="Try a full sign-in">
                                    <p className="soft">
                                        Sign in with the provider in a new tab and see what it sends, which roles that
                                        gives, and what would have happened.
                                    </p>
                                    <div>
                                        <ActionButton action={whole} on={undefined}>
                                            Try a sign-in
                                        </ActionButton>
                                    </div>
                                </Step>
                                <Step number={3} title="Access">
                                    <Check
                                        label="Add people as members at their first sign-in"
                                        checked={loaded.jit_provisioning}
                                        disabled={update.busy}
                                        onChange={(event) => update.start({ jit_provisioning: event.target.checked })}
                                    />
                                    {loaded.provider_type === "saml" && (
                                        <Check
                                            label="Allow sign-in from the provider's portal"
                                            hint="IdP-initiated sign-in. It makes login CSRF possible: someone may be signed in to an account that is not theirs."
                                            checked={loaded.allow_idp_initiated}
                                            disabled={update.busy}
                                            onChange={(event) =>
                                                update.start({ allow_idp_initiated: event.target.checked })
                                            }
                                        />
                                    )}
                                    <SelectField
                                        label="Role for new members"
                                        value={String(loaded.default_role_id ?? "")}
                                        disabled={update.busy}
                                        onValue={(value) =>
                                            update.start({ default_role_id: value ? Number(value) : null })
                                        }
                                        options={[
                                            ["", "The organization's default"],
                                            ...(roles.data?.roles ?? []).map(
                                                (each) => [String(each.id), each.name] as const,
                                            ),
                                        ]}
                                    />
                                </Step>
                                <AttributeMapping provider={loaded} offered={offered} />
                                <GroupMapping provider={loaded} />
                                <Identities id={Number(id)} />
                                <Card title="Remove">
                                    <div className="row apart">
                                        <p className="soft">Nobody can sign in with it any more.</p>
                                        <Button kind="danger" onClick={() => setDeleting(true)}>
                                            Remove…
                                        </Button>
                                    </div>
                                </Card>
                            </>
                        )}
                        {deleting && (
                            <Deletion
                                of={loaded.name}
                                word={loaded.name}
                                run={() =>
                                    read(api.DELETE("/api/v1/sso/providers/{provider_id}", { params: { path } }))
                                }
                                changes={[["providers"]]}
                                onDone={() => void navigate({ to: "/sso" })}
                                onClose={() => setDeleting(false)}
                            >
                                <p>The links between people and this provider are deleted.</p>
                            </Deletion>
                        )}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
