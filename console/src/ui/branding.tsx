// How the sign-in pages of an organization look. The colours are reckoned as on the pages of the server itself
// (organization/branding/color.rs), by the contrast ratio of WCAG 2.2.

import type { CSSProperties } from "react";
import type { Schemas } from "../api/client";

export type Look = Pick<Schemas["SignInBranding"], "organization_name" | "branding">;

/** What text must have against what it stands on. */
const LEGIBLE = 4.5;
const WHITE = "#ffffff";
const BLACK = "#000000";
/** What the pages at the door stand on, `--surface` in the two themes. */
const SURFACES = { light: WHITE, dark: "#141c25" };

const channels = (color: string): [number, number, number] => {
    const value = Number.parseInt(color.slice(1), 16);
    return [value >> 16, (value >> 8) & 255, value & 255];
};

function luminance(color: string): number {
    const linear = (channel: number) => {
        const value = channel / 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    };
    const [red, green, blue] = channels(color);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function contrast(one: string, other: string): number {
    const [a, b] = [luminance(one) + 0.05, luminance(other) + 0.05];
    return Math.max(a, b) / Math.min(a, b);
}

function mixed(one: string, other: string, percent: number): string {
    const [a, b] = [channels(one), channels(other)];
    const parts = a.map((own, at) => Math.floor((own * (100 - percent) + (b[at] ?? own) * percent) / 100));
    return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** Black or white: one of them is always legible. */
const textOn = (color: string) => (contrast(color, WHITE) >= contrast(color, BLACK) ? WHITE : BLACK);

/** The colour itself where it is legible there, else the nearest shade that is. */
function legibleOn(surface: string, color: string): string {
    const towards = textOn(surface);
    for (let percent = 0; percent < 100; percent += 5) {
        const shade = mixed(color, towards, percent);
        if (contrast(shade, surface) >= LEGIBLE) return shade;
    }
    return towards;
}

/** What makes the styles of `themed` those of the colour; nothing without one. */
export function themed(accent: string | null | undefined): { className: string; style?: CSSProperties } {
    if (!accent) return { className: "" };
    const text = textOn(accent);
    const style = {
        "--brand": accent,
        "--brand-ink": text,
        "--brand-hover": mixed(accent, text === WHITE ? BLACK : WHITE, 15),
        "--brand-light": legibleOn(SURFACES.light, accent),
        "--brand-dark": legibleOn(SURFACES.dark, accent),
    };
    return { className: "themed", style: style as CSSProperties };
}

/** Whose page it is: the organization's where it has set how it looks, else RiverGen's. */
export function Brand({ look }: { look: Look | undefined }) {
    if (!look?.organization_name || !(look.branding.accent_color || look.branding.logo))
        return (
            <div className="brand">
                <img src="/icon.svg" alt="" />
                RiverGen
            </div>
        );
    return (
        <div className="brand">
            {look.branding.logo && <img src={look.branding.logo} alt="" className="logo" />}
            {look.organization_name}
        </div>
    );
}
