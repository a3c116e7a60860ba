// One run at a time: what it is doing, the way to stop it, and how it ended.

import { Bot, Wrench, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError, type Schemas, api, read } from "../api/client";
import { queries } from "../queries";
import { type Execution, type Step, follow } from "../run";
import { Button, Skeleton } from "../ui/basics";
import type { Cell } from "../ui/grid";
import { tell } from "../ui/tell";
import type { Answer } from "./answer";

export type Running = { what: string; isSql: boolean; since: number; steps: Step[]; cancel: () => void };
type Work = (signal: AbortSignal, onStep: (step: Step) => void) => Promise<Answer>;

/** A run that asks back which reading of a word is meant, with all that its question is asked again by. */
export class Ambiguous extends ApiError {
    readonly execution: number;
    readonly choices: string[];

    constructor(
        cause: ApiError,
        readonly question: string,
        readonly sources: number[],
    ) {
        super(cause.code, cause.message, cause.status, cause.requestId, cause.details);
        this.execution = Number(cause.of("execution_id"));
        this.choices = cause.details.filter((each) => each.field === "choice").map((each) => each.reason);
    }
}

/** Runs one thing at a time; what it answers is handed on, even where the page is left meanwhile. */
export function useRun(onAnswer: (answer: Answer) => void) {
    const [running, setRunning] = useState<Running>();
    const [error, setError] = useState<unknown>();
    const isRunning = useRef(false);
    const start = async (what: string, work: Work, isSql = false) => {
        if (isRunning.current) return;
        isRunning.current = true;
        const stop = new AbortController();
        setRunning({ what, isSql, since: Date.now(), steps: [], cancel: () => stop.abort() });
        setError(undefined);
        try {
            const onStep = (step: Step) =>
                setRunning((before) => before && { ...before, steps: [...before.steps, step] });
            onAnswer(await work(stop.signal, onStep));
            void queries.invalidateQueries({ queryKey: ["first", "runs"] });
        } catch (cause) {
            if (stop.signal.aborted && !(cause instanceof ApiError)) tell("Cancelled.");
            else setError(cause);
        } finally {
            isRunning.current = false;
            setRunning(undefined);
        }
    };
    /** Says which reading is meant; its question is asked again with it. */
    const clarify = (asked: Ambiguous, choice: string, remember: Schemas["Remember"]) =>
        void start(asked.question, (signal, onStep) =>
            answered(
                read(
                    api.POST("/api/v1/prompts/executions/{execution_id}/clarify", {
                        params: { path: { execution_id: asked.execution }, header: { prefer: "respond-async" } },
                        body: { choice, remember },
                    }),
                ),
                asked.question,
                asked.sources,
                signal,
                onStep,
            ),
        );
    return { running, error, start, clarify };
}

/** Follows a run that has begun to its answer. */
export async function answered(
    begun: Promise<Execution>,
    question: string,
    sources: number[],
    signal: AbortSignal,
    onStep: (step: Step) => void,
): Promise<Answer> {
    try {
        return answerOf(await follow(begun, signal, onStep), question, sources);
    } catch (cause) {
        if (cause instanceof ApiError && cause.code === "QUESTION_AMBIGUOUS")
            throw new Ambiguous(cause, question, sources);
        throw cause;
    }
}

/** The answer of a question, as the page shows it. */
function answerOf(execution: Execution, question: string, sources: number[]): Answer {
    const columns = execution.columns ?? [];
    const preview = (execution.result_preview ?? []) as unknown as Record<string, Cell>[];
    return {
        id: `execution ${execution.execution_id}`,
        execution: execution.execution_id,
        prompt: execution.prompt_id ?? undefined,
        question,
        goesOn: execution.follows_execution_id != null,
        sql: execution.generated_query_text ?? undefined,
        explanation: execution.explanation ?? undefined,
        understood: execution.understood as unknown as Answer["understood"],
        confidence: execution.confidence ?? undefined,
        columns,
        rows: preview.map((row) => columns.map((column) => row[column.name] ?? null)),
        truncated: execution.truncated ?? false,
        policies: execution.policies_applied,
        milliseconds: execution.total_duration_ms ?? 0,
        isVerified: execution.ai_model === "verified",
        followUps: execution.follow_up_questions,
        sources,
    };
}

const PHASES = [
    ["validating", "Reading the question"],
    ["policy_check", "Checking what you may see"],
    ["generating", "Writing the SQL"],
    ["validating_sql", "Checking the SQL"],
    ["executing", "Reading data"],
    ["formatting", "Preparing the answer"],
] as const;

/** A question on its way: its steps as the server tells them. */
export function RunningQuestion({ running }: { running: Running }) {
    const { steps } = running;
    const phase = steps.findLast((step) => step.data.phase)?.data.phase;
    const at = Math.max(
        0,
        PHASES.findIndex(([name]) => name === phase),
    );
    const told = steps.findLast((step) => step.event === "execution.sql_generated")?.data;
    const calls = steps.filter((step) => step.event === "execution.tool_call");
    return (
        <RunningCard running={running}>
            <Stages of={PHASES.map(([, label]) => label)} at={at} />
            {calls.length > 0 && (
                <ul className="stack tight small">
                    {calls.map(({ seq, data }) => (
                        <li key={seq} className="row" style={{ flexWrap: "nowrap", alignItems: "flex-start" }}>
                            {data.tool === "repair" ? (
                                <Wrench size={14} aria-hidden style={{ marginTop: 3 }} />
                            ) : (
                                <Bot size={14} aria-hidden style={{ marginTop: 3 }} />
                            )}
                            <span className="grow break">
                                {data.tool === "repair" ? "Correcting the SQL: " : ""}
                                <span className="soft">{data.summary}</span>
                            </span>
                        </li>
                    ))}
                </ul>
            )}
            {told?.explanation && <p className="break">{told.explanation}</p>}
        </RunningCard>
    );
}

export function Stages({ of, at }: { of: readonly string[]; at: number }) {
    return (
        <>
            <ol className="steps">
                {of.map((label, index) => (
                    <li
                        key={label}
                        className={index < at ? "done" : index === at ? "now" : ""}
                        aria-current={index === at ? "step" : undefined}
                    >
                        <i className="dot" />
                        {label}
                    </li>
                ))}
            </ol>
            <span className="visually-hidden" role="status">
                {of[at]}
            </span>
        </>
    );
}

export function RunningCard({ running, children }: { running: Running; children: ReactNode }) {
    const seconds = useSeconds(running.since);
    return (
        <section className="card pad stack" aria-label="Running">
            <div className="row apart" style={{ flexWrap: "nowrap", alignItems: "flex-start" }}>
                <b className="strong break grow">{running.what.slice(0, 140)}</b>
                {/* Each second is not worth a word of a screen reader's. */}
                <span className="small soft nowrap" aria-hidden>
                    {seconds} s
                </span>
                <Button small icon={<X size={14} />} onClick={running.cancel}>
                    Cancel
                </Button>
            </div>
            {children}
            <Skeleton lines={4} />
        </section>
    );
}

export function useSeconds(since: number): number {
    const [seconds, setSeconds] = useState(0);
    useEffect(() => {
        const tick = () => setSeconds(Math.floor((Date.now() - since) / 1000));
        tick();
        const timer = setInterval(tick, 500);
        return () => clearInterval(timer);
    }, [since]);
    return seconds;
}
