// The organization itself: its name, its mail domains, its security, whom its questions are put to.

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { useMay, useOrganization, useSettings } from "../../standing";
import { Note, Page } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Parts } from "../../ui/parts";
import { Branding } from "./branding";
import { Domains } from "./domains";
import { General } from "./general";
import { Models } from "./models";
import { Settings, type Values } from "./security";

export function OrganizationPage() {
    const may = useMay();
    const id = useOrganization();
    const { tab = "general" } = useSearch({ strict: false }) as { tab?: string };
    const organization = useQuery({
        queryKey: ["organization", id],
        queryFn: () => read(api.GET("/api/v1/organizations/{org_id}", { params: { path: { org_id: id } } })),
    });
    const settings = useSettings();
    const data = organization.data?.organization;
    return (
        <Page
            title={data?.name ?? "Organization"}
            lead="Name, domains, security and models of this organization."
            narrow
        >
            <Parts
                at={{ to: "/organization" }}
                of={[
                    ["general", "General"],
                    ["domains", "Mail domains"],
                    ["security", "Security"],
                    ["sign-in", "Sign-in page"],
                    ["models", "Models"],
                ]}
                open={tab}
            />
            {tab === "general" && (
                <Loaded query={organization}>
                    {({ organization: loaded }) => <General key={loaded.name} name={loaded.name} id={id} />}
                </Loaded>
            )}
            {tab === "domains" && <Domains />}
            {tab === "security" &&
                (may("organization.update") ? (
                    <Loaded query={settings}>
                        {(loaded) => <Settings key={loaded.version} settings={loaded.settings as unknown as Values} />}
                    </Loaded>
                ) : (
                    <Note>Only administrators can see these settings.</Note>
                ))}
            {tab === "sign-in" &&
                (may("organization.update") ? (
                    <Loaded query={settings}>
                        {({ settings: { branding } }) => data && <Branding branding={branding} organization={data} />}
                    </Loaded>
                ) : (
                    <Note>Only administrators can see these settings.</Note>
                ))}
            {tab === "models" &&
                (may("organization.update") ? <Models /> : <Note>Only administrators can see these settings.</Note>)}
        </Page>
    );
}
