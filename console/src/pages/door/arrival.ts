// Coming in, and coming back from other providers.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { queries } from "../../queries";
import { session } from "../../session";
import { keepLook, keptLook } from "./look";

/** Where this browser keeps which provider is on its way back, to have an account there connected. */
export const CONNECTING = "connecting";

/** Where somebody goes who has just come in: where they wanted to, if that is a place of this console. */
export function useArrival() {
    const navigate = useNavigate();
    const { to } = useSearch({ strict: false }) as { to?: string };
    return (tokens: { access_token: string; expires_in: number; notice?: string | null }, wanted = to) => {
        queries.clear();
        session.begin(tokens);
        void navigate({ to: wanted?.startsWith("/") && !wanted.startsWith("//") ? wanted : "/" });
    };
}

/** The address of another page at the door, from which it goes on to where somebody wants to. */
export const doorTo = (path: string, to: string | undefined) => (to ? `${path}?to=${encodeURIComponent(to)}` : path);

/** The same, from a page that is on the way itself. */
export function useDoor() {
    const { to } = useSearch({ strict: false }) as { to?: string };
    return (path: string) => doorTo(path, to);
}

/** Where somebody wants to, while they are away at a provider. */
export const destination = {
    keep(to: string | undefined) {
        if (to) sessionStorage.setItem("to", to);
        else sessionStorage.removeItem("to");
    },
    peek: () => sessionStorage.getItem("to") ?? undefined,
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
        const { until = 0, ...kept } = JSON.parse(localStorage.getItem("mailed") ?? "{}");
        return until > Date.now() ? kept : {};
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
