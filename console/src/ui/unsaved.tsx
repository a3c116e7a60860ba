// What is typed and not saved is not lost without a question.

import { useBlocker } from "@tanstack/react-router";
import { useEffect } from "react";
import { Button, Note } from "./basics";

/** Forms with something typed in them. */
const typed = new Set<object>();

/** Whether something would be lost, or saved where it is not meant to be, by going to another workspace now. */
export const isUnsaved = () => typed.size > 0;

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
    const blocker = useBlocker({
        shouldBlockFn: () => touched && !busy,
        withResolver: true,
        enableBeforeUnload: () => touched,
    });
    useEffect(() => {
        if (!touched) return;
        const form = {};
        typed.add(form);
        return () => void typed.delete(form);
    }, [touched]);
    if (blocker.status !== "blocked") return null;
    return (
        <Note tone="warn">
            <div className="row apart">
                <span>{what} not saved.</span>
                <span className="row">
                    <Button small onClick={blocker.reset}>
                        Stay
                    </Button>
                    <Button small kind="danger" onClick={blocker.proceed}>
                        Leave
                    </Button>
                </span>
            </div>
        </Note>
    );
}
