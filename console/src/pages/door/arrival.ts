// Coming in, and coming back from other providers.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { queries } from "../../queries";
import { session } from "../../session";
import { keepLook, keptLook } from "./look";

/** Where this browser keeps which provider is on its way back, to have an account there connected. */
export const CONNECTING = "connecting";

/** A place of this console, as it stands after its origin; none for what leads anywhere else. Addresses can be written by
 * anybody, and what is kept by other scripts of this origin. */
export function placeIn(to: unknown): string | undefined {
    // Browsers read a backslash as a slash, and pass over tabs and line breaks: two at the beginning name another server.
    if (typeof to !== "string" || !to.startsWith("/") || !URL.canParse(to, location.origin)) return undefined;
    const { origin, pathname, search, hash } = new URL(to, location.origin);
    return origin === location.origin && !pathname.startsWith("//") ? pathname + search + hash : undefined;
}

/** Where somebody wants to who stands at the door, as the address says. */
export function useDestination(): string | undefined {
    return placeIn((useSearch({ strict: false }) as { to?: unknown }).to);
}

/** Where somebody goes who has just come in: where they wanted to, if that is a place of this console. */
export function useArrival() {
    const navigate = useNavigate();
    const to = useDestination();
    return (tokens: { access_token: string; expires_in: number; notice?: string | null }, wanted = to) => {
        queries.clear();
        session.begin(tokens);
        void navigate({ to: placeIn(wanted) ?? "/" });
    };
}

/** The address of another page at the door, from which it goes on to where somebody wants to. */
export const doorTo = (path: string, to: string | undefined) => (to ? `${path}?to=${encodeURIComponent(to)}` : path);

/** The same, from a page that is on the way itself. */
export function useDoor() {
    const to = useDestination();
    return (path: string) => doorTo(path, to);
}

/** Where somebody wants to, while they are away at a provider. */
export const destination = {
    keep(to: string | undefined) {
        if (to) sessionStorage.setItem("to", to);
        else sessionStorage.removeItem("to");
    },
    peek: () => placeIn(sessionStorage.getItem("to")),
};

/** As long as a mailed link works that somebody asks for at the door, in milliseconds. */
const LINK_LIFETIME = 3_600_000;

/** Where somebody wants to who is sent a link, and how the pages look: it may be opened in another tab. This browser keeps it and
 * the link does not have it, so that nobody is led anywhere by a mail that somebody else asked for in their name. */
export const mailed = {
    keep(to: string | undefined) {
        const kept = { to, organization: keptLook(), until: Date.now() + LINK_LIFETIME };
        localStorage.setItem("mailed", JSON.stringify(kept));
    },
    peek(): { to?: string; organization?: string } {
        const { until = 0, to, organization } = JSON.parse(localStorage.getItem("mailed") ?? "{}");
        return until > Date.now() ? { to: placeIn(to), organization } : {};
    },
    forget: () => localStorage.removeItem("mailed"),
};

/** On a page behind a mailed link: where it goes on to. Its tab looks from now on as the one that the mail was asked for in. */
export function useMailed(): string | undefined {
    const [to] = useState(() => {
        const { to, organization } = mailed.peek();
        if (organization) keepLook(organization);
        return to;
    });
    return to;
}
