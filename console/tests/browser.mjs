// A browser and a server for the tests: Debian's Chromium, and a demo of the binary that is to be tested.

import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

export const launch = () =>
    chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

async function freePort() {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

/** A name server of this machine, for the TXT records that are published with it. */
export async function nameServer() {
    const published = new Map();
    const socket = createSocket("udp4");
    socket.on("message", (query, { port, address }) => {
        // After a head of twelve bytes the name, in parts up to an empty one; its type and its class.
        const parts = [];
        let end = 12;
        for (let size = query[end]; size > 0; size = query[end]) {
            parts.push(query.subarray(end + 1, end + 1 + size));
            end += 1 + size;
        }
        const [type, question] = [query.readUInt16BE(end + 1), query.subarray(12, end + 5)];
        const text = published.get(parts.join(".").toLowerCase());
        const isAnswered = text !== undefined && type === 16;
        const head = Buffer.from(query.subarray(0, 12));
        head.writeUInt16BE(text === undefined ? 0x8183 : 0x8180, 2);
        [1, isAnswered ? 1 : 0, 0, 0].forEach((count, index) => head.writeUInt16BE(count, 4 + 2 * index));
        // The name is that of the question; it is kept for no time.
        const record = [0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, text?.length + 1, text?.length];
        const answer = isAnswered ? [Buffer.from(record), Buffer.from(text)] : [];
        socket.send(Buffer.concat([head, question, ...answer]), port, address);
    });
    await new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return {
        address: `127.0.0.1:${socket.address().port}`,
        publish: (name, text) => published.set(name.toLowerCase(), text),
        stop: () => socket.close(),
    };
}

/** A demo with data of its own. It answers under `localhost`, as passkeys want it. */
export async function demo(settings = {}) {
    if (process.env.CONSOLE_URL) return { url: process.env.CONSOLE_URL, mails: async () => [], stop: async () => {} };
    const binary = process.env.RIVERGEN_BIN;
    if (!binary) throw new Error("RIVERGEN_BIN names the server to test");
    const port = await freePort();
    const directory = await mkdtemp(join(tmpdir(), "rivergen-console-"));
    const url = `http://localhost:${port}`;
    // The server would read what is set for the tests.
    const others = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("RIVERGEN_")));
    const child = spawn(binary, ["demo", "--dir", directory, "--listen", `127.0.0.1:${port}`, "--rows", "120000"], {
        cwd: directory,
        env: {
            ...others,
            RIVERGEN_SERVER__PUBLIC_URL: url,
            RIVERGEN_LIMITS__ENABLED: "false",
            RIVERGEN_OUTBOUND__POLICY__ALLOW_PRIVATE: "true",
            ...settings,
        },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let printed = "";
    await new Promise((resolve, reject) => {
        const hear = (bytes) => {
            printed += bytes;
            if (printed.includes("is ready")) resolve();
        };
        child.stdout.on("data", hear);
        child.stderr.on("data", hear);
        child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${printed.slice(-2000)}`)));
    });
    return {
        url,
        /** The mails to somebody, the latest last. */
        async mails(to) {
            const folder = join(directory, "mail");
            // What is being written has another name until it is whole.
            const names = (await readdir(folder).catch(() => [])).filter((name) => /^[^.].*\.eml$/.test(name)).sort();
            const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
            return texts.map(decoded).filter((text) => text.includes(to));
        },
        async stop() {
            if (child.exitCode === null && child.signalCode === null) {
                const ended = once(child, "exit");
                child.kill("SIGTERM");
                await ended;
            }
            await rm(directory, { recursive: true, force: true });
        },
    };
}

/** Mails are quoted-printable, which breaks long lines and links. */
const decoded = (text) =>
    text.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

/** How long something may take on a busy machine, in milliseconds. */
export const PATIENCE = 30_000;

/** Waits until it is so: what the assertion says, or does without an error. */
export async function holds(assertion) {
    for (const end = Date.now() + PATIENCE; ;) {
        try {
            return await assertion();
        } catch (error) {
            if (Date.now() > end) throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

/** What the pattern finds in the latest mail to somebody that has it; `input` is the mail. */
export const inMail = (server, to, pattern) =>
    holds(async () => {
        for (const mail of (await server.mails(to)).reverse()) {
            const found = pattern.exec(mail);
            if (found) return found;
        }
        throw new Error(`no mail to ${to} has ${pattern}`);
    });

/** The link of the latest mail to somebody that leads to this page. */
export async function linkTo(server, to, page) {
    const [link] = await inMail(server, to, new RegExp(`https?://[^\\s"<>]*/${page}\\?token=[\\w-]+`));
    return link;
}

export async function signIn(page, url, email, password = "Demo-pass-1") {
    await page.goto(`${url}/sign-in`);
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("heading", { name: "Ask", level: 1 }).waitFor();
}

/**
 * Notes what the page sends from now on; the function that comes of it tells the bodies. The browser itself does not tell what is
 * in a request that is made as a stream.
 */
export async function noteBodies(page) {
    await page.evaluate(() => {
        const { fetch } = window;
        window.bodies = [];
        window.fetch = async (request, ...rest) => {
            window.bodies.push(`${request.url} ${await request.clone().text()}`);
            return fetch(request, ...rest);
        };
    });
    return () => page.evaluate(() => window.bodies);
}

/** What the browser complained of: errors of scripts, and what the policy of the page refused. */
export function complaints(page) {
    const heard = [];
    page.on("pageerror", (error) => heard.push(error.message));
    page.on(
        "console",
        (message) =>
            message.type() === "error" &&
            /Content Security|Uncaught|Warning:/.test(message.text()) &&
            heard.push(message.text()),
    );
    return heard;
}
