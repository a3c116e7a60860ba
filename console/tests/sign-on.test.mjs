// Single sign-on, domains, provisioning, and people who come from another provider.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { after, test } from "node:test";
import { holds, inMail, linkTo, nameServer, signIn } from "./browser.mjs";
import { PASSWORD, keepCodes, onDemo, post, protect, root, server, visit } from "./ways.mjs";

const modules = `${homedir()}/.cache/rivergen/oidc-provider`;

let provider;
let issuer;
let names;
onDemo(async () => {
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
    return settings;
});
after(() => {
    provider?.kill();
    names?.stop();
});

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

test("a domain is proved by the code that its administrator gets", (context) =>
    visit(context, async (page) => {
        await signIn(page, server.url, "owner@acme.example");
        await page.goto(`${server.url}/organization?tab=domains`);
        await page.getByLabel("Domain", { exact: true }).fill("mailed.example");
        await page.getByRole("button", { name: "Add", exact: true }).click();
        const domain = page.locator("section", { hasText: "_rivergen-challenge.mailed.example" });
        await domain.getByText("Verify by e-mail instead").click();
        await domain.getByLabel("Mailbox").selectOption("webmaster@mailed.example");
        await domain.getByRole("button", { name: "Send code" }).click();
        await page.getByText("Code sent to webmaster@mailed.example.").waitFor();
        const [, code] = await inMail(server, "webmaster@mailed.example", /code is\s+([\w-]+)/);

        const enter = async (text) => {
            await domain.getByLabel("Code from the e-mail").fill(text);
            await domain.getByRole("button", { name: "Verify code" }).click();
        };
        await enter("guessed");
        await domain.getByRole("alert").waitFor();
        // That proves nothing.
        const joining = domain.getByLabel("People with an address in this domain can join on their own");
        assert.equal(await joining.count(), 0);
        // As it is pasted.
        await enter(` ${code} `);
        await page.getByText("Domain verified.").waitFor();
        await domain.getByText("Verified by e-mail until").waitFor();
        await joining.waitFor();
        // Its record can still be published, which proves it for longer than a year.
        await domain.getByRole("button", { name: "Verify", exact: true }).waitFor();
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
        const [, code] = await inMail(server, email, new RegExp(`Your code is (?!${before})(\\d{6})\\.`));
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
        await inMail(server, email, /is changing how you sign in/);
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
        await wrong.filter({ hasText: "is not a valid name" }).waitFor();
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
