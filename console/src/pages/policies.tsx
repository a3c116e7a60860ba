// The policies, and what they did.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { EyeOff, Filter as FilterIcon, Gauge, KeyRound, MoreHorizontal, Plus } from "lucide-react";
import { useState } from "react";
import { api, read } from "../api/client";
import { useMay } from "../standing";
import { ActionButton, useAction } from "../ui/action";
import { Badge, Card, Empty, Filter, Page, Status, When, count } from "../ui/basics";
import { Deletion } from "../ui/confirm";
import { ActionMenu } from "../ui/dialog";
import { List } from "../ui/list";
import { Loaded } from "../ui/loaded";

export const TYPES = {
    row_level_security: { name: "Row filter", text: "Which rows people see", icon: FilterIcon, rule: "filter_rows" },
    data_masking: {
        name: "Mask",
        text: "What is shown instead of sensitive values",
        icon: EyeOff,
        rule: "mask_column",
    },
    query_limit: {
        name: "Query limit",
        text: "How many rows, how long, how often",
        icon: Gauge,
        rule: "limit_query",
    },
    access_control: {
        name: "Access",
        text: "Which tables and columns people can read",
        icon: KeyRound,
        rule: "deny_access",
    },
} as const;
export type PolicyType = keyof typeof TYPES;

export function Policies() {
    const may = useMay();
    const navigate = useNavigate();
    const [type, setType] = useState("");
    const [state, setState] = useState("");
    const [deleting, setDeleting] = useState<{ id: number; name: string }>();
    const isDeleted = state === "deleted";
    const toggle = useAction(
        (policy: { id: number; is_active: boolean }) =>
            read(
                api.PATCH("/api/v1/policies/{policy_id}", {
                    params: { path: { policy_id: policy.id } },
                    body: { is_active: !policy.is_active },
                }),
            ),
        { done: "Changed. It applies from the next query.", changes: [["policies"]] },
    );
    const restore = useAction(
        (id: number) => read(api.POST("/api/v1/policies/{policy_id}/restore", { params: { path: { policy_id: id } } })),
        { done: "Restored.", changes: [["policies"]] },
    );
    return (
        <Page
            title="Policies"
            lead="Applied to every query before it runs. Data without a policy is open to everyone who can query."
            actions={
                <>
                    {may("policy.detokenize") && (
                        <Link className="button" to="/policies/tokens">
                            Reveal tokens
                        </Link>
                    )}
                    <Link className="button" to="/policies/dashboard">
                        Activity
                    </Link>
                    {may("policy.write") && (
                        <Link className="button primary" to="/policies/new">
                            <Plus size={16} />
                            New policy
                        </Link>
                    )}
                </>
            }
        >
            <List
                name="Policies"
                of={["policies", type, state]}
                search="Search policies"
                filters={
                    <>
                        <Filter
                            label="Kind"
                            value={type}
                            onValue={setType}
                            options={[
                                ["", "Any kind"],
                                ...Object.entries(TYPES).map(([key, value]) => [key, value.name] as const),
                            ]}
                        />
                        <Filter
                            label="Status"
                            value={state}
                            onValue={setState}
                            options={[
                                ["", "Any status"],
                                ["active", "Active"],
                                ["inactive", "Inactive"],
                                ["deleted", "Deleted"],
                            ]}
                        />
                    </>
                }
                load={async ({ page, size, search }) => {
                    const answer = await read(
                        api.GET("/api/v1/policies", {
                            params: {
                                query: {
                                    page,
                                    page_size: size,
                                    search: search || undefined,
                                    type: (type || undefined) as PolicyType,
                                    is_active: state === "active" ? true : state === "inactive" ? false : undefined,
                                    deleted: isDeleted || undefined,
                                },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(policy) => policy.id}
                columns={[
                    {
                        head: "Name",
                        cell: (policy) => {
                            const Icon = TYPES[policy.type].icon;
                            return (
                                <div className="row" style={{ flexWrap: "nowrap" }}>
                                    <span className="tile">
                                        <Icon size={16} aria-hidden />
                                    </span>
                                    <div>
                                        {isDeleted ? (
                                            <b className="strong">{policy.name}</b>
                                        ) : (
                                            <Link
                                                className="strong"
                                                to="/policies/$id"
                                                params={{ id: String(policy.id) }}
                                            >
                                                {policy.name}
                                            </Link>
                                        )}
                                        {policy.description && <div className="small soft">{policy.description}</div>}
                                    </div>
                                </div>
                            );
                        },
                    },
                    { head: "Kind", cell: (policy) => TYPES[policy.type].name },
                    {
                        head: "Status",
                        cell: (policy) => (
                            <Status value={isDeleted ? "deleted" : policy.is_active ? "active" : "inactive"} />
                        ),
                    },
                    { head: "Changed", cell: (policy) => <When at={policy.updated_at} /> },
                    may("policy.write") && {
                        head: "",
                        cell: (policy) =>
                            isDeleted ? (
                                <ActionButton small action={restore} on={policy.id}>
                                    Restore
                                </ActionButton>
                            ) : (
                                <ActionMenu
                                    label={`Actions for ${policy.name}`}
                                    busy={toggle.isBusyWith(policy)}
                                    choices={[
                                        {
                                            label: "Open",
                                            run: () =>
                                                void navigate({
                                                    to: "/policies/$id",
                                                    params: { id: String(policy.id) },
                                                }),
                                        },
                                        {
                                            label: policy.is_active ? "Switch off" : "Switch on",
                                            run: () => void toggle.start(policy),
                                        },
                                        may("policy.delete") && {
                                            label: "Delete…",
                                            danger: true,
                                            run: () => setDeleting(policy),
                                        },
                                    ]}
                                >
                                    <MoreHorizontal size={16} />
                                </ActionMenu>
                            ),
                    },
                ]}
                empty={
                    <Empty
                        title={isDeleted ? "No deleted policies" : "No policies yet"}
                        actions={
                            !isDeleted &&
                            may("policy.write") && (
                                <Link className="button primary" to="/policies/new">
                                    New policy
                                </Link>
                            )
                        }
                    >
                        {isDeleted
                            ? "You can restore deleted policies for thirty days."
                            : "Without one, everyone who can query a source sees all of it."}
                    </Empty>
                }
            />
            {deleting && (
                <Deletion
                    of={`“${deleting.name}”`}
                    run={() =>
                        read(
                            api.DELETE("/api/v1/policies/{policy_id}", {
                                params: { path: { policy_id: deleting.id } },
                            }),
                        )
                    }
                    changes={[["policies"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>It stops applying from the next query. You can restore it for thirty days.</p>
                </Deletion>
            )}
        </Page>
    );
}

export function Dashboard() {
    const [days, setDays] = useState("30");
    const dashboard = useQuery({
        queryKey: ["dashboard", days],
        queryFn: () => read(api.GET("/api/v1/policies/dashboard", { params: { query: { days: Number(days) } } })),
    });
    return (
        <Page
            title="Policy activity"
            crumbs={<Link to="/policies">Policies</Link>}
            actions={
                <Filter
                    label="Time"
                    value={days}
                    onValue={setDays}
                    options={[
                        ["1", "Last 24 hours"],
                        ["7", "Last 7 days"],
                        ["30", "Last 30 days"],
                        ["90", "Last 90 days"],
                    ]}
                />
            }
        >
            <Loaded query={dashboard}>
                {(data) => (
                    <div className="halves">
                        {[data.row_level_security, data.data_masking, data.query_limits, data.access_control].map(
                            (type) => {
                                const sum = Math.max(1, type.evaluations.total);
                                return (
                                    <Card
                                        key={type.type}
                                        title={TYPES[type.type].name}
                                        actions={
                                            <Badge tone={type.is_active ? "good" : ""}>
                                                {type.active_policies} of {type.total_policies} active
                                            </Badge>
                                        }
                                    >
                                        <div className="stack tight">
                                            <p className="soft">{TYPES[type.type].text}</p>
                                            <div className="row apart">
                                                <b style={{ fontSize: "1.5rem" }}>{count(type.evaluations.total)}</b>
                                                <span className="soft small">
                                                    {type.evaluations.last_evaluated_at ? (
                                                        <>
                                                            last <When at={type.evaluations.last_evaluated_at} />
                                                        </>
                                                    ) : (
                                                        "not evaluated yet"
                                                    )}
                                                </span>
                                            </div>
                                            {(
                                                [
                                                    ["Allowed", type.evaluations.allowed],
                                                    ["Modified", type.evaluations.modified],
                                                    ["Denied", type.evaluations.denied],
                                                ] as const
                                            ).map(([label, value]) => (
                                                <div key={label}>
                                                    <div className="row apart small">
                                                        <span>{label}</span>
                                                        <span>{count(value)}</span>
                                                    </div>
                                                    <div className="meter" aria-hidden>
                                                        <i
                                                            style={{
                                                                width: `${(value / sum) * 100}%`,
                                                                background:
                                                                    label === "Denied" ? "var(--bad)" : undefined,
                                                            }}
                                                        />
                                                    </div>
                                                </div>
                                            ))}
                                        </div>
                                    </Card>
                                );
                            },
                        )}
                    </div>
                )}
            </Loaded>
        </Page>
    );
}
