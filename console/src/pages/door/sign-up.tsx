// An account of one's own, and the mail that confirms its address.

import { useEffect, useState } from "react";
import { api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Check, PasswordField, Problem, TextField } from "../../ui/basics";
import { doorTo, mailed, useDestination, useDoor } from "./arrival";
import { Door } from "./frame";

export function SignUp() {
    const door = useDoor();
    const [email, setEmail] = useState("");
    const [name, setName] = useState("");
    const [password, setPassword] = useState("");
    // Whether the server has terms it tells to whoever has not accepted them.
    const [hasTerms, setHasTerms] = useState(false);
    const [agrees, setAgrees] = useState(false);
    const [made, setMade] = useState<{ token: string }>();
    const signUp = useAction(
        async () => {
            const answer = await read(
                api.POST("/api/v1/auth/signup", {
                    body: { email, password, display_name: name || undefined, agree_to_terms: agrees || undefined },
                }),
            );
            setMade({ token: answer.temporary_token });
        },
        { inline: true },
    );
    if (signUp.of("agree_to_terms") && !hasTerms) setHasTerms(true);
    if (made) return <CheckMail email={email} token={made.token} />;
    return (
        <Door
            title="Sign up"
            lead="Create an account and your own organization."
            foot={
                <>
                    Already have an account? <a href={door("/sign-in")}>Sign in</a>
                </>
            }
        >
            <ActionForm action={signUp} submit="Sign up" isWide>
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
                <PasswordField
                    label="Password"
                    autoComplete="new-password"
                    required
                    value={password}
                    onValue={setPassword}
                    error={signUp.of("password")}
                    hint="At least eight characters, with upper and lower case and a digit."
                />
                {hasTerms && (
                    <Check
                        label="I have read and accept the terms of this server"
                        required
                        checked={agrees}
                        onChange={(event) => setAgrees(event.target.checked)}
                    />
                )}
            </ActionForm>
        </Door>
    );
}

export function CheckMail({ email, token, onBack }: { email: string; token: string; onBack?: () => void }) {
    const to = useDestination();
    useEffect(() => mailed.keep(to), [to]);
    const again = useAction(
        () => read(api.POST("/api/v1/auth/resend-verification", { body: { temporary_token: token } })),
        { done: "Sent again.", inline: true },
    );
    return (
        <Door
            title="Check your e-mail"
            lead={
                <>
                    We sent a link to <b>{email}</b>. Open it to confirm your address, then sign in.
                </>
            }
        >
            {again.error !== undefined && <Problem error={again.error} />}
            <Button className="wide" busy={again.busy} onClick={() => again.start(undefined)}>
                Send again
            </Button>
            {onBack ? (
                <Button kind="quiet" onClick={onBack}>
                    Back
                </Button>
            ) : (
                <a className="button quiet" href={doorTo("/sign-in", to)}>
                    Back to sign-in
                </a>
            )}
        </Door>
    );
}
