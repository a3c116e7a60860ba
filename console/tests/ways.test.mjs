// The main ways through the console, on a real server, each as a person would go it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { after, before, test } from "node:test";
import { complaints, demo, launch, linkTo, signIn } from "./browser.mjs";

const root = new URL("../../", import.meta.url).pathname;
const postgres = process.env.RIVERGEN_TEST_POSTGRES_URL;
const modules = `${homedir()}/.cache/rivergen/oidc-provider`;

let browser;
let server;
let provider;
before(async () => {
    const settings = {};
    if (existsSync(`${modules}/node_modules`)) {
        provider = spawn("node", [`${root}tests/interop/oidc-provider/server.mjs`, modules], {
            stdio: ["pipe", "pipe", "inherit"],
        });
        const issuer = await new Promise((resolve) =>
            provider.stdout.once("data", (line) => resolve(String(line).trim())),
        );
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
});

/** A page of a browser that nobody was signed in with; at its end it must not have complained. */
async function visit(context, body) {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 860 } })).newPage();
    page.setDefaultTimeout(10_000);
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

test("sign up, and come back with a passkey", (context) =>
    visit(context, async (page) => {
        const email = "ada@people.example";
        await authenticator(page);
        await page.goto(`${server.url}/sign-up`);
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Name").fill("Ada Lovelace");
        await page.getByLabel("Password").fill("Correct1horse-battery");
        await page.getByRole("button", { name: "Sign up" }).click();
        await page.getByRole("heading", { name: "Check your mail" }).waitFor();

        await page.goto(await linkTo(server, email, "verify-email"));
        await page.getByRole("button", { name: "Confirm" }).click();
        await page.getByRole("link", { name: "Sign in" }).click();
        await page.getByLabel("E-mail").fill(email);
        await page.getByLabel("Password", { exact: true }).fill("Correct1horse-battery");
        await page.getByRole("button", { name: "Sign in", exact: true }).click();

        // Whoever signs up has an organization of their own; an empty one leads by the hand.
        await page.getByRole("heading", { name: "First steps" }).waitFor();
        await page.getByText("Nothing to ask yet").waitFor();

        await page.goto(`${server.url}/me/security`);
        await page.getByRole("button", { name: "Add a passkey" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Go on" }).click();
        await page.getByText("Your passkey is set up.").waitFor();

        await page.getByRole("button", { name: /Your account/ }).click();
        await page.getByRole("menuitem", { name: "Sign out" }).click();
        // The sign-in offers the passkey by itself (conditional UI), and this authenticator says yes at once.
        await page.waitForURL(/sign-in/);
        await page.getByRole("heading", { name: "First steps" }).waitFor();
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
        const streams = [];
        await page.route("**/executions/*/events?*", async (route) => {
            streams.push(new URL(route.request().url()).searchParams.get("after"));
            if (streams.length > 1) return route.continue();
            const response = await route.fetch();
            const events = (await response.text()).split("\n\n").slice(0, 3);
            await route.fulfill({ response, body: `${events.join("\n\n")}\n\n` });
        });
        await ask("How many orders per region?");
        await answer("How many orders per region?").getByRole("gridcell", { name: "EU" }).waitFor();
        assert.deepEqual(streams, ["0", "3"]);

        // Without any stream the answer is waited for.
        await page.unroute("**/executions/*/events?*");
        await page.route("**/executions/*/events?*", (route) => route.abort());
        await ask("How many orders are there?");
        await answer("How many orders are there?").getByRole("gridcell").first().waitFor();

        await page.unroute("**/executions/*/events?*");
        await ask("How many orders per customer in 2025?");
        await page.getByRole("region", { name: "Running" }).getByRole("button", { name: "Cancel" }).click();
        await page.getByText("Cancelled.").waitFor();
        assert.equal(await answer("How many orders per customer in 2025?").count(), 0);

        // The next question is a click away.
        await answer("How many orders per region?")
            .getByRole("group", { name: "Ask next" })
            .getByRole("button")
            .first()
            .click();
        await page.getByRole("region", { name: "Running" }).waitFor({ state: "hidden" });
        assert.equal(await page.getByRole("group", { name: "Ask next" }).count(), 3);
    }));

test("an answer is called wrong, with what would have been right", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "developer@acme.example");
        await page.getByLabel("Question").fill("How many customers are there?");
        await page.keyboard.press("Enter");
        const answer = page.getByRole("region", { name: "How many customers are there?" });
        await answer.getByRole("button", { name: "Wrong" }).click();
        await page.getByLabel("SQL").fill("SELECT count(DISTINCT id) AS customers FROM customers");
        await page.getByRole("button", { name: "It was wrong" }).click();
        await page.getByText("Once somebody confirms it").waitFor();
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
        await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved under Questions.").waitFor();

        await page.getByRole("link", { name: "Questions" }).click();
        await page.getByRole("searchbox", { name: "Search questions" }).fill("regional");
        await page.getByRole("link", { name: "Regional orders" }).click();
        await page.getByText("weekly", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Ask again" }).click();
        await page.getByRole("gridcell", { name: "EU" }).waitFor();

        await page.getByRole("button", { name: "More", exact: true }).click();
        await page.getByRole("menuitem", { name: "Name and tags…" }).click();
        await page.getByRole("textbox", { name: "Name" }).fill("Orders by region, weekly");
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByRole("heading", { name: "Orders by region, weekly", level: 1 }).waitFor();
        await page.getByRole("button", { name: "More", exact: true }).click();
        await page.getByRole("menuitem", { name: "Delete" }).click();
        await page.getByText("It can be restored").waitFor();
        await page.getByLabel("State").selectOption({ label: "Deleted" });
        await page
            .getByRole("row", { name: /Orders by region, weekly/ })
            .getByRole("button", { name: "Restore" })
            .click();
        await page.getByText("Restored.").waitFor();
        await page.getByLabel("State").selectOption({ label: "Kept" });
        await page.getByRole("button", { name: "More for Orders by region, weekly" }).click();
        await page.getByRole("menuitem", { name: "Ask again" }).click();
        await page.getByRole("gridcell", { name: "EU" }).waitFor();
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
        await page.getByRole("button", { name: "Add a word" }).click();
        await page.getByRole("textbox", { name: "Word" }).last().fill("takings");
        await page.getByRole("textbox", { name: "Means" }).last().fill("number of orders");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved; it holds").waitFor();

        await page.goto(`${server.url}/ask?q=Takings+per+region`);
        const answer = page.getByRole("region", { name: "Takings per region" });
        await answer.getByRole("gridcell", { name: "EU" }).waitFor();
        await answer.getByRole("button", { name: "Right" }).click();
        await page.getByText("Once somebody confirms it").waitFor();
        await page.goto(`${server.url}/questions/verified`);
        await page
            .getByRole("row", { name: /Takings per region/ })
            .getByRole("button", { name: "Confirm" })
            .click();
        await page.getByText("Confirmed.").waitFor();
        await page.goto(`${server.url}/ask?q=Takings+per+region`);
        await answer.getByText(/^Verified/).waitFor();
    }));

test("the grid holds a hundred thousand rows", (context) =>
    visit(context, async (page) => {
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
        await page.locator(".note.bad").waitFor();
        await condition.fill("city <> 'Berlin'");
        await page.getByText("It can be applied.").waitFor();
        await page.getByLabel("Name of the rule").fill("not Berlin");
        await page.getByLabel("Name", { exact: true }).fill("Nobody of Berlin");
        await page.getByRole("button", { name: "Set the policy" }).click();
        await page.getByRole("heading", { name: "Nobody of Berlin", level: 1 }).waitFor();

        await page.goto(`${server.url}/simulate`);
        await page.getByLabel("Person").selectOption({ label: "Victor Viewer, Viewer" });
        await page.getByLabel("Source", { exact: true }).selectOption({ label: "CRM" });
        await page
            .getByText(/Berlin/)
            .first()
            .waitFor();
        await page.getByRole("button", { name: "Nobody of Berlin" }).click();
        await page.getByRole("heading", { name: "Then" }).waitFor();
        await page.getByText("Changes", { exact: true }).waitFor();
    }));

test("what is not saved is not lost without a question", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "admin@acme.example");
        await page.getByRole("link", { name: "Policies", exact: true }).click();
        await page.getByRole("link", { name: "New policy" }).first().click();
        await page.getByLabel("Name", { exact: true }).fill("Half done");
        await page.getByRole("link", { name: "Members" }).click();
        await page.getByText("This policy is not saved.").waitFor();
        await page.getByRole("button", { name: "Stay" }).click();
        assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "Half done");
    }));

test("invite somebody, who accepts", (context) =>
    visit(context, async (page) => {
        const email = "grace@people.example";
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/invitations`);
        await page.getByLabel("E-mail addresses").fill(email);
        await page.getByLabel("Role").selectOption({ label: "Developer" });
        await page.getByRole("button", { name: "Invite", exact: true }).click();
        await page.getByText("1 invitation is on the way.").waitFor();
        const invitation = await linkTo(server, email, "invitation");

        await visit(context, async (guest) => {
            await guest.goto(invitation);
            await guest.getByRole("link", { name: "Sign up first" }).click();
            await guest.getByLabel("E-mail").fill(email);
            await guest.getByLabel("Name").fill("Grace Hopper");
            await guest.getByLabel("Password").fill("Correct1horse-battery");
            await guest.getByRole("button", { name: "Sign up" }).click();
            await guest.getByRole("heading", { name: "Check your mail" }).waitFor();
            await guest.goto(await linkTo(server, email, "verify-email"));
            await guest.getByRole("button", { name: "Confirm" }).click();
            await guest.getByText("Address confirmed").waitFor();
            await guest.goto(invitation);
            await guest.getByRole("link", { name: "Sign in to accept" }).click();
            await guest.getByLabel("E-mail").fill(email);
            await guest.getByLabel("Password", { exact: true }).fill("Correct1horse-battery");
            await guest.getByRole("button", { name: "Sign in", exact: true }).click();
            await guest.getByRole("button", { name: "Accept" }).click();
            await guest.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
        });

        await page.goto(`${server.url}/people`);
        await page.getByRole("link", { name: "Grace Hopper" }).waitFor();
    }));

test("an application is registered, let in, disconnected, suspended and deleted", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.getByRole("link", { name: "Applications" }).click();
        await page.getByRole("link", { name: "Register an application" }).first().click();
        await page.getByLabel("Name", { exact: true }).fill("Reporting");
        await page.getByLabel("Redirect addresses").fill("https://reports.acme.example/callback");
        await page.getByRole("button", { name: "Register" }).click();
        await page.getByText("shown this once").waitFor();
        assert.match(await page.getByText(/^rgs_/).textContent(), /^rgs_/);
        const client = await page.locator("code", { hasText: /^[0-9a-f-]{36}$/ }).textContent();
        await page.getByRole("link", { name: "Go on" }).click();

        // Another secret beside the first, which goes.
        await page.getByRole("button", { name: "Add a secret…" }).click();
        await page.getByLabel("Good for").selectOption({ label: "90 days" });
        await page.getByRole("button", { name: "Add", exact: true }).click();
        await page.getByText("shown this once").waitFor();
        await page
            .getByRole("listitem")
            .filter({ hasText: "until it is removed" })
            .getByRole("button", { name: /^Remove/ })
            .click();
        await page.getByText("good until it is removed").waitFor({ state: "hidden" });
        assert.equal(await page.getByRole("button", { name: /^Remove rgs_/ }).count(), 1);
        await page.getByLabel("Description").fill("Weekly reports");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.").waitFor();

        // Its owner lets it in, as a front end of the program would ask them, and ends that.
        const post = async (path, body, token) =>
            (
                await fetch(server.url + path, {
                    method: "POST",
                    headers: {
                        "content-type": "application/json",
                        ...(token && { authorization: `Bearer ${token}` }),
                    },
                    body: JSON.stringify(body),
                })
            ).json();
        const login = { email: "owner@acme.example", password: "Demo-pass-1" };
        const { data } = await post("/api/v1/auth/login", login);
        const consent = await post(
            "/api/v1/oauth/authorize",
            {
                approve: true,
                client_id: client,
                redirect_uri: "https://reports.acme.example/callback",
                scope: "openid read",
                code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
                code_challenge_method: "S256",
            },
            data.access_token,
        );
        assert.ok(consent.success, JSON.stringify(consent));
        await page.goto(`${server.url}/me/applications`);
        await page.getByText("Know who you are in RiverGen.").waitFor();
        await page.getByRole("button", { name: "Disconnect…" }).click();
        await page.getByRole("button", { name: "Disconnect", exact: true }).click();
        await page.getByRole("heading", { name: "None" }).waitFor();

        await page.goto(`${server.url}/organization/applications`);
        await page.getByRole("link", { name: "Reporting" }).click();
        await page.getByRole("button", { name: "Suspend…" }).click();
        await page.getByRole("button", { name: "Suspend", exact: true }).click();
        await page.getByText("Suspended", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Let it in again" }).click();
        await page.getByText("It is let in again").waitFor();
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
        await page.getByLabel("Redirect addresses").fill("https://nightly.acme.example/callback");
        await page.getByLabel("By a key of its own").check();
        const sent = [];
        page.on("request", (request) => request.method() === "POST" && sent.push(request.postData() ?? ""));
        await page.getByLabel("Its public keys").fill(jwk(pair.privateKey, "first"));
        await page.getByRole("button", { name: "Register" }).click();
        await page.getByText("This holds a private key.").first().waitFor();
        assert.ok(!sent.some((body) => body.includes(pair.privateKey.export({ format: "jwk" }).d)));
        await page.getByLabel("Its public keys").fill(jwk(pair.publicKey, "first"));
        await page.getByRole("button", { name: "Register" }).click();
        await page.getByRole("link", { name: "Go on" }).click();
        await page.getByRole("heading", { name: "Public keys" }).waitFor();
        await page.getByText("first", { exact: true }).waitFor();
        assert.equal(await page.getByRole("heading", { name: "Secrets" }).count(), 0);

        await page.getByLabel("Other public keys").fill(jwk(pair.publicKey, "second"));
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
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved; it holds at once.").waitFor();
        await page.reload();
        assert.ok(await page.getByLabel(/^write/).isChecked());
        await page.getByLabel("All that an application is registered with").check();
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved; it holds at once.").waitFor();
    }));

test("a session that is ended elsewhere stands at the door", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "viewer@acme.example");
        await visit(context, async (other) => {
            await signIn(other, server.url, "viewer@acme.example");
            await page.goto(`${server.url}/me/sessions`);
            await page.getByRole("button", { name: "End", exact: true }).first().click();
            await page.getByText("Ended.").waitFor();
            await other.getByRole("link", { name: "History" }).click();
            await other.getByRole("heading", { name: "Sign in" }).waitFor();
        });
    }));

test(
    "sign in through another provider",
    { skip: !existsSync(`${modules}/node_modules`) && "oidc-provider is not installed" },
    (context) =>
        visit(context, async (page) => {
            await page.goto(`${server.url}/sign-in`);
            await page.getByRole("button", { name: "Continue with Corp" }).click();
            await page.locator('input[name="login"]').fill("linus");
            await page.locator('input[name="password"]').fill("any");
            await page.locator('button[type="submit"]').click();
            await page.locator('button[type="submit"]').click();
            await page.getByRole("heading", { name: "First steps" }).waitFor();
        }),
);

test("the first way by keyboard alone", (context) =>
    visit(context, async (page) => {
        const { keyboard } = page;
        await page.goto(`${server.url}/sign-in`);
        await page.getByLabel("E-mail").waitFor();
        // The address has the focus.
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
        await keyboard.press("Control+k");
        await page.getByRole("dialog", { name: "Go to" }).waitFor();
        await keyboard.type("sessions");
        await page.getByRole("menuitem", { name: /Sessions and devices/ }).waitFor();
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Sessions and devices", level: 1 }).waitFor();
        await keyboard.press("Control+k");
        await keyboard.type("sign out");
        await page.getByRole("menuitem", { name: "Sign out", exact: true }).waitFor();
        await keyboard.press("Enter");
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
    }));
