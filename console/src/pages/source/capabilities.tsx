// What of a query a kind of source computes itself, and what the kind has been tried with.

import type { Schemas } from "../../api/client";
import { Facts } from "../../ui/basics";

const PARTS = [
    ["filters", "filters"],
    ["projections", "column selection"],
    ["limits", "limits"],
    ["sorting", "sorting"],
    ["aggregates", "totals"],
    ["joins", "joins within the source"],
] as const;

const SIDES: Record<string, string> = {
    itself: "The real product",
    emulator: "A third-party emulator",
    stand_in: "A stand-in built from its documentation",
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
                abilities && ["Runs in the source", own.join(", ") || "nothing"],
                abilities && rest.length > 0 && ["Runs in RiverGen", rest.join(", ")],
                verification && ["Tested with", SIDES[verification.with] ?? verification.with],
                verification && ["Version", verification.against],
            ]}
        />
    );
}
