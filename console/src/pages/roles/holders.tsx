// Who holds a role, and giving and taking it.

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { usePeople } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Empty, When } from "../../ui/basics";
import { DayField, midnight } from "../../ui/day";
import { List } from "../../ui/list";
import { PersonChoice, personName } from "../../ui/person-choice";
import { WorkspaceName } from "../../ui/workspace-name";

export function Holders({ id }: { id: number }) {
    const may = useMay();
    const people = usePeople();
    const [person, setPerson] = useState("");
    const [until, setUntil] = useState("");
    const changes = [["holders", id], ["roles"], ["role", String(id), "history"]];
    const give = useAction(
        () =>
            read(
                api.POST("/api/v1/roles/{role_id}/assignments", {
                    params: { path: { role_id: id } },
                    body: { user_id: Number(person), expires_at: midnight(until, 1) },
                }),
            ),
        { done: "Assigned.", changes },
    );
    const take = useAction(
        (assignment: number) =>
            read(
                api.DELETE("/api/v1/roles/{role_id}/assignments/{assignment_id}", {
                    params: { path: { role_id: id, assignment_id: assignment } },
                }),
            ),
        { done: "Removed.", changes },
    );
    const name = (user: number) => {
        const found = people.data?.users.find((each) => each.id === user);
        return found ? personName(found) : `Person ${user}`;
    };
    return (
        <List
            name="Who holds it"
            of={["holders", id]}
            filters={
                may("role.assign") && (
                    <>
                        <PersonChoice isCompact label="Person" none="Assign to…" value={person} onValue={setPerson} />
                        <DayField label="until" day={until} onDay={setUntil} />
                        <ActionButton small disabled={!person} action={give} on={undefined}>
                            Assign
                        </ActionButton>
                    </>
                )
            }
            load={async ({ skip, size }) => {
                const answer = await read(
                    api.GET("/api/v1/roles/{role_id}/assignments", {
                        params: { path: { role_id: id }, query: { skip, limit: size } },
                    }),
                );
                return { items: answer.assignments, total: answer.total_count };
            }}
            id={(each) => each.id}
            columns={[
                {
                    head: "Person",
                    cell: (each) => (
                        <Link className="strong" to="/people/$id" params={{ id: String(each.user_id) }}>
                            {name(each.user_id)}
                        </Link>
                    ),
                },
                {
                    head: "Where",
                    cell: (each) =>
                        each.workspace_id ? <WorkspaceName id={each.workspace_id} /> : "Whole organization",
                },
                { head: "Since", cell: (each) => <When at={each.created_at} /> },
                { head: "Until", cell: (each) => <When at={each.expires_at} never="removed" /> },
                may("role.assign") && {
                    head: "",
                    cell: (each) => (
                        <ActionButton small kind="danger" action={take} on={each.id}>
                            Remove
                        </ActionButton>
                    ),
                },
            ]}
            empty={<Empty title="Not assigned to anyone yet" />}
        />
    );
}
