// What changes something: one running at a time, its outcome told, its error honest; and a fresh proof where the server
// wants one before it takes protection away.

import { useQueryClient } from "@tanstack/react-query";
import { type ComponentProps, type ReactNode, useRef, useState } from "react";
import { ApiError } from "../api/client";
import { Button, Problem } from "./basics";
import { GaveUp, proved } from "./proof";
import { tell, tellError } from "./tell";
import { Unsaved } from "./unsaved";

export type Options<R> = {
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
            disabled={rest.disabled || (action.busy && !action.isBusyWith(on))}
            onClick={() => void action.start(on)}
        />
    );
}

/** As `useAction` gives it, with its errors shown in the form (`inline`). */
type Sending<A> = {
    start: (argument: A) => Promise<unknown>;
    busy: boolean;
    error: unknown;
    isBusyWith?: (argument: A) => boolean;
};

/** A form that starts an action: its fields, what the server refused, what would be lost, and the button that sends it. */
export function ActionForm<A>({
    action,
    on,
    submit,
    isWide,
    disabled,
    onCancel,
    beside,
    touched,
    what,
    children,
    ...rest
}: Omit<ComponentProps<"form">, "action" | "onSubmit"> & {
    action: Sending<A>;
    /** The words on the button; without them the form has one of its own. */
    submit?: ReactNode;
    /** Whether the button is as wide as the form. */
    isWide?: boolean;
    disabled?: boolean;
    onCancel?: () => void;
    /** What else can be done, before the button. */
    beside?: ReactNode;
    /** Whether something is typed that is not to be lost without a question, and what it is. */
    touched?: boolean;
    what?: string;
} & (undefined extends A ? { on?: A } : { on: A })) {
    const argument = on as A;
    const isSending = action.isBusyWith?.(argument) ?? action.busy;
    const button = submit && (
        <Button
            kind="primary"
            type="submit"
            className={isWide ? "wide" : ""}
            busy={isSending}
            disabled={disabled || (action.busy && !isSending)}
        >
            {submit}
        </Button>
    );
    return (
        <form
            className="stack"
            {...rest}
            onSubmit={(event) => {
                event.preventDefault();
                // A form around the page that opened this one would hear of it, and send itself too.
                event.stopPropagation();
                void action.start(argument);
            }}
        >
            {children}
            {action.error !== undefined && <Problem error={action.error} />}
            {touched !== undefined && <Unsaved touched={touched} busy={action.busy} what={what} />}
            {isWide
                ? button
                : button && (
                      <div className="form-end">
                          {onCancel && <Button onClick={onCancel}>Cancel</Button>}
                          {beside}
                          {button}
                      </div>
                  )}
        </form>
    );
}
