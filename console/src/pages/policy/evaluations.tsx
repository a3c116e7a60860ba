// The queries that a policy took part in.

import { Link } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { Empty, Status, When, words } from "../../ui/basics";
import { List } from "../../ui/list";
import { PersonName } from "../../ui/person-choice";

export function Evaluations({ id }: { id: string }) {
    const path = { policy_id: Number(id) };
    return (
        <List
            name="Evaluations"
            of={["evaluations", id]}
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/policies/{policy_id}/evaluations", {
                        params: { path, query: { page, page_size: size } },
                    }),
                );
                return { items: answer.items, total: answer.pagination.total_items };
            }}
            id={(each) => each.id}
            columns={[
                { head: "When", cell: (each) => <When at={each.evaluated_at} /> },
                {
                    head: "Who",
                    cell: (each) => (
                        <Link to="/people/$id" params={{ id: String(each.user_id) }}>
                            <PersonName id={each.user_id} />
                        </Link>
                    ),
                },
                { head: "Outcome", cell: (each) => <Status value={each.evaluation_result} /> },
                { head: "What it did", cell: (each) => words(each.action_taken) },
                {
                    head: "Run",
                    cell: (each) =>
                        each.query_id ? (
                            <Link to="/history/$id" params={{ id: String(each.query_id) }}>
                                {each.query_id}
                            </Link>
                        ) : (
                            "—"
                        ),
                },
            ]}
            empty={<Empty title="It has done nothing yet">Each query that it takes part in is listed here.</Empty>}
        />
    );
}
