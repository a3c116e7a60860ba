// Whether this is a demo, and who is in it: its server writes that into the page.

export type Demo = { password: string; people: { email: string; role: string }[] };

export function demo(): Demo | undefined {
    const text = document.querySelector<HTMLMetaElement>('meta[name="demo"]')?.content;
    return text?.startsWith("{") ? JSON.parse(text) : undefined;
}
