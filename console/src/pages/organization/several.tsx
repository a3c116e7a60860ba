// Several workspaces at once, tried out first: what is there already stays as it is.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { named, useWorkspacesHere } from "../../choices";
import { useOrganization } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Button, Field, SelectField, Status } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";

export function SeveralWorkspaces({ onClose }: { onClose: () => void }) {
    const organization = useOrganization();
    const workspaces = useWorkspacesHere();
    const [text, setText] = useState("");
    const [template, setTemplate] = useState("");
    const [results, setResults] = useState<Schemas["ProvisionResult"][]>();
    const [isMade, setIsMade] = useState(false);
    const names = [
        ...new Set(
            text
                .split("\n")
                .map((line) => line.trim())
                .filter(Boolean),
        ),
    ];
    const make = useAction(
        async (dry: boolean) => {
            const answer = await read(
                api.POST("/api/v1/workspaces/provision", {
                    body: {
                        organization_id: organization,
                        dry_run: dry,
                        workspaces: names.map((name) => ({
                            name,
                            template_workspace_id: template ? Number(template) : undefined,
                        })),
                    },
                }),
            );
            setResults(answer.results);
            setIsMade(!dry);
        },
        { changes: [["rooms", organization], ["workspaces"]], inline: true },
    );
    const change = (set: (value: string) => void) => (value: string) => {
        set(value);
        setResults(undefined);
        setIsMade(false);
    };
    const touched = text !== "" && !isMade;
    return (
        <Dialog title="Create workspaces" touched={touched} onClose={onClose}>
            <ActionForm
                action={make}
                on={false}
                submit="Create"
                disabled={names.length === 0}
                touched={touched}
                beside={
                    <>
                        <Button onClick={onClose}>Close</Button>
                        <ActionButton action={make} on={true} disabled={names.length === 0}>
                            Dry run
                        </ActionButton>
                    </>
                }
            >
                <Field label="Names" hint="One per line." error={make.of("workspaces")}>
                    {(props) => (
                        <textarea
                            {...props}
                            rows={6}
                            required
                            autoFocus
                            value={text}
                            onChange={(event) => change(setText)(event.target.value)}
                        />
                    )}
                </Field>
                <SelectField
                    label="Copy settings from"
                    value={template}
                    onValue={change(setTemplate)}
                    options={[["", "None"], ...named(workspaces)]}
                />
                {results && (
                    <ul className="list" aria-label="Result" aria-live="polite">
                        {results.map((result) => (
                            <li key={result.name}>
                                <b className="strong grow break">{result.name}</b>
                                {result.error_code && <code className="small">{result.error_code}</code>}
                                <Status value={result.status} />
                            </li>
                        ))}
                    </ul>
                )}
            </ActionForm>
        </Dialog>
    );
}
