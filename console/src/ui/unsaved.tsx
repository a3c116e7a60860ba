// What is typed and not saved is not lost without a question.

import { useBlocker } from "@tanstack/react-router";
import { Button, Note } from "./basics";

export function Unsaved({ touched, what = "Your changes are" }: { touched: boolean; what?: string }) {
    const blocker = useBlocker({
        shouldBlockFn: () => touched,
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
