// Policies, what they did, and the audit log.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { holds, signIn } from "./browser.mjs";
import { onDemo, owner, post, server, visit } from "./ways.mjs";

onDemo();

test("a policy is checked while it is typed, set, and seen as another person", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/policies/new`);
        await page.getByRole("group", { name: "Sources" }).getByRole("button", { name: "CRM" }).click();
        await page.getByRole("group", { name: "Roles" }).getByRole("button", { name: "Viewer" }).click();
        const condition = page.getByLabel("Rows where");
        await condition.fill("citty = 'Berlin'");
        // No table has that, which hides nothing; and of one that is named it is wrong.
        await page.getByText(/^This changes nothing for Victor Viewer/).waitFor();
        assert.equal(await page.getByText("These rules can be applied.").count(), 0);
        await page.getByLabel("Table", { exact: true }).fill("customers");
        await page
            .locator(".note.bad")
            .getByText(/the table has no column citty/)
            .waitFor();
        await condition.fill("city <> 'Berlin'");
        await page.getByText("These rules can be applied.").waitFor();
        await page.getByLabel("Rule name").fill("not Berlin");
        await page.getByLabel("Name", { exact: true }).fill("Nobody of Berlin");
        await page.getByRole("button", { name: "Create policy" }).click();
        await page.getByRole("heading", { name: "Nobody of Berlin", level: 1 }).waitFor();

        await page.goto(`${server.url}/simulate`);
        await page.getByLabel("Person").selectOption({ label: "Victor Viewer, Viewer" });
        await page.getByLabel("Source", { exact: true }).selectOption({ label: "CRM" });
        await page
            .getByText(/Berlin/)
            .first()
            .waitFor();
        const without = page.getByRole("group", { name: "Without these policies" });
        await without.getByRole("button", { name: "Nobody of Berlin" }).click();
        await page.getByRole("heading", { name: "Then" }).waitFor();
        await page.getByText("Changes", { exact: true }).waitFor();

        // What is switched off is tried out before it is switched on.
        const { token } = await owner();
        const rule = { rule_name: "x", rule_type: "filter_rows", rule_config: { condition: "city <> 'Rome'" } };
        const off = { name: "Nobody of Rome", type: "row_level_security", is_active: false, rules: [rule] };
        const { id } = await post("/api/v1/policies", off, token);
        await page.goto(`${server.url}/policies/${id}`);
        await page.getByRole("link", { name: "Preview its effect" }).click();
        await page.getByLabel("Source", { exact: true }).selectOption({ label: "CRM" });
        await page
            .getByRole("group", { name: /^With these/ })
            .getByRole("button", { name: "Nobody of Rome", pressed: true })
            .waitFor();
        await page
            .getByText(/^Rows where.*Rome/)
            .first()
            .waitFor();
    }));

test("who may not change policies is not led to trying them out", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.goto(`${server.url}/policies`);
        await page.getByRole("link", { name: "Customers in own region" }).click();
        await page.getByRole("heading", { name: "Customers in own region", level: 1 }).waitFor();
        await page.getByRole("navigation", { name: "Parts" }).waitFor();
        // It stands there until the server has told what they may do.
        await page.getByRole("link", { name: /^Preview/ }).waitFor({ state: "detached" });
    }));

test("what a policy did is told for one person and one time", (context) =>
    visit(context, async (page) => {
        // Two are answered under it.
        for (const who of ["viewer", "developer"]) {
            const login = { email: `${who}@acme.example`, password: "Demo-pass-1" };
            const { access_token: token } = await post("/api/v1/auth/login", login);
            await post("/api/v1/data-sources/2/query", { query: "SELECT count(*) FROM customers" }, token);
        }
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/policies`);
        await page.getByRole("link", { name: "Customers in own region" }).click();
        await page.getByRole("navigation", { name: "Parts" }).getByRole("link", { name: "Evaluations" }).click();
        const evaluations = page.getByRole("region", { name: "Evaluations" });
        const developer = evaluations.getByRole("link", { name: "Dana Developer" }).first();
        await developer.waitFor();
        await page.getByLabel("Person").selectOption({ label: "Victor Viewer" });
        await developer.waitFor({ state: "detached" });
        await evaluations.getByRole("link", { name: "Victor Viewer" }).first().waitFor();
        await page.getByLabel("to", { exact: true }).fill("2020-01-01");
        await evaluations.getByRole("heading", { name: "No matching evaluations" }).waitFor();
    }));

test("tokens are turned back, with a reason", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByRole("link", { name: "Policies", exact: true }).click();
        await page.getByRole("link", { name: "Reveal tokens" }).click();
        await page.getByLabel("Tokens").fill("tok_none, tok_neither");
        await page.getByLabel("Reason").fill("Refund 4711");
        await page.getByRole("button", { name: "Reveal" }).click();
        await page.getByText("Not a token of this organization").nth(1).waitFor();
    }));

test("what was chosen from a menu shows that it runs", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        let answer;
        const answered = new Promise((resolve) => (answer = resolve));
        await page.route("**/api/v1/policies/*", async (route) => {
            if (route.request().method() !== "PATCH") return route.continue();
            await answered;
            await route.fulfill({ json: { success: true, data: {} } });
        });
        await page.goto(`${server.url}/policies`);
        const menu = page.getByRole("button", { name: /^Actions for / }).first();
        await menu.click();
        await page.getByRole("menuitem", { name: /^Switch / }).click();
        const busy = page.locator('button[aria-label^="Actions for "][aria-busy="true"]');
        await busy.waitFor();
        assert.equal(await busy.count(), 1);
        // The list could not be looked up again: that is told, and what is known of it stays.
        await page.route("**/api/v1/policies?*", (route) => {
            const error = { code: "INTERNAL_ERROR", message: "The list is out.", request_id: "req-of-the-list" };
            return route.fulfill({ status: 500, json: { success: false, error } });
        });
        answer();
        await busy.waitFor({ state: "hidden" });
        await page.getByText("Changed. It applies from the next query.").waitFor();
        await page.getByRole("alert").getByText("req-of-the-list").waitFor();
        await menu.waitFor();
        await page.unroute("**/api/v1/policies?*");
        await page.getByRole("button", { name: "Try again" }).click();
        await page.getByRole("alert").waitFor({ state: "detached" });
    }));

test("a day of the audit log is whole, and that of whoever reads it", (context) =>
    visit(context, async (page) => {
        const devtools = await page.context().newCDPSession(page);
        await devtools.send("Emulation.setTimezoneOverride", { timezoneId: "Pacific/Auckland" });
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/audit`);
        await page.getByLabel("From", { exact: true }).fill("2026-03-02");
        const asked = page.waitForRequest((request) => new URL(request.url()).searchParams.has("to"));
        await page.getByLabel("to", { exact: true }).fill("2026-03-02");
        const { searchParams } = new URL((await asked).url());
        // Auckland is thirteen hours ahead in March.
        assert.equal(searchParams.get("from"), "2026-03-01T11:00:00.000Z");
        assert.equal(searchParams.get("to"), "2026-03-02T11:00:00.000Z");
    }));

test("the audit log is filtered by the kind of object, and its address keeps that", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/audit`);
        const log = page.getByRole("region", { name: "Audit log" });
        const created = log.getByRole("row", { name: /data_source\.create/ }).first();
        // Each look at the log is in it at the next one, and is about no object.
        const looked = log.getByRole("row", { name: /audit\.read/ }).first();
        await log.getByRole("row").nth(1).waitFor();
        await page.reload();
        await looked.waitFor();
        const kind = page.getByLabel("Object", { exact: true });
        await kind.selectOption({ label: "Data source" });
        await looked.waitFor({ state: "hidden" });
        await created.waitFor();
        await page.getByLabel("Action, e.g. policy.create").fill("data_source.create");
        await page.waitForURL(/\?kind=data_source&action=data_source\.create$/);
        await page.reload();
        await created.waitFor();
        const shows = (value) => holds(async () => assert.equal(await kind.inputValue(), value));
        await shows("data_source");

        // Its place in the navigation has no filters, and the way back has.
        await page.getByRole("link", { name: "Audit log" }).click();
        await looked.waitFor();
        await shows("");
        await page.goBack();
        await looked.waitFor({ state: "hidden" });
        await shows("data_source");
    }));

test("the audit log tells all that was done to one thing", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/audit?action=data_source.create`);
        const log = page.getByRole("region", { name: "Audit log" });
        const source = (id) => log.getByRole("link", { name: `Data source ${id}`, exact: true }).first();
        await source(1).waitFor();
        await source(2).click();
        await page.waitForURL(/\?kind=data_source&target=2$/);
        await source(1).waitFor({ state: "detached" });
        await source(2).waitFor();
        await page.getByRole("button", { name: "Remove filter: Data source 2" }).click();
        await source(1).waitFor();
        await page.goto(`${server.url}/policies/1`);
        await page.getByRole("link", { name: "Change history" }).click();
        await log.getByRole("row", { name: /policy\.create/ }).waitFor();
    }));

test("an entry of the audit log is told in words, and copied as it is", (context) =>
    visit(context, async (page) => {
        const devtools = await page.context().newCDPSession(page);
        await devtools.send("Emulation.setTimezoneOverride", { timezoneId: "Pacific/Auckland" });
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await signIn(page, server.url, "owner@acme.example");
        const entry = {
            id: 9,
            at: "2026-03-02T09:00:00Z",
            actor_id: null,
            actor_type: "system",
            action: "role.update",
            outcome: "success",
            target_type: "role",
            target_id: "7",
            ip: null,
            user_agent: null,
            details: {
                before: { is_default: false },
                expires_at: "2026-03-02T09:00:00Z",
                // A day that there is not stays as it was written.
                note: "2026-13-45T09:00:00Z",
                session_id: "0198c3f2-7d1e-7a52-9c0e-3f4b5a6c7d8e",
                user_ids: [3, 4],
            },
        };
        const data = { entries: [entry], next_cursor: null, target_types: ["role"], message: "" };
        await page.route("**/api/v1/organizations/*/audit-logs?*", (route) =>
            route.fulfill({ json: { success: true, data } }),
        );
        await page.goto(`${server.url}/audit`);
        await page.getByRole("button", { name: "Show all of role.update" }).click();
        const dialog = page.getByRole("dialog", { name: "role.update" });
        const told = (name) => dialog.locator(`dt:text-is("${name}") + dd`).textContent();
        assert.equal(await told("Is default"), "no");
        assert.match(await told("Expires at"), /(10|22):00:00/);
        assert.equal(await told("Note"), "2026-13-45T09:00:00Z");
        assert.equal(await told("User IDs"), "3, 4");
        assert.equal(await told("Session ID"), "0198c3f2…");
        const copied = () => page.evaluate(() => navigator.clipboard.readText());
        await dialog.getByRole("button", { name: "Copy Session ID" }).click();
        await holds(async () => assert.equal(await copied(), entry.details.session_id));
        await dialog.getByRole("button", { name: "Copy as JSON" }).click();
        await holds(async () => assert.deepEqual(JSON.parse(await copied()), entry));
        await dialog.getByRole("button", { name: "Close" }).click();
        await page.locator("button:focus", { hasText: "Show" }).waitFor();
    }));

test("what the filters of the audit log leave is exported, a line for each", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/audit?action=data_source.create`);
        const log = page.getByRole("region", { name: "Audit log" });
        await log
            .getByRole("row", { name: /data_source\.create/ })
            .first()
            .waitFor();
        const download = page.waitForEvent("download");
        await page.getByRole("button", { name: "Export" }).click();
        const lines = (await readFile(await (await download).path(), "utf8")).trim().split("\n");
        const actions = lines.map((line) => JSON.parse(line).action);
        assert.ok(actions.length > 0 && actions.every((action) => action === "data_source.create"), `${actions}`);
    }));

test("an access policy is made, decides, and is deleted", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/access`);
        await page.getByRole("button", { name: "New policy" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByLabel("Name", { exact: true }).fill("Not from there");
        await dialog.getByLabel("Value of condition 1").fill("192.0.2.0/24");
        await dialog.getByLabel("Not of condition 1").selectOption({ label: "when" });
        await dialog.getByRole("button", { name: "Save" }).click();
        const row = page.getByRole("row", { name: /Not from there/ });
        await row.waitFor();
        const ask = async (address) => {
            await page.getByLabel("IP address").fill(address);
            await page.getByRole("button", { name: "Check", exact: true }).click();
        };
        await ask("192.0.2.7");
        await page.getByText("Denied.", { exact: true }).waitFor();
        await page.getByText(/Policies: Not from there/).waitFor();
        await ask("198.51.100.7");
        await page.getByText("Allowed.", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Actions for Not from there" }).click();
        await page.getByRole("menuitem", { name: "Delete…" }).click();
        await dialog.getByRole("button", { name: "Delete" }).click();
        await row.waitFor({ state: "detached" });
    }));
