// Where one is signed in, and the devices that are trusted.

import { useState } from "react";
import { api, read } from "../../api/client";
import { deviceName } from "../../device";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Empty, Filter, When } from "../../ui/basics";
import { List } from "../../ui/list";
import { Devices } from "../people/devices";
import { MyPage } from "./my-page";

export function SessionsPage() {
    const end = useAction(
        (id: number) => read(api.DELETE("/api/v1/sessions/{session_id}", { params: { path: { session_id: id } } })),
        { done: "Signed out.", changes: [["sessions"]] },
    );
    const all = useAction(() => read(api.POST("/api/v1/auth/logout-all", { body: { except_current: true } })), {
        done: "Signed out everywhere else.",
        changes: [["sessions"]],
    });
    const [which, setWhich] = useState("");
    return (
        <MyPage
            title="Sessions and devices"
            lead="Where you are signed in. If you do not recognize a session, end it and change your password."
        >
            <List
                name="Sessions"
                of={["sessions", "own", which]}
                filters={
                    <>
                        <Filter
                            label="Which"
                            value={which}
                            onValue={setWhich}
                            options={[
                                ["", "Active"],
                                ["all", "All, including ended"],
                            ]}
                        />
                        <ActionButton small kind="danger" action={all} on={undefined}>
                            Sign out everywhere else
                        </ActionButton>
                    </>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sessions", {
                            params: { query: { page, page_size: size, include_revoked: which === "all" || undefined } },
                        }),
                    );
                    return { items: answer.sessions, total: answer.total_count };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Where",
                        cell: (each) => (
                            <>
                                <span className="row">
                                    <b className="strong">{deviceName(each.user_agent)}</b>
                                    {each.is_current && <Badge tone="good">This session</Badge>}
                                </span>
                                <span className="small soft">{each.ip_address}</span>
                            </>
                        ),
                    },
                    { head: "Started", cell: (each) => <When at={each.created_at} /> },
                    { head: "Last used", cell: (each) => <When at={each.last_activity_at} /> },
                    which === "all" && { head: "Ended", cell: (each) => <When at={each.revoked_at} never="open" /> },
                    {
                        head: "",
                        cell: (each) =>
                            !each.is_current &&
                            !each.revoked_at && (
                                <ActionButton small kind="danger" action={end} on={each.id}>
                                    Sign out
                                </ActionButton>
                            ),
                    },
                ]}
                empty={<Empty title="No sessions" />}
            />
            <Devices none="None. You can trust a device for a month after entering a second factor on it." />
        </MyPage>
    );
}
