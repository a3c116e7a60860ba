// Of which organization the pages at the door are: the one whose proved domain stands in the address.

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { api, read } from "../../api/client";

/** Where this tab keeps it: the ways from page to page, and back from a provider, do not carry it. */
const KEPT = "organization";

/** Has this tab's next pages look as that organization's: of somebody whom its provider signs in. */
export const keepLook = (domain: string) => sessionStorage.setItem(KEPT, domain);

export function useLook() {
    const { organization } = useSearch({ strict: false }) as { organization?: string };
    useEffect(() => {
        if (organization !== undefined) keepLook(organization);
    }, [organization]);
    const domain = organization ?? sessionStorage.getItem(KEPT) ?? "";
    const found = useQuery({
        queryKey: ["look", domain],
        enabled: domain !== "",
        // Nobody is kept from signing in by what a page looks like.
        retry: false,
        staleTime: Number.POSITIVE_INFINITY,
        queryFn: () => read(api.GET("/api/v1/auth/branding", { params: { query: { organization: domain } } })),
    });
    return found.data;
}
