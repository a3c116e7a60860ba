// Coming in, and coming back from other providers.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { queries } from "../../queries";
import { session } from "../../session";

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

/** Where somebody wants to, while they are away at a provider. */
export const destination = {
    keep(to: string | undefined) {
        if (to) sessionStorage.setItem("to", to);
        else sessionStorage.removeItem("to");
    },
    peek: () => sessionStorage.getItem("to") ?? undefined,
    take(): string | undefined {
        const to = sessionStorage.getItem("to") ?? undefined;
        sessionStorage.removeItem("to");
        return to;
    },
};
