// What a first visit loads, and how quickly it stands: script at most 200 KiB compressed, and figures for the bench.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { demo, launch, signIn } from "./browser.mjs";

let browser;
let server;
before(async () => {
    [browser, server] = await Promise.all([launch(), demo()]);
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

/** Bytes of script as they came over the wire. */
const scripts = (page) =>
    page.evaluate(() =>
        performance
            .getEntriesByType("resource")
            .filter((each) => each.name.endsWith(".js"))
            .reduce((sum, each) => sum + each.encodedBodySize, 0),
    );

test("the first load is light", async () => {
    const page = await (await browser.newContext()).newPage();
    await page.addInitScript(() => {
        window.interactions = [];
        new PerformanceObserver((list) =>
            window.interactions.push(...list.getEntries().map((entry) => entry.duration)),
        ).observe({ type: "event", durationThreshold: 16, buffered: true });
    });
    await signIn(page, server.url, "owner@acme.example");
    await page.waitForLoadState("networkidle");
    await page.reload();
    await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
    await page.waitForLoadState("networkidle");
    const bytes = await scripts(page);
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    for (const name of ["Sources", "Policies", "Members", "Ask"])
        await page.getByRole("link", { name, exact: true }).click();
    await page.getByLabel("Question").fill("How many orders per region?");
    await page.waitForTimeout(500);
    const slowest = await page.evaluate(() => Math.max(0, ...window.interactions));
    console.log(
        `script ${(bytes / 1024).toFixed(0)} KiB, first contentful paint ${paint.toFixed(0)} ms, slowest interaction to next paint ${slowest.toFixed(0)} ms`,
    );
    assert.ok(bytes <= 200 * 1024, `${bytes} bytes of script`);
});
