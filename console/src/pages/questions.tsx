// What is kept of the questions: the saved ones, the words of the workspace, and answers that somebody has confirmed.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MoreHorizontal, Plus, RotateCw, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { useSources } from "../choices";
import { queries } from "../queries";
import { follow } from "../run";
import { useMay } from "../standing";
import { useAction } from "../ui/action";
import { Badge, Button, Card, Empty, Filter, Page, Problem, Status, TextField, When, count } from "../ui/basics";
import { ActionMenu, Confirm, Dialog } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { Unsaved } from "../ui/unsaved";
import { TagsField, tagsOf } from "./about-answer";
import { type Answer, AnswerCard } from "./answer";
import { RunningQuestion, answerOf, useRun } from "./running";

/** The parts of this place, each with an address. */
export function QuestionsPart({
    lead,
    actions,
    children,
}: {
    lead?: string;
    actions?: ReactNode;
    children: ReactNode;
}) {
    const may = useMay();
    return (
        <Page title="Questions" lead={lead} actions={actions}>
            <nav className="tabs" aria-label="Parts">
                {[
                    ["/questions", "Saved"],
                    ["/questions/templates", "Templates"],
                    ["/questions/words", "Words"],
                    may("prompt.write") && ["/questions/verified", "Verified answers"],
                ].map(
                    (part) =>
                        part && (
                            <Link
                                key={part[0]}
                                to={part[0]}
                                activeOptions={{ exact: true }}
                                activeProps={{ className: "active", "aria-current": "page" }}
                            >
                                {part[1]}
                            </Link>
                        ),
                )}
            </nav>
            {children}
        </Page>
    );
}

export function SourceNames({ ids }: { ids: number[] }) {
    const sources = useSources();
    return (
        <span className="row">
            {ids.map((id) => (
                <Badge key={id}>{sources.data?.items.find((source) => source.id === id)?.name ?? `Source ${id}`}</Badge>
            ))}
        </span>
    );
}

const Tags = ({ of }: { of: string[] }) =>
    of.map((tag) => (
        <Badge key={tag} tone="accent">
            {tag}
        </Badge>
    ));

type Saved = { id: number; name?: string | null; prompt_text: string; tags: string[] };
const changes = [["prompts"], ["prompt"]];

export function SavedQuestions() {
    const may = useMay();
    const navigate = useNavigate();
    const [state, setState] = useState("");
    const [editing, setEditing] = useState<Saved>();
    const remove = useRemove();
    const restore = useAction(
        (id: number) => read(api.POST("/api/v1/prompts/{prompt_id}/restore", { params: { path: { prompt_id: id } } })),
        { done: "Restored.", changes },
    );
    const isDeleted = state === "deleted";
    return (
        <QuestionsPart lead="Asked again, each runs under the policies of whoever asks.">
            <List
                name="Saved questions"
                of={["prompts", state]}
                search="Search questions"
                sort="created_at"
                order="desc"
                filters={
                    <Filter
                        label="State"
                        value={state}
                        onValue={setState}
                        options={[
                            ["", "Kept"],
                            ["deleted", "Deleted"],
                        ]}
                    />
                }
                load={async ({ page, size, search, sort, order }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompts", {
                            params: {
                                query: {
                                    page,
                                    page_size: size,
                                    search: search || undefined,
                                    deleted: isDeleted || undefined,
                                    sort_by: sort as "name",
                                    sort_order: order,
                                },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(question) => question.id}
                columns={[
                    {
                        head: "Question",
                        sort: "name",
                        className: "break",
                        cell: (question) => (
                            <div style={{ minWidth: 180 }}>
                                {isDeleted ? (
                                    <b className="strong">{question.name ?? question.prompt_text}</b>
                                ) : (
                                    <Link className="strong" to="/questions/$id" params={{ id: String(question.id) }}>
                                        {question.name ?? question.prompt_text}
                                    </Link>
                                )}
                                {question.name && <div className="small soft">{question.prompt_text}</div>}
                            </div>
                        ),
                    },
                    {
                        head: "Tags",
                        cell: (question) => (
                            <span className="row">
                                <Tags of={question.tags} />
                            </span>
                        ),
                    },
                    { head: "Sources", cell: (question) => <SourceNames ids={question.selected_data_source_ids} /> },
                    { head: "State", sort: "status", cell: (question) => <Status value={question.status} /> },
                    { head: "Saved", sort: "created_at", cell: (question) => <When at={question.created_at} /> },
                    {
                        head: "",
                        cell: (question) =>
                            isDeleted ? (
                                <Button small disabled={restore.busy} onClick={() => restore.start(question.id)}>
                                    Restore
                                </Button>
                            ) : (
                                <ActionMenu
                                    label={`More for ${question.name ?? question.prompt_text}`}
                                    choices={[
                                        may("prompt.execute") && {
                                            label: "Ask again",
                                            run: () =>
                                                void navigate({
                                                    to: "/questions/$id",
                                                    params: { id: String(question.id) },
                                                    search: { ask: "again" },
                                                }),
                                        },
                                        may("prompt.write") && {
                                            label: "Name and tags…",
                                            run: () => setEditing(question),
                                        },
                                        may("prompt.write") && {
                                            label: "Delete",
                                            danger: true,
                                            run: () => void remove.start(question.id),
                                        },
                                    ]}
                                >
                                    <MoreHorizontal size={16} />
                                </ActionMenu>
                            ),
                    },
                ]}
                empty={
                    isDeleted ? (
                        <Empty title="Nothing is deleted" />
                    ) : (
                        <Empty
                            title="No saved questions"
                            actions={
                                <Link className="button primary" to="/ask">
                                    Ask something
                                </Link>
                            }
                        >
                            Save an answer, and its question stands here to be asked again.
                        </Empty>
                    )
                }
            />
            {editing && <Rename question={editing} onClose={() => setEditing(undefined)} />}
        </QuestionsPart>
    );
}

function useRemove(onDone?: () => void) {
    return useAction(
        (id: number) => read(api.DELETE("/api/v1/prompts/{prompt_id}", { params: { path: { prompt_id: id } } })),
        { done: "Deleted. It can be restored from the list.", changes: [["prompts"]], onDone },
    );
}

function Rename({ question, onClose }: { question: Saved; onClose: () => void }) {
    const [name, setName] = useState(question.name ?? "");
    const [tags, setTags] = useState(question.tags.join(", "));
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/prompts/{prompt_id}", {
                    params: { path: { prompt_id: question.id } },
                    body: { name: name.trim() || null, tags: tagsOf(tags) },
                }),
            ),
        { done: "Saved.", changes, inline: true, onDone: onClose },
    );
    return (
        <Dialog title="Name and tags" onClose={onClose}>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void save.start(undefined);
                }}
            >
                <TextField label="Name" value={name} onValue={setName} autoFocus error={save.of("name")} />
                <TagsField value={tags} onValue={setTags} error={save.of("tags")} />
                {save.error !== undefined && <Problem error={save.error} />}
                <div className="form-end">
                    <Button onClick={onClose}>Cancel</Button>
                    <Button kind="primary" type="submit" busy={save.busy}>
                        Save
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}

export function SavedQuestion() {
    const { id: written } = useParams({ strict: false }) as { id: string };
    const id = Number(written);
    const path = { prompt_id: id };
    const may = useMay();
    const navigate = useNavigate();
    const [editing, setEditing] = useState(false);
    const [answer, setAnswer] = useState<Answer>();
    const question = useQuery({
        queryKey: ["prompt", id],
        queryFn: () => read(api.GET("/api/v1/prompts/{prompt_id}", { params: { path } })),
    });
    const numbers = useQuery({
        queryKey: ["prompt", id, "numbers", answer?.id],
        queryFn: () => read(api.GET("/api/v1/prompts/{prompt_id}/analytics", { params: { path } })),
    });
    const remove = useRemove(() => {
        // The list that was known still has it.
        queries.removeQueries({ queryKey: ["prompts"] });
        void navigate({ to: "/questions" });
    });
    const { running, error, start } = useRun(setAnswer);
    const data = question.data;
    const again = () => {
        if (!data) return;
        const header = { prefer: "respond-async" };
        void start(data.prompt_text, async (signal, onStep) =>
            answerOf(
                await follow(
                    read(api.POST("/api/v1/prompts/{prompt_id}/execute", { params: { path, header } })),
                    signal,
                    onStep,
                ),
                data.prompt_text,
                data.selected_data_source_ids,
            ),
        );
    };
    // Whoever comes to ask it again does not ask twice.
    const { ask } = useSearch({ strict: false }) as { ask?: string };
    const asked = useRef(false);
    useEffect(() => {
        if (ask === undefined || !data || asked.current) return;
        asked.current = true;
        again();
    });
    return (
        <Page
            title={data?.name ?? data?.prompt_text ?? "Question"}
            lead={data?.name ? data.prompt_text : undefined}
            crumbs={<Link to="/questions">Questions</Link>}
            actions={
                data && (
                    <>
                        {may("prompt.write") && (
                            <ActionMenu
                                label="More"
                                choices={[
                                    { label: "Name and tags…", run: () => setEditing(true) },
                                    { label: "Delete", danger: true, run: () => void remove.start(id) },
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        )}
                        {may("prompt.execute") && (
                            <Button
                                kind="primary"
                                icon={<RotateCw size={15} />}
                                busy={running !== undefined}
                                onClick={again}
                            >
                                Ask again
                            </Button>
                        )}
                    </>
                )
            }
        >
            <Loaded query={question}>
                {(loaded) => (
                    <>
                        <div className="row">
                            <Tags of={loaded.tags} />
                            <SourceNames ids={loaded.selected_data_source_ids} />
                        </div>
                        {running && <RunningQuestion running={running} />}
                        {error !== undefined && <Problem error={error} retry={again} />}
                        {answer && (
                            <AnswerCard
                                key={answer.id}
                                answer={answer}
                                onSql={(sql) =>
                                    void navigate({ to: "/ask", search: { sql, sources: answer.sources.join(",") } })
                                }
                                onQuestion={(q) =>
                                    void navigate({ to: "/ask", search: { q, sources: answer.sources.join(",") } })
                                }
                            />
                        )}
                        {!answer && loaded.generated_query && (
                            <pre className="code-block">{loaded.generated_query.query_text}</pre>
                        )}
                        {!answer && loaded.error_message && <Problem error={new Error(loaded.error_message)} />}
                        <Loaded query={numbers} lines={1}>
                            {(each) => (
                                <div className="columns">
                                    <Figure of="Runs" value={count(each.execution_count)} />
                                    <Figure of="Answered" value={`${Math.round(each.success_rate * 100)} %`} />
                                    <Figure
                                        of="Until the answer, on average"
                                        value={`${each.avg_total_duration_ms.toLocaleString()} ms`}
                                    />
                                </div>
                            )}
                        </Loaded>
                        <List
                            name="Runs"
                            of={["prompt", id, "runs", answer?.id]}
                            size={10}
                            load={async ({ page, size }) => {
                                const runs = await read(
                                    api.GET("/api/v1/prompts/{prompt_id}/executions", {
                                        params: { path, query: { page, page_size: size } },
                                    }),
                                );
                                return { items: runs.items, total: runs.pagination.total_items };
                            }}
                            id={(run) => run.id}
                            columns={[
                                { head: "Who", cell: (run) => run.user_name || "Somebody who has left" },
                                { head: "State", cell: (run) => <Status value={run.status} /> },
                                { head: "Rows", cell: (run) => count(run.rows_returned), numeric: true },
                                {
                                    head: "Took",
                                    cell: (run) =>
                                        run.total_duration_ms == null
                                            ? "—"
                                            : `${run.total_duration_ms.toLocaleString()} ms`,
                                    numeric: true,
                                },
                                { head: "When", cell: (run) => <When at={run.started_at} /> },
                            ]}
                            empty={<Empty title="It did not run yet" />}
                        />
                    </>
                )}
            </Loaded>
            {editing && data && <Rename question={data} onClose={() => setEditing(false)} />}
        </Page>
    );
}

const Figure = ({ of, value }: { of: string; value: string }) => (
    <div className="card stat">
        <b>{value}</b>
        <span>{of}</span>
    </div>
);

type Term = Schemas["GlossaryTerm"];

export function Words() {
    const glossary = useQuery({
        queryKey: ["glossary"],
        queryFn: () => read(api.GET("/api/v1/prompts/glossary")),
    });
    return (
        <QuestionsPart lead="What your words mean in this workspace. They hold in every question that is asked here.">
            <Loaded query={glossary}>
                {(loaded) => <Glossary key={loaded.updated_at} terms={loaded.terms} updated={loaded.updated_at} />}
            </Loaded>
        </QuestionsPart>
    );
}

function Glossary({ terms, updated }: { terms: Term[]; updated?: string | null }) {
    const may = useMay();
    const [rows, setRows] = useState(terms);
    const [touched, setTouched] = useState(false);
    const change = (next: Term[]) => {
        setRows(next);
        setTouched(true);
    };
    const save = useAction(() => read(api.PUT("/api/v1/prompts/glossary", { body: { terms: rows } })), {
        done: "Saved; it holds from the next question on.",
        changes: [["glossary"]],
        inline: true,
        onDone: () => setTouched(false),
    });
    if (!may("prompt.write"))
        return rows.length === 0 ? (
            <div className="card">
                <Empty title="No words of your own" />
            </div>
        ) : (
            <Card flush>
                <ul className="list">
                    {rows.map((row) => (
                        <li key={row.term}>
                            <b className="strong">{row.term}</b>
                            <span className="soft">means</span>
                            <span className="grow break">{row.means}</span>
                        </li>
                    ))}
                </ul>
            </Card>
        );
    return (
        <form
            className="stack"
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <Card flush>
                {rows.length === 0 ? (
                    <Empty title="No words of your own">
                        Say that clients are customers, or that revenue is the total amount of paid orders.
                    </Empty>
                ) : (
                    <ul className="list">
                        {rows.map((row, index) => (
                            <li key={index} className="term">
                                <TextField
                                    label="Word"
                                    required
                                    placeholder="revenue"
                                    autoFocus={touched && row.term === "" && index === rows.length - 1}
                                    value={row.term}
                                    onValue={(term) => change(rows.with(index, { ...row, term }))}
                                    error={save.of(`terms[${index}].term`)}
                                />
                                <TextField
                                    label="Means"
                                    required
                                    placeholder="total amount of orders with status paid"
                                    value={row.means}
                                    onValue={(means) => change(rows.with(index, { ...row, means }))}
                                    error={save.of(`terms[${index}].means`)}
                                />
                                <Button
                                    kind="quiet"
                                    icon={<X size={16} />}
                                    aria-label={`Remove ${row.term || "this word"}`}
                                    onClick={() => change(rows.toSpliced(index, 1))}
                                />
                            </li>
                        ))}
                    </ul>
                )}
            </Card>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} />
            <div className="row apart">
                <span className="small soft">
                    {updated && (
                        <>
                            Changed <When at={updated} />
                        </>
                    )}
                </span>
                <span className="row">
                    <Button icon={<Plus size={15} />} onClick={() => change([...rows, { term: "", means: "" }])}>
                        Add a word
                    </Button>
                    <Button kind="primary" type="submit" busy={save.busy} disabled={!touched}>
                        Save
                    </Button>
                </span>
            </div>
        </form>
    );
}

export function VerifiedAnswers() {
    const [status, setStatus] = useState("candidate");
    const [deleting, setDeleting] = useState<Schemas["VerifiedPair"]>();
    const one = (id: number) => ({ params: { path: { verified_pair_id: id } } });
    const confirm = useAction(
        (id: number) => read(api.POST("/api/v1/prompts/verified-pairs/{verified_pair_id}/verify", one(id))),
        { done: "Confirmed. The question takes this SQL from now on.", changes: [["pairs"]] },
    );
    const remove = (id: number) => read(api.DELETE("/api/v1/prompts/verified-pairs/{verified_pair_id}", one(id)));
    const reject = useAction(remove, { done: "Rejected.", changes: [["pairs"]] });
    return (
        <QuestionsPart lead="Once confirmed, the same question over the same sources takes this SQL, under the policies of whoever asks.">
            <List
                name="Verified answers"
                of={["pairs", status]}
                filters={
                    <Filter
                        label="State"
                        value={status}
                        onValue={setStatus}
                        options={[
                            ["candidate", "To be confirmed"],
                            ["verified", "Verified"],
                        ]}
                    />
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompts/verified-pairs", {
                            params: { query: { page, page_size: size, status: status as "candidate" } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(pair) => pair.id}
                columns={[
                    {
                        head: "Question and SQL",
                        cell: (pair) => (
                            <div className="stack tight" style={{ minWidth: 260 }}>
                                <b className="strong break">{pair.question}</b>
                                <pre className="code-block">{pair.query_text}</pre>
                                <div className="row apart">
                                    <SourceNames ids={pair.data_source_ids} />
                                    {pair.status === "candidate" ? (
                                        <span className="row">
                                            <Button small disabled={reject.busy} onClick={() => reject.start(pair.id)}>
                                                Reject
                                            </Button>
                                            <Button
                                                small
                                                kind="primary"
                                                disabled={confirm.busy}
                                                onClick={() => confirm.start(pair.id)}
                                            >
                                                Confirm
                                            </Button>
                                        </span>
                                    ) : (
                                        <Button small kind="danger" onClick={() => setDeleting(pair)}>
                                            Delete…
                                        </Button>
                                    )}
                                </div>
                            </div>
                        ),
                    },
                    {
                        head: status === "verified" ? "Confirmed" : "Since",
                        cell: (pair) => <When at={pair.verified_at ?? pair.created_at} />,
                    },
                ]}
                empty={
                    <Empty title={status === "candidate" ? "Nothing waits to be confirmed" : "Nothing is verified yet"}>
                        Whoever says of an answer that it was right, or what would have been, makes a candidate.
                    </Empty>
                }
            />
            {deleting && (
                <Confirm
                    title="Delete this verified answer?"
                    action="Delete"
                    onClose={() => setDeleting(undefined)}
                    onConfirm={async () => {
                        await remove(deleting.id);
                        await queries.invalidateQueries({ queryKey: ["pairs"] });
                    }}
                >
                    <p>“{deleting.question}” is planned anew from then on.</p>
                </Confirm>
            )}
        </QuestionsPart>
    );
}
