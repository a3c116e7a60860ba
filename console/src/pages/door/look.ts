// Of which organization the pages at the door are: on the way to an application, that of the application; else the one whose
// proved domain stands in the address.

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { api, read } from "../../api/client";

/** Where this tab keeps the domain: the ways from page to page, and back from a provider, do not carry it. */
const KEPT = "organization";

/** Has this tab's next pages look as that organization's: of somebody whom its provider signs in. */
export const keepLook = (domain: string) => sessionStorage.setItem(KEPT, domain);
export const keptLook = () => sessionStorage.getItem(KEPT) ?? undefined;

/** The request of an application, where the sign-in leads to it and nowhere else. */
export function requestOf(to: string | undefined): string | undefined {
    if (!to?.startsWith("/connect?")) return undefined;
    // As the router reads it, so that a page looks as the one that it leads to.
    return Object.fromEntries(new URL(to, location.origin).searchParams).request;
}

/** How a page looks that is on the way to this request of an application, or to the one that the address leads to. */
export function useLook(onTheWayTo?: string) {
    const { organization, to } = useSearch({ strict: false }) as { organization?: string; to?: string };
    const request = onTheWayTo ?? requestOf(to);
    useEffect(() => {
        if (organization !== undefined) keepLook(organization);
    }, [organization]);
    const domain = organization ?? keptLook() ?? "";
    const found = useQuery({
        queryKey: ["look", request === undefined ? { domain } : { request }],
        enabled: request !== undefined || domain !== "",
        // Nobody is kept from signing in by what a page looks like.
        retry: false,
        staleTime: Number.POSITIVE_INFINITY,
        queryFn: () =>
            request === undefined
                ? read(api.GET("/api/v1/auth/branding", { params: { query: { organization: domain } } }))
                : read(api.GET("/api/v1/oauth/branding", { params: { query: { request } } })),
    });
    return found.data;
}
