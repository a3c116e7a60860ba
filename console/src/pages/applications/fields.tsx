// What is said of an application when it is registered, and changed later.

import { useState } from "react";
import { useMay } from "../../standing";
import { Card, Check, Choices, Field, TextField } from "../../ui/basics";
import { KeysField } from "./keys";
import type { Application } from "./pieces";
import { ScopeChoice } from "./scopes";

type Grant = Application["grant_types"][number];

const GRANTS = [
    ["authorization_code", "Sign people in", "They see who asks for what, and agree."],
    [
        "urn:ietf:params:oauth:grant-type:device_code",
        "Sign people in from another device",
        "For programs without a browser: it shows a code, which its person types elsewhere.",
    ],
    [
        "client_credentials",
        "Act for itself",
        "Nobody is there: it acts for the administrator who answers for it. It needs a secret or a key.",
    ],
    [
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "Go on with a token that it was shown",
        "For services behind another program. It needs a secret or a key.",
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
                            hint="People read it when they are asked."
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
                                label="Yes: it runs on a server"
                                hint="Confidential. It proves who it is."
                                checked={draft.client_type === "confidential"}
                                onChange={() => set({ client_type: "confidential" })}
                            />
                            <Check
                                type="radio"
                                name="client_type"
                                label="No: it runs at its users'"
                                hint="Public: in a browser, on a phone or a computer. It gets no secret."
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
                        <Choices legend="How does it prove who it is?">
                            <Check
                                type="radio"
                                name="proof"
                                label="By a secret"
                                hint="It gets one when it is registered."
                                checked={draft.keys === undefined}
                                onChange={() => set({ keys: undefined })}
                            />
                            <Check
                                type="radio"
                                name="proof"
                                label="By a key of its own"
                                hint="It signs with a private key that it never shows (private_key_jwt), and gets no secret."
                                checked={draft.keys !== undefined}
                                onChange={() => set({ keys: "" })}
                            />
                        </Choices>
                    )}
                    {draft.keys !== undefined && (
                        <KeysField
                            label={isNew ? "Its public keys" : "Other public keys (optional)"}
                            required={isNew}
                            value={draft.keys}
                            onValue={(keys) => set({ keys })}
                            error={of("jwks")}
                        />
                    )}
                </div>
            </Card>
            <Card title="What it does">
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
                            label="Redirect addresses"
                            hint="Where people are sent back to, one a line, word for word: https, a loopback address, or a scheme of its own."
                            placeholder="https://reports.acme.example/callback"
                            required
                            value={draft.redirect_uris}
                            onValue={(redirect_uris) => set({ redirect_uris })}
                            error={of("redirect_uris") ?? of("redirect_uris[0]")}
                        />
                    )}
                </div>
            </Card>
            <Card title="What it may ask for">
                <div className="stack">
                    <ScopeChoice scopes={draft.scopes} onScopes={(scopes) => set({ scopes })} error={of("scopes")} />
                    {may("oauth_app.manage") && (
                        <Check
                            label="Members are not asked"
                            hint="An administrator agrees for everybody, as long as what it asks for only reads."
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
                        label="Addresses after a sign-out (optional)"
                        hint="Where browsers may go after a sign-out that it began."
                        value={draft.post_logout_redirect_uris}
                        onValue={(post_logout_redirect_uris) => set({ post_logout_redirect_uris })}
                        error={of("post_logout_redirect_uris")}
                    />
                    <Lines
                        label="Other servers (optional)"
                        hint="That its tokens may be meant for, beside this one."
                        value={draft.resources}
                        onValue={(resources) => set({ resources })}
                        error={of("resources")}
                    />
                    <Check
                        label="Only tokens that are bound to a key of its own"
                        hint="DPoP: whoever steals one cannot use it. The program must send a proof with each request."
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
