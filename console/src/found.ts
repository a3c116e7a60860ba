// What the palette finds by its name: one's own things, and what can be connected. The server searches them where it can; of
// what it tells whole the palette leaves those that fit.

import { useQueries } from "@tanstack/react-query";
import {
    AppWindow,
    Bookmark,
    Database,
    FileText,
    Layers,
    ListChecks,
    LogIn,
    type LucideIcon,
    ShieldCheck,
    UserRound,
} from "lucide-react";
import { api, read } from "./api/client";
import { CHOICE, PAGE, everyPage } from "./choices";
import { VENDORS } from "./pages/sign-on/vendors";
import { titles } from "./pages/source/names";
import { useMay, useOrganization } from "./standing";

/** The most that a search brings of each kind. */
const MOST = 5;

type Named = { path: string; label: string; words?: string };
export type Found = Named & { where: string; icon: LucideIcon; isSearched: boolean };

type Kind = {
    /** What each is, as it is said beside its name. */
    where: string;
    icon: LucideIcon;
    needs: string;
} & (
    | { search: (wanted: string) => Promise<Named[]> }
    /** Where the server searches nothing. */
    | { all: (organization: number) => Promise<Named[]> }
);

const KINDS: Kind[] = [
    {
        where: "Source",
        icon: Database,
        needs: "datasource.read",
        search: async (search) => {
            const query = { search, page_size: MOST };
            const { items } = await read(api.GET("/api/v1/data-sources", { params: { query } }));
            return items.map(({ id, name }) => ({ path: `/sources/${id}`, label: name }));
        },
    },
    {
        where: "Policy",
        icon: ShieldCheck,
        needs: "policy.read",
        search: async (search) => {
            const query = { search, page_size: MOST };
            const { items } = await read(api.GET("/api/v1/policies", { params: { query } }));
            return items.map(({ id, name }) => ({ path: `/policies/${id}`, label: name }));
        },
    },
    {
        where: "Question",
        icon: Bookmark,
        needs: "prompt.read",
        search: async (search) => {
            const query = { search, page_size: MOST };
            const { items } = await read(api.GET("/api/v1/prompts", { params: { query } }));
            return items.map(({ id, name, prompt_text }) => ({
                path: `/questions/${id}`,
                label: name ?? prompt_text,
                words: prompt_text,
            }));
        },
    },
    {
        where: "Template",
        icon: FileText,
        needs: "prompt.read",
        search: async (search) => {
            const query = { search, page_size: MOST };
            const { items } = await read(api.GET("/api/v1/prompt-templates", { params: { query } }));
            return items.map(({ id, name, template_text }) => ({
                path: `/questions/templates/${id}`,
                label: name,
                words: template_text,
            }));
        },
    },
    {
        where: "Person",
        icon: UserRound,
        needs: "member.read",
        search: async (search) => {
            const query = { search, limit: MOST };
            const { users } = await read(api.GET("/api/v1/users", { params: { query } }));
            return users.map(({ id, display_name, email }) => ({
                path: `/people/${id}`,
                label: display_name || email,
                words: email,
            }));
        },
    },
    {
        where: "Role",
        icon: ListChecks,
        needs: "role.read",
        all: (organization) =>
            everyPage(async (skip) => {
                const params = { path: { org_id: organization }, query: { skip, limit: PAGE } };
                const page = await read(api.GET("/api/v1/organizations/{org_id}/roles", { params }));
                return {
                    things: page.roles.map(({ id, name }) => ({ path: `/roles/${id}`, label: name })),
                    total: page.total_count,
                };
            }),
    },
    {
        where: "Workspace",
        icon: Layers,
        needs: "workspace.read",
        all: (organization) =>
            everyPage(async (skip) => {
                const params = { path: { org_id: organization }, query: { skip, limit: PAGE } };
                const page = await read(api.GET("/api/v1/organizations/{org_id}/workspaces", { params }));
                return {
                    things: page.workspaces.map(({ id, name }) => ({ path: `/workspaces/${id}`, label: name })),
                    total: page.total_count,
                };
            }),
    },
    {
        where: "Application",
        icon: AppWindow,
        needs: "oauth_app.read",
        all: (organization) =>
            everyPage(async (skip) => {
                const params = { path: { org_id: organization }, query: { skip, limit: PAGE } };
                const page = await read(api.GET("/api/v1/organizations/{org_id}/oauth-applications", { params }));
                return {
                    things: page.applications.map(({ id, name }) => ({
                        path: `/organization/applications/${id}`,
                        label: name,
                    })),
                    total: page.total,
                };
            }),
    },
    {
        where: "Identity provider",
        icon: LogIn,
        needs: "sso.read",
        all: () =>
            everyPage(async (skip) => {
                const query = { offset: skip, limit: PAGE };
                const page = await read(api.GET("/api/v1/sso/providers", { params: { query } }));
                return {
                    things: page.providers.map(({ id, name }) => ({ path: `/sso/${id}`, label: name })),
                    total: page.total,
                };
            }),
    },
    {
        where: "New source",
        icon: Database,
        needs: "datasource.write",
        all: async () => {
            const { items } = await read(api.GET("/api/v1/data-sources/types"));
            return items
                .filter((kind) => kind.is_available)
                .map(({ type, category }) => ({
                    path: `/sources/new/${type}`,
                    label: `Connect ${titles[type] ?? type}`,
                    words: category,
                }));
        },
    },
    {
        where: "New identity provider",
        icon: LogIn,
        needs: "sso.manage",
        all: async () => VENDORS.map(([vendor, label]) => ({ path: `/sso/new/${vendor}`, label: `Set up ${label}` })),
    },
];

export function useFound(wanted: string): Found[] {
    const may = useMay();
    const organization = useOrganization();
    return useQueries({
        queries: KINDS.map((kind) => ({
            queryKey: ["palette", kind.where, organization, "search" in kind ? wanted : "all"],
            meta: CHOICE,
            enabled: wanted.length > 1 && organization > 0 && may(kind.needs),
            queryFn: () => ("search" in kind ? kind.search(wanted) : kind.all(organization)),
        })),
        combine: (answers) =>
            KINDS.flatMap(({ where, icon, ...kind }, index) =>
                (answers[index]?.data ?? []).map((each) => ({ ...each, where, icon, isSearched: "search" in kind })),
            ),
    });
}
