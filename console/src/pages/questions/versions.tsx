// What a saved question was before: each version with what it changed, and the way back to it.

import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Empty, When, words } from "../../ui/basics";
import { List } from "../../ui/list";
import { changes } from "./keeping";

/** A value of a field, in a line. */
function told(value: unknown): string {
    if (value == null) return "nothing";
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export function Versions({ id, latest }: { id: number; latest: string }) {
    const may = useMay();
    const restore = useAction(
        (version: number) =>
            read(
                api.POST("/api/v1/prompts/{prompt_id}/versions/{version}/restore", {
                    params: { path: { prompt_id: id, version } },
                }),
            ),
        { done: "This version is current again.", changes },
    );
    return (
        <List
            name="Versions"
            of={["prompt", id, "versions", latest]}
            size={10}
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/prompts/{prompt_id}/versions", {
                        params: { path: { prompt_id: id }, query: { page, page_size: size } },
                    }),
                );
                const last = page === 1 ? answer.items[0]?.version : undefined;
                return {
                    items: answer.items.map((each) => ({ ...each, isLast: each.version === last })),
                    total: answer.pagination.total_items,
                };
            }}
            id={(each) => each.version}
            columns={[
                { head: "Version", cell: (each) => each.version, numeric: true },
                { head: "Change", cell: (each) => <Badge>{words(each.change)}</Badge> },
                {
                    head: "Content",
                    className: "break",
                    cell: (each) => (
                        <ul className="small" style={{ minWidth: 180 }}>
                            {each.changes.map((change) => (
                                <li key={change.field}>
                                    <b>{words(change.field)}</b>: <span className="soft">{told(change.before)} →</span>{" "}
                                    {told(change.after)}
                                </li>
                            ))}
                        </ul>
                    ),
                },
                { head: "When", cell: (each) => <When at={each.changed_at} /> },
                may("prompt.write") && {
                    head: "",
                    cell: (each) =>
                        !each.isLast && (
                            <ActionButton
                                small
                                aria-label={`Restore version ${each.version}`}
                                action={restore}
                                on={each.version}
                            >
                                Restore
                            </ActionButton>
                        ),
                },
            ]}
            empty={<Empty title="No versions" />}
        />
    );
}
