// The short words about what just happened, where they are seen, and said to screen readers.

import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { Button } from "./basics";
import { told } from "./tell";

export function Toasts() {
    const shown = useSyncExternalStore(told.subscribe, told.all);
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
                            onClick={() => told.dismiss(toast.id)}
                        />
                    </div>
                ))}
            </div>
        </div>
    );
}
