// Writing a template. Its parameters are the places in its text.

import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, Field, Page, SelectField, TextField } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { TagsField, tagsOf } from "../about-answer";
import { IconField } from "./icon";
import {
    Crumbs,
    PLACE,
    type Parameter,
    SourceChips,
    type Template,
    type Type,
    Value,
    isShared,
    textOf,
    useCategories,
    useTemplateHere,
    valueOf,
} from "./pieces";

const TYPES = [
    ["string", "Text"],
    ["integer", "Whole number"],
    ["number", "Number"],
    ["boolean", "Yes or no"],
    ["date", "Date"],
] as const;

export function NewTemplate() {
    return (
        <Page title="New template" crumbs={<Crumbs />} narrow>
            <Writing />
        </Page>
    );
}

export function EditTemplate() {
    const template = useTemplateHere();
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
    const categories = useCategories();
    const [tags, setTags] = useState(template?.tags.join(", ") ?? "");
    const [icon, setIcon] = useState(template?.icon_url ?? undefined);
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
                          body: { ...body, description: description || null, icon_url: icon ?? null },
                      })
                    : api.POST("/api/v1/prompt-templates", {
                          body: { ...body, description: description || undefined, icon_url: icon },
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
        <ActionForm
            action={save}
            submit="Save"
            beside={
                <Link className="button" to="/questions/templates">
                    Cancel
                </Link>
            }
            touched={touched}
            what="The template is"
            onChange={() => setTouched(true)}
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
                                label="Optional"
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
                        list="categories"
                        value={category}
                        onValue={setCategory}
                        error={save.of("category")}
                    />
                    <datalist id="categories">
                        {categories.map((each) => (
                            <option key={each} value={each} />
                        ))}
                    </datalist>
                    <TextField
                        label="Description (optional)"
                        value={description}
                        onValue={setDescription}
                        error={save.of("description")}
                    />
                    <TagsField value={tags} onValue={setTags} error={save.of("tags")} />
                    <div className="span">
                        <IconField
                            value={icon}
                            onValue={(next) => {
                                setIcon(next);
                                setTouched(true);
                            }}
                            isShared={isPublic}
                            error={save.of("icon_url")}
                        />
                    </div>
                    <div className="span">
                        <Check
                            label="Share with everyone in the organization"
                            hint="Until then only its author can use it."
                            checked={isPublic}
                            onChange={(event) => setIsPublic(event.target.checked)}
                        />
                    </div>
                </div>
            </Card>
        </ActionForm>
    );
}
