// Asking for a fresh proof of who it is. It is loaded when the server wants one.

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Schemas, api, checked, read } from "../api/client";
import { withPasskey } from "../passkey";
import { session } from "../session";
import { placeOf } from "../standing";
import { ActionForm } from "./action";
import { Button, PasswordField, TextField } from "./basics";
import { Dialog } from "./dialog";
import { type Asked, proof } from "./proof";

/** Whoever has no app is mailed a code. */
async function ready(token: string, methods: string[] = []) {
    if (methods.includes("totp") || !methods.includes("email_otp")) return { token, isMailed: false };
    const answer = await read(
        api.POST("/api/v1/auth/mfa/otp/generate", { body: { temporary_token: token, method: "email_otp" } }),
    );
    return { token: answer.temporary_token, isMailed: true };
}

/** What was begun goes on where it was begun; the new session, which is not the console's yet, may stand elsewhere. */
async function movedTo(workspace: number | undefined, tokens: Schemas["TokenSet"]) {
    if (!workspace || placeOf(tokens.access_token).workspace === workspace) return tokens;
    const response = await fetch("/api/v1/auth/switch-workspace", {
        method: "POST",
        headers: {
            authorization: `Bearer ${tokens.access_token}`,
            "content-type": "application/json",
            "x-session-cookie": "1",
        },
        body: JSON.stringify({ workspace_id: workspace }),
    });
    return ((await (await checked(response)).json()) as { data: Schemas["TokenSet"] }).data;
}

/** The dialog that asks who it is. The new session takes the place of the old one. */
export function Reauthentication({ asked }: { asked: Asked }) {
    const queries = useQueryClient();
    const [password, setPassword] = useState("");
    const [code, setCode] = useState("");
    const [factor, setFactor] = useState<{ token: string; isMailed: boolean }>();
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<unknown>();
    const me = queries.getQueryData<{ user: { primary_email: string | null } }>(["me"]);
    const email = me?.user.primary_email ?? "";

    const prove = async (attempt: () => Promise<object>) => {
        setBusy(true);
        setError(undefined);
        try {
            const answer = (await attempt()) as Partial<Schemas["PendingFactor"] & Schemas["TokenSet"]>;
            if (answer.access_token) {
                const former = session.peek();
                session.begin(await movedTo(placeOf(former).workspace, answer as Schemas["TokenSet"]), false);
                // Asked as the console asks, the server would take the cookie away, which is the new session's by now.
                const authorization = `Bearer ${former}`;
                await fetch("/api/v1/auth/logout", { method: "POST", headers: { authorization } }).catch(
                    () => undefined,
                );
                proof.ask(undefined);
                asked.finish();
            } else if (answer.temporary_token) setFactor(await ready(answer.temporary_token, answer.mfa_methods));
        } catch (cause) {
            setError(cause);
        } finally {
            setBusy(false);
        }
    };
    const submit = () =>
        prove(() =>
            factor
                ? read(api.POST("/api/v1/auth/mfa/verify", { body: { temporary_token: factor.token, code } }))
                : read(
                      api.POST("/api/v1/auth/login", {
                          body: { email, password, ask_second_factor: asked.needsSecondFactor },
                      }),
                  ),
        );
    return (
        <Dialog
            title="Confirm that it is you"
            onClose={() => {
                proof.ask(undefined);
                asked.giveUp();
            }}
        >
            <p className="soft">{asked.why}</p>
            <ActionForm
                action={{ start: submit, busy, error }}
                submit="Confirm"
                beside={
                    "PublicKeyCredential" in window &&
                    !factor && <Button onClick={() => void prove(() => withPasskey(email))}>Use a passkey</Button>
                }
            >
                {factor ? (
                    <TextField
                        label={factor.isMailed ? "The code that we have mailed you" : "Code of your authenticator app"}
                        inputMode="numeric"
                        autoComplete="one-time-code"
                        value={code}
                        onValue={setCode}
                        autoFocus
                    />
                ) : (
                    <PasswordField
                        label={`Password of ${email}`}
                        autoComplete="current-password"
                        value={password}
                        onValue={setPassword}
                        autoFocus
                    />
                )}
            </ActionForm>
        </Dialog>
    );
}
