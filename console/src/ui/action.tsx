// What changes something: one running at a time, its outcome told, its error honest; and a fresh proof where the server
// wants one before it takes protection away.

import { useQueryClient } from "@tanstack/react-query";
import { type ComponentProps, type FormEvent, useRef, useState, useSyncExternalStore } from "react";
import { ApiError, api, read } from "../api/client";
import { withPasskey } from "../passkey";
import { session } from "../session";
import { Button, Problem, TextField } from "./basics";
import { Dialog } from "./dialog";
import { GaveUp, proof, proved } from "./proof";
import { tell, tellError } from "./tell";

type Options<R> = {
    /** What is told when it is done. */
    done?: string | ((result: R) => string);
    /** Keys of the queries that show what has changed. */
    changes?: unknown[][];
    onDone?: (result: R) => void;
    /** Whether the error is shown where the action is, and not as a toast. */
    inline?: boolean;
};

export function useAction<A, R>(run: (argument: A) => Promise<R>, options: Options<R> = {}) {
    const queries = useQueryClient();
    const isRunning = useRef(false);
    const [running, setRunning] = useState<{ on: A }>();
    const [error, setError] = useState<unknown>();
    const start = async (argument: A): Promise<R | undefined> => {
        if (isRunning.current) return undefined;
        isRunning.current = true;
        setRunning({ on: argument });
        setError(undefined);
        try {
            const result = await proved(() => run(argument));
            for (const queryKey of options.changes ?? []) void queries.invalidateQueries({ queryKey });
            if (options.done) tell(typeof options.done === "string" ? options.done : options.done(result));
            options.onDone?.(result);
            return result;
        } catch (cause) {
            if (cause instanceof GaveUp) return undefined;
            setError(cause);
            if (!options.inline) tellError(cause);
            return undefined;
        } finally {
            isRunning.current = false;
            setRunning(undefined);
        }
    };
    const apiError = error instanceof ApiError ? error : undefined;
    return {
        start,
        busy: running !== undefined,
        /** Whether it runs on just this. */
        isBusyWith: (argument: A) => running !== undefined && JSON.stringify(running.on) === JSON.stringify(argument),
        error,
        reset: () => setError(undefined),
        of: (field: string) => apiError?.of(field),
    };
}

/** A button that runs an action; in a list, on one of its items. */
export function ActionButton<A>({
    action,
    on,
    ...rest
}: Omit<ComponentProps<typeof Button>, "onClick" | "busy"> & {
    action: { start: (argument: A) => Promise<unknown>; busy: boolean; isBusyWith: (argument: A) => boolean };
    on: A;
}) {
    return (
        <Button
            {...rest}
            busy={action.isBusyWith(on)}
            disabled={rest.disabled || action.busy}
            onClick={() => void action.start(on)}
        />
    );
}

/** The dialog that asks who it is. The new session takes the place of the old one. */
export function Reauthentication() {
    const current = useSyncExternalStore(proof.subscribe, proof.asked);
    const queries = useQueryClient();
    const [password, setPassword] = useState("");
    const [code, setCode] = useState("");
    const [temporaryToken, setTemporaryToken] = useState<string>();
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<unknown>();
    if (!current) return null;
    const close = () => {
        setPassword("");
        setCode("");
        setTemporaryToken(undefined);
        setError(undefined);
        proof.ask(undefined);
    };
    const me = queries.getQueryData<{ user: { primary_email: string | null } }>(["me"]);
    const email = me?.user.primary_email ?? "";

    const prove = async (proof: () => Promise<object>) => {
        setBusy(true);
        setError(undefined);
        try {
            const answer = (await proof()) as { temporary_token?: string; access_token?: string; expires_in?: number };
            if (answer.access_token) {
                await read(api.POST("/api/v1/auth/logout")).catch(() => undefined);
                session.begin({ access_token: answer.access_token, expires_in: answer.expires_in ?? 3600 }, false);
                close();
                current.finish();
            } else setTemporaryToken(answer.temporary_token);
        } catch (cause) {
            setError(cause);
        } finally {
            setBusy(false);
        }
    };
    const submit = (event: FormEvent) => {
        event.preventDefault();
        void prove(() =>
            temporaryToken
                ? read(api.POST("/api/v1/auth/mfa/verify", { body: { temporary_token: temporaryToken, code } }))
                : read(api.POST("/api/v1/auth/login", { body: { email, password } })),
        );
    };
    return (
        <Dialog
            title="Confirm that it is you"
            onClose={() => {
                close();
                current.giveUp();
            }}
        >
            <p className="soft">{current.why}</p>
            <form className="stack" onSubmit={submit}>
                {temporaryToken ? (
                    <TextField
                        label="Code of your authenticator app"
                        inputMode="numeric"
                        autoComplete="one-time-code"
                        value={code}
                        onValue={setCode}
                        autoFocus
                    />
                ) : (
                    <TextField
                        label={`Password of ${email}`}
                        type="password"
                        autoComplete="current-password"
                        value={password}
                        onValue={setPassword}
                        autoFocus
                    />
                )}
                {error !== undefined && <Problem error={error} />}
                <div className="form-end">
                    {"PublicKeyCredential" in window && !temporaryToken && (
                        <Button onClick={() => void prove(() => withPasskey(email))}>Use a passkey</Button>
                    )}
                    <Button kind="primary" type="submit" busy={busy}>
                        Confirm
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}
