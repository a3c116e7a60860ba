// Where the signed-in person stands: who they are, in which organization and workspace, and what they may do there.

import { useQuery } from "@tanstack/react-query";
import { useState, useSyncExternalStore } from "react";
import { type Schemas, api, read } from "./api/client";
import { queries } from "./queries";
import { session } from "./session";

/** What an access token says of its place. It is read for display; the server alone decides by it. */
export function placeOf(token: string | undefined): { person?: string; organization?: number; workspace?: number } {
    if (!token) return {};
    const claims = JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"))) as {
        sub: string;
        org?: number;
        ws?: number;
    };
    return { person: claims.sub, organization: claims.org, workspace: claims.ws };
}

export const usePlace = () => placeOf(useSyncExternalStore(session.subscribe, session.peek));

/** Whose the page is and of which workspace. Nothing that was shown or typed in one is there in another. */
export function useWhose(): string {
    const { person, organization, workspace } = usePlace();
    const now = `${person} ${organization} ${workspace}`;
    const [known, setKnown] = useState(now);
    // Whoever signs out is on their way to the door, and sees what they saw until they are there.
    if (person !== undefined && now !== known) setKnown(now);
    return known;
}

/** The settings of the organization, for whoever may change them: nobody else is told. */
export function useSettings() {
    const may = useMay();
    const id = useOrganization();
    return useQuery({
        queryKey: ["settings", id],
        enabled: may("organization.update"),
        queryFn: () => read(api.GET("/api/v1/organizations/{org_id}/settings", { params: { path: { org_id: id } } })),
    });
}

/** Goes to another workspace, with the tokens for it: what was known of the one before is forgotten. */
export function enter(tokens: Schemas["TokenSet"]) {
    queries.clear();
    session.begin(tokens, false);
}

export function useMe() {
    return useQuery({ queryKey: ["me"], queryFn: () => read(api.GET("/api/v1/auth/me")), staleTime: 60_000 });
}

/** The organization of the session; pages that need one are shown only where there is one. */
export function useOrganization(): number {
    return usePlace().organization ?? 0;
}

/** What no permission says alone: the settings of the organization may let every member do it, or nobody. */
export const REGISTER = "application.register";

/** What the person may do here. Until it is known everything is shown, and the server refuses what must not be. */
export function useMay(): (permission: string) => boolean {
    const { organization, workspace } = usePlace();
    const me = useMe();
    const id = me.data?.user.id;
    const standing = useQuery({
        queryKey: ["standing", organization, workspace, id],
        enabled: Boolean(organization && id),
        staleTime: 60_000,
        queryFn: () =>
            read(
                api.GET("/api/v1/roles/users/{user_id}/permissions", {
                    params: {
                        path: { user_id: id ?? 0 },
                        query: { organization_id: organization, workspace_id: workspace },
                    },
                }),
            ),
    });
    const held = standing.data && new Set(standing.data.permissions.map((permission) => permission.name as string));
    if (standing.data?.may_register_applications) held?.add(REGISTER);
    return (permission) => !held || held.has(permission);
}
