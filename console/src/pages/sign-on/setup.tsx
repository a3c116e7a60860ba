// Connecting an identity provider: what to do there, what to enter there, and what to enter here.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Field, Page, PasswordField, TextField } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { ToPaste } from "./step";
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
    const isOther = vendor.startsWith("generic-");
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
            done: "Registered. Test it next.",
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
    const pasted = (name: string, label: string) => (
        <Field key={name} label={label} error={create.of(name)} span>
            {(props) => (
                <textarea
                    {...props}
                    className="mono"
                    spellCheck={false}
                    value={values[name] ?? ""}
                    onChange={(event) => setValues({ ...values, [name]: event.target.value })}
                />
            )}
        </Field>
    );
    const example = (setup.data?.provider ?? {}) as { issuer?: string };
    return (
        <Page
            title={
                isOther ? `Connect an identity provider by ${isSaml ? "SAML" : "OpenID Connect"}` : `Connect ${label}`
            }
            crumbs={<Link to="/sso">Single sign-on</Link>}
            narrow
        >
            <Loaded query={setup}>
                {(data) => (
                    <>
                        <Card title="What to do">
                            <ol className="stack tight" style={{ listStyle: "decimal", paddingLeft: 20 }}>
                                {data.steps.map((step) => (
                                    <li key={step} className="break">
                                        {step
                                            .split("`")
                                            .map((part, index) =>
                                                index % 2 === 1 ? <code key={index}>{part}</code> : part,
                                            )}
                                    </li>
                                ))}
                            </ol>
                        </Card>
                        {data.values.length > 0 && (
                            <Card title={`Enter at ${isOther ? "your identity provider" : label}`}>
                                <div className="stack">
                                    {data.values.map((value) => (
                                        <ToPaste key={value.field + value.value} {...value} />
                                    ))}
                                </div>
                            </Card>
                        )}
                        <Card title="Enter here">
                            <ActionForm
                                action={create}
                                submit="Register as inactive"
                                touched={Object.values(values).some(Boolean)}
                                what="The provider is"
                            >
                                <div className="form-grid">
                                    {field("name", "Name", { placeholder: label })}
                                    {isSaml ? (
                                        <>
                                            {field("metadata_url", "Metadata URL", { type: "url" })}
                                            {pasted("metadata_xml", "Or metadata (XML)")}
                                            <details className="span">
                                                <summary className="label">Enter manually</summary>
                                                <div className="form-grid" style={{ marginTop: 10 }}>
                                                    {field("entity_id", "Entity ID", { span: true })}
                                                    {field("sso_url", "Sign-in URL", {
                                                        type: "url",
                                                        span: true,
                                                    })}
                                                    {pasted("certificate", "Certificate (PEM)")}
                                                </div>
                                            </details>
                                        </>
                                    ) : (
                                        <>
                                            {field("issuer", "Issuer", { required: true, placeholder: example.issuer })}
                                            {field("client_id", "Client ID", { required: true })}
                                            <PasswordField
                                                label="Client secret"
                                                autoComplete="off"
                                                value={values.client_secret ?? ""}
                                                onValue={(value) => setValues({ ...values, client_secret: value })}
                                                error={create.of("client_secret")}
                                            />
                                        </>
                                    )}
                                </div>
                            </ActionForm>
                        </Card>
                    </>
                )}
            </Loaded>
        </Page>
    );
}
