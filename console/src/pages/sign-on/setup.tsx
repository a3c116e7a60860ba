// Connecting an identity provider: what to do there, what to enter there, and what to enter here.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useAction } from "../../ui/action";
import { Button, Copyable, Field, Page, Problem, TextField } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Unsaved } from "../../ui/unsaved";
import { Step } from "./step";
import { VENDORS, type Vendor } from "./vendors";

export function Setup() {
    const { vendor } = useParams({ strict: false }) as { vendor: Vendor };
    const navigate = useNavigate();
    const setup = useQuery({
        queryKey: ["setup", vendor],
        queryFn: () => read(api.GET("/api/v1/sso/setup/{vendor}", { params: { path: { vendor } } })),
    });
    const [values, setValues] = useState<Record<string, string>>({});
    const label = VENDORS.find(([key]) => key === vendor)?.[1] ?? vendor;
    const isSaml = setup.data?.provider_type === "saml";
    const create = useAction(
        () =>
            read(
                api.POST("/api/v1/sso/providers", {
                    body: {
                        provider_type: setup.data?.provider_type ?? "oidc",
                        name: values.name || label,
                        status: "inactive",
                        attribute_mapping: (setup.data?.provider as { attribute_mapping?: never } | undefined)
                            ?.attribute_mapping,
                        scopes: (setup.data?.provider as { scopes?: string[] } | undefined)?.scopes,
                        ...Object.fromEntries(
                            [
                                "issuer",
                                "client_id",
                                "client_secret",
                                "metadata_url",
                                "metadata_xml",
                                "entity_id",
                                "sso_url",
                                "certificate",
                            ].flatMap((key) => (values[key] ? [[key, values[key]]] : [])),
                        ),
                    } as never,
                }),
            ),
        {
            done: "Registered; now test it.",
            changes: [["providers"]],
            inline: true,
            onDone: (answer) => void navigate({ to: "/sso/$id", params: { id: String(answer.provider.id) } }),
        },
    );
    const field = (
        name: string,
        text: string,
        rest: { required?: boolean; type?: string; placeholder?: string; span?: boolean } = {},
    ) => (
        <TextField
            key={name}
            label={text}
            value={values[name] ?? ""}
            onValue={(value) => setValues({ ...values, [name]: value })}
            error={create.of(name)}
            autoComplete="off"
            {...rest}
        />
    );
    const example = (setup.data?.provider ?? {}) as { issuer?: string };
    return (
        <Page title={`Connect ${label}`} crumbs={<Link to="/sso">Single sign-on</Link>} narrow>
            <Loaded query={setup}>
                {(data) => (
                    <>
                        <Step number={1} title={`At ${label}`}>
                            <ol className="stack tight" style={{ listStyle: "decimal", paddingLeft: 20 }}>
                                {data.steps.map((step) => (
                                    <li key={step} className="break">
                                        {step}
                                    </li>
                                ))}
                            </ol>
                        </Step>
                        <Step number={2} title="Enter there">
                            {data.values.map((value) => (
                                <div key={value.field + value.value} className="stack tight" style={{ gap: 4 }}>
                                    <span className="label">{value.field}</span>
                                    <Copyable text={value.value} label={value.field} />
                                </div>
                            ))}
                        </Step>
                        <Step number={3} title="And here">
                            <form
                                className="stack"
                                onSubmit={(event) => {
                                    event.preventDefault();
                                    void create.start(undefined);
                                }}
                            >
                                <div className="form-grid">
                                    {field("name", "Name", { placeholder: label })}
                                    {isSaml ? (
                                        <>
                                            {field("metadata_url", "Address of its metadata", { type: "url" })}
                                            <div className="span">
                                                <Field label="Or its metadata (XML)" error={create.of("metadata_xml")}>
                                                    {(props) => (
                                                        <textarea
                                                            {...props}
                                                            className="mono"
                                                            spellCheck={false}
                                                            value={values.metadata_xml ?? ""}
                                                            onChange={(event) =>
                                                                setValues({
                                                                    ...values,
                                                                    metadata_xml: event.target.value,
                                                                })
                                                            }
                                                        />
                                                    )}
                                                </Field>
                                            </div>
                                        </>
                                    ) : (
                                        <>
                                            {field("issuer", "Issuer", { required: true, placeholder: example.issuer })}
                                            {field("client_id", "Client id", { required: true })}
                                            {field("client_secret", "Client secret", { type: "password" })}
                                        </>
                                    )}
                                </div>
                                {create.error !== undefined && <Problem error={create.error} />}
                                <Unsaved
                                    touched={Object.values(values).some(Boolean)}
                                    busy={create.busy}
                                    what="This provider is"
                                />
                                <div className="form-end">
                                    <Button kind="primary" type="submit" busy={create.busy}>
                                        Register it, inactive
                                    </Button>
                                </div>
                            </form>
                        </Step>
                    </>
                )}
            </Loaded>
        </Page>
    );
}
