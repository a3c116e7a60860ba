// The palette reaches every page: each that has an address of its own is among the places that it reads.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");

test("every page with an address of its own is a place of the palette", async () => {
    const pages = [...(await read("../src/routes.tsx")).matchAll(/\bpage\("([^"$]+)"/g)].map(([, path]) => path);
    const places = [...(await read("../src/ui/places.tsx")).matchAll(/\bpath: "([^"]+)"/g)].map(([, path]) => path);
    assert.ok(pages.length > 40, `${pages.length}`);
    assert.deepEqual(
        pages.filter((path) => !places.includes(path)),
        // The start asks, too.
        ["/ask"],
    );
});
