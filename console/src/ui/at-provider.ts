// A fresh proof at a provider, in a window beside the page: what is typed here stays. The window comes back to a page of the
// console that tells this one what it brought, by a channel: that other pages cannot reach the console's windows holds for this
// one too.

import { GaveUp } from "./proof";

/** What the window brought back, under the state that it was opened with. */
export type Brought = { state: string; code?: string; handover?: string; refused?: string };

const CHANNEL = "proved at a provider";

/** The page that it comes back to: below the one that every provider comes back to, so the server knows it. */
const BACK = "/signed-in/anew";

const random = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Leads a window to the address that is looked up for this way back and this state; what it brings, unless that is given up. */
export async function atProvider(
    lookUp: (back: string, state: string) => Promise<string>,
    givenUp: AbortSignal,
): Promise<Brought> {
    // While the click still counts: later no browser opens one.
    const opened = window.open("", "_blank", "popup,width=520,height=720");
    if (!opened) throw new Error("Your browser blocked the window. Allow pop-ups for this page and try again.");
    const state = random();
    const channel = new BroadcastChannel(CHANNEL);
    try {
        opened.location.replace(await lookUp(location.origin + BACK, state));
        return await new Promise<Brought>((resolve, reject) => {
            givenUp.addEventListener("abort", () => reject(new GaveUp()));
            channel.onmessage = ({ data }: MessageEvent<Brought>) => {
                if (data.state === state) resolve(data);
            };
        });
    } catch (cause) {
        opened.close();
        throw cause;
    } finally {
        channel.close();
    }
}

/** Tells the page that waits what stands in the address, which then stands there no longer. */
export function bring() {
    const answer = new URLSearchParams(location.search);
    history.replaceState(history.state, "", location.pathname);
    const said = (name: string) => answer.get(name) ?? undefined;
    const brought: Brought = {
        state: said("state") ?? "",
        code: said("code"),
        handover: said("handover_code"),
        refused: said("error"),
    };
    const channel = new BroadcastChannel(CHANNEL);
    channel.postMessage(brought);
    channel.close();
}
