// Who is signed in. The access token lives in this module's memory alone; the refresh token is in a cookie that only the
// server reads (HttpOnly, SameSite=Strict). A reload asks the server for another access token.

type Listener = () => void;
type Tokens = { access_token: string; expires_in: number; notice?: string | null };

let accessToken: string | undefined;
let renewAt = 0;
let started: Promise<string | undefined> | undefined;
let notice: string | undefined;
const listeners = new Set<Listener>();

/** Other tabs of this browser: they hear when somebody signs in or out. */
const tabs = new BroadcastChannel("session");
tabs.onmessage = ({ data }) => {
    if (data === "signed out") set(undefined);
    // Of one person's tabs each goes on; what shows somebody else is loaded anew.
    else if (data !== subject()) location.reload();
};

/** Whose token it is, as the token says. */
function subject(): string | undefined {
    const claims = accessToken?.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/");
    return claims && (JSON.parse(atob(claims)) as { sub: string }).sub;
}

function set(tokens: Tokens | undefined) {
    accessToken = tokens?.access_token;
    notice = tokens?.notice ?? undefined;
    renewAt = tokens ? Date.now() + (tokens.expires_in - 60) * 1000 : 0;
    for (const listener of listeners) listener();
}

/** A refresh token is good for one use, so of all tabs only one asks at a time. */
async function ask(): Promise<string | undefined> {
    return await navigator.locks.request("session", async () => {
        const response = await fetch("/api/v1/auth/refresh", {
            method: "POST",
            headers: { "content-type": "application/json", "x-session-cookie": "1" },
            body: "{}",
        }).catch(() => undefined);
        // Without a network nobody is signed out.
        if (!response || response.status >= 500) return accessToken;
        // 204 is nobody: no error, and no tokens.
        const body = response.status === 200 ? await response.json() : undefined;
        set(body?.data);
        return accessToken;
    });
}

export const session = {
    /** The access token, renewed where it is about to run out; undefined for nobody. */
    async token(): Promise<string | undefined> {
        started ??= ask();
        await started;
        if (accessToken && Date.now() > renewAt) return this.renew(accessToken);
        return accessToken;
    },

    /** Another token in the place of one that was refused. */
    async renew(refused: string): Promise<string | undefined> {
        if (accessToken !== refused) return accessToken;
        started = ask();
        return started;
    },

    begin(tokens: Tokens, tellOthers = true) {
        started = Promise.resolve(tokens.access_token);
        set(tokens);
        if (tellOthers) tabs.postMessage(subject());
    },

    end() {
        started = Promise.resolve(undefined);
        set(undefined);
        tabs.postMessage("signed out");
    },

    isOpen: () => accessToken !== undefined,
    peek: () => accessToken,
    notice: () => notice,

    subscribe(listener: Listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
    },
};
