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
    itself: "The real product",
    emulator: "An emulator made by others",
    stand_in: "A stand-in made after its documentation",
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
                abilities && ["In the source", own.join(", ") || "nothing"],
                abilities && rest.length > 0 && ["In RiverGen", rest.join(", ")],
                verification && ["Tested with", SIDES[verification.with] ?? verification.with],
                verification && ["Version", verification.against],
            ]}
        />
    );
}
