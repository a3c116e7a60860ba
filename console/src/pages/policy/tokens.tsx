// Tokens that a mask put in the place of values, turned back for whoever may; with the reason, on record.

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Card, Field, Page, TextField } from "../../ui/basics";
import { copy } from "../../ui/clipboard";

export function TurnBack() {
    const [text, setText] = useState("");
    const [reason, setReason] = useState("");
    const [values, setValues] = useState<Schemas["DetokenizedValue"][]>([]);
    const tokens = [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
    const turn = useAction(() => read(api.POST("/api/v1/policies/detokenize", { body: { tokens, reason } })), {
        inline: true,
        onDone: (answer) => setValues(answer.values),
    });
    return (
        <Page
            title="Reveal tokens"
            lead="Look up the values behind masking tokens. Every use is recorded in the audit log with its reason."
            crumbs={<Link to="/policies">Policies</Link>}
            narrow
        >
            <Card>
                <ActionForm action={turn} submit="Reveal" disabled={tokens.length === 0}>
                    <Field
                        label="Tokens"
                        hint="As they appear in answers, up to a hundred."
                        error={turn.of("tokens") ?? turn.of("tokens[0]")}
                    >
                        {(props) => (
                            <textarea
                                {...props}
                                className="mono"
                                rows={4}
                                required
                                spellCheck={false}
                                autoComplete="off"
                                placeholder="tok_…"
                                value={text}
                                onChange={(event) => setText(event.target.value)}
                            />
                        )}
                    </Field>
                    <TextField
                        label="Reason"
                        required
                        minLength={3}
                        maxLength={500}
                        placeholder="Refund 4711"
                        value={reason}
                        onValue={setReason}
                        error={turn.of("reason")}
                    />
                </ActionForm>
            </Card>
            {values.length > 0 && (
                <Card title="Values" flush>
                    <ul className="list" aria-live="polite">
                        {values.map(({ token, value }) => (
                            <li key={token}>
                                <div className="grow break">
                                    {value == null ? (
                                        <span className="soft">Not a token of this organization</span>
                                    ) : (
                                        <b className="strong">{value}</b>
                                    )}
                                    <div className="small soft mono break">{token}</div>
                                </div>
                                {value != null && (
                                    <Button
                                        small
                                        aria-label={`Copy the value of ${token}`}
                                        onClick={() => void copy(value, "Value copied.")}
                                    >
                                        Copy
                                    </Button>
                                )}
                            </li>
                        ))}
                    </ul>
                </Card>
            )}
        </Page>
    );
}
