// A link to the file behind a source, for whoever may read all of it.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Copyable, Problem, When } from "../../ui/basics";

export function FileLink({ source }: { source: number }) {
    const [link, setLink] = useState<Schemas["FileLink"]>();
    const make = useAction(
        () =>
            read(
                api.GET("/api/v1/data-sources/{data_source_id}/file-url", {
                    params: { path: { data_source_id: source } },
                }),
            ),
        { inline: true, onDone: setLink, changes: [["links"]] },
    );
    if (link)
        return (
            <div className="stack tight">
                <Copyable text={link.url} label="link" />
                <p className="small soft">
                    Valid until <When at={link.expires_at} />
                    for anyone who has it. Revoke it under Files, Links.
                </p>
            </div>
        );
    return (
        <div className="stack tight">
            {make.error !== undefined && <Problem error={make.error} />}
            <div>
                <ActionButton small action={make} on={undefined}>
                    Create a link to its file
                </ActionButton>
            </div>
        </div>
    );
}
