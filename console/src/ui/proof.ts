// A fresh proof of who it is, where the server wants one before it takes protection away. One is asked for at a time; the dialog
// for it stands beside the page.

import { ApiError } from "../api/client";

/** Whoever was asked for a proof did not give one: nothing was done, and nothing needs to be said. */
export class GaveUp extends Error {}

export type Asked = {
    why: string;
    /** Whether the second factor must be fresh too: a trusted device does not stand for it. */
    needsSecondFactor: boolean;
    finish: () => void;
    giveUp: () => void;
};

let asked: Asked | undefined;
const listeners = new Set<() => void>();

export const proof = {
    asked: () => asked,
    ask(next: Asked | undefined) {
        asked = next;
        for (const listener of listeners) listener();
    },
    subscribe(listener: () => void) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
    },
};

/** Runs it; where the server wants a proof that is not older than ten minutes, asks for one and runs it again. */
export async function proved<R>(run: () => Promise<R>): Promise<R> {
    try {
        return await run();
    } catch (cause) {
        if (!(cause instanceof ApiError) || cause.code !== "REAUTHENTICATION_REQUIRED") throw cause;
        await new Promise<void>((resolve, reject) =>
            proof.ask({
                why: cause.message,
                needsSecondFactor: cause.of("second_factor") !== undefined,
                finish: resolve,
                giveUp: () => reject(new GaveUp()),
            }),
        );
        return run();
    }
}
