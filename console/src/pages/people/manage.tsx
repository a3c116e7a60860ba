// What an administrator does about one person: access, their data, merging accounts, removal.

import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Button, Card } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { PersonChoice } from "../../ui/person-choice";
import { DataCard } from "./data-card";

export function Manage({ id, name, status }: { id: number; name: string; status: string }) {
    const may = useMay();
    const organization = useOrganization();
    const navigate = useNavigate();
    const [heir, setHeir] = useState("");
    const [target, setTarget] = useState("");
    const [removing, setRemoving] = useState(false);
    const [merging, setMerging] = useState(false);
    const change = useAction(
        (next: "active" | "suspended") =>
            read(
                api.PUT("/api/v1/users/{user_id}/status", {
                    params: { path: { user_id: id } },
                    body: { status: next },
                }),
            ),
        { done: "Done.", changes: [["person", String(id)], ["members"]] },
    );
    return (
        <div className="stack">
            {may("user.suspend") && (
                <Card title="Access">
                    <div className="row apart">
                        <p className="soft">
                            {status === "active"
                                ? "Suspended people cannot come in; what they own stays."
                                : "They cannot come in now."}
                        </p>
                        {status === "active" ? (
                            <ActionButton kind="danger" action={change} on="suspended">
                                Suspend
                            </ActionButton>
                        ) : (
                            <ActionButton kind="primary" action={change} on="active">
                                Let in again
                            </ActionButton>
                        )}
                    </div>
                </Card>
            )}
            {may("user.export") && (
                <DataCard
                    title="Their data"
                    text="All that is kept about them here (GDPR, articles 15 and 20)."
                    person={id}
                    organization={organization}
                    name={`person-${id}`}
                    done="Downloaded. They are told by mail."
                />
            )}
            {may("user.merge") && (
                <Card title="Merge">
                    <div className="row apart">
                        <p className="soft">Fold this account into another of the same person.</p>
                        <span className="row">
                            <PersonChoice
                                isCompact
                                label="Into"
                                none="Into…"
                                without={[id]}
                                value={target}
                                onValue={setTarget}
                            />
                            <Button disabled={!target} onClick={() => setMerging(true)}>
                                Merge…
                            </Button>
                        </span>
                    </div>
                </Card>
            )}
            {may("member.remove") && (
                <Card title="Remove">
                    <div className="row apart">
                        <p className="soft">
                            They leave the organization; what they own goes to somebody else, or stays without an owner.
                        </p>
                        <span className="row">
                            <PersonChoice
                                isCompact
                                label="What they own goes to"
                                none="Nobody"
                                without={[id]}
                                value={heir}
                                onValue={setHeir}
                            />
                            <Button kind="danger" onClick={() => setRemoving(true)}>
                                Remove…
                            </Button>
                        </span>
                    </div>
                </Card>
            )}
            {removing && (
                <Confirm
                    title={`Remove ${name}?`}
                    action="Remove"
                    run={() =>
                        read(
                            api.DELETE("/api/v1/organizations/{org_id}/members/{user_id}", {
                                params: {
                                    path: { org_id: organization, user_id: id },
                                    query: { transfer_to: heir ? Number(heir) : undefined },
                                },
                            }),
                        )
                    }
                    changes={[["members"]]}
                    onDone={() => void navigate({ to: "/people" })}
                    onClose={() => setRemoving(false)}
                >
                    <p>Their sessions in this organization end at once.</p>
                </Confirm>
            )}
            {merging && (
                <Confirm
                    title={`Merge ${name}?`}
                    action="Merge"
                    run={() =>
                        read(
                            api.POST("/api/v1/users/merge", {
                                body: { source_user_id: id, target_user_id: Number(target) },
                            }),
                        )
                    }
                    changes={[["members"], ["person"]]}
                    onDone={() => void navigate({ to: "/people/$id", params: { id: target } })}
                    onClose={() => setMerging(false)}
                >
                    <p>This account ends; what it had is the other's. This cannot be undone.</p>
                </Confirm>
            )}
        </div>
    );
}
