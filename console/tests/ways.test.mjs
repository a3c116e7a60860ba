// The main ways through the console, on a real server, each as a person would go it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
    PATIENCE,
    complaints,
    demo,
    holds,
    inMail,
    launch,
    linkTo,
    nameServer,
    noteBodies,
    signIn,
} from "./browser.mjs";

const root = new URL("../../", import.meta.url).pathname;
const postgres = process.env.RIVERGEN_TEST_POSTGRES_URL;
const modules = `${homedir()}/.cache/rivergen/oidc-provider`;

let browser;
let server;
let provider;
let issuer;
let names;
before(async () => {
    names = await nameServer();
    const settings = { RIVERGEN_OUTBOUND__DNS_SERVERS: `["${names.address}"]` };
    if (existsSync(`${modules}/node_modules`)) {
        provider = spawn("node", [`${root}tests/interop/oidc-provider/server.mjs`, modules], {
            stdio: ["pipe", "pipe", "inherit"],
        });
        issuer = await new Promise((resolve) => provider.stdout.once("data", (line) => resolve(String(line).trim())));
        Object.assign(settings, {
            RIVERGEN_SOCIAL__CORP__KIND: "oidc",
            RIVERGEN_SOCIAL__CORP__DISPLAY_NAME: "Corp",
            RIVERGEN_SOCIAL__CORP__ISSUER: issuer,
            RIVERGEN_SOCIAL__CORP__CLIENT_ID: "corp",
            RIVERGEN_SOCIAL__CORP__CLIENT_SECRET: "the secret of corp",
        });
    }
    [browser, server] = await Promise.all([launch(), demo(settings)]);
});
after(async () => {
    await browser?.close();
    await server?.stop();
    provider?.kill();
    names?.stop();
});

/** A page of a browser that nobody was signed in with; at its end it must not have complained. */
async function visit(context, body) {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage();
    page.setDefaultTimeout(PATIENCE);
    const heard = complaints(page);
    try {
        await body(page);
    } catch (error) {
        const path = new URL(
            `../screenshots/failed-${context.name.replace(/\W+/g, "-")}-${new URL(page.url()).pathname.replace(/\W+/g, "_")}.png`,
            import.meta.url,
        ).pathname;
        await page.screenshot({ path }).catch(() => {});
        throw error;
    } finally {
        await page.context().close();
    }
    assert.deepEqual(heard, []);
}

/** An authenticator as a laptop has one, of which the browser makes no question. */
async function authenticator(page) {
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("WebAuthn.enable");
    await devtools.send("WebAuthn.addVirtualAuthenticator", {
        options: {
            protocol: "ctap2",
            transport: "internal",
            hasResidentKey: true,
            hasUserVerification: true,
            isUserVerified: true,
            automaticPresenceSimulation: true,
        },
    });
}

/** What the server answers a program that posts this. */
async function post(path, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    const { data, error } = await response.json();
    assert.ok(response.ok, `${path}: ${JSON.stringify(error)}`);
    return data;
}

/** The owner of the demo, for a program: a token, and the organization that it stands in. */
async function owner() {
    const login = { email: "owner@acme.example", password: "Demo-pass-1" };
    const { access_token: token } = await post("/api/v1/auth/login", login);
    const { org } = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    return { token, organization: org };
}

/** What an application asks somebody for. */
const asking = (client_id, redirect_uri, scope) => ({
    client_id,
    redirect_uri,
    scope,
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
});

/** Where an application of the demo's organization, which is registered for it, sends people to sign in. */
async function signInOf(name, redirect_uri) {
    const { token, organization } = await owner();
    const application = { name, grant_types: ["authorization_code"], redirect_uris: [redirect_uri], scopes: ["read"] };
    const { client_id } = await post(`/api/v1/organizations/${organization}/oauth-applications`, application, token);
    const asked = { response_type: "code", ...asking(client_id, redirect_uri, "read") };
    return `${server.url}/oauth/authorize?${new URLSearchParams(asked)}`;
}

const PASSWORD = "Correct1horse-battery";

const LOGO = {
    name: "logo.png",
    mimeType: "image/png",
    buffer: Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "base64",
    ),
};

/** Signs up somebody who gets an organization of their own, and has them set up codes by mail: with the first one, which is
 * told. The backup codes are shown then. */
async function protect(page, email) {
    await post("/api/v1/auth/signup", { email, password: PASSWORD });
    const link = new URL(await linkTo(server, email, "verify-email"));
    await post("/api/v1/auth/verify-email", { token: link.searchParams.get("token") });
    await signIn(page, server.url, email, PASSWORD);
    await page.goto(`${server.url}/me/security`);
    await page.getByRole("button", { name: "Codes by e-mail" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Send code" }).click();
    const [, code] = await inMail(server, email, /your code is (\d{6})\./);
    await page.getByLabel("Code from the e-mail").fill(code);
    await page.getByRole("button", { name: "Confirm" }).click();
    return code;
}

/** The backup codes that are shown, which are then put away. */
async function keepCodes(page) {
    const dialog = page.getByRole("dialog", { name: "Save these codes" });
    const codes = (await dialog.locator("pre").textContent()).split("\n");
    await dialog.getByRole("button", { name: "I have saved them" }).click();
    return codes;
}

test("sign up, and come back with a passkey", (context) =>
    visit(context, async (page) => {
        const email = "ada@people.example";
        await authenticator(page);
        await page.goto(`${server.url}/sign-up`);
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Name").fill("Ada Lovelace");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Sign up" }).click();
        await page.getByRole("heading", { name: "Check your e-mail" }).waitFor();

        await page.goto(await linkTo(server, email, "verify-email"));
        await page.getByRole("button", { name: "Confirm" }).click();
        await page.getByRole("link", { name: "Sign in" }).click();
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
        await page.getByRole("button", { name: "Sign in", exact: true }).click();

        // Whoever signs up has an organization of their own; an empty one leads by the hand.
        await page.getByRole("heading", { name: "Get started" }).waitFor();
        await page.getByText("Nothing to ask yet").waitFor();
        const steps = page.locator("section", { hasText: "Get started" }).getByRole("link");
        const leadsTo = await steps.evaluateAll((links) => links.map((link) => new URL(link.href).pathname));
        assert.deepEqual(leadsTo, ["/sources/new", "/sources", "/ask", "/policies/new", "/invitations"]);

        await page.goto(`${server.url}/me/security`);
        await page.getByRole("button", { name: "Add a passkey" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Continue" }).click();
        await page.getByText("Passkey added.").waitFor();

        // The sign-in offers the passkey by itself (conditional UI), and this authenticator says yes at once. The first time the
        // server refuses it, which is said; then it is offered again.
        let said;
        const isSaid = new Promise((resolve) => (said = resolve));
        let presented = 0;
        await page.route("**/webauthn/authenticate/complete", async (route) => {
            presented += 1;
            if (presented > 1) {
                await isSaid;
                return route.continue();
            }
            const error = { code: "USER_DISABLED", message: "Not this one.", request_id: "req-of-the-passkey" };
            return route.fulfill({ status: 403, json: { success: false, error } });
        });
        await page.getByRole("button", { name: /Your account/ }).click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        await holds(async () => assert.equal(presented, 2));
        said();
        await page.getByRole("heading", { name: "Get started" }).waitFor();
    }));

test("nobody accepts terms without knowing it", (context) =>
    visit(context, async (page) => {
        const accepted = [];
        // As a server with terms answers.
        await page.route("**/api/v1/auth/signup", (route) => {
            accepted.push(route.request().postDataJSON().agree_to_terms);
            const details = [{ field: "agree_to_terms", reason: "must be true: read and accept the terms" }];
            const error = {
                code: "VALIDATION_ERROR",
                message: "Some fields are not valid.",
                request_id: "r1",
                details,
            };
            return route.fulfill({ status: 422, json: { success: false, error } });
        });
        await page.goto(`${server.url}/sign-up`);
        await page.getByLabel("E-mail").fill("charles@people.example");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Sign up" }).click();
        await page.getByLabel(/read and accept/).check();
        const again = page.waitForResponse("**/api/v1/auth/signup");
        await page.getByRole("button", { name: "Sign up" }).click();
        await again;
        assert.deepEqual(accepted, [undefined, true]);
    }));

test("a reload keeps the session, and scripts hold no token", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.reload();
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        const kept = await page.evaluate(() => [
            JSON.stringify(localStorage),
            JSON.stringify(sessionStorage),
            document.cookie,
        ]);
        assert.deepEqual(kept, ["{}", "{}", ""]);
        const cookie = (await page.context().cookies(`${server.url}/api/v1/auth/refresh`)).find(
            (each) => each.name === "rivergen_session",
        );
        assert.equal(`${cookie.httpOnly} ${cookie.sameSite} ${cookie.path}`, "true Strict /api/v1/auth");
    }));

test("two people ask the same and are answered differently", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.getByLabel("Question").fill("How many orders per region in 2025?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many orders per region in 2025?" });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        assert.equal(await answer.getByRole("gridcell", { name: "US" }).count(), 0);
        await answer.getByText("Orders of one's own region").waitFor();
        await answer.getByRole("button", { name: "Why is something hidden?" }).click();
        await page.getByRole("dialog").getByText("Orders of one's own region").first().waitFor();
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

test("a question is saved, found, asked again, named, deleted and restored", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByLabel("Question").fill("How many orders per region?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many orders per region?" });
        await answer.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByLabel("Name").fill("Regional orders");
        await page.getByLabel("Tags").fill("weekly, sales");
        await page.getByRole("dialog").getByRole("button", { name: "Save", exact: true }).click();
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
        await signIn(page, server.url, "owner@acme.example");
        await page.getByLabel("Question").fill("How many orders per region?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many orders per region?" });
        await answer.getByRole("button", { name: "Save", exact: true }).click();
        const dialog = page.getByRole("dialog");
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
        const subject = /Every morning: there is an answer/;
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
        await page.getByText("Confirmed.").waitFor();
        await page.goto(`${server.url}/ask?q=Takings+per+region`);
        await answer.getByText(/^Verified/).waitFor();
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
        await page.getByRole("link", { name: "Customers of one's own region" }).click();
        await page.getByRole("heading", { name: "Customers of one's own region", level: 1 }).waitFor();
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
        await page.getByRole("link", { name: "Customers of one's own region" }).click();
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
                message: "A policy allows 2 queries an hour, and they are used up.",
                request_id: "r1",
            };
            return route.fulfill({ status: 429, json: { success: false, error } });
        });
        await page.getByRole("button", { name: "Column statistics" }).click();
        await page.getByText("A policy allows 2 queries an hour, and they are used up.").waitFor();
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

test("a passkey that does not come is told in plain words", (context) =>
    visit(context, async (page) => {
        await authenticator(page);
        await page.goto(`${server.url}/sign-in`);
        await page.getByRole("button", { name: "Use a passkey" }).click();
        await page
            .getByRole("alert")
            .getByText(/^The passkey request was cancelled or timed out/)
            .waitFor();
        await page.getByRole("button", { name: "Use a passkey" }).waitFor();
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
        await page.locator('button[aria-busy="true"]:disabled', { hasText: "Create role" }).waitFor();
        answer();
        const refusal = page.getByRole("alert");
        await refusal.getByText("It could not be kept.").waitFor();
        await refusal.getByText("req-of-the-role").waitFor();
        assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Refused");
        await page.getByLabel("Name", { exact: true }).fill("");
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
        await page.getByLabel("Search actions, such as policy.create").fill("data_source.create");
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

/** Waits until it is shown in these two colours, however often it is rendered anew. */
const wears = (locator, background, color) =>
    holds(async () => {
        const worn = await locator.evaluate((element) => {
            const style = getComputedStyle(element);
            return [style.backgroundColor, style.color];
        });
        assert.deepEqual(worn, [background, color]);
    });

test("pages at the door wear the colour and the picture of their organization", (context) =>
    visit(context, async (page) => {
        const [yellow, black] = ["rgb(255, 212, 0)", "rgb(0, 0, 0)"];
        const email = "edsger@people.example";
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/organization?tab=sign-in`);
        await page.getByLabel("Colour", { exact: true }).fill("#ffd400");
        for (const [theme, surface] of [
            ["light", "rgb(255, 255, 255)"],
            ["dark", "rgb(20, 28, 37)"],
        ]) {
            const preview = page.getByRole("figure", { name: `The sign-in page, ${theme}` });
            await wears(preview.getByText("Sign in", { exact: true }), yellow, black);
            assert.equal(await preview.evaluate((it) => getComputedStyle(it).backgroundColor), surface);
            // On white it could not be read.
            const link = await preview.getByText("Forgot password?").evaluate((it) => getComputedStyle(it).color);
            assert.equal(link === yellow, theme === "dark", `${theme}: ${link}`);
        }
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByText("Saved.").waitFor();
        await page.getByLabel("Upload a picture").setInputFiles(LOGO);
        await page.getByAltText("Current picture").waitFor();

        await page.goto(`${server.url}/invitations`);
        await page.getByLabel("E-mail addresses").fill(email);
        await page.getByLabel("Role").selectOption({ label: "Viewer" });
        await page.getByRole("button", { name: "Invite", exact: true }).click();
        await page.getByText("1 invitation sent.").waitFor();
        const invitation = await linkTo(server, email, "invitation");
        await visit(context, async (guest) => {
            await guest.goto(invitation);
            await guest.locator(".brand img.logo").waitFor();
            await wears(guest.getByRole("link", { name: "Sign in to accept" }), yellow, black);

            // And at the address of its own, which the demo's has not: its domain is nobody's to prove.
            const data = { organization_name: "Initech", branding: { accent_color: "#084c91", logo: null } };
            await guest.route("**/api/v1/auth/branding?organization=initech.example", (route) =>
                route.fulfill({ json: { success: true, data, message: "" } }),
            );
            await guest.goto(`${server.url}/sign-in?organization=initech.example`);
            await guest.getByText("Initech", { exact: true }).waitFor();
            const button = guest.getByRole("button", { name: "Continue", exact: true });
            await wears(button, "rgb(8, 76, 145)", "rgb(255, 255, 255)");
            // It stays on the way to the next page.
            await guest.getByRole("link", { name: "Forgot password?" }).click();
            await guest.getByRole("heading", { name: "Forgot your password?" }).waitFor();
            await guest.getByText("Initech", { exact: true }).waitFor();

            // On the way to an application it is that of the application's organization, and of no other.
            await guest.goto(await signInOf("Wearing", "https://wearing.acme.example/callback"));
            await guest.getByRole("link", { name: "Use a passkey, single sign-on or another provider" }).click();
            await guest.locator(".brand img.logo").waitFor();
            await wears(button, yellow, black);
        });
    }));

test("a proved domain whose record is gone says what to publish again", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        // As a server answers that has not found it any more.
        await page.route(/\/domains\?/, (route) => {
            const record = { type: "TXT", name: "_rivergen.acme.example", value: "rivergen-verification=1" };
            const at = "2026-03-02T11:00:00Z";
            const domain = { id: 1, domain: "acme.example", status: "verified", auto_join: true, created_at: at };
            const domains = [{ ...domain, record, missing_since: at }];
            return route.fulfill({ json: { success: true, data: { domains, total_count: 1 }, message: "" } });
        });
        await page.goto(`${server.url}/organization?tab=domains`);
        await page.getByText("Its DNS record was found missing").waitFor();
        await page.getByText("rivergen-verification=1").waitFor();
        await page.getByLabel("People with an address in this domain can join on their own").waitFor();
        await page.getByRole("button", { name: "Verify", exact: true }).waitFor();
    }));

test("an address of the door leads to no other server", (context) =>
    visit(context, async (page) => {
        for (const to of ["https://evil.example/", "//evil.example/", "/\\evil.example/", "/.//evil.example/"]) {
            await page.goto(`${server.url}/sign-in?${new URLSearchParams({ to })}`);
            assert.equal(await page.getByRole("link", { name: "Sign up" }).getAttribute("href"), "/sign-up", to);
            await page.getByLabel("E-mail").fill("viewer@acme.example");
            await page.getByLabel("Password", { exact: true }).fill("Demo-pass-1");
            await page.getByRole("button", { name: "Sign in", exact: true }).click();
            await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
            assert.equal(page.url(), `${server.url}/`, to);
        }
        // Nor does what somebody else has put where it is kept.
        await page.evaluate(() => {
            localStorage.setItem("mailed", JSON.stringify({ to: "//evil.example/", until: Date.now() + 60_000 }));
        });
        await page.route("**/api/v1/auth/verify-email", (route) =>
            route.fulfill({ json: { success: true, data: {}, message: "" } }),
        );
        await page.goto(`${server.url}/verify-email?token=any`);
        await page.getByRole("button", { name: "Confirm" }).click();
        await page.getByText("Address confirmed").waitFor();
        assert.equal(await page.getByRole("link", { name: "Sign in" }).getAttribute("href"), "/sign-in");
    }));

test("who signs up or has forgotten the password goes on to the application", async (context) => {
    const [email, callback] = ["hedy@people.example", "https://returning.acme.example/callback"];
    const application = await signInOf("Returning", callback);
    const data = { organization_name: "Initech", branding: { accent_color: "#084c91", logo: null } };
    const looks = (tab) => tab.getByText("Initech", { exact: true }).waitFor();
    /** As from the application, to a page that looks as its organization's. */
    const begin = async (page) => {
        await page
            .context()
            .route("**/api/v1/oauth/branding?*", (route) =>
                route.fulfill({ json: { success: true, data, message: "" } }),
            );
        await page.goto(application);
        await page.getByRole("link", { name: "Use a passkey, single sign-on or another provider" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        await looks(page);
    };
    const open = async (page, link) => {
        const tab = await page.context().newPage();
        tab.setDefaultTimeout(PATIENCE);
        await tab.goto(link);
        await looks(tab);
        return tab;
    };
    const goOn = async (tab, password) => {
        await tab.getByRole("link", { name: "Sign in" }).click();
        await tab.getByRole("heading", { name: "Sign in" }).waitFor();
        await looks(tab);
        await tab.getByLabel("E-mail").fill(email);
        await tab.getByLabel("Password", { exact: true }).fill(password);
        // There is no page; and the application is told that she is no member of its organization.
        const back = tab.waitForRequest((request) => request.url().startsWith(`${callback}?`));
        await tab.getByRole("button", { name: "Sign in", exact: true }).click();
        assert.equal(new URL((await back).url()).searchParams.get("error"), "access_denied");
    };

    await visit(context, async (page) => {
        await begin(page);
        await page.getByRole("link", { name: "Sign up" }).click();
        await page.getByRole("heading", { name: "Sign up" }).waitFor();
        await looks(page);
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Sign up" }).click();
        await page.getByRole("heading", { name: "Check your e-mail" }).waitFor();
        await looks(page);
        const tab = await open(page, await linkTo(server, email, "verify-email"));
        await tab.getByRole("button", { name: "Confirm" }).click();
        await tab.getByText("Address confirmed").waitFor();
        await goOn(tab, PASSWORD);
    });
    await visit(context, async (page) => {
        await begin(page);
        await page.getByRole("link", { name: "Forgot password?" }).click();
        await page.getByRole("heading", { name: "Forgot your password?" }).waitFor();
        await looks(page);
        // There and back.
        await page.getByRole("link", { name: "Back to sign-in" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        await looks(page);
        await page.getByRole("link", { name: "Forgot password?" }).click();
        // The page before has an address, too.
        await page.getByRole("heading", { name: "Forgot your password?" }).waitFor();
        await page.getByLabel("E-mail").fill(email);
        await page.getByRole("button", { name: "Send link" }).click();
        await page.getByText("we have sent it an e-mail").waitFor();
        const tab = await open(page, await linkTo(server, email, "reset-password"));
        await tab.getByLabel("New password").fill(`${PASSWORD}-anew`);
        await tab.getByRole("button", { name: "Set password" }).click();
        await tab.getByText("Password set").waitFor();
        await goOn(tab, `${PASSWORD}-anew`);
    });
});

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
        await page.getByText("Saved.").waitFor();

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
        await door.getByRole("button", { name: "Go on" }).click();
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

test("the plan for single sign-on says who lacks what", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/enforcement`);
        await page.getByText("owner@acme.example owns the organization and has no second factor.").waitFor();
        const viewer = page.getByRole("listitem").filter({ hasText: "viewer@acme.example" });
        await viewer.getByText("No single sign-on").waitFor();
        await viewer.getByText("No second factor").waitFor();
    }));

test("single sign-on is asked for once that was tried out, and people are warned", (context) =>
    visit(context, async (page) => {
        const email = "adele@people.example";
        const before = await protect(page, email);
        await keepCodes(page);
        // In an organization beside the one that a sign-in begins with.
        await page.goto(`${server.url}/welcome`);
        await page.getByLabel("Name").fill("Adele and company");
        await page.getByRole("button", { name: "Create", exact: true }).click();
        await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        await page.getByRole("button", { name: /^Adele and company/ }).waitFor();
        await page.goto(`${server.url}/enforcement`);
        await page.getByText("The organization has no active identity provider.").waitFor();
        const person = page.getByRole("listitem").filter({ hasText: email });
        await person.getByText("No single sign-on").waitFor();
        assert.equal(await person.getByText("No second factor").count(), 0);

        const enforce = page.getByRole("button", { name: "Enforce", exact: true });
        const preview = async () => {
            await page.getByRole("button", { name: "Preview" }).click();
            await page.getByText(/People not ready: 1\. Sessions that would end: 0\./).waitFor();
        };
        await page.getByLabel("Single sign-on", { exact: true }).selectOption({ label: "Recommended" });
        // As the server answers ten minutes after the last proof.
        const details = [{ field: "second_factor", reason: "is needed" }];
        const error = {
            code: "REAUTHENTICATION_REQUIRED",
            message: "Prove that it is you.",
            request_id: "r1",
            details,
        };
        await page.route("**/enforcement/enforce/*", (route) =>
            route.fulfill({ status: 403, json: { success: false, error } }),
        );
        await page.getByRole("button", { name: "Preview" }).click();
        const dialog = page.getByRole("dialog", { name: "Confirm it's you" });
        await dialog.getByLabel(`Password for ${email}`).fill(PASSWORD);
        await page.unroute("**/enforcement/enforce/*");
        // The browser does not tell the body of a request that a script made beforehand.
        await page.evaluate(() => {
            const { fetch } = window;
            window.fetch = (input, init) => {
                if (input.url?.endsWith("/api/v1/auth/login")) window.login = input.clone().json();
                return fetch(input, init);
            };
        });
        await dialog.getByRole("button", { name: "Confirm" }).click();
        // On a trusted device the server would not ask for it otherwise.
        const asked = await page.waitForFunction(() => window.login);
        assert.equal((await asked.jsonValue()).ask_second_factor, true);
        await dialog.getByLabel("Code from the e-mail we sent you").waitFor();
        const [, code] = await inMail(server, email, new RegExp(`your code is (?!${before})(\\d{6})\\.`));
        await dialog.getByLabel("Code from the e-mail we sent you").fill(code);
        await dialog.getByRole("button", { name: "Confirm" }).click();
        await page.getByText(/People not ready: 1\./).waitFor();
        await page.getByText("Single sign-on: off").waitFor();
        // What was tried out was another time of grace.
        await page.getByLabel("Grace period in days").fill("7");
        await holds(async () => assert.ok(await enforce.isDisabled()));
        await preview();
        await enforce.click();
        await page.getByText("Single sign-on: warn").waitFor();
        await page.getByRole("button", { name: "Announce the requirement" }).click();
        await page.getByText("E-mails sent: 1.").waitFor();
        await inMail(server, email, /changes how you sign in/);
        // A reload finds the session that was proved anew, in the same place.
        await page.reload();
        await page.getByText("Single sign-on: warn").waitFor();
        await page.getByRole("button", { name: /^Adele and company/ }).waitFor();
    }));

test("the assistant says what to do and to paste, and so does what is registered", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/sso/new/okta`);
        await page.getByText("In Okta's Admin Console").waitFor();
        assert.doesNotMatch(await page.locator("main ol").innerText(), /\/api\//);
        await page.getByLabel("Issuer").fill("https://okta.acme.example");
        await page.getByLabel("Client ID").fill("0oa1");
        await page.getByLabel("Client secret").fill("the secret of okta");
        await page.getByRole("button", { name: "Register as inactive" }).click();
        await page.getByRole("heading", { name: "Okta", level: 1 }).waitFor();
        await page.getByText(/\/sso\/oidc\/callback\/\d+$/).waitFor();
        await page.getByText(/\/sso\/oidc\/backchannel-logout\/\d+$/).waitFor();

        // Its secret is changed where it is; what is left alone stays.
        await page.getByText("Name and connection").click();
        await page.getByLabel("Client secret").fill("the next secret of okta");
        await page.getByLabel("Scopes").fill("openid profile email groups");
        await page.getByRole("button", { name: "Save the connection" }).click();
        await page.getByText("Saved. It applies from the next sign-in.").waitFor();
        await page.reload();
        await page.getByText("Name and connection").click();
        assert.deepEqual(
            [await page.getByLabel("Client ID").inputValue(), await page.getByLabel("Scopes").inputValue()],
            ["0oa1", "openid profile email groups"],
        );

        // Which of its names is what; what is wrong is said at its row.
        const settled = (what) =>
            page.locator("button:disabled:not([aria-busy])", { hasText: `Save the ${what}` }).waitFor();
        const saved = async (what) => {
            const answered = page.waitForResponse((response) => response.request().method() === "PUT");
            await page.getByRole("button", { name: `Save the ${what}` }).click();
            const status = (await answered).status();
            if (status === 200) await settled(what);
            return status;
        };
        await page.locator("datalist option[value='realm_access.roles']").first().waitFor({ state: "attached" });
        await page.getByRole("button", { name: "Add an attribute" }).click();
        const [ours, wrong] = [page.getByLabel("RiverGen attribute").last(), page.locator(".pair .wrong")];
        await ours.fill("groups");
        await page.getByLabel("Provider claim").last().fill("dept");
        await wrong.filter({ hasText: "is mapped already" }).waitFor();
        await settled("attributes");
        await ours.fill("Department");
        assert.equal(await saved("attributes"), 422);
        await wrong.filter({ hasText: "is no name" }).waitFor();
        await ours.fill("department");
        assert.equal(await saved("attributes"), 200);
        // A directory's names have signs of their own.
        await page.getByRole("button", { name: "Add a group" }).click();
        await page.getByLabel("Group", { exact: true }).fill("CN=Engineering,OU=Acme");
        await page.getByLabel("Role", { exact: true }).selectOption({ label: "Viewer" });
        assert.equal(await saved("groups"), 200);
        await page.reload();
        await page.getByRole("button", { name: "Remove department" }).waitFor();
        await page.getByRole("button", { name: "Remove CN=Engineering,OU=Acme" }).waitFor();
        await page.getByRole("button", { name: "Remove groups" }).click();
        assert.equal(await saved("attributes"), 200);
        await page.getByRole("button", { name: "Remove groups" }).waitFor({ state: "detached" });

        // What it pushes gets a role as well; that leaves a provisioning that is off as it is.
        const provider = page.url();
        await page.goto(`${server.url}/provisioning`);
        const button = (name) => page.getByRole("button", { name, exact: true });
        await button("Switch on").click();
        await page.getByText("Bearer token. It is shown only once.").waitFor();
        await button("Switch off").click();
        await button("Switch on").waitFor();
        const configured = async (act) => {
            const answered = page.waitForResponse(
                (response) => response.url().endsWith("/scim/config") && response.request().method() === "POST",
            );
            await act();
            return (await (await answered).json()).data;
        };
        const role = page.getByLabel("Role for provisioned people");
        const chosen = await configured(() => role.selectOption({ label: "Viewer" }));
        assert.deepEqual([chosen.config.enabled, chosen.bearer_token ?? null], [false, null]);
        await button("Add a group").click();
        await page.getByLabel("Group", { exact: true }).fill("Engineering");
        await page.getByLabel("Role", { exact: true }).selectOption({ label: "Developer" });
        const mapped = await configured(() => button("Save the groups").click());
        assert.deepEqual(Object.keys(mapped.config.group_role_mapping), ["Engineering"]);
        assert.equal(mapped.config.enabled, false);
        await settled("groups");

        // A token may end by itself; what is reconciled says how that went without being looked up again.
        await button("Switch on").click();
        await page.getByLabel("Validity of a new token").selectOption({ label: "90 days" });
        const rotated = await configured(() => button("Replace the token now").click());
        assert.ok(rotated.config.expires_at);
        await button("Reconcile all").click();
        await page.getByText("Completed", { exact: true }).waitFor();
        await button("Switch off").click();
        await button("Switch on").waitFor();
        await page.goto(provider);
        await page.getByRole("button", { name: "Remove…" }).click();
        await page.getByLabel(/Type Okta/).fill("Okta");
        await page.getByRole("button", { name: "Delete", exact: true }).click();
        await page.getByRole("heading", { name: "Single sign-on", level: 1 }).waitFor();
    }));

/** A certificate of a key that nobody has, under this name. */
const certificate = (name) =>
    execFileSync(
        "openssl",
        [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-days",
            "30",
            "-subj",
            `/CN=${name}`,
        ],
        { stdio: ["ignore", "pipe", "ignore"] },
    ).toString();

test("a provider is entered by hand, and its next certificate put beside the one that it has", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/sso/new/generic-saml`);
        await page.getByLabel("Name", { exact: true }).fill("Keycloak");
        await page.getByText("Enter manually").click();
        await page.getByLabel("Entity ID", { exact: true }).fill("https://idp.acme.example");
        await page.getByLabel("Sign-in URL", { exact: true }).fill("https://idp.acme.example/sso");
        await page.getByLabel("Certificate (PEM)").fill(certificate("old.acme.example"));
        await page.getByRole("button", { name: "Register as inactive" }).click();
        await page.getByRole("heading", { name: "Keycloak", level: 1 }).waitFor();
        const certificates = page.getByRole("list", { name: "Certificates" });
        const remove = certificates.getByRole("button", { name: /^Remove/ });
        await certificates.getByText("CN=old.acme.example").waitFor();
        assert.equal(await remove.count(), 0);
        await page.getByText("Name and connection").click();
        await page.getByLabel("Add a certificate").fill(certificate("next.acme.example"));
        await page.getByRole("button", { name: "Save the connection" }).click();
        await certificates.getByText("CN=next.acme.example").waitFor();
        await certificates.getByRole("button", { name: "Remove CN=old.acme.example" }).click();
        await certificates.getByText("CN=old.acme.example").waitFor({ state: "detached" });
        assert.equal(await remove.count(), 0);

        await page.getByRole("button", { name: "Remove…" }).click();
        await page.getByLabel(/Type Keycloak/).fill("Keycloak");
        await page.getByRole("button", { name: "Delete", exact: true }).click();
        await page.getByRole("heading", { name: "Single sign-on", level: 1 }).waitFor();
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
        await page.getByText("Saved.").waitFor();
        await page.getByRole("button", { name: "Revoke weekly report" }).click();
        await page.getByRole("heading", { name: "No tokens" }).waitFor();
    }));

test("who may register applications is said in the settings, and kept", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/organization?tab=security`);
        const who = page.getByLabel("Who can register applications");
        await holds(async () => assert.equal(await who.inputValue(), "admins"));
        await who.selectOption({ label: "Every member" });
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.").waitFor();
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
        await page.getByText("Saved.").waitFor();
        await page.goto(`${server.url}/organization/applications`);
        await page.getByRole("link", { name: "Of a member" }).waitFor();
        await register.waitFor({ state: "detached" });
        await page.goto(`${server.url}/organization?tab=security`);
        await who.selectOption({ label: "Anyone who can manage them" });
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.").waitFor();
        await page.goto(`${server.url}/organization/applications`);
        await register.first().waitFor();
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

test("the times of a source are changed, and its file gets a link", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/sources`);
        await page.getByRole("link", { name: "Orders", exact: true }).click();
        await page.getByRole("navigation", { name: "Parts" }).getByRole("link", { name: "Settings" }).click();
        await page.getByText("Timeouts and limits").click();
        await page.getByLabel("Query timeout, seconds").fill("45");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.").waitFor();
        await page.reload();
        await holds(async () => assert.equal(await page.getByLabel("Query timeout, seconds").inputValue(), "45"));
        await page.getByRole("button", { name: "Create a link to its file" }).click();
        await page.getByRole("button", { name: "Copy link" }).waitFor();
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

/** For tests that sign in at another provider, which has to be there. */
const WITH_PROVIDER = { skip: !existsSync(`${modules}/node_modules`) && "oidc-provider is not installed" };

/** Signs in on the page of the foreign provider, which then asks what it may tell. */
async function enter(page, login) {
    await page.locator('input[name="login"]').fill(login);
    await page.locator('input[name="password"]').fill("any");
    await page.getByRole("button", { name: "Sign-in" }).click();
}

test("sign in through another provider", WITH_PROVIDER, (context) =>
    visit(context, async (page) => {
        await page.goto(`${server.url}/sign-in`);
        await page.getByRole("button", { name: "Continue with Corp" }).click();
        await enter(page, "linus");
        await page.getByRole("button", { name: "Continue" }).click();
        await page.getByRole("heading", { name: "Get started" }).waitFor();
    }),
);

test("single sign-on is set up for a proved domain, and somebody of it comes in", WITH_PROVIDER, (context) =>
    visit(context, async (page) => {
        const email = "rosalind@people.example";
        await post("/api/v1/auth/signup", { email, password: PASSWORD });
        const link = new URL(await linkTo(server, email, "verify-email"));
        await post("/api/v1/auth/verify-email", { token: link.searchParams.get("token") });
        await signIn(page, server.url, email, PASSWORD);

        await page.goto(`${server.url}/organization?tab=domains`);
        await page.getByLabel("Domain", { exact: true }).fill("lab.example");
        await page.getByRole("button", { name: "Add", exact: true }).click();
        const record = page.locator("section", { hasText: "lab.example" }).locator("code");
        await record.nth(1).waitFor();
        names.publish(...(await record.allTextContents()));
        await page.getByRole("button", { name: "Verify", exact: true }).click();
        await page.getByLabel("People with an address in this domain can join on their own").waitFor();

        await page.goto(`${server.url}/sso/new/generic-oidc`);
        await page.getByLabel("Name", { exact: true }).fill("Lab");
        await page.getByLabel("Issuer").fill(issuer);
        await page.getByLabel("Client ID").fill("corp");
        await page.getByLabel("Client secret").fill("the secret of corp");
        await page.getByRole("button", { name: "Register as inactive" }).click();
        await page.getByRole("heading", { name: "Lab", level: 1, exact: true }).waitFor();
        const isJust = page.getByLabel("Add people as members at their first sign-in");
        await isJust.click();
        await holds(async () => assert.ok(await isJust.isChecked()));
        await page.getByRole("button", { name: "Switch on" }).click();
        await page.getByRole("button", { name: "Switch off" }).waitFor();

        await visit(context, async (guest) => {
            await guest.goto(`${server.url}/sign-in`);
            await guest.getByLabel("E-mail").fill("franklin@lab.example");
            await guest.getByRole("button", { name: "Use single sign-on" }).click();
            await enter(guest, "franklin~franklin@lab.example");
            await guest.getByRole("button", { name: "Continue" }).click();
            await guest.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
            await guest.getByRole("button", { name: "Your account" }).filter({ hasText: "Person franklin" }).waitFor();
        });
        await page.goto(`${server.url}/people`);
        await page.getByRole("link", { name: "Person franklin" }).waitFor();
    }),
);

test("an account at another provider is connected, and disconnected", WITH_PROVIDER, (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.goto(`${server.url}/me`);
        await page.getByRole("button", { name: "Connect Corp", exact: true }).click();
        await enter(page, "margaret");
        await page.getByRole("button", { name: "Continue" }).click();
        await page.getByRole("button", { name: "Disconnect Corp" }).click();
        await page.getByRole("button", { name: "Connect Corp", exact: true }).waitFor();
    }),
);

test("whoever has a provider alone proves anew there who they are, and loses nothing", WITH_PROVIDER, (context) =>
    visit(context, async (page) => {
        await page.goto(`${server.url}/sign-in`);
        await page.getByRole("button", { name: "Continue with Corp" }).click();
        await enter(page, "emmy");
        await page.getByRole("button", { name: "Continue" }).click();
        await page.getByRole("heading", { name: "Get started" }).waitFor();

        await page.goto(`${server.url}/me/tokens`);
        await page.getByRole("button", { name: "New token" }).click();
        const made = page.getByRole("dialog", { name: "New token" });
        await made.getByLabel("Name", { exact: true }).fill("kept");
        // Which takes a proof: that the provider knew them is none.
        await made.getByLabel(/^Everything/).check();
        await page.getByRole("button", { name: "Create token" }).click();
        const dialog = page.getByRole("dialog", { name: "Confirm it's you" });
        const opened = page.context().waitForEvent("page");
        await dialog.getByRole("button", { name: "Continue with Corp" }).click();
        // There is no password to ask for.
        assert.equal(await dialog.getByLabel(/^Password for/).count(), 0);
        const provider = await opened;
        // The provider knows them still, and asks all the same.
        await enter(provider, "emmy");
        // It may ask once more what it may tell; else the window is gone by itself.
        void provider
            .getByRole("button", { name: "Continue" })
            .click()
            .catch(() => {});
        await page.getByText("Your token kept. It is shown only once.").waitFor();
    }),
);

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
        await find("own region", "Customers of one's own region Policy", "Customers of one's own region");
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
            .waitFor();
        await page.keyboard.press("Enter");
        await page.keyboard.type(" WHERE reg");
        await offered
            .filter({ hasText: /^region/ })
            .first()
            .waitFor();
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
