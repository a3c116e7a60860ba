// The applications that one has let in, and the end of that.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { CheckIcon } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { Button, Card, Empty, When } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { Pager } from "../../ui/list";
import { Loaded } from "../../ui/loaded";
import { MyPage } from "./my-page";

/** Applications on one page. */
const SIZE = 20;

export function ConnectedApplications() {
    const [ending, setEnding] = useState<Schemas["ConnectedApplication"]>();
    const [page, setPage] = useState(1);
    const applications = useQuery({
        queryKey: ["connected", page],
        placeholderData: keepPreviousData,
        queryFn: () =>
            read(api.GET("/api/v1/oauth/connected-applications", { params: { query: { page, page_size: SIZE } } })),
    });
    return (
        <MyPage
            title="Connected applications"
            lead="Programs you allowed to act for you, within what you are allowed to do."
        >
            <Loaded query={applications}>
                {(data) =>
                    data.applications.length === 0 ? (
                        <div className="card">
                            <Empty title="No connected applications yet">
                                Programs you sign in to with RiverGen appear here.
                            </Empty>
                        </div>
                    ) : (
                        data.applications.map((each) => (
                            <Card
                                key={each.id}
                                title={each.name}
                                actions={
                                    <Button small kind="danger" onClick={() => setEnding(each)}>
                                        Disconnect…
                                    </Button>
                                }
                            >
                                <div className="stack tight">
                                    {each.description && <p>{each.description}</p>}
                                    <ul className="stack tight">
                                        {each.sentences.map((sentence) => (
                                            <li key={sentence} className="row" style={{ flexWrap: "nowrap" }}>
                                                <CheckIcon size={15} aria-hidden style={{ flex: "none" }} />
                                                {sentence}
                                            </li>
                                        ))}
                                    </ul>
                                    <p className="small soft">
                                        In {each.organization_name}, since <When at={each.connected_at} />
                                        {each.updated_at !== each.connected_at && (
                                            <>
                                                ; you allowed more <When at={each.updated_at} />
                                            </>
                                        )}
                                    </p>
                                </div>
                            </Card>
                        ))
                    )
                }
            </Loaded>
            <Pager name="applications" page={page} size={SIZE} total={applications.data?.total ?? 0} onPage={setPage} />
            {ending && (
                <Confirm
                    title={`Disconnect ${ending.name}?`}
                    action="Disconnect"
                    run={() =>
                        read(
                            api.DELETE("/api/v1/oauth/connected-applications/{app_id}", {
                                params: { path: { app_id: ending.id } },
                            }),
                        )
                    }
                    changes={[["connected"]]}
                    onClose={() => setEnding(undefined)}
                >
                    <p>Its access to your account ends immediately. You can allow it again later.</p>
                </Confirm>
            )}
        </MyPage>
    );
}
