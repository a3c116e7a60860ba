// The queries that a policy took part in.

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { Empty, Status, When, count, words } from "../../ui/basics";
import { DayField, midnight } from "../../ui/day";
import { List } from "../../ui/list";
import { PersonChoice, PersonName } from "../../ui/person-choice";

export function Evaluations({ id }: { id: string }) {
    const path = { policy_id: Number(id) };
    const may = useMay();
    const [person, setPerson] = useState("");
    const [from, setFrom] = useState("");
    const [to, setTo] = useState("");
    const filters = {
        user_id: person ? Number(person) : undefined,
        start_date: midnight(from),
        end_date: midnight(to, 1),
    };
    const isNarrowed = person !== "" || from !== "" || to !== "";
    return (
        <List
            name="Evaluations"
            of={["evaluations", id, filters]}
            filters={
                <>
                    {may("user.read") && (
                        <PersonChoice isCompact label="Person" none="Anyone" value={person} onValue={setPerson} />
                    )}
                    <DayField label="From" day={from} onDay={setFrom} />
                    <DayField label="to" day={to} onDay={setTo} />
                </>
            }
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/policies/{policy_id}/evaluations", {
                        params: { path, query: { ...filters, page, page_size: size } },
                    }),
                );
                return { items: answer.items, total: answer.pagination.total_items };
            }}
            id={(each) => each.id}
            columns={[
                { head: "When", cell: (each) => <When at={each.evaluated_at} /> },
                {
                    head: "Person",
                    cell: (each) => (
                        <Link to="/people/$id" params={{ id: String(each.user_id) }}>
                            <PersonName id={each.user_id} />
                        </Link>
                    ),
                },
                { head: "Outcome", cell: (each) => <Status value={each.evaluation_result} /> },
                { head: "Effect", cell: (each) => words(each.action_taken) },
                { head: "Rows", numeric: true, cell: (each) => count(each.evaluation_details.rows_returned) },
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
            empty={
                isNarrowed ? (
                    <Empty title="No matching evaluations" />
                ) : (
                    <Empty title="No evaluations yet">Every query this policy applies to is listed here.</Empty>
                )
            }
        />
    );
}
