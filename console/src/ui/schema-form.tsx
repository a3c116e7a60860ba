// A form made from a JSON Schema, as each kind of source describes itself with one.

import { type ReactNode, useState } from "react";
import { Check, Field, PasswordField, SelectField, TextField } from "./basics";

export type JsonSchema = {
    type?: string;
    title?: string;
    description?: string;
    default?: unknown;
    enum?: string[];
    properties?: Record<string, JsonSchema>;
    required?: string[];
    anyOf?: { required?: string[] }[];
    minimum?: number;
    maximum?: number;
    maxLength?: number;
    writeOnly?: boolean;
    items?: JsonSchema;
};
export type Values = Record<string, unknown>;
type Entry = { path: string[]; schema: JsonSchema };

/** The fields of the schema with their paths, objects opened up. */
function entries(schema: JsonSchema, path: string[] = []): Entry[] {
    return Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
        property.properties ? entries(property, [...path, name]) : [{ path: [...path, name], schema: property }],
    );
}

const read = (values: Values, path: string[]): unknown =>
    path.reduce<unknown>((value, name) => (value as Values | undefined)?.[name], values);

export function write(values: Values, [name = "", ...rest]: string[], value: unknown): Values {
    if (rest.length > 0) return { ...values, [name]: write((values[name] as Values | undefined) ?? {}, rest, value) };
    const { [name]: _, ...others } = values;
    return value === undefined || value === "" ? others : { ...others, [name]: value };
}

/** The fields that one cannot do without come first; the others stand behind a line. */
export function SchemaForm({
    schema,
    required,
    values,
    onValues,
    error,
    special = {},
}: {
    schema: JsonSchema;
    /** Paths with dots, as the kind of source lists them. */
    required: string[];
    values: Values;
    onValues: (values: Values) => void;
    error: (path: string) => string | undefined;
    /** Fields that the page makes itself. */
    special?: Record<
        string,
        (props: { value: unknown; onValue: (value: unknown) => void; error?: string }) => ReactNode
    >;
}) {
    const [more, setMore] = useState(false);
    const all = entries(schema);
    const isFirst = ({ path }: Entry) =>
        required.includes(path.join(".")) ||
        ["connection_string", "credentials"].includes(path[0] ?? "") ||
        path.at(-1) === "table" ||
        path.at(-1) === "bucket" ||
        path.at(-1) === "url";
    const first = all.filter(isFirst);
    const others = all.filter((entry) => !isFirst(entry));
    const field = ({ path, schema: property }: Entry) => {
        const key = path.join(".");
        const props = {
            value: read(values, path),
            onValue: (value: unknown) => onValues(write(values, path, value)),
            error: error(key),
        };
        return (
            <div
                key={key}
                className={
                    special[key] ||
                    (property.maxLength === undefined &&
                        /certificate|key|string/.test(key) &&
                        property.type === "string")
                        ? "span"
                        : ""
                }
            >
                {special[key]?.(props) ?? (
                    <Control schema={property} name={key} required={required.includes(key)} {...props} />
                )}
            </div>
        );
    };
    return (
        <div className="stack">
            <div className="form-grid">{first.map(field)}</div>
            {others.length > 0 && (
                <details open={more} onToggle={(event) => setMore(event.currentTarget.open)}>
                    <summary style={{ padding: "6px 0", fontWeight: 560 }}>More settings</summary>
                    <div className="form-grid" style={{ marginTop: 10 }}>
                        {others.map(field)}
                    </div>
                </details>
            )}
        </div>
    );
}

function Control({
    schema,
    name,
    value,
    onValue,
    error,
    required,
}: {
    schema: JsonSchema;
    name: string;
    value: unknown;
    onValue: (value: unknown) => void;
    error?: string;
    required: boolean;
}) {
    const label = `${schema.title ?? name}${required ? "" : " (optional)"}`;
    const common = { label, hint: schema.description, error };
    if (schema.enum)
        return (
            <SelectField
                {...common}
                value={String(value ?? schema.default ?? "")}
                onValue={onValue}
                options={[
                    ...(schema.default === undefined ? [["", "—"] as const] : []),
                    ...schema.enum.map((each) => [each, each] as const),
                ]}
            />
        );
    if (schema.type === "boolean")
        return (
            <Check
                label={schema.title ?? name}
                hint={schema.description}
                checked={Boolean(value ?? schema.default)}
                onChange={(event) => onValue(event.target.checked)}
            />
        );
    if (schema.type === "integer" || schema.type === "number")
        return (
            <TextField
                {...common}
                type="number"
                inputMode="numeric"
                min={schema.minimum}
                max={schema.maximum}
                placeholder={schema.default === undefined ? undefined : String(schema.default)}
                value={value === undefined ? "" : String(value)}
                onValue={(text) => onValue(text === "" ? undefined : Number(text))}
            />
        );
    if (schema.type === "array" || schema.type === "object")
        return <JsonField {...common} value={value} onValue={onValue} isList={schema.type === "array"} />;
    if (/certificate|private_key|service_account|pem/.test(name))
        return (
            <Field {...common}>
                {(props) => (
                    <textarea
                        {...props}
                        className="mono"
                        spellCheck={false}
                        value={String(value ?? "")}
                        onChange={(event) => onValue(event.target.value)}
                    />
                )}
            </Field>
        );
    const Line = schema.writeOnly ? PasswordField : TextField;
    return (
        <Line
            {...common}
            autoComplete="off"
            spellCheck={false}
            placeholder={schema.default === undefined ? undefined : String(schema.default)}
            value={String(value ?? "")}
            onValue={onValue}
        />
    );
}

/** What has no field of its own is written as JSON; lists of words line by line. */
function JsonField({
    value,
    onValue,
    isList,
    ...common
}: {
    label: string;
    hint?: string;
    error?: string;
    value: unknown;
    onValue: (value: unknown) => void;
    isList: boolean;
}) {
    const [text, setText] = useState(
        value === undefined
            ? ""
            : isList && Array.isArray(value) && value.every((each) => typeof each === "string")
              ? value.join("\n")
              : JSON.stringify(value, null, 2),
    );
    const [wrong, setWrong] = useState<string>();
    const change = (next: string) => {
        setText(next);
        setWrong(undefined);
        if (next.trim() === "") return onValue(undefined);
        try {
            onValue(JSON.parse(next));
        } catch {
            if (isList)
                onValue(
                    next
                        .split("\n")
                        .map((line) => line.trim())
                        .filter(Boolean),
                );
            else setWrong("Not valid JSON yet.");
        }
    };
    return (
        <Field {...common} hint={common.hint ?? (isList ? "One per line." : "As JSON.")} error={common.error ?? wrong}>
            {(props) => (
                <textarea
                    {...props}
                    className="mono"
                    spellCheck={false}
                    value={text}
                    onChange={(event) => change(event.target.value)}
                />
            )}
        </Field>
    );
}
