// The organization's name, and its end.

import { useState } from "react";
import { api, read } from "../../api/client";
import { session } from "../../session";
import { useMay } from "../../standing";
import { useAction } from "../../ui/action";
import { Card } from "../../ui/basics";
import { Confirm, DeleteCard } from "../../ui/confirm";
import { NameForm } from "../../ui/naming";
import { giveUp } from "../../ui/unsaved";

export function General({ name: first, id }: { name: string; id: number }) {
    const may = useMay();
    const [deleting, setDeleting] = useState(false);
    const save = useAction(
        (name: string) =>
            read(api.PATCH("/api/v1/organizations/{org_id}", { params: { path: { org_id: id } }, body: { name } })),
        { done: "Saved.", changes: [["organization", id], ["me"]], inline: true },
    );
    return (
        <div className="stack">
            <Card title="Name">
                <NameForm key={first} name={first} save={save} disabled={!may("organization.update")} />
            </Card>
            {may("organization.delete") && (
                <DeleteCard title="Delete the organization" onDelete={() => setDeleting(true)}>
                    Deletes its sources, files, policies and records.
                </DeleteCard>
            )}
            {deleting && (
                <Confirm
                    title={`Delete ${first}?`}
                    word={first}
                    action="Delete"
                    run={() =>
                        read(
                            api.DELETE("/api/v1/organizations/{org_id}", {
                                params: { path: { org_id: id } },
                                body: { confirm_name: first },
                            }),
                        )
                    }
                    onDone={() => {
                        giveUp();
                        session.end();
                    }}
                    onClose={() => setDeleting(false)}
                >
                    <p>Everyone loses access immediately.</p>
                </Confirm>
            )}
        </div>
    );
}
