// One source: its tables, what its columns hold, how it is doing, what changed in it, and its settings.

import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { RefreshCw } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay } from "../../standing";
import { useAction } from "../../ui/action";
import { Badge, Button, Note, Page, Status } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Parts } from "../../ui/parts";
import { Changes } from "./changes";
import { Health } from "./health";
import { titles } from "./names";
import { Settings } from "./settings";
import { Tables } from "./tables";
import { ColumnTags } from "./tags";
import { TestOutcome } from "./test-outcome";

const TABS = [
    ["tables", "Tables"],
    ["tags", "Tags"],
    ["health", "Health"],
    ["changes", "Changes"],
    ["settings", "Settings"],
] as const;

export function Source() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "tables" } = useSearch({ strict: false }) as { tab?: string };
    const may = useMay();
    const path = { data_source_id: Number(id) };
    const source = useQuery({
        queryKey: ["source", id],
        queryFn: () => read(api.GET("/api/v1/data-sources/{data_source_id}", { params: { path } })),
        // A new source is tested and discovered behind the page.
        refetchInterval: (query) =>
            query.state.data &&
            (query.state.data.status === "testing" ||
                (query.state.data.status === "active" && !query.state.data.schema_discovered_at))
                ? 1000
                : false,
    });
    const test = useAction(
        () => read(api.POST("/api/v1/data-sources/{data_source_id}/test", { params: { path }, body: {} })),
        { changes: [["source", id], ["health", id], ["sources"]] },
    );
    const [outcome, setOutcome] = useState<Schemas["TestAnswer"]>();
    const data = source.data;
    return (
        <Page
            title={data?.name ?? "Source"}
            lead={data?.description}
            crumbs={<Link to="/sources">Sources</Link>}
            actions={
                data && (
                    <>
                        {may("datasource.write") && (
                            <Button
                                busy={test.busy}
                                icon={<RefreshCw size={15} />}
                                onClick={async () => setOutcome(await test.start(undefined))}
                            >
                                Test
                            </Button>
                        )}
                        <Link className="button primary" to="/ask" search={{ sources: id }}>
                            Ask
                        </Link>
                    </>
                )
            }
        >
            <Loaded query={source}>
                {(loaded) => (
                    <>
                        <div className="row">
                            <Status value={loaded.status} />
                            <Badge>{titles[loaded.type] ?? loaded.type}</Badge>
                            {loaded.sql_name && (
                                <Badge>
                                    In SQL: <code>{loaded.sql_name}</code>
                                </Badge>
                            )}
                            {loaded.tags.map((tag) => (
                                <Badge key={String(tag)}>{String(tag)}</Badge>
                            ))}
                        </div>
                        {outcome ? (
                            <TestOutcome outcome={outcome} />
                        ) : (
                            loaded.failure_reason && <Note tone="bad">{loaded.failure_reason}</Note>
                        )}
                        <Parts
                            at={{ to: "/sources/$id", params: { id } }}
                            of={TABS.filter(
                                ([key]) =>
                                    (key !== "settings" || may("datasource.write")) &&
                                    (key !== "tags" || may("policy.read")),
                            )}
                            open={tab}
                        />
                        {tab === "tables" && (
                            <Tables
                                id={id}
                                discovering={
                                    loaded.status === "testing" ||
                                    (loaded.status === "active" && !loaded.schema_discovered_at)
                                }
                            />
                        )}
                        {tab === "tags" && <ColumnTags id={id} />}
                        {tab === "health" && <Health id={id} />}
                        {tab === "changes" && <Changes id={id} />}
                        {tab === "settings" && <Settings source={loaded} />}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
