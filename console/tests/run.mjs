// Runs the tests of the console, two files beside each other: node console/tests/run.mjs [FILE…]
//
// A test that fails is tried once more, alone; if it passes then, it is told as FLAKY.

import { readdir, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Runs them, and tells which tests did not pass and which did. */
async function outcome(options) {
    const [failed, passed] = [[], []];
    const tests = run(options);
    tests.on("test:fail", (test) => failed.push(test));
    tests.on("test:pass", (test) => test.skip === undefined && passed.push(test));
    for await (const line of tests.compose(new spec())) process.stdout.write(line);
    return { failed, passed };
}

/** The longest first, so that none is left to run alone at the end: every page takes its time, the others what they are long. */
async function longestFirst(files) {
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
    const length = (file) => (/\/pages-\w+\.test\.mjs$/.test(file) ? Infinity : sizes[files.indexOf(file)]);
    return files.toSorted((one, other) => (length(one) < length(other) ? 1 : length(one) > length(other) ? -1 : 0));
}

const { dirname } = import.meta;
const named = process.argv.slice(2).map((file) => resolve(file));
const all = (await readdir(dirname)).filter((name) => name.endsWith(".test.mjs")).map((name) => resolve(dirname, name));
const files = await longestFirst(named.length > 0 ? named : all);
// Each has a server and a browser of its own.
const { failed } = await outcome({ files, concurrency: 2 });
if (failed.length === 0) process.exit(0);

// As with the other tests: what fails and passes at once, on a demo of its own, is told as flaky, to be mended, and does not
// stand in everybody's way until then. More than a few are no accident.
if (failed.length > 3) process.exit(1);
const names = failed.map(({ name }) => name);
console.log(names.map((name) => `\n== Once more, on a demo of its own: ${name}`).join(""));
const again = await outcome({
    files: [...new Set(failed.map(({ file }) => file))],
    concurrency: 1,
    testNamePatterns: names.map((name) => new RegExp(`^${name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`)),
});
if (again.failed.length > 0) process.exit(1);
// What was not found by its name (a file that did not begin, say) was passed over, and did not pass.
const missing = names.filter((name) => !again.passed.some((test) => test.name === name));
for (const name of missing) console.log(`did not run once more: ${name}`);
if (missing.length > 0) process.exit(1);
for (const name of names) console.log(`FLAKY ${name}`);
