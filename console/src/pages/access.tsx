// Access policies: when somebody may do what a role lets them do, by what is known of them and of the request.

import { MoreHorizontal, Plus } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../api/client";
import { usePermissions } from "../choices";
import { queries } from "../queries";
import { useMay } from "../standing";
import { useAction } from "../ui/action";
import {
    Badge,
    Button,
    Card,
    Check,
    Choices,
    Empty,
    Field,
    Note,
    Page,
    Problem,
    SelectField,
    Status,
    TextField,
} from "../ui/basics";
import { ActionMenu, Confirm, Dialog } from "../ui/dialog";
import { List } from "../ui/list";
import { Loaded } from "../ui/loaded";
import { PersonChoice } from "../ui/person-choice";

export function Access() {
    const may = useMay();
    const [editing, setEditing] = useState<Schemas["AbacPolicy"] | "new">();
    const [deleting, setDeleting] = useState<Schemas["AbacPolicy"]>();
    const toggle = useAction(
        (policy: Schemas["AbacPolicy"]) =>
            read(
                api.PUT("/api/v1/sso/abac/policies/{policy_id}", {
                    params: { path: { policy_id: policy.id } },
                    body: { is_active: !policy.is_active },
                }),
            ),
        { done: "Changed.", changes: [["access"]] },
    );
    return (
        <Page
            title="Access policies"
            lead="Roles say what somebody may do; these say when: only from the office, only with a second factor, not after hours. A denial beats every role."
            actions={
                may("sso.manage") && (
                    <Button kind="primary" icon={<Plus size={16} />} onClick={() => setEditing("new")}>
                        New policy
                    </Button>
                )
            }
        >
            <List
                name="Access policies"
                of={["access"]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sso/abac/policies", { params: { query: { offset: skip, limit: size } } }),
                    );
                    return { items: answer.policies, total: answer.total };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Name",
                        cell: (each) => (
                            <>
                                <b className="strong">{each.name}</b>
                                {each.description && <div className="small soft">{each.description}</div>}
                            </>
                        ),
                    },
                    {
                        head: "Effect",
                        cell: (each) => (
                            <Badge tone={each.effect === "deny" ? "bad" : "good"}>
                                {each.effect === "deny" ? "Denies" : "Allows"}
                            </Badge>
                        ),
                    },
                    { head: "What", cell: (each) => <span className="small break">{each.actions.join(", ")}</span> },
                    { head: "State", cell: (each) => <Status value={each.is_active ? "active" : "inactive"} /> },
                    may("sso.manage") && {
                        head: "",
                        cell: (each) => (
                            <ActionMenu
                                label={`Actions for ${each.name}`}
                                choices={[
                                    { label: "Change…", run: () => setEditing(each) },
                                    {
                                        label: each.is_active ? "Switch off" : "Switch on",
                                        run: () => void toggle.start(each),
                                    },
                                    { label: "Delete…", danger: true, run: () => setDeleting(each) },
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={<Empty title="None">Roles decide alone.</Empty>}
            />
            <Try />
            {editing && (
                <EditAccess policy={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />
            )}
            {deleting && (
                <Confirm
                    title={`Delete “${deleting.name}”?`}
                    action="Delete"
                    onClose={() => setDeleting(undefined)}
                    onConfirm={async () => {
                        await read(
                            api.DELETE("/api/v1/sso/abac/policies/{policy_id}", {
                                params: { path: { policy_id: deleting.id } },
                            }),
                        );
                        void queries.invalidateQueries({ queryKey: ["access"] });
                    }}
                >
                    <p>It holds until the next request.</p>
                </Confirm>
            )}
        </Page>
    );
}

const ATTRIBUTES = [
    "environment.ip",
    "environment.network",
    "environment.hour",
    "environment.weekday",
    "environment.time",
    "environment.device_trusted",
    "subject.mfa",
    "subject.passkey",
    "subject.sso",
    "subject.token",
    "subject.roles",
    "subject.groups",
    "subject.email_domain",
    "subject.id",
    "resource.id",
    "resource.workspace",
    "resource.owner",
    "action.name",
];
const OPERATORS = [
    ["eq", "is"],
    ["ne", "is not"],
    ["in", "is one of"],
    ["not_in", "is none of"],
    ["contains", "contains"],
    ["starts_with", "begins with"],
    ["gt", ">"],
    ["gte", "≥"],
    ["lt", "<"],
    ["lte", "≤"],
    ["ip_in_range", "is in the network"],
    ["exists", "is known"],
] as const;
type Line = { attribute: string; operator: string; value: string; not: boolean };

/** A value as people type it: numbers and flags by their look, lists with commas. */
function valueOf({ operator, value, attribute }: Line): unknown {
    const one = (text: string): unknown =>
        text === "true"
            ? true
            : text === "false"
              ? false
              : /^-?\d+$/.test(text) && !attribute.startsWith("subject.email")
                ? Number(text)
                : text;
    if (operator === "exists") return value !== "false";
    return ["in", "not_in", "ip_in_range"].includes(operator)
        ? value
              .split(",")
              .map((part) => one(part.trim()))
              .filter((part) => part !== "")
        : one(value.trim());
}

function parsed(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        throw new Error("The conditions are not JSON.");
    }
}

function EditAccess({ policy, onClose }: { policy?: Schemas["AbacPolicy"]; onClose: () => void }) {
    const permissions = usePermissions();
    const [name, setName] = useState(policy?.name ?? "");
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
        { done: "It holds from the next request on.", changes: [["access"]], inline: true, onDone: onClose },
    );
    const kinds = [
        ...new Set(permissions.data?.permissions.map((permission) => permission.category as string) ?? [kind]),
    ];
    return (
        <Dialog
            title={policy ? "Change the access policy" : "New access policy"}
            wide
            touched={touched}
            onClose={onClose}
        >
            <form
                className="stack"
                onChange={() => setTouched(true)}
                onSubmit={(event) => {
                    event.preventDefault();
                    void save.start(undefined);
                }}
            >
                <div className="form-grid">
                    <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} autoFocus />
                    <SelectField
                        label="It"
                        value={effect}
                        onValue={setEffect}
                        options={[
                            ["deny", "denies"],
                            ["allow", "allows"],
                        ]}
                    />
                    <SelectField
                        label="About"
                        value={kind}
                        onValue={(value) => {
                            setKind(value);
                            setActions([]);
                        }}
                        options={kinds.map((each) => [each, each] as const)}
                    />
                </div>
                <Choices legend="What" error={save.of("actions")}>
                    <Loaded query={permissions} lines={2}>
                        {(data) => (
                            <div className="chips">
                                {data.permissions
                                    .filter((permission) => permission.category === kind)
                                    .map((permission) => (
                                        <button
                                            type="button"
                                            key={permission.name}
                                            className="chip"
                                            aria-pressed={actions.includes(permission.name)}
                                            onClick={() =>
                                                setActions(
                                                    actions.includes(permission.name)
                                                        ? actions.filter((each) => each !== permission.name)
                                                        : [...actions, permission.name],
                                                )
                                            }
                                        >
                                            {permission.name}
                                        </button>
                                    ))}
                            </div>
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
                            of these hold:
                        </div>
                        {lines.map((line, index) => {
                            const change = (part: Partial<Line>) =>
                                setLines(lines.map((each, at) => (at === index ? { ...each, ...part } : each)));
                            return (
                                <div key={index} className="row">
                                    <select
                                        className="compact"
                                        aria-label={`Not of condition ${index + 1}`}
                                        value={line.not ? "not" : ""}
                                        onChange={(event) => change({ not: event.target.value === "not" })}
                                    >
                                        <option value="">it is so</option>
                                        <option value="not">it is not so</option>
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
                                        onClick={() => setLines(lines.filter((_, at) => at !== index))}
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
                                    setLines([
                                        ...lines,
                                        { attribute: "subject.mfa", operator: "eq", value: "false", not: false },
                                    ])
                                }
                            >
                                Another condition
                            </Button>
                        </div>
                    </div>
                ) : (
                    <Field
                        label={mode === "json" ? "Conditions as JSON" : "One policy in Cedar"}
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
                {save.error !== undefined && <Problem error={save.error} />}
                <div className="form-end">
                    <Button onClick={onClose}>Cancel</Button>
                    <Button kind="primary" type="submit" busy={save.busy} disabled={actions.length === 0}>
                        Save
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}

/** Why may they, why not. */
function Try() {
    const permissions = usePermissions();
    const [person, setPerson] = useState("");
    const [action, setAction] = useState("datasource.query");
    const [ip, setIp] = useState("");
    const [mfa, setMfa] = useState(false);
    const ask = useAction(
        () =>
            read(
                api.POST("/api/v1/sso/abac/evaluate", {
                    body: {
                        action,
                        resource: { type: action.split(".")[0] ?? "" },
                        subject: person ? { user_id: Number(person) } : undefined,
                        context: { ip: ip || undefined, mfa },
                    } as never,
                }),
            ),
        { inline: true },
    );
    const [answer, setAnswer] = useState<Schemas["AbacDecisionAnswer"]>();
    return (
        <Card title="Why may they, why not?">
            <form
                className="stack"
                onSubmit={async (event) => {
                    event.preventDefault();
                    setAnswer((await ask.start(undefined)) as Schemas["AbacDecisionAnswer"] | undefined);
                }}
            >
                <div className="form-grid">
                    <PersonChoice label="Person" none="I" value={person} onValue={setPerson} />
                    <SelectField
                        label="Permission"
                        value={action}
                        onValue={setAction}
                        options={(permissions.data?.permissions ?? [{ name: action }]).map(
                            (each) => [each.name, each.name] as const,
                        )}
                    />
                    <TextField label="From the address" placeholder="198.51.100.7" value={ip} onValue={setIp} />
                    <Check
                        label="With a second factor"
                        checked={mfa}
                        onChange={(event) => setMfa(event.target.checked)}
                    />
                </div>
                {ask.error !== undefined && <Problem error={ask.error} />}
                {answer && (
                    <Note tone={answer.permitted ? "good" : "bad"}>
                        <b>{answer.permitted ? "They may." : "They may not."}</b> {answer.reason}{" "}
                        {answer.matched_policies.length > 0 && (
                            <span className="soft">
                                Policies: {answer.matched_policies.map((policy) => policy.name).join(", ")}.
                            </span>
                        )}{" "}
                        <span className="soft">
                            {answer.granted_by_role ? "A role gives it." : "No role gives it."}
                        </span>
                    </Note>
                )}
                <div className="form-end">
                    <Button type="submit" busy={ask.busy}>
                        Ask
                    </Button>
                </div>
            </form>
        </Card>
    );
}
