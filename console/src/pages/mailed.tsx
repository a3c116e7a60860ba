// The pages behind links in mails, and where browsers come back to from identity providers. What the address holds is taken
// out of it at once, so that it is neither kept in the history nor sent on.

import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { api, errorOf, read, send } from "../api/client";
import { session } from "../session";
import { ActionButton, ActionForm, useAction } from "../ui/action";
import { Facts, Note, PasswordField, Problem, Skeleton, When } from "../ui/basics";
import { bring } from "../ui/at-provider";
import { tellError } from "../ui/tell";
import { CONNECTING, destination, doorTo, mailed, useArrival, useMailed } from "./door/arrival";
import { Door } from "./door/frame";
import { requestOf } from "./door/look";

/** One value of the address, which then stands there no longer. */
function useTaken(name: string): string {
    const [value] = useState(() => new URLSearchParams(location.search).get(name) ?? "");
    useEffect(() => history.replaceState(history.state, "", location.pathname), []);
    return value;
}

export function VerifyEmail() {
    const token = useTaken("token");
    const to = useMailed();
    const [done, setDone] = useState(false);
    const verify = useAction(
        async () => {
            await read(api.POST("/api/v1/auth/verify-email", { body: { token } }));
            mailed.forget();
            setDone(true);
        },
        { inline: true },
    );
    if (!token) return <Incomplete />;
    return (
        <Door
            title={done ? "Address confirmed" : "Confirm your address"}
            lead={done ? "You can sign in now." : "One more click confirms it."}
            onTheWayTo={requestOf(to)}
        >
            {verify.error !== undefined && <Problem error={verify.error} />}
            {done ? (
                <a className="button primary wide" href={doorTo("/sign-in", to)}>
                    Sign in
                </a>
            ) : (
                <ActionButton kind="primary" className="wide" action={verify} on={undefined}>
                    Confirm
                </ActionButton>
            )}
        </Door>
    );
}

function Incomplete() {
    return (
        <Door title="This link is incomplete" lead="Open it again from the e-mail.">
            <a className="button wide" href="/sign-in">
                Back to sign-in
            </a>
        </Door>
    );
}

export function ResetPassword() {
    const token = useTaken("token");
    const to = useMailed();
    const [password, setPassword] = useState("");
    const [done, setDone] = useState(false);
    const reset = useAction(
        async () => {
            await read(api.POST("/api/v1/auth/reset-password", { body: { token, new_password: password } }));
            mailed.forget();
            setDone(true);
        },
        { inline: true },
    );
    if (!token) return <Incomplete />;
    if (done)
        return (
            <Door title="Password set" lead="All other sessions were signed out." onTheWayTo={requestOf(to)}>
                <a className="button primary wide" href={doorTo("/sign-in", to)}>
                    Sign in
                </a>
            </Door>
        );
    return (
        <Door title="Choose a new password" onTheWayTo={requestOf(to)}>
            <ActionForm action={reset} submit="Set password" isWide>
                <PasswordField
                    label="New password"
                    autoComplete="new-password"
                    required
                    value={password}
                    onValue={setPassword}
                    error={reset.of("new_password")}
                    autoFocus
                />
            </ActionForm>
        </Door>
    );
}

export function Invitation() {
    const token = useTaken("token");
    const arrive = useArrival();
    const [signedIn, setSignedIn] = useState<boolean>();
    useEffect(() => void session.token().then((each) => setSignedIn(each !== undefined)), []);
    const preview = useQuery({
        queryKey: ["invitation", token],
        enabled: token !== "",
        queryFn: () => read(api.GET("/api/v1/invitations/{invitation}", { params: { path: { invitation: token } } })),
    });
    const accept = useAction(
        async () => {
            const { workspace } = await read(
                api.POST("/api/v1/invitations/{invitation_token}/accept", {
                    params: { path: { invitation_token: token } },
                }),
            );
            const tokens = await read(
                api.POST("/api/v1/auth/switch-workspace", { body: { workspace_id: workspace.id } }),
            );
            arrive(tokens, "/");
        },
        { inline: true },
    );
    if (!token) return <Incomplete />;
    if (preview.error)
        return (
            <Door title="This invitation is no longer valid">
                <Problem error={preview.error} />
                <a className="button wide" href="/sign-in">
                    Back to sign-in
                </a>
            </Door>
        );
    const invitation = preview.data?.invitation;
    if (!invitation)
        return (
            <Door title="You are invited">
                <Skeleton />
            </Door>
        );
    const back = `/invitation?token=${token}`;
    return (
        <Door
            title={`Join ${invitation.organization.name}`}
            look={{ organization_name: invitation.organization.name, branding: invitation.branding }}
        >
            <Facts
                of={[
                    ["For", invitation.email],
                    ["Workspace", invitation.workspace?.name],
                    ["Role", invitation.role?.name],
                    ["Valid until", <When key="until" at={invitation.expires_at} />],
                ]}
            />
            {invitation.status !== "pending" && <Note tone="warn">This invitation is {invitation.status}.</Note>}
            {accept.error !== undefined && <Problem error={accept.error} />}
            {signedIn === true && (
                <ActionButton kind="primary" className="wide" action={accept} on={undefined}>
                    Accept
                </ActionButton>
            )}
            {signedIn === false && (
                <>
                    <a className="button primary wide" href={doorTo("/sign-in", back)}>
                        Sign in to accept
                    </a>
                    <a className="button wide" href={doorTo("/sign-up", back)}>
                        Create an account
                    </a>
                </>
            )}
        </Door>
    );
}

/** Back from an identity provider, with a code that is good once. */
export function SignedIn() {
    const arrive = useArrival();
    const navigate = useNavigate();
    const [error, setError] = useState<unknown>();
    const [to] = useState(destination.peek);
    useEffect(() => {
        const answer = new URLSearchParams(location.search);
        history.replaceState(history.state, "", location.pathname);
        const [refused, handover, code, state] = ["error", "handover_code", "code", "state"].map((name) =>
            answer.get(name),
        );
        const provider = sessionStorage.getItem(CONNECTING);
        sessionStorage.removeItem(CONNECTING);
        const finish = async () => {
            destination.keep(undefined);
            if (provider && refused) {
                tellError(new Error("The account could not be connected."));
                return void navigate({ to: "/me" });
            }
            if (provider && code && state) {
                // Somebody who is signed in connects an account at that provider.
                await read(
                    api.POST("/api/v1/auth/social-accounts/{provider}", {
                        params: { path: { provider } },
                        body: { code, state },
                    }),
                );
                return void navigate({ to: "/me" });
            }
            // A new account of an address that the provider has not verified: a mail is on its way.
            if (refused === "EMAIL_NOT_VERIFIED") mailed.keep(to);
            if (refused) return void navigate({ to: "/sign-in", search: { error: refused, to } });
            if (handover)
                return arrive(
                    (await read(
                        api.POST("/api/v1/auth/oauth/handover", { body: { handover_code: handover } }),
                    )) as never,
                    to,
                );
            const redirect_uri = sessionStorage.getItem("sso");
            sessionStorage.removeItem("sso");
            if (!code || !redirect_uri) return void navigate({ to: "/sign-in", search: { to } });
            arrive((await read(api.POST("/api/v1/sso/token", { body: { code, redirect_uri } }))) as never, to);
        };
        finish().catch(setError);
        // A code is good once, so this runs once.
    }, []);
    return (
        <Door title="Signing you in" onTheWayTo={requestOf(to)}>
            {error ? (
                <>
                    <Problem error={error} />
                    <a className="button wide" href={doorTo("/sign-in", to)}>
                        Back
                    </a>
                </>
            ) : (
                <Skeleton />
            )}
        </Door>
    );
}

/** Back in the window in which somebody proved anew who they are: the page that waits for it is told. */
export function ProvedAnew() {
    useEffect(() => {
        bring();
        window.close();
    }, []);
    return (
        <Door title="Go back" lead="You can close this window.">
            {null}
        </Door>
    );
}

/** Back to the page of a program's sign-in that led here: it learns who is signed in, once they are. */
export function Connect() {
    const { request = "" } = useSearch({ strict: false }) as { request?: string };
    const navigate = useNavigate();
    const [error, setError] = useState<unknown>();
    useEffect(() => {
        const goOn = async () => {
            const signIn = () => void navigate({ to: "/sign-in", search: { to: `/connect?request=${request}` } });
            if (!(await session.token())) return signIn();
            const response = await send("/oauth/sign-in/session", {
                method: "POST",
                body: new URLSearchParams({ request }),
            });
            const body = await response.json().catch(() => undefined);
            if (response.ok) return location.assign(body.location);
            // Or the program wants a new sign-in.
            if (response.status === 401 || body?.error === "login_required") return signIn();
            throw errorOf(undefined, response);
        };
        goOn().catch(setError);
    }, []);
    return (
        <Door title="Signing you in" onTheWayTo={request}>
            {error ? (
                <>
                    <Problem error={error} />
                    <p className="soft">Go back to the application and try again.</p>
                </>
            ) : (
                <Skeleton />
            )}
        </Door>
    );
}
