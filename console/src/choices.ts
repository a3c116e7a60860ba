// What one may choose among, and what it is called: the sources, roles, people and workspaces that one may see.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, read } from "./api/client";
import { useMay, useOrganization } from "./standing";

export function useSources(enabled = true) {
    return useQuery({
        queryKey: ["sources", "all"],
        enabled,
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources", {
                    params: { query: { page_size: 100, sort_by: "name", sort_order: "asc" } },
                }),
            ),
    });
}

export function useRoles() {
    const organization = useOrganization();
    return useQuery({
        queryKey: ["roles", organization, "all"],
        enabled: organization > 0,
        queryFn: () =>
            read(
                api.GET("/api/v1/organizations/{org_id}/roles", {
                    params: { path: { org_id: organization }, query: { limit: 100 } },
                }),
            ),
    });
}

/** The people of the organization, for whoever may see them: the first by name, or whom a search finds. */
export function usePeople(search = "") {
    const may = useMay();
    return useQuery({
        queryKey: ["people", search || "all"],
        placeholderData: keepPreviousData,
        enabled: may("user.read"),
        queryFn: () =>
            read(api.GET("/api/v1/users", { params: { query: { limit: 100, search: search || undefined } } })),
    });
}

/** The workspaces of every organization that one is in. */
export function useWorkspaces() {
    return useQuery({
        queryKey: ["workspaces"],
        staleTime: 60_000,
        queryFn: () => read(api.GET("/api/v1/workspaces", { params: { query: { limit: 100 } } })),
    });
}

/** Everything that a role can allow. */
export function usePermissions() {
    return useQuery({
        queryKey: ["permissions"],
        staleTime: 600_000,
        queryFn: () => read(api.GET("/api/v1/roles/permissions")),
    });
}

/** Things with a name, as a control offers them. */
export const named = (things: readonly { id: number; name: string }[] | undefined) =>
    (things ?? []).map((each) => [String(each.id), each.name] as const);
