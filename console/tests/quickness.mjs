// How quickly the console stands, by the browser's own clock: `node console/tests/quickness.mjs RUNS` prints what `make bench`
// judges, as one JSON object.
//
// Every page is loaded with an empty cache, then with a full one, and then used as a person would. Beside each stands a document
// of the same server that is a few lines of text and runs nothing: what the machine and the browser take for themselves.

import { once } from "node:events";
import { get } from "node:http";
import { demo, launch, signIn } from "./browser.mjs";

const RUNS = Number(process.argv[2] ?? 5);
const BARE = "/theme.js";
/** Chromium tells of no interaction that is quicker (Event Timing). */
const SHORTEST = 16;

const search = (page) => page.getByRole("searchbox");
const question = (page) => page.getByLabel("Question");
const PAGES = [
    { name: "sign-in", path: "/sign-in", field: (page) => page.getByLabel("E-mail") },
    { name: "home", path: "/", field: question },
    { name: "ask", path: "/ask", field: question },
    { name: "data sources", path: "/sources", field: search },
    { name: "policies", path: "/policies", field: search },
    { name: "people", path: "/people", field: search },
    { name: "audit", path: "/audit", field: search },
];

/** Runs in the page before its scripts: keeps what the browser tells only while somebody listens. */
function watch() {
    window.told = { largest: 0, interactions: [] };
    const listen = (options, hear) =>
        new PerformanceObserver((list) => list.getEntries().forEach(hear)).observe({ ...options, buffered: true });
    listen({ type: "largest-contentful-paint" }, (entry) => (window.told.largest = entry.startTime));
    listen({ type: "event", durationThreshold: 16 }, (entry) => {
        if (entry.interactionId > 0) window.told.interactions.push(entry.duration);
    });
}

async function paintOf(page, url) {
    // The way to the address that is open already would be a reload.
    await page.goto("about:blank");
    await page.goto(url);
    const paint = await page.waitForFunction(
        () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    );
    return paint.jsonValue();
}

/** One load to its end: when it was painted, and what came over the wire for it. */
async function load(page, url, field) {
    const paint = await paintOf(page, url);
    await field(page).waitFor();
    await page.waitForFunction(() => !document.querySelector(".skeleton"));
    await page.waitForLoadState("networkidle");
    const rest = await page.evaluate(() => {
        const files = performance.getEntriesByType("resource");
        return {
            largest: window.told.largest,
            // What the cache had was not transferred; the document itself always is.
            requests: 1 + files.filter((each) => each.transferSize > 0).length,
            scripts: files.map((each) => each.name).filter((name) => name.endsWith(".js")),
        };
    });
    return { paint, ...rest };
}

/** A click into the field, some words, and the palette where there is one: the slowest answer of the page to any of it. */
async function use(page, field) {
    await field(page).click();
    await field(page).pressSequentially("orders", { delay: 50 });
    if (await page.getByRole("navigation", { name: "Main" }).count()) {
        await page.keyboard.press("Control+k");
        await page.getByRole("dialog", { name: "Go to" }).waitFor();
    }
    // What the last key did is told after the frame that shows it.
    await page.waitForTimeout(300);
    return page.evaluate((shortest) => Math.max(shortest, ...window.told.interactions), SHORTEST);
}

/** Bytes of these files on the wire, for whoever takes this encoding. */
async function weight(urls, encoding) {
    let bytes = 0;
    for (const url of urls) {
        const [response] = await once(get(url, { headers: { "accept-encoding": encoding } }), "response");
        for await (const piece of response) bytes += piece.length;
    }
    return bytes;
}

async function measured(page, devtools, url, { name, path, field }) {
    const all = { name, bare: [], cold: [], warm: [], interactions: [] };
    for (let run = 0; run < RUNS; run += 1) {
        await devtools.send("Network.clearBrowserCache");
        all.bare.push(await paintOf(page, url + BARE));
        await devtools.send("Network.clearBrowserCache");
        const { scripts, ...cold } = await load(page, url + path, field);
        all.cold.push(cold);
        const { scripts: _, ...warm } = await load(page, url + path, field);
        all.warm.push(warm);
        all.interactions.push(await use(page, field));
        if (run === 0) Object.assign(all, { gzip: await weight(scripts, "gzip"), brotli: await weight(scripts, "br") });
    }
    return all;
}

const [browser, server] = await Promise.all([launch(), demo()]);
try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    await page.addInitScript(watch);
    const devtools = await page.context().newCDPSession(page);
    const pages = [];
    for (const each of PAGES) {
        if (each.path === "/") await signIn(page, server.url, "owner@acme.example");
        pages.push(await measured(page, devtools, server.url, each));
    }
    console.log(JSON.stringify({ browser: browser.version(), pages }));
} finally {
    await browser.close();
    await server.stop();
}
