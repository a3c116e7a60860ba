// The door: signing up, in and out, passkeys, a forgotten password, and how its pages look.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PATIENCE, holds, linkTo, signIn } from "./browser.mjs";
import { LOGO, PASSWORD, authenticator, onDemo, server, signInOf, visit } from "./ways.mjs";

onDemo();

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
        await page.getByText("Saved.", { exact: true }).waitFor();
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
