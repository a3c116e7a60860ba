// Every page in one theme: nothing serious for axe, nothing wider than a phone, no complaint of the browser. Screenshots at
// three widths are kept in screenshots/, outside git.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { PATIENCE, complaints, signIn } from "./browser.mjs";
import { browser, onDemo, owner, post, server } from "./ways.mjs";

const DOORS = ["/sign-in", "/sign-up", "/forgot-password", "/reset-password?token=x", "/verify-email?token=x"];
const INSIDE = [
    "/",
    "/welcome",
    "/questions",
    "/questions/1",
    "/questions/schedules",
    "/questions/words",
    "/questions/meaning",
    "/questions/verified",
    "/questions/numbers",
    "/questions/templates",
    "/questions/templates/new",
    "/history",
    "/history/1",
    "/sources",
    "/sources/new",
    "/sources/new/postgresql",
    "/sources/new/csv",
    "/sources/2",
    "/sources/2?tab=tags",
    "/sources/2?tab=health",
    "/sources/2?tab=changes",
    "/sources/2?tab=settings",
    "/files",
    "/files?tab=links",
    "/files?tab=shares",
    "/files/usage",
    "/policies",
    "/policies/new",
    "/policies/dashboard",
    "/policies/tokens",
    "/policies/1",
    "/policies/3?tab=assignments",
    "/policies/3?tab=evaluations",
    "/policies/3?tab=versions",
    "/simulate?user=3&source=2&without=3",
    "/audit",
    "/people",
    "/people/3",
    "/people/3?tab=activity",
    "/people/3?tab=sessions",
    "/people/3?tab=manage",
    "/invitations",
    "/imports",
    "/roles",
    "/roles/new",
    "/roles/4",
    "/roles/4?tab=people",
    "/roles/4?tab=history",
    "/sso",
    "/sso/new/okta",
    "/sso/new/generic-saml",
    "/provisioning",
    "/enforcement",
    "/access",
    "/workspaces",
    "/workspaces/1",
    "/organization",
    "/organization?tab=domains",
    "/organization?tab=security",
    "/organization?tab=sign-in",
    "/organization?tab=models",
    "/organization/applications",
    "/organization/applications?tab=policy",
    "/organization/applications/new",
    "/organization/tokens",
    "/me",
    "/me/security",
    "/me/sessions",
    "/me/tokens",
    "/me/applications",
    "/invited",
    "/operator",
    "/operator/mails",
];
const WIDTHS = [
    [360, 740],
    [1024, 768],
    [1440, 900],
];

let axe;

/** The first saved question, asked by itself: the pages about it have something to show. */
async function schedule() {
    const { token } = await owner();
    const question = {
        prompt_text: "How many orders per region?",
        selected_data_source_ids: [1],
        name: "Orders by region",
        save_prompt: true,
    };
    const { prompt_id } = await post("/api/v1/prompts/execute", question, token);
    const schedule = {
        name: "Every Monday and Thursday",
        timing: { every: "week", on: ["monday", "thursday"], at: "08:00", time_zone: "Europe/Berlin" },
        delivery: { mail_to_user_ids: [1, 3], include_rows: true },
    };
    await post(`/api/v1/prompts/${prompt_id}/schedules`, schedule, token);
}

/** Opens a page anew, so that nothing of the one before is taken for it, and waits until it stands there. */
async function open(page, path, found) {
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(server.url + path);
    // Its title is there, and no outline of what is still to come.
    const stands = () => document.querySelector("h1") !== null && document.querySelector(".skeleton") === null;
    await page
        .waitForFunction(stands, undefined, { timeout: PATIENCE })
        .catch(() => found.push(`${path} is never loaded to its end`));
    // What has no outline comes at once; the network is not waited for, since some pages always listen.
    await page.waitForTimeout(150);
    await page.evaluate(axe);
}

async function look(page, path, theme, found) {
    const results = await page.evaluate(() =>
        window.axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
    );
    for (const violation of results.violations.filter((each) => ["serious", "critical"].includes(each.impact))) {
        found.push(
            `${path} ${theme}: ${violation.id}: ${violation.nodes
                .slice(0, 3)
                .map((node) => `${node.target} ${node.any[0]?.message ?? ""}`)
                .join(" | ")}`,
        );
    }
    for (const [width, height] of WIDTHS) {
        await page.setViewportSize({ width, height });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) found.push(`${path} is ${over} px too wide at ${width}`);
        await page.screenshot({
            path: new URL(`../screenshots/${path.replace(/\W+/g, "_")}-${theme}-${width}.png`, import.meta.url)
                .pathname,
        });
    }
}

onDemo();

/** The themes are looked at beside each other, in a file each. */
export async function everyPageIsSound(theme) {
    axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
    await mkdir(new URL("../screenshots/", import.meta.url), { recursive: true });
    await schedule();
    const page = await (
        await browser.newContext({ colorScheme: theme, viewport: { width: 1440, height: 900 }, bypassCSP: false })
    ).newPage();
    const heard = complaints(page);
    const found = [];
    for (const path of DOORS) {
        await open(page, path, found);
        await look(page, path, theme, found);
    }
    await signIn(page, server.url, "owner@acme.example");
    for (const path of INSIDE) {
        await open(page, path, found);
        await look(page, path, theme, found);
    }
    await open(page, "/questions/1", found);
    await page.getByRole("button", { name: "New schedule" }).click();
    await page.getByLabel("How often").selectOption("week");
    // What follows from that.
    await page.getByRole("dialog").getByText("Monday").first().waitFor();
    await look(page, "/questions/1, its dialog of a schedule", theme, found);
    await open(page, "/sources/2", found);
    await page.getByRole("button", { name: "Column statistics" }).click();
    await page.getByText(/^From (all|the first) /).waitFor();
    await look(page, "/sources/2, what is in its columns", theme, found);
    assert.deepEqual(found, []);
    assert.deepEqual(heard, []);
}
