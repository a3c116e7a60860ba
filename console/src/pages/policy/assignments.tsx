// Whom a policy governs, and over what.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, read } from "../../api/client";
import { CHOICE, named, usePeople, useRoles, useSources, useWorkspacesHere } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Button, Empty, SelectField, When } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { List } from "../../ui/list";
import { PersonChoice, personName } from "../../ui/person-choice";
import { WorkspaceName } from "../../ui/workspace-name";

const UNBOUND = { data_source_id: "", dataset_id: "", role_id: "", user_id: "", workspace_id: "" };

export function Assignments({ id }: { id: string }) {
    const may = useMay();
    const path = { policy_id: Number(id) };
    const [adding, setAdding] = useState(false);
    const [form, setForm] = useState(UNBOUND);
    const close = () => {
        setForm(UNBOUND);
        setAdding(false);
    };
    const sources = useSources();
    const roles = useRoles();
    const people = usePeople();
    const workspaces = useWorkspacesHere();
    const tables = useQuery({
        queryKey: ["schemas", Number(form.data_source_id), "names"],
        meta: CHOICE,
        enabled: form.data_source_id !== "",
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources/{data_source_id}/schemas", {
                    params: {
                        path: { data_source_id: Number(form.data_source_id) },
                        query: { include_columns: false, page_size: 1000 },
                    },
                }),
            ),
    });
    const changes = [
        ["assignments", id],
        ["policy", id],
    ];
    const number = (text: string) => (text ? Number(text) : undefined);
    const add = useAction(
        () =>
            read(
                api.POST("/api/v1/policies/{policy_id}/assignments", {
                    params: { path },
                    body: {
                        data_source_id: number(form.data_source_id),
                        dataset_id: number(form.dataset_id),
                        role_id: number(form.role_id),
                        user_id: number(form.user_id),
                        workspace_id: number(form.workspace_id),
                    },
                }),
            ),
        { done: "Assigned.", changes, inline: true, onDone: close },
    );
    const remove = useAction(
        (assignment: number) =>
            read(
                api.DELETE("/api/v1/policies/{policy_id}/assignments/{policy_assignment_id}", {
                    params: { path: { ...path, policy_assignment_id: assignment } },
                }),
            ),
        { done: "Removed.", changes },
    );
    const nameIn = (list: { id: number; name: string }[] | undefined, each: number | null | undefined) =>
        list?.find((one) => one.id === each)?.name;
    const persons = people.data?.users.map((person) => ({ id: person.id, name: personName(person) }));
    return (
        <div className="stack">
            <div className="row apart">
                <p className="soft">An assignment applies when all of its columns match. Any one of them is enough.</p>
                {may("policy.write") && <Button onClick={() => setAdding(true)}>Add assignment</Button>}
            </div>
            <List
                name="Assignments"
                of={["assignments", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/policies/{policy_id}/assignments", {
                            params: { path, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Source",
                        cell: (each) =>
                            nameIn(sources.data?.items, each.data_source_id ?? each.dataset_source_id) ??
                            (each.data_source_id ? `Source ${each.data_source_id}` : "Every source"),
                    },
                    { head: "Table", cell: (each) => each.dataset_name ?? "Every table" },
                    {
                        head: "Workspace",
                        cell: (each) =>
                            each.workspace_id ? <WorkspaceName id={each.workspace_id} /> : "Every workspace",
                    },
                    { head: "Role", cell: (each) => each.role_name ?? "Every role" },
                    {
                        head: "Person",
                        cell: (each) =>
                            nameIn(persons, each.user_id) ?? (each.user_id ? `User ${each.user_id}` : "Everyone"),
                    },
                    { head: "Since", cell: (each) => <When at={each.applied_at} /> },
                    may("policy.write") && {
                        head: "",
                        cell: (each) => (
                            <ActionButton small kind="danger" action={remove} on={each.id}>
                                Remove
                            </ActionButton>
                        ),
                    },
                ]}
                empty={<Empty title="Not assigned yet">Assign it to a source, a role, a person or a workspace.</Empty>}
            />
            {adding && (
                <Dialog title="Add assignment" touched={form !== UNBOUND} onClose={close}>
                    <ActionForm
                        action={add}
                        submit="Assign"
                        onCancel={close}
                        touched={form !== UNBOUND}
                        what="The assignment is"
                    >
                        <SelectField
                            label="Source"
                            value={form.data_source_id}
                            onValue={(value) => setForm({ ...form, data_source_id: value, dataset_id: "" })}
                            options={[
                                ["", "Every source"],
                                ...(sources.data?.items ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        {form.data_source_id !== "" && (
                            <SelectField
                                label="Table"
                                value={form.dataset_id}
                                onValue={(value) => setForm({ ...form, dataset_id: value })}
                                options={[
                                    ["", "Every table"],
                                    ...(tables.data?.schemas ?? []).flatMap((schema) =>
                                        schema.tables.map(
                                            (table) =>
                                                [
                                                    String(table.dataset_id),
                                                    `${schema.schema_name}.${table.table_name}`,
                                                ] as const,
                                        ),
                                    ),
                                ]}
                            />
                        )}
                        <SelectField
                            label="Role"
                            value={form.role_id}
                            onValue={(value) => setForm({ ...form, role_id: value })}
                            options={[
                                ["", "Every role"],
                                ...(roles.data?.roles ?? []).map((each) => [String(each.id), each.name] as const),
                            ]}
                        />
                        <PersonChoice
                            label="Person"
                            none="Everyone"
                            value={form.user_id}
                            onValue={(value) => setForm({ ...form, user_id: value })}
                        />
                        <SelectField
                            label="Workspace"
                            value={form.workspace_id}
                            onValue={(value) => setForm({ ...form, workspace_id: value })}
                            options={[["", "Every workspace"], ...named(workspaces)]}
                        />
                    </ActionForm>
                </Dialog>
            )}
        </div>
    );
}
