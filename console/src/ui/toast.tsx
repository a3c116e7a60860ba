// Short words about what just happened; said to screen readers, gone by themselves unless they tell of an error.

import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { ApiError } from "../api/client";
import { Button } from "./basics";

type Toast = { id: number; text: string; requestId?: string; bad: boolean };
let toasts: Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function change(next: Toast[]) {
    toasts = next;
    for (const listener of listeners) listener();
}
const dismiss = (id: number) => change(toasts.filter((toast) => toast.id !== id));

export function tell(text: string) {
    const id = ++last;
    change([...toasts.slice(-3), { id, text, bad: false }]);
    setTimeout(() => dismiss(id), 6000);
}

export function tellError(error: unknown) {
    const requestId = error instanceof ApiError ? error.requestId : undefined;
    const reasons = error instanceof ApiError ? error.details.map((detail) => `${detail.field}: ${detail.reason}`) : [];
    const text = [error instanceof Error ? error.message : "Something went wrong.", ...reasons].join(" ");
    change([...toasts.slice(-3), { id: ++last, text, requestId, bad: true }]);
}

export function Toasts() {
    const shown = useSyncExternalStore(
        (listener) => {
            listeners.add(listener);
            return () => void listeners.delete(listener);
        },
        () => toasts,
    );
    return (
        <div className="toasts" role="region" aria-label="Notifications">
            <div aria-live="polite" className="stack tight">
                {shown.map((toast) => (
                    <div key={toast.id} className={`toast ${toast.bad ? "bad" : ""}`}>
                        <p>
                            {toast.text}
                            {toast.requestId && (
                                <>
                                    <br />
                                    <span className="soft small">
                                        Request <code>{toast.requestId}</code>
                                    </span>
                                </>
                            )}
                        </p>
                        <Button
                            kind="quiet"
                            small
                            icon={<X size={15} />}
                            aria-label="Dismiss"
                            onClick={() => dismiss(toast.id)}
                        />
                    </div>
                ))}
            </div>
        </div>
    );
}
