// Resumable uploads (tus 1.0): pieces that the server acknowledges one by one; after a cut it is asked how far it came.

import { ApiError, checked, send } from "./api/client";

const PIECE = 8 * 1024 * 1024;
const headers = { "tus-resumable": "1.0.0" };

export type Uploaded = { objectName: string; fileId?: number };

export async function upload(
    file: File,
    options: { category?: string; folder?: string; onProgress: (sent: number) => void; signal: AbortSignal },
): Promise<Uploaded> {
    const encode = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    const metadata = [
        `filename ${encode(file.name)}`,
        `file_category ${encode(options.category ?? "data_source")}`,
        ...(options.folder ? [`path ${encode(options.folder)}`] : []),
    ].join(",");
    const begun = await checked(
        await send("/api/v1/storage/tus", {
            method: "POST",
            signal: options.signal,
            headers: { ...headers, "upload-length": String(file.size), "upload-metadata": metadata },
        }),
    );
    const location = begun.headers.get("location");
    if (!location) throw new Error("The server did not say where the upload goes on.");
    const place = new URL(location, window.location.href).pathname;

    let offset = 0;
    let last: Response = begun;
    for (let failures = 0; offset < file.size;) {
        try {
            last = await checked(
                await send(place, {
                    method: "PATCH",
                    signal: options.signal,
                    body: file.slice(offset, offset + PIECE),
                    headers: {
                        ...headers,
                        "content-type": "application/offset+octet-stream",
                        "upload-offset": String(offset),
                    },
                }),
            );
            offset = Number(last.headers.get("upload-offset") ?? offset + PIECE);
            failures = 0;
            options.onProgress(offset);
        } catch (error) {
            if (options.signal.aborted) {
                // What came is not kept, and takes no room.
                await send(place, { method: "DELETE", headers }).catch(() => undefined);
                throw error;
            }
            const isCut =
                error instanceof ApiError && (error.status === 0 || error.status === 409 || error.status >= 500);
            failures += 1;
            if (!isCut || failures > 6) throw error;
            await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** failures));
            const state = await send(place, { method: "HEAD", headers, signal: options.signal }).catch(() => undefined);
            if (state?.ok) offset = Number(state.headers.get("upload-offset") ?? offset);
        }
    }
    let name = last.headers.get("storage-object-name");
    let id = last.headers.get("storage-file-id");
    if (!name) {
        const state = await checked(await send(place, { method: "HEAD", headers, signal: options.signal }));
        name = state.headers.get("storage-object-name");
        id = state.headers.get("storage-file-id");
    }
    if (!name) throw new Error("The upload ended without a file.");
    return { objectName: decodeURIComponent(name), fileId: id ? Number(id) : undefined };
}
