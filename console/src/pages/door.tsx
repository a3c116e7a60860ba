// The door: signing in by every way that the server knows, signing up, and the way back in.

import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Fingerprint, KeyRound } from "lucide-react";
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError, type Schemas, api, read } from "../api/client";
import { deviceFingerprint } from "../device";
import { withPasskey } from "../passkey";
import { queries } from "../queries";
import { session } from "../session";
import { ActionButton, useAction } from "../ui/action";
import { Button, Check, Note, Problem, TextField } from "../ui/basics";

export function Door({
    title,
    lead,
    children,
    foot,
}: {
    title: string;
    lead?: ReactNode;
    children: ReactNode;
    foot?: ReactNode;
}) {
    return (
        <main className="door">
            <title>{`${title} · RiverGen`}</title>
            <div className="door-card">
                <div className="brand">
                    <img src="/icon.svg" alt="" />
                    RiverGen
                </div>
                <div className="card">
                    <div>
                        <h1>{title}</h1>
                        {lead && <p className="soft">{lead}</p>}
                    </div>
                    {children}
                </div>
                {foot && (
                    <p className="soft" style={{ textAlign: "center" }}>
                        {foot}
                    </p>
                )}
            </div>
        </main>
    );
}

/** Where somebody goes who has just come in: where they wanted to, if that is a place of this console. */
export function useArrival() {
    const navigate = useNavigate();
    const { to } = useSearch({ strict: false }) as { to?: string };
    return (tokens: { access_token: string; expires_in: number; notice?: string | null }) => {
        queries.clear();
        session.begin(tokens);
        void navigate({ to: to?.startsWith("/") && !to.startsWith("//") ? to : "/" });
    };
}

type Step =
    | { at: "first" }
    | { at: "factor"; token: string; methods: string[] }
    | { at: "verification"; token: string; email: string }
    | { at: "device"; device: Schemas["PendingDevice"]; tokens: { access_token: string; expires_in: number } };

export function SignIn() {
    const arrive = useArrival();
    const [step, setStep] = useState<Step>({ at: "first" });
    const [email, setEmail] = useState("");
    const [password, setPassword] = useState("");
    const [remember, setRemember] = useState(false);
    const conditional = useRef<AbortController>(undefined);
    const { error: refused } = useSearch({ strict: false }) as { error?: string };
    const providers = useQuery({
        queryKey: ["providers"],
        queryFn: () => read(api.GET("/api/v1/auth/oauth/providers")),
    });
    const demo = demoPeople();

    // A passkey is offered among the suggestions of the address field, without a click, where the browser can.
    useEffect(() => {
        const controller = new AbortController();
        conditional.current = controller;
        const offer = async () => {
            if (!("PublicKeyCredential" in window) || !(await PublicKeyCredential.isConditionalMediationAvailable?.()))
                return;
            arrive(await withPasskey(undefined, controller.signal));
        };
        offer().catch(() => undefined);
        return () => controller.abort();
        // The offer stands as long as the page does.
    }, []);

    const login = useAction(
        async (who: { email: string; password: string }) => {
            const answer = await read(
                api.POST("/api/v1/auth/login", {
                    params: { header: { "x-device-fingerprint": deviceFingerprint() } },
                    body: { ...who, remember_me: remember },
                }),
            );
            conditional.current?.abort();
            if ("access_token" in answer) arrive(answer);
            else if ("mfa_required" in answer)
                setStep({ at: "factor", token: answer.temporary_token, methods: answer.mfa_methods });
            else setStep({ at: "verification", token: answer.temporary_token, email: who.email });
        },
        { inline: true },
    );
    const passkey = useAction(
        async () => {
            conditional.current?.abort();
            arrive(await withPasskey(email || undefined));
        },
        { inline: true },
    );
    const social = useAction(
        async (provider: string) => {
            const { oauth_url } = await read(
                api.GET("/api/v1/auth/oauth/{provider}/url", {
                    params: {
                        path: { provider },
                        query: { redirect_to: `${location.origin}/signed-in`, deliver: "handover" },
                    },
                }),
            );
            location.assign(oauth_url);
        },
        { inline: true },
    );
    const federated = useAction(
        async () => {
            const { authorization_url, redirect_uri } = await read(
                api.GET("/api/v1/sso/login", {
                    params: { query: { email, response_mode: "json", redirect_uri: `${location.origin}/signed-in` } },
                }),
            );
            sessionStorage.setItem("sso", redirect_uri);
            location.assign(authorization_url);
        },
        { inline: true },
    );

    if (step.at === "factor")
        return (
            <SecondFactor
                token={step.token}
                methods={step.methods}
                onBack={() => setStep({ at: "first" })}
                onIn={(answer) =>
                    answer.trusted_device
                        ? setStep({ at: "device", device: answer.trusted_device, tokens: answer })
                        : arrive(answer)
                }
            />
        );
    if (step.at === "verification")
        return <CheckMail email={step.email} token={step.token} onBack={() => setStep({ at: "first" })} />;
    if (step.at === "device")
        return <TrustDevice device={step.device} onDone={() => arrive(step.tokens)} tokens={step.tokens} />;

    const isSsoRequired = login.error instanceof ApiError && login.error.code === "SSO_REQUIRED";
    const error = login.error ?? passkey.error ?? social.error ?? federated.error;
    const submit = (event: FormEvent) => {
        event.preventDefault();
        if (password) void login.start({ email, password });
        else void federated.start(undefined);
    };
    return (
        <Door
            title="Sign in"
            foot={
                <>
                    No account? <a href="/sign-up">Sign up</a>
                </>
            }
        >
            {refused && !error && (
                <Problem
                    error={new Error(refusals[refused] ?? "The sign-in did not succeed. Try again, or another way.")}
                />
            )}
            <form className="stack" onSubmit={submit}>
                <TextField
                    label="E-mail"
                    type="email"
                    autoComplete="username webauthn"
                    required
                    value={email}
                    onValue={setEmail}
                    autoFocus
                />
                <TextField
                    label="Password"
                    type="password"
                    autoComplete="current-password"
                    value={password}
                    onValue={setPassword}
                    hint={
                        <span className="row apart">
                            <span>Empty for single sign-on</span>
                            <a href="/forgot-password">Forgot it?</a>
                        </span>
                    }
                />
                <Check
                    label="Stay signed in for 30 days"
                    checked={remember}
                    onChange={(event) => setRemember(event.target.checked)}
                />
                {error !== undefined && <Problem error={error} />}
                <Button kind="primary" type="submit" className="wide" busy={login.busy || federated.busy}>
                    {password || isSsoRequired ? "Sign in" : "Continue"}
                </Button>
            </form>
            <div className="or">or</div>
            <div className="stack tight">
                <Button
                    className="wide"
                    icon={<Fingerprint size={17} />}
                    busy={passkey.busy}
                    onClick={() => passkey.start(undefined)}
                >
                    Use a passkey
                </Button>
                <Button
                    className="wide"
                    icon={<KeyRound size={16} />}
                    busy={federated.busy}
                    disabled={!email}
                    onClick={() => federated.start(undefined)}
                >
                    Use single sign-on
                </Button>
                {providers.data?.providers.map((provider) => (
                    <ActionButton key={provider.provider} className="wide" action={social} on={provider.provider}>
                        Continue with {provider.display_name}
                    </ActionButton>
                ))}
            </div>
            {demo && (
                <div className="stack tight">
                    <div className="or">the demo's people</div>
                    <div className="halves" style={{ gap: 8, gridTemplateColumns: "1fr 1fr" }}>
                        {demo.people.map((person) => (
                            <ActionButton
                                key={person.email}
                                small
                                action={login}
                                on={{ email: person.email, password: demo.password }}
                            >
                                {person.role}
                            </ActionButton>
                        ))}
                    </div>
                </div>
            )}
        </Door>
    );
}

/** The demo's people and their password, where this is a demo: its server writes them into the page. */
function demoPeople(): { password: string; people: { email: string; role: string }[] } | undefined {
    const text = document.querySelector<HTMLMetaElement>('meta[name="demo"]')?.content;
    return text?.startsWith("{") ? JSON.parse(text) : undefined;
}

/** What comes back from providers as a word. */
const refusals: Record<string, string> = {
    SSO_USER_NOT_ALLOWED:
        "Your identity provider knows you, but this organization does not let you in. Ask its administrator.",
    USER_DISABLED: "This account is disabled.",
    SESSION_EXPIRED: "The sign-in took too long. Try again.",
};

function SecondFactor({
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
            title="Second factor"
            lead={
                method === "totp"
                    ? "The code that your authenticator app shows now."
                    : method === "email_otp"
                      ? sent
                          ? "We have mailed you a code."
                          : "We mail you a code."
                      : "One of the codes that you kept; each is good once."
            }
        >
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void (asksForMail ? choose.start("email_otp") : verify.start(undefined));
                }}
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
                {(verify.error ?? choose.error) !== undefined && <Problem error={verify.error ?? choose.error} />}
                <Button kind="primary" className="wide" type="submit" busy={verify.busy || choose.busy}>
                    {asksForMail ? "Send the code" : "Sign in"}
                </Button>
            </form>
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

function TrustDevice({
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
            lead="For a month it is not asked for a second factor. Only on a device that is yours."
        >
            {trust.error !== undefined && <Problem error={trust.error} />}
            <ActionButton kind="primary" className="wide" action={trust} on={true}>
                Trust it
            </ActionButton>
            <ActionButton className="wide" action={trust} on={false}>
                Not now
            </ActionButton>
        </Door>
    );
}

export function CheckMail({ email, token, onBack }: { email: string; token: string; onBack?: () => void }) {
    const again = useAction(
        () => read(api.POST("/api/v1/auth/resend-verification", { body: { temporary_token: token } })),
        { done: "Sent again.", inline: true },
    );
    return (
        <Door
            title="Check your mail"
            lead={
                <>
                    We sent a link to <b>{email}</b>. Open it to confirm the address; then sign in.
                </>
            }
        >
            {again.error !== undefined && <Problem error={again.error} />}
            <Button className="wide" busy={again.busy} onClick={() => again.start(undefined)}>
                Send it again
            </Button>
            {onBack ? (
                <Button kind="quiet" onClick={onBack}>
                    Back
                </Button>
            ) : (
                <a className="button quiet" href="/sign-in">
                    To the sign-in
                </a>
            )}
        </Door>
    );
}

export function SignUp() {
    const [email, setEmail] = useState("");
    const [name, setName] = useState("");
    const [password, setPassword] = useState("");
    const [made, setMade] = useState<{ token: string }>();
    const signUp = useAction(
        async () => {
            const answer = await read(
                api.POST("/api/v1/auth/signup", {
                    body: { email, password, display_name: name || undefined, agree_to_terms: true },
                }),
            );
            setMade({ token: answer.temporary_token });
        },
        { inline: true },
    );
    if (made) return <CheckMail email={email} token={made.token} />;
    return (
        <Door
            title="Sign up"
            lead="An account, and an organization of your own to begin with."
            foot={
                <>
                    Already here? <a href="/sign-in">Sign in</a>
                </>
            }
        >
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void signUp.start(undefined);
                }}
            >
                <TextField
                    label="E-mail"
                    type="email"
                    autoComplete="email"
                    required
                    value={email}
                    onValue={setEmail}
                    error={signUp.of("email")}
                    autoFocus
                />
                <TextField
                    label="Name"
                    autoComplete="name"
                    value={name}
                    onValue={setName}
                    error={signUp.of("display_name")}
                />
                <TextField
                    label="Password"
                    type="password"
                    autoComplete="new-password"
                    required
                    value={password}
                    onValue={setPassword}
                    error={signUp.of("password")}
                    hint="Eight characters at least, with upper and lower case and a digit."
                />
                {signUp.error !== undefined && <Problem error={signUp.error} />}
                <Button kind="primary" className="wide" type="submit" busy={signUp.busy}>
                    Sign up
                </Button>
            </form>
        </Door>
    );
}

export function ForgotPassword() {
    const [email, setEmail] = useState("");
    const [sent, setSent] = useState(false);
    const ask = useAction(
        async () => {
            await read(api.POST("/api/v1/auth/forgot-password", { body: { email } }));
            setSent(true);
        },
        { inline: true },
    );
    return (
        <Door
            title="Forgot your password?"
            lead="We mail you a link with which you set another one."
            foot={<a href="/sign-in">Back to the sign-in</a>}
        >
            {sent ? (
                <Note tone="good">If there is an account with this address, the mail is on its way.</Note>
            ) : (
                <form
                    className="stack"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void ask.start(undefined);
                    }}
                >
                    <TextField
                        label="E-mail"
                        type="email"
                        autoComplete="username"
                        required
                        value={email}
                        onValue={setEmail}
                        autoFocus
                    />
                    {ask.error !== undefined && <Problem error={ask.error} />}
                    <Button kind="primary" className="wide" type="submit" busy={ask.busy}>
                        Send the link
                    </Button>
                </form>
            )}
        </Door>
    );
}
