// What the assistant is made of.

import { CheckCircle2 } from "lucide-react";
import type { ReactNode } from "react";
import { Card, Copyable } from "../../ui/basics";

/** One step of the assistant, with its number. */
export function Step({
    number,
    title,
    done,
    children,
}: {
    number: number;
    title: string;
    done?: boolean;
    children: ReactNode;
}) {
    return (
        <Card
            title={
                <span className="row">
                    {done ? (
                        <CheckCircle2 size={18} style={{ color: "var(--good)" }} aria-label="Done" />
                    ) : (
                        <span className="badge accent">{number}</span>
                    )}
                    {title}
                </span>
            }
        >
            <div className="stack">{children}</div>
        </Card>
    );
}

/** A value for a field of the provider's own pages. */
export function ToPaste({ field, value }: { field: string; value: string }) {
    return (
        <div className="stack tight" style={{ gap: 4 }}>
            <span className="label">{field}</span>
            <Copyable text={value} label={field} />
        </div>
    );
}
