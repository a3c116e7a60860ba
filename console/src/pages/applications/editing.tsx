// Changing what is said of an application.

import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionForm, useAction } from "../../ui/action";
import { BLANK, type Draft, Fields } from "./fields";
import { writtenKeys } from "./keys";
import type { Application } from "./pieces";
import type { Path } from "./secrets";

export function Editing({ application, path }: { application: Application; path: Path }) {
    const first: Draft = {
        ...application,
        description: application.description ?? "",
        keys: application.jwks ? "" : undefined,
    };
    const [draft, setDraft] = useState(first);
    // Only what has changed is sent: some of it is for who answers for the application alone.
    const changed = (Object.keys(BLANK) as (keyof Draft)[]).filter(
        (key) => JSON.stringify(draft[key]) !== JSON.stringify(first[key]),
    );
    const body = () =>
        Object.fromEntries(
            changed.map((key) =>
                key === "keys"
                    ? ["jwks", writtenKeys(draft.keys ?? "")]
                    : [key, key === "description" ? draft.description || null : draft[key]],
            ),
        );
    const touched = changed.length > 0;
    const save = useAction(
        async () =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/oauth-applications/{app_id}", {
                    params: { path },
                    body: body(),
                }),
            ),
        { done: "Saved.", changes: [["application"], ["applications"]], inline: true },
    );
    return (
        <ActionForm action={save} submit="Save" disabled={!touched} touched={touched}>
            <Fields draft={draft} onDraft={setDraft} of={save.of} />
        </ActionForm>
    );
}
