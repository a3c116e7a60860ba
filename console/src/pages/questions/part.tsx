// What the pages about questions share: the tabs around them, the names of sources, a number with what it is of.

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useSources } from "../../choices";
import { useMay } from "../../standing";
import { Badge, Page, showActive } from "../../ui/basics";

/** The parts of this place, each with an address. */
export function QuestionsPart({
    lead,
    actions,
    children,
}: {
    lead?: string;
    actions?: ReactNode;
    children: ReactNode;
}) {
    const may = useMay();
    return (
        <Page title="Questions" lead={lead} actions={actions}>
            <nav className="tabs" ref={showActive} aria-label="Parts">
                {[
                    ["/questions", "Saved"],
                    ["/questions/schedules", "Schedules"],
                    ["/questions/templates", "Templates"],
                    ["/questions/words", "Glossary"],
                    ["/questions/meaning", "Semantic layer"],
                    may("prompt.write") && ["/questions/verified", "Verified answers"],
                    ["/questions/numbers", "Usage"],
                ].map(
                    (part) =>
                        part && (
                            <Link
                                key={part[0]}
                                to={part[0]}
                                activeOptions={{ exact: true }}
                                activeProps={{ className: "active", "aria-current": "page" }}
                            >
                                {part[1]}
                            </Link>
                        ),
                )}
            </nav>
            {children}
        </Page>
    );
}

export function SourceNames({ ids }: { ids: number[] }) {
    const sources = useSources();
    return (
        <span className="row">
            {ids.map((id) => (
                <Badge key={id}>{sources.data?.items.find((source) => source.id === id)?.name ?? `Source ${id}`}</Badge>
            ))}
        </span>
    );
}

export const Figure = ({ of, value }: { of: string; value: string }) => (
    <div className="card stat">
        <b>{value}</b>
        <span>{of}</span>
    </div>
);
