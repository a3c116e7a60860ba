// What is typed and not saved is not lost without a question.

import { useBlocker } from "@tanstack/react-router";
import { Button, Note } from "./basics";

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
