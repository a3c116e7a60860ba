// The devices that are trusted: one's own, or those of a member that the organization trusts.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Smartphone } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Card, When } from "../../ui/basics";
import { Pager } from "../../ui/list";
import { Rows } from "../../ui/loaded";

/** Devices on one page. */
const SIZE = 20;

export function Devices({
    of,
    none,
    mayForget = true,
}: {
    /** Whose, where they are not one's own. */
    of?: { organization_id: number; user_id: number };
    /** What stands there when there are none. */
    none: string;
    mayForget?: boolean;
}) {
    const [page, setPage] = useState(1);
    const devices = useQuery({
        queryKey: ["devices", of?.user_id, page],
        placeholderData: keepPreviousData,
        queryFn: () =>
            read(
                api.GET("/api/v1/devices/", {
                    params: { query: { ...of, skip: (page - 1) * SIZE, limit: SIZE } },
                }),
            ),
    });
    const forget = useAction(
        (id: number) => read(api.DELETE("/api/v1/devices/{device_id}", { params: { path: { device_id: id } } })),
        { done: "No longer trusted.", changes: [["devices"], ["sessions"]] },
    );
    return (
        <Card title="Trusted devices" flush>
            <Rows query={devices} items={(data) => data.devices} none={none}>
                {(each) => (
                    <li key={each.id}>
                        <Smartphone size={17} aria-hidden />
                        <span className="grow">
                            <b className="strong">{each.device_name}</b>
                            <br />
                            <span className="small soft">
                                Until <When at={each.trusted_until} />, used <When at={each.last_used_at} />
                            </span>
                        </span>
                        {mayForget && (
                            <ActionButton small kind="danger" action={forget} on={each.id}>
                                Forget
                            </ActionButton>
                        )}
                    </li>
                )}
            </Rows>
            <Pager name="devices" page={page} size={SIZE} total={devices.data?.total_count ?? 0} onPage={setPage} />
        </Card>
    );
}
