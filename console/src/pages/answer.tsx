// One answer: how the question was understood, its SQL, what the policies did, the rows as a grid or a chart, and what can
// be done with it.

import { useQuery } from "@tanstack/react-query";
import { BarChart3, Check, Copy, Download, EyeOff, ShieldCheck, Table2, ThumbsDown, ThumbsUp } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, checked, read, save, send } from "../api/client";
import { useMay } from "../standing";
import { useAction } from "../ui/action";
import { Badge, Button, Field, Note, Problem, SelectField, Skeleton, TextField, count, words } from "../ui/basics";
import { Chart, shapeOf } from "../ui/chart";
import { ActionMenu, Dialog } from "../ui/dialog";
import { type Cell, Grid, type GridColumn, asTabs } from "../ui/grid";
import { tell } from "../ui/toast";

export type Answer = {
    id: string;
    /** Of a question: its run, and where it is kept. */
    execution?: number;
    prompt?: number;
    question?: string;
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
    canSave = true,
}: {
    answer: Answer;
    onSql: (sql: string) => void;
    onQuestion: (question: string) => void;
    canSave?: boolean;
}) {
    const may = useMay();
    const [more, setMore] = useState<{ rows: Cell[][]; truncated: boolean }>();
    const [progress, setProgress] = useState<number>();
    const [explaining, setExplaining] = useState(false);
    const rows = more?.rows ?? answer.rows;
    const truncated = more?.truncated ?? answer.truncated;
    const shape = shapeOf(answer.columns, rows.slice(0, 50));
    const [view, setView] = useState<"grid" | "chart">("grid");
    const [showsSql, setShowsSql] = useState(false);

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
    const download = useAction(
        async (form: { type: string; extension: string }) => {
            const response = await checked(
                await send(`/api/v1/data-sources/${answer.sources[0]}/query`, {
                    method: "POST",
                    headers: { "content-type": "application/json", accept: form.type },
                    body: JSON.stringify(body(answer)),
                }),
            );
            await save(
                response,
                `${
                    (answer.question ?? "answer")
                        .slice(0, 40)
                        .replace(/[^\w]+/g, "-")
                        .replace(/-$/, "")
                        .toLowerCase() || "answer"
                }.${form.extension}`,
            );
        },
        { done: "Downloaded." },
    );

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
                        <Badge tone="good">Verified: somebody confirmed this SQL</Badge>
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
                {answer.estimate && (
                    <p className="small soft">It would read about {count(answer.estimate.rows)} rows.</p>
                )}
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
                            <Button small busy={loadMore.busy} onClick={() => loadMore.start(undefined)}>
                                {loadMore.busy && progress ? `${count(progress)} rows…` : "Load all rows"}
                            </Button>
                        )}
                        {canSave && answer.question && answer.prompt === undefined && may("prompt.write") && (
                            <SaveQuestion question={answer.question} sources={answer.sources} />
                        )}
                        <Button
                            small
                            icon={<Copy size={14} />}
                            onClick={() => {
                                void navigator.clipboard.writeText(asTabs(answer.columns, rows));
                                tell(`Copied ${rows.length.toLocaleString()} rows.`);
                            }}
                        >
                            Copy
                        </Button>
                        {answer.sql && (
                            <ActionMenu
                                label="Download"
                                choices={[
                                    {
                                        label: "CSV",
                                        run: () => void download.start({ type: "text/csv", extension: "csv" }),
                                    },
                                    {
                                        label: "Parquet",
                                        run: () =>
                                            void download.start({
                                                type: "application/vnd.apache.parquet",
                                                extension: "parquet",
                                            }),
                                    },
                                    {
                                        label: "Arrow",
                                        run: () =>
                                            void download.start({
                                                type: "application/vnd.apache.arrow.stream",
                                                extension: "arrow",
                                            }),
                                    },
                                ]}
                            >
                                <Download size={15} />
                            </ActionMenu>
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
                            ? "A row filter may hide some."
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
                        <div className="chips" role="group" aria-label="Ask next">
                            {answer.followUps.map((text) => (
                                <button type="button" className="chip" key={text} onClick={() => onQuestion(text)}>
                                    {text.replace(/^./, (first) => first.toUpperCase())}
                                </button>
                            ))}
                        </div>
                    )}
                    {answer.execution !== undefined && <Verdict execution={answer.execution} sql={answer.sql ?? ""} />}
                </div>
            )}
            {explaining && (
                <Explain
                    sources={answer.sources}
                    masked={masked.map((column) => column.name)}
                    sql={answer.sql}
                    onClose={() => setExplaining(false)}
                />
            )}
        </section>
    );
}

/** Whether it was right, and what would have been. It is said once, and changes nothing that one sees. */
function Verdict({ execution, sql }: { execution: number; sql: string }) {
    const [given, setGiven] = useState<"right" | "wrong">();
    const [isOpen, setIsOpen] = useState(false);
    const [corrected, setCorrected] = useState(sql);
    const [comment, setComment] = useState("");
    const give = useAction(
        (verdict: "right" | "wrong") =>
            read(
                api.POST("/api/v1/prompts/executions/{execution_id}/feedback", {
                    params: { path: { execution_id: execution } },
                    body: {
                        verdict,
                        corrected_query_text:
                            verdict === "wrong" && corrected.trim() && corrected !== sql ? corrected : undefined,
                        comment: comment.trim() || undefined,
                    },
                }),
            ),
        {
            done: (feedback) =>
                feedback.verified_pair_id == null
                    ? "Thank you; it is on record."
                    : "Thank you. Once somebody confirms it, the question is answered so.",
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
            <div className="row small" role="group" aria-label="Was it right?">
                <span className="soft">{given ? "You said:" : "Was it right?"}</span>
                <Button
                    small
                    kind="quiet"
                    icon={<ThumbsUp size={14} />}
                    aria-pressed={given === "right"}
                    disabled={give.busy}
                    onClick={() => give.start("right")}
                >
                    Right
                </Button>
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
                <Dialog title="What would have been right?" wide onClose={() => setIsOpen(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void give.start("wrong");
                        }}
                    >
                        <Field
                            label="SQL"
                            hint="If you know it, put it right. It must run under your own policies."
                            error={give.of("corrected_query_text")}
                        >
                            {(props) => (
                                <textarea
                                    {...props}
                                    className="mono"
                                    rows={6}
                                    spellCheck={false}
                                    value={corrected}
                                    onChange={(event) => setCorrected(event.target.value)}
                                />
                            )}
                        </Field>
                        <TextField
                            label="What is wrong (optional)"
                            maxLength={1000}
                            value={comment}
                            onValue={setComment}
                            error={give.of("comment")}
                        />
                        {give.error !== undefined && <Problem error={give.error} />}
                        <div className="form-end">
                            <Button onClick={() => setIsOpen(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={give.busy}>
                                It was wrong
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
        </>
    );
}

/** Keeps a question under a name. The server keeps what it runs, so it runs once more. */
function SaveQuestion({ question, sources }: { question: string; sources: number[] }) {
    const [isOpen, setIsOpen] = useState(false);
    const [saved, setSaved] = useState(false);
    const [name, setName] = useState("");
    const [tags, setTags] = useState("");
    const keep = useAction(
        () =>
            read(
                api.POST("/api/v1/prompts/execute", {
                    body: {
                        prompt_text: question,
                        selected_data_source_ids: sources,
                        save_prompt: true,
                        name,
                        tags: tagsOf(tags),
                    },
                }),
            ),
        {
            done: "Saved under Questions.",
            changes: [["prompts"]],
            inline: true,
            onDone: () => {
                setSaved(true);
                setIsOpen(false);
            },
        },
    );
    return (
        <>
            <Button small icon={<Check size={14} />} disabled={saved} onClick={() => setIsOpen(true)}>
                {saved ? "Saved" : "Save"}
            </Button>
            {isOpen && (
                <Dialog title="Save this question" onClose={() => setIsOpen(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void keep.start(undefined);
                        }}
                    >
                        <TextField
                            label="Name"
                            required
                            value={name}
                            onValue={setName}
                            autoFocus
                            hint="It runs once more as it is kept."
                            error={keep.of("name")}
                        />
                        <TagsField value={tags} onValue={setTags} error={keep.of("tags")} />
                        {keep.error !== undefined && <Problem error={keep.error} />}
                        <div className="form-end">
                            <Button onClick={() => setIsOpen(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={keep.busy}>
                                Save
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
        </>
    );
}

export const tagsOf = (text: string) =>
    text
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean);

export function TagsField(props: { value: string; onValue: (value: string) => void; error?: string }) {
    return <TextField label="Tags (optional)" hint="With commas between them." {...props} />;
}

/** Why a table, a column or rows are hidden from whoever asks. */
export function Explain({
    sources,
    masked,
    sql,
    onClose,
}: {
    sources: number[];
    masked: string[];
    sql?: string;
    onClose: () => void;
}) {
    const tables = useQuery({
        queryKey: ["tables", sources],
        queryFn: async () =>
            (
                await Promise.all(
                    sources.map(async (id) => {
                        const schemas = await read(
                            api.GET("/api/v1/data-sources/{data_source_id}/schemas", {
                                params: { path: { data_source_id: id }, query: { page_size: 200 } },
                            }),
                        );
                        return schemas.schemas.flatMap((schema) =>
                            schema.tables.map((table) => ({
                                source: id,
                                name: `${schema.schema_name}.${table.table_name}`,
                                columns: (table.columns ?? []).map((column) => column.column_name),
                            })),
                        );
                    }),
                )
            ).flat(),
    });
    // The table that the question was about comes first.
    const asked = (name: string) =>
        new RegExp(`(?<![\\w])${(name.split(".").at(-1) ?? "").replace(/[^\w]/g, "\\$&")}(?![\\w])`, "i").test(
            sql ?? "",
        );
    const first =
        tables.data?.findIndex(
            (table) => asked(table.name) || masked.some((column) => table.columns.includes(column)),
        ) ?? -1;
    const [chosen, setChosen] = useState<number>();
    const [column, setColumn] = useState("");
    const table = tables.data?.[chosen ?? Math.max(0, first)];
    const answer = useQuery({
        queryKey: ["explain", table?.source, table?.name, column],
        enabled: Boolean(table),
        queryFn: () =>
            read(
                api.POST("/api/v1/policies/explain", {
                    body: { data_source_id: table?.source ?? 0, table: table?.name ?? "", column: column || undefined },
                }),
            ),
    });
    const effects = answer.data?.effects ?? [];
    return (
        <Dialog title="Why is something hidden?" onClose={onClose}>
            {tables.data ? (
                <div className="form-grid">
                    <SelectField
                        label="Table"
                        value={String(chosen ?? Math.max(0, first))}
                        onValue={(value) => {
                            setChosen(Number(value));
                            setColumn("");
                        }}
                        options={tables.data.map((each, index) => [String(index), each.name] as const)}
                    />
                    <SelectField
                        label="Column"
                        value={column}
                        onValue={setColumn}
                        options={[["", "All"], ...(table?.columns ?? []).map((each) => [each, each] as const)]}
                    />
                </div>
            ) : (
                <Skeleton />
            )}
            {answer.error ? (
                <Problem error={answer.error} />
            ) : !answer.data ? (
                <Skeleton lines={2} />
            ) : effects.length === 0 ? (
                <Note tone="good">
                    {answer.data.visible
                        ? "Nothing is hidden from you here."
                        : "You do not see this. Ask whoever keeps the policies."}
                </Note>
            ) : (
                <ul className="stack tight">
                    {effects.map((effect, index) => (
                        <li key={index} className="card pad" style={{ padding: "11px 14px" }}>
                            <div className="row apart">
                                <b className="strong">{effect.policy?.policy_name ?? words(effect.effect)}</b>
                                {effect.column && <code>{effect.column}</code>}
                            </div>
                            <p className="soft">{effect.explanation}</p>
                            {effect.condition && (
                                <pre className="code-block" style={{ marginTop: 6 }}>
                                    {effect.condition}
                                </pre>
                            )}
                        </li>
                    ))}
                </ul>
            )}
            <div className="form-end">
                <Button onClick={onClose}>Close</Button>
            </div>
        </Dialog>
    );
}
