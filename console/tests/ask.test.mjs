// Questions and their answers, in words and in SQL.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { holds, noteBodies, signIn } from "./browser.mjs";
import { onDemo, owner, post, server, visit } from "./ways.mjs";

onDemo();

test("two people ask the same and are answered differently", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.getByLabel("Question").fill("How many orders per region in 2025?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many orders per region in 2025?" });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        assert.equal(await answer.getByRole("gridcell", { name: "US" }).count(), 0);
        await answer.getByText("Orders in own region").waitFor();
        await answer.getByRole("button", { name: "Why is something hidden?" }).click();
        await page.getByRole("dialog").getByText("Orders in own region").first().waitFor();
        await page.keyboard.press("Escape");
        const download = page.waitForEvent("download");
        await answer.getByRole("button", { name: "Download" }).click();
        await page.getByRole("menuitem", { name: "CSV" }).click();
        assert.match((await download).suggestedFilename(), /\.csv$/);
    }));

test("a question is followed, through a lost connection, and cancelled", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        const ask = async (question) => {
            await page.getByLabel("Question").fill(question);
            await page.keyboard.press("Enter");
        };
        const answer = (question) => page.getByRole("region", { name: question });

        // The first stream breaks off after three events; the second one goes on where it ended.
        const events = "**/executions/*/events?*";
        const streams = [];
        await page.route(events, async (route) => {
            streams.push(new URL(route.request().url()).searchParams.get("after"));
            if (streams.length > 1) return route.continue();
            const response = await route.fetch();
            const first = (await response.text()).split("\n\n").filter((block) => block.includes("data:"));
            await route.fulfill({ response, body: `${first.slice(0, 3).join("\n\n")}\n\n` });
        });
        await ask("How many orders per region?");
        await answer("How many orders per region?").getByRole("gridcell", { name: "EU" }).waitFor();
        assert.deepEqual(streams, ["0", "3"]);

        // Without any stream the answer is waited for.
        await page.unroute(events);
        await page.route(events, (route) => route.abort());
        await ask("How many orders are there?");
        await answer("How many orders are there?").getByRole("gridcell").first().waitFor();

        // This one says nothing, so that there is something to cancel however quick the server is.
        await page.unroute(events);
        await page.route(events, () => {});
        await ask("How many orders per customer in 2025?");
        await page.getByRole("region", { name: "Running" }).getByRole("button", { name: "Cancel" }).click();
        await page.getByText("Cancelled.").waitFor();
        assert.equal(await answer("How many orders per customer in 2025?").count(), 0);

        // The next question is a click away, and its answer leads on.
        await page.unroute(events);
        const next = page.getByRole("group", { name: "Try next" });
        assert.equal(await next.count(), 2);
        await answer("How many orders per region?").locator(next).getByRole("button").first().click();
        await next.nth(2).waitFor();
    }));

test("a word of several readings is asked about, and its answer remembered", (context) =>
    visit(context, async (page) => {
        const question = "Which regions are there?";
        await signIn(page, server.url, "admin@acme.example");
        const ask = async () => {
            await page.getByLabel("Question").fill(question);
            await page.keyboard.press("Enter");
        };
        await ask();
        const back = page.getByRole("group", { name: "Which do you mean?" });
        await back.getByRole("button", { name: "orders.region" }).waitFor();
        await back.getByRole("button", { name: "customers.region" }).click();
        const answer = page.getByRole("region", { name: question });
        await answer.getByRole("gridcell").first().waitFor();
        await answer.getByRole("button", { name: "Show SQL" }).click();
        assert.match(await answer.locator("pre").first().textContent(), /customers/);

        // What was answered holds from now on.
        await ask();
        await answer.nth(1).waitFor();
        assert.equal(await back.count(), 0);
    }));

test("a question goes on from an answer, and says only what is different", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByLabel("Question").fill("How many orders are there?");
        await page.keyboard.press("Enter");
        await page
            .getByRole("region", { name: "How many orders are there?" })
            .getByRole("button", { name: "Ask a follow-up" })
            .click();
        await page.getByText("Following up on").waitFor();
        await page.locator("textarea:focus").waitFor();
        await page.keyboard.type("by region");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "by region" });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        await page.getByRole("button", { name: "Ask something else" }).click();
        await page.getByText("Following up on").waitFor({ state: "hidden" });
    }));

test("an answer is called wrong, with what would have been right", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.getByLabel("Question").fill("How many customers are there?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many customers are there?" });
        await answer.getByRole("button", { name: "Wrong" }).click();
        await page.getByLabel("SQL").fill("SELECT count(DISTINCT id) AS customers FROM customers");
        await page.getByRole("button", { name: "Send feedback" }).click();
        await page.getByText("Once it is confirmed").waitFor();
        await answer.getByRole("button", { name: "Wrong", pressed: true }).waitFor();
    }));

test("what was asked before comes back, and is shared without its rows", (context) =>
    visit(context, async (page) => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await signIn(page, server.url, "developer@acme.example");
        const question = page.getByLabel("Question");
        const ask = async (text) => {
            await question.fill(text);
            await page.keyboard.press("Enter");
            const answer = page.getByRole("region", { name: text });
            await answer.getByRole("gridcell").first().waitFor();
            return answer;
        };
        await ask("How many customers are there?");
        const answer = await ask("How many orders per region?");
        await question.focus();
        await page.keyboard.press("ArrowUp");
        assert.equal(await question.inputValue(), "How many customers are there?");
        await page.keyboard.press("ArrowDown");
        assert.equal(await question.inputValue(), "How many orders per region?");
        await page.keyboard.press("ArrowDown");
        assert.equal(await question.inputValue(), "");

        await answer.getByRole("button", { name: "Share" }).click();
        await page.getByText("Link copied.").waitFor();
        const link = await page.evaluate(() => navigator.clipboard.readText());
        await visit(context, async (other) => {
            await signIn(other, server.url, "admin@acme.example");
            await other.goto(link);
            await other
                .getByRole("region", { name: "How many orders per region?" })
                .getByRole("gridcell")
                .first()
                .waitFor();
        });

        // Saved, it stands beside the suggestions of the next visit.
        await answer.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByLabel("Name").fill("Orders of the regions");
        await page.getByRole("dialog").getByRole("button", { name: "Save", exact: true }).click();
        await answer.getByRole("link", { name: "Saved" }).waitFor();
        await page.reload();
        await page
            .getByRole("group", { name: "Recently saved" })
            .getByRole("link", { name: "Orders of the regions" })
            .click();
        await page.getByRole("heading", { name: "Orders of the regions", level: 1 }).waitFor();
        await page.getByRole("gridcell").first().waitFor();
    }));

test("a question is put to the planner that is chosen", (context) =>
    visit(context, async (page) => {
        const { token } = await owner();
        const choose = async (planners) => {
            const answer = await fetch(`${server.url}/api/v1/prompts/planners`, {
                method: "PUT",
                headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
                body: JSON.stringify({ planners }),
            });
            assert.ok(answer.ok, await answer.text());
        };
        const planner = page.getByLabel("Model");
        const told = page.waitForResponse("**/api/v1/prompts/planners/names");
        // Every member is told, and nobody but administrators where the models are.
        await signIn(page, server.url, "viewer@acme.example");
        await told;
        // Where there is one there is nothing to choose.
        assert.equal(await planner.count(), 0);

        // The first answers, and nothing leaves for the other.
        await choose([{ kind: "embedded" }, { kind: "anthropic", model: "claude-for-acme", api_key: "of-nobody" }]);
        await page.reload();
        await planner.selectOption({ label: "Built-in rules" });
        assert.deepEqual(await planner.getByRole("option").allTextContents(), [
            "Automatic",
            "Built-in rules",
            "claude-for-acme",
        ]);
        const bodies = await noteBodies(page);
        await page.getByLabel("Question").fill("How many orders per region?");
        await page.keyboard.press("Enter");
        await page.getByRole("region", { name: "How many orders per region?" }).getByRole("gridcell").first().waitFor();
        const asked = (await bodies()).find((body) => body.includes("/prompts/execute "));
        assert.ok(asked.includes('"ai_model":"embedded"'), asked);
        await choose([]);
    }));

test("what was asked is shown to nobody else, and in no other workspace", (context) =>
    visit(context, async (page) => {
        const { token, organization } = await owner();
        await post("/api/v1/workspaces", { organization_id: organization, name: "Aside" }, token);
        await signIn(page, server.url, "owner@acme.example");
        const question = page.getByLabel("Question");
        const answer = page.getByRole("region", { name: "How many customers are there?" });
        const ask = async () => {
            await question.fill("How many customers are there?");
            await page.keyboard.press("Enter");
            await answer.getByRole("gridcell").first().waitFor();
        };
        const place = page.getByRole("button", { name: "Switch organization or workspace" });
        const room = place.locator(".soft");
        await holds(async () => assert.match(await room.textContent(), /\w/));
        const first = await room.textContent();
        const goTo = async (name) => {
            await place.click();
            await page.getByRole("menuitem", { name, exact: true }).click();
            await holds(async () => assert.equal(await room.textContent(), name));
        };
        await ask();
        await goTo("Aside");
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        assert.equal(await answer.count(), 0);
        await goTo(first);
        await ask();

        // The page is not loaded anew between the two.
        await page.getByRole("button", { name: "Your account" }).click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        await page.getByLabel("E-mail").fill("viewer@acme.example");
        await page.getByLabel("Password", { exact: true }).fill("Demo-pass-1");
        await page.getByRole("button", { name: "Sign in", exact: true }).click();
        await question.waitFor();
        assert.equal(await question.inputValue(), "");
        assert.equal(await answer.count(), 0);
    }));

test("the grid holds a hundred thousand rows", (context) =>
    visit(context, async (page) => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await signIn(page, server.url, "owner@acme.example");
        await page.getByRole("group", { name: "Ask in" }).getByRole("button", { name: "SQL" }).click();
        await page.getByRole("group", { name: "Sources" }).getByRole("button", { name: "CRM" }).click();
        await page.getByRole("textbox", { name: "SQL" }).fill("SELECT * FROM orders");
        await page.keyboard.press("Control+Enter");
        await page.getByRole("button", { name: "Load all rows" }).click();
        const grid = page.getByRole("grid");
        await page.waitForFunction(
            () => Number(document.querySelector('[role="grid"]')?.getAttribute("aria-rowcount")) > 100_000,
            undefined,
            { timeout: 60_000 },
        );
        // Only what is in sight is in the page.
        assert.ok((await grid.getByRole("row").count()) < 80);
        await grid.getByRole("gridcell").first().click();
        await page.keyboard.press("End");
        await grid.locator('[aria-rowindex="100001"]').waitFor();

        // All of them are sorted, and the first of one end is the last of the other.
        const cell = grid.locator('[data-cell="0:0"]');
        const value = async () => Number(await cell.textContent({ timeout: 1000 }));
        const head = grid.getByRole("columnheader").first();
        await page.keyboard.press("Home");
        await head.getByRole("button").click();
        await grid.locator('[role="columnheader"][aria-sort="ascending"]').waitFor();
        await page.evaluate(() => document.querySelector('[role="grid"]').scrollTo(0, 0));
        const least = await holds(value);
        await head.getByRole("button").click();
        await grid.locator('[role="columnheader"][aria-sort="descending"]').waitFor();
        await holds(async () =>
            assert.ok((await value()) >= least + 99_999, await cell.textContent({ timeout: 1000 })),
        );

        // One cell is copied, and the whole.
        await cell.click();
        await page.keyboard.press("Control+c");
        await page.getByText("Cell copied.").waitFor();
        const copied = () => page.evaluate(() => navigator.clipboard.readText());
        assert.equal(await copied(), await cell.textContent());
        await page.getByRole("button", { name: "Copy", exact: true }).click();
        await page.getByText("Copied 100,000 rows.").waitFor();
        assert.equal((await copied()).split("\n").length, 100_001);

        // The server keeps them for a while: they are read again, and downloaded, from the record of the run.
        await page.getByRole("link", { name: "History" }).click();
        await page.getByRole("link", { name: "SELECT * FROM orders" }).first().click();
        const result = page.getByRole("region", { name: "Result" });
        await result.getByRole("gridcell").first().waitFor();
        await result.getByRole("button", { name: "Next page" }).click();
        await result.getByText(/^1,001 to 2,000 of /).waitFor();
        const download = page.waitForEvent("download");
        await result.getByRole("button", { name: "Download" }).click();
        await page.getByRole("menuitem", { name: "CSV" }).click();
        assert.match((await download).suggestedFilename(), /^run-\d+\.csv$/);
        const parquet = page.waitForEvent("download");
        await result.getByRole("button", { name: "Download" }).click();
        await page.getByRole("menuitem", { name: "Parquet" }).click();
        const bytes = await readFile(await (await parquet).path());
        assert.equal(bytes.subarray(0, 4).toString(), "PAR1");
    }));

test("SQL is completed from what one may see", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.getByRole("group", { name: "Ask in" }).getByRole("button", { name: "SQL" }).click();
        await page.getByRole("textbox", { name: "SQL" }).click();
        const offered = page.getByRole("listbox").getByRole("option");
        await page.keyboard.type("SELECT * FROM custo");
        await offered
            .filter({ hasText: /^customers/ })
            .first()
            .click();
        await page.keyboard.type(" WHERE reg");
        await offered
            .filter({ hasText: /^region/ })
            .first()
            .waitFor();
    }));

test("what is no one line and no one row of bars is not drawn", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        const question = "How many orders per month and region?";
        await page.getByLabel("Question").fill(question);
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: question });
        await answer.getByRole("gridcell", { name: "EU" }).first().waitFor();
        assert.equal(await answer.getByRole("button", { name: "Chart", exact: true }).isDisabled(), true);
    }));

test("an answer is drawn as a chart, and stands as a table again", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByLabel("Question").fill("How many orders per region?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many orders per region?" });
        const as = (name) => answer.getByRole("group", { name: "Show as" }).getByRole("button", { name });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        await as("Chart").click();
        await answer.getByRole("img", { name: /EU/ }).waitFor();
        assert.equal(await answer.getByRole("grid").count(), 0);
        await as("Table").click();
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
    }));
