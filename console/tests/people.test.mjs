// People, their roles and workspaces.

import assert from "node:assert/strict";
import { test } from "node:test";
import { linkTo, signIn } from "./browser.mjs";
import { PASSWORD, onDemo, owner, post, server, visit } from "./ways.mjs";

onDemo();

test("every refused row of an import is told", (context) =>
    visit(context, async (page) => {
        const rows = 1001;
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/imports`);
        const lines = Array.from({ length: rows }, (_, row) => `nobody${row},Nobody,Viewer`);
        await page.getByLabel("Content").fill(["email,display_name,role", ...lines].join("\n"));
        await page.getByRole("button", { name: "Dry run" }).click();
        const refused = page.getByRole("region", { name: "Rejected rows" }).locator("tbody tr");
        await page.getByRole("button", { name: "More rejected rows" }).click();
        await refused.nth(rows - 1).waitFor();
        await page.getByRole("button", { name: "More rejected rows" }).waitFor({ state: "hidden" });
    }));

test("somebody is added, named, lent a role, suspended and erased", (context) =>
    visit(context, async (page) => {
        const email = "countess@people.example";
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/people`);
        await page.getByRole("button", { name: "Add…" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByLabel("E-mail").fill(email);
        await dialog.getByLabel("Name").fill("Ada");
        await dialog.getByLabel("Role").selectOption({ label: "Developer" });
        await dialog.getByRole("button", { name: "Add" }).click();
        await page.getByText("Ada is now a member").waitFor();
        await page.getByRole("searchbox", { name: "Search by name or e-mail" }).fill(email);
        await page.getByRole("link", { name: "Ada", exact: true }).click();
        // The list, left only now, has a choice of roles too.
        await page.getByRole("heading", { name: "Ada", level: 1 }).waitFor();

        const roles = page.locator("section", { hasText: "Roles" }).getByRole("list").first();
        await page.getByLabel("Role", { exact: true }).selectOption({ label: "Viewer" });
        await page.getByLabel("until", { exact: true }).fill("2090-03-01");
        await page.getByRole("button", { name: "Assign" }).click();
        await roles
            .getByRole("listitem")
            .filter({ hasText: /Viewer.*until .*2090/ })
            .waitFor();

        // The role tells who gave it.
        const part = (name) => page.getByRole("navigation", { name: "Parts" }).getByRole("link", { name }).click();
        const person = page.url();
        await page.getByRole("link", { name: "Roles", exact: true }).click();
        await page.getByRole("link", { name: "Viewer", exact: true }).click();
        await part("History");
        await page.getByRole("row", { name: /^Ada Assigned Whole organization You/ }).waitFor();

        await page.goto(person);
        await part("Sessions");
        await page.getByText("None recognized by the organization.").waitFor();
        await part("Manage");
        await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("heading", { name: "Ada Lovelace", level: 1 }).waitFor();
        await page.getByLabel("Reason, for the audit log").fill("Left the project");
        await page.getByRole("button", { name: "Suspend" }).click();
        await page.getByRole("button", { name: "Reactivate" }).waitFor();

        // What a merge would do is told, and nothing is done by that.
        await page.getByLabel("Into", { exact: true }).selectOption({ label: "Victor Viewer" });
        await page.getByRole("button", { name: "Merge…" }).click();
        await dialog
            .getByText(/Both are members: the other account keeps Viewer, and .*Developer.* of this one is dropped\./)
            .waitFor();
        await dialog.getByRole("button", { name: "Keep" }).click();

        await page.getByRole("button", { name: "Remove…" }).click();
        await dialog.getByLabel("Delete the account too").check();
        await dialog.getByLabel(/^Type/).fill(email);
        await dialog.getByRole("button", { name: "Remove", exact: true }).click();
        await page.getByRole("heading", { name: "Members", level: 1 }).waitFor();
        await page.getByRole("searchbox", { name: "Search by name or e-mail" }).fill(email);
        await page.getByRole("heading", { name: /^Nothing matches/ }).waitFor();
        const { organization, token } = await owner();
        const log = await fetch(`${server.url}/api/v1/organizations/${organization}/audit-logs?action=user.&limit=20`, {
            headers: { authorization: `Bearer ${token}` },
        });
        const { entries } = (await log.json()).data;
        const details = (action) => entries.find((entry) => entry.action === action)?.details;
        assert.equal(details("user.update_status")?.reason, "Left the project");
        assert.equal(details("user.delete")?.erased, true);
    }));

test("a role is given in the workspaces of this organization, and of no other", (context) =>
    visit(context, async (page) => {
        // As for somebody who is in two.
        await page.route(/\/api\/v1\/workspaces\?/, async (route) => {
            const answer = await (await route.fetch()).json();
            const [first] = answer.data.workspaces;
            answer.data.workspaces.push({ ...first, id: 999, organization_id: 999, name: "Of another" });
            answer.data.total_count += 1;
            await route.fulfill({ json: answer });
        });
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/people`);
        await page.getByRole("link", { name: "Victor Viewer", exact: true }).click();
        const rooms = page.getByLabel("Where", { exact: true }).getByRole("option");
        // Not before the workspaces are there.
        await rooms.nth(1).waitFor({ state: "attached" });
        assert.ok(!(await rooms.allTextContents()).includes("Of another"));
    }));

test("what is deleted is gone from a list that was seen before", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/roles/new`);
        await page.getByLabel("Name", { exact: true }).fill("Passing");
        await page.getByRole("button", { name: "Create role" }).click();
        await page.getByRole("link", { name: "Passing" }).click();
        await page.getByRole("button", { name: "Delete…" }).click();
        await page.getByRole("dialog", { name: "Delete Passing?" }).getByRole("button", { name: "Delete" }).click();
        await page.getByRole("heading", { name: "Roles", level: 1 }).waitFor();
        assert.equal(await page.getByRole("link", { name: "Passing" }).count(), 0);
        await page.getByRole("link", { name: "Viewer", exact: true }).waitFor();
        assert.equal(await page.getByRole("link", { name: "Passing" }).count(), 0);
    }));

test("choices that could not be looked up are told with their request", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.route("**/api/v1/organizations/*/roles?*", (route) =>
            route.fulfill({
                status: 500,
                json: {
                    success: false,
                    error: { code: "INTERNAL_ERROR", message: "The roles are out.", request_id: "req-of-the-roles" },
                },
            }),
        );
        await page.goto(`${server.url}/invitations`);
        const notifications = page.getByRole("region", { name: "Notifications" });
        await notifications.getByText("The roles are out.").waitFor();
        await notifications.getByText("req-of-the-roles").waitFor();
    }));

test("invite somebody, who accepts", (context) =>
    visit(context, async (page) => {
        const email = "grace@people.example";
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/invitations`);
        await page.getByLabel("E-mail addresses").fill(email);
        await page.getByLabel("Role").selectOption({ label: "Developer" });
        await page.getByRole("button", { name: "Invite", exact: true }).click();
        await page.getByText("1 invitation sent.").waitFor();
        const invitation = await linkTo(server, email, "invitation");

        await visit(context, async (guest) => {
            await guest.goto(invitation);
            await guest.getByRole("link", { name: "Create an account" }).click();
            await guest.getByLabel("E-mail").fill(email);
            await guest.getByLabel("Name").fill("Grace Hopper");
            await guest.getByLabel("Password").fill(PASSWORD);
            await guest.getByRole("button", { name: "Sign up" }).click();
            await guest.getByRole("heading", { name: "Check your e-mail" }).waitFor();
            await guest.goto(await linkTo(server, email, "verify-email"));
            await guest.getByRole("button", { name: "Confirm" }).click();
            await guest.getByText("Address confirmed").waitFor();
            await guest.getByRole("link", { name: "Sign in" }).click();
            await guest.getByLabel("E-mail").fill(email);
            await guest.getByLabel("Password", { exact: true }).fill(PASSWORD);
            await guest.getByRole("button", { name: "Sign in", exact: true }).click();
            await guest.getByRole("button", { name: "Accept" }).click();
            await guest.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        });

        await page.goto(`${server.url}/people`);
        await page.getByRole("link", { name: "Grace Hopper" }).waitFor();
    }));

test("several workspaces are tried out, and made", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/workspaces`);
        const dialog = page.getByRole("dialog");
        const made = dialog.getByRole("list", { name: "Result" }).getByText("Created");
        const write = async () => {
            await page.getByRole("button", { name: "Create several…" }).click();
            await dialog.getByLabel("Names").fill("Berlin\nParis");
        };
        await write();
        await dialog.getByRole("button", { name: "Dry run" }).click();
        await made.nth(1).waitFor();

        // That made nothing.
        await page.reload();
        await page.getByText("Default", { exact: true }).waitFor();
        assert.equal(await page.getByRole("link", { name: "Paris" }).count(), 0);

        await write();
        await dialog.getByRole("button", { name: "Create" }).click();
        await made.nth(1).waitFor();
        await dialog.getByRole("button", { name: "Close" }).click();
        await page.getByRole("link", { name: "Paris" }).waitFor();
        await page.getByRole("link", { name: "Berlin" }).waitFor();
    }));

test("what a role would change is said before it does, and each permission says its role", (context) =>
    visit(context, async (page) => {
        const { token, organization } = await owner();
        const { role } = await post(
            `/api/v1/organizations/${organization}/roles`,
            { name: "Reader", permissions: ["organization.read"] },
            token,
        );
        const { users } = await (
            await fetch(`${server.url}/api/v1/users?search=viewer@acme.example`, {
                headers: { authorization: `Bearer ${token}` },
            })
        )
            .json()
            .then(({ data }) => data);
        await post(`/api/v1/roles/${role.id}/assignments`, { user_id: users[0].id }, token);
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/roles/${role.id}`);
        await page.getByRole("searchbox", { name: "Search permissions" }).fill("audit");
        await page.getByRole("checkbox", { name: /^Read/ }).check();
        const change = page.locator("section", { hasText: "Effect of this change" });
        await change.getByText(/^1 person is affected\./).waitFor();
        await change.getByText(/Added: audit\.read/).waitFor();
        await change.getByRole("listitem").filter({ hasText: "Victor Viewer" }).getByText("+ audit.read").waitFor();
        // Nothing of it is so yet.
        await page.getByRole("checkbox", { name: /^Read/ }).uncheck();
        await change.waitFor({ state: "detached" });
        await page.goto(`${server.url}/people/${users[0].id}`);
        await page.getByRole("heading", { name: "Victor Viewer", level: 1 }).waitFor();
        const permissions = page.locator("section", { hasText: "permissions" }).getByRole("listitem");
        await permissions
            .filter({ hasText: /^read by .*Reader/ })
            .first()
            .waitFor();
        assert.equal(await permissions.filter({ hasText: "audit" }).count(), 0);
    }));

// At the end: whom it gives a role could do more in the others.
test("several people get a role at once", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/people`);
        await page.getByLabel("Select Victor Viewer").check();
        await page.getByLabel("Select Dana Developer").check();
        await page.getByText("2 selected").waitFor();
        await page.getByLabel("Role to assign").selectOption({ label: "Admin" });
        await page.getByRole("button", { name: "Assign" }).click();
        await page.getByText("Role assigned to 2 people.").waitFor();
        await page.getByText("2 selected").waitFor({ state: "hidden" });
    }));
