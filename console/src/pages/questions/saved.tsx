// The saved questions: found, renamed, deleted and restored.

import { Link, useNavigate } from "@tanstack/react-router";
import { MoreHorizontal } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Empty, Filter, Status, When } from "../../ui/basics";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { Clear, Rename, type Saved, Tags, changes, useRemove } from "./keeping";
import { QuestionsPart, SourceNames } from "./part";

export function SavedQuestions() {
    const may = useMay();
    const navigate = useNavigate();
    const [state, setState] = useState("");
    const [editing, setEditing] = useState<Saved>();
    const [clearing, setClearing] = useState(false);
    const remove = useRemove();
    const restore = useAction(
        (id: number) => read(api.POST("/api/v1/prompts/{prompt_id}/restore", { params: { path: { prompt_id: id } } })),
        { done: "Restored.", changes },
    );
    const isDeleted = state === "deleted";
    return (
        <QuestionsPart
            lead="Questions worth asking again. Each runs under the policies of whoever asks."
            actions={
                <ActionMenu
                    label="More"
                    choices={[{ label: "Delete my questions…", danger: true, run: () => setClearing(true) }]}
                >
                    <MoreHorizontal size={16} />
                </ActionMenu>
            }
        >
            <List
                name="Saved questions"
                of={["prompts", state]}
                search="Search questions"
                sort="created_at"
                order="desc"
                filters={
                    <Filter
                        label="Status"
                        value={state}
                        onValue={setState}
                        options={[
                            ["", "Current"],
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
                    { head: "Status", sort: "status", cell: (question) => <Status value={question.status} /> },
                    { head: "Saved", sort: "created_at", cell: (question) => <When at={question.created_at} /> },
                    {
                        head: "",
                        cell: (question) =>
                            isDeleted ? (
                                <ActionButton small action={restore} on={question.id}>
                                    Restore
                                </ActionButton>
                            ) : (
                                <ActionMenu
                                    label={`More for ${question.name ?? question.prompt_text}`}
                                    busy={remove.isBusyWith(question.id)}
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
                        <Empty title="No deleted questions" />
                    ) : (
                        <Empty
                            title="No saved questions yet"
                            actions={
                                <Link className="button primary" to="/ask">
                                    Ask a question
                                </Link>
                            }
                        >
                            Ask something and save it: it will be here whenever you need it again.
                        </Empty>
                    )
                }
            />
            {clearing && <Clear onClose={() => setClearing(false)} />}
            {editing && <Rename question={editing} onClose={() => setEditing(undefined)} />}
        </QuestionsPart>
    );
}
