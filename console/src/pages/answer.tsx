// One answer: how the question was understood, its SQL, what the policies did, the rows as a grid or a chart, and what can
// be done with it.

import { Link, useNavigate } from "@tanstack/react-router";
import {
    BarChart3,
    Check,
    Copy,
    CornerDownRight,
    EyeOff,
    Share2,
    ShieldCheck,
    Table2,
    ThumbsDown,
    ThumbsUp,
} from "lucide-react";
import { Suspense, lazy, useState } from "react";
import { type Schemas, api, read, send } from "../api/client";
import { ActionButton, useAction } from "../ui/action";
import { Badge, Button, Note, Problem, count } from "../ui/basics";
import { Chart, shapeOf } from "../ui/chart";
import { copy } from "../ui/clipboard";
import { type Cell, Grid, type GridColumn, asTabs } from "../ui/grid";
import { DownloadMenu } from "./download";

// What most answers are not asked for is loaded when one is.
const about = () => import("./about-answer");
const Explain = lazy(async () => ({ default: (await about()).Explain }));
const Wrong = lazy(async () => ({ default: (await about()).Wrong }));
const Save = lazy(async () => ({ default: (await about()).Save }));

export type Answer = {
    id: string;
    /** Of a question: its run, and where it is kept. */
    execution?: number;
    prompt?: number;
    question?: string;
    /** Whether the question says only what is different from the one before it. */
    goesOn?: boolean;
    sql?: string;
    explanation?: string;
    understood: { phrase: string; meaning: string }[];
    confidence?: number;
    columns: GridColumn[];
    rows: Cell[][];
    truncated: boolean;
    policies: Schemas["PolicyOfQuery"][];
    milliseconds: number;
    plan?: string;
    estimate?: { rows: number; bytes: number };
    followUps: string[];
    /** Somebody has confirmed that this SQL answers the question. */
    isVerified?: boolean;
    sources: number[];
};

/** The most rows that a page of this size should hold; more is a download. */
const MOST_ROWS = 100_000;
const PAGE = 10_000;

const body = (answer: Answer) => ({ query: answer.sql ?? "", additional_data_source_ids: answer.sources.slice(1) });

export function AnswerCard({
    answer,
    onSql,
    onQuestion,
    onGoOn,
    canSave = true,
}: {
    answer: Answer;
    onSql: (sql: string) => void;
    onQuestion: (question: string) => void;
    /** Where the next question may say only what is different. */
    onGoOn?: () => void;
    canSave?: boolean;
}) {
    const [more, setMore] = useState<{ rows: Cell[][]; truncated: boolean }>();
    const [progress, setProgress] = useState<number>();
    const [explaining, setExplaining] = useState(false);
    const rows = more?.rows ?? answer.rows;
    const truncated = more?.truncated ?? answer.truncated;
    const shape = shapeOf(answer.columns, rows.slice(0, 50));
    const [view, setView] = useState<"grid" | "chart">("grid");
    const [showsSql, setShowsSql] = useState(false);
    const [kept, setKept] = useState(answer.prompt);

    // The server computes all rows once and keeps them; they come page by page, so that the first stand while others come.
    const loadMore = useAction(async () => {
        const first = answer.sources[0] ?? 0;
        const run = await read(
            api.POST("/api/v1/data-sources/{data_source_id}/query", {
                params: { path: { data_source_id: first }, header: { prefer: "respond-async" } },
                body: body(answer),
            }),
        );
        const path = { query_id: run.query_id };
        for (let wait = 150; ; wait = Math.min(2000, wait * 1.5)) {
            const state = await read(api.GET("/api/v1/queries/{query_id}", { params: { path } }));
            if (state.status === "succeeded") break;
            if (state.status !== "running") throw new Error(state.error_message ?? `The query ended: ${state.status}.`);
            setProgress(state.row_count ?? 0);
            await new Promise((resolve) => setTimeout(resolve, wait));
        }
        const all: Cell[][] = [];
        for (let page = 1; all.length < MOST_ROWS; page += 1) {
            const part = await read(
                api.GET("/api/v1/queries/{query_id}/result", { params: { path, query: { page, page_size: PAGE } } }),
            );
            all.push(...(part.items as unknown as Cell[][]));
            setProgress(all.length);
            setMore({ rows: [...all], truncated: part.truncated || part.pagination.has_next });
            if (!part.pagination.has_next) break;
        }
    });
    const masked = answer.columns.filter((column) => column.masked);
    return (
        <section className="card" aria-label={answer.question ?? "Answer"}>
            <div className="body stack" style={{ padding: "16px 18px", gap: 12 }}>
                <div className="row apart" style={{ alignItems: "flex-start" }}>
                    <h2 className="grow break">{answer.question ?? "SQL"}</h2>
                    <span className="small soft nowrap">
                        {count(rows.length)}
                        {truncated ? "+" : ""} {rows.length === 1 ? "row" : "rows"} ·{" "}
                        {answer.milliseconds.toLocaleString()} ms
                    </span>
                </div>
                {answer.isVerified && (
                    <div>
                        <Badge tone="good">Verified: this SQL was confirmed</Badge>
                    </div>
                )}
                {answer.explanation && <p>{answer.explanation}</p>}
                {answer.understood.length > 0 && (
                    <div className="understood">
                        {answer.understood.map((each) => (
                            <span key={each.phrase}>
                                <b>“{each.phrase}”</b> <span className="soft">→ {each.meaning}</span>
                            </span>
                        ))}
                    </div>
                )}
                {answer.confidence !== undefined && answer.confidence < 0.6 && (
                    <Note tone="warn">
                        This is a guess: parts of the question were not understood. Check the SQL before you rely on it.
                    </Note>
                )}
                {(answer.policies.length > 0 || masked.length > 0) && (
                    <div className="row small">
                        <ShieldCheck size={15} aria-hidden style={{ color: "var(--accent)" }} />
                        <span className="soft">
                            {answer.policies.map((policy) => policy.policy_name).join(" · ") || "Masked columns"}
                        </span>
                        <Button small kind="quiet" icon={<EyeOff size={14} />} onClick={() => setExplaining(true)}>
                            Why is something hidden?
                        </Button>
                    </div>
                )}
                {answer.plan && <pre className="code-block">{answer.plan}</pre>}
                {answer.estimate && <p className="small soft">Estimated to read {count(answer.estimate.rows)} rows.</p>}
                <div className="row apart">
                    <div className="row">
                        <div className="segments" role="group" aria-label="Show as">
                            <button type="button" aria-pressed={view === "grid"} onClick={() => setView("grid")}>
                                <Table2 size={14} />
                                Table
                            </button>
                            <button
                                type="button"
                                aria-pressed={view === "chart"}
                                disabled={!shape}
                                onClick={() => setView("chart")}
                            >
                                <BarChart3 size={14} />
                                Chart
                            </button>
                        </div>
                        {answer.question && answer.sql && (
                            <Button small kind="quiet" aria-expanded={showsSql} onClick={() => setShowsSql(!showsSql)}>
                                {showsSql ? "Hide SQL" : "Show SQL"}
                            </Button>
                        )}
                    </div>
                    <div className="row">
                        {truncated && !more && (
                            <ActionButton small action={loadMore} on={undefined}>
                                {loadMore.busy && progress ? `${count(progress)} rows…` : "Load all rows"}
                            </ActionButton>
                        )}
                        {canSave && answer.execution !== undefined && answer.prompt === undefined && (
                            <SaveQuestion execution={answer.execution} prompt={kept} onSaved={setKept} />
                        )}
                        <Button
                            small
                            icon={<Copy size={14} />}
                            onClick={() =>
                                void copy(asTabs(answer.columns, rows), `Copied ${rows.length.toLocaleString()} rows.`)
                            }
                        >
                            Copy
                        </Button>
                        <Button
                            small
                            icon={<Share2 size={14} />}
                            onClick={() =>
                                void copy(
                                    addressOf(answer, kept),
                                    "Link copied. Anyone who opens it gets an answer under their own policies.",
                                )
                            }
                        >
                            Share
                        </Button>
                        {answer.sql && (
                            <DownloadMenu
                                name={answer.question ?? "answer"}
                                ask={(accept) =>
                                    send(`/api/v1/data-sources/${answer.sources[0]}/query`, {
                                        method: "POST",
                                        headers: { "content-type": "application/json", accept },
                                        body: JSON.stringify(body(answer)),
                                    })
                                }
                            />
                        )}
                    </div>
                </div>
                {showsSql && answer.sql && (
                    <div className="stack tight">
                        <pre className="code-block">{answer.sql}</pre>
                        <div>
                            <Button small onClick={() => onSql(answer.sql ?? "")}>
                                Edit as SQL
                            </Button>
                        </div>
                    </div>
                )}
            </div>
            {rows.length === 0 ? (
                !answer.plan && (
                    <p className="soft" style={{ padding: "0 18px 18px" }}>
                        No rows.{" "}
                        {answer.policies.some((policy) => policy.type === "row_level_security")
                            ? "A row filter may be hiding some."
                            : ""}
                    </p>
                )
            ) : view === "chart" ? (
                <Chart columns={answer.columns} rows={rows} />
            ) : (
                <Grid columns={answer.columns} rows={rows} label={answer.question ?? "Rows"} />
            )}
            {(answer.followUps.length > 0 || answer.execution !== undefined) && (
                <div className="card-foot stack tight">
                    {answer.followUps.length > 0 && (
                        <div className="chips" role="group" aria-label="Try next">
                            {answer.followUps.map((text) => (
                                <button type="button" className="chip" key={text} onClick={() => onQuestion(text)}>
                                    {text.replace(/^./, (first) => first.toUpperCase())}
                                </button>
                            ))}
                        </div>
                    )}
                    {answer.execution !== undefined && (
                        <div className="row apart">
                            <Verdict execution={answer.execution} sql={answer.sql ?? ""} />
                            {onGoOn && (
                                <Button small icon={<CornerDownRight size={14} />} onClick={onGoOn}>
                                    Ask a follow-up
                                </Button>
                            )}
                        </div>
                    )}
                </div>
            )}
            {explaining && (
                <Suspense>
                    <Explain
                        sources={answer.sources}
                        masked={masked.map((column) => column.name)}
                        sql={answer.sql}
                        onClose={() => setExplaining(false)}
                    />
                </Suspense>
            )}
        </section>
    );
}

/** Whether it was right. It is said once, and changes nothing that one sees. */
function Verdict({ execution, sql }: { execution: number; sql: string }) {
    const [given, setGiven] = useState<"right" | "wrong">();
    const [isOpen, setIsOpen] = useState(false);
    const give = useAction(
        (body: Schemas["FeedbackRequest"]) =>
            read(
                api.POST("/api/v1/prompts/executions/{execution_id}/feedback", {
                    params: { path: { execution_id: execution } },
                    body,
                }),
            ),
        {
            done: (feedback) =>
                feedback.verified_pair_id == null
                    ? "Thanks for your feedback."
                    : "Thanks. Once it is confirmed, this question will use your SQL.",
            changes: [["pairs"]],
            inline: true,
            onDone: (feedback) => {
                setGiven(feedback.verdict);
                setIsOpen(false);
            },
        },
    );
    return (
        <>
            <div className="row small" role="group" aria-label="Was this right?">
                <span className="soft">{given ? "Your verdict:" : "Was this right?"}</span>
                <ActionButton
                    small
                    kind="quiet"
                    icon={<ThumbsUp size={14} />}
                    aria-pressed={given === "right"}
                    action={give}
                    on={{ verdict: "right" }}
                >
                    Right
                </ActionButton>
                <Button
                    small
                    kind="quiet"
                    icon={<ThumbsDown size={14} />}
                    aria-pressed={given === "wrong"}
                    disabled={give.busy}
                    onClick={() => setIsOpen(true)}
                >
                    Wrong
                </Button>
            </div>
            {give.error !== undefined && !isOpen && <Problem error={give.error} />}
            {isOpen && (
                <Suspense>
                    <Wrong sql={sql} give={give} onClose={() => setIsOpen(false)} />
                </Suspense>
            )}
        </>
    );
}

/** Where somebody else asks the same: no rows travel with it. */
function addressOf(answer: Answer, prompt: number | undefined): string {
    if (prompt !== undefined) return `${location.origin}/questions/${prompt}?ask=again`;
    const standsByItself = answer.question !== undefined && !answer.goesOn;
    const [name, text] = standsByItself ? ["q", answer.question] : ["sql", answer.sql];
    return `${location.origin}/ask?${new URLSearchParams([
        [name, text ?? ""],
        ["sources", answer.sources.join(",")],
    ])}`;
}

function SaveQuestion({
    execution,
    prompt,
    onSaved,
}: {
    execution: number;
    /** Where it is kept, once it is. */
    prompt: number | undefined;
    onSaved: (prompt: number) => void;
}) {
    const navigate = useNavigate();
    const [isOpen, setIsOpen] = useState(false);
    return (
        <>
            {prompt === undefined ? (
                <Button small icon={<Check size={14} />} onClick={() => setIsOpen(true)}>
                    Save
                </Button>
            ) : (
                <Link className="button small" to="/questions/$id" params={{ id: String(prompt) }}>
                    <Check size={14} aria-hidden />
                    Saved
                </Link>
            )}
            {isOpen && (
                <Suspense>
                    <Save
                        execution={execution}
                        onSaved={(id, isToBeScheduled) => {
                            onSaved(id);
                            if (isToBeScheduled)
                                void navigate({
                                    to: "/questions/$id",
                                    params: { id: String(id) },
                                    search: { schedule: "new" },
                                });
                        }}
                        onClose={() => setIsOpen(false)}
                    />
                </Suspense>
            )}
        </>
    );
}
