// What is asked beside the password, and whether this device is asked again.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { deviceFingerprint } from "../../device";
import { session } from "../../session";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Button, Problem, TextField } from "../../ui/basics";
import { Door } from "./frame";

export function SecondFactor({
    token,
    methods,
    onIn,
    onBack,
}: {
    token: string;
    methods: string[];
    onIn: (answer: Schemas["MfaVerified"]) => void;
    onBack: () => void;
}) {
    const [method, setMethod] = useState(methods[0] ?? "totp");
    const [pending, setPending] = useState(token);
    const [code, setCode] = useState("");
    const [sent, setSent] = useState(false);
    const choose = useAction(
        async (next: "totp" | "email_otp") => {
            const answer = await read(
                api.POST("/api/v1/auth/mfa/otp/generate", { body: { temporary_token: pending, method: next } }),
            );
            setPending(answer.temporary_token);
            setSent(next === "email_otp");
        },
        { inline: true },
    );
    const verify = useAction(
        async () =>
            onIn(
                await read(
                    api.POST("/api/v1/auth/mfa/verify", {
                        params: { header: { "x-device-fingerprint": deviceFingerprint() } },
                        body:
                            method === "backup_code"
                                ? { temporary_token: pending, backup_code: code.trim() }
                                : { temporary_token: pending, code: code.trim() },
                    }),
                ),
            ),
        { inline: true },
    );
    const names: Record<string, string> = {
        totp: "authenticator app",
        email_otp: "code by mail",
        backup_code: "backup code",
    };
    const asksForMail = method === "email_otp" && !sent;
    return (
        <Door
            title="Two-factor sign-in"
            lead={
                method === "totp"
                    ? "Enter the code from your authenticator app."
                    : method === "email_otp"
                      ? sent
                          ? "We e-mailed you a code."
                          : "We will e-mail you a code."
                      : "One of the backup codes you saved. Each works once."
            }
        >
            <ActionForm
                action={{
                    start: () => (asksForMail ? choose.start("email_otp") : verify.start(undefined)),
                    busy: verify.busy || choose.busy,
                    error: verify.error ?? choose.error,
                }}
                submit={asksForMail ? "Send code" : "Sign in"}
                isWide
            >
                {!asksForMail && (
                    <TextField
                        label={method === "backup_code" ? "Backup code" : "Code"}
                        className="code-input"
                        inputMode={method === "backup_code" ? "text" : "numeric"}
                        autoComplete="one-time-code"
                        value={code}
                        onValue={setCode}
                        autoFocus
                        required
                    />
                )}
            </ActionForm>
            <div className="stack tight">
                {methods
                    .filter((each) => each !== method)
                    .map((each) => (
                        <Button
                            key={each}
                            kind="quiet"
                            onClick={() => {
                                setMethod(each);
                                setCode("");
                                verify.reset();
                            }}
                        >
                            Use your {names[each] ?? each} instead
                        </Button>
                    ))}
                <Button kind="quiet" onClick={onBack}>
                    Back
                </Button>
            </div>
        </Door>
    );
}

export function TrustDevice({
    device,
    onDone,
    tokens,
}: {
    device: Schemas["PendingDevice"];
    onDone: () => void;
    tokens: { access_token: string; expires_in: number };
}) {
    const trust = useAction(
        async (yes: boolean) => {
            session.begin(tokens, false);
            const body = { activation_token: device.activation_token };
            if (yes) await read(api.POST("/api/v1/devices/activate", { body }));
            else await read(api.POST("/api/v1/devices/skip", { body }));
            onDone();
        },
        { inline: true },
    );
    return (
        <Door
            title="Trust this device?"
            lead="You will not be asked for a second factor on it for a month. Only do this on your own device."
        >
            {trust.error !== undefined && <Problem error={trust.error} />}
            <ActionButton kind="primary" className="wide" action={trust} on={true}>
                Trust this device
            </ActionButton>
            <ActionButton className="wide" action={trust} on={false}>
                Not now
            </ActionButton>
        </Door>
    );
}
