// Writing an access policy: its conditions line by line, as JSON, or in Cedar.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { usePermissions } from "../../choices";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Choices, Field, SelectField, TextField } from "../../ui/basics";
import { Toggles } from "../../ui/chips";
import { Dialog } from "../../ui/dialog";
import { Loaded } from "../../ui/loaded";
import { ATTRIBUTES, type Line, OPERATORS, parsed, valueOf } from "./conditions";

export function EditAccess({ policy, onClose }: { policy?: Schemas["AbacPolicy"]; onClose: () => void }) {
    const permissions = usePermissions();
    const [name, setName] = useState(policy?.name ?? "");
    const [description, setDescription] = useState(policy?.description ?? "");
    const [effect, setEffect] = useState<string>(policy?.effect ?? "deny");
    const [kind, setKind] = useState(policy?.resource_type ?? "datasource");
    const [actions, setActions] = useState<string[]>(policy?.actions ?? ["datasource.query"]);
    const [mode, setMode] = useState<"lines" | "json" | "cedar">(
        policy?.cedar ? "cedar" : policy?.conditions ? "json" : "lines",
    );
    const [join, setJoin] = useState("any");
    const [lines, setLines] = useState<Line[]>([
        { attribute: "environment.ip", operator: "ip_in_range", value: "10.0.0.0/8", not: true },
    ]);
    const [text, setText] = useState(policy?.cedar ?? JSON.stringify(policy?.conditions ?? {}, null, 2));
    const [touched, setTouched] = useState(false);
    // Those that a button adds or takes away, too.
    const rewrite = (next: Line[]) => {
        setLines(next);
        setTouched(true);
    };
    const save = useAction(
        async () => {
            const conditions =
                mode === "lines"
                    ? lines.length > 0
                        ? {
                              [join]: lines.map((line) => {
                                  const comparison = {
                                      attribute: line.attribute,
                                      operator: line.operator,
                                      value: valueOf(line),
                                  };
                                  return line.not ? { not: comparison } : comparison;
                              }),
                          }
                        : undefined
                    : mode === "json"
                      ? parsed(text)
                      : undefined;
            const body = {
                name,
                description: description || (policy ? null : undefined),
                effect: effect as "deny",
                resource_type: kind,
                actions: actions as never,
                conditions: conditions as never,
                cedar: mode === "cedar" ? text : undefined,
            };
            if (policy)
                await read(
                    api.PUT("/api/v1/sso/abac/policies/{policy_id}", {
                        params: { path: { policy_id: policy.id } },
                        body,
                    }),
                );
            else await read(api.POST("/api/v1/sso/abac/policies", { body }));
        },
        { done: "Saved. It applies from the next request.", changes: [["access"]], inline: true, onDone: onClose },
    );
    const kinds = [
        ...new Set(permissions.data?.permissions.map((permission) => permission.category as string) ?? [kind]),
    ];
    return (
        <Dialog title={policy ? "Edit access policy" : "New access policy"} wide touched={touched} onClose={onClose}>
            <ActionForm
                action={save}
                submit="Save"
                disabled={actions.length === 0}
                onCancel={onClose}
                touched={touched}
                what="The policy is"
                onChange={() => setTouched(true)}
            >
                <div className="form-grid">
                    <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} autoFocus />
                    <TextField
                        label="Description (optional)"
                        value={description}
                        onValue={setDescription}
                        error={save.of("description")}
                    />
                    <SelectField
                        label="Effect"
                        value={effect}
                        onValue={setEffect}
                        options={[
                            ["deny", "Deny"],
                            ["allow", "Allow"],
                        ]}
                    />
                    <SelectField
                        label="Resources"
                        value={kind}
                        onValue={(value) => {
                            setKind(value);
                            setActions([]);
                        }}
                        options={kinds.map((each) => [each, each] as const)}
                    />
                </div>
                <Choices legend="Permissions" error={save.of("actions")}>
                    <Loaded query={permissions} lines={2}>
                        {(data) => (
                            <Toggles
                                options={data.permissions
                                    .filter((permission) => permission.category === kind)
                                    .map(({ name }) => [name as string, name] as const)}
                                chosen={actions}
                                onChosen={setActions}
                            />
                        )}
                    </Loaded>
                </Choices>
                <div className="row apart">
                    <span className="label">When</span>
                    <div className="segments" role="group" aria-label="Write conditions as">
                        {(["lines", "json", "cedar"] as const).map((each) => (
                            <button type="button" key={each} aria-pressed={mode === each} onClick={() => setMode(each)}>
                                {each === "lines" ? "Conditions" : each === "json" ? "JSON" : "Cedar"}
                            </button>
                        ))}
                    </div>
                </div>
                {mode === "lines" ? (
                    <div className="stack tight">
                        <div className="row small">
                            If{" "}
                            <select
                                className="compact"
                                aria-label="Join"
                                value={join}
                                onChange={(event) => setJoin(event.target.value)}
                            >
                                <option value="any">any</option>
                                <option value="all">all</option>
                            </select>{" "}
                            of these apply:
                        </div>
                        {lines.map((line, index) => {
                            const change = (part: Partial<Line>) =>
                                rewrite(lines.map((each, at) => (at === index ? { ...each, ...part } : each)));
                            return (
                                <div key={index} className="row">
                                    <select
                                        className="compact"
                                        aria-label={`Not of condition ${index + 1}`}
                                        value={line.not ? "not" : ""}
                                        onChange={(event) => change({ not: event.target.value === "not" })}
                                    >
                                        <option value="">when</option>
                                        <option value="not">when not</option>
                                    </select>
                                    <input
                                        type="text"
                                        className="compact"
                                        style={{ minHeight: 32, width: 210 }}
                                        aria-label={`Attribute of condition ${index + 1}`}
                                        list="attributes"
                                        value={line.attribute}
                                        onChange={(event) => change({ attribute: event.target.value })}
                                    />
                                    <select
                                        className="compact"
                                        aria-label={`Operator of condition ${index + 1}`}
                                        value={line.operator}
                                        onChange={(event) => change({ operator: event.target.value })}
                                    >
                                        {OPERATORS.map(([key, label]) => (
                                            <option key={key} value={key}>
                                                {label}
                                            </option>
                                        ))}
                                    </select>
                                    <input
                                        type="text"
                                        className="compact grow"
                                        style={{ minHeight: 32, minWidth: 140 }}
                                        aria-label={`Value of condition ${index + 1}`}
                                        value={line.value}
                                        onChange={(event) => change({ value: event.target.value })}
                                    />
                                    <Button
                                        small
                                        kind="quiet"
                                        aria-label={`Remove condition ${index + 1}`}
                                        onClick={() => rewrite(lines.filter((_, at) => at !== index))}
                                    >
                                        Remove
                                    </Button>
                                </div>
                            );
                        })}
                        <datalist id="attributes">
                            {ATTRIBUTES.map((each) => (
                                <option key={each} value={each} />
                            ))}
                        </datalist>
                        <div>
                            <Button
                                small
                                onClick={() =>
                                    rewrite([
                                        ...lines,
                                        { attribute: "subject.mfa", operator: "eq", value: "false", not: false },
                                    ])
                                }
                            >
                                Add condition
                            </Button>
                        </div>
                    </div>
                ) : (
                    <Field
                        label={mode === "json" ? "Conditions as JSON" : "Cedar policy"}
                        error={save.of("conditions") ?? save.of("cedar")}
                    >
                        {(props) => (
                            <textarea
                                {...props}
                                rows={8}
                                className="mono"
                                spellCheck={false}
                                value={text}
                                onChange={(event) => setText(event.target.value)}
                            />
                        )}
                    </Field>
                )}
            </ActionForm>
        </Dialog>
    );
}
