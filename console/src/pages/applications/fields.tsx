// What is said of an application when it is registered, and changed later.

import { useState } from "react";
import { useMay } from "../../standing";
import { Card, Check, Choices, Field, TextField } from "../../ui/basics";
import { KeysField } from "./keys";
import type { Application } from "./pieces";
import { ScopeChoice } from "./scopes";

type Grant = Application["grant_types"][number];

const GRANTS = [
    ["authorization_code", "Sign people in", "People see what it asks for and give consent."],
    [
        "urn:ietf:params:oauth:grant-type:device_code",
        "Sign people in on another device",
        "Device flow, for programs without a browser: it shows a code that people enter elsewhere.",
    ],
    [
        "client_credentials",
        "Act on its own",
        "Client credentials: no person is involved, and it acts as the administrator who owns it. Needs a secret or a key.",
    ],
    [
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "Exchange tokens",
        "Token exchange, for services behind another program. Needs a secret or a key.",
    ],
] as const;

/** Grants for applications that can prove who they are. */
const PROVED: Grant[] = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"];

export type Draft = Pick<
    Application,
    | "name"
    | "client_type"
    | "grant_types"
    | "redirect_uris"
    | "post_logout_redirect_uris"
    | "resources"
    | "scopes"
    | "preapproved"
    | "dpop_bound_access_tokens"
> & {
    description: string;
    /** Its public keys as they are typed, where it proves itself by one of them; otherwise it has a secret. */
    keys: string | undefined;
};

export const BLANK: Draft = {
    name: "",
    description: "",
    client_type: "confidential",
    keys: undefined,
    grant_types: ["authorization_code"],
    redirect_uris: [],
    post_logout_redirect_uris: [],
    resources: [],
    scopes: ["read"],
    preapproved: false,
    dpop_bound_access_tokens: false,
};

export function Fields({
    draft,
    onDraft,
    of,
    isNew,
}: {
    draft: Draft;
    onDraft: (draft: Draft) => void;
    of: (field: string) => string | undefined;
    isNew?: boolean;
}) {
    const may = useMay();
    const set = (change: Partial<Draft>) => onDraft({ ...draft, ...change });
    const flip = (grant: Grant) =>
        set({
            grant_types: draft.grant_types.includes(grant)
                ? draft.grant_types.filter((each) => each !== grant)
                : [...draft.grant_types, grant],
        });
    return (
        <>
            <Card>
                <div className="stack">
                    <div className="form-grid">
                        <TextField
                            label="Name"
                            required
                            hint="Shown to people when they are asked for consent."
                            value={draft.name}
                            onValue={(name) => set({ name })}
                            error={of("name")}
                        />
                        <TextField
                            label="Description (optional)"
                            value={draft.description}
                            onValue={(description) => set({ description })}
                            error={of("description")}
                        />
                    </div>
                    {isNew && (
                        <Choices legend="Can it keep a secret?">
                            <Check
                                type="radio"
                                name="client_type"
                                label="Yes, it runs on a server"
                                hint="Confidential client. It authenticates itself."
                                checked={draft.client_type === "confidential"}
                                onChange={() => set({ client_type: "confidential" })}
                            />
                            <Check
                                type="radio"
                                name="client_type"
                                label="No, it runs on people's devices"
                                hint="Public client, in a browser, on a phone or a computer. It gets no secret."
                                checked={draft.client_type === "public"}
                                onChange={() =>
                                    set({
                                        client_type: "public",
                                        keys: undefined,
                                        grant_types: draft.grant_types.filter((grant) => !PROVED.includes(grant)),
                                    })
                                }
                            />
                        </Choices>
                    )}
                    {isNew && draft.client_type === "confidential" && (
                        <Choices legend="How does it authenticate?">
                            <Check
                                type="radio"
                                name="proof"
                                label="With a secret"
                                hint="Issued when it is registered."
                                checked={draft.keys === undefined}
                                onChange={() => set({ keys: undefined })}
                            />
                            <Check
                                type="radio"
                                name="proof"
                                label="With its own key"
                                hint="It signs with a private key (private_key_jwt) and gets no secret."
                                checked={draft.keys !== undefined}
                                onChange={() => set({ keys: "" })}
                            />
                        </Choices>
                    )}
                    {draft.keys !== undefined && (
                        <KeysField
                            label={isNew ? "Public keys" : "Replace public keys (optional)"}
                            required={isNew}
                            value={draft.keys}
                            onValue={(keys) => set({ keys })}
                            error={of("jwks")}
                        />
                    )}
                </div>
            </Card>
            <Card title="Grant types">
                <div className="stack">
                    <Choices legend="Grant types" isHidden error={of("grant_types")}>
                        {GRANTS.map(([grant, label, hint]) => (
                            <Check
                                key={grant}
                                label={label}
                                hint={hint}
                                checked={draft.grant_types.includes(grant)}
                                disabled={draft.client_type === "public" && PROVED.includes(grant)}
                                onChange={() => flip(grant)}
                            />
                        ))}
                    </Choices>
                    {draft.grant_types.includes("authorization_code") && (
                        <Lines
                            label="Redirect URIs"
                            hint="Where people are sent back to, one per line, exactly as used: https, a loopback address, or a custom scheme."
                            placeholder="https://reports.acme.example/callback"
                            required
                            value={draft.redirect_uris}
                            onValue={(redirect_uris) => set({ redirect_uris })}
                            error={of("redirect_uris") ?? of("redirect_uris[0]")}
                        />
                    )}
                </div>
            </Card>
            <Card title="Scopes">
                <div className="stack">
                    <ScopeChoice scopes={draft.scopes} onScopes={(scopes) => set({ scopes })} error={of("scopes")} />
                    {may("oauth_app.manage") && (
                        <Check
                            label="Skip consent"
                            hint="An administrator consents for everyone, as long as it only asks to read."
                            checked={draft.preapproved}
                            onChange={(event) => set({ preapproved: event.target.checked })}
                        />
                    )}
                </div>
            </Card>
            <details className="card pad">
                <summary style={{ fontWeight: 560 }}>More settings</summary>
                <div className="stack" style={{ marginTop: 12 }}>
                    <Lines
                        label="Post-logout URIs (optional)"
                        hint="Where browsers may go after it signs someone out."
                        value={draft.post_logout_redirect_uris}
                        onValue={(post_logout_redirect_uris) => set({ post_logout_redirect_uris })}
                        error={of("post_logout_redirect_uris")}
                    />
                    <Lines
                        label="Other audiences (optional)"
                        hint="Servers its tokens may be used at, besides this one."
                        value={draft.resources}
                        onValue={(resources) => set({ resources })}
                        error={of("resources")}
                    />
                    <Check
                        label="Bind tokens to its key"
                        hint="DPoP: a stolen token is useless. The program must send a proof with each request."
                        checked={draft.dpop_bound_access_tokens}
                        onChange={(event) => set({ dpop_bound_access_tokens: event.target.checked })}
                    />
                </div>
            </details>
        </>
    );
}

/** Several texts, one a line. What is typed stays as it is until it is left. */
function Lines({
    value,
    onValue,
    label,
    hint,
    error,
    ...rest
}: {
    label: string;
    hint: string;
    value: string[];
    onValue: (value: string[]) => void;
    error?: string;
    placeholder?: string;
    required?: boolean;
}) {
    const [text, setText] = useState(value.join("\n"));
    return (
        <Field label={label} hint={hint} error={error}>
            {(props) => (
                <textarea
                    {...rest}
                    {...props}
                    className="mono"
                    rows={2}
                    spellCheck={false}
                    value={text}
                    onChange={(event) => {
                        setText(event.target.value);
                        onValue(
                            event.target.value
                                .split("\n")
                                .map((line) => line.trim())
                                .filter(Boolean),
                        );
                    }}
                />
            )}
        </Field>
    );
}
