// What a first visit loads: script at most 200 KiB compressed.

import { after, before, test } from "node:test";
import { demo, launch, signIn } from "./browser.mjs";
import { assertLight, scriptBytes } from "./first-load.mjs";

let browser;
let server;
before(async () => {
    [browser, server] = await Promise.all([launch(), demo()]);
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

test("the first load is light", async () => {
    const page = await (await browser.newContext()).newPage();
    await signIn(page, server.url, "owner@acme.example");
    await page.waitForLoadState("networkidle");
    await page.reload();
    await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
    await page.waitForLoadState("networkidle");
    assertLight(await scriptBytes(page));
});
