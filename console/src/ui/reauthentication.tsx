// Asking for a fresh proof of who it is. It is loaded when the server wants one.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Fingerprint } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { type Schemas, api, checked, read } from "../api/client";
import { withPasskey } from "../passkey";
import { session } from "../session";
import { placeOf } from "../standing";
import { ActionForm } from "./action";
import { atProvider } from "./at-provider";
import { Button, Note, PasswordField, Problem, TextField } from "./basics";
import { Dialog } from "./dialog";
import { Loaded } from "./loaded";
import { type Asked, GaveUp, proof } from "./proof";

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

/** What comes back from a provider as a word. */
const refusals: Record<string, string> = {
    ANOTHER_PERSON: "That is a different account from the one you are signed in with. Try again with your own.",
    NOT_ASKED_ANEW:
        "The provider did not confirm that it checked your identity just now. Try another way, or set up a second factor under Security and sign in with it.",
};

/** A provider that asks anew: where it begins, and what it brought against a session. */
type Way = { key: string; name: string; prove: (givenUp: AbortSignal) => Promise<object> };

function waysOf(ways: Schemas["WaysToProve"], needsSecondFactor: boolean): Way[] {
    const ask_second_factor = needsSecondFactor;
    const social = ways.social.map(({ provider, display_name }) => ({
        key: provider,
        name: display_name,
        prove: async (givenUp: AbortSignal) => {
            const brought = await atProvider(async (back, state) => {
                const query = { anew: true, redirect_to: back, state };
                const path = { provider };
                return (await read(api.GET("/api/v1/auth/oauth/{provider}/url", { params: { path, query } })))
                    .oauth_url;
            }, givenUp);
            const handover_code = accepted(brought.handover, brought.refused);
            return read(api.POST("/api/v1/auth/oauth/handover", { body: { handover_code, ask_second_factor } }));
        },
    }));
    const sso = ways.sso.map(({ provider_id, name }) => ({
        key: String(provider_id),
        name,
        prove: async (givenUp: AbortSignal) => {
            let redirect_uri = "";
            const brought = await atProvider(async (back, state) => {
                const query = { anew: true, provider_id, redirect_uri: back, state, response_mode: "json" as const };
                const begun = await read(api.GET("/api/v1/sso/login", { params: { query } }));
                redirect_uri = begun.redirect_uri;
                return begun.authorization_url;
            }, givenUp);
            const code = accepted(brought.code, brought.refused);
            return read(api.POST("/api/v1/sso/token", { body: { code, redirect_uri, ask_second_factor } }));
        },
    }));
    return [...sso, ...social];
}

function accepted(code: string | undefined, refused: string | undefined): string {
    if (code) return code;
    throw new Error(refusals[refused ?? ""] ?? "That sign-in did not succeed. Try again, or choose another way.");
}

/** The dialog that asks who it is. The new session takes the place of the old one. */
export function Reauthentication({ asked }: { asked: Asked }) {
    const queries = useQueryClient();
    const [password, setPassword] = useState("");
    const [code, setCode] = useState("");
    const [factor, setFactor] = useState<{ token: string; isMailed: boolean }>();
    const [away, setAway] = useState<string>();
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<unknown>();
    const leaving = useRef<AbortController>(undefined);
    useEffect(() => () => leaving.current?.abort(), []);
    const ways = useQuery({
        queryKey: ["proofs"],
        // What one has may have changed since it was last asked.
        gcTime: 0,
        queryFn: () => read(api.GET("/api/v1/auth/proofs")),
    });
    const me = queries.getQueryData<{ user: { primary_email: string | null } }>(["me"]);
    const email = me?.user.primary_email ?? "";

    const go = async (answered: object) => {
        const answer = answered as Partial<Schemas["PendingFactor"] & Schemas["TokenSet"]>;
        if (answer.access_token) {
            const former = session.peek();
            session.begin(await movedTo(placeOf(former).workspace, answer as Schemas["TokenSet"]), false);
            // Asked as the console asks, the server would take the cookie away, which is the new session's by now.
            const authorization = `Bearer ${former}`;
            await fetch("/api/v1/auth/logout", { method: "POST", headers: { authorization } }).catch(() => undefined);
            proof.ask(undefined);
            asked.finish();
        } else if (answer.temporary_token) setFactor(await ready(answer.temporary_token, answer.mfa_methods));
    };
    const prove = async (attempt: () => Promise<object>) => {
        leaving.current?.abort();
        setBusy(true);
        setError(undefined);
        try {
            await go(await attempt());
        } catch (cause) {
            setError(cause);
        } finally {
            setBusy(false);
        }
    };
    // As long as the window is open, every other way is open too, and this one once more.
    const leave = async (way: Way) => {
        leaving.current?.abort();
        const controller = new AbortController();
        leaving.current = controller;
        setAway(way.name);
        setError(undefined);
        try {
            await go(await way.prove(controller.signal));
        } catch (cause) {
            if (!(cause instanceof GaveUp)) setError(cause);
        } finally {
            if (leaving.current === controller) setAway(undefined);
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
    const passkey = (
        <Button icon={<Fingerprint size={17} />} busy={busy} onClick={() => void prove(() => withPasskey(email))}>
            Use a passkey
        </Button>
    );
    return (
        <Dialog
            title="Confirm it's you"
            onClose={() => {
                proof.ask(undefined);
                asked.giveUp();
            }}
        >
            <p className="soft">{asked.why}</p>
            <Loaded query={ways} lines={2}>
                {(data) => {
                    const hasPasskey = data.passkey && "PublicKeyCredential" in window;
                    const providers = waysOf(data, asked.needsSecondFactor);
                    const isForm = factor !== undefined || data.password;
                    return (
                        <>
                            {isForm && (
                                <ActionForm
                                    action={{ start: submit, busy, error }}
                                    submit="Confirm"
                                    beside={hasPasskey && !factor && passkey}
                                >
                                    {factor ? (
                                        <TextField
                                            label={
                                                factor.isMailed
                                                    ? "Code from the e-mail we sent you"
                                                    : "Code from your authenticator app"
                                            }
                                            inputMode="numeric"
                                            autoComplete="one-time-code"
                                            value={code}
                                            onValue={setCode}
                                            autoFocus
                                        />
                                    ) : (
                                        <PasswordField
                                            label={`Password for ${email}`}
                                            autoComplete="current-password"
                                            value={password}
                                            onValue={setPassword}
                                            autoFocus
                                        />
                                    )}
                                </ActionForm>
                            )}
                            {!isForm && error !== undefined && <Problem error={error} />}
                            {!factor && (
                                <div className="stack tight">
                                    {isForm && providers.length > 0 && <div className="or">or</div>}
                                    {hasPasskey && !isForm && passkey}
                                    {providers.map((way) => (
                                        <Button key={way.key} disabled={busy} onClick={() => void leave(way)}>
                                            Continue with {way.name}
                                        </Button>
                                    ))}
                                </div>
                            )}
                            {!isForm && !hasPasskey && providers.length === 0 && (
                                <Note tone="warn">
                                    Your provider does not say when it last checked your identity, so signing in there
                                    cannot confirm it. Set up a second factor under <a href="/me/security">Security</a>,
                                    then sign out and in again with it.
                                </Note>
                            )}
                            {away && (
                                <p className="soft" role="status">
                                    Continue in the window of {away}.
                                </p>
                            )}
                        </>
                    );
                }}
            </Loaded>
        </Dialog>
    );
}
