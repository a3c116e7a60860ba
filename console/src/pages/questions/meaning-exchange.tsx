// Much of what the data means at once: proposed from its schemas, or read from a document.

import { useState } from "react";
import { api, read } from "../../api/client";
import { useSources } from "../../choices";
import { ActionForm, useAction } from "../../ui/action";
import { Field } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { SourceChips } from "../templates/pieces";

export function ProposeDialog({ onClose }: { onClose: () => void }) {
    const sources = useSources();
    const [chosen, setChosen] = useState<number[]>();
    const all = (sources.data?.items ?? []).filter((source) => source.status === "active").map((source) => source.id);
    const ids = chosen ?? all;
    const propose = useAction(
        () => read(api.POST("/api/v1/prompts/semantic-layer/proposals", { body: { data_source_ids: ids } })),
        {
            done: ({ proposed }) =>
                proposed === 0 ? "Nothing new found." : `${proposed} ${proposed === 1 ? "join" : "joins"} to review.`,
            changes: [["meaning"]],
            inline: true,
            onDone: onClose,
        },
    );
    return (
        <Dialog title="Find joins" onClose={onClose}>
            <ActionForm action={propose} submit="Find" disabled={ids.length === 0} onCancel={onClose}>
                <p className="soft">
                    Searches the schemas of these sources and past queries. Nothing takes effect until it is confirmed.
                </p>
                <SourceChips chosen={ids} onChosen={setChosen} error={propose.of("data_source_ids")} />
            </ActionForm>
        </Dialog>
    );
}

export function ImportDialog({ onClose }: { onClose: () => void }) {
    const [text, setText] = useState("");
    const take = useAction(
        () => read(api.POST("/api/v1/prompts/semantic-layer/import", { body: { document: text } })),
        {
            done: ({ imported }) => `${imported} ${imported === 1 ? "definition" : "definitions"} imported.`,
            changes: [["meaning"]],
            inline: true,
            onDone: onClose,
        },
    );
    return (
        <Dialog title="Import definitions" wide touched={text !== ""} onClose={onClose}>
            <ActionForm action={take} submit="Import" onCancel={onClose} touched={text !== ""} what="The text is">
                <label className="field">
                    <span className="label">File</span>
                    <input
                        type="file"
                        className="input"
                        accept=".yaml,.yml"
                        onChange={async (event) => {
                            const file = event.target.files?.[0];
                            if (file) setText(await file.text());
                        }}
                    />
                </label>
                <Field
                    label="YAML"
                    hint="In the format of the export. Either all of it is imported or nothing."
                    error={take.of("document")}
                >
                    {(props) => (
                        <textarea
                            {...props}
                            className="mono"
                            rows={10}
                            spellCheck={false}
                            required
                            value={text}
                            onChange={(event) => setText(event.target.value)}
                        />
                    )}
                </Field>
            </ActionForm>
        </Dialog>
    );
}
