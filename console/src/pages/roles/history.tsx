// Who got and lost a role, and by whom.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { Empty, When, words } from "../../ui/basics";
import { Table } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { PersonName } from "../../ui/person-choice";
import { WorkspaceName } from "../../ui/workspace-name";

/** As many as the server tells, the newest. */
const MOST = 100;

export function History({ id }: { id: number }) {
    const role = useQuery({
        queryKey: ["role", String(id), "history"],
        queryFn: () => read(api.GET("/api/v1/roles/{role_id}", { params: { path: { role_id: id } } })),
    });
    return (
        <Loaded query={role}>
            {({ role: { assignment_history: events } }) =>
                events.length === 0 ? (
                    <div className="card">
                        <Empty title="No changes yet" />
                    </div>
                ) : (
                    <>
                        <Table
                            name="History"
                            items={events.map((event, index) => ({ ...event, index }))}
                            id={(event) => event.index}
                            columns={[
                                {
                                    head: "Person",
                                    cell: (event) => (
                                        <Link
                                            className="strong"
                                            to="/people/$id"
                                            params={{ id: String(event.user_id) }}
                                        >
                                            <PersonName id={event.user_id} />
                                        </Link>
                                    ),
                                },
                                { head: "Change", cell: (event) => words(event.action) },
                                {
                                    head: "Where",
                                    cell: (event) =>
                                        event.workspace_id == null ? (
                                            "Whole organization"
                                        ) : (
                                            <WorkspaceName id={event.workspace_id} />
                                        ),
                                },
                                {
                                    head: "By",
                                    cell: (event) =>
                                        event.actor_id == null ? "System" : <PersonName id={event.actor_id} />,
                                },
                                { head: "When", cell: (event) => <When at={event.created_at} /> },
                            ]}
                        />
                        {events.length >= MOST && (
                            <p className="small soft">The latest hundred. The audit log has all of them.</p>
                        )}
                    </>
                )
            }
        </Loaded>
    );
}
