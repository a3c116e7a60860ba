// What the pages of templates share: the values of their places, the choice of sources.

import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { type Schemas, api, read } from "../../api/client";
import { useSources } from "../../choices";
import { SelectField, TextField } from "../../ui/basics";
import { Chips } from "../../ui/chips";

export type Template = Schemas["PromptTemplate"];
export type Parameter = Schemas["TemplateParameter"];
export type Type = Schemas["ParameterType"];

export const isShared = (template: { status: string; is_public: boolean }) =>
    template.status === "published" && template.is_public;

export function useTemplate(id: number, enabled = true) {
    return useQuery({
        queryKey: ["template", id],
        enabled,
        queryFn: () =>
            read(api.GET("/api/v1/prompt-templates/{template_id}", { params: { path: { template_id: id } } })),
    });
}

/** The template that the address names. */
export function useTemplateHere() {
    const { id } = useParams({ strict: false }) as { id: string };
    return useTemplate(Number(id));
}

/** What templates are filed under: without a page asked for, one answer has the first thousand. */
export function useCategories(): string[] {
    const all = useQuery({
        queryKey: ["templates", "all"],
        queryFn: () => read(api.GET("/api/v1/prompt-templates", { params: { query: {} } })),
    });
    return [...new Set((all.data?.items ?? []).map((template) => template.category))].sort();
}

export const Crumbs = () => (
    <>
        <Link to="/questions">Questions</Link>
        <span aria-hidden>/</span>
        <Link to="/questions/templates">Templates</Link>
    </>
);

export function Value({
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
export function valueOf(type: Type | undefined, text: string): string | number | boolean | undefined {
    if (text.trim() === "") return undefined;
    if (type === "integer" || type === "number") return Number(text);
    return type === "boolean" ? text === "true" : text;
}

export const textOf = (parameter: Parameter) => (parameter.default == null ? "" : String(parameter.default));

export function SourceChips({
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
        <Chips
            label="Sources"
            query={sources}
            items={(data) => data.items.filter((source) => !among || among.includes(source.id))}
            none="There is no source you can query."
            chosen={chosen}
            onChosen={onChosen}
            error={error}
        />
    );
}

/** A place for a value, as the server reads it. */
export const PLACE = /\{\{\s*([A-Za-z_]\w{0,62})\s*\}\}/g;
