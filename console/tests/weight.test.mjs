// What a first visit loads: script at most 200 KiB compressed, and none of what is above the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { signIn } from "./browser.mjs";
import { browser, onDemo, server } from "./ways.mjs";

const MOST = 200 * 1024;

onDemo();

test("the first load is light", async () => {
    const page = await (await browser.newContext()).newPage();
    await signIn(page, server.url, "owner@acme.example");
    await page.waitForLoadState("networkidle");
    await page.reload();
    await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
    await page.waitForLoadState("networkidle");
    const scripts = () =>
        page.evaluate(() =>
            performance
                .getEntriesByType("resource")
                .filter((each) => each.name.endsWith(".js"))
                .map((each) => ({ name: each.name, size: each.encodedBodySize })),
        );
    const first = await scripts();
    const bytes = first.reduce((sum, each) => sum + each.size, 0);
    assert.ok(bytes <= MOST, `${bytes} bytes of script, of ${MOST} at most`);

    // What stands above the page, and its library, come with the first that is opened.
    const overlays = async (those) => {
        const texts = await Promise.all(those.map(async (each) => (await fetch(each.name)).text()));
        return those.filter((_, index) => texts[index].includes("react-aria-top-layer")).map((each) => each.name);
    };
    assert.deepEqual(await overlays(first), []);
    await page.getByRole("button", { name: /Your account/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).waitFor();
    assert.notDeepEqual(await overlays(await scripts()), []);
});
