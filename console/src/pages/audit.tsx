// The audit log: who did what, when, from where, to what; filtered by the server, one page after the other.

import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useState } from "react";
import { api, read } from "../api/client";
import { useOrganization } from "../standing";
import { Button, Empty, Page, Problem, SearchBox, Skeleton, Status, When, words } from "../ui/basics";

export function Audit() {
    const organization = useOrganization();
    const [action, setAction] = useState("");
    const [actor, setActor] = useState("");
    const [from, setFrom] = useState("");
    const [to, setTo] = useState("");
    const filters = {
        action: useDeferredValue(action.trim()) || undefined,
        actor_id: Number(useDeferredValue(actor)) || undefined,
        from: from ? new Date(from).toISOString() : undefined,
        to: to ? new Date(`${to}T23:59:59`).toISOString() : undefined,
    };
    const log = useInfiniteQuery({
        queryKey: ["audit", organization, filters],
        initialPageParam: undefined as string | undefined,
        queryFn: ({ pageParam }) =>
            read(
                api.GET("/api/v1/organizations/{org_id}/audit-logs", {
                    params: { path: { org_id: organization }, query: { ...filters, cursor: pageParam, limit: 50 } },
                }),
            ),
        getNextPageParam: (last) => last.next_cursor ?? undefined,
    });
    const entries = log.data?.pages.flatMap((page) => page.entries) ?? [];
    return (
        <Page title="Audit log" lead="It can be read and exported, and never changed.">
            <div className="row">
                <SearchBox label="Action, such as policy.create" value={action} onValue={setAction} />
                <input
                    type="text"
                    inputMode="numeric"
                    className="compact"
                    style={{ width: 120, minHeight: 32 }}
                    aria-label="Person's id"
                    placeholder="Person's id"
                    value={actor}
                    onChange={(event) => setActor(event.target.value)}
                />
                <label className="row small soft">
                    From{" "}
                    <input
                        type="date"
                        className="compact"
                        style={{ width: "auto", minHeight: 32 }}
                        value={from}
                        onChange={(event) => setFrom(event.target.value)}
                    />
                </label>
                <label className="row small soft">
                    to{" "}
                    <input
                        type="date"
                        className="compact"
                        style={{ width: "auto", minHeight: 32 }}
                        value={to}
                        onChange={(event) => setTo(event.target.value)}
                    />
                </label>
            </div>
            {log.error ? (
                <Problem error={log.error} retry={() => log.refetch()} />
            ) : (
                <div className="table-wrap" tabIndex={0} role="region" aria-label="Audit log">
                    {!log.data ? (
                        <div style={{ padding: 18 }}>
                            <Skeleton lines={8} />
                        </div>
                    ) : entries.length === 0 ? (
                        <Empty title="Nothing fits" />
                    ) : (
                        <table>
                            <thead>
                                <tr>
                                    <th scope="col">When</th>
                                    <th scope="col">Action</th>
                                    <th scope="col">Outcome</th>
                                    <th scope="col">By</th>
                                    <th scope="col">On</th>
                                    <th scope="col">From</th>
                                    <th scope="col">Details</th>
                                </tr>
                            </thead>
                            <tbody>
                                {entries.map((entry) => (
                                    <tr key={entry.id}>
                                        <td>
                                            <When at={entry.at} />
                                        </td>
                                        <td>
                                            <code>{entry.action}</code>
                                        </td>
                                        <td>
                                            <Status value={entry.outcome} />
                                        </td>
                                        <td>
                                            {entry.actor_id && entry.actor_type === "user" ? (
                                                <Link to="/people/$id" params={{ id: String(entry.actor_id) }}>
                                                    Person {entry.actor_id}
                                                </Link>
                                            ) : (
                                                words(entry.actor_type)
                                            )}
                                        </td>
                                        <td className="nowrap">
                                            {entry.target_type
                                                ? `${words(entry.target_type)} ${entry.target_id ?? ""}`
                                                : "—"}
                                        </td>
                                        <td className="small soft">{entry.ip ?? "—"}</td>
                                        <td className="small soft break" style={{ maxWidth: 340 }}>
                                            {Object.entries((entry.details ?? {}) as Record<string, unknown>)
                                                .map(
                                                    ([key, value]) =>
                                                        `${key}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`,
                                                )
                                                .join(", ")
                                                .slice(0, 220) || "—"}
                                        </td>
                                    </tr>
                                ))}
                            </tbody>
                        </table>
                    )}
                </div>
            )}
            {log.hasNextPage && (
                <div>
                    <Button busy={log.isFetchingNextPage} onClick={() => log.fetchNextPage()}>
                        Older
                    </Button>
                </div>
            )}
        </Page>
    );
}
