// The words of a workspace, and what they mean in its questions.

import { useQuery } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Card, Empty, TextField, When } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { QuestionsPart } from "./part";

type Term = Schemas["GlossaryTerm"];

export function Words() {
    const glossary = useQuery({
        queryKey: ["glossary"],
        queryFn: () => read(api.GET("/api/v1/prompts/glossary")),
    });
    return (
        <QuestionsPart lead="Your own terms, and what they mean in this workspace's questions.">
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
        done: "Saved. It applies from the next question.",
        changes: [["glossary"]],
        inline: true,
        onDone: () => setTouched(false),
    });
    if (!may("prompt.write"))
        return rows.length === 0 ? (
            <div className="card">
                <Empty title="No terms yet" />
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
        <ActionForm
            action={save}
            submit="Save"
            disabled={!touched}
            touched={touched}
            beside={
                <>
                    {updated && (
                        <span className="small soft grow">
                            Changed <When at={updated} />
                        </span>
                    )}
                    <Button icon={<Plus size={15} />} onClick={() => change([...rows, { term: "", means: "" }])}>
                        Add term
                    </Button>
                </>
            }
        >
            <Card flush>
                {rows.length === 0 ? (
                    <Empty title="No terms yet">
                        Explain that clients are customers, or that revenue is the total amount of paid orders.
                    </Empty>
                ) : (
                    <ul className="list">
                        {rows.map((row, index) => (
                            <li key={index} className="term">
                                <TextField
                                    label="Term"
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
                                    aria-label={`Remove ${row.term || "this term"}`}
                                    onClick={() => change(rows.toSpliced(index, 1))}
                                />
                            </li>
                        ))}
                    </ul>
                )}
            </Card>
        </ActionForm>
    );
}
