// The start: the first steps for an organization that is new, and then simply the question.

import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useNavigate } from "@tanstack/react-router";
import { CheckCircle2, Circle } from "lucide-react";
import { useState } from "react";
import { api, read } from "../api/client";
import { useSources } from "../choices";
import { enter, useMay, useMe, useOrganization, usePlace } from "../standing";
import { ActionForm, useAction } from "../ui/action";
import { Card, Page, TextField } from "../ui/basics";
import { Loaded } from "../ui/loaded";
import { Ask } from "./ask";

export function Home() {
    const { person, organization } = usePlace();
    const me = useMe();
    // Whoever signs out is in none either, and goes elsewhere.
    if (me.data && person !== undefined && !organization) return <Navigate to="/welcome" />;
    return (
        <div className="stack loose">
            <FirstSteps />
            <Ask />
        </div>
    );
}

function FirstSteps() {
    const organization = useOrganization();
    const may = useMay();
    const isBuilder = may("datasource.write") && may("policy.write") && may("member.invite");
    const enabled = isBuilder && organization > 0;
    const sources = useSources(enabled);
    const runs = useQuery({
        queryKey: ["first", "runs"],
        enabled,
        queryFn: () => read(api.GET("/api/v1/queries", { params: { query: { page_size: 1 } } })),
    });
    const policies = useQuery({
        queryKey: ["first", "policies"],
        enabled,
        queryFn: () => read(api.GET("/api/v1/policies", { params: { query: { page_size: 1 } } })),
    });
    const members = useQuery({
        queryKey: ["first", "members", organization],
        enabled,
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/members", {
                    params: { path: { org_id: organization }, query: { limit: 1 } },
                }),
            ),
    });
    if (!isBuilder || !sources.data || !runs.data || !policies.data || !members.data) return null;
    const first = sources.data.items[0];
    const steps = [
        { done: Boolean(first), to: "/sources/new", title: "Connect a source", text: "A database or a file" },
        {
            done: Boolean(first?.schema_discovered_at),
            to: first ? `/sources/${first.id}` : "/sources",
            title: "Browse its tables",
            text: "Columns, types, sizes",
        },
        {
            done: runs.data.pagination.total_items > 0,
            to: "/ask",
            title: "Ask a question",
            text: "In plain words or SQL",
        },
        {
            done: policies.data.pagination.total_items > 0,
            to: "/policies/new",
            title: "Set a policy",
            text: "Who sees which rows",
        },
        {
            done: members.data.total_count > 1,
            to: "/invitations",
            title: "Invite someone",
            text: "By e-mail, with a role",
        },
    ];
    if (steps.every((step) => step.done)) return null;
    return (
        <div className="page">
            <Card title="Get started" flush>
                <ol className="walk">
                    {steps.map((step) => (
                        <li key={step.title}>
                            <Link to={step.to}>
                                <span className="row">
                                    {step.done ? (
                                        <CheckCircle2 size={17} className="done" aria-label="Done" />
                                    ) : (
                                        <Circle size={17} className="soft" aria-label="To do" />
                                    )}
                                    <b className="strong">{step.title}</b>
                                </span>
                                <span className="small soft">{step.text}</span>
                            </Link>
                        </li>
                    ))}
                </ol>
            </Card>
        </div>
    );
}

export function Welcome() {
    const me = useMe();
    const navigate = useNavigate();
    const [name, setName] = useState("");
    const invitations = useQuery({
        queryKey: ["invited"],
        queryFn: () => read(api.GET("/api/v1/invitations", { params: { query: { status: "pending" } } })),
    });
    const create = useAction(
        async () => {
            const made = await read(
                api.POST("/api/v1/organizations", { body: { name, admin_email: me.data?.user.primary_email ?? "" } }),
            );
            const workspace =
                (made as { workspace?: { id: number } }).workspace?.id ??
                (await read(api.GET("/api/v1/workspaces"))).workspaces.find(
                    (each) => each.organization_id === made.organization.id,
                )?.id;
            enter(await read(api.POST("/api/v1/auth/switch-workspace", { body: { workspace_id: workspace ?? 0 } })));
            void navigate({ to: "/" });
        },
        { inline: true },
    );
    return (
        <Page
            title={`Welcome${me.data ? `, ${me.data.user.display_name}` : ""}`}
            lead="An organization holds your sources, people and policies. Create one, or join one that invited you."
            narrow
        >
            <Card title="Create an organization">
                <ActionForm
                    action={create}
                    submit="Create"
                    disabled={!me.data}
                    touched={name !== ""}
                    what="The organization is"
                >
                    <TextField
                        label="Name"
                        required
                        value={name}
                        onValue={setName}
                        error={create.of("name")}
                        placeholder="Acme"
                        autoFocus
                    />
                </ActionForm>
            </Card>
            <Card title="Invitations">
                <Loaded query={invitations} lines={2}>
                    {(data) =>
                        data.invitations.length === 0 ? (
                            <p className="soft">
                                There is no invitation for {me.data?.user.primary_email ?? "you"} yet. Invitations
                                arrive by e-mail.
                            </p>
                        ) : (
                            <Link className="button" to="/invited">
                                See {data.invitations.length} invitations
                            </Link>
                        )
                    }
                </Loaded>
            </Card>
        </Page>
    );
}
