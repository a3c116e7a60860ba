// By keyboard alone, and by the palette, which leads whoever runs the server to its pages too.

import assert from "node:assert/strict";
import { test } from "node:test";
import { holds, linkTo, signIn } from "./browser.mjs";
import { PASSWORD, authenticator, onDemo, post, server, visit } from "./ways.mjs";

onDemo();

test("the first way by keyboard alone", (context) =>
    visit(context, async (page) => {
        const { keyboard } = page;
        await page.goto(`${server.url}/sign-in`);
        // The address has the focus.
        await page.locator('input[type="email"]:focus').waitFor();
        await keyboard.type("developer@acme.example");
        await keyboard.press("Tab");
        await keyboard.type("Demo-pass-1");
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        // The question has the focus once it is there.
        await page.locator("textarea:focus").waitFor();
        await keyboard.type("How many orders per region in 2025?");
        await keyboard.press("Enter");
        await page.getByRole("gridcell", { name: "EU" }).waitFor();
        // The palette reaches everything.
        const goTo = async (words, place) => {
            await keyboard.press("Control+k");
            const field = page.getByRole("dialog", { name: "Go to" }).locator("input:focus");
            await field.waitFor();
            await keyboard.type(words);
            // What stands first by now is what Enter takes.
            await holds(async () => {
                const active = await field.getAttribute("aria-activedescendant");
                assert.match((await page.locator(`[id="${active}"]`).textContent({ timeout: 1000 })) ?? "", place);
            });
            await keyboard.press("Enter");
        };
        await goTo("shared folders", /Shared folders/);
        await page.getByRole("heading", { name: "Share a folder" }).waitFor();
        await goTo("sessions", /Sessions and devices/);
        await page.getByRole("heading", { name: "Sessions and devices", level: 1 }).waitFor();
        await goTo("sign out", /Sign out/);
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
    }));

test("the palette finds everything that has a name", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        const find = async (words, choice, title) => {
            await page.keyboard.press("Control+k");
            await page.getByRole("dialog", { name: "Go to" }).locator("input:focus").waitFor();
            await page.keyboard.type(words);
            await page.getByRole("menuitem", { name: choice, exact: true }).click();
            await page.getByRole("heading", { name: title, level: 1, exact: true }).waitFor();
        };
        await find("crm", "CRM Source", "CRM");
        await find("own region", "Customers in own region Policy", "Customers in own region");
        await find("victor", "Victor Viewer Person", "Victor Viewer");
        await find("viewer", "Viewer Role", "Viewer");
        await find("main work", "Main Workspace Workspace", "Main Workspace");
        await find("postgresql", "Connect PostgreSQL New source", "Connect PostgreSQL");
        await find("new template", "New template", "New template");
        await page.keyboard.press("Control+k");
        await page.getByRole("dialog", { name: "Go to" }).locator("input:focus").waitFor();
        await page.keyboard.type("okta");
        await page.getByRole("menuitem", { name: "Set up Okta New identity provider", exact: true }).click();
        await page.getByText("In Okta's Admin Console").waitFor();
    }));

test("signing up and the first steps by keyboard alone", (context) =>
    visit(context, async (page) => {
        const email = "louis@people.example";
        const { keyboard } = page;
        /** Goes on to what has this name. */
        const tabTo = async (role, name) => {
            const wanted = page.getByRole(role, { name, exact: true }).first();
            await wanted.waitFor();
            for (let steps = 0; steps < 150; steps += 1) {
                await keyboard.press("Tab");
                if (await wanted.evaluate((it) => it === document.activeElement)) return;
            }
            throw new Error(`Tab does not come to ${name}`);
        };
        const press = async (role, name) => {
            await tabTo(role, name);
            await keyboard.press("Enter");
        };
        await authenticator(page);
        await page.goto(`${server.url}/sign-up`);
        await page.locator('input[type="email"]:focus').waitFor();
        await keyboard.type(email);
        await tabTo("textbox", "Name");
        await keyboard.type("Louis Braille");
        await keyboard.press("Tab");
        await keyboard.type(PASSWORD);
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Check your e-mail" }).waitFor();
        await page.goto(await linkTo(server, email, "verify-email"));
        await press("button", "Confirm");
        await page.getByText("Address confirmed").waitFor();
        await press("link", "Sign in");
        await page.locator('input[type="email"]:focus').waitFor();
        await keyboard.type(email);
        await keyboard.press("Tab");
        await keyboard.type(PASSWORD);
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Get started" }).waitFor();

        // From the first step to the form of a source.
        await tabTo("link", "To do Connect a source A database or a file");
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Connect a source", level: 1 }).waitFor();
        await press("link", "CSV");
        await page.getByRole("heading", { name: "Connect CSV", level: 1 }).waitFor();
        await tabTo("button", "Choose");

        await keyboard.press("Control+k");
        await page.getByRole("dialog", { name: "Go to" }).locator("input:focus").waitFor();
        await keyboard.type("passkey");
        await page.locator('[role="menuitem"][data-focused]', { hasText: "two-factor" }).waitFor();
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Password and two-factor", level: 1 }).waitFor();
        await press("button", "Add a passkey");
        await page.getByRole("dialog", { name: "Add a passkey" }).locator("input:focus").waitFor();
        await keyboard.press("Enter");
        await page.getByText("Passkey added.").waitFor();
        // The dialog gives the focus back.
        await page.locator("button:focus", { hasText: "Add a passkey" }).waitFor();
    }));

test("each part of a date shows that it has the focus", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/audit`);
        const from = page.getByLabel("From", { exact: true });
        await from.focus();
        // The month, the day, the year, and the button of the calendar.
        for (let part = 0; part < 4; part += 1) {
            if (part > 0) await page.keyboard.press("Tab");
            assert.ok(await from.evaluate((it) => it === document.activeElement), `part ${part}`);
            assert.equal(await from.evaluate((it) => getComputedStyle(it).outlineStyle), "solid", `part ${part}`);
        }
    }));

test("whoever runs it sees its jobs, and what the demo has mailed", (context) =>
    visit(context, async (page) => {
        const email = "owner@acme.example";
        await post("/api/v1/auth/forgot-password", { email });
        const link = await linkTo(server, email, "reset-password");
        await signIn(page, server.url, email);
        await page.keyboard.press("Control+k");
        await page.getByRole("dialog", { name: "Go to" }).locator("input:focus").waitFor();
        await page.keyboard.type("server health");
        await page.getByRole("menuitem", { name: "Server health", exact: true }).click();
        // What was mailed was a job.
        await page
            .getByRole("region", { name: "Jobs" })
            .getByRole("row", { name: /^mail\.send [1-9]/ })
            .waitFor();
        await page.getByText("requests since start").waitFor();
        await page.getByRole("link", { name: "Demo mailbox" }).click();
        await page.getByRole("searchbox", { name: "Search by address or subject" }).fill(email);
        const mail = page.getByRole("group").filter({ hasText: link }).first();
        await mail.getByText(/^to .*owner@acme\.example/).click();
        assert.equal(await mail.getByRole("link").first().getAttribute("href"), link);
    }));
