// Other credentials for a source, tried before the old ones go: nobody's questions fail in between.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Card } from "../../ui/basics";
import { type JsonSchema, SchemaForm, type Values } from "../../ui/schema-form";

/** Those that can be tried first, as the API calls them. */
const ROTATED = ["username", "password", "api_key", "oauth_token", "role", "warehouse"];

export function Credentials({ source, form }: { source: number; form: JsonSchema }) {
    const [values, setValues] = useState<Values>({});
    const offered = Object.entries(form.properties?.credentials?.properties ?? {}).filter(([name]) =>
        ROTATED.includes(name),
    );
    const rotate = useAction(
        () =>
            read(
                api.PATCH("/api/v1/data-sources/{data_source_id}/credentials", {
                    params: { path: { data_source_id: source } },
                    body: { ...(values as Schemas["UpdateCredentialsRequest"]), rotate_credentials: true },
                }),
            ),
        {
            done: "The new credentials work and are in use.",
            changes: [["source", String(source)], ["sources"]],
            inline: true,
            onDone: () => setValues({}),
        },
    );
    const touched = Object.keys(values).length > 0;
    if (offered.length === 0) return null;
    return (
        <Card title="Rotate credentials">
            <ActionForm
                action={rotate}
                submit="Test and rotate"
                disabled={!touched}
                touched={touched}
                what="The credentials are"
            >
                <p className="soft">The new credentials are tested first. If they fail, the old ones stay in use.</p>
                <SchemaForm
                    schema={{ properties: Object.fromEntries(offered) }}
                    required={offered.map(([name]) => name).filter((name) => name === "password")}
                    values={values}
                    onValues={setValues}
                    error={rotate.of}
                />
            </ActionForm>
        </Card>
    );
}
