// One policy: its rules, whom it governs, what it did, its versions.

import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { Page, Status, When } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { Parts } from "../../ui/parts";
import { TYPES } from "../policies";
import { Assignments } from "./assignments";
import { Edit } from "./edit";
import { Evaluations } from "./evaluations";
import { Versions } from "./versions";

const TABS = [
    ["rules", "Rules"],
    ["assignments", "Assignments"],
    ["evaluations", "Evaluations"],
    ["versions", "Versions"],
] as const;

export function PolicyPage() {
    const { id } = useParams({ strict: false }) as { id: string };
    const { tab = "rules" } = useSearch({ strict: false }) as { tab?: string };
    const may = useMay();
    const policy = useQuery({
        queryKey: ["policy", id],
        queryFn: () => read(api.GET("/api/v1/policies/{policy_id}", { params: { path: { policy_id: Number(id) } } })),
    });
    const isActive = policy.data?.is_active ?? true;
    return (
        <Page
            title={policy.data?.name ?? "Policy"}
            lead={policy.data?.description}
            crumbs={<Link to="/policies">Policies</Link>}
            actions={
                <>
                    {may("audit.read") && (
                        <Link className="button" to="/audit" search={{ kind: "policy", target: id }}>
                            Change history
                        </Link>
                    )}
                    {policy.data && may("policy.write") && (
                        <Link
                            className="button"
                            to="/simulate"
                            search={{
                                [isActive ? "without" : "with"]: id,
                                source: policy.data.assignments
                                    .map((each) => each.data_source_id ?? each.dataset_source_id)
                                    .find((source) => source != null)
                                    ?.toString(),
                            }}
                        >
                            {isActive ? "Preview without it" : "Preview its effect"}
                        </Link>
                    )}
                </>
            }
        >
            <Loaded query={policy}>
                {(data) => (
                    <>
                        <div className="row">
                            <Status value={data.is_active ? "active" : "inactive"} />
                            <span className="badge accent">{TYPES[data.type].name}</span>
                            <span className="soft small">
                                Version {data.version}, changed <When at={data.updated_at} />
                            </span>
                        </div>
                        <Parts at={{ to: "/policies/$id", params: { id } }} of={TABS} open={tab} />
                        {tab === "rules" && (
                            <div style={{ maxWidth: 760 }}>
                                <Edit key={data.version} policy={data} />
                            </div>
                        )}
                        {tab === "assignments" && <Assignments id={id} />}
                        {tab === "evaluations" && <Evaluations id={id} />}
                        {tab === "versions" && <Versions id={id} now={data.version} />}
                    </>
                )}
            </Loaded>
        </Page>
    );
}
