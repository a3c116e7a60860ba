// The secrets by which an application proves who it is: several at once, so that one is changed without a gap.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Button, Card, Empty, SelectField, When } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { Dialog } from "../../ui/dialog";
import { Loaded } from "../../ui/loaded";
import { Secret } from "../../ui/secret";

export type Path = { org_id: number; app_id: number };

export function Secrets({ path, name }: { path: Path; name: string }) {
    const [shown, setShown] = useState<string>();
    const [adding, setAdding] = useState(false);
    const [replacing, setReplacing] = useState(false);
    const [days, setDays] = useState("");
    const all = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets";
    const secrets = useQuery({
        queryKey: ["secrets", path.app_id],
        queryFn: () => read(api.GET(all, { params: { path } })),
    });
    const add = useAction(
        () =>
            read(
                api.POST(all, {
                    params: { path },
                    body: { expires_in_days: days ? Number(days) : undefined },
                }),
            ),
        {
            changes: [["secrets"]],
            inline: true,
            onDone: (made) => {
                setShown(made.client_secret);
                setAdding(false);
            },
        },
    );
    const remove = useAction(
        (secret: number) => read(api.DELETE(`${all}/{secret}`, { params: { path: { ...path, secret } } })),
        { done: "Removed. It no longer works.", changes: [["secrets"]] },
    );
    return (
        <Card
            title="Secrets"
            actions={
                <>
                    <Button small onClick={() => setReplacing(true)}>
                        Replace all…
                    </Button>
                    <Button small onClick={() => setAdding(true)}>
                        Add a secret…
                    </Button>
                </>
            }
            flush
        >
            {shown && (
                <div style={{ padding: "14px 18px 0" }}>
                    <Secret secret={shown} of={name} />
                </div>
            )}
            <Loaded query={secrets} lines={2}>
                {(data) =>
                    data.secrets.length === 0 ? (
                        <Empty title="No secrets yet">It cannot authenticate until it has one.</Empty>
                    ) : (
                        <ul className="list">
                            {data.secrets.map((secret) => (
                                <li key={secret.id}>
                                    <code>{secret.prefix}…</code>
                                    <span className="grow small soft">
                                        Added <When at={secret.created_at} />, valid{" "}
                                        {secret.expires_at ? (
                                            <>
                                                until <When at={secret.expires_at} />
                                            </>
                                        ) : (
                                            "until removed"
                                        )}
                                    </span>
                                    <ActionButton
                                        small
                                        kind="danger"
                                        aria-label={`Remove ${secret.prefix}`}
                                        action={remove}
                                        on={secret.id}
                                    >
                                        Remove
                                    </ActionButton>
                                </li>
                            ))}
                        </ul>
                    )
                }
            </Loaded>
            {adding && (
                <Dialog title="Add a secret" onClose={() => setAdding(false)}>
                    <ActionForm action={add} submit="Add" onCancel={() => setAdding(false)}>
                        <p className="soft">
                            Existing secrets stay valid: switch to the new one, then remove the old one.
                        </p>
                        <SelectField
                            label="Valid for"
                            value={days}
                            onValue={setDays}
                            options={[
                                ["", "Until removed"],
                                ["90", "90 days"],
                                ["180", "180 days"],
                                ["365", "1 year"],
                            ]}
                            error={add.of("expires_in_days")}
                        />
                    </ActionForm>
                </Dialog>
            )}
            {replacing && (
                <Confirm
                    title="Replace all secrets?"
                    action="Replace"
                    run={() =>
                        read(
                            api.POST("/api/v1/organizations/{org_id}/oauth-applications/{app_id}/regenerate-secret", {
                                params: { path },
                            }),
                        )
                    }
                    changes={[["secrets"]]}
                    onDone={(made) => setShown(made.client_secret)}
                    onClose={() => setReplacing(false)}
                >
                    <p>
                        Its secrets and all its tokens are revoked immediately. To rotate a secret without downtime, add
                        one instead.
                    </p>
                </Confirm>
            )}
        </Card>
    );
}
