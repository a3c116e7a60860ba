// A new policy: its kind, what it governs and for whom, its rules.

import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useRoles, useSources } from "../../choices";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, Choices, Page, TextField } from "../../ui/basics";
import { Chips } from "../../ui/chips";
import { type PolicyType, TYPES } from "../policies";
import { type Rule, Rules, emptyRule } from "../rules";
import { Checked, isReady, useCheck, useTables } from "./check";

export function NewPolicy() {
    const navigate = useNavigate();
    const { source } = useSearch({ strict: false }) as { source?: string };
    const [type, setType] = useState<PolicyType>("row_level_security");
    const [name, setName] = useState("");
    const [description, setDescription] = useState("");
    const [rules, setRules] = useState<Rule[]>([emptyRule("row_level_security")]);
    const [chosen, setChosen] = useState<number[]>(source ? [Number(source)] : []);
    const [roleIds, setRoleIds] = useState<number[]>([]);
    const [active, setActive] = useState(true);
    const [touched, setTouched] = useState(false);
    const sources = useSources();
    const roles = useRoles();
    const tables = useTables(chosen);
    // Those that a button adds, takes away or switches, too.
    const changeRules = (next: Rule[]) => {
        setRules(next);
        setTouched(true);
    };
    const ready = isReady(type, rules);
    const check = useCheck(type, rules, chosen, ready, roleIds);
    const create = useAction(
        async () => {
            const policy = await read(
                api.POST("/api/v1/policies", {
                    body: {
                        name,
                        description: description || undefined,
                        type,
                        is_active: active,
                        rules: rules.map((rule) => ({ ...rule, rule_name: rule.rule_name || name })) as never,
                        data_source_ids: chosen,
                        role_ids: roleIds,
                    },
                }),
            );
            setTouched(false);
            return policy;
        },
        {
            done: "Created. It applies from the next query.",
            changes: [["policies"], ["first"]],
            inline: true,
            onDone: (policy) => void navigate({ to: "/policies/$id", params: { id: String(policy.id) } }),
        },
    );
    return (
        <Page title="New policy" crumbs={<Link to="/policies">Policies</Link>} narrow>
            <ActionForm
                action={create}
                submit="Create policy"
                beside={
                    <Link className="button" to="/policies">
                        Cancel
                    </Link>
                }
                touched={touched}
                what="The policy is"
                onChange={() => setTouched(true)}
            >
                <Choices legend="Kind">
                    <div
                        style={{
                            display: "grid",
                            gap: 10,
                            gridTemplateColumns: "repeat(auto-fit, minmax(min(100%, 165px), 1fr))",
                        }}
                    >
                        {(Object.keys(TYPES) as PolicyType[]).map((each) => {
                            const Icon = TYPES[each].icon;
                            return (
                                <label
                                    key={each}
                                    className="card card-link"
                                    style={{
                                        cursor: "pointer",
                                        ...(type === each
                                            ? { borderColor: "var(--accent)", background: "var(--accent-soft)" }
                                            : {}),
                                    }}
                                >
                                    <span className="row">
                                        <input
                                            type="radio"
                                            name="type"
                                            checked={type === each}
                                            onChange={() => {
                                                setType(each);
                                                setRules([emptyRule(each)]);
                                            }}
                                        />
                                        <Icon size={16} aria-hidden />
                                        <b className="strong">{TYPES[each].name}</b>
                                    </span>
                                    <span className="small soft" style={{ display: "block", marginTop: 4 }}>
                                        {TYPES[each].text}
                                    </span>
                                </label>
                            );
                        })}
                    </div>
                </Choices>
                <Card title="Assignments">
                    <div className="stack">
                        <Chips
                            label="Sources"
                            query={sources}
                            items={(data) => data.items}
                            none="No sources yet: it will apply to all of them."
                            chosen={chosen}
                            onChosen={(next) => {
                                setChosen(next);
                                setTouched(true);
                            }}
                            error={create.of("data_source_ids")}
                        />
                        <Chips
                            label="Roles"
                            query={roles}
                            items={(data) => data.roles}
                            none="There are none."
                            chosen={roleIds}
                            onChosen={(next) => {
                                setRoleIds(next);
                                setTouched(true);
                            }}
                            error={create.of("role_ids")}
                        />
                        <p className="small soft">
                            {chosen.length === 0 && roleIds.length === 0
                                ? "Until you choose a source or a role, it applies to nobody."
                                : `Applies to ${roleIds.length === 0 ? "everyone" : `people with ${roleIds.length === 1 ? "this role" : "one of these roles"}`}${chosen.length > 0 ? `, in ${chosen.length === 1 ? "this source" : "these sources"}` : ", in every source"}.`}
                        </p>
                    </div>
                </Card>
                <Rules type={type} rules={rules} onRules={changeRules} tables={tables} problem={create.of} />
                <Checked check={check} ready={ready} sources={chosen} />
                <Card title="Name">
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={create.of("name")} />
                        <TextField
                            label="Description (optional)"
                            value={description}
                            onValue={setDescription}
                            error={create.of("description")}
                        />
                        <div className="span">
                            <Check
                                label="Active"
                                checked={active}
                                onChange={(event) => setActive(event.target.checked)}
                            />
                        </div>
                    </div>
                </Card>
            </ActionForm>
        </Page>
    );
}
