// What is said of a token of one's own: when it is made, and changed later.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { named } from "../../choices";
import { useMe } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Check, Choices, SelectField, TextField } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";

const SCOPES = [
    ["read", "Read", "Read and ask questions"],
    ["write", "Write", "Read, and create workspaces, sources and files"],
    ["admin", "Everything", "Everything you can do"],
] as const;

export function NewToken({
    onMade,
    onClose,
}: {
    onMade: (token: Schemas["CreatedToken"]) => void;
    onClose: () => void;
}) {
    const me = useMe();
    const [name, setName] = useState("");
    const [scope, setScope] = useState("read");
    const [days, setDays] = useState("90");
    const [organization, setOrganization] = useState("");
    const make = useAction(
        () =>
            read(
                api.POST("/api/v1/auth/tokens", {
                    body: {
                        name,
                        scopes: [scope],
                        expires_in_days: Number(days),
                        organization_id: organization ? Number(organization) : undefined,
                    },
                }),
            ),
        { changes: [["tokens"]], inline: true, onDone: onMade },
    );
    return (
        <Dialog title="New token" touched={name !== ""} onClose={onClose}>
            <ActionForm
                action={make}
                submit="Create token"
                onCancel={onClose}
                touched={name !== ""}
                what="The token is"
            >
                <TextField label="Name" required value={name} onValue={setName} autoFocus error={make.of("name")} />
                <ScopeField scope={scope} onScope={setScope} error={make.of("scopes")} />
                <div className="form-grid">
                    <SelectField
                        label="Valid for"
                        value={days}
                        onValue={setDays}
                        options={[
                            ["7", "7 days"],
                            ["30", "30 days"],
                            ["90", "90 days"],
                            ["365", "1 year"],
                        ]}
                        error={make.of("expires_in_days")}
                    />
                    <SelectField
                        label="Workspace"
                        value={organization}
                        onValue={setOrganization}
                        options={[["", "All workspaces"], ...named(me.data?.organizations)]}
                    />
                </div>
            </ActionForm>
        </Dialog>
    );
}

/** Its name and scopes. More than it has needs a fresh proof of who asks for it. */
export function ChangeToken({ token, onClose }: { token: Schemas["PersonalAccessToken"]; onClose: () => void }) {
    const [name, setName] = useState(token.name);
    const [scope, setScope] = useState<string>();
    const touched = name !== token.name || scope !== undefined;
    const change = useAction(
        () =>
            read(
                api.PATCH("/api/v1/auth/tokens/{token_id}", {
                    params: { path: { token_id: token.id } },
                    body: { name, scopes: scope === undefined ? undefined : [scope] },
                }),
            ),
        { done: "Saved.", changes: [["tokens"]], inline: true, onDone: onClose },
    );
    // Those that a program chose one by one are none of these, and stay until one of these takes their place.
    const first = token.scopes.length === 1 ? token.scopes[0] : undefined;
    return (
        <Dialog title={`Edit ${token.name}`} touched={touched} onClose={onClose}>
            <ActionForm action={change} submit="Save" disabled={!touched} onCancel={onClose} touched={touched}>
                <TextField label="Name" required value={name} onValue={setName} autoFocus error={change.of("name")} />
                <ScopeField scope={scope ?? first} onScope={setScope} error={change.of("scopes")} />
            </ActionForm>
        </Dialog>
    );
}

function ScopeField({
    scope,
    onScope,
    error,
}: {
    scope: string | undefined;
    onScope: (scope: string) => void;
    error?: string;
}) {
    return (
        <Choices legend="Scopes" error={error}>
            {SCOPES.map(([key, label, hint]) => (
                <Check
                    key={key}
                    type="radio"
                    name="scope"
                    label={label}
                    hint={hint}
                    checked={scope === key}
                    onChange={() => onScope(key)}
                />
            ))}
        </Choices>
    );
}
