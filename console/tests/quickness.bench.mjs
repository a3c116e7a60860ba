// How quickly the console stands, on a demo of this machine and by the browser's own clock: a table for `make bench`. Only the
// bytes are asserted; the times are those of whoever measures.

import { after, before, test } from "node:test";
import { demo, launch, signIn } from "./browser.mjs";
import { assertLight, scriptBytes } from "./first-load.mjs";

/** Loads that are measured, each with an empty cache. */
const LOADS = 7;
/** The browser tells of no interaction that takes less (Event Timing). */
const SHORTEST = 16;

let browser;
let server;
before(async () => {
    [browser, server] = await Promise.all([launch(), demo()]);
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

/** Runs in the page before its scripts: marks the moment at which the home page has its content, and keeps interactions. */
function watch() {
    window.interactions = [];
    new PerformanceObserver((list) => window.interactions.push(...list.getEntries())).observe({
        type: "event",
        durationThreshold: 16,
        buffered: true,
    });
    const look = new MutationObserver(() => {
        const sources = document.querySelector('.composer [aria-label="Sources"]');
        if (!sources?.querySelector("button") || !document.querySelector("main h1")) return;
        look.disconnect();
        // What is in the document is seen with the next frame.
        requestAnimationFrame(() => performance.mark("home"));
    });
    look.observe(document, { childList: true, subtree: true });
}

async function measured(page) {
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Network.clearBrowserCache");
    await page.reload();
    await page.waitForFunction(() => performance.getEntriesByName("home").length > 0);
    await page.waitForLoadState("networkidle");
    const bytes = await scriptBytes(page);
    const [paint, home] = await page.evaluate(() =>
        ["first-contentful-paint", "home"].map((name) => performance.getEntriesByName(name)[0]?.startTime),
    );
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog", { name: "Go to" }).waitFor();
    await page.waitForTimeout(300);
    const palette = await page.evaluate(() =>
        Math.max(0, ...window.interactions.filter((each) => each.interactionId > 0).map((each) => each.duration)),
    );
    await devtools.detach();
    return { paint, home, palette, bytes };
}

test("how quickly the console stands", async () => {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage();
    await page.addInitScript(watch);
    await signIn(page, server.url, "owner@acme.example");
    const loads = [];
    for (let load = 0; load < LOADS; load += 1) loads.push(await measured(page));

    const time = (value) => (value < SHORTEST ? `< ${SHORTEST} ms` : `${value.toFixed(0)} ms`);
    const size = (value) => `${(value / 1024).toFixed(1)} KiB`;
    const row = (name, key, written) => {
        const sorted = loads.map((load) => load[key]).sort((a, b) => a - b);
        return [name, written(sorted[Math.floor(LOADS / 2)]), written(sorted[LOADS - 1])];
    };
    const table = [
        [`the console, ${LOADS} loads with an empty cache`, "median", "worst"],
        row("first contentful paint", "paint", time),
        row("the home page's content is there", "home", time),
        row("the palette opens, interaction to next paint", "palette", time),
        row("script of the first load, compressed", "bytes", size),
    ];
    const widths = [0, 1, 2].map((column) => Math.max(...table.map((cells) => cells[column].length)));
    for (const [name, median, worst] of table)
        console.log(`${name.padEnd(widths[0])}  ${median.padStart(widths[1])}  ${worst.padStart(widths[2])}`);
    assertLight(Math.max(...loads.map((load) => load.bytes)));
});
