// The identity providers of an organization, and the ways to connect another.

import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { api, read } from "../../api/client";
import { useProvedDomains } from "../../choices";
import { useMay } from "../../standing";
import { Badge, Empty, Note, Page, Status, When, count } from "../../ui/basics";
import { List } from "../../ui/list";
import { VENDORS } from "./vendors";

export function Providers() {
    const may = useMay();
    const domains = useProvedDomains();
    return (
        <Page title="Single sign-on" lead="People sign in with your identity provider and bring their groups.">
            {domains.data?.length === 0 && (
                <Note tone="warn">
                    A provider can only sign in people of mail domains you have verified.{" "}
                    <Link to="/organization" search={{ tab: "domains" }}>
                        Verify a domain
                    </Link>
                    .
                </Note>
            )}
            <List
                name="Identity providers"
                of={["providers"]}
                load={async ({ skip, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sso/providers", { params: { query: { offset: skip, limit: size } } }),
                    );
                    return { items: answer.providers, total: answer.total };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Name",
                        cell: (each) => (
                            <Link className="strong" to="/sso/$id" params={{ id: String(each.id) }}>
                                {each.name}
                            </Link>
                        ),
                    },
                    {
                        head: "Kind",
                        cell: (each) => <Badge>{each.provider_type === "saml" ? "SAML" : "OpenID Connect"}</Badge>,
                    },
                    { head: "Status", cell: (each) => <Status value={each.status} /> },
                    {
                        head: "Last tested",
                        cell: (each) => (
                            <span className="row">
                                <When at={each.last_tested_at} />
                                {each.last_tested_at && (
                                    <Badge tone={each.last_test_succeeded ? "good" : "bad"}>
                                        {each.last_test_succeeded ? "passed" : "failed"}
                                    </Badge>
                                )}
                            </span>
                        ),
                    },
                    { head: "Sign-ins", cell: (each) => count(each.login_count), numeric: true },
                ]}
                empty={<Empty title="No identity providers yet">Choose yours below and follow the steps.</Empty>}
            />
            {may("sso.manage") && (
                <section className="stack tight">
                    <h2>Connect an identity provider</h2>
                    <div
                        style={{
                            display: "grid",
                            gap: 10,
                            gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 230px), 1fr))",
                        }}
                    >
                        {VENDORS.map(([key, label]) => (
                            <Link
                                key={key}
                                className="card card-link row"
                                to="/sso/new/$vendor"
                                params={{ vendor: key }}
                            >
                                <Plus size={16} aria-hidden />
                                <b className="strong">{label}</b>
                            </Link>
                        ))}
                    </div>
                </section>
            )}
        </Page>
    );
}
