// What is typed and not saved is not lost without a question.

import { useBlocker } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { Button, Note } from "./basics";

/** A form with something typed in it. */
type Typed = { ask: () => Promise<boolean>; giveUp: () => void };

const typed = new Set<Typed>();
const listeners = new Set<() => void>();

/** Whether something would be lost, or saved where it is not meant to be, by going to another workspace now. */
export const isUnsaved = () => typed.size > 0;

/** Lets go of all that is typed: nobody is asked about it again. */
export function giveUp() {
    for (const form of typed) form.giveUp();
}

/** Asks about each form with something typed in it; what may be lost is let go of by {@link giveUp}, when it comes to that. */
export async function mayLeave(): Promise<boolean> {
    for (const form of typed) if (!(await form.ask())) return false;
    return true;
}

/** Hears when a form asks, which what stands above it would hide. */
export function whenAsked(listener: () => void) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
}

/** While it is being saved, what saves may lead elsewhere; the browser still asks before it closes. */
export function Unsaved({
    touched,
    busy,
    what = "Your changes are",
}: {
    touched: boolean;
    busy: boolean;
    what?: string;
}) {
    const isGivenUp = useRef(false);
    const [leaving, setLeaving] = useState<{ proceed: () => void; reset: () => void }>();
    const blocker = useBlocker({
        shouldBlockFn: () => touched && !busy && !isGivenUp.current,
        withResolver: true,
        enableBeforeUnload: () => touched && !isGivenUp.current,
    });
    useEffect(() => {
        if (!touched) return;
        isGivenUp.current = false;
        let answer: ((leaves: boolean) => void) | undefined;
        const form = {
            ask: () =>
                new Promise<boolean>((resolve) => {
                    answer = (leaves) => {
                        setLeaving(undefined);
                        resolve(leaves);
                    };
                    setLeaving({ proceed: () => answer?.(true), reset: () => answer?.(false) });
                }),
            giveUp: () => {
                isGivenUp.current = true;
            },
        };
        typed.add(form);
        return () => {
            typed.delete(form);
            // Whoever takes back what is typed, while asked about it, stays.
            answer?.(false);
        };
    }, [touched]);
    const asked = leaving ?? (blocker.status === "blocked" ? blocker : undefined);
    const isAsked = asked !== undefined;
    const question = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (!isAsked) return;
        for (const listener of listeners) listener();
        // The end of a long form may be out of sight.
        question.current?.scrollIntoView({ block: "nearest" });
    }, [isAsked]);
    if (!asked) return null;
    return (
        <div ref={question} role="alert">
            <Note tone="warn">
                <div className="row apart">
                    <span>{what} not saved.</span>
                    <span className="row">
                        <Button small autoFocus onClick={asked.reset}>
                            Stay
                        </Button>
                        <Button small kind="danger" onClick={asked.proceed}>
                            Leave
                        </Button>
                    </span>
                </div>
            </Note>
        </div>
    );
}
