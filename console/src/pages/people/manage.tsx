// What an administrator does about one person: their name, access, their data, merging accounts, removal.

import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Button, Card, Check } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { NameForm } from "../../ui/naming";
import { PersonChoice } from "../../ui/person-choice";
import { Unsaved } from "../../ui/unsaved";
import { DataCard } from "./data-card";
import { MergeCard } from "./merging";

export function Manage({ person }: { person: Schemas["UserDetail"] }) {
    const { id, email, status } = person;
    const name = person.display_name || email;
    const may = useMay();
    const organization = useOrganization();
    const navigate = useNavigate();
    const [heir, setHeir] = useState("");
    const [removing, setRemoving] = useState(false);
    const [erasing, setErasing] = useState(false);
    const [reason, setReason] = useState("");
    const changes = [["person", String(id)], ["members"]];
    const change = useAction(
        (next: "active" | "suspended") =>
            read(
                api.PUT("/api/v1/users/{user_id}/status", {
                    params: { path: { user_id: id } },
                    body: { status: next, reason: reason.trim() || undefined },
                }),
            ),
        { done: "Done.", changes, onDone: () => setReason("") },
    );
    const rename = useAction(
        (display_name: string) =>
            read(
                api.PUT("/api/v1/users/{user_id}", {
                    params: { path: { user_id: id } },
                    body: { display_name },
                }),
            ),
        { done: "Saved.", changes: [...changes, ["people"]], inline: true },
    );
    const leaving = heir ? Number(heir) : undefined;
    return (
        <div className="stack">
            {may("user.update") && (
                <Card title="Name">
                    <NameForm key={person.display_name} name={person.display_name} save={rename} />
                </Card>
            )}
            {may("user.suspend") && (
                <Card title="Access">
                    <div className="row apart">
                        <p className="soft">
                            {status === "active"
                                ? "Suspended people cannot sign in. What they own is kept."
                                : "This person is suspended and cannot sign in."}
                        </p>
                        <span className="row">
                            <input
                                type="text"
                                className="compact"
                                style={{ width: 220 }}
                                aria-label="Reason, for the audit log"
                                placeholder="Reason, for the audit log"
                                value={reason}
                                onChange={(event) => setReason(event.target.value)}
                            />
                            {status === "active" ? (
                                <ActionButton kind="danger" action={change} on="suspended">
                                    Suspend
                                </ActionButton>
                            ) : (
                                <ActionButton kind="primary" action={change} on="active">
                                    Reactivate
                                </ActionButton>
                            )}
                        </span>
                    </div>
                    <Unsaved touched={reason !== ""} busy={change.busy} what="The reason is" />
                </Card>
            )}
            {may("user.export") && (
                <DataCard
                    title="Their data"
                    text="Everything stored about this person here (GDPR, articles 15 and 20)."
                    person={id}
                    organization={organization}
                    name={`person-${id}`}
                    done="Downloaded. They are notified by e-mail."
                />
            )}
            {may("user.merge") && <MergeCard id={id} name={name} />}
            {may("member.remove") && (
                <Card title="Remove">
                    <div className="row apart">
                        <p className="soft">
                            Removes this person from the organization. What they own goes to someone else, or stays
                            without an owner.
                        </p>
                        <span className="row">
                            <PersonChoice
                                isCompact
                                label="New owner of what they own"
                                none="Nobody"
                                without={[id]}
                                value={heir}
                                onValue={setHeir}
                            />
                            <Button
                                kind="danger"
                                onClick={() => {
                                    setErasing(false);
                                    setRemoving(true);
                                }}
                            >
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
                    word={erasing ? email : undefined}
                    run={() =>
                        erasing
                            ? read(
                                  api.DELETE("/api/v1/users/{user_id}", {
                                      params: { path: { user_id: id }, query: { transfer_to: leaving, erase: true } },
                                  }),
                              )
                            : read(
                                  api.DELETE("/api/v1/organizations/{org_id}/members/{user_id}", {
                                      params: {
                                          path: { org_id: organization, user_id: id },
                                          query: { transfer_to: leaving },
                                      },
                                  }),
                              )
                    }
                    changes={[["members"]]}
                    onDone={() => void navigate({ to: "/people" })}
                    onClose={() => setRemoving(false)}
                >
                    <p>Their sessions in this organization end immediately.</p>
                    {may("user.delete") && (
                        <Check
                            label="Delete the account too"
                            hint="Only if it belongs to no other organization. It closes immediately and is deleted after thirty days."
                            checked={erasing}
                            onChange={(event) => setErasing(event.target.checked)}
                        />
                    )}
                </Confirm>
            )}
        </div>
    );
}
