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
            done: "They work, and have taken the place of the old ones.",
            changes: [["source", String(source)], ["sources"]],
            inline: true,
            onDone: () => setValues({}),
        },
    );
    const touched = Object.keys(values).length > 0;
    if (offered.length === 0) return null;
    return (
        <Card title="Change the credentials without a gap">
            <ActionForm
                action={rotate}
                submit="Try and change"
                disabled={!touched}
                touched={touched}
                what="The credentials are"
            >
                <p className="soft">The new ones are tried first. Where they do not work, the old ones stay.</p>
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
