// One saved question: asked again under one's own policies, with its schedules, its runs and its numbers.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MoreHorizontal, RotateCw } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { api, read } from "../../api/client";
import { queries } from "../../queries";
import { useMay } from "../../standing";
import { Button, Empty, Page, Problem, Status, When, count } from "../../ui/basics";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { type Answer, AnswerCard } from "../answer";
import { NotAnswered } from "../not-answered";
import { RunningQuestion, answered, useRun } from "../running";
import { Rename, Tags, useRemove } from "./keeping";
import { Figure, SourceNames } from "./part";
import { SchedulesOf } from "./schedules";
import { Versions } from "./versions";

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
    const { running, error, start, clarify } = useRun(setAnswer);
    const data = question.data;
    const again = () => {
        if (!data) return;
        const header = { prefer: "respond-async" };
        void start(data.prompt_text, (signal, onStep) =>
            answered(
                read(api.POST("/api/v1/prompts/{prompt_id}/execute", { params: { path, header } })),
                data.prompt_text,
                data.selected_data_source_ids,
                signal,
                onStep,
            ),
        );
    };
    // Whoever comes to ask it again does not ask twice.
    const { ask } = useSearch({ strict: false }) as { ask?: string };
    const asked = useRef(false);
    useEffect(() => {
        if (ask === undefined || !data || asked.current) return;
        asked.current = true;
        void navigate({
            to: "/questions/$id",
            params: { id: written },
            search: ({ ask: _, ...others }) => others,
            replace: true,
        });
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
                                busy={remove.busy}
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
                        {error !== undefined && <NotAnswered error={error} onChoice={clarify} retry={again} />}
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
                                <div
                                    className="columns"
                                    style={{ gridTemplateColumns: "repeat(auto-fit, minmax(140px, 1fr))" }}
                                >
                                    <Figure of="Runs" value={count(each.execution_count)} />
                                    <Figure of="Success rate" value={`${Math.round(each.success_rate * 100)}%`} />
                                    <Figure
                                        of="Average duration"
                                        value={`${each.avg_total_duration_ms.toLocaleString()} ms`}
                                    />
                                </div>
                            )}
                        </Loaded>
                        <SchedulesOf question={loaded} />
                        <h2>Runs</h2>
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
                                { head: "Who", cell: (run) => run.user_name || "Former member" },
                                { head: "Status", cell: (run) => <Status value={run.status} /> },
                                { head: "Rows", cell: (run) => count(run.rows_returned), numeric: true },
                                {
                                    head: "Duration",
                                    cell: (run) =>
                                        run.total_duration_ms == null
                                            ? "—"
                                            : `${run.total_duration_ms.toLocaleString()} ms`,
                                    numeric: true,
                                },
                                { head: "When", cell: (run) => <When at={run.started_at} /> },
                            ]}
                            empty={<Empty title="No runs yet" />}
                        />
                        <h2>Versions</h2>
                        <Versions id={id} latest={loaded.updated_at} />
                    </>
                )}
            </Loaded>
            {editing && data && <Rename question={data} onClose={() => setEditing(false)} />}
        </Page>
    );
}
