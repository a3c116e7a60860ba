// What is kept of a saved question: its name, its tags, and whether it is kept at all.

import { useState } from "react";
import { api, read } from "../../api/client";
import { useAction } from "../../ui/action";
import { Badge, Button, Problem, TextField } from "../../ui/basics";
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
        { done: "Deleted. It can be restored from the list.", changes: [["prompts"]], onDone },
    );
}

export function Rename({ question, onClose }: { question: Saved; onClose: () => void }) {
    const [name, setName] = useState(question.name ?? "");
    const [tags, setTags] = useState(question.tags.join(", "));
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
        <Dialog title="Name and tags" onClose={onClose}>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void save.start(undefined);
                }}
            >
                <TextField label="Name" value={name} onValue={setName} autoFocus error={save.of("name")} />
                <TagsField value={tags} onValue={setTags} error={save.of("tags")} />
                {save.error !== undefined && <Problem error={save.error} />}
                <div className="form-end">
                    <Button onClick={onClose}>Cancel</Button>
                    <Button kind="primary" type="submit" busy={save.busy}>
                        Save
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}
