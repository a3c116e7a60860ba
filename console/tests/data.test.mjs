// Sources, their tables and columns, and files.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { holds, signIn } from "./browser.mjs";
import { onDemo, root, server, visit } from "./ways.mjs";

const postgres = process.env.RIVERGEN_TEST_POSTGRES_URL;

onDemo();

test("connect PostgreSQL and see its tables", { skip: !postgres && "no PostgreSQL" }, (context) =>
    visit(context, async (page) => {
        const bin = execFileSync(`${root}scripts/postgres-bin.sh`).toString().trim();
        execFileSync(`${bin}/psql`, [
            postgres,
            "-qc",
            "CREATE TABLE IF NOT EXISTS lakes (id int primary key, name text not null, depth numeric)",
        ]);
        const url = new URL(postgres);
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/sources/new/postgresql`);
        await page.getByLabel("Host").fill(url.hostname);
        await page.getByLabel("Port").fill(url.port);
        await page.getByLabel("Database").fill(url.pathname.slice(1));
        await page.getByLabel("User").fill(url.username);
        await page.getByLabel("Password").fill("not the password");
        await page.getByLabel("Name").fill("Lakes");
        // The server of the tests speaks no TLS, which is asked for unless it is switched off.
        await page.getByText("More settings").click();
        await page.getByLabel("TLS (optional)").selectOption("disable");
        await page.getByRole("button", { name: "Connect" }).click();
        // The diagnosis stands in the page, and the form is still there.
        await page.getByText("The connection failed").waitFor();
        await page.getByLabel("Password").fill(url.password);
        await page.getByRole("button", { name: "Try again" }).click();
        await page.getByRole("heading", { name: "Lakes", level: 1 }).waitFor();
        await page.getByText("lakes", { exact: true }).first().waitFor();
    }),
);

test("an upload that is stopped leaves nothing behind", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/sources/new/csv`);
        // Its bytes do not come through.
        await page.route("**/api/v1/storage/tus/*", (route) =>
            route.request().method() === "PATCH" ? undefined : route.continue(),
        );
        const sent = page.waitForRequest((request) => request.method() === "PATCH");
        await page.locator('input[type="file"]').setInputFiles({
            name: "endless.csv",
            mimeType: "text/csv",
            buffer: Buffer.from("name\nNile\n"),
        });
        await sent;
        await page.getByRole("link", { name: "History" }).click();
        await page.getByRole("alert").getByText("The upload is not saved.").waitFor();
        await page.getByRole("button", { name: "Stay" }).click();
        const given = page.waitForResponse((response) => response.request().method() === "DELETE");
        await page.getByRole("button", { name: "Cancel endless.csv" }).click();
        assert.equal((await given).status(), 204);
    }));

test("an upload that is cut off goes on where the server has it", (context) =>
    visit(context, async (page) => {
        const piece = 8 * 1024 * 1024;
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/files`);
        const offsets = [];
        let answer;
        const answered = new Promise((resolve) => (answer = resolve));
        // The second piece is lost on its way, and the third time the way is slow.
        await page.route("**/api/v1/storage/tus/*", async (route) => {
            if (route.request().method() !== "PATCH") return route.continue();
            offsets.push(Number(route.request().headers()["upload-offset"]));
            if (offsets.length === 2) return route.abort();
            if (offsets.length === 3) await answered;
            return route.continue();
        });
        // By its path: what is handed over otherwise goes through the browser's own wire.
        const folder = await mkdtemp(join(tmpdir(), "rivergen-upload-"));
        const file = join(folder, "long.csv");
        await writeFile(file, "name,length\n".padEnd(piece + 4000, "Rhine,1233\n"));
        await page.locator('input[type="file"]').setInputFiles(file);
        const progress = page.getByRole("progressbar", { name: "long.csv" });
        await holds(async () => assert.equal(offsets.length, 3));
        assert.equal(await progress.getAttribute("aria-valuenow"), "100");
        await page.getByText("8.4 MB of 8.4 MB").waitFor();
        answer();
        await page.getByText("long.csv uploaded.").waitFor();
        assert.deepEqual(offsets, [0, piece, piece]);
        await rm(folder, { recursive: true });
        await page.getByText("long.csv", { exact: true }).first().waitFor();
    }));

test("upload a file and make a source of it", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/sources/new/csv`);
        await page.locator('input[type="file"]').setInputFiles({
            name: "rivers.csv",
            mimeType: "text/csv",
            buffer: Buffer.from("name,length\nRhine,1233\nElbe,1094\n"),
        });
        await page.getByRole("button", { name: "Another file" }).waitFor();
        await page.getByRole("button", { name: "Connect" }).click();
        await page.getByRole("heading", { name: "rivers", level: 1 }).waitFor();
        await page.getByText("length", { exact: true }).first().waitFor();
    }));

test("a column is tagged, and keeps the tags that it has", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/sources/1?tab=tags`);
        const add = async (tag) => {
            await page.getByRole("button", { name: "Tag a column" }).click();
            await page.getByRole("textbox", { name: "Table", exact: true }).fill("orders");
            await page.getByRole("textbox", { name: "Column", exact: true }).fill("region");
            await page.getByRole("textbox", { name: "Tags", exact: true }).fill(tag);
            await page.getByRole("button", { name: "Save", exact: true }).click();
        };
        const row = (name) => page.getByRole("row", { name });
        await add("geo.region");
        await row(/geo\.region Confirmed/).waitFor();
        await add("sales.area");
        await row(/sales\.area Confirmed/).waitFor();
        await row(/geo\.region Confirmed/).waitFor();
        await row(/sales\.area/)
            .getByRole("button", { name: "Remove" })
            .click();
        await row(/sales\.area Rejected/).waitFor();
        await row(/geo\.region Confirmed/).waitFor();
    }));

test("what is in the columns is told as far as one may see it", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.goto(`${server.url}/sources/2`);
        // As a server answers where a policy counts queries.
        await page.route("**/statistics?*", (route) => {
            const error = {
                code: "QUERY_LIMIT_EXCEEDED",
                message: "A policy allows 2 queries per hour, and you have used them up.",
                request_id: "r1",
            };
            return route.fulfill({ status: 429, json: { success: false, error } });
        });
        await page.getByRole("button", { name: "Column statistics" }).click();
        await page.getByText("A policy allows 2 queries per hour, and you have used them up.").waitFor();
        const columns = page.getByRole("region", { name: "Columns of customers" });
        assert.equal(await columns.getByRole("columnheader", { name: "Empty" }).count(), 0);
        await page.unroute("**/statistics?*");
        await page.getByRole("button", { name: "Try again" }).click();
        await page.getByText(/^From (all|the first) [\d,]+ rows that you may see/).waitFor();

        const cells = async (name) => {
            const row = columns.getByRole("row", { name: new RegExp(`^${name} `) });
            return (await row.getByRole("cell").allTextContents()).map((text) => text.trim());
        };
        // The rows of other regions are not there, and what is masked says so and no more.
        assert.deepEqual((await cells("region")).slice(2, 5), ["none", "1", "EU100%"]);
        assert.deepEqual((await cells("salary")).slice(2), ["", "", "", "Masked for you"]);
        assert.equal(await columns.getByText("@").count(), 0);

        // It is put away as it came.
        await page.getByRole("button", { name: "Column statistics", pressed: true }).click();
        await columns.getByRole("columnheader", { name: "Empty" }).waitFor({ state: "hidden" });
    }));

test("a list is searched and sorted by the server", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        const asked = [];
        await page.route("**/api/v1/data-sources?*", (route) => {
            asked.push(new URL(route.request().url()).searchParams);
            return route.continue();
        });
        await page.goto(`${server.url}/sources`);
        const sources = page.getByRole("region", { name: "Sources" });
        const names = () => sources.locator("tbody tr").getByRole("link").allTextContents();
        await sources.getByRole("link", { name: "CRM" }).waitFor();
        const up = await names();
        await sources.getByRole("button", { name: "Name" }).click();
        await sources.locator('th[aria-sort="descending"]').waitFor();
        await holds(async () => assert.deepEqual(await names(), up.toReversed()));
        assert.ok(asked.some((query) => query.get("sort_by") === "name" && query.get("sort_order") === "desc"));
        await page.getByRole("searchbox", { name: "Search sources" }).fill("crm");
        await sources.getByRole("link", { name: "Orders" }).waitFor({ state: "detached" });
        await sources.getByRole("link", { name: "CRM" }).waitFor();
        assert.ok(asked.some((query) => query.get("search") === "crm"));
    }));

test("the times of a source are changed, and its file gets a link", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/sources`);
        await page.getByRole("link", { name: "Orders", exact: true }).click();
        await page.getByRole("navigation", { name: "Parts" }).getByRole("link", { name: "Settings" }).click();
        await page.getByText("Timeouts and limits").click();
        await page.getByLabel("Query timeout, seconds").fill("45");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.", { exact: true }).waitFor();
        await page.reload();
        await holds(async () => assert.equal(await page.getByLabel("Query timeout, seconds").inputValue(), "45"));
        await page.getByRole("button", { name: "Create a link to its file" }).click();
        await page.getByRole("button", { name: "Copy link" }).waitFor();
    }));

test("a source is tested on its page, and its health keeps that", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/sources/2?tab=health`);
        const checks = page.getByRole("region", { name: "Checks" }).locator("tbody tr");
        await checks.first().waitFor();
        const before = await checks.count();
        await page.getByRole("button", { name: "Test", exact: true }).click();
        await checks.nth(before).waitFor();
    }));
