// The addresses of the pages: the palette reaches each that has its own, and a page says when what it shows is not there.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { signIn } from "./browser.mjs";
import { onDemo, server, visit } from "./ways.mjs";

onDemo();

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");

const pages = async () => [...(await read("../src/routes.tsx")).matchAll(/\bpage\("([^"]+)"/g)].map(([, path]) => path);

test("every page with an address of its own is a place of the palette", async () => {
    const own = (await pages()).filter((path) => !path.includes("$"));
    const places = [...(await read("../src/ui/places.tsx")).matchAll(/\bpath: "([^"]+)"/g)].map(([, path]) => path);
    assert.ok(own.length > 40, `${own.length}`);
    assert.deepEqual(
        own.filter((path) => !places.includes(path)),
        // The start asks, too.
        ["/ask"],
    );
});

test("the page of what is not there says so, and leads to its list", (context) =>
    visit(context, async (page) => {
        const things = (await pages()).filter((path) => path.includes("/$id"));
        assert.ok(things.length > 10, `${things.length}`);
        await signIn(page, server.url, "owner@acme.example");
        for (const path of things) {
            await page.goto(server.url + path.replace("$id", "999999999"));
            await page.getByRole("heading", { name: "Not found", level: 2 }).waitFor();
            const list = page.getByRole("main").getByRole("link", { name: /^Go to / });
            assert.equal(await list.getAttribute("href"), path.slice(0, path.indexOf("/$id")), path);
            assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0, path);
        }
        await page.goto(`${server.url}/policies/999999999`);
        await page.getByRole("link", { name: "Go to Policies" }).click();
        await page.getByRole("heading", { name: "Policies", level: 1, exact: true }).waitFor();
    }));
