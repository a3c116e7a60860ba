// The way back in.

import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Note, TextField } from "../../ui/basics";
import { doorTo, mailed, useDestination } from "./arrival";
import { Door } from "./frame";

export function ForgotPassword() {
    const to = useDestination();
    const [email, setEmail] = useState("");
    const [sent, setSent] = useState(false);
    const ask = useAction(
        async () => {
            await read(api.POST("/api/v1/auth/forgot-password", { body: { email } }));
            mailed.keep(to);
            setSent(true);
        },
        { inline: true },
    );
    return (
        <Door
            title="Forgot your password?"
            lead="We will e-mail you a link to set a new one."
            foot={<a href={doorTo("/sign-in", to)}>Back to sign-in</a>}
        >
            {sent ? (
                <Note tone="good">If there is an account with this address, we have sent it an e-mail.</Note>
            ) : (
                <ActionForm action={ask} submit="Send link" isWide>
                    <TextField
                        label="E-mail"
                        type="email"
                        autoComplete="username"
                        required
                        value={email}
                        onValue={setEmail}
                        autoFocus
                    />
                </ActionForm>
            )}
        </Door>
    );
}
