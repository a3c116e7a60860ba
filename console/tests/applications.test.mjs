// Applications of others: registered, let in and taken back.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { PATIENCE, holds, noteBodies, signIn } from "./browser.mjs";
import { LOGO, asking, onDemo, owner, post, server, visit } from "./ways.mjs";

onDemo();

test("an application is registered, let in, disconnected, suspended and deleted", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByRole("link", { name: "Applications" }).click();
        await page.getByRole("link", { name: "Register an application" }).first().click();
        await page.getByLabel("Name", { exact: true }).fill("Reporting");
        await page.getByLabel("Redirect URIs").fill("https://reports.acme.example/callback");
        await page.getByRole("button", { name: "Register" }).click();
        await page.getByText("shown only once").waitFor();
        assert.match(await page.getByText(/^rgs_/).textContent(), /^rgs_/);
        const client = await page.locator("code", { hasText: /^[0-9a-f-]{36}$/ }).textContent();
        await page.getByRole("link", { name: "Continue" }).click();

        // Another secret beside the first, which goes.
        await page.getByRole("button", { name: "Add a secret…" }).click();
        await page.getByLabel("Valid for").selectOption({ label: "90 days" });
        await page.getByRole("button", { name: "Add", exact: true }).click();
        await page.getByText("shown only once").waitFor();
        await page
            .getByRole("listitem")
            .filter({ hasText: "until removed" })
            .getByRole("button", { name: /^Remove/ })
            .click();
        await page.getByText("valid until removed").waitFor({ state: "hidden" });
        const secrets = page.getByRole("button", { name: /^Remove rgs_/ });
        await holds(async () => assert.equal(await secrets.count(), 1));
        // Its picture, which people see when it asks.
        await page.getByLabel("Upload a picture").setInputFiles(LOGO);
        await page.getByAltText("Current picture").waitFor();
        await page.getByRole("button", { name: "Remove the picture" }).click();
        await page.getByAltText("Current picture").waitFor({ state: "hidden" });
        await page.getByText("People who gave consent").waitFor();
        await page.getByLabel("Description").fill("Weekly reports");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.", { exact: true }).waitFor();

        // Its owner lets it in, as a front end of the program would ask them, and ends that.
        const callback = "https://reports.acme.example/callback";
        const { token } = await owner();
        await post("/api/v1/oauth/authorize", { approve: true, ...asking(client, callback, "openid read") }, token);
        // Its own sign-in page leads to the console's, where she is signed in, and back to the question.
        const asked = { response_type: "code", ...asking(client, callback, "openid profile read") };
        await page.goto(`${server.url}/oauth/authorize?${new URLSearchParams(asked)}`);
        await page.getByRole("link", { name: "Use a passkey, single sign-on or another provider" }).click();
        await page.getByRole("heading", { name: "Reporting asks to act for you" }).waitFor();
        await page.getByText("You are signed in as owner@acme.example").waitFor();

        await page.goto(`${server.url}/me/applications`);
        await page.getByText("Know who you are in RiverGen.").waitFor();
        await page.getByRole("button", { name: "Disconnect…" }).click();
        await page.getByRole("button", { name: "Disconnect", exact: true }).click();
        await page.getByRole("heading", { name: "No connected applications" }).waitFor();

        await page.goto(`${server.url}/organization/applications`);
        await page.getByRole("link", { name: "Reporting" }).click();
        await page.getByRole("button", { name: "Suspend…" }).click();
        await page.getByRole("button", { name: "Suspend", exact: true }).click();
        await page.getByText("Suspended", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Reactivate" }).click();
        await page.getByText("Reactivated").waitFor();
        await page.getByRole("button", { name: "More", exact: true }).click();
        await page.getByRole("menuitem", { name: "Delete…" }).click();
        await page.getByLabel(/Type Reporting/).fill("Reporting");
        await page.getByRole("button", { name: "Delete", exact: true }).click();
        await page.getByRole("heading", { name: "Applications", level: 1 }).waitFor();
        assert.equal(await page.getByRole("link", { name: "Reporting" }).count(), 0);
    }));

test("an application proves itself by a key, and its private key stays with it", (context) =>
    visit(context, async (page) => {
        const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const jwk = (key, kid) => JSON.stringify({ ...key.export({ format: "jwk" }), kid });
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/organization/applications/new`);
        await page.getByLabel("Name", { exact: true }).fill("Nightly");
        await page.getByLabel("Redirect URIs").fill("https://nightly.acme.example/callback");
        await page.getByLabel("With its own key").check();
        const bodies = await noteBodies(page);
        await page.getByLabel("Public keys").fill(jwk(pair.privateKey, "first"));
        await page.getByRole("button", { name: "Register" }).click();
        await page.getByText("This contains a private key.").first().waitFor();
        await page.getByLabel("Public keys").fill(jwk(pair.publicKey, "first"));
        await page.getByRole("button", { name: "Register" }).click();
        await page.getByRole("link", { name: "Continue" }).click();
        await page.getByRole("heading", { name: "Public keys" }).waitFor();
        await page.getByText("first", { exact: true }).waitFor();
        assert.equal(await page.getByRole("heading", { name: "Secrets" }).count(), 0);
        const sent = await bodies();
        assert.ok(sent.some((body) => body.includes(pair.publicKey.export({ format: "jwk" }).x)));
        assert.ok(!sent.some((body) => body.includes(pair.privateKey.export({ format: "jwk" }).d)));

        await page.getByLabel("Replace public keys").fill(jwk(pair.publicKey, "second"));
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("second", { exact: true }).waitFor();
        await page.getByText("first", { exact: true }).waitFor({ state: "hidden" });
    }));

test("an administrator says what members may allow applications", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/organization/applications?tab=policy`);
        await page.getByLabel("At most these").check();
        await page.getByLabel(/^write/).check();
        await page.getByLabel("With an access token").check();
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved. It applies immediately.").waitFor();
        await page.reload();
        await holds(async () => {
            assert.ok(await page.getByLabel(/^write/).isChecked());
            assert.ok(await page.getByLabel("With an access token").isChecked());
        });
        await page.getByLabel("Disabled").check();
        await page.getByLabel("All scopes an application is registered with").check();
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved. It applies immediately.").waitFor();
    }));

test("a device is connected by the code that it shows", (context) =>
    visit(context, async (page) => {
        const { token, organization } = await owner();
        const device = {
            name: "Television",
            grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
            redirect_uris: [],
            scopes: ["read"],
        };
        const path = `/api/v1/organizations/${organization}/oauth-applications`;
        const made = await post(path, device, token);
        const ask = async (endpoint, fields) => {
            const body = new URLSearchParams({ client_id: made.client_id, ...fields });
            if (made.client_secret) body.set("client_secret", made.client_secret);
            const answer = await fetch(server.url + endpoint, { method: "POST", body });
            return answer.json();
        };
        const begun = await ask("/oauth/device_authorization", { scope: "read" });

        await signIn(page, server.url, "viewer@acme.example");
        await page.keyboard.press("Control+k");
        await page.getByRole("dialog", { name: "Go to" }).locator("input:focus").waitFor();
        await page.keyboard.type("connect a device");
        const opened = page.context().waitForEvent("page");
        await page.getByRole("menuitem", { name: "Connect a device", exact: true }).click();
        const door = await opened;
        door.setDefaultTimeout(PATIENCE);
        assert.equal(door.url(), begun.verification_uri);
        await door.getByLabel("E-mail").fill("viewer@acme.example");
        await door.getByLabel("Password").fill("Demo-pass-1");
        await door.getByRole("button", { name: "Sign in" }).click();
        await door.getByLabel("Code").fill(begun.user_code);
        await door.getByRole("button", { name: "Continue" }).click();
        await door.getByText(begun.user_code).first().waitFor();
        await door.getByRole("button", { name: "Allow", exact: true }).click();
        await door.getByRole("button", { name: "Allow", exact: true }).waitFor({ state: "detached" });
        // It may ask once in some seconds, so it asks now for the first time.
        const grant_type = "urn:ietf:params:oauth:grant-type:device_code";
        const tokens = await ask("/oauth/token", { grant_type, device_code: begun.device_code });
        assert.equal(tokens.scope, "read", JSON.stringify(tokens));
        await page.goto(`${server.url}/me/applications`);
        await page.getByText("Television").first().waitFor();
    }));

test("who may register applications is said in the settings, and kept", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/organization?tab=security`);
        const who = page.getByLabel("Who can register applications");
        await holds(async () => assert.equal(await who.inputValue(), "admins"));
        await who.selectOption({ label: "Every member" });
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.", { exact: true }).waitFor();
        await page.reload();
        await holds(async () => assert.equal(await who.inputValue(), "everyone"));

        // The settings say where; members do it there, and find nothing that is not open to them.
        const where = await page.getByRole("link", { name: /\/organization\/applications\/new$/ }).textContent();
        await visit(context, async (member) => {
            await signIn(member, server.url, "viewer@acme.example");
            await member.keyboard.press("Control+k");
            await member.getByRole("dialog", { name: "Go to" }).locator("input:focus").waitFor();
            await member.keyboard.type("register an application");
            await member.getByRole("menuitem", { name: "Register an application", exact: true }).click();
            await member.waitForURL(where);
            await member.getByLabel("Name", { exact: true }).fill("Of a member");
            await member.getByLabel("Redirect URIs").fill("https://member.acme.example/callback");
            await member.getByLabel(/^Skip consent/).waitFor({ state: "detached" });
            await member.getByRole("button", { name: "Register" }).click();
            await member.getByText("shown only once").waitFor();
            await member.getByText("Your administrators manage it from here.").waitFor();
        });

        const register = page.getByRole("link", { name: "Register an application" });
        await who.selectOption({ label: "Nobody" });
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.", { exact: true }).waitFor();
        await page.goto(`${server.url}/organization/applications`);
        await page.getByRole("link", { name: "Of a member" }).waitFor();
        await register.waitFor({ state: "detached" });
        await page.goto(`${server.url}/organization?tab=security`);
        await who.selectOption({ label: "Anyone who can manage them" });
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.", { exact: true }).waitFor();
        await page.goto(`${server.url}/organization/applications`);
        await register.first().waitFor();
    }));
