// Ask: in plain words, or in SQL; over the sources that are chosen, as whoever is signed in.

import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { CornerDownLeft, Database, History, MessageSquareText, SquareTerminal, X } from "lucide-react";
import { type KeyboardEvent, Suspense, lazy, useEffect, useMemo, useRef, useState } from "react";
import { api, read } from "../api/client";
import { EMBEDDED, usePlanners, useSources } from "../choices";
import { useMay, useWhose } from "../standing";
import { Button, Check, Empty, Filter, Page, Problem, Skeleton } from "../ui/basics";
import type { Cell } from "../ui/grid";
import type { Answer } from "./answer";
import { type Running, RunningCard, RunningQuestion, Stages, answered, useRun, useSeconds } from "./running";

const Editor = lazy(() => import("../ui/editor"));
// The table and the chart come while the question is answered.
const answerCard = () => import("./answer");
const AnswerCard = lazy(async () => ({ default: (await answerCard()).AnswerCard }));
const NotAnswered = lazy(async () => ({ default: (await import("./not-answered")).NotAnswered }));

type Kept = {
    answers: Answer[];
    question: string;
    sql: string;
    mode: "words" | "sql";
    chosen?: number[];
    follows?: Answer;
    /** The one planner that is asked. */
    planner?: string;
};

let last: { whose: string; kept: Kept } | undefined;

/** The answers of this visit. They outlive a change of page, and are gone with the tab, and where somebody else is signed in or
 * in another workspace: what is under way until then comes to nobody. */
function keptOf(whose: string): Kept {
    if (last?.whose !== whose) last = { whose, kept: { answers: [], question: "", sql: "", mode: "words" } };
    return last.kept;
}

export function Ask() {
    const whose = useWhose();
    const [kept] = useState(() => keptOf(whose));
    const search = useSearch({ strict: false }) as { q?: string; sql?: string; sources?: string };
    const may = useMay();
    const sources = useSources();
    const all = useMemo(
        () => (sources.data?.items ?? []).filter((source) => source.status !== "inactive"),
        [sources.data],
    );
    const [mode, setMode] = useState(search.sql ? "sql" : search.q ? "words" : kept.mode);
    const [question, setQuestion] = useState(search.q ?? kept.question);
    const [sql, setSql] = useState(search.sql ?? kept.sql);
    const [chosen, setChosen] = useState<number[] | undefined>(
        search.sources ? search.sources.split(",").map(Number) : kept.chosen,
    );
    const [answers, setAnswers] = useState(kept.answers);
    const [dry, setDry] = useState(false);
    /** The answer from which the next question goes on, and says only what is different. */
    const [follows, setFollows] = useState(kept.follows);
    const box = useRef<HTMLTextAreaElement>(null);
    const planners = usePlanners();
    const [wanted, setWanted] = useState(kept.planner);
    const planner = wanted !== undefined && planners.includes(wanted) ? wanted : undefined;
    Object.assign(kept, { answers, question, sql, mode, chosen, follows, planner: wanted });
    const selected = useMemo(
        () =>
            (chosen ?? all.slice(0, 10).map((source) => source.id)).filter((id) =>
                all.some((source) => source.id === id),
            ),
        [chosen, all],
    );

    const schemas = useQueries({
        queries: selected.slice(0, 10).map((id) => ({
            queryKey: ["schemas", id, "completion"],
            staleTime: 300_000,
            queryFn: () =>
                read(
                    api.GET("/api/v1/data-sources/{data_source_id}/schemas", {
                        params: { path: { data_source_id: id }, query: { page_size: 500 } },
                    }),
                ),
        })),
        combine: (results) => results.flatMap((result) => result.data ?? []),
    });
    const tables = useMemo(
        () =>
            schemas.flatMap((source) =>
                source.schemas.flatMap((schema) =>
                    schema.tables.map((table) => ({ schema: schema.schema_name, ...table })),
                ),
            ),
        [schemas],
    );
    const completions = useMemo(
        () =>
            Object.fromEntries(
                tables.map((table) => [table.table_name, (table.columns ?? []).map((column) => column.column_name)]),
            ),
        [tables],
    );
    const suggestions = useMemo(() => suggest(tables), [tables]);
    const saved = useQuery({
        queryKey: ["prompts", "latest"],
        enabled: may("prompt.read"),
        queryFn: () => read(api.GET("/api/v1/prompts/history", { params: { query: { page_size: 20 } } })),
    });
    /** What one asked before, the latest first: in this visit, and what was saved in others. */
    const before = useMemo(() => {
        const ofThisVisit = answers.flatMap((answer) => answer.question ?? []);
        return [...new Set([...ofThisVisit, ...(saved.data?.items ?? []).map((each) => each.prompt_text)])];
    }, [answers, saved.data]);

    /** The sources that are chosen; who is quicker than their list waits for it. */
    const chosenSources = async (): Promise<number[]> => {
        if (selected.length > 0) return selected;
        const items = sources.data ? [] : ((await sources.refetch()).data?.items ?? []);
        const ids = items
            .filter((source) => source.status !== "inactive")
            .slice(0, 10)
            .map((source) => source.id);
        if (ids.length === 0) throw new Error("Choose a source first.");
        return ids;
    };
    const { running, error, start, clarify } = useRun((answer) => {
        kept.answers = [answer, ...kept.answers].slice(0, 20);
        setAnswers(kept.answers);
        // A conversation goes on from its last answer.
        if (answer.execution !== undefined) setFollows((before) => before && answer);
    });
    const isRunning = running !== undefined;
    useEffect(() => {
        if (isRunning) answerCard().catch(() => undefined);
    }, [isRunning]);
    const ask = (text = question, before: Answer | null | undefined = follows, from = before?.sources) =>
        text.trim() &&
        start(text, async (signal, onStep) => {
            const asked = from ?? (await chosenSources());
            const begun = read(
                api.POST("/api/v1/prompts/execute", {
                    params: { header: { prefer: "respond-async" } },
                    body: {
                        prompt_text: text,
                        selected_data_source_ids: asked,
                        follows_execution_id: before?.execution,
                        ai_model: planner,
                    },
                }),
            );
            return answered(begun, text, asked, signal, onStep);
        });
    const query = () =>
        sql.trim() &&
        start(
            sql,
            async (signal) => {
                const asked = await chosenSources();
                const answer = await read(
                    api.POST("/api/v1/data-sources/{data_source_id}/query", {
                        params: { path: { data_source_id: asked[0] ?? 0 } },
                        body: {
                            query: sql,
                            additional_data_source_ids: asked.slice(1),
                            dry_run: dry,
                            max_rows: 10_000,
                        },
                        signal,
                    }),
                );
                if (!("rows" in answer)) throw new Error("The query keeps running. Find its result in History.");
                return {
                    id: `query ${answer.query_id}`,
                    sql,
                    understood: [],
                    columns: answer.columns,
                    rows: answer.rows as unknown as Cell[][],
                    truncated: answer.truncated,
                    policies: answer.policies_applied,
                    milliseconds: answer.execution_time_ms,
                    plan: answer.governed_plan ?? undefined,
                    estimate: answer.estimate ?? undefined,
                    followUps: [],
                    sources: asked,
                };
            },
            true,
        );
    const askNext = (text: string, from?: number[]) => {
        setMode("words");
        setQuestion(text);
        if (from) setChosen(from);
        setFollows(undefined);
        scrollTo({ top: 0 });
        // It stands by itself.
        void ask(text, null, from);
    };

    // A question that came with the address is asked at once, once its sources are known.
    const asked = useRef(false);
    useEffect(() => {
        if (search.q && !asked.current && all.length > 0) {
            asked.current = true;
            setMode("words");
            void ask(search.q);
        }
    });

    if (sources.data && all.length === 0) {
        return (
            <Page title="Ask">
                <div className="card">
                    <Empty
                        title="Nothing to ask yet"
                        actions={
                            may("datasource.write") && (
                                <Link className="button primary" to="/sources/new">
                                    Connect a source
                                </Link>
                            )
                        }
                    >
                        {may("datasource.write")
                            ? "Connect a database or upload a file, then ask questions in your own words."
                            : "There is no source you can query yet. Ask your administrator to connect one."}
                    </Empty>
                </div>
            </Page>
        );
    }
    const go = () => (mode === "sql" ? query() : ask());
    const keys = (event: KeyboardEvent) => {
        const step = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
        const at = before.indexOf(question);
        // As in a shell: what one asked before comes back, as long as nothing else is typed.
        if (step !== 0 && !event.shiftKey && (at >= 0 || question === "")) {
            if (at + step < before.length) {
                event.preventDefault();
                setQuestion(before[at + step] ?? "");
            }
            return;
        }
        if (event.key === "Enter" && !event.shiftKey) {
            event.preventDefault();
            void go();
        } else if (event.key === "Escape") running?.cancel();
    };
    return (
        <Page
            title="Ask"
            actions={
                <div className="segments" role="group" aria-label="Ask in">
                    <button type="button" aria-pressed={mode === "words"} onClick={() => setMode("words")}>
                        <MessageSquareText size={14} />
                        Words
                    </button>
                    <button type="button" aria-pressed={mode === "sql"} onClick={() => setMode("sql")}>
                        <SquareTerminal size={14} />
                        SQL
                    </button>
                </div>
            }
        >
            <div className="stack tight">
                <div className="composer">
                    {mode === "words" && follows && (
                        <div className="row apart small" style={{ padding: "10px 14px 0", flexWrap: "nowrap" }}>
                            <span className="break">
                                <span className="soft">Following up on</span> <b>{follows.question}</b>
                            </span>
                            <Button
                                small
                                kind="quiet"
                                icon={<X size={14} />}
                                aria-label="Ask something else"
                                onClick={() => {
                                    setFollows(undefined);
                                    box.current?.focus();
                                }}
                            />
                        </div>
                    )}
                    {mode === "words" ? (
                        <textarea
                            ref={box}
                            aria-label="Question"
                            placeholder={
                                follows ? "Only last year, by month, top 10…" : "How many orders per region in 2025?"
                            }
                            rows={2}
                            value={question}
                            onChange={(event) => setQuestion(event.target.value)}
                            onKeyDown={keys}
                            autoFocus
                        />
                    ) : (
                        <Suspense
                            fallback={
                                <div style={{ padding: 16 }}>
                                    <Skeleton lines={2} />
                                </div>
                            }
                        >
                            <Editor value={sql} onValue={setSql} onRun={go} completions={completions} label="SQL" />
                        </Suspense>
                    )}
                    <div className="foot">
                        <div className="chips grow" role="group" aria-label="Sources">
                            {sources.isPending && <span className="skeleton" style={{ width: 180, height: 26 }} />}
                            {all.map((source) => {
                                const isOn = selected.includes(source.id);
                                return (
                                    <button
                                        type="button"
                                        key={source.id}
                                        className="chip"
                                        aria-pressed={isOn}
                                        onClick={() =>
                                            setChosen(
                                                isOn
                                                    ? selected.filter((id) => id !== source.id)
                                                    : [...selected, source.id],
                                            )
                                        }
                                    >
                                        <Database size={13} aria-hidden />
                                        {source.name}
                                    </button>
                                );
                            })}
                        </div>
                        {mode === "words" && planners.length > 1 && (
                            <Filter
                                label="Model"
                                value={planner ?? ""}
                                onValue={(name) => setWanted(name || undefined)}
                                options={[
                                    ["", "Automatic"],
                                    ...planners.map(
                                        (name) => [name, name === EMBEDDED ? "Built-in rules" : name] as const,
                                    ),
                                ]}
                            />
                        )}
                        {mode === "sql" && (
                            <Check label="Plan only" checked={dry} onChange={(event) => setDry(event.target.checked)} />
                        )}
                        {running ? (
                            <Button busy>{mode === "sql" ? "Running" : "Asking"}</Button>
                        ) : (
                            <Button
                                kind="primary"
                                icon={<CornerDownLeft size={15} />}
                                disabled={sources.data !== undefined && selected.length === 0}
                                onClick={() => go()}
                                title={mode === "sql" ? "Ctrl Enter" : "Enter"}
                            >
                                {mode === "sql" ? "Run" : "Ask"}
                            </Button>
                        )}
                    </div>
                </div>
                {mode === "words" && answers.length === 0 && !running && (saved.data?.items.length ?? 0) > 0 && (
                    <div className="chips" role="group" aria-label="Recently saved">
                        {saved.data?.items.slice(0, 3).map((each) => (
                            <Link
                                className="chip"
                                key={each.id}
                                to="/questions/$id"
                                params={{ id: String(each.id) }}
                                search={{ ask: "again" }}
                            >
                                <History size={13} aria-hidden />
                                {each.name ?? each.prompt_text}
                            </Link>
                        ))}
                    </div>
                )}
                {mode === "words" && answers.length === 0 && !running && suggestions.length > 0 && (
                    <div className="chips" role="group" aria-label="Suggestions">
                        {suggestions.map((text) => (
                            <button type="button" className="chip" key={text} onClick={() => askNext(text)}>
                                {text}
                            </button>
                        ))}
                    </div>
                )}
            </div>
            {running && (running.isSql ? <RunningQuery running={running} /> : <RunningQuestion running={running} />)}
            {sources.error && <Problem error={sources.error} retry={() => sources.refetch()} />}
            {error !== undefined && (
                <Suspense>
                    <NotAnswered
                        error={error}
                        onChoice={clarify}
                        onQuestion={(text) => askNext(text)}
                        retry={() => go()}
                    />
                </Suspense>
            )}
            <div className="stack" aria-live="polite">
                <Suspense fallback={<Skeleton lines={6} />}>
                    {answers.map((answer) => (
                        <AnswerCard
                            key={answer.id}
                            answer={answer}
                            onSql={(text) => {
                                setSql(text);
                                setMode("sql");
                                setChosen(answer.sources);
                                scrollTo({ top: 0 });
                            }}
                            onQuestion={(text) => askNext(text, answer.sources)}
                            onGoOn={() => {
                                setMode("words");
                                setQuestion("");
                                setFollows(answer);
                                scrollTo({ top: 0 });
                                box.current?.focus();
                            }}
                        />
                    ))}
                </Suspense>
            </div>
        </Page>
    );
}

/** SQL on its way: its stage, as the record of the run has it. */
function RunningQuery({ running }: { running: Running }) {
    const run = useQuery({
        queryKey: ["running", running.since],
        enabled: useSeconds(running.since) >= 1,
        refetchInterval: 2000,
        staleTime: 0,
        queryFn: () => read(api.GET("/api/v1/queries", { params: { query: { status: "running", page_size: 1 } } })),
    });
    const stage = run.data?.items[0]?.stage;
    const first = stage === "waiting" ? "Waiting for a free slot" : "Applying policies";
    return (
        <RunningCard running={running}>
            <Stages of={[first, "Reading data"]} at={stage === "reading" ? 1 : 0} />
        </RunningCard>
    );
}

/** Questions that these tables can answer, from their own columns. */
function suggest(
    tables: { table_name: string; columns?: { column_name: string; column_type: string }[] | null }[],
): string[] {
    const plain = (name: string) => name.replaceAll("_", " ");
    return tables
        .slice(0, 4)
        .flatMap((table) => {
            const columns = table.columns ?? [];
            const category = columns.find((column) =>
                /region|country|category|status|segment|type|city|state|channel/i.test(column.column_name),
            );
            const date = columns.find(
                (column) => /date|time/i.test(column.column_type) || /_(at|on|date)$/.test(column.column_name),
            );
            const amount = columns.find(
                (column) =>
                    /amount|total|price|revenue|salary/i.test(column.column_name) && !/id$/.test(column.column_name),
            );
            return [
                category
                    ? `How many ${plain(table.table_name)} per ${plain(category.column_name)}?`
                    : `How many ${plain(table.table_name)} are there?`,
                ...(amount && category
                    ? [`Average ${plain(amount.column_name)} per ${plain(category.column_name)}`]
                    : []),
                ...(date ? [`Number of ${plain(table.table_name)} per month`] : []),
            ];
        })
        .slice(0, 6);
}
