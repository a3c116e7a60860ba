// When a schedule is due: said in words, and chosen.

import type { Schemas } from "../../api/client";
import { Choices, SelectField, TextField, words } from "../../ui/basics";
import { Toggles } from "../../ui/chips";

type Timing = Schemas["ScheduleTiming"];

const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

const list = new Intl.ListFormat("en");

export function inWords({ every, minute, on, day, at }: Timing): string {
    switch (every) {
        case "hour":
            return `Every hour at minute ${minute}`;
        case "day":
            return `Every day at ${at}`;
        case "week":
            return `Every ${list.format((on ?? []).map(words))} at ${at}`;
        case "month":
            return `Every month on day ${day} at ${at}`;
    }
}

/** All that can be said, so that what is chosen stays while another rhythm is looked at. */
export type TimingDraft = {
    every: Timing["every"];
    minute: string;
    on: readonly (typeof DAYS)[number][];
    day: string;
    at: string;
    time_zone: string;
};

const hereZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What it is now; without one, every morning where this browser is. */
export const draftOf = (timing?: Timing): TimingDraft => ({
    every: timing?.every ?? "day",
    minute: String(timing?.minute ?? 0),
    on: timing?.on ?? ["monday"],
    day: String(timing?.day ?? 1),
    at: timing?.at ?? "08:00",
    time_zone: timing?.time_zone ?? hereZone,
});

/** What goes with its rhythm, and nothing else. */
export function timingOf({ every, minute, on, day, at, time_zone }: TimingDraft): Timing {
    switch (every) {
        case "hour":
            return { every, minute: Number(minute), time_zone };
        case "day":
            return { every, at, time_zone };
        case "week":
            return { every, on: DAYS.filter((each) => on.includes(each)), at, time_zone };
        case "month":
            return { every, day: Number(day), at, time_zone };
    }
}

export function TimingFields({
    draft,
    onDraft,
    of,
}: {
    draft: TimingDraft;
    onDraft: (draft: TimingDraft) => void;
    /** What is wrong with a field of the request. */
    of: (field: string) => string | undefined;
}) {
    const set = (change: Partial<TimingDraft>) => onDraft({ ...draft, ...change });
    // Browsers leave UTC out, and know some zones by another name than the one that was kept.
    const zones = new Set([draft.time_zone, hereZone, "UTC", ...Intl.supportedValuesOf("timeZone")]);
    return (
        <>
            <div className="form-grid">
                <SelectField
                    label="How often"
                    value={draft.every}
                    onValue={(every) => set({ every: every as Timing["every"] })}
                    options={[
                        ["hour", "Every hour"],
                        ["day", "Every day"],
                        ["week", "Every week"],
                        ["month", "Every month"],
                    ]}
                    error={of("timing.every")}
                />
                {draft.every === "month" && (
                    <TextField
                        label="Day of the month"
                        type="number"
                        min={1}
                        max={31}
                        required
                        hint="Shorter months use their last day."
                        value={draft.day}
                        onValue={(day) => set({ day })}
                        error={of("timing.day")}
                    />
                )}
                {draft.every === "hour" ? (
                    <TextField
                        label="Minute"
                        type="number"
                        min={0}
                        max={59}
                        required
                        value={draft.minute}
                        onValue={(minute) => set({ minute })}
                        error={of("timing.minute")}
                    />
                ) : (
                    <TextField
                        label="At"
                        type="time"
                        required
                        value={draft.at}
                        onValue={(at) => set({ at })}
                        error={of("timing.at")}
                    />
                )}
                <SelectField
                    label="Time zone"
                    value={draft.time_zone}
                    onValue={(time_zone) => set({ time_zone })}
                    options={[...zones].sort().map((zone) => [zone, zone.replaceAll("_", " ")] as const)}
                    error={of("timing.time_zone")}
                />
            </div>
            {draft.every === "week" && (
                <Choices legend="On" error={of("timing.on")}>
                    <Toggles
                        options={DAYS.map((each) => [each, words(each)] as const)}
                        chosen={draft.on}
                        onChosen={(on) => set({ on })}
                    />
                </Choices>
            )}
        </>
    );
}
