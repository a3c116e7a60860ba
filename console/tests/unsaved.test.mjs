// What is not saved is asked about, what runs says so, and what failed says why.

import assert from "node:assert/strict";
import { test } from "node:test";
import { holds, signIn } from "./browser.mjs";
import { onDemo, owner, post, server, visit } from "./ways.mjs";

onDemo();

test("nobody goes to another workspace from something that is not saved", (context) =>
    visit(context, async (page) => {
        const { token, organization } = await owner();
        await post("/api/v1/workspaces", { organization_id: organization, name: "Beside" }, token);
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/roles/new`);
        const place = page.getByRole("button", { name: "Switch organization or workspace" });
        const room = place.locator(".soft");
        await holds(async () => assert.match(await room.textContent(), /\w/));
        const here = await room.textContent();
        await page.getByLabel("Name", { exact: true }).fill("Not yet");
        await place.click();
        await page.getByRole("menuitem", { name: "Beside", exact: true }).click();
        await page.getByText("You have unsaved changes.").waitFor();
        assert.equal(await room.textContent(), here);
        assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Not yet");
        await page.getByLabel("Name", { exact: true }).fill("");
    }));

test("what is not saved is not lost without a question", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.getByRole("link", { name: "Policies", exact: true }).click();
        await page.getByRole("link", { name: "New policy" }).first().click();
        await page.getByLabel("Name", { exact: true }).fill("Half done");
        await page.getByRole("link", { name: "Members" }).click();
        await page.getByText("The policy is not saved.").waitFor();
        await page.getByRole("button", { name: "Stay" }).click();
        assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Half done");
    }));

test("every form asks before what is typed in it is lost", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        const forms = [
            ["/files?tab=shares", "Folder", "The share is not saved."],
            ["/me", "Add an address", "The address is not saved."],
            ["/me/security", "New password", "The new password is not saved."],
            ["/organization?tab=domains", "Domain", "The domain is not saved."],
            ["/people/3?tab=manage", "Reason, for the audit log", "The reason is not saved."],
            ["/sources/new/postgresql", "Description (optional)", "Your entries are not saved."],
        ];
        for (const [path, label, words] of forms) {
            await page.goto(server.url + path);
            await page.getByLabel(label, { exact: true }).fill("half");
            await page.getByRole("link", { name: "History" }).click();
            const question = page.getByRole("alert").filter({ hasText: words });
            // It has the focus, and is in sight.
            await question.locator("button:focus", { hasText: "Stay" }).waitFor();
            assert.ok(
                await question.evaluate((it) => {
                    const { top, bottom } = it.getBoundingClientRect();
                    return top >= 0 && bottom <= innerHeight;
                }),
                path,
            );
            await question.getByRole("button", { name: "Leave" }).click();
            await page.getByRole("heading", { name: "History", level: 1 }).waitFor();
        }
    }));

test("signing out asks once about what is not saved", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/roles/new`);
        const name = page.getByLabel("Name", { exact: true });
        await name.fill("Not yet");
        const out = async () => {
            await page.getByRole("button", { name: "Your account" }).click();
            await page.getByRole("menuitem", { name: "Sign out" }).click();
            await page.getByText("The role is not saved.").waitFor();
        };
        await out();
        await page.getByRole("button", { name: "Stay" }).click();
        assert.equal(await name.inputValue(), "Not yet");
        // Nothing has happened: it could be saved still.
        await page.getByLabel("Description").fill("Of nobody");
        await page.getByText("The role is not saved.").waitFor({ state: "hidden" });

        // On a phone the question is not hidden by the menu.
        await page.setViewportSize({ width: 360, height: 740 });
        await page.getByRole("button", { name: "Menu" }).click();
        await out();
        await page.getByRole("dialog", { name: "Menu" }).waitFor({ state: "detached" });
        await page.getByRole("button", { name: "Leave" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        assert.equal(await page.getByText("The role is not saved.").count(), 0);
    }));

test("whoever could not be signed out is told so, and stays", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "viewer@acme.example");
        let answer;
        const answered = new Promise((resolve) => (answer = resolve));
        await page.route(/\/api\/v1\/(sso|auth)\/logout$/, async (route) => {
            await answered;
            const error = { code: "SERVICE_UNAVAILABLE", message: "Not just now.", request_id: "req-of-the-way-out" };
            return route.fulfill({ status: 503, json: { success: false, error } });
        });
        const account = page.getByRole("button", { name: "Your account" });
        await account.click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        await page.locator('button[aria-busy="true"]', { hasText: "Your account" }).waitFor();
        answer();
        const notifications = page.getByRole("region", { name: "Notifications" });
        await notifications.getByText("Not just now.").waitFor();
        await notifications.getByText("req-of-the-way-out").waitFor();
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        await page.unroute(/\/api\/v1\/(sso|auth)\/logout$/);
        await account.click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
    }));

test("the way to another workspace shows that it runs, and why it did not", (context) =>
    visit(context, async (page) => {
        const { token, organization } = await owner();
        await post("/api/v1/workspaces", { organization_id: organization, name: "Closed" }, token);
        await signIn(page, server.url, "owner@acme.example");
        let answer;
        const answered = new Promise((resolve) => (answer = resolve));
        await page.route("**/api/v1/auth/switch-workspace", async (route) => {
            await answered;
            const error = { code: "INTERNAL_ERROR", message: "It is shut.", request_id: "req-of-the-way" };
            return route.fulfill({ status: 500, json: { success: false, error } });
        });
        const place = page.getByRole("button", { name: "Switch organization or workspace" });
        await place.click();
        await page.getByRole("menuitem", { name: "Closed", exact: true }).click();
        await page.locator('button[aria-busy="true"]', { hasText: "Switch organization or workspace" }).waitFor();
        answer();
        const notifications = page.getByRole("region", { name: "Notifications" });
        await notifications.getByText("It is shut.").waitFor();
        await notifications.getByText("req-of-the-way").waitFor();
        await page.locator("button:not([aria-busy])", { hasText: "Switch organization or workspace" }).waitFor();
    }));

test("what the server refuses is told with its request, and loses nothing", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/roles/new`);
        let answer;
        const answered = new Promise((resolve) => (answer = resolve));
        await page.route("**/api/v1/organizations/*/roles", async (route) => {
            if (route.request().method() !== "POST") return route.continue();
            await answered;
            const error = { code: "INTERNAL_ERROR", message: "It could not be kept.", request_id: "req-of-the-role" };
            return route.fulfill({ status: 500, json: { success: false, error } });
        });
        await page.getByLabel("Name", { exact: true }).fill("Refused");
        const make = page.getByRole("button", { name: "Create role" });
        await make.click();
        // It shows that it runs, and is not sent twice.
        await page.locator('button[aria-busy="true"][aria-disabled="true"]', { hasText: "Create role" }).waitFor();
        await page.locator("button:focus", { hasText: "Create role" }).waitFor();
        answer();
        const refusal = page.getByRole("alert");
        await refusal.getByText("It could not be kept.").waitFor();
        await refusal.getByText("req-of-the-role").waitFor();
        assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Refused");
        await page.getByLabel("Name", { exact: true }).fill("");
    }));

test("what is typed in a dialog is not lost by going back", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/me/security`);
        const account = page.getByRole("navigation", { name: "Your account" });
        await account.getByRole("link", { name: "Tokens" }).click();
        await page.getByRole("button", { name: "New token" }).first().click();
        const dialog = page.getByRole("dialog", { name: "New token" });
        await dialog.getByLabel("Name", { exact: true }).fill("Half done");
        await page.evaluate(() => history.back());
        await dialog.getByText("The token is not saved.").waitFor();
        await dialog.getByRole("button", { name: "Stay" }).click();
        assert.equal(await dialog.getByLabel("Name", { exact: true }).inputValue(), "Half done");
        // The browser had gone back already; now it is here again.
        await page.waitForURL("**/me/tokens");
        await dialog.getByText("The token is not saved.").waitFor({ state: "hidden" });
        await page.evaluate(() => history.back());
        await dialog.getByRole("button", { name: "Leave" }).click();
        await page.getByRole("heading", { name: "Password", exact: true }).waitFor();
    }));
