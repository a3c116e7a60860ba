// Signing in, by every way that the server knows.

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { Fingerprint, KeyRound } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ApiError, type Schemas, api, read } from "../../api/client";
import { demo } from "../../demo";
import { deviceFingerprint } from "../../device";
import { choosePasskey, present, withPasskey } from "../../passkey";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Button, Check, PasswordField, Problem, TextField } from "../../ui/basics";
import { destination, useArrival, useDestination, useDoor } from "./arrival";
import { Door } from "./frame";
import { keepLook } from "./look";
import { SecondFactor, TrustDevice } from "./second-factor";
import { CheckMail } from "./sign-up";

type Step =
    | { at: "first" }
    | { at: "factor"; token: string; methods: string[] }
    | { at: "verification"; token: string; email: string }
    | { at: "device"; device: Schemas["PendingDevice"]; tokens: { access_token: string; expires_in: number } };

export function SignIn() {
    const arrive = useArrival();
    const door = useDoor();
    const [step, setStep] = useState<Step>({ at: "first" });
    const [email, setEmail] = useState("");
    const [password, setPassword] = useState("");
    const [remember, setRemember] = useState(false);
    const conditional = useRef<AbortController>(undefined);
    const to = useDestination();
    const { error: refused } = useSearch({ strict: false }) as { error?: string };
    const providers = useQuery({
        queryKey: ["providers"],
        queryFn: () => read(api.GET("/api/v1/auth/oauth/providers")),
    });
    const given = demo();

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
    /** The one that was chosen among the suggestions, or else one that is asked for now. */
    const passkey = useAction(
        async (chosen: Awaited<ReturnType<typeof choosePasskey>> | undefined) => {
            conditional.current?.abort();
            try {
                arrive(await (chosen ? present(chosen) : withPasskey(email || undefined)));
            } catch (error) {
                setOffers((before) => before + 1);
                throw error;
            }
        },
        { inline: true },
    );
    // A passkey is offered among the suggestions of the address field, without a click, where the browser can; and again
    // where none came of it.
    const [offers, setOffers] = useState(0);
    useEffect(() => {
        const controller = new AbortController();
        conditional.current = controller;
        const offer = async () => {
            if (!("PublicKeyCredential" in window) || !(await PublicKeyCredential.isConditionalMediationAvailable?.()))
                return;
            void passkey.start(await choosePasskey(undefined, controller.signal));
        };
        offer().catch(() => undefined);
        return () => controller.abort();
        // The offer stands as long as the page does.
    }, [offers]);
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
            destination.keep(to);
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
            // An answer means that the organization has proved the domain of the address.
            keepLook(email.slice(email.lastIndexOf("@") + 1));
            destination.keep(to);
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
    return (
        <Door
            title="Sign in"
            foot={
                <>
                    No account? <a href={door("/sign-up")}>Sign up</a>
                </>
            }
        >
            {refused && !error && (
                <Problem
                    error={
                        new Error(
                            refusals[refused] ?? "That sign-in did not succeed. Try again, or choose another way.",
                        )
                    }
                />
            )}
            <ActionForm
                action={{
                    start: () => (password ? login.start({ email, password }) : federated.start(undefined)),
                    busy: login.busy || federated.busy,
                    error,
                }}
                submit={password || isSsoRequired ? "Sign in" : "Continue"}
                isWide
            >
                <TextField
                    label="E-mail"
                    type="email"
                    autoComplete="username webauthn"
                    required
                    value={email}
                    onValue={setEmail}
                    autoFocus
                />
                <PasswordField
                    label="Password"
                    autoComplete="current-password"
                    value={password}
                    onValue={setPassword}
                    hint={
                        <span className="row apart">
                            <span>Leave empty for SSO</span>
                            <a href={door("/forgot-password")}>Forgot password?</a>
                        </span>
                    }
                />
                <Check
                    label="Stay signed in for 30 days"
                    checked={remember}
                    onChange={(event) => setRemember(event.target.checked)}
                />
            </ActionForm>
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
            {given && (
                <div className="stack tight">
                    <div className="or">a demo account</div>
                    <div className="halves" style={{ gap: 8, gridTemplateColumns: "1fr 1fr" }}>
                        {given.people.map((person) => (
                            <ActionButton
                                key={person.email}
                                small
                                action={login}
                                on={{ email: person.email, password: given.password }}
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

/** What comes back from providers as a word. */
const refusals: Record<string, string> = {
    SSO_USER_NOT_ALLOWED:
        "Your identity provider recognized you, but this organization does not give you access. Ask its administrator.",
    USER_DISABLED: "This account is disabled.",
    EMAIL_NOT_VERIFIED: "Confirm your address first, with the link we e-mailed you. Then sign in.",
    SESSION_EXPIRED: "The sign-in timed out. Try again.",
};
