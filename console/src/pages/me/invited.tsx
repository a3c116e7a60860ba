// The invitations that wait for one's own addresses.

import { api, read } from "../../api/client";
import { Empty, Page, Status, When } from "../../ui/basics";
import { List } from "../../ui/list";

export function Invited() {
    return (
        <Page title="My invitations" lead="Open the link in the e-mail to accept one." narrow>
            <List
                name="My invitations"
                of={["invited"]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/invitations", { params: { query: { skip, limit: size } } }),
                    );
                    return { items: answer.invitations, total: answer.total_count };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Organization",
                        cell: (each) => <b className="strong break">{each.organization.name}</b>,
                    },
                    { head: "Role", cell: (each) => each.role?.name ?? "—" },
                    { head: "Status", cell: (each) => <Status value={each.status} /> },
                    { head: "Expires", cell: (each) => <When at={each.expires_at} /> },
                ]}
                empty={
                    <Empty title="No invitations">
                        Invitations arrive by e-mail. Open the link while signed in with the address it was sent to.
                    </Empty>
                }
            />
        </Page>
    );
}
