// The workspaces of the organization.

import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Empty, Page } from "../../ui/basics";
import { List } from "../../ui/list";
import { NameDialog } from "../../ui/naming";
import { SeveralWorkspaces } from "./several";

export function WorkspacesPage() {
    const may = useMay();
    const id = useOrganization();
    const [making, setMaking] = useState(false);
    const [makingSeveral, setMakingSeveral] = useState(false);
    const changes = [["rooms", id], ["workspaces"]];
    const make = useAction(
        (name: string) =>
            read(
                api.POST("/api/v1/organizations/{org_id}/workspaces", {
                    params: { path: { org_id: id } },
                    body: { name },
                }),
            ),
        {
            done: "Created.",
            changes,
            inline: true,
            onDone: () => setMaking(false),
        },
    );
    const first = useAction(
        (room: number) =>
            read(
                api.POST("/api/v1/organizations/{org_id}/workspaces/{workspace_id}/default", {
                    params: { path: { org_id: id, workspace_id: room } },
                }),
            ),
        { done: "Now the default.", changes },
    );
    return (
        <Page
            title="Workspaces"
            lead="Separate areas of the organization. Sources, files and roles can be limited to one."
            actions={
                may("workspace.create") && (
                    <>
                        <Button onClick={() => setMakingSeveral(true)}>Create several…</Button>
                        <Button kind="primary" icon={<Plus size={16} />} onClick={() => setMaking(true)}>
                            New workspace
                        </Button>
                    </>
                )
            }
        >
            <List
                name="Workspaces"
                of={["rooms", id]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/organizations/{org_id}/workspaces", {
                            params: { path: { org_id: id }, query: { skip, limit: size } },
                        }),
                    );
                    return { items: answer.workspaces, total: answer.total_count };
                }}
                id={(room) => room.id}
                columns={[
                    {
                        head: "Name",
                        cell: (room) => (
                            <span className="row">
                                <Link className="strong" to="/workspaces/$id" params={{ id: String(room.id) }}>
                                    {room.name}
                                </Link>
                                {room.is_default && <Badge tone="accent">Default</Badge>}
                            </span>
                        ),
                    },
                    { head: "Slug", cell: (room) => <code>{room.slug}</code> },
                    may("workspace.write") && {
                        head: "",
                        cell: (room) =>
                            !room.is_default && (
                                <ActionButton small action={first} on={room.id}>
                                    Set as default
                                </ActionButton>
                            ),
                    },
                ]}
                empty={<Empty title="No workspaces" />}
            />
            {makingSeveral && <SeveralWorkspaces onClose={() => setMakingSeveral(false)} />}
            {making && (
                <NameDialog title="New workspace" action="Create" make={make} onClose={() => setMaking(false)} />
            )}
        </Page>
    );
}
