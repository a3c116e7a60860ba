// The shades of an organization's colour are reckoned here and on the pages of the server itself: each must come to
// what the table says that the server's own test reads.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import ts from "typescript";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");

test("the shades of a colour are those of the server", async () => {
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    const { outputText } = ts.transpileModule(await read("../src/ui/shades.ts"), { compilerOptions });
    const { shadesOf } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
    const table = JSON.parse(await read("../../crates/tenancy/src/organization/branding/shades.json"));
    assert.ok(table.length > 0);
    for (const { accent, ...shades } of table) assert.deepEqual(shadesOf(accent), shades, accent);
});
