// One's own account: factors, picture, tokens and sessions.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { holds, linkTo, signIn } from "./browser.mjs";
import { LOGO, PASSWORD, keepCodes, onDemo, post, protect, server, visit } from "./ways.mjs";

onDemo();

test("backup codes are shown once, made anew, and each lets one in once", (context) =>
    visit(context, async (page) => {
        const email = "barbara@people.example";
        await protect(page, email);
        const first = await keepCodes(page);
        await page.getByText(`${first.length} left`).waitFor();
        await page.reload();
        await page.getByText(`${first.length} left`).waitFor();
        assert.ok(!(await page.content()).includes(first[0]));
        await page.getByRole("button", { name: "Create new codes" }).click();
        const codes = await keepCodes(page);
        assert.deepEqual(
            codes.filter((code) => first.includes(code)),
            [],
        );

        await page.getByRole("button", { name: /Your account/ }).click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        const enter = page.getByRole("button", { name: "Sign in", exact: true });
        const present = async (code) => {
            await page.goto(`${server.url}/sign-in`);
            await page.getByLabel("E-mail").fill(email);
            await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
            await enter.click();
            await page.getByRole("button", { name: "Use your backup code instead" }).click();
            await page.getByLabel("Backup code").fill(code);
            await enter.click();
        };
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        // The new ones have taken the place of the first.
        await present(first[0]);
        await page.getByRole("alert").waitFor();
        await present(codes[0]);
        await page.getByRole("button", { name: "Not now" }).click();
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        await page.goto(`${server.url}/me/security`);
        await page.getByText(`${codes.length - 1} left`).waitFor();
    }));

/** The code that an authenticator app shows now for its key (RFC 6238). */
function codeOf(key) {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const bits = [...key.replace(/[\s=]/g, "")]
        .map((sign) => alphabet.indexOf(sign).toString(2).padStart(5, "0"))
        .join("");
    const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
    const digest = createHmac("sha1", secret).update(counter).digest();
    const number = digest.readUInt32BE((digest.at(-1) ?? 0) & 15) & 0x7fffffff;
    return String(number % 1_000_000).padStart(6, "0");
}

test("an authenticator app is set up by its picture, and asked for at the next sign-in", (context) =>
    visit(context, async (page) => {
        const email = "radia@people.example";
        await post("/api/v1/auth/signup", { email, password: PASSWORD });
        const link = new URL(await linkTo(server, email, "verify-email"));
        await post("/api/v1/auth/verify-email", { token: link.searchParams.get("token") });
        await signIn(page, server.url, email, PASSWORD);
        await page.goto(`${server.url}/me/security`);
        await page.getByRole("button", { name: "Add authenticator app" }).click();
        const dialog = page.getByRole("dialog", { name: "Add an authenticator app" });
        await dialog.getByRole("button", { name: "Continue" }).click();
        const picture = dialog.getByRole("img", { name: /^QR code of the key / });
        await picture.waitFor();
        assert.ok(await picture.evaluate((it) => it.complete && it.naturalWidth > 0));
        const key = await dialog.locator("code").first().textContent();
        // A wrong one is said to be wrong, and the picture stays.
        await dialog.getByLabel("Code shown in the app").fill("000000");
        await dialog.getByRole("button", { name: "Confirm" }).click();
        await dialog.locator(".wrong, .note.bad").first().waitFor();
        const used = codeOf(key);
        await dialog.getByLabel("Code shown in the app").fill(used);
        await dialog.getByRole("button", { name: "Confirm" }).click();
        await keepCodes(page);

        await page.getByRole("button", { name: /Your account/ }).click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
        const enter = page.getByRole("button", { name: "Sign in", exact: true });
        await enter.click();
        const field = page.getByLabel(/^Code/);
        await field.waitFor();
        // Each is good once: the next one comes within half a minute.
        await holds(async () => assert.notEqual(codeOf(key), used));
        await field.fill(codeOf(key));
        await enter.click();
        await page.getByRole("button", { name: "Not now" }).click();
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
    }));

test("a picture of one's own stands where one is named, until it is removed", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.goto(`${server.url}/me`);
        const picture = page.getByRole("button", { name: "Your account" }).locator("img");
        await page.getByLabel("Upload a picture").setInputFiles(LOGO);
        await picture.waitFor();
        const remove = page.getByRole("button", { name: "Remove the picture" });
        await remove.click();
        await picture.waitFor({ state: "detached" });

        // One that is elsewhere is looked up by nobody's browser, which would complain of it, and can be removed.
        const login = { email: "developer@acme.example", password: "Demo-pass-1" };
        const { access_token: token } = await post("/api/v1/auth/login", login);
        const kept = await fetch(`${server.url}/api/v1/auth/me/profile`, {
            method: "PUT",
            headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
            body: JSON.stringify({ profile_image_url: "https://pictures.example/dana.png" }),
        });
        assert.ok(kept.ok, await kept.text());
        await page.reload();
        await page.getByText(/^The current picture is hosted at https:\/\/pictures\.example/).waitFor();
        await remove.click();
        await remove.waitFor({ state: "detached" });
        assert.equal(await picture.count(), 0);
    }));

test("a token is made, named anew and revoked", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.goto(`${server.url}/me/tokens`);
        await page.getByRole("button", { name: "New token" }).click();
        await page.getByLabel("Name").fill("nightly report");
        await page.getByRole("button", { name: "Create token" }).click();
        await page.getByText("It is shown only once").waitFor();
        await page.getByRole("button", { name: "Edit nightly report" }).click();
        await page.getByLabel("Name").fill("weekly report");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Revoke weekly report" }).click();
        await page.getByRole("heading", { name: "No tokens" }).waitFor();
        // The focus is not lost with the row that had it.
        await page.locator('[role="region"]:focus').waitFor();
    }));

test("a session that is ended elsewhere stands at the door", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "viewer@acme.example");
        await visit(context, async (other) => {
            await signIn(other, server.url, "viewer@acme.example");
            await page.goto(`${server.url}/me/sessions`);
            // Of the two browsers the other one; this one's own has no such button.
            // Others may be left of other visits; this one was used last, so it comes first.
            const theirs = page
                .getByRole("row", { name: /^Chrome/ })
                .getByRole("button", { name: "Sign out", exact: true });
            await theirs.first().click();
            await page.getByText("Signed out.").waitFor();
            await page.getByLabel("Which").selectOption({ label: "All, including ended" });
            await page
                .getByRole("row", { name: /^Chrome/ })
                .filter({ hasNotText: "open" })
                .first()
                .waitFor();
            await other.getByRole("link", { name: "History" }).click();
            await other.getByRole("heading", { name: "Sign in" }).waitFor();
        });
    }));
