// The people who are linked to one identity provider.

import { Link } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Empty, When } from "../../ui/basics";
import { List } from "../../ui/list";

export function Identities({ id }: { id: number }) {
    const unlink = useAction(
        (user: number) =>
            read(
                api.DELETE("/api/v1/sso/providers/{provider_id}/identities/{user_id}", {
                    params: { path: { provider_id: id, user_id: user } },
                }),
            ),
        { done: "Unlinked.", changes: [["identities", id]] },
    );
    return (
        <section className="stack tight">
            <h2>Linked people</h2>
            <List
                name="Linked people"
                of={["identities", id]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sso/providers/{provider_id}/identities", {
                            params: { path: { provider_id: id }, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.subject}
                columns={[
                    {
                        head: "Person",
                        cell: (each) => (
                            <Link to="/people/$id" params={{ id: String(each.user_id) }}>
                                {each.email ?? `Person ${each.user_id}`}
                            </Link>
                        ),
                    },
                    {
                        head: "Subject at the provider",
                        cell: (each) => <code className="break small">{each.subject}</code>,
                    },
                    { head: "Groups", cell: (each) => each.groups.join(", ") || "—" },
                    { head: "Last sign-in", cell: (each) => <When at={each.last_login_at} /> },
                    {
                        head: "",
                        cell: (each) => (
                            <ActionButton small kind="danger" action={unlink} on={each.user_id}>
                                Unlink
                            </ActionButton>
                        ),
                    },
                ]}
                empty={
                    <Empty title="No linked people yet">
                        People are linked at their first sign-in with this provider.
                    </Empty>
                }
            />
        </section>
    );
}
