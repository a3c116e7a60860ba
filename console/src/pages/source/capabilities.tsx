// What of a query a kind of source computes itself, and what the kind has been tried with.

import type { Schemas } from "../../api/client";
import { Facts } from "../../ui/basics";

const PARTS = [
    ["filters", "filters"],
    ["projections", "choice of columns"],
    ["limits", "limits"],
    ["sorting", "sorting"],
    ["aggregates", "totals"],
    ["joins", "joins of its own tables"],
] as const;

const SIDES: Record<string, string> = {
    itself: "itself",
    emulator: "software of others that speaks as it does",
    stand_in: "a stand-in of our tests, made after its documents",
};

export function Capabilities({
    abilities,
    verification,
}: {
    abilities?: Schemas["SourceAbilities"] | null;
    verification?: Schemas["SourceVerification"] | null;
}) {
    const own = PARTS.filter(([key]) => abilities?.[key]).map(([, name]) => name);
    const rest = PARTS.filter(([key]) => abilities && !abilities[key]).map(([, name]) => name);
    return (
        <Facts
            of={[
                abilities && ["Computed by the source", own.join(", ") || "nothing"],
                abilities && rest.length > 0 && ["Computed here", rest.join(", ")],
                verification && ["Tried with", SIDES[verification.with] ?? verification.with],
                verification && ["Which was", verification.against],
            ]}
        />
    );
}
