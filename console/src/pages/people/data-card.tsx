// All that is kept about somebody, as a file.

import { checked, save, send } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Card } from "../../ui/basics";

export function DataCard({
    title,
    text,
    person,
    organization,
    name,
    done,
}: {
    title: string;
    text: string;
    person: number;
    /** Without it, of all organizations: one's own data. */
    organization?: number;
    /** Of the file, without its ending. */
    name: string;
    done: string;
}) {
    const hand = useAction(
        async (format: "json" | "csv") => {
            const of = organization === undefined ? "" : `&organization_id=${organization}`;
            await save(
                await checked(await send(`/api/v1/users/${person}/export?format=${format}${of}`)),
                `${name}.${format === "csv" ? "zip" : "json"}`,
            );
        },
        { done },
    );
    return (
        <Card title={title}>
            <div className="row apart">
                <p className="soft">{text}</p>
                <span className="row">
                    <ActionButton action={hand} on="json">
                        JSON
                    </ActionButton>
                    <ActionButton action={hand} on="csv">
                        CSV
                    </ActionButton>
                </span>
            </div>
        </Card>
    );
}
