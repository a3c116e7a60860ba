// Passkeys: between the browser's credentials and the server's JSON.

import { api, read } from "./api/client";

/** What browsers say themselves is for whoever writes pages. */
const IN_WORDS: Record<string, string> = {
    NotAllowedError: "The passkey request was cancelled or timed out. Try again, or choose another way.",
    InvalidStateError: "This device already has a passkey for your account.",
};

async function asked(answer: Promise<Credential | null>): Promise<PublicKeyCredential> {
    try {
        return (await answer) as PublicKeyCredential;
    } catch (cause) {
        const words = cause instanceof DOMException ? IN_WORDS[cause.name] : undefined;
        throw words ? new Error(words, { cause }) : cause;
    }
}

/** What a passkey said, for the server. */
type Presented = { credential: Record<string, never>; email?: string };

/** Has the browser ask for a passkey of this person, or for whichever it offers. */
export async function choosePasskey(email?: string, conditional?: AbortSignal): Promise<Presented> {
    const options = await read(api.POST("/api/v1/webauthn/authenticate/start", { body: email ? { email } : {} }));
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
        options as unknown as PublicKeyCredentialRequestOptionsJSON,
    );
    const credential = await asked(
        navigator.credentials.get({
            publicKey,
            ...(conditional ? { mediation: "conditional" as const, signal: conditional } : {}),
        }),
    );
    return { credential: credential.toJSON() as Record<string, never>, ...(email ? { email } : {}) };
}

/** Signs in with what was chosen. */
export const present = (body: Presented) => read(api.POST("/api/v1/webauthn/authenticate/complete", { body }));

export const withPasskey = async (email?: string) => present(await choosePasskey(email));

/** Makes a passkey for the signed-in person. */
export async function registerPasskey(deviceName: string) {
    const options = await read(api.POST("/api/v1/webauthn/register/start", { body: { device_name: deviceName } }));
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
        options as unknown as PublicKeyCredentialCreationOptionsJSON,
    );
    const credential = await asked(navigator.credentials.create({ publicKey }));
    const body = { credential: credential.toJSON() as Record<string, never>, device_name: deviceName };
    return read(api.POST("/api/v1/webauthn/register/complete", { body }));
}
