// How the test of a connection went.

import { CheckCircle2, XCircle } from "lucide-react";
import type { Schemas } from "../../api/client";
import { Note, words } from "../../ui/basics";

/** How a test went, step by step, and what to do about it. */
export function TestOutcome({ outcome }: { outcome: Schemas["TestAnswer"] }) {
    return (
        <Note tone={outcome.connection_successful ? "good" : "bad"}>
            <div className="stack tight">
                <b>
                    {outcome.connection_successful
                        ? `Connected${outcome.database_version ? ` to ${outcome.database_version}` : ""}${outcome.response_time_ms != null ? ` in ${outcome.response_time_ms} ms` : ""}`
                        : "The connection failed"}
                </b>
                {outcome.error_message && <p>{outcome.error_message.replace(/^./, (first) => first.toUpperCase())}</p>}
                <ol className="steps">
                    {outcome.steps.map((step) => (
                        <li key={step.step}>
                            {step.result === "passed" ? (
                                <CheckCircle2 size={15} style={{ color: "var(--good)" }} aria-hidden />
                            ) : step.result === "failed" ? (
                                <XCircle size={15} style={{ color: "var(--bad)" }} aria-hidden />
                            ) : (
                                <i className="dot" />
                            )}
                            {words(step.step)}: {words(step.result).toLowerCase()}
                        </li>
                    ))}
                </ol>
            </div>
        </Note>
    );
}
