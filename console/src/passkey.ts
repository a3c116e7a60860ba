// Passkeys: between the browser's credentials and the server's JSON.

import { api, read } from "./api/client";

/** Signs in with a passkey of this person, or with whichever the browser offers. */
export async function withPasskey(email?: string, conditional?: AbortSignal) {
    const options = await read(api.POST("/api/v1/webauthn/authenticate/start", { body: email ? { email } : {} }));
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
        options as unknown as PublicKeyCredentialRequestOptionsJSON,
    );
    const credential = (await navigator.credentials.get({
        publicKey,
        ...(conditional ? { mediation: "conditional" as const, signal: conditional } : {}),
    })) as PublicKeyCredential;
    const body = { credential: credential.toJSON() as Record<string, never>, ...(email ? { email } : {}) };
    return read(api.POST("/api/v1/webauthn/authenticate/complete", { body }));
}

/** Makes a passkey for the signed-in person. */
export async function registerPasskey(deviceName: string) {
    const options = await read(api.POST("/api/v1/webauthn/register/start", { body: { device_name: deviceName } }));
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
        options as unknown as PublicKeyCredentialCreationOptionsJSON,
    );
    const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
    const body = { credential: credential.toJSON() as Record<string, never>, device_name: deviceName };
    return read(api.POST("/api/v1/webauthn/register/complete", { body }));
}
