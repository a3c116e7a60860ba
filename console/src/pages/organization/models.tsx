// Whom the organization's questions are put to: planners in their order, where their models are, and what may be spent.

import { useQuery } from "@tanstack/react-query";
import { ArrowUp, Plus, X } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Card, Check, Empty, Note, PasswordField, SelectField, TextField, count } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";

type Kind = Schemas["PlannerKind"];
type Chosen = Schemas["OrganizationPlanner"];

const KINDS: readonly (readonly [Kind, string])[] = [
    ["anthropic", "Anthropic"],
    ["gemini", "Google Gemini"],
    ["chat", "OpenAI or compatible"],
    ["local", "Local model on this server"],
    ["embedded", "Built-in rules"],
];

export function Models() {
    const planners = useQuery({
        queryKey: ["planners"],
        queryFn: () => read(api.GET("/api/v1/prompts/planners")),
    });
    return <Loaded query={planners}>{(loaded) => <Planners loaded={loaded} />}</Loaded>;
}

/** A planner as it is typed. */
type Row = {
    kind: Kind;
    name: string;
    base_url: string;
    model: string;
    api_key: string;
    /** The name under which the server has a key, which stays where none is typed. */
    key_of?: string;
    timeout_seconds: string;
    share_values: boolean;
    monthly_tokens: string;
    spent: number;
};

const typed = (planner: Chosen): Row => ({
    kind: planner.kind,
    name: planner.name,
    base_url: planner.base_url ?? "",
    model: planner.model ?? "",
    api_key: "",
    key_of: planner.has_api_key ? planner.name : undefined,
    timeout_seconds: String(planner.timeout_seconds),
    share_values: planner.share_values,
    monthly_tokens: planner.monthly_tokens == null ? "" : String(planner.monthly_tokens),
    spent: planner.tokens_this_month,
});

const another: Row = {
    kind: "anthropic",
    name: "",
    base_url: "",
    model: "",
    api_key: "",
    timeout_seconds: "60",
    share_values: true,
    monthly_tokens: "",
    spent: 0,
};

const number = (text: string) => (text.trim() === "" ? undefined : Number(text));

/** What is empty is left out: the server has its own for it, and keeps a key. */
const sent = (row: Row): Schemas["PlannerRequest"] =>
    row.kind === "embedded"
        ? { kind: row.kind }
        : {
              kind: row.kind,
              name: row.name || undefined,
              ...(row.kind !== "local" && {
                  base_url: row.base_url || undefined,
                  model: row.model || undefined,
                  api_key: row.api_key || undefined,
              }),
              timeout_seconds: number(row.timeout_seconds),
              share_values: row.share_values,
              monthly_tokens: number(row.monthly_tokens),
          };

function Planners({ loaded }: { loaded: Schemas["OrganizationPlanners"] }) {
    const [rows, setRows] = useState(() => loaded.planners.map(typed));
    const [touched, setTouched] = useState(false);
    const change = (next: Row[]) => {
        setRows(next);
        setTouched(true);
    };
    const save = useAction(() => read(api.PUT("/api/v1/prompts/planners", { body: { planners: rows.map(sent) } })), {
        done: "Saved. It applies from the next question.",
        changes: [["planners"]],
        inline: true,
        onDone: (saved) => {
            setRows(saved.planners.map(typed));
            setTouched(false);
        },
    });
    if (!loaded.may_choose) return <Note>This server's default: {loaded.operators.join(", then ")}.</Note>;
    return (
        <ActionForm
            action={save}
            submit="Save"
            disabled={!touched}
            beside={
                <Button icon={<Plus size={15} />} onClick={() => change([...rows, another])}>
                    Add a model
                </Button>
            }
            touched={touched}
        >
            <p className="soft">
                Questions go to the first model, then to the next if it gives no answer. Hosted models receive questions
                and the names of tables and columns the person can see, never rows.
            </p>
            {rows.length === 0 && (
                <div className="card">
                    <Empty title="No models added">
                        Questions go to this server's default model: {loaded.operators.join(", then ")}.
                    </Empty>
                </div>
            )}
            {rows.map((row, index) => (
                <PlannerCard
                    key={index}
                    row={row}
                    hasLocal={loaded.has_local}
                    number={index + 1}
                    error={(name) => save.of(`planners[${index}].${name}`)}
                    onRow={(next) => change(rows.with(index, next))}
                    onUp={
                        index === 0
                            ? undefined
                            : () => change(rows.toSpliced(index - 1, 2, row, ...rows.slice(index - 1, index)))
                    }
                    onRemove={() => change(rows.toSpliced(index, 1))}
                />
            ))}
        </ActionForm>
    );
}

function PlannerCard({
    row,
    hasLocal,
    number,
    error,
    onRow,
    onUp,
    onRemove,
}: {
    row: Row;
    hasLocal: boolean;
    number: number;
    error: (name: string) => string | undefined;
    onRow: (row: Row) => void;
    onUp?: () => void;
    onRemove: () => void;
}) {
    const isLocal = row.kind === "local";
    const model = isLocal ? "local" : row.model;
    const name = row.kind === "embedded" ? "embedded" : row.name || model || "a model";
    return (
        <Card
            title={`${number}. ${name}`}
            actions={
                <>
                    {onUp && (
                        <Button
                            kind="quiet"
                            icon={<ArrowUp size={16} />}
                            aria-label={`Move ${name} up`}
                            onClick={onUp}
                        />
                    )}
                    <Button kind="quiet" icon={<X size={16} />} aria-label={`Remove ${name}`} onClick={onRemove} />
                </>
            }
        >
            <div className="form-grid">
                <SelectField
                    label="Provider"
                    span
                    options={KINDS.filter(([kind]) => kind !== "local" || hasLocal || isLocal)}
                    value={row.kind}
                    onValue={(kind) => onRow({ ...row, kind: kind as Kind })}
                    error={error("kind")}
                />
                {row.kind !== "embedded" && (
                    <>
                        {!isLocal && (
                            <TextField
                                label="Model"
                                required
                                placeholder="as the provider names it"
                                value={row.model}
                                onValue={(model) => onRow({ ...row, model })}
                                error={error("model")}
                            />
                        )}
                        <TextField
                            label="Name (optional)"
                            placeholder={model}
                            value={row.name}
                            onValue={(name) => onRow({ ...row, name })}
                            error={error("name")}
                        />
                        {!isLocal && (
                            <>
                                <TextField
                                    label={row.kind === "chat" ? "Address" : "Address (optional)"}
                                    span
                                    type="url"
                                    required={row.kind === "chat"}
                                    placeholder={
                                        row.kind === "chat" ? "https://models.example.com/v1" : "its provider's own"
                                    }
                                    value={row.base_url}
                                    onValue={(base_url) => onRow({ ...row, base_url })}
                                    error={error("base_url")}
                                />
                                <PasswordField
                                    label="API key"
                                    span
                                    autoComplete="off"
                                    placeholder={
                                        row.key_of && row.key_of === (row.name || row.model) ? "unchanged" : ""
                                    }
                                    hint="Stored encrypted and never shown."
                                    value={row.api_key}
                                    onValue={(api_key) => onRow({ ...row, api_key })}
                                    error={error("api_key")}
                                />
                            </>
                        )}
                        <TextField
                            label="Tokens per month (optional)"
                            type="number"
                            min={1}
                            hint={`${count(row.spent)} spent this month.`}
                            value={row.monthly_tokens}
                            onValue={(monthly_tokens) => onRow({ ...row, monthly_tokens })}
                            error={error("monthly_tokens")}
                        />
                        <TextField
                            label="Timeout in seconds"
                            type="number"
                            min={1}
                            max={600}
                            value={row.timeout_seconds}
                            onValue={(timeout_seconds) => onRow({ ...row, timeout_seconds })}
                            error={error("timeout_seconds")}
                        />
                        <div className="span">
                            <Check
                                label="Share the values of columns with few distinct ones"
                                hint="Only values the person asking can see."
                                checked={row.share_values}
                                onChange={(event) => onRow({ ...row, share_values: event.target.checked })}
                            />
                        </div>
                    </>
                )}
            </div>
        </Card>
    );
}
