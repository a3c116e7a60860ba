// The picture of an application, which people see when it asks.

import { api, read } from "../../api/client";
import { useAction } from "../../ui/action";
import { Card } from "../../ui/basics";
import { Picture, asPicture } from "../../ui/picture";
import type { Path } from "./secrets";

export function Logo({ path, logo }: { path: Path; logo: string | null | undefined }) {
    const set = useAction(
        async (file: File | null) =>
            read(
                api.PATCH("/api/v1/organizations/{org_id}/oauth-applications/{app_id}", {
                    params: { path },
                    body: { logo: file && (await asPicture(file)) },
                }),
            ),
        {
            done: ({ logo: now }) => (now ? "Picture saved." : "Picture removed."),
            changes: [["application"]],
            inline: true,
        },
    );
    return (
        <Card title="Picture">
            <Picture
                picture={logo}
                kinds={["image/png", "image/jpeg", "image/webp", "image/gif"]}
                hint="PNG, JPEG, WebP or GIF, up to 64 KiB. Shown when it asks for consent."
                field="logo"
                set={set}
            />
        </Card>
    );
}
