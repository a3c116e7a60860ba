// How the sign-in pages of an organization look.

import type { CSSProperties } from "react";
import type { Schemas } from "../api/client";
import { shadesOf } from "./shades";

export type Look = Pick<Schemas["SignInBranding"], "organization_name" | "branding">;

/** What makes the styles of `themed` those of the colour; nothing without one. */
export function themed(accent: string | null | undefined): { className: string; style?: CSSProperties } {
    if (!accent) return { className: "" };
    const shades = shadesOf(accent);
    const style = {
        "--brand": accent,
        "--brand-ink": shades.text,
        "--brand-hover": shades.pointed_at,
        "--brand-light": shades.light,
        "--brand-dark": shades.dark,
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
