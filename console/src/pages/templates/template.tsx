// One template: a form with a field for each place, and what its question answers.

import { Link, useNavigate } from "@tanstack/react-router";
import { CornerDownLeft } from "lucide-react";
import { useState } from "react";
import { ApiError, api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionForm } from "../../ui/action";
import { Button, Check, Page } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { type Answer, AnswerCard } from "../answer";
import { NotAnswered } from "../not-answered";
import { RunningQuestion, answered, useRun } from "../running";
import { Icon } from "./icon";
import { Crumbs, PLACE, SourceChips, type Template, Value, textOf, useTemplateHere, valueOf } from "./pieces";

export function TemplatePage() {
    const may = useMay();
    const template = useTemplateHere();
    return (
        <Page
            title={template.data?.name ?? "Template"}
            lead={template.data?.description}
            crumbs={<Crumbs />}
            actions={
                template.data && (
                    <>
                        <Icon of={template.data} />
                        {may("prompt.write") && (
                            <Link
                                className="button"
                                to="/questions/templates/$id/edit"
                                params={{ id: String(template.data.id) }}
                            >
                                Edit
                            </Link>
                        )}
                    </>
                )
            }
        >
            <Loaded query={template}>{(data) => <Filling key={data.updated_at} template={data} />}</Loaded>
        </Page>
    );
}

/** The form of a template's values, and what they answer. */
function Filling({ template }: { template: Template }) {
    const may = useMay();
    const navigate = useNavigate();
    const [texts, setTexts] = useState<Record<string, string>>(
        Object.fromEntries(template.parameters.map((parameter) => [parameter.name, textOf(parameter)])),
    );
    const [sources, setSources] = useState(template.compatible_data_source_ids);
    const [isKept, setIsKept] = useState(false);
    const [answers, setAnswers] = useState<Answer[]>([]);
    const { running, error, start, clarify } = useRun((answer) =>
        setAnswers((before) => [answer, ...before].slice(0, 5)),
    );
    const faults = error instanceof ApiError ? error : undefined;
    const question = template.template_text.replace(PLACE, (place, name: string) => texts[name] || place);
    const run = async () => {
        const values = Object.entries(texts).flatMap(([name, text]) => {
            const value = valueOf(template.parameters.find((each) => each.name === name)?.type, text);
            return value === undefined ? [] : [[name, value] as const];
        });
        await start(question, async (signal, onStep) => {
            const begun = read(
                api.POST("/api/v1/prompt-templates/{template_id}/execute", {
                    params: { path: { template_id: template.id }, header: { prefer: "respond-async" } },
                    body: {
                        parameters: Object.fromEntries(values) as never,
                        selected_data_source_ids: sources,
                        save_prompt: isKept || undefined,
                    },
                }),
            );
            return answered(begun, question, sources, signal, onStep);
        });
    };
    return (
        <>
            <ActionForm
                className="card pad stack"
                action={{ start: run, busy: running !== undefined, error: undefined }}
            >
                <p className="break">
                    {template.template_text.split(PLACE).map((part, index) =>
                        // Between the texts stand the names of the places.
                        index % 2 === 0 ? part : <b key={index}>{texts[part] || `{{${part}}}`}</b>,
                    )}
                </p>
                <div className="form-grid">
                    {template.parameters.map((parameter) => (
                        <Value
                            key={parameter.name}
                            parameter={parameter}
                            value={texts[parameter.name] ?? ""}
                            onValue={(text) => setTexts({ ...texts, [parameter.name]: text })}
                            error={faults?.of(`parameters.${parameter.name}`)}
                        />
                    ))}
                </div>
                <SourceChips among={template.compatible_data_source_ids} chosen={sources} onChosen={setSources} />
                <div className="row apart">
                    {may("prompt.write") ? (
                        <Check
                            label="Save as a question"
                            checked={isKept}
                            onChange={(event) => setIsKept(event.target.checked)}
                        />
                    ) : (
                        <span />
                    )}
                    <Button
                        kind="primary"
                        type="submit"
                        icon={<CornerDownLeft size={15} />}
                        busy={running !== undefined}
                        disabled={sources.length === 0}
                    >
                        Ask
                    </Button>
                </div>
            </ActionForm>
            {running && <RunningQuestion running={running} />}
            {error !== undefined && <NotAnswered error={error} onChoice={clarify} />}
            {answers.map((answer) => (
                <AnswerCard
                    key={answer.id}
                    answer={answer}
                    canSave={false}
                    onSql={(sql) => void navigate({ to: "/ask", search: { sql, sources: answer.sources.join(",") } })}
                    onQuestion={(q) => void navigate({ to: "/ask", search: { q, sources: answer.sources.join(",") } })}
                />
            ))}
        </>
    );
}
