// A question without an answer: its error, with better questions where the planner knows some; or what it asks back.

import { useState } from "react";
import { ApiError, type Schemas } from "../api/client";
import { Button, Filter, Note, Problem } from "../ui/basics";
import { Ambiguous } from "./running";

export function NotAnswered({
    error,
    onChoice,
    onQuestion,
    retry,
}: {
    error: unknown;
    onChoice: (asked: Ambiguous, choice: string, remember: Schemas["Remember"]) => void;
    /** Where other questions are asked; without it they are only told. */
    onQuestion?: (text: string) => void;
    retry?: () => void;
}) {
    if (error instanceof Ambiguous) return <AskedBack asked={error} onChoice={onChoice} />;
    const suggested = error instanceof ApiError ? error.details.filter((detail) => detail.field === "suggestion") : [];
    if (!(error instanceof ApiError) || !onQuestion || suggested.length === 0)
        return <Problem error={error} retry={retry} />;
    const others = error.details.filter((detail) => detail.field !== "suggestion" && detail.field !== "unknown_word");
    return (
        <div className="stack tight">
            <Problem error={new ApiError(error.code, error.message, error.status, error.requestId, others)} />
            <div className="chips" role="group" aria-label="Suggestions">
                {suggested.map((each) => (
                    <button type="button" className="chip" key={each.reason} onClick={() => onQuestion(each.reason)}>
                        {each.reason.replace(/^./, (first) => first.toUpperCase())}
                    </button>
                ))}
            </div>
        </div>
    );
}

/** Which reading is meant, and for whom that holds from now on. */
function AskedBack({
    asked,
    onChoice,
}: {
    asked: Ambiguous;
    onChoice: (asked: Ambiguous, choice: string, remember: Schemas["Remember"]) => void;
}) {
    const [remember, setRemember] = useState<Schemas["Remember"]>("me");
    return (
        <Note>
            <div className="stack tight" role="group" aria-label="Which do you mean?">
                <p role="status">{asked.message}</p>
                <div className="row">
                    {asked.choices.map((choice, index) => (
                        <Button
                            key={choice}
                            small
                            autoFocus={index === 0}
                            onClick={() => onChoice(asked, choice, remember)}
                        >
                            {choice}
                        </Button>
                    ))}
                    <Filter
                        label="Remember this"
                        value={remember}
                        onValue={(value) => setRemember(value as Schemas["Remember"])}
                        options={[
                            ["me", "Always, for me"],
                            ["everyone", "Always, and suggest it to everyone"],
                            ["nobody", "Just this once"],
                        ]}
                    />
                </div>
            </div>
        </Note>
    );
}
