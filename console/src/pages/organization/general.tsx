// The organization's name, and its end.

import { useState } from "react";
import { api, read } from "../../api/client";
import { session } from "../../session";
import { useMay } from "../../standing";
import { useAction } from "../../ui/action";
import { Button, Card, Problem } from "../../ui/basics";
import { Confirm } from "../../ui/dialog";

export function General({ name: first, id }: { name: string; id: number }) {
    const may = useMay();
    const [name, setName] = useState(first);
    const [deleting, setDeleting] = useState(false);
    const save = useAction(
        () => read(api.PATCH("/api/v1/organizations/{org_id}", { params: { path: { org_id: id } }, body: { name } })),
        { done: "Saved.", changes: [["organization", id], ["me"]], inline: true },
    );
    return (
        <div className="stack">
            <Card title="Name">
                <form
                    className="row"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void save.start(undefined);
                    }}
                >
                    <div className="grow">
                        <input
                            type="text"
                            aria-label="Name"
                            value={name}
                            disabled={!may("organization.update")}
                            onChange={(event) => setName(event.target.value)}
                        />
                    </div>
                    {may("organization.update") && (
                        <Button type="submit" kind="primary" busy={save.busy} disabled={name === first}>
                            Save
                        </Button>
                    )}
                </form>
                {save.error !== undefined && <Problem error={save.error} />}
            </Card>
            {may("organization.delete") && (
                <Card title="Delete the organization">
                    <div className="row apart">
                        <p className="soft">Its sources, files, policies and records go with it.</p>
                        <Button kind="danger" onClick={() => setDeleting(true)}>
                            Delete…
                        </Button>
                    </div>
                </Card>
            )}
            {deleting && (
                <Confirm
                    title={`Delete ${first}?`}
                    word={first}
                    action="Delete"
                    onClose={() => setDeleting(false)}
                    onConfirm={async () => {
                        await read(
                            api.DELETE("/api/v1/organizations/{org_id}", {
                                params: { path: { org_id: id } },
                                body: { confirm_name: first },
                            }),
                        );
                        session.end();
                    }}
                >
                    <p>Everybody loses it at once.</p>
                </Confirm>
            )}
        </div>
    );
}
