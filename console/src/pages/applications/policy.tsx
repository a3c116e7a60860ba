// What members may allow applications.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, Choices } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { ScopeChoice } from "./scopes";

const REGISTRATION = [
    ["off", "Disabled", "Administrators register applications here."],
    ["token", "With an access token", "Of someone who can register applications."],
    ["open", "Open", "Only in the organization the operator chose for it."],
] as const;

export function Policy() {
    const id = useOrganization();
    const policy = useQuery({
        queryKey: ["oauth-policy", id],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/oauth-policy", { params: { path: { org_id: id } } })),
    });
    return <Loaded query={policy}>{(data) => <PolicyForm key={data.updated_at} policy={data} />}</Loaded>;
}

function PolicyForm({ policy }: { policy: Schemas["OauthPolicy"] }) {
    const may = useMay();
    const id = useOrganization();
    const [applications, setApplications] = useState(policy.applications);
    const [scopes, setScopes] = useState<string[] | undefined>(policy.scopes ?? undefined);
    const [registration, setRegistration] = useState(policy.registration);
    const [documents, setDocuments] = useState(policy.client_documents);
    const touched =
        applications !== policy.applications ||
        registration !== policy.registration ||
        documents !== policy.client_documents ||
        JSON.stringify(scopes) !== JSON.stringify(policy.scopes ?? undefined);
    const save = useAction(
        () =>
            read(
                api.PUT("/api/v1/organizations/{org_id}/oauth-policy", {
                    params: { path: { org_id: id } },
                    body: { applications, scopes, registration, client_documents: documents },
                }),
            ),
        { done: "Saved. It applies immediately.", changes: [["oauth-policy"]], inline: true },
    );
    return (
        <ActionForm
            action={save}
            submit={may("oauth_app.manage") && "Save"}
            disabled={!touched}
            touched={touched}
            style={{ maxWidth: 760 }}
        >
            <fieldset
                disabled={!may("oauth_app.manage")}
                className="stack"
                style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}
            >
                <legend className="visually-hidden">What members can allow</legend>
                <Card title="Applications">
                    <Check
                        type="radio"
                        name="applications"
                        label="All registered applications"
                        checked={applications === "all"}
                        onChange={() => setApplications("all")}
                    />
                    <Check
                        type="radio"
                        name="applications"
                        label="Only preapproved applications"
                        checked={applications === "preapproved"}
                        onChange={() => setApplications("preapproved")}
                    />
                </Card>
                <Card title="Scopes">
                    <Check
                        type="radio"
                        name="scopes"
                        label="All scopes an application is registered with"
                        checked={scopes === undefined}
                        onChange={() => setScopes(undefined)}
                    />
                    <Check
                        type="radio"
                        name="scopes"
                        label="At most these"
                        checked={scopes !== undefined}
                        onChange={() => setScopes(["read"])}
                    />
                    {scopes && (
                        <div style={{ paddingLeft: 26 }}>
                            <ScopeChoice scopes={scopes} onScopes={setScopes} error={save.of("scopes")} />
                        </div>
                    )}
                </Card>
                <Card title="Self-registration">
                    <p className="soft">
                        If the operator allows it. People are warned that such applications are not verified.
                    </p>
                    <Choices legend="Dynamic registration" isHidden error={save.of("registration")}>
                        {REGISTRATION.map(([key, label, hint]) => (
                            <Check
                                key={key}
                                type="radio"
                                name="registration"
                                label={label}
                                hint={hint}
                                checked={registration === key}
                                onChange={() => setRegistration(key)}
                            />
                        ))}
                    </Choices>
                    <Check
                        label="Allow client ID metadata documents"
                        hint="The client ID is the https address of a document. Such applications are listed after their first sign-in."
                        checked={documents}
                        onChange={(event) => setDocuments(event.target.checked)}
                    />
                </Card>
            </fieldset>
        </ActionForm>
    );
}
