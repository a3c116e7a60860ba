// Changing the rules, the name and the state of a policy.

import { useMemo, useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, TextField } from "../../ui/basics";
import { type Rule, Rules } from "../rules";
import { Checked, isReady, useCheck, useTables } from "./check";

export function Edit({ policy }: { policy: Schemas["Policy"] }) {
    const may = useMay();
    const [name, setName] = useState(policy.name);
    const [description, setDescription] = useState(policy.description ?? "");
    const [active, setActive] = useState(policy.is_active);
    const [rules, setRules] = useState<Rule[]>(
        policy.rules.map(({ rule_name, rule_type, rule_config, is_active }) => ({
            rule_name,
            rule_type,
            rule_config: rule_config as Record<string, unknown>,
            is_active,
        })),
    );
    const sources = useMemo(
        () => [...new Set(policy.assignments.flatMap((each) => each.data_source_id ?? each.dataset_source_id ?? []))],
        [policy],
    );
    const tables = useTables(sources);
    const before = JSON.stringify([
        policy.name,
        policy.description ?? "",
        policy.is_active,
        policy.rules.map(({ rule_name, rule_type, rule_config, is_active }) => ({
            rule_name,
            rule_type,
            rule_config,
            is_active,
        })),
    ]);
    const touched = JSON.stringify([name, description, active, rules]) !== before;
    const ready = isReady(policy.type, rules);
    const check = useCheck(
        policy.type,
        rules,
        sources,
        ready && touched,
        policy.assignments.flatMap((each) => each.role_id ?? []),
    );
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/policies/{policy_id}", {
                    params: { path: { policy_id: policy.id } },
                    body: { name, description, is_active: active, rules: rules as never, version: policy.version },
                }),
            ),
        {
            done: "Saved. It applies from the next query.",
            changes: [["policy", String(policy.id)], ["policies"]],
            inline: true,
        },
    );
    return (
        <ActionForm action={save} submit={may("policy.write") && "Save"} disabled={!touched} touched={touched}>
            <fieldset
                disabled={!may("policy.write")}
                style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}
                className="stack"
            >
                <Rules type={policy.type} rules={rules} onRules={setRules} tables={tables} problem={save.of} />
                {touched && <Checked check={check} ready={ready} sources={sources} />}
                <Card title="Name and status">
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} />
                        <TextField
                            label="Description"
                            value={description}
                            onValue={setDescription}
                            error={save.of("description")}
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
            </fieldset>
        </ActionForm>
    );
}
