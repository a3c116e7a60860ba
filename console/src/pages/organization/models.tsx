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
    ["chat", "OpenAI, or what speaks its protocol"],
    ["local", "The model on this server"],
    ["embedded", "This server's own rules"],
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
        done: "Saved; it holds from the next question on.",
        changes: [["planners"]],
        inline: true,
        onDone: (saved) => {
            setRows(saved.planners.map(typed));
            setTouched(false);
        },
    });
    if (!loaded.may_choose)
        return <Note>The operator of this server has chosen: {loaded.operators.join(", then ")}.</Note>;
    return (
        <ActionForm
            action={save}
            submit="Save"
            disabled={!touched}
            beside={
                <Button icon={<Plus size={15} />} onClick={() => change([...rows, another])}>
                    Add a planner
                </Button>
            }
            touched={touched}
        >
            <p className="soft">
                A question goes to the first; the next is asked where one gives no answer. Questions and the names of
                what one may see leave this server for models elsewhere, rows never do.
            </p>
            {rows.length === 0 && (
                <div className="card">
                    <Empty title="No models chosen">
                        Questions go to the one that the operator of this server has set up:{" "}
                        {loaded.operators.join(", then ")}.
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
                            aria-label={`Ask ${name} earlier`}
                            onClick={onUp}
                        />
                    )}
                    <Button kind="quiet" icon={<X size={16} />} aria-label={`Remove ${name}`} onClick={onRemove} />
                </>
            }
        >
            <div className="form-grid">
                <SelectField
                    label="Who answers"
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
                                placeholder="as its provider calls it"
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
                                        row.key_of && row.key_of === (row.name || row.model) ? "stays as it is" : ""
                                    }
                                    hint="Sealed, and shown to nobody."
                                    value={row.api_key}
                                    onValue={(api_key) => onRow({ ...row, api_key })}
                                    error={error("api_key")}
                                />
                            </>
                        )}
                        <TextField
                            label="Tokens a month (optional)"
                            type="number"
                            min={1}
                            hint={`${count(row.spent)} spent this month.`}
                            value={row.monthly_tokens}
                            onValue={(monthly_tokens) => onRow({ ...row, monthly_tokens })}
                            error={error("monthly_tokens")}
                        />
                        <TextField
                            label="Seconds for a question"
                            type="number"
                            min={1}
                            max={600}
                            value={row.timeout_seconds}
                            onValue={(timeout_seconds) => onRow({ ...row, timeout_seconds })}
                            error={error("timeout_seconds")}
                        />
                        <div className="span">
                            <Check
                                label="Tell it the values of columns that have few"
                                hint="As far as whoever asks may see them."
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
