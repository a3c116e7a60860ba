// What is kept of a saved question: its name, its tags, and whether it is kept at all.

import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { Badge, SelectField, TextField } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { Dialog } from "../../ui/dialog";
import { TagsField, tagsOf } from "../about-answer";

export const Tags = ({ of }: { of: string[] }) =>
    of.map((tag) => (
        <Badge key={tag} tone="accent">
            {tag}
        </Badge>
    ));

export type Saved = { id: number; name?: string | null; prompt_text: string; tags: string[] };

export const changes = [["prompts"], ["prompt"]];

export function useRemove(onDone?: () => void) {
    return useAction(
        (id: number) => read(api.DELETE("/api/v1/prompts/{prompt_id}", { params: { path: { prompt_id: id } } })),
        { done: "Deleted. You can restore it from the list.", changes: [["prompts"]], onDone },
    );
}

/** Deletes what one saved oneself, of a time. */
export function Clear({ onClose }: { onClose: () => void }) {
    const [period, setPeriod] = useState("last_30_days");
    return (
        <Confirm
            title="Delete your saved questions?"
            action="Delete"
            run={() =>
                read(
                    api.DELETE("/api/v1/prompts/history/clear", {
                        params: { query: { time_period: period as "all" } },
                    }),
                )
            }
            done={({ deleted_count }) => `${deleted_count} ${deleted_count === 1 ? "question" : "questions"} deleted.`}
            changes={[["prompts"]]}
            onClose={onClose}
        >
            <SelectField
                label="Last asked"
                value={period}
                onValue={setPeriod}
                options={[
                    ["last_7_days", "In the last 7 days"],
                    ["last_30_days", "In the last 30 days"],
                    ["last_90_days", "In the last 90 days"],
                    ["all", "At any time"],
                ]}
            />
            <p>Only your own questions. You can restore each of them from the deleted ones.</p>
        </Confirm>
    );
}

export function Rename({ question, onClose }: { question: Saved; onClose: () => void }) {
    const [name, setName] = useState(question.name ?? "");
    const [tags, setTags] = useState(question.tags.join(", "));
    const touched = name !== (question.name ?? "") || tags !== question.tags.join(", ");
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/prompts/{prompt_id}", {
                    params: { path: { prompt_id: question.id } },
                    body: { name: name.trim() || null, tags: tagsOf(tags) },
                }),
            ),
        { done: "Saved.", changes, inline: true, onDone: onClose },
    );
    return (
        <Dialog title="Name and tags" touched={touched} onClose={onClose}>
            <ActionForm action={save} submit="Save" disabled={!touched} onCancel={onClose} touched={touched}>
                <TextField label="Name" value={name} onValue={setName} autoFocus error={save.of("name")} />
                <TagsField value={tags} onValue={setTags} error={save.of("tags")} />
            </ActionForm>
        </Dialog>
    );
}
