// The rules of a policy, each with the fields of its kind; and the check of them while they are typed.

import { Plus, Trash2 } from "lucide-react";
import { useId } from "react";
import type { Schemas } from "../api/client";
import { Button, Card, Check, Field, SelectField, TextField } from "../ui/basics";
import { type PolicyType, TYPES } from "./policies";

export type Rule = {
    rule_name: string;
    rule_type: Schemas["RuleType"];
    rule_config: Record<string, unknown>;
    is_active?: boolean;
};
export type Table = { name: string; columns: { name: string; type: string }[] };

export const emptyRule = (type: PolicyType): Rule => ({
    rule_name: "",
    rule_type: TYPES[type].rule,
    rule_config: type === "data_masking" ? { masking_function: "redact" } : {},
});

/** Masks, the strictest first, with the options that each takes. */
const MASKS: Record<
    string,
    { text: string; options: [name: string, label: string, kind: "text" | "number", example: string][] }
> = {
    null_value: { text: "NULL", options: [] },
    redact: { text: "[REDACTED]", options: [] },
    constant: { text: "A fixed value", options: [["value", "Value", "text", "hidden"]] },
    hash: { text: "A hash (equal values stay equal)", options: [] },
    tokenize: { text: "A token (can be revealed with permission)", options: [] },
    partial: {
        text: "First and last characters",
        options: [
            ["keep_first", "First characters kept", "number", "0"],
            ["keep_last", "Last characters kept", "number", "4"],
            ["fill", "Fill character", "text", "*"],
        ],
    },
    card: {
        text: "First and last digits of a card number",
        options: [
            ["keep_first", "First digits kept", "number", "0"],
            ["keep_last", "Last digits kept", "number", "4"],
        ],
    },
    email: { text: "First letter and domain of an e-mail address", options: [] },
    regex_replace: {
        text: "Pattern replaced",
        options: [
            ["pattern", "Pattern", "text", "[0-9]"],
            ["replacement", "Replacement", "text", "***"],
        ],
    },
    bucket: { text: "Numeric range", options: [["size", "Range size", "number", "10"]] },
    truncate_date: { text: "Start of a period", options: [["unit", "Period", "text", "month"]] },
    round_number: { text: "Rounded number", options: [["to", "Round to a multiple of", "number", "1000"]] },
    expression: {
        text: "Custom expression",
        options: [["expression", "Expression", "text", "left(phone, 3) || '…'"]],
    },
};

const NAMES = [
    "current_user_id",
    "current_user_email",
    "current_user_roles",
    "current_date",
    "current_hour",
    "current_ip",
];

export function Rules({
    type,
    rules,
    onRules,
    tables,
    problem,
}: {
    type: PolicyType;
    rules: Rule[];
    onRules: (rules: Rule[]) => void;
    tables: Table[];
    /** What is wrong with a field of a rule, by its path. */
    problem: (path: string) => string | undefined;
}) {
    const change = (index: number, part: Partial<Rule>) =>
        onRules(rules.map((rule, at) => (at === index ? { ...rule, ...part } : rule)));
    return (
        <div className="stack">
            {rules.map((rule, index) => (
                <Card
                    key={index}
                    title={rules.length > 1 ? `Rule ${index + 1}` : "Rule"}
                    actions={
                        rules.length > 1 && (
                            <Button
                                small
                                kind="quiet"
                                icon={<Trash2 size={14} />}
                                aria-label={`Remove rule ${index + 1}`}
                                onClick={() => onRules(rules.filter((_, at) => at !== index))}
                            />
                        )
                    }
                >
                    <OneRule
                        rule={rule}
                        type={type}
                        tables={tables}
                        onRule={(part) => change(index, part)}
                        problem={(field) =>
                            problem(`rules[${index}].${field}`) ?? problem(`rules.${index}.${field}`) ?? problem(field)
                        }
                    />
                </Card>
            ))}
            <div>
                <Button icon={<Plus size={15} />} onClick={() => onRules([...rules, emptyRule(type)])}>
                    Add rule
                </Button>
            </div>
        </div>
    );
}

function OneRule({
    rule,
    type,
    tables,
    onRule,
    problem,
}: {
    rule: Rule;
    type: PolicyType;
    tables: Table[];
    onRule: (part: Partial<Rule>) => void;
    problem: (field: string) => string | undefined;
}) {
    const id = useId();
    const config = rule.rule_config;
    const set = (name: string, value: unknown) => {
        const { [name]: _, ...others } = config;
        onRule({ rule_config: value === "" || value === undefined ? others : { ...others, [name]: value } });
    };
    const table = tables.find((each) => each.name.toLowerCase() === String(config.table ?? "").toLowerCase());
    const columns = table
        ? table.columns
        : [...new Map(tables.flatMap((each) => each.columns).map((column) => [column.name, column])).values()];
    const condition = String(config.condition ?? "");
    const mask = MASKS[String(config.masking_function ?? "redact")];
    const options = (config.options as Record<string, unknown> | undefined) ?? {};
    const tableField = (
        <Field label="Table" error={problem("rule_config.table")} hint="Leave empty for every table that matches.">
            {(props) => (
                <>
                    <input
                        type="text"
                        {...props}
                        list={`${id}-tables`}
                        value={String(config.table ?? "")}
                        onChange={(event) => set("table", event.target.value)}
                    />
                    <datalist id={`${id}-tables`}>
                        {tables.map((each) => (
                            <option key={each.name} value={each.name} />
                        ))}
                    </datalist>
                </>
            )}
        </Field>
    );
    return (
        <div className="form-grid">
            <TextField
                label="Rule name"
                required
                value={rule.rule_name}
                onValue={(rule_name) => onRule({ rule_name })}
                error={problem("rule_name")}
                placeholder={type === "row_level_security" ? "own region only" : ""}
            />
            {type !== "query_limit" && tableField}
            {type === "row_level_security" && (
                <div className="span stack tight">
                    <Field
                        label="Rows where"
                        error={problem("rule_config.condition") ?? problem("rule_config")}
                        hint="Columns on the left. Text, numbers or attributes of the person who asks on the right."
                    >
                        {(props) => (
                            <textarea
                                {...props}
                                className="mono"
                                spellCheck={false}
                                rows={3}
                                required
                                value={condition}
                                onChange={(event) => set("condition", event.target.value)}
                                placeholder="region = current_user_region AND status IN ('open', 'held')"
                            />
                        )}
                    </Field>
                    <div className="chips" role="group" aria-label="Insert">
                        {[...columns.slice(0, 14).map((column) => column.name), ...NAMES].map((name) => (
                            <button
                                type="button"
                                key={name}
                                className="chip mono"
                                style={{ fontSize: 12 }}
                                onClick={() =>
                                    set(
                                        "condition",
                                        `${condition}${condition && !/[\s(]$/.test(condition) ? " " : ""}${name}`,
                                    )
                                }
                            >
                                {name}
                            </button>
                        ))}
                    </div>
                </div>
            )}
            {type === "data_masking" && (
                <>
                    <Field
                        label={config.tag === undefined ? "Column" : "Tag"}
                        error={problem("rule_config.column") ?? problem("rule_config.tag")}
                    >
                        {(props) =>
                            config.tag === undefined ? (
                                <>
                                    <input
                                        type="text"
                                        {...props}
                                        list={`${id}-columns`}
                                        required
                                        value={String(config.column ?? "")}
                                        onChange={(event) => set("column", event.target.value)}
                                    />
                                    <datalist id={`${id}-columns`}>
                                        {columns.map((column) => (
                                            <option key={column.name} value={column.name}>
                                                {column.type}
                                            </option>
                                        ))}
                                    </datalist>
                                </>
                            ) : (
                                <input
                                    type="text"
                                    {...props}
                                    required
                                    placeholder="pii.*"
                                    value={String(config.tag)}
                                    onChange={(event) =>
                                        onRule({ rule_config: { ...config, tag: event.target.value } })
                                    }
                                />
                            )
                        }
                    </Field>
                    <SelectField
                        label="Masked as"
                        value={String(config.masking_function ?? "redact")}
                        onValue={(value) =>
                            onRule({ rule_config: { ...config, masking_function: value, options: undefined } })
                        }
                        options={Object.entries(MASKS).map(([key, value]) => [key, value.text] as const)}
                        error={problem("rule_config.masking_function")}
                    />
                    {mask?.options.map(([name, label, kind, example]) => (
                        <TextField
                            key={name}
                            label={label}
                            placeholder={example}
                            inputMode={kind === "number" ? "numeric" : undefined}
                            value={String(options[name] ?? "")}
                            error={problem(`rule_config.options.${name}`)}
                            onValue={(text) => {
                                const { [name]: _, ...others } = options;
                                set(
                                    "options",
                                    text === ""
                                        ? others
                                        : { ...others, [name]: kind === "number" ? Number(text) : text },
                                );
                            }}
                        />
                    ))}
                    <div className="span">
                        <Check
                            label="By tag, in all current and future tables"
                            checked={config.tag !== undefined}
                            onChange={(event) => {
                                const { tag: _, column: __, ...others } = config;
                                onRule({
                                    rule_config: event.target.checked
                                        ? { ...others, tag: "" }
                                        : { ...others, column: "" },
                                });
                            }}
                        />
                    </div>
                </>
            )}
            {type === "query_limit" &&
                (
                    [
                        ["max_rows", "Maximum rows"],
                        ["max_execution_seconds", "Maximum seconds"],
                        ["max_queries_per_hour", "Maximum queries per hour"],
                    ] as const
                ).map(([name, label]) => (
                    <TextField
                        key={name}
                        label={label}
                        type="number"
                        min={1}
                        value={String(config[name] ?? "")}
                        onValue={(text) => set(name, text === "" ? undefined : Number(text))}
                        error={problem(`rule_config.${name}`)}
                    />
                ))}
            {type === "access_control" && (
                <>
                    <SelectField
                        label="Effect"
                        value={rule.rule_type}
                        onValue={(value) => {
                            const { tag: _, ...others } = config;
                            onRule({ rule_type: value as Rule["rule_type"], rule_config: others });
                        }}
                        options={[
                            ["deny_access", "Deny"],
                            ["allow_access", "Allow only"],
                        ]}
                    />
                    <TextField
                        label="Columns"
                        hint="Separate with commas. Leave empty for all."
                        value={((config.columns as string[] | undefined) ?? []).join(", ")}
                        onValue={(text) =>
                            set("columns", text.trim() ? text.split(",").map((name) => name.trim()) : undefined)
                        }
                        error={problem("rule_config.columns")}
                    />
                    {rule.rule_type === "deny_access" && (
                        <TextField
                            label="Or by tag"
                            hint="Hides every column with this tag, in all current and future tables."
                            placeholder="pii.*"
                            value={String(config.tag ?? "")}
                            onValue={(text) => set("tag", text.trim() || undefined)}
                            error={problem("rule_config.tag")}
                        />
                    )}
                </>
            )}
        </div>
    );
}
