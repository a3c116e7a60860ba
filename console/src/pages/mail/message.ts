// A mail as it travels (RFC 5322), read as far as the server writes them: whom it is to, what it is about, its plain text.

export type Message = { to: string; subject: string; at: string; text: string };

/** Bytes of UTF-8, one a character. */
const decoded = (bytes: string) => new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));

/** Quoted-printable breaks long lines, and with them links. */
const unquoted = (text: string) =>
    text
        .replace(/=\r?\n/g, "")
        .replace(/=([0-9A-F]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));

/** A header; its words in another alphabet are encoded (RFC 2047). */
function header(head: string, name: string): string {
    const line = new RegExp(`^${name}: *(.*)$`, "im").exec(head)?.[1] ?? "";
    return line
        .replace(/\?=\s+=\?/g, "?==?")
        .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, form: string, word: string) =>
            decoded(form.toLowerCase() === "b" ? atob(word) : unquoted(word.replaceAll("_", " "))),
        );
}

/** The headers with their folded lines joined, and what comes after them. */
function halves(part: string): [head: string, body: string] {
    const end = part.search(/\r?\n\r?\n/);
    if (end < 0) return [part, ""];
    return [part.slice(0, end).replace(/\r?\n[ \t]+/g, " "), part.slice(end).replace(/^\r?\n\r?\n/, "")];
}

function textOf(head: string, body: string): string {
    const boundary = /boundary="?([^";]+)"?/i.exec(header(head, "Content-Type"))?.[1];
    if (boundary !== undefined) {
        const parts = body
            .split(`--${boundary}`)
            .slice(1, -1)
            .map((part) => halves(part.trimStart()));
        const plain = parts.find(([of]) => header(of, "Content-Type").startsWith("text/plain")) ?? parts[0];
        return plain ? textOf(...plain) : "";
    }
    const encoding = header(head, "Content-Transfer-Encoding").toLowerCase();
    if (encoding === "base64") return decoded(atob(body.replace(/\s+/g, "")));
    return encoding === "quoted-printable" ? decoded(unquoted(body)) : body;
}

export function read(message: string): Message {
    const [head, body] = halves(message);
    return {
        to: header(head, "To"),
        subject: header(head, "Subject"),
        at: header(head, "Date"),
        text: textOf(head, body).trim(),
    };
}
