// Short words about what just happened; those of an error stay until they are taken away.

import { ApiError } from "../api/client";

export type Told = { id: number; text: string; requestId?: string; bad: boolean };

let all: Told[] = [];
let last = 0;
const listeners = new Set<() => void>();

function change(next: Told[]) {
    all = next;
    for (const listener of listeners) listener();
}

export const told = {
    all: () => all,
    dismiss: (id: number) => change(all.filter((each) => each.id !== id)),
    subscribe(listener: () => void) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
    },
};

export function tell(text: string) {
    const id = ++last;
    change([...all.slice(-3), { id, text, bad: false }]);
    setTimeout(() => told.dismiss(id), 6000);
}

export function tellError(error: unknown) {
    const requestId = error instanceof ApiError ? error.requestId : undefined;
    const reasons = error instanceof ApiError ? error.details.map((detail) => `${detail.field}: ${detail.reason}`) : [];
    const text = [error instanceof Error ? error.message : "Something went wrong.", ...reasons].join(" ");
    change([...all.slice(-3), { id: ++last, text, requestId, bad: true }]);
}
