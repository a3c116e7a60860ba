// The addresses of this server that a registered provider has to know.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "../../api/client";
import { Card } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { ToPaste } from "./step";

/** As the server writes them into its metadata: those of SAML, or those of OpenID Connect. */
type Metadata = {
    entity_id?: string;
    acs_url?: string;
    slo_url?: string;
    redirect_uris?: string[];
    backchannel_logout_uri?: string;
};

export function Addresses({ id }: { id: number }) {
    const metadata = useQuery({
        queryKey: ["provider", String(id), "metadata"],
        queryFn: async () => {
            const answer = await read(
                api.GET("/api/v1/sso/metadata", { params: { query: { provider_id: id, format: "json" } } }),
            );
            return JSON.parse(answer.metadata) as Metadata;
        },
    });
    return (
        <Card title="Enter these there">
            <Loaded query={metadata}>
                {(ours) => (
                    <div className="stack">
                        {(
                            [
                                ["Metadata URL and entity ID", ours.entity_id],
                                ["ACS URL", ours.acs_url],
                                ["Logout URL", ours.slo_url],
                                ...(ours.redirect_uris ?? []).map((uri) => ["Redirect URL", uri] as const),
                                ["Back-channel logout URL", ours.backchannel_logout_uri],
                            ] as const
                        ).map(([field, value]) => value && <ToPaste key={field + value} field={field} value={value} />)}
                    </div>
                )}
            </Loaded>
        </Card>
    );
}
