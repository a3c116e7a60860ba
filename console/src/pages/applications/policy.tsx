// What members may allow applications.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { useAction } from "../../ui/action";
import { Button, Card, Check, Problem } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Unsaved } from "../../ui/unsaved";
import { ScopeChoice } from "./scopes";

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
    const touched =
        applications !== policy.applications || JSON.stringify(scopes) !== JSON.stringify(policy.scopes ?? undefined);
    const save = useAction(
        () =>
            read(
                api.PUT("/api/v1/organizations/{org_id}/oauth-policy", {
                    params: { path: { org_id: id } },
                    body: { applications, scopes },
                }),
            ),
        { done: "Saved; it holds at once.", changes: [["oauth-policy"]], inline: true },
    );
    return (
        <form
            className="stack"
            style={{ maxWidth: 760 }}
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <fieldset
                disabled={!may("oauth_app.manage")}
                className="stack"
                style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}
            >
                <legend className="visually-hidden">What members may allow</legend>
                <Card title="Which applications may act for members">
                    <Check
                        type="radio"
                        name="applications"
                        label="All that are registered"
                        checked={applications === "all"}
                        onChange={() => setApplications("all")}
                    />
                    <Check
                        type="radio"
                        name="applications"
                        label="Only those that are preapproved"
                        checked={applications === "preapproved"}
                        onChange={() => setApplications("preapproved")}
                    />
                </Card>
                <Card title="With which scopes">
                    <Check
                        type="radio"
                        name="scopes"
                        label="All that an application is registered with"
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
            </fieldset>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            {may("oauth_app.manage") && (
                <div className="form-end">
                    <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                        Save
                    </Button>
                </div>
            )}
        </form>
    );
}
