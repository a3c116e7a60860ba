// The invitations that wait for one's own addresses.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "../../api/client";
import { Badge, Card, Empty, Facts, Page, When } from "../../ui/basics";
import { Loaded } from "../../ui/list";

export function Invited() {
    const invitations = useQuery({
        queryKey: ["invited"],
        queryFn: () => read(api.GET("/api/v1/invitations", { params: { query: { limit: 50 } } })),
    });
    return (
        <Page title="My invitations" narrow>
            <Loaded query={invitations}>
                {(data) =>
                    data.invitations.length === 0 ? (
                        <div className="card">
                            <Empty title="None">An invitation comes by mail, with a link that takes you in.</Empty>
                        </div>
                    ) : (
                        <Card flush>
                            <ul className="list">
                                {data.invitations.map((each) => (
                                    <li key={each.id}>
                                        <span className="grow">
                                            <b className="strong">{each.organization.name}</b>
                                            <br />
                                            <span className="small soft">
                                                {each.role?.name}, until <When at={each.expires_at} />
                                            </span>
                                        </span>
                                        <Badge>{each.status}</Badge>
                                    </li>
                                ))}
                            </ul>
                        </Card>
                    )
                }
            </Loaded>
            <Facts of={[["To accept one", "open the link in its mail, signed in with the address that it names."]]} />
        </Page>
    );
}
