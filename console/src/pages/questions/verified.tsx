// Questions with SQL that somebody has confirmed, and those that wait for it.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Button, Empty, Filter, When } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { List } from "../../ui/list";
import { QuestionsPart, SourceNames } from "./part";

export function VerifiedAnswers() {
    const [status, setStatus] = useState("candidate");
    const [deleting, setDeleting] = useState<Schemas["VerifiedPair"]>();
    const one = (id: number) => ({ params: { path: { verified_pair_id: id } } });
    const confirm = useAction(
        (id: number) => read(api.POST("/api/v1/prompts/verified-pairs/{verified_pair_id}/verify", one(id))),
        { done: "Confirmed. The question uses this SQL from now on.", changes: [["pairs"]] },
    );
    const remove = (id: number) => read(api.DELETE("/api/v1/prompts/verified-pairs/{verified_pair_id}", one(id)));
    const reject = useAction(remove, { done: "Rejected.", changes: [["pairs"]] });
    return (
        <QuestionsPart lead="Questions with SQL that someone confirmed. Asked again over the same sources, they use it.">
            <List
                name="Verified answers"
                of={["pairs", status]}
                filters={
                    <Filter
                        label="Status"
                        value={status}
                        onValue={setStatus}
                        options={[
                            ["candidate", "To review"],
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
                                <b className="strong break">
                                    {pair.question ?? "A question about data you cannot see"}
                                </b>
                                <pre className="code-block">{pair.query_text}</pre>
                                <div className="row apart">
                                    <SourceNames ids={pair.data_source_ids} />
                                    {pair.status === "candidate" ? (
                                        <span className="row">
                                            <ActionButton small action={reject} on={pair.id}>
                                                Reject
                                            </ActionButton>
                                            <ActionButton small kind="primary" action={confirm} on={pair.id}>
                                                Confirm
                                            </ActionButton>
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
                    <Empty title={status === "candidate" ? "Nothing to review" : "No verified answers yet"}>
                        When someone marks an answer as right or corrects it, it waits here for review.
                    </Empty>
                }
            />
            {deleting && (
                <Deletion
                    of="this verified answer"
                    run={() => remove(deleting.id)}
                    changes={[["pairs"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>{deleting.question ? `“${deleting.question}”` : "This question"} will be planned afresh.</p>
                </Deletion>
            )}
        </QuestionsPart>
    );
}
