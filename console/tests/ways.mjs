// What the ways through the console share: a browser and a demo for each file of tests, and what is done on many of them.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { PATIENCE, complaints, demo, inMail, launch, linkTo, signIn } from "./browser.mjs";

export const root = new URL("../../", import.meta.url).pathname;

export let browser;
export let server;

/** Gives the tests of a file a browser and a demo, from the first of them to the last. What `settings` comes to is the server's. */
export function onDemo(settings = async () => ({})) {
    before(async () => {
        [browser, server] = await Promise.all([launch(), settings().then(demo)]);
    });
    after(async () => {
        await browser?.close();
        await server?.stop();
    });
}

/** A page of a browser that nobody was signed in with; at its end it must not have complained. */
export async function visit(context, body) {
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
export async function authenticator(page) {
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
export async function post(path, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    const { data, error } = await response.json();
    assert.ok(response.ok, `${path}: ${JSON.stringify(error)}`);
    return data;
}

/** The owner of the demo, for a program: a token, and the organization that it stands in. */
export async function owner() {
    const login = { email: "owner@acme.example", password: "Demo-pass-1" };
    const { access_token: token } = await post("/api/v1/auth/login", login);
    const { org } = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    return { token, organization: org };
}

/** What an application asks somebody for. */
export const asking = (client_id, redirect_uri, scope) => ({
    client_id,
    redirect_uri,
    scope,
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
});

/** Where an application of the demo's organization, which is registered for it, sends people to sign in. */
export async function signInOf(name, redirect_uri) {
    const { token, organization } = await owner();
    const application = { name, grant_types: ["authorization_code"], redirect_uris: [redirect_uri], scopes: ["read"] };
    const { client_id } = await post(`/api/v1/organizations/${organization}/oauth-applications`, application, token);
    const asked = { response_type: "code", ...asking(client_id, redirect_uri, "read") };
    return `${server.url}/oauth/authorize?${new URLSearchParams(asked)}`;
}

/** One that everybody has whom a test signs up. */
export const PASSWORD = "Correct1horse-battery";

/** A picture to be uploaded. */
export const LOGO = {
    name: "logo.png",
    mimeType: "image/png",
    buffer: Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "base64",
    ),
};

/** Signs up somebody who gets an organization of their own, and has them set up codes by mail: with the first one, which is
 * told. The backup codes are shown then. */
export async function protect(page, email) {
    await post("/api/v1/auth/signup", { email, password: PASSWORD });
    const link = new URL(await linkTo(server, email, "verify-email"));
    await post("/api/v1/auth/verify-email", { token: link.searchParams.get("token") });
    await signIn(page, server.url, email, PASSWORD);
    await page.goto(`${server.url}/me/security`);
    await page.getByRole("button", { name: "Codes by e-mail" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Send code" }).click();
    const [, code] = await inMail(server, email, /Your code is (\d{6})\./);
    await page.getByLabel("Code from the e-mail").fill(code);
    await page.getByRole("button", { name: "Confirm" }).click();
    return code;
}

/** The backup codes that are shown, which are then put away. */
export async function keepCodes(page) {
    const dialog = page.getByRole("dialog", { name: "Save these codes" });
    const codes = (await dialog.locator("pre").textContent()).split("\n");
    await dialog.getByRole("button", { name: "I have saved them" }).click();
    return codes;
}
