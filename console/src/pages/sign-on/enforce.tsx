// Asking for single sign-on and second factors, or requiring them; tried out before it holds.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Card, Note, Problem, SelectField, TextField, When } from "../../ui/basics";
import { Unsaved } from "../../ui/unsaved";

const MODES = [
    ["off", "Off"],
    ["warn", "Recommended"],
    ["required", "Required"],
] as const;

export function Enforce({ status }: { status: Schemas["EnforcementStatus"] }) {
    const organization = useOrganization();
    const path = { organization_id: organization };
    const [sso, setSso] = useState<string>(status.sso_mode);
    const [mfa, setMfa] = useState<string>(status.mfa_mode);
    const [from, setFrom] = useState("");
    // Where nothing is asked for yet, nobody has set the days: then these are the usual ones.
    const isOff = !status.updated_at || (status.sso_mode === "off" && status.mfa_mode === "off");
    const [grace, setGrace] = useState(String(isOff ? 14 : status.grace_period_days));
    const body = (dry: boolean) => ({
        sso_mode: sso as "off",
        mfa_mode: mfa as "off",
        effective_at: from ? new Date(from).toISOString() : undefined,
        grace_period_days: grace === "" ? undefined : Number(grace),
        dry_run: dry,
    });
    const [tried, setTried] = useState<Schemas["Enforced"]>();
    // What was tried out is what is enforced, and nothing else.
    const change = (set: (value: string) => void) => (value: string) => {
        set(value);
        setTried(undefined);
    };
    const attempt = useAction(
        () =>
            read(api.POST("/api/v1/sso/enforcement/enforce/{organization_id}", { params: { path }, body: body(true) })),
        { inline: true, onDone: setTried },
    );
    const enforce = useAction(
        () =>
            read(
                api.POST("/api/v1/sso/enforcement/enforce/{organization_id}", { params: { path }, body: body(false) }),
            ),
        {
            done: "Saved. All Owners and Admins are notified by e-mail.",
            changes: [["enforcement"], ["plan"]],
            inline: true,
            onDone: () => setTried(undefined),
        },
    );
    const error = enforce.error ?? attempt.error;
    return (
        <Card
            title="Requirements"
            actions={
                <>
                    <Badge>Single sign-on: {status.sso_mode}</Badge>
                    <Badge>Second factor: {status.mfa_mode}</Badge>
                </>
            }
        >
            <div className="stack">
                <div className="form-grid">
                    <SelectField label="Single sign-on" value={sso} onValue={change(setSso)} options={MODES} />
                    <SelectField label="Second factor" value={mfa} onValue={change(setMfa)} options={MODES} />
                    <TextField
                        label="Starting"
                        type="datetime-local"
                        value={from}
                        onValue={change(setFrom)}
                        hint="Leave empty to start now."
                    />
                    <TextField
                        label="Grace period in days"
                        type="number"
                        min={0}
                        value={grace}
                        onValue={change(setGrace)}
                    />
                </div>
                {tried && (
                    <Note>
                        People not ready: {tried.affected_users}. Sessions that would end: {tried.sessions_to_end}. In
                        force from <When at={tried.effective_at} />
                        {tried.exempt_user_ids.length > 0 &&
                            `; ${tried.exempt_user_ids.length} exempt in case the provider is down`}
                        .
                    </Note>
                )}
                {error !== undefined && <Problem error={error} />}
                <Unsaved
                    touched={sso !== status.sso_mode || mfa !== status.mfa_mode || from !== ""}
                    busy={enforce.busy || attempt.busy}
                />
                <div className="form-end">
                    <ActionButton action={attempt} on={undefined}>
                        Preview
                    </ActionButton>
                    <ActionButton kind="primary" disabled={!tried} action={enforce} on={undefined}>
                        Enforce
                    </ActionButton>
                </div>
            </div>
        </Card>
    );
}
