// How people sign in to the organization, from where, and for how long.

import { useState } from "react";
import { api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { useOrganization } from "../../standing";
import { useAction } from "../../ui/action";
import { Button, Card, Check, Field, Problem, SelectField, TextField } from "../../ui/basics";
import { Unsaved } from "../../ui/unsaved";

export type Values = Record<string, unknown> & { password_policy: Record<string, unknown> };

export function Settings({ settings }: { settings: Values }) {
    const id = useOrganization();
    const roles = useRoles();
    const [changed, setChanged] = useState<Record<string, unknown>>({});
    const value = (name: string) => (name in changed ? changed[name] : settings[name]);
    const set = (name: string, next: unknown) => setChanged({ ...changed, [name]: next });
    const password = { ...settings.password_policy, ...(changed.password_policy as object | undefined) } as Record<
        string,
        unknown
    >;
    const setPassword = (name: string, next: unknown) => set("password_policy", { ...password, [name]: next });
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/settings", {
                    params: { path: { org_id: id } },
                    body: { settings: changed as never },
                }),
            ),
        { done: "Saved.", changes: [["settings", id]], inline: true, onDone: () => setChanged({}) },
    );
    const touched = Object.keys(changed).length > 0;
    const number = (name: string, label: string, hint?: string) => (
        <TextField
            label={label}
            hint={hint}
            type="number"
            min={0}
            value={String(value(name) ?? "")}
            onValue={(text) => set(name, text === "" ? null : Number(text))}
            error={save.of(`settings.${name}`) ?? save.of(name)}
        />
    );
    const flag = (name: string, label: string, hint?: string) => (
        <Check
            label={label}
            hint={hint}
            checked={Boolean(value(name))}
            onChange={(event) => set(name, event.target.checked)}
        />
    );
    const list = (name: string, label: string, hint: string) => (
        <Field label={label} hint={hint} error={save.of(`settings.${name}`)}>
            {(props) => (
                <textarea
                    {...props}
                    className="mono"
                    spellCheck={false}
                    value={((value(name) as string[] | null) ?? []).join("\n")}
                    onChange={(event) =>
                        set(
                            name,
                            event.target.value
                                .split("\n")
                                .map((line) => line.trim())
                                .filter(Boolean),
                        )
                    }
                />
            )}
        </Field>
    );
    const rule = (name: string, label: string) => (
        <Check
            label={label}
            checked={Boolean(password[name])}
            onChange={(event) => setPassword(name, event.target.checked)}
        />
    );
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <Card title="Proofs">
                <div className="stack">
                    {flag(
                        "mfa_required",
                        "A second factor is required",
                        "Nothing of the organization is open to a session without one.",
                    )}
                    <div className="form-grid">
                        {number("mfa_grace_days", "Days of grace")}
                        {number("trusted_device_days", "Days that a device may be trusted", "0 forbids it.")}
                    </div>
                </div>
            </Card>
            <Card title="Passwords">
                <div className="stack">
                    <div className="form-grid">
                        <TextField
                            label="Characters at least"
                            type="number"
                            min={8}
                            value={String(password.min_length ?? "")}
                            onValue={(text) => setPassword("min_length", Number(text))}
                        />
                        <TextField
                            label="Strength at least (0 to 4)"
                            type="number"
                            min={0}
                            max={4}
                            value={String(password.min_score ?? "")}
                            onValue={(text) => setPassword("min_score", Number(text))}
                        />
                        <TextField
                            label="Earlier ones that may not come back"
                            type="number"
                            min={0}
                            value={String(password.history ?? "")}
                            onValue={(text) => setPassword("history", Number(text))}
                        />
                        <TextField
                            label="Days until it must change"
                            type="number"
                            min={0}
                            hint="Empty for never."
                            value={String(password.max_age_days ?? "")}
                            onValue={(text) => setPassword("max_age_days", text === "" ? null : Number(text))}
                        />
                    </div>
                    <div>
                        {rule("require_upper", "Upper case")}
                        {rule("require_lower", "Lower case")}
                        {rule("require_digit", "A digit")}
                        {rule("require_symbol", "A symbol")}
                        {rule("reject_breached", "None that is known from breaches")}
                    </div>
                </div>
            </Card>
            <Card title="Sessions and tokens">
                <div className="form-grid">
                    {number(
                        "session_idle_timeout_minutes",
                        "Minutes without use until a session ends",
                        "Empty: the server's.",
                    )}
                    {number("session_max_lifetime_minutes", "Minutes until a session ends at all")}
                    {number("access_token_expire_minutes", "Minutes that an access token lives")}
                    {number("max_token_lifetime_days", "Days that personal tokens live at most")}
                    {number("max_file_link_minutes", "Minutes that links to files live at most")}
                </div>
            </Card>
            <Card title="From where, and who">
                <div className="form-grid">
                    {list(
                        "allowed_networks",
                        "Networks that requests may come from",
                        "One a line: 10.0.0.0/8. Empty: from anywhere.",
                    )}
                    {list("allowed_email_domains", "Mail domains that may be invited", "One a line. Empty: all.")}
                    {number("invitation_expiry_days", "Days that an invitation is good")}
                    <SelectField
                        label="Role of new members"
                        value={String(value("default_role_id") ?? "")}
                        onValue={(next) => set("default_role_id", next ? Number(next) : null)}
                        options={[
                            ["", "Viewer"],
                            ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                        ]}
                    />
                    <div className="span">
                        {flag("allow_public_workspaces", "Workspaces may be open to the whole organization")}
                    </div>
                </div>
            </Card>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            <div className="form-end">
                <Button disabled={!touched} onClick={() => setChanged({})}>
                    Undo
                </Button>
                <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                    Save
                </Button>
            </div>
        </form>
    );
}
