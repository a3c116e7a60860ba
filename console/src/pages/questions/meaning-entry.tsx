// Saying one thing of the data, or changing what was said.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Check, SelectField, TextField } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";

type Kind = Schemas["SemanticDefinition"]["kind"];
type Field = { key: string; label: string; placeholder: string; hint?: string };

/** The kinds of what can be said, and the texts that each consists of, as the API calls them. */
export const KINDS: Record<Kind, { name: string; fields: Field[] }> = {
    metric: {
        name: "Metric",
        fields: [
            { key: "name", label: "Name", placeholder: "revenue", hint: "As people write it in questions." },
            { key: "table", label: "Table", placeholder: "orders.files.orders" },
            {
                key: "formula",
                label: "Formula",
                placeholder: "sum(amount) where status = 'paid'",
                hint: "One sum, avg, min, max, median or count over its columns, optionally with a condition.",
            },
        ],
    },
    join: {
        name: "Join",
        fields: [
            { key: "from", label: "Column", placeholder: "orders.files.orders.customer_id" },
            { key: "to", label: "References column", placeholder: "crm.main.customers.id" },
        ],
    },
    synonym: {
        name: "Synonym",
        fields: [
            { key: "phrase", label: "Word", placeholder: "turnover" },
            { key: "of", label: "Table or column", placeholder: "orders.files.orders.amount" },
        ],
    },
    description: {
        name: "Description",
        fields: [
            { key: "of", label: "Table or column", placeholder: "orders.files.orders.amount" },
            { key: "text", label: "Description", placeholder: "Amount paid, taxes included, in euros." },
        ],
    },
};

export function EntryDialog({ entry, onClose }: { entry?: Schemas["SemanticEntry"]; onClose: () => void }) {
    const [kind, setKind] = useState<Kind>(entry?.definition.kind ?? "metric");
    const [said, setSaid] = useState<Record<string, unknown>>({ ...entry?.definition });
    const [touched, setTouched] = useState(false);
    const set = (key: string, value: unknown) => {
        setSaid({ ...said, [key]: value });
        setTouched(true);
    };
    const save = useAction(
        () => {
            const keys = KINDS[kind].fields.map((field) => field.key);
            if (kind === "join") keys.push("cardinality");
            if (kind === "synonym") keys.push("is_value");
            const told = keys.map((key) => [key, said[key]] as const);
            const body = { definition: { kind, ...Object.fromEntries(told) } as Schemas["SemanticDefinition"] };
            return entry
                ? read(
                      api.PUT("/api/v1/prompts/semantic-layer/{semantic_entry_id}", {
                          params: { path: { semantic_entry_id: entry.id } },
                          body,
                      }),
                  )
                : read(api.POST("/api/v1/prompts/semantic-layer", { body }));
        },
        {
            done: "Saved. It applies from the next question.",
            changes: [["meaning"]],
            inline: true,
            onDone: onClose,
        },
    );
    return (
        <Dialog
            title={entry ? `Edit ${KINDS[kind].name.toLowerCase()}` : "New definition"}
            touched={touched}
            onClose={onClose}
        >
            <ActionForm action={save} submit="Save" disabled={!touched} onCancel={onClose} touched={touched}>
                {!entry && (
                    <SelectField
                        label="Kind"
                        value={kind}
                        onValue={(value) => setKind(value as Kind)}
                        options={Object.entries(KINDS).map(([key, { name }]) => [key, name] as const)}
                        autoFocus
                    />
                )}
                {KINDS[kind].fields.map(({ key, ...rest }) => (
                    <TextField
                        key={key}
                        {...rest}
                        required
                        spellCheck={false}
                        value={String(said[key] ?? "")}
                        onValue={(value) => set(key, value)}
                        error={save.of(`definition.${key}`)}
                    />
                ))}
                {kind === "join" && (
                    <SelectField
                        label="Cardinality"
                        value={String(said.cardinality ?? "many_to_one")}
                        onValue={(value) => set("cardinality", value)}
                        options={[
                            ["many_to_one", "Many to one"],
                            ["one_to_many", "One to many"],
                            ["one_to_one", "One to one"],
                        ]}
                        error={save.of("definition.cardinality")}
                    />
                )}
                {kind === "synonym" && (
                    <Check
                        label="This is a value in the column"
                        hint="Rather than another name for it."
                        checked={Boolean(said.is_value)}
                        onChange={(event) => set("is_value", event.target.checked)}
                    />
                )}
            </ActionForm>
        </Dialog>
    );
}
