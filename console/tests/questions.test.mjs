// What is kept of questions: saved ones, schedules, templates, words, and what the data means.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inMail, signIn } from "./browser.mjs";
import { onDemo, owner, post, server, visit } from "./ways.mjs";

onDemo();

/** The dialog that saves what the owner of the demo has asked: how many orders there are per region. */
async function ordersToSave(page) {
    const question = "How many orders per region?";
    await signIn(page, server.url, "owner@acme.example");
    await page.getByLabel("Question").fill(question);
    await page.keyboard.press("Enter");
    const answer = page.getByRole("region", { name: question });
    await answer.getByRole("button", { name: "Save", exact: true }).click();
    return page.getByRole("dialog");
}

test("a question is saved, found, asked again, named, deleted and restored", (context) =>
    visit(context, async (page) => {
        const dialog = await ordersToSave(page);
        await dialog.getByLabel("Name").fill("Regional orders");
        await dialog.getByLabel("Tags").fill("weekly, sales");
        await dialog.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByText("Saved to Questions.").waitFor();

        await page.getByRole("link", { name: "Questions" }).click();
        await page.getByRole("searchbox", { name: "Search questions" }).fill("regional");
        await page.getByRole("link", { name: "Regional orders" }).click();
        // The list says its tags, too.
        await page.getByRole("heading", { name: "Regional orders", level: 1 }).waitFor();
        await page.getByText("weekly", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Ask again" }).click();
        await page.getByRole("gridcell", { name: "EU" }).waitFor();

        await page.getByRole("button", { name: "More", exact: true }).click();
        await page.getByRole("menuitem", { name: "Name and tags…" }).click();
        await page.getByRole("textbox", { name: "Name" }).fill("Orders by region, weekly");
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByRole("heading", { name: "Orders by region, weekly", level: 1 }).waitFor();

        // What it was before holds again, and then what it was after that.
        await page.getByRole("button", { name: "Restore version 1", exact: true }).click();
        await page.getByRole("heading", { name: "Regional orders", level: 1 }).waitFor();
        await page.getByRole("button", { name: "Restore version 2", exact: true }).click();
        await page.getByRole("heading", { name: "Orders by region, weekly", level: 1 }).waitFor();

        await page.getByRole("button", { name: "More", exact: true }).click();
        await page.getByRole("menuitem", { name: "Delete" }).click();
        await page.getByText("You can restore it").waitFor();
        await page.getByLabel("Status").selectOption({ label: "Deleted" });
        await page
            .getByRole("row", { name: /Orders by region, weekly/ })
            .getByRole("button", { name: "Restore" })
            .click();
        await page.getByText("Restored.").waitFor();
        await page.getByLabel("Status").selectOption({ label: "Current" });
        await page.getByRole("button", { name: "More for Orders by region, weekly" }).click();
        await page.getByRole("menuitem", { name: "Ask again" }).click();
        await page.getByRole("gridcell", { name: "EU" }).waitFor();
    }));

test("a saved question is asked by itself: run at once, mailed, paused, resumed and deleted", (context) =>
    visit(context, async (page) => {
        const dialog = await ordersToSave(page);
        await dialog.getByLabel("Name").fill("Orders for the morning");
        // On the page of the question it is asked at once when that is to be.
        await dialog.getByRole("button", { name: "Save and schedule…" }).click();
        await page.getByRole("heading", { name: "Orders for the morning", level: 1 }).waitFor();
        await dialog.getByLabel("Name").fill("Every morning");
        await dialog.getByLabel("How often").selectOption({ label: "Every day" });
        await dialog.getByLabel("At", { exact: true }).fill("07:30");
        await dialog.getByLabel("Time zone").selectOption("Europe/Berlin");
        // Somebody must hear of it; oneself, until one says otherwise.
        await dialog.getByLabel("E-mail me").uncheck();
        await dialog.locator("button:disabled", { hasText: "Create schedule" }).waitFor();
        await dialog.getByLabel("E-mail me").check();
        await dialog.getByLabel("Add someone").selectOption({ label: "Dana Developer" });
        await dialog.getByLabel("Include rows").check();
        await dialog.getByRole("button", { name: "Create schedule" }).click();
        const row = page.getByRole("row", { name: /Every morning/ });
        await row.getByText("Every day at 07:30, Europe/Berlin").waitFor();
        await row.getByText("Active", { exact: true }).waitFor();
        const choose = async (choice) => {
            await page.getByRole("button", { name: "More for Every morning" }).click();
            await page.getByRole("menuitem", { name: choice }).click();
        };

        // It is asked for the owner, whose mail alone has rows.
        await choose("Run now");
        const runs = page.getByRole("dialog", { name: "Runs of Every morning" });
        await runs.getByText("Completed", { exact: true }).waitFor();
        await runs.getByRole("listitem").filter({ hasText: "Dana Developer" }).getByText("Sent").waitFor();
        await runs.getByRole("button", { name: "Close" }).click();
        const subject = /Every morning: there is a new answer/;
        assert.match((await inMail(server, "owner@acme.example", subject)).input, /EU<\/td>/);
        assert.doesNotMatch((await inMail(server, "developer@acme.example", subject)).input, /<td|rows: /);

        await choose("Pause");
        await row.getByText("Paused manually.").waitFor();
        await choose("Resume");
        await row.getByText("Active", { exact: true }).waitFor();
        await choose("Pause");
        await row.getByText("Paused", { exact: true }).waitFor();

        await page.getByRole("link", { name: "Questions" }).first().click();
        await page.getByRole("link", { name: "Schedules", exact: true }).click();
        await page.getByLabel("Whose").selectOption({ label: "Mine" });
        await page.getByLabel("Status").selectOption({ label: "Active" });
        await page.getByRole("heading", { name: "No matching schedules" }).waitFor();
        await page.getByLabel("Status").selectOption({ label: "Paused" });
        await row.getByRole("link", { name: "Every morning" }).waitFor();
        await choose("Delete…");
        await dialog.getByRole("button", { name: "Delete" }).click();
        await row.waitFor({ state: "hidden" });
    }));

test("a question is asked to be scheduled once, whatever is loaded anew", (context) =>
    visit(context, async (page) => {
        const { token } = await owner();
        const { prompt_id } = await post(
            "/api/v1/prompts/execute",
            {
                prompt_text: "How many orders are there?",
                selected_data_source_ids: [1],
                name: "Once",
                save_prompt: true,
            },
            token,
        );
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/questions/${prompt_id}?schedule=new`);
        await page.getByRole("dialog", { name: "New schedule" }).waitFor();
        await page.waitForURL(`${server.url}/questions/${prompt_id}`);
        await page.reload();
        await page.getByRole("heading", { name: "No schedules yet" }).waitFor();
        assert.equal(await page.getByRole("dialog").count(), 0);
    }));

test("another's schedule says why it is paused, and its owner alone resumes it", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        // As a server answers with a schedule of somebody else.
        await page.route("**/api/v1/prompts/schedules?*", async (route) => {
            const schedule = {
                id: 7,
                prompt_id: 7,
                owner_user_id: 3,
                name: "Of a colleague",
                timing: { every: "week", on: ["monday", "friday"], at: "08:00", time_zone: "UTC" },
                delivery: { mail_to_user_ids: [3], webhook_origin: "https://hooks.acme.example", include_rows: true },
                status: "paused",
                paused_reason: "permission_lost",
                failures: 0,
            };
            const data = { items: [schedule], pagination: { total_items: 1 } };
            await route.fulfill({ json: { success: true, data } });
        });
        await page.goto(`${server.url}/questions/schedules`);
        const row = page.getByRole("row", { name: /Of a colleague/ });
        await row.getByText("Every Monday and Friday at 08:00, UTC").waitFor();
        await row.getByText("Its owner lost a permission it needs. Only its owner can resume it.").waitFor();
        await page.getByRole("button", { name: "More for Of a colleague" }).click();
        await page.getByRole("menuitem").first().waitFor();
        assert.deepEqual(await page.getByRole("menuitem").allTextContents(), ["Runs", "Delete…"]);
    }));

test("a template is written, and asked with a value", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByRole("link", { name: "Questions" }).click();
        await page.getByRole("link", { name: "Templates" }).click();
        await page.getByRole("link", { name: "New template" }).first().click();
        await page.getByLabel("Question").fill("How many orders with region {{region}} in {{year}}?");
        await page.getByRole("group", { name: "Sources" }).getByRole("button", { name: "Orders" }).click();
        await page.getByLabel("Type").nth(1).selectOption({ label: "Whole number" });
        await page.getByLabel("Default").nth(1).fill("2025");
        await page.getByLabel("Name", { exact: true }).fill("Orders of a region");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("heading", { name: "Orders of a region", level: 1 }).waitFor();
        await page.getByRole("textbox", { name: "region" }).fill("EU");
        await page.getByRole("button", { name: "Ask", exact: true }).click();
        const answer = page.getByRole("region", { name: "How many orders with region EU in 2025?" });
        await answer.getByRole("gridcell").first().waitFor();
    }));

test("words of one's own, and an answer that somebody confirms", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/questions/words`);
        await page.getByRole("button", { name: "Add term" }).click();
        // The new one has the focus.
        await page.locator("main input:focus").waitFor();
        await page.keyboard.type("takings");
        await page.getByRole("textbox", { name: "Means" }).last().fill("number of orders");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved. It applies").waitFor();

        await page.goto(`${server.url}/ask?q=Takings+per+region`);
        const answer = page.getByRole("region", { name: "Takings per region" });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        await answer.getByRole("button", { name: "Right" }).click();
        await page.getByText("Once it is confirmed").waitFor();
        await page.goto(`${server.url}/questions/verified`);
        await page
            .getByRole("row", { name: /Takings per region/ })
            .getByRole("button", { name: "Confirm" })
            .click();
        await page.getByText("Confirmed. The question uses").waitFor();
        await page.goto(`${server.url}/ask?q=Takings+per+region`);
        await answer.getByText(/^Verified/).waitFor();
    }));

test("what the data means is said, asked by, put right and deleted", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/questions/meaning`);
        const dialog = page.getByRole("dialog");
        // Where there is none yet, the empty list has the button, too.
        await page.getByRole("button", { name: "New definition" }).first().click();
        await dialog.getByLabel("Name").fill("gross sales");
        await dialog.getByLabel("Table").fill("orders.files.orders");
        await dialog.getByLabel("Formula").fill("sum(nothing)");
        await dialog.getByRole("button", { name: "Save" }).click();
        await dialog.locator(".wrong").waitFor();
        await dialog.getByLabel("Formula").fill("sum(amount)");
        await dialog.getByRole("button", { name: "Save" }).click();
        const row = page.getByRole("row", { name: /gross sales/ });
        await row.waitFor();

        const download = page.waitForEvent("download");
        await page.getByRole("button", { name: "More", exact: true }).click();
        await page.getByRole("menuitem", { name: "Export as YAML" }).click();
        assert.equal((await download).suggestedFilename(), "semantic-layer.yaml");

        await page.goto(`${server.url}/ask?q=Gross+sales+per+region`);
        const answer = page.getByRole("region", { name: "Gross sales per region" });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        await page.goto(`${server.url}/questions/meaning`);
        await row.getByRole("button", { name: "More for gross sales" }).click();
        await page.getByRole("menuitem", { name: "Delete…" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
        await row.waitFor({ state: "hidden" });
    }));

test("templates beyond the first page are found", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.route("**/api/v1/prompt-templates?*", async (route) => {
            const number = Number(new URL(route.request().url()).searchParams.get("page"));
            if (!number) return route.continue();
            const named = (at) => ({
                id: 1000 + at,
                name: `Template ${at}`,
                template_text: "How many orders?",
                category: "sales",
                status: "draft",
                is_public: false,
                parameters: [],
                tags: [],
                compatible_data_source_ids: [],
                usage_count: 0,
                created_at: "2026-01-01T09:00:00Z",
                updated_at: "2026-01-01T09:00:00Z",
            });
            const items = number === 1 ? Array.from({ length: 20 }, (_, at) => named(at + 1)) : [named(21)];
            await route.fulfill({ json: { success: true, data: { items, pagination: { total_items: 21 } } } });
        });
        await page.goto(`${server.url}/questions/templates`);
        await page.getByText("1 to 20 of 21").waitFor();
        assert.equal(await page.getByRole("link", { name: "Template 21", exact: true }).count(), 0);
        await page.getByRole("button", { name: "Next page" }).click();
        await page.getByRole("link", { name: "Template 21", exact: true }).waitFor();
        // At the end it goes no further, and keeps the focus.
        await page.locator('button[aria-label="Next page"][aria-disabled="true"]:focus').waitFor();
    }));
