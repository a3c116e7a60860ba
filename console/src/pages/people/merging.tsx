// Folding an account into another of the same person: what comes of it is told before it is done.

import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Card, Note } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { PersonChoice } from "../../ui/person-choice";

export function MergeCard({ id, name }: { id: number; name: string }) {
    const navigate = useNavigate();
    const [target, setTarget] = useState("");
    const [planned, setPlanned] = useState<Schemas["MergedUsers"]>();
    const merge = (isDry: boolean) =>
        read(
            api.POST("/api/v1/users/merge", {
                body: { source_user_id: id, target_user_id: Number(target), dry_run: isDry },
            }),
        );
    const plan = useAction(() => merge(true), { onDone: setPlanned });
    return (
        <Card title="Merge">
            <div className="row apart">
                <p className="soft">Merge this account into another account of the same person.</p>
                <span className="row">
                    <PersonChoice
                        isCompact
                        label="Into"
                        none="Into…"
                        without={[id]}
                        value={target}
                        onValue={setTarget}
                    />
                    <ActionButton action={plan} on={undefined} disabled={!target}>
                        Merge…
                    </ActionButton>
                </span>
            </div>
            {planned && (
                <Confirm
                    title={`Merge ${name}?`}
                    action="Merge"
                    run={() => merge(false)}
                    changes={[["members"], ["person"]]}
                    onDone={() => void navigate({ to: "/people/$id", params: { id: target } })}
                    onClose={() => setPlanned(undefined)}
                >
                    <p>This account is closed and everything it has moves to the other one. This cannot be undone.</p>
                    <p className="soft">
                        The other account joins these organizations: {planned.moved.memberships}. It becomes the owner
                        in these organizations: {planned.moved.possessions}.
                    </p>
                    {planned.conflicts.map((each) => (
                        <Note key={each.organization_id} tone="warn">
                            Both are members: the other account keeps {each.kept_roles.join(", ") || "no role"}, and{" "}
                            {each.dropped_roles.join(", ") || "no role"} of this one is dropped.
                        </Note>
                    ))}
                </Confirm>
            )}
        </Card>
    );
}
