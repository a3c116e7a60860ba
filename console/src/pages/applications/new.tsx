// Registering an application; its secret is shown once.

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Copyable, Page } from "../../ui/basics";
import { Secret } from "../../ui/secret";
import { BLANK, Fields } from "./fields";
import { writtenKeys } from "./keys";
import { Crumbs } from "./pieces";

export function NewApplication() {
    const id = useOrganization();
    const maySee = useMay()("oauth_app.read");
    const [draft, setDraft] = useState(BLANK);
    const [made, setMade] = useState<Schemas["CreatedApplication"]>();
    const create = useAction(
        async () => {
            const { keys, description, ...rest } = draft;
            return read(
                api.POST("/api/v1/organizations/{org_id}/oauth-applications", {
                    params: { path: { org_id: id } },
                    body: {
                        ...rest,
                        description: description || undefined,
                        jwks: keys === undefined ? undefined : writtenKeys(keys),
                    },
                }),
            );
        },
        { done: "Registered.", changes: [["applications"]], inline: true, onDone: setMade },
    );
    if (made)
        return (
            <Page title={made.name} crumbs={<Crumbs />} narrow>
                {made.client_secret && <Secret secret={made.client_secret} of={made.name} />}
                <Card title="Client credentials">
                    <div className="stack tight">
                        <span className="label">Client ID</span>
                        <Copyable text={made.client_id} label="client ID" />
                        <span className="label">Server</span>
                        <Copyable text={location.origin} label="server" />
                    </div>
                </Card>
                <div className="form-end">
                    {maySee ? (
                        <Link
                            className="button primary"
                            to="/organization/applications/$id"
                            params={{ id: String(made.id) }}
                        >
                            Continue
                        </Link>
                    ) : (
                        <p className="soft">Your administrators manage it from here.</p>
                    )}
                </div>
            </Page>
        );
    return (
        <Page title="Register an application" crumbs={<Crumbs />} narrow>
            <ActionForm
                action={create}
                submit="Register"
                beside={
                    <Link className="button" to={maySee ? "/organization/applications" : "/"}>
                        Cancel
                    </Link>
                }
                touched={draft !== BLANK}
                what="The application is"
            >
                <Fields draft={draft} onDraft={setDraft} of={create.of} isNew />
            </ActionForm>
        </Page>
    );
}
