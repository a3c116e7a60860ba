// How much an application is used: for whom it can act, and the tokens of each day.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "../../api/client";
import { Card, Facts, When, count } from "../../ui/basics";
import { Chart } from "../../ui/chart";
import { Loaded } from "../../ui/loaded";
import type { Path } from "./secrets";

export function Usage({ path }: { path: Path }) {
    const usage = useQuery({
        queryKey: ["application", path.app_id, "usage"],
        queryFn: () =>
            read(api.GET("/api/v1/organizations/{org_id}/oauth-applications/{app_id}/usage", { params: { path } })),
    });
    return (
        <Card title="Usage">
            <Loaded query={usage} lines={3}>
                {(data) => (
                    <div className="stack">
                        <Facts
                            of={[
                                ["People who gave consent", count(data.people_connected)],
                                [
                                    "Tokens in 30 days",
                                    count(data.tokens_issued.reduce((sum, day) => sum + day.issued, 0)),
                                ],
                                ["Last used", <When key="used" at={data.last_used_at} />],
                            ]}
                        />
                        {data.tokens_issued.length > 1 && (
                            <Chart
                                columns={[
                                    { name: "Day", type: "date", masked: false },
                                    { name: "Tokens", type: "int", masked: false },
                                ]}
                                rows={data.tokens_issued.map((day) => [day.day, day.issued])}
                            />
                        )}
                    </div>
                )}
            </Loaded>
        </Card>
    );
}
