// A real browser and its virtual authenticator (CTAP2, resident keys, user verification) against a server.
//
// usage: node run.mjs CHROMIUM ORIGIN EMAIL ACCESS_TOKEN
//
// Registers a passkey as a page does, signs in with it by address, without one, and through the address field's
// suggestions (conditional mediation), and prints what the server answered as one line of JSON. It speaks the DevTools
// protocol over the browser's pipe, so it needs no package.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [chromium, origin, email, token] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "rivergen-chromium-"));
const browser = spawn(
  chromium,
  [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--no-proxy-server", "--remote-debugging-pipe", `--user-data-dir=${profile}`,
  ],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
const [, , , requests, answers] = browser.stdio;

let lastId = 0;
const waiting = new Map();
const listeners = new Map();
let unread = "";
answers.setEncoding("utf8");
answers.on("data", (text) => {
  const messages = (unread + text).split("\0");
  unread = messages.pop();
  for (const message of messages.map((one) => JSON.parse(one))) {
    if (message.id === undefined) {
      listeners.get(message.method)?.(message.params);
    } else {
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      message.error ? reject(new Error(message.error.message)) : resolve(message.result);
    }
  }
});

function command(method, params = {}, sessionId = undefined) {
  const id = ++lastId;
  requests.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function event(method) {
  return new Promise((resolve) => listeners.set(method, resolve));
}

// Runs in the page.
const functions = `
  const post = async (path, body, token) => {
    const headers = { "content-type": "application/json", ...(token && { authorization: "Bearer " + token }) };
    const answer = await fetch("/api/v1/webauthn/" + path, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const register = async (token, device_name) => {
    const started = await post("register/start", { device_name }, token);
    if (!started.data) return started;
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(started.data);
    const credential = await navigator.credentials.create({ publicKey });
    return post("register/complete", { device_name, credential: credential.toJSON() }, token);
  };
  const signIn = async (email, mediation) => {
    const started = await post("authenticate/start", { email });
    if (!started.data) return started;
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(started.data);
    const credential = await navigator.credentials.get({ publicKey, mediation });
    return post("authenticate/complete", { email, credential: credential.toJSON() });
  };
  const refused = async (promise) => {
    try { await promise; return null; } catch (error) { return error.name; }
  };
`;

async function run() {
  const { targetId } = await command("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await command("Target.attachToTarget", { targetId, flatten: true });
  const inPage = async (expression) => {
    const evaluated = await command(
      "Runtime.evaluate",
      { expression: `(async () => { ${functions} return ${expression}; })()`, awaitPromise: true, returnByValue: true, userGesture: true },
      sessionId,
    );
    if (evaluated.exceptionDetails) {
      throw new Error(`${expression}: ${evaluated.exceptionDetails.exception?.description}`);
    }
    return evaluated.result.value;
  };
  const text = JSON.stringify;

  await command("WebAuthn.enable", {}, sessionId);
  const { authenticatorId } = await command(
    "WebAuthn.addVirtualAuthenticator",
    {
      options: {
        protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true,
        hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
      },
    },
    sessionId,
  );
  await command("Page.enable", {}, sessionId);
  const loaded = event("Page.loadEventFired");
  // Of this origin, and without scripts: a page that offers passkeys itself would use this one as well.
  await command("Page.navigate", { url: `${origin}/openapi.json` }, sessionId);
  await loaded;

  const registered = await inPage(`await register(${text(token)}, "Chromium")`);
  // The browser itself refuses a second passkey of the same person on the same authenticator.
  const registeredAgain = await inPage(`await refused(register(${text(token)}, "Chromium again"))`);
  const byAddress = await inPage(`await signIn(${text(email)})`);
  const discovered = await inPage(`await signIn(undefined)`);
  const conditional = await inPage(`await signIn(undefined, "conditional")`);
  const { credentials } = await command("WebAuthn.getCredentials", { authenticatorId }, sessionId);
  return {
    registered, registeredAgain, byAddress, discovered, conditional,
    credentials: credentials.map(({ isResidentCredential, rpId, signCount }) => ({ isResidentCredential, rpId, signCount })),
  };
}

const deadline = setTimeout(() => { browser.kill("SIGKILL"); process.exit(3); }, 60_000);
try {
  console.log(JSON.stringify(await run()));
  await command("Browser.close").catch(() => {});
} finally {
  clearTimeout(deadline);
  browser.kill("SIGKILL");
  await new Promise((resolve) => (browser.exitCode ?? browser.signalCode ? resolve() : browser.once("exit", resolve)));
  await remove(profile);
}

// The browser's children write for a moment longer than it lives, and `maxRetries` does not list the folder again.
async function remove(folder) {
  for (let attempt = 1; ; attempt++) {
    try {
      return rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
