// What is entered here of a registered provider: its name, where it is, its secret or its certificates, whom it signs in.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useProvedDomains } from "../../choices";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Card, Choices, Field, PasswordField, TextField, When } from "../../ui/basics";
import { Toggles } from "../../ui/chips";
import { Loaded } from "../../ui/loaded";

type Provider = Schemas["SsoProvider"];
/** What is typed, by its name in the API; what is not here stays as it is. */
type Draft = Partial<
    Record<
        | "name"
        | "issuer"
        | "client_id"
        | "client_secret"
        | "scopes"
        | "metadata_url"
        | "metadata_xml"
        | "entity_id"
        | "sso_url"
        | "slo_url"
        | "certificate",
        string
    >
>;

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);

/** What the server keeps is taken away by `null`, where it can be; a secret that is typed and taken out again stays. */
const sent = ({ scopes, metadata_url, slo_url, client_secret, ...draft }: Draft): Schemas["UpdateProviderRequest"] => ({
    ...draft,
    client_secret: client_secret || undefined,
    ...(scopes !== undefined && { scopes: words(scopes) }),
    ...(metadata_url !== undefined && { metadata_url: metadata_url.trim() || null }),
    ...(slo_url !== undefined && { slo_url: slo_url.trim() || null }),
});

export function Connection({ provider }: { provider: Provider }) {
    const path = { provider_id: provider.id };
    const changes = [["provider", String(provider.id)], ["providers"]];
    const [draft, setDraft] = useState<Draft>({});
    const [chosen, setChosen] = useState<string[]>();
    const domains = useProvedDomains();
    const save = useAction(
        () =>
            read(
                api.PUT("/api/v1/sso/providers/{provider_id}", {
                    params: { path },
                    body: { ...sent(draft), domains: chosen },
                }),
            ),
        {
            done: "Saved. It applies from the next sign-in.",
            changes,
            inline: true,
            onDone: () => {
                setDraft({});
                setChosen(undefined);
            },
        },
    );
    const touched = Object.keys(draft).length > 0 || chosen !== undefined;
    const field = (name: keyof Draft, kept: string | null | undefined) => ({
        value: draft[name] ?? kept ?? "",
        onValue: (value: string) => setDraft({ ...draft, [name]: value }),
        error: save.of(name),
        autoComplete: "off" as const,
    });
    const pasted = (name: "metadata_xml" | "certificate", label: string, hint: string) => (
        <Field label={label} hint={hint} error={save.of(name)} span>
            {(props) => (
                <textarea
                    {...props}
                    className="mono"
                    spellCheck={false}
                    value={draft[name] ?? ""}
                    onChange={({ target: { value } }) => {
                        // What is taken out again is not sent.
                        const { [name]: _, ...others } = draft;
                        setDraft(value === "" ? others : { ...others, [name]: value });
                    }}
                />
            )}
        </Field>
    );
    return (
        <>
            <details className="card pad">
                <summary style={{ fontWeight: 560 }}>Name and connection</summary>
                <div style={{ marginTop: 12 }}>
                    <ActionForm action={save} submit="Save the connection" disabled={!touched} touched={touched}>
                        <div className="form-grid">
                            <TextField label="Name" required span {...field("name", provider.name)} />
                            {provider.provider_type === "oidc" ? (
                                <>
                                    <TextField label="Issuer" required span {...field("issuer", provider.issuer)} />
                                    <TextField label="Client ID" required {...field("client_id", provider.client_id)} />
                                    <PasswordField
                                        label="Client secret"
                                        placeholder={provider.has_client_secret ? "unchanged" : ""}
                                        hint="Stored encrypted and never shown."
                                        {...field("client_secret", "")}
                                    />
                                    <TextField
                                        label="Scopes"
                                        span
                                        hint="Separate with spaces."
                                        {...field("scopes", provider.scopes.join(" "))}
                                    />
                                </>
                            ) : (
                                <>
                                    <TextField
                                        label="Metadata URL"
                                        type="url"
                                        span
                                        hint="Read now and daily, so that a new certificate is trusted before it is used."
                                        {...field("metadata_url", provider.metadata_url)}
                                    />
                                    <TextField
                                        label="Entity ID"
                                        required
                                        span
                                        {...field("entity_id", provider.entity_id)}
                                    />
                                    <TextField
                                        label="Sign-in URL"
                                        type="url"
                                        required
                                        {...field("sso_url", provider.sso_url)}
                                    />
                                    <TextField label="Logout URL" type="url" {...field("slo_url", provider.slo_url)} />
                                    {pasted("metadata_xml", "New metadata (XML)", "Replaces the values above.")}
                                    {pasted("certificate", "Add a certificate", "PEM. Added to the existing ones.")}
                                </>
                            )}
                        </div>
                        <Choices
                            legend="Mail domains"
                            hint="None selected: all verified domains."
                            error={save.of("domains")}
                        >
                            <Loaded query={domains} lines={1}>
                                {(data) => (
                                    <Toggles
                                        options={[...new Set([...data, ...provider.domains])].map(
                                            (domain) => [domain, domain] as const,
                                        )}
                                        chosen={chosen ?? provider.domains}
                                        onChosen={setChosen}
                                    />
                                )}
                            </Loaded>
                        </Choices>
                    </ActionForm>
                </div>
            </details>
            {provider.certificates.length > 0 && <Certificates provider={provider} changes={changes} />}
        </>
    );
}

/** Those that its signatures are checked with. The last one stays: without any, nothing of the provider is believed. */
function Certificates({ provider, changes }: { provider: Provider; changes: unknown[][] }) {
    const remove = useAction(
        (fingerprint: string) =>
            read(
                api.PUT("/api/v1/sso/providers/{provider_id}", {
                    params: { path: { provider_id: provider.id } },
                    body: { remove_certificates: [fingerprint] },
                }),
            ),
        { done: "No longer trusted.", changes },
    );
    return (
        <Card title="Certificates" flush>
            <ul className="list" aria-label="Certificates">
                {provider.certificates.map((each) => (
                    <li key={each.fingerprint}>
                        <span className="grow">
                            <b className="strong break">{each.subject}</b>
                            <br />
                            <span className="small soft">
                                <code>{each.fingerprint.slice(0, 16)}…</code> until <When at={each.expires_at} />
                            </span>
                        </span>
                        {provider.certificates.length > 1 && (
                            <ActionButton
                                small
                                kind="danger"
                                aria-label={`Remove ${each.subject}`}
                                action={remove}
                                on={each.fingerprint}
                            >
                                Remove
                            </ActionButton>
                        )}
                    </li>
                ))}
            </ul>
        </Card>
    );
}
