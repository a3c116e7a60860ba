// What can be asked and said of an answer: why something is hidden, what would have been right, and that it is kept.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { useMay } from "../standing";
import { ActionButton, ActionForm, useAction } from "../ui/action";
import { Button, Field, Note, Problem, SelectField, Skeleton, TextField, words } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { Loaded } from "../ui/loaded";

export function Wrong({
    sql,
    give,
    onClose,
}: {
    sql: string;
    give: {
        start: (feedback: Schemas["FeedbackRequest"]) => Promise<unknown>;
        busy: boolean;
        error: unknown;
        of: (field: string) => string | undefined;
    };
    onClose: () => void;
}) {
    const [corrected, setCorrected] = useState(sql);
    const [comment, setComment] = useState("");
    const touched = corrected !== sql || comment !== "";
    return (
        <Dialog title="What would be right?" wide touched={touched} onClose={onClose}>
            <ActionForm
                action={give}
                on={{
                    verdict: "wrong",
                    corrected_query_text: corrected.trim() && corrected !== sql ? corrected : undefined,
                    comment: comment.trim() || undefined,
                }}
                submit="Send feedback"
                onCancel={onClose}
                touched={touched}
                what="Your feedback is"
            >
                <Field
                    label="SQL"
                    hint="Correct it if you can. It must run under your own policies."
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
                    label="What is wrong? (optional)"
                    maxLength={1000}
                    value={comment}
                    onValue={setComment}
                    error={give.of("comment")}
                />
            </ActionForm>
        </Dialog>
    );
}

/** Keeps a question under a name. The server keeps what it runs, so it runs once more. */
export function Save({
    execution,
    onSaved,
    onClose,
}: {
    execution: number;
    onSaved: (prompt: number, isToBeScheduled: boolean) => void;
    onClose: () => void;
}) {
    const may = useMay();
    const [name, setName] = useState("");
    const [tags, setTags] = useState("");
    const touched = name !== "" || tags !== "";
    const keep = useAction(
        async (isToBeScheduled: boolean) => {
            const saved = await read(
                api.POST("/api/v1/prompts/executions/{execution_id}/save", {
                    params: { path: { execution_id: execution } },
                    body: { name, tags: tagsOf(tags) },
                }),
            );
            return { id: saved.id, isToBeScheduled };
        },
        {
            done: "Saved to Questions.",
            changes: [["prompts"]],
            inline: true,
            onDone: ({ id, isToBeScheduled }) => {
                onClose();
                onSaved(id, isToBeScheduled);
            },
        },
    );
    return (
        <Dialog title="Save this question" touched={touched} onClose={onClose}>
            <ActionForm
                action={keep}
                on={false}
                submit="Save"
                onCancel={onClose}
                touched={touched}
                what="The question is"
                beside={
                    may("prompt.execute") &&
                    may("datasource.query") && (
                        <ActionButton action={keep} on={true} disabled={name.trim() === ""}>
                            Save and schedule…
                        </ActionButton>
                    )
                }
            >
                <TextField label="Name" required value={name} onValue={setName} autoFocus error={keep.of("name")} />
                <TagsField value={tags} onValue={setTags} error={keep.of("tags")} />
            </ActionForm>
        </Dialog>
    );
}

export const tagsOf = (text: string) =>
    text
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean);

export function TagsField(props: { value: string; onValue: (value: string) => void; error?: string }) {
    return <TextField label="Tags (optional)" hint="Separate with commas." {...props} />;
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
            {tables.data && tables.data.length > 0 ? (
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
                <Loaded query={tables}>{() => null}</Loaded>
            )}
            {tables.error ? null : tables.data?.length === 0 ? (
                <Note>You have no access to any table here.</Note>
            ) : answer.error ? (
                <Problem error={answer.error} retry={() => answer.refetch()} />
            ) : !answer.data ? (
                <Skeleton lines={2} />
            ) : effects.length === 0 ? (
                <Note tone="good">
                    {answer.data.visible
                        ? "Nothing is hidden from you here."
                        : "You cannot see this. Ask whoever manages your policies."}
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
