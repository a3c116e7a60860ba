// What a policy was before, and the way back to it.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Button, Empty, Facts, When, words } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { List } from "../../ui/list";
import { Loaded } from "../../ui/loaded";

export function Versions({ id, now }: { id: string; now: number }) {
    const may = useMay();
    const path = { policy_id: Number(id) };
    const [shown, setShown] = useState<number>();
    const restore = useAction(
        (version: number) =>
            read(
                api.POST("/api/v1/policies/{policy_id}/versions/{version}/restore", {
                    params: { path: { ...path, version } },
                }),
            ),
        { done: "This version is current again.", changes: [["policy", id], ["versions", id], ["policies"]] },
    );
    const whole = useQuery({
        queryKey: ["version", id, shown],
        enabled: shown !== undefined,
        queryFn: () =>
            read(
                api.GET("/api/v1/policies/{policy_id}/versions/{version}", {
                    params: { path: { ...path, version: shown ?? 0 } },
                }),
            ),
    });
    return (
        <>
            <List
                name="Versions"
                of={["versions", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/policies/{policy_id}/versions", {
                            params: { path, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.version}
                columns={[
                    {
                        head: "Version",
                        cell: (each) => (
                            <Button small kind="quiet" onClick={() => setShown(each.version)}>
                                {each.version}
                                {each.version === now ? " (now)" : ""}
                            </Button>
                        ),
                    },
                    { head: "When", cell: (each) => <When at={each.changed_at} /> },
                    {
                        head: "Change",
                        cell: (each) =>
                            each.changes.length > 0
                                ? each.changes.map((change) => words(change.field)).join(", ")
                                : "Created",
                    },
                    may("policy.write") && {
                        head: "",
                        cell: (each) =>
                            each.version !== now && (
                                <ActionButton small action={restore} on={each.version}>
                                    Restore
                                </ActionButton>
                            ),
                    },
                ]}
                empty={<Empty title="No versions" />}
            />
            {shown !== undefined && (
                <Dialog title={`Version ${shown}`} wide onClose={() => setShown(undefined)}>
                    <Loaded query={whole}>
                        {(data) => (
                            <>
                                <Facts of={[["When", <When key="when" at={data.changed_at} />]]} />
                                <pre className="code-block">{JSON.stringify(data.definition, null, 2)}</pre>
                            </>
                        )}
                    </Loaded>
                    <div className="form-end">
                        <Button onClick={() => setShown(undefined)}>Close</Button>
                    </div>
                </Dialog>
            )}
        </>
    );
}
