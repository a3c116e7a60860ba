// The tokens that members hold for this organization.

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Empty, Filter, Page, When } from "../../ui/basics";
import { List } from "../../ui/list";

export function OrganizationTokens() {
    const may = useMay();
    const id = useOrganization();
    const path = { org_id: id };
    const [state, setState] = useState("active");
    const revoke = useAction(
        (token: number) =>
            read(
                api.DELETE("/api/v1/organizations/{org_id}/tokens/{token_id}", {
                    params: { path: { ...path, token_id: token } },
                }),
            ),
        { done: "Revoked.", changes: [["tokens", id]] },
    );
    return (
        <Page
            title="Tokens"
            lead="Access tokens that members use to automate this organization. Your own are in your account."
            actions={
                <Link className="button" to="/me/tokens">
                    My tokens
                </Link>
            }
        >
            <List
                name="Tokens"
                of={["tokens", id, state]}
                filters={
                    <Filter
                        label="Status"
                        value={state}
                        onValue={setState}
                        options={[
                            ["active", "Active"],
                            ["", "All"],
                        ]}
                    />
                }
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/organizations/{org_id}/tokens", {
                            params: { path, query: { skip, limit: size, is_active: state === "active" || undefined } },
                        }),
                    );
                    return { items: answer.tokens, total: answer.total_count };
                }}
                id={(token) => token.id}
                columns={[
                    {
                        head: "Name",
                        cell: (token) => (
                            <>
                                <b className="strong">{token.name}</b>
                                <div className="small soft mono">{token.token_prefix}…</div>
                            </>
                        ),
                    },
                    {
                        head: "Owner",
                        cell: (token) => (
                            <Link to="/people/$id" params={{ id: String(token.user_id) }}>
                                {token.user_email}
                            </Link>
                        ),
                    },
                    {
                        head: "Scopes",
                        cell: (token) => (
                            <span className="row">
                                {token.scopes.map((scope) => (
                                    <Badge key={scope}>{scope}</Badge>
                                ))}
                            </span>
                        ),
                    },
                    { head: "Last used", cell: (token) => <When at={token.last_used_at} /> },
                    { head: "Expires", cell: (token) => <When at={token.expires_at} never="revoked" /> },
                    may("token.revoke") && {
                        head: "",
                        cell: (token) =>
                            token.is_active && (
                                <ActionButton small kind="danger" action={revoke} on={token.id}>
                                    Revoke
                                </ActionButton>
                            ),
                    },
                ]}
                empty={<Empty title="No tokens yet">Members create tokens in their own account.</Empty>}
            />
        </Page>
    );
}
