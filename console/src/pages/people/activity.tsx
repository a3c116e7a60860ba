// What one person did, and where they are signed in.

import { api, read } from "../../api/client";
import { deviceName } from "../../device";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Empty, When, words } from "../../ui/basics";
import { List } from "../../ui/list";
import { PersonName } from "../../ui/person-choice";

export function Activity({ id }: { id: number }) {
    return (
        <List
            name="Activity"
            of={["activity", id]}
            load={async ({ skip, size }) => {
                const answer = await read(
                    api.GET("/api/v1/users/{user_id}/activity", {
                        params: { path: { user_id: id }, query: { skip, limit: size } },
                    }),
                );
                return { items: answer.activities, total: answer.total_count };
            }}
            id={(each) => each.id}
            columns={[
                { head: "Action", cell: (each) => <code>{each.action}</code> },
                {
                    head: "On",
                    cell: (each) =>
                        each.resource_type ? `${words(each.resource_type)} ${each.resource_id ?? ""}` : "—",
                },
                {
                    head: "By",
                    cell: (each) =>
                        each.actor_id === each.user_id ? (
                            "Themselves"
                        ) : each.actor_id ? (
                            <PersonName id={each.actor_id} />
                        ) : (
                            "System"
                        ),
                },
                { head: "From", cell: (each) => <span className="small soft">{each.ip_address ?? "—"}</span> },
                { head: "When", cell: (each) => <When at={each.created_at} /> },
            ]}
            empty={<Empty title="No activity yet" />}
        />
    );
}

export function TheirSessions({ id }: { id: number }) {
    const may = useMay();
    const end = useAction(
        (session: number) =>
            read(api.DELETE("/api/v1/sessions/{session_id}", { params: { path: { session_id: session } } })),
        { done: "Signed out.", changes: [["sessions", id]] },
    );
    return (
        <List
            name="Sessions"
            of={["sessions", id]}
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/sessions", { params: { query: { user_id: id, page, page_size: size } } }),
                );
                return { items: answer.sessions, total: answer.total_count };
            }}
            id={(each) => each.id}
            columns={[
                {
                    head: "Where",
                    cell: (each) => (
                        <>
                            <div className="break">{deviceName(each.user_agent)}</div>
                            <div className="small soft">{each.ip_address}</div>
                        </>
                    ),
                },
                { head: "Started", cell: (each) => <When at={each.created_at} /> },
                { head: "Last used", cell: (each) => <When at={each.last_activity_at} /> },
                may("session.revoke") && {
                    head: "",
                    cell: (each) => (
                        <ActionButton small kind="danger" action={end} on={each.id}>
                            Sign out
                        </ActionButton>
                    ),
                },
            ]}
            empty={<Empty title="No sessions" />}
        />
    );
}
