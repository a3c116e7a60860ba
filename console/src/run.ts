// A question that runs by itself: its steps are followed as they happen, and its answer is read once it has ended.

import { ApiError, type Schemas, api, checked, read, send } from "./api/client";

export type Execution = Schemas["Execution"];
export type Step = {
    event: string;
    seq: number;
    data: {
        phase?: string;
        tool?: string;
        summary?: string;
        explanation?: string | null;
        generated_query_text?: string;
    };
};

const LAST = ["execution.completed", "execution.failed", "execution.cancelled"];
/** Streams in a row that may tell nothing before the state is asked for instead. */
const SILENT = 3;
/** Milliseconds without a byte after which a stream is taken for lost; the server shows a sign of life more often. */
const QUIET = 45_000;

/** Follows a run to its end. A cancelled wait cancels the run too, down to its sources. */
export async function follow(
    begin: Promise<Execution>,
    signal: AbortSignal,
    onStep: (step: Step) => void,
): Promise<Execution> {
    const begun = await begin;
    if (begun.status !== "processing") return begun;
    const path = { execution_id: begun.execution_id };
    try {
        await streamed(begun.execution_id, signal, onStep);
        for (let wait = 200; ; wait = Math.min(2000, wait * 1.5)) {
            const now = await read(api.GET("/api/v1/prompts/executions/{execution_id}", { params: { path }, signal }));
            if (now.error_code)
                throw new ApiError(
                    now.error_code,
                    now.error_message ?? now.error_code,
                    400,
                    undefined,
                    now.error_details,
                );
            if (now.status !== "processing") return now;
            await pause(wait, signal);
        }
    } catch (cause) {
        if (signal.aborted) await cancel(begun.execution_id);
        throw cause;
    }
}

async function cancel(id: number) {
    try {
        await read(
            api.POST("/api/v1/prompts/executions/{execution_id}/cancel", { params: { path: { execution_id: id } } }),
        );
    } catch (cause) {
        // It has ended meanwhile.
        if (!(cause instanceof ApiError) || cause.code !== "CONFLICT") throw cause;
    }
}

/** Tells the steps until the last one. Returns without it where streams do not come through, as behind some proxies. */
async function streamed(id: number, signal: AbortSignal, onStep: (step: Step) => void) {
    let seen = 0;
    for (let silent = 0; silent < SILENT; silent += 1) {
        if (silent > 0) await pause(300 * silent, signal);
        try {
            const response = await checked(
                await send(`/api/v1/prompts/executions/${id}/events?after=${seen}`, {
                    headers: { accept: "text/event-stream" },
                    signal,
                }),
            );
            for await (const step of steps(response)) {
                if (step.seq <= seen) continue;
                seen = step.seq;
                silent = 0;
                onStep(step);
                if (LAST.includes(step.event)) return;
            }
        } catch (cause) {
            if (signal.aborted) throw cause;
        }
    }
}

/** The events of a stream: blocks of lines, of which `data:` has the whole event. */
async function* steps(response: Response): AsyncGenerator<Step> {
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const next = async () => {
        // What is lost on the way is not always told: then nothing comes at all, not even a sign of life.
        const timer = setTimeout(() => void reader?.cancel().catch(() => {}), QUIET);
        try {
            return await reader?.read();
        } finally {
            clearTimeout(timer);
        }
    };
    let text = "";
    for (let part = await next(); part && !part.done; part = await next()) {
        text += part.value;
        const blocks = text.split(/\r?\n\r?\n/);
        text = blocks.pop() ?? "";
        for (const block of blocks) {
            const data = block
                .split(/\r?\n/)
                .filter((line) => line.startsWith("data:"))
                .map((line) => line.slice(5))
                .join("\n");
            if (data) yield JSON.parse(data) as Step;
        }
    }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const stop = () => {
            clearTimeout(timer);
            reject(signal.reason);
        };
        const timer = setTimeout(() => {
            signal.removeEventListener("abort", stop);
            resolve();
        }, milliseconds);
        signal.addEventListener("abort", stop, { once: true });
    });
}
