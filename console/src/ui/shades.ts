// The shades of an organization's colour, by the contrast ratio of WCAG 2.2. The pages of the server itself reckon them
// too (organization/branding/color.rs): shades.json beside that file has what both must come to.

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

/** Of text on the colour, of the colour under the pointer, and of the colour as text in the two themes. */
export function shadesOf(color: string): { text: string; pointed_at: string; light: string; dark: string } {
    const text = textOn(color);
    return {
        text,
        pointed_at: mixed(color, text === WHITE ? BLACK : WHITE, 15),
        light: legibleOn(SURFACES.light, color),
        dark: legibleOn(SURFACES.dark, color),
    };
}
