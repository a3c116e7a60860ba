// The one way to the server: typed by its OpenAPI document, signed with the access token, unwrapped from its envelope.

import createClient from "openapi-fetch";
import { session } from "../session";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What the server refused, in its own words, with the id under which its log has the request. */
export class ApiError extends Error {
    constructor(
        readonly code: string,
        message: string,
        readonly status: number,
        readonly requestId?: string,
        readonly details: { field: string; reason: string }[] = [],
    ) {
        super(message);
    }

    /** What is wrong with one field of the request, if anything. */
    of(field: string): string | undefined {
        return this.details.find((detail) => detail.field === field)?.reason;
    }
}

/** Errors of a browser that has no network look alike for all requests. */
const unreachable = () =>
    new ApiError("UNREACHABLE", "The server did not answer. Check the connection and try again.", 0);

/** Sends a request as the signed-in person. An access token that has run out is renewed once, without a word. */
export async function send(input: Request | string | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    request.headers.set("x-session-cookie", "1");
    const again = request.clone();
    const token = await session.token();
    if (token) request.headers.set("authorization", `Bearer ${token}`);
    let response: Response;
    try {
        response = await fetch(request);
    } catch (cause) {
        if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
        throw unreachable();
    }
    if (response.status !== 401 || !token) return response;
    const body = await response
        .clone()
        .json()
        .catch(() => undefined);
    if (!["UNAUTHORIZED", "TOKEN_EXPIRED", "INVALID_TOKEN", "SESSION_REVOKED"].includes(body?.error?.code))
        return response;
    const renewed = await session.renew(token);
    if (!renewed) return response;
    again.headers.set("authorization", `Bearer ${renewed}`);
    return fetch(again);
}

export const api = createClient<paths>({
    fetch: send,
    // Names of objects in storage have slashes, which are part of the path.
    querySerializer: { array: { style: "form", explode: true } },
});

type Outcome = { data?: unknown; error?: unknown; response: Response };
/** What stands in the envelope; operations that can also answer as a file are read as JSON here. */
type Inner<D> = D extends string | undefined ? never : D extends { data: infer T } ? T : D;
type Unwrapped<O extends Outcome> = Inner<O["data"]>;

/** The `data` of an answer. What the server refuses is thrown as an {@link ApiError}. */
export async function read<O extends Outcome>(request: Promise<O>): Promise<Unwrapped<O>> {
    const { data, error, response } = await request;
    if (!response.ok) throw errorOf(error, response);
    const envelope = data as { data?: unknown } | undefined;
    return (envelope && typeof envelope === "object" && "data" in envelope ? envelope.data : envelope) as Unwrapped<O>;
}

/** As {@link read}, for requests that are no JSON: downloads and uploads. */
export async function checked(response: Response): Promise<Response> {
    if (response.ok) return response;
    throw errorOf(await response.json().catch(() => undefined), response);
}

export function errorOf(body: unknown, response: Response): ApiError {
    const error = (
        body as { error?: { code?: string; message?: string; request_id?: string; details?: unknown } } | undefined
    )?.error;
    const requestId = error?.request_id ?? response.headers.get("x-request-id") ?? undefined;
    if (!error?.code) {
        return new ApiError(
            "UNREADABLE",
            `The server answered ${response.status} without saying why.`,
            response.status,
            requestId,
        );
    }
    const details = Array.isArray(error.details) ? (error.details as { field: string; reason: string }[]) : [];
    return new ApiError(error.code, error.message ?? error.code, response.status, requestId, details);
}

/** Hands bytes to the browser as a file. */
export async function save(response: Response, name: string) {
    const url = URL.createObjectURL(await response.blob());
    const link = Object.assign(document.createElement("a"), { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
