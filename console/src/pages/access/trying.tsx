// Why somebody may do something, and why not.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { usePermissions } from "../../choices";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, Note, SelectField, TextField } from "../../ui/basics";
import { PersonChoice } from "../../ui/person-choice";

/** Why may they, why not. */
export function Try() {
    const permissions = usePermissions();
    const [person, setPerson] = useState("");
    const [action, setAction] = useState("datasource.query");
    const [ip, setIp] = useState("");
    const [mfa, setMfa] = useState(false);
    const [answer, setAnswer] = useState<Schemas["AbacDecisionAnswer"]>();
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
        { inline: true, onDone: (told) => setAnswer(told as Schemas["AbacDecisionAnswer"]) },
    );
    return (
        <Card title="Check access">
            <ActionForm action={ask} submit="Check">
                <div className="form-grid">
                    <PersonChoice label="Person" none="Myself" value={person} onValue={setPerson} />
                    <SelectField
                        label="Permission"
                        value={action}
                        onValue={setAction}
                        options={(permissions.data?.permissions ?? [{ name: action }]).map(
                            (each) => [each.name, each.name] as const,
                        )}
                    />
                    <TextField label="IP address" placeholder="198.51.100.7" value={ip} onValue={setIp} />
                    <Check label="With two-factor" checked={mfa} onChange={(event) => setMfa(event.target.checked)} />
                </div>
                {answer && ask.error === undefined && (
                    <Note tone={answer.permitted ? "good" : "bad"}>
                        <b>{answer.permitted ? "Allowed." : "Denied."}</b> {answer.reason}{" "}
                        {answer.matched_policies.length > 0 && (
                            <span className="soft">
                                Policies: {answer.matched_policies.map((policy) => policy.name).join(", ")}.
                            </span>
                        )}{" "}
                        <span className="soft">
                            {answer.granted_by_role ? "A role grants it." : "No role grants it."}
                        </span>
                    </Note>
                )}
            </ActionForm>
        </Card>
    );
}
