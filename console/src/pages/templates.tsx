// Templates: questions with places for values, each with a type; run by a form that has a field for each.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { CornerDownLeft, MoreHorizontal, Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { ApiError, type Schemas, api, read } from "../api/client";
import { useSources } from "../choices";
import { queries } from "../queries";
import { follow } from "../run";
import { useMay } from "../standing";
import { useAction } from "../ui/action";
import {
    Badge,
    Button,
    Card,
    Check,
    Empty,
    Field,
    Page,
    Problem,
    SelectField,
    Status,
    TextField,
    When,
    count,
} from "../ui/basics";
import { ActionMenu, Confirm } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { Unsaved } from "../ui/unsaved";
import { TagsField, tagsOf } from "./about-answer";
import { type Answer, AnswerCard } from "./answer";
import { QuestionsPart } from "./questions";
import { RunningQuestion, answerOf, useRun } from "./running";

type Template = Schemas["PromptTemplate"];
type Parameter = Schemas["TemplateParameter"];
type Type = Schemas["ParameterType"];

const TYPES = [
    ["string", "Text"],
    ["integer", "Whole number"],
    ["number", "Number"],
    ["boolean", "Yes or no"],
    ["date", "Date"],
] as const;

export function Templates() {
    const may = useMay();
    const navigate = useNavigate();
    const [deleting, setDeleting] = useState<Template>();
    const one = (id: number) => ({ params: { path: { template_id: id } } });
    const publish = useAction(
        (template: Template) =>
            read(
                api.PATCH("/api/v1/prompt-templates/{template_id}", {
                    ...one(template.id),
                    body: isShared(template)
                        ? { status: "draft", is_public: false }
                        : { status: "published", is_public: true },
                }),
            ),
        {
            done: (template) => (isShared(template) ? "Everybody may use it now." : "It is yours alone now."),
            changes: [["templates"]],
        },
    );
    const make = may("prompt.write") && (
        <Link className="button primary" to="/questions/templates/new">
            <Plus size={16} />
            New template
        </Link>
    );
    return (
        <QuestionsPart lead="Questions with places for values." actions={make}>
            <List
                name="Templates"
                of={["templates"]}
                search="Search templates"
                load={async ({ size, skip, search }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompt-templates", { params: { query: { search: search || undefined } } }),
                    );
                    // They come all at once; there are few.
                    return { items: answer.items.slice(skip, skip + size), total: answer.items.length };
                }}
                id={(template) => template.id}
                columns={[
                    {
                        head: "Template",
                        className: "break",
                        cell: (template) => (
                            <div style={{ minWidth: 180 }}>
                                <Link
                                    className="strong"
                                    to="/questions/templates/$id"
                                    params={{ id: String(template.id) }}
                                >
                                    {template.name}
                                </Link>
                                <div className="small soft">{template.template_text}</div>
                            </div>
                        ),
                    },
                    {
                        head: "Category",
                        cell: (template) => <Badge>{template.category}</Badge>,
                    },
                    {
                        head: "State",
                        cell: (template) => <Status value={isShared(template) ? "published" : "draft"} />,
                    },
                    { head: "Runs", cell: (template) => count(template.usage_count), numeric: true },
                    { head: "Changed", cell: (template) => <When at={template.updated_at} /> },
                    may("prompt.write") && {
                        head: "",
                        cell: (template) => (
                            <ActionMenu
                                label={`More for ${template.name}`}
                                choices={[
                                    {
                                        label: "Edit",
                                        run: () =>
                                            void navigate({
                                                to: "/questions/templates/$id/edit",
                                                params: { id: String(template.id) },
                                            }),
                                    },
                                    {
                                        label: isShared(template) ? "Keep it to its author" : "Publish",
                                        run: () => void publish.start(template),
                                    },
                                    { label: "Delete…", danger: true, run: () => setDeleting(template) },
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={
                    <Empty title="No templates" actions={make}>
                        Write a question once, and ask it with other values each time.
                    </Empty>
                }
            />
            {deleting && (
                <Confirm
                    title={`Delete ${deleting.name}?`}
                    action="Delete"
                    onClose={() => setDeleting(undefined)}
                    onConfirm={async () => {
                        await read(api.DELETE("/api/v1/prompt-templates/{template_id}", one(deleting.id)));
                        await queries.invalidateQueries({ queryKey: ["templates"] });
                    }}
                >
                    <p>It cannot be restored.</p>
                </Confirm>
            )}
        </QuestionsPart>
    );
}

const isShared = (template: { status: string; is_public: boolean }) =>
    template.status === "published" && template.is_public;

function useTemplate() {
    const { id } = useParams({ strict: false }) as { id: string };
    return useQuery({
        queryKey: ["template", Number(id)],
        queryFn: () =>
            read(api.GET("/api/v1/prompt-templates/{template_id}", { params: { path: { template_id: Number(id) } } })),
    });
}

export function TemplatePage() {
    const may = useMay();
    const template = useTemplate();
    return (
        <Page
            title={template.data?.name ?? "Template"}
            lead={template.data?.description}
            crumbs={<Crumbs />}
            actions={
                template.data &&
                may("prompt.write") && (
                    <Link
                        className="button"
                        to="/questions/templates/$id/edit"
                        params={{ id: String(template.data.id) }}
                    >
                        Edit
                    </Link>
                )
            }
        >
            <Loaded query={template}>{(data) => <Filling key={data.updated_at} template={data} />}</Loaded>
        </Page>
    );
}

const Crumbs = () => (
    <>
        <Link to="/questions">Questions</Link>
        <span aria-hidden>/</span>
        <Link to="/questions/templates">Templates</Link>
    </>
);

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
    const { running, error, start } = useRun((answer) => setAnswers((before) => [answer, ...before].slice(0, 5)));
    const faults = error instanceof ApiError ? error : undefined;
    const question = template.template_text.replace(PLACE, (place, name: string) => texts[name] || place);
    const run = (event?: FormEvent) => {
        event?.preventDefault();
        const values = Object.entries(texts).flatMap(([name, text]) => {
            const value = valueOf(template.parameters.find((each) => each.name === name)?.type, text);
            return value === undefined ? [] : [[name, value] as const];
        });
        void start(question, async (signal, onStep) => {
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
            return answerOf(await follow(begun, signal, onStep), question, sources);
        });
    };
    return (
        <>
            <form className="card pad stack" onSubmit={run}>
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
                            label="Save the question"
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
            </form>
            {running && <RunningQuestion running={running} />}
            {error !== undefined && <Problem error={error} />}
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

function Value({
    parameter,
    value,
    onValue,
    error,
}: {
    parameter: Parameter;
    value: string;
    onValue: (value: string) => void;
    error?: string;
}) {
    const isRequired = parameter.required !== false && parameter.default == null;
    const common = {
        label: `${parameter.name.replaceAll("_", " ")}${isRequired ? "" : " (optional)"}`,
        hint: parameter.description ?? undefined,
        error,
        required: isRequired,
        value,
        onValue,
    };
    if (parameter.type === "boolean")
        return (
            <SelectField
                {...common}
                options={[
                    ["", "—"],
                    ["true", "Yes"],
                    ["false", "No"],
                ]}
            />
        );
    const isNumber = parameter.type === "integer" || parameter.type === "number";
    return (
        <TextField
            {...common}
            type={isNumber ? "number" : parameter.type === "date" ? "date" : "text"}
            step={parameter.type === "number" ? "any" : undefined}
        />
    );
}

/** A value as the API takes it; undefined where nothing is written. */
function valueOf(type: Type | undefined, text: string): string | number | boolean | undefined {
    if (text.trim() === "") return undefined;
    if (type === "integer" || type === "number") return Number(text);
    return type === "boolean" ? text === "true" : text;
}

const textOf = (parameter: Parameter) => (parameter.default == null ? "" : String(parameter.default));

function SourceChips({
    among,
    chosen,
    onChosen,
    error,
}: {
    /** Without it, all that one may see. */
    among?: number[];
    chosen: number[];
    onChosen: (chosen: number[]) => void;
    error?: string;
}) {
    const sources = useSources();
    return (
        <div className="field">
            <span className="label">Sources</span>
            <div className="chips" role="group" aria-label="Sources">
                {(sources.data?.items ?? [])
                    .filter((source) => !among || among.includes(source.id))
                    .map((source) => (
                        <button
                            type="button"
                            key={source.id}
                            className="chip"
                            aria-pressed={chosen.includes(source.id)}
                            onClick={() =>
                                onChosen(
                                    chosen.includes(source.id)
                                        ? chosen.filter((id) => id !== source.id)
                                        : [...chosen, source.id],
                                )
                            }
                        >
                            {source.name}
                        </button>
                    ))}
            </div>
            {error && (
                <span className="wrong" role="alert">
                    {error}
                </span>
            )}
        </div>
    );
}

/** A place for a value, as the server reads it. */
const PLACE = /\{\{\s*([A-Za-z_]\w{0,62})\s*\}\}/g;

export function NewTemplate() {
    return (
        <Page title="New template" crumbs={<Crumbs />} narrow>
            <Writing />
        </Page>
    );
}

export function EditTemplate() {
    const template = useTemplate();
    return (
        <Page title={template.data?.name ?? "Template"} crumbs={<Crumbs />} narrow>
            <Loaded query={template}>{(data) => <Writing key={data.updated_at} template={data} />}</Loaded>
        </Page>
    );
}

/** The form of a template. Its parameters are the places in its text, each as it was described last. */
function Writing({ template }: { template?: Template }) {
    const navigate = useNavigate();
    const [name, setName] = useState(template?.name ?? "");
    const [description, setDescription] = useState(template?.description ?? "");
    const [category, setCategory] = useState(template?.category ?? "General");
    const [tags, setTags] = useState(template?.tags.join(", ") ?? "");
    const [text, setText] = useState(template?.template_text ?? "");
    const [described, setDescribed] = useState<Record<string, Parameter>>(
        Object.fromEntries((template?.parameters ?? []).map((parameter) => [parameter.name, parameter])),
    );
    const [defaults, setDefaults] = useState<Record<string, string>>(
        Object.fromEntries((template?.parameters ?? []).map((parameter) => [parameter.name, textOf(parameter)])),
    );
    const [sources, setSources] = useState(template?.compatible_data_source_ids ?? []);
    const [isPublic, setIsPublic] = useState(template !== undefined && isShared(template));
    const [touched, setTouched] = useState(false);
    const places = [...new Set([...text.matchAll(PLACE)].map((match) => match[1] ?? ""))];
    const save = useAction(
        () => {
            const body = {
                name,
                category,
                template_text: text,
                compatible_data_source_ids: sources,
                tags: tagsOf(tags),
                status: isPublic ? ("published" as const) : ("draft" as const),
                is_public: isPublic,
                parameters: places.map((place) => {
                    const parameter = described[place];
                    return {
                        name: place,
                        type: parameter?.type ?? "string",
                        required: parameter?.required ?? true,
                        description: parameter?.description || undefined,
                        default: valueOf(parameter?.type, defaults[place] ?? "") as never,
                    };
                }),
            };
            return read(
                template
                    ? api.PATCH("/api/v1/prompt-templates/{template_id}", {
                          params: { path: { template_id: template.id } },
                          body: { ...body, description: description || null },
                      })
                    : api.POST("/api/v1/prompt-templates", {
                          body: { ...body, description: description || undefined },
                      }),
            );
        },
        {
            done: "Saved.",
            changes: [["templates"], ["template"]],
            inline: true,
            onDone: (saved) => {
                setTouched(false);
                // After this, so that nothing asks whether to leave what is saved.
                setTimeout(() => void navigate({ to: "/questions/templates/$id", params: { id: String(saved.id) } }));
            },
        },
    );
    const describe = (place: string, change: Partial<Parameter>) =>
        setDescribed({ ...described, [place]: { name: place, ...described[place], ...change } });
    return (
        <form
            className="stack"
            onChange={() => setTouched(true)}
            onSubmit={(event) => {
                event.preventDefault();
                void save.start(undefined);
            }}
        >
            <Card>
                <div className="stack">
                    <Field
                        label="Question"
                        hint={
                            <>
                                Write <code>{"{{region}}"}</code> where a value goes.
                            </>
                        }
                        error={save.of("template_text")}
                    >
                        {(props) => (
                            <textarea
                                {...props}
                                required
                                autoFocus
                                placeholder="How many orders with region {{region}}?"
                                value={text}
                                onChange={(event) => setText(event.target.value)}
                            />
                        )}
                    </Field>
                    <SourceChips
                        chosen={sources}
                        onChosen={(next) => {
                            setSources(next);
                            setTouched(true);
                        }}
                        error={save.of("compatible_data_source_ids")}
                    />
                </div>
            </Card>
            {places.map((place, index) => (
                <Card
                    key={place}
                    title={
                        <>
                            <code>{`{{${place}}}`}</code>
                        </>
                    }
                >
                    <div className="form-grid">
                        <SelectField
                            label="Type"
                            value={described[place]?.type ?? "string"}
                            onValue={(type) => describe(place, { type: type as Type })}
                            options={TYPES}
                        />
                        <Value
                            parameter={{
                                ...described[place],
                                name: "Default",
                                required: false,
                                description: undefined,
                            }}
                            value={defaults[place] ?? ""}
                            onValue={(value) => setDefaults({ ...defaults, [place]: value })}
                            error={save.of(`parameters[${index}].default`)}
                        />
                        <div className="span">
                            <Check
                                label="It may be left out"
                                checked={described[place]?.required === false}
                                onChange={(event) => describe(place, { required: !event.target.checked })}
                            />
                        </div>
                        <TextField
                            span
                            label="Description (optional)"
                            value={described[place]?.description ?? ""}
                            onValue={(value) => describe(place, { description: value })}
                            error={save.of(`parameters[${index}].description`)}
                        />
                    </div>
                </Card>
            ))}
            <Card>
                <div className="form-grid">
                    <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} />
                    <TextField
                        label="Category"
                        required
                        value={category}
                        onValue={setCategory}
                        error={save.of("category")}
                    />
                    <TextField
                        label="Description (optional)"
                        value={description}
                        onValue={setDescription}
                        error={save.of("description")}
                    />
                    <TagsField value={tags} onValue={setTags} error={save.of("tags")} />
                    <div className="span">
                        <Check
                            label="Everybody in the organization may use it"
                            hint="Until then it is its author's."
                            checked={isPublic}
                            onChange={(event) => setIsPublic(event.target.checked)}
                        />
                    </div>
                </div>
            </Card>
            {save.error !== undefined && <Problem error={save.error} />}
            <Unsaved touched={touched} busy={save.busy} what="This template is" />
            <div className="form-end">
                <Link className="button" to="/questions/templates">
                    Cancel
                </Link>
                <Button kind="primary" type="submit" busy={save.busy}>
                    Save
                </Button>
            </div>
        </form>
    );
}
