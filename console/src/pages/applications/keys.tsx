// The public keys by which an application proves who it is (private_key_jwt, RFC 7523) where it has no secret.

import { Badge, Card, Field } from "../../ui/basics";

type Key = { kid?: string; kty?: string; crv?: string; alg?: string };
export type KeySet = { keys: Key[] };

/** What is written, as a JWK set (RFC 7517); or why it is none. A private key is refused here, before it leaves the browser. */
export function keySetOf(text: string): KeySet | string {
    let value: unknown;
    try {
        value = JSON.parse(text);
    } catch {
        return "Not valid JSON.";
    }
    // One key alone is a set of one.
    const set = value && typeof value === "object" && "kty" in value ? { keys: [value] } : value;
    if (!set || typeof set !== "object" || !("keys" in set) || !Array.isArray(set.keys))
        return 'Not a JWK set: {"keys": […]}.';
    if (set.keys.some((key) => key && typeof key === "object" && ("d" in key || "k" in key)))
        return "This contains a private key. Keep it in the program and paste the public one.";
    return set as KeySet;
}

/** The keys that were written. What is wrong with them is thrown, to be shown where the form shows its errors. */
export function writtenKeys(text: string): Record<string, never> {
    const set = keySetOf(text);
    if (typeof set === "string") throw new Error(set);
    // The API's document says of them only that they are an object.
    return set as unknown as Record<string, never>;
}

export function KeysField({
    label,
    hint,
    required,
    value,
    onValue,
    error,
}: {
    label: string;
    hint?: string;
    required?: boolean;
    value: string;
    onValue: (value: string) => void;
    error?: string;
}) {
    const wrong = value.trim() === "" ? undefined : keySetOf(value);
    return (
        <Field
            label={label}
            hint={
                hint ??
                "A JWK set of up to ten keys, each with a kid: P-256, P-384, Ed25519, or RSA of 2048 bits or more."
            }
            error={typeof wrong === "string" ? wrong : error}
        >
            {(props) => (
                <textarea
                    {...props}
                    className="mono"
                    rows={6}
                    spellCheck={false}
                    autoComplete="off"
                    required={required}
                    placeholder={'{"keys": [{"kty": "EC", "crv": "P-256", "kid": "2026-01", "x": "…", "y": "…"}]}'}
                    value={value}
                    onChange={(event) => onValue(event.target.value)}
                />
            )}
        </Field>
    );
}

/** The keys that it has. */
export function Keys({ of }: { of: unknown }) {
    return (
        <Card title="Public keys" flush>
            <ul className="list">
                {((of as KeySet).keys ?? []).map((key) => (
                    <li key={key.kid}>
                        <code className="grow break">{key.kid}</code>
                        <Badge>{[key.kty, key.crv ?? key.alg].filter(Boolean).join(" ")}</Badge>
                    </li>
                ))}
            </ul>
        </Card>
    );
}
