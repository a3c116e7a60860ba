// One person: who they are, what they may do and why, what they did, where they are signed in, and what can be done about it.

import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { useMay, useOrganization } from "../../standing";
import { Badge, Card, Facts, Page, Status, When, words } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Parts } from "../../ui/parts";
import { Activity, TheirSessions } from "./activity";
import { Devices } from "./devices";
import { Manage } from "./manage";
import { Permissions } from "./permissions";

const PARTS = [
    ["permissions", "Access"],
    ["activity", "Activity"],
    ["sessions", "Sessions"],
    ["manage", "Manage"],
] as const;

export function Person() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "permissions" } = useSearch({ strict: false }) as { tab?: string };
    const may = useMay();
    const organization = useOrganization();
    const person = useQuery({
        queryKey: ["person", id],
        queryFn: () => read(api.GET("/api/v1/users/{user_id}", { params: { path: { user_id: Number(id) } } })),
    });
    const user = person.data?.user;
    return (
        <Page
            title={user?.display_name || user?.email || "Person"}
            crumbs={<Link to="/people">Members</Link>}
            actions={
                user &&
                may("policy.write") && (
                    <Link className="button" to="/simulate" search={{ user: id }}>
                        View as this person
                    </Link>
                )
            }
        >
            <Loaded query={person}>
                {({ user: data }) => (
                    <>
                        <Card>
                            <Facts
                                of={[
                                    [
                                        "E-mail",
                                        <>
                                            {data.email}{" "}
                                            {data.is_verified ? (
                                                <Badge tone="good">Verified</Badge>
                                            ) : (
                                                <Badge tone="warn">Not verified</Badge>
                                            )}
                                        </>,
                                    ],
                                    ["Status", <Status key="state" value={data.status} />],
                                    [
                                        "Roles",
                                        data.memberships.flatMap((membership) => membership.roles).join(", ") || "—",
                                    ],
                                    [
                                        "Two-factor",
                                        data.mfa_enabled ? (
                                            <Badge tone="good">On</Badge>
                                        ) : (
                                            <Badge tone="warn">Off</Badge>
                                        ),
                                    ],
                                    ["Joined via", words(data.auth_source)],
                                    ["Joined", <When key="joined" at={data.memberships[0]?.joined_at} />],
                                    ["Last sign-in", <When key="in" at={data.last_login_at} />],
                                ]}
                            />
                        </Card>
                        <Parts at={{ to: "/people/$id", params: { id } }} of={PARTS} open={tab} />
                        {tab === "permissions" && <Permissions id={Number(id)} />}
                        {tab === "activity" && <Activity id={Number(id)} />}
                        {tab === "sessions" && (
                            <>
                                <TheirSessions id={Number(id)} />
                                {may("device.read") && (
                                    <Devices
                                        of={{ organization_id: organization, user_id: Number(id) }}
                                        none="None recognized by the organization."
                                        mayForget={may("device.revoke")}
                                    />
                                )}
                            </>
                        )}
                        {tab === "manage" && <Manage person={data} />}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
