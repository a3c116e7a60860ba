// What one may choose among, and what it is called: the sources, roles, people and workspaces that one may see.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, read } from "./api/client";
import { useMay, useOrganization } from "./standing";
import { words } from "./ui/basics";

/** Of a page, and the most that the server hands out in one. */
export const PAGE = 100;
/** A list of choices that is longer helps nobody. */
const MOST = 2_000;

/** A control has no place for an error of its own: it is told beside the page. */
export const CHOICE = { isChoice: true };

/** What stands on all pages of a list: the first tells how many there are, and the others come at once. */
export async function everyPage<Thing>(
    page: (skip: number) => Promise<{ things: readonly Thing[]; total: number }>,
): Promise<Thing[]> {
    const first = await page(0);
    const others = [];
    for (let skip = PAGE; skip < Math.min(first.total, MOST); skip += PAGE) others.push(page(skip));
    return [first, ...(await Promise.all(others))].flatMap((each) => each.things);
}

export function useSources(enabled = true) {
    return useQuery({
        queryKey: ["sources", "all"],
        enabled,
        queryFn: async () => ({
            items: await everyPage(async (skip) => {
                const query = { page: skip / PAGE + 1, page_size: PAGE, sort_by: "name", sort_order: "asc" } as const;
                const { items, pagination } = await read(api.GET("/api/v1/data-sources", { params: { query } }));
                return { things: items, total: pagination.total_items };
            }),
        }),
    });
}

export function usePolicies() {
    return useQuery({
        queryKey: ["policies", "all"],
        queryFn: () =>
            everyPage(async (skip) => {
                const query = { page: skip / PAGE + 1, page_size: PAGE };
                const { items, pagination } = await read(api.GET("/api/v1/policies", { params: { query } }));
                return { things: items, total: pagination.total_items };
            }),
    });
}

export function useRoles() {
    const organization = useOrganization();
    return useQuery({
        queryKey: ["roles", organization, "all"],
        meta: CHOICE,
        enabled: organization > 0,
        queryFn: async () => ({
            roles: await everyPage(async (skip) => {
                const params = { path: { org_id: organization }, query: { skip, limit: PAGE } };
                const page = await read(api.GET("/api/v1/organizations/{org_id}/roles", { params }));
                return { things: page.roles, total: page.total_count };
            }),
        }),
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
            read(api.GET("/api/v1/users", { params: { query: { limit: PAGE, search: search || undefined } } })),
    });
}

/** The workspaces of every organization that one is in. */
export function useWorkspaces() {
    return useQuery({
        queryKey: ["workspaces"],
        meta: CHOICE,
        staleTime: 60_000,
        queryFn: async () => ({
            workspaces: await everyPage(async (skip) => {
                const page = await read(api.GET("/api/v1/workspaces", { params: { query: { skip, limit: PAGE } } }));
                return { things: page.workspaces, total: page.total_count };
            }),
        }),
    });
}

/** Those of the organization that the session stands in: in no other can something be done. */
export function useWorkspacesHere() {
    const organization = useOrganization();
    return (useWorkspaces().data?.workspaces ?? []).filter((each) => each.organization_id === organization);
}

/** The mail domains that the organization has proved. */
export function useProvedDomains() {
    const organization = useOrganization();
    return useQuery({
        queryKey: ["domains", organization, "proved"],
        queryFn: async () => {
            const domains = await everyPage(async (skip) => {
                const params = { path: { org_id: organization }, query: { skip, limit: PAGE } };
                const page = await read(api.GET("/api/v1/organizations/{org_id}/domains", { params }));
                return { things: page.domains, total: page.total_count };
            });
            return domains.filter((each) => each.status === "verified").map((each) => each.domain);
        },
    });
}

/** What the planner is called that needs no model. */
export const EMBEDDED = "embedded";

/** Whom a question can be put to, by their names: the planners in their order, and this server's own rules. */
export function usePlanners(): readonly string[] {
    const may = useMay();
    const told = useQuery({
        queryKey: ["planners", "names"],
        meta: CHOICE,
        enabled: may("prompt.execute"),
        staleTime: 60_000,
        queryFn: () => read(api.GET("/api/v1/prompts/planners/names")),
    });
    return told.data?.names ?? [];
}

/** Everything that a role can allow. */
export function usePermissions() {
    return useQuery({
        queryKey: ["permissions"],
        staleTime: 600_000,
        queryFn: () => read(api.GET("/api/v1/roles/permissions")),
    });
}

const PERMISSION_GROUPS: Record<string, string> = {
    datasource: "Data sources",
    device: "Devices",
    member: "Members",
    oauth_app: "Applications",
    policy: "Policies",
    prompt: "Questions",
    role: "Roles",
    scim: "Provisioning (SCIM)",
    session: "Sessions",
    sso: "Single sign-on",
    storage: "Files",
    token: "Tokens",
    user: "Accounts",
    workspace: "Workspaces",
};
/** What a group of permissions is about. */
export const permissionGroup = (group: string) => PERMISSION_GROUPS[group] ?? words(group);

/** Things with a name, as a control offers them. */
export const named = (things: readonly { id: number; name: string }[] | undefined) =>
    (things ?? []).map((each) => [String(each.id), each.name] as const);
