// How people sign in to the organization, from where, and for how long.

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { useOrganization } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Card, Check, Field, SelectField, TextField } from "../../ui/basics";

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
        { done: "Saved.", changes: [["settings", id], ["standing"]], inline: true, onDone: () => setChanged({}) },
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
    const measure = (name: string, label: string, min: number, max?: number) => (
        <TextField
            label={label}
            type="number"
            min={min}
            max={max}
            value={String(password[name] ?? "")}
            onValue={(text) => setPassword(name, Number(text))}
        />
    );
    const rule = (name: string, label: string) => (
        <Check
            label={label}
            checked={Boolean(password[name])}
            onChange={(event) => setPassword(name, event.target.checked)}
        />
    );
    return (
        <ActionForm
            action={save}
            submit="Save"
            disabled={!touched}
            beside={
                <Button disabled={!touched} onClick={() => setChanged({})}>
                    Undo
                </Button>
            }
            touched={touched}
        >
            <Card title="Two-factor">
                <div className="stack">
                    {flag(
                        "mfa_required",
                        "Require two-factor",
                        "Sessions without a second factor have no access to the organization.",
                    )}
                    {flag(
                        "webauthn_required",
                        "Require a passkey",
                        "Sessions that did not start with a passkey have no access. Cannot be combined with required single sign-on.",
                    )}
                    <div className="form-grid">
                        {number("mfa_grace_days", "Grace period in days")}
                        {number("trusted_device_days", "Days a device stays trusted", "0 disables trusted devices.")}
                    </div>
                </div>
            </Card>
            <Card title="Passwords">
                <div className="stack">
                    <div className="form-grid">
                        {measure("min_length", "Minimum length", 8)}
                        {measure("min_score", "Minimum strength (0 to 4)", 0, 4)}
                        {measure("history", "Previous passwords that cannot be reused", 0)}
                    </div>
                    <div>
                        {rule("require_upper", "An upper-case letter")}
                        {rule("require_lower", "A lower-case letter")}
                        {rule("require_digit", "A digit")}
                        {rule("require_symbol", "A symbol")}
                        {rule("reject_breached", "Not known from a data breach")}
                    </div>
                </div>
            </Card>
            <Card title="Sessions and tokens">
                <div className="form-grid">
                    {number(
                        "session_idle_timeout_minutes",
                        "Idle timeout of sessions in minutes",
                        "Leave empty for the server's default.",
                    )}
                    {number("session_max_lifetime_minutes", "Maximum session length in minutes")}
                    {number("access_token_expire_minutes", "Access token lifetime in minutes")}
                    {number("max_token_lifetime_days", "Maximum personal token lifetime in days")}
                    {number("max_file_link_minutes", "Maximum file link lifetime in minutes")}
                </div>
            </Card>
            <Card title="Networks, invitations and applications">
                <div className="form-grid">
                    {list(
                        "allowed_networks",
                        "Allowed networks",
                        "One per line, such as 10.0.0.0/8. Leave empty to allow any.",
                    )}
                    {list(
                        "allowed_email_domains",
                        "Mail domains that can be invited",
                        "One per line. Leave empty to allow all.",
                    )}
                    {number("invitation_expiry_days", "Invitation expiry in days")}
                    <SelectField
                        label="Role of new members"
                        value={String(value("default_role_id") ?? "")}
                        onValue={(next) => set("default_role_id", next ? Number(next) : null)}
                        options={[
                            ["", "Viewer"],
                            ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                        ]}
                    />
                    <SelectField
                        label="Who can register applications"
                        hint={
                            value("oauth_app_creation") === "everyone" && (
                                <>
                                    Point them to:{" "}
                                    <Link to="/organization/applications/new" className="break">
                                        {location.origin}/organization/applications/new
                                    </Link>
                                </>
                            )
                        }
                        value={String(value("oauth_app_creation"))}
                        onValue={(next) => set("oauth_app_creation", next)}
                        options={[
                            ["admins", "Anyone who can manage them"],
                            ["everyone", "Every member"],
                            ["nobody", "Nobody"],
                        ]}
                    />
                    <div className="span">
                        {flag("allow_public_workspaces", "Allow workspaces open to the whole organization")}
                    </div>
                </div>
            </Card>
        </ActionForm>
    );
}
