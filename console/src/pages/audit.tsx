// The audit log: who did what, when, from where, to what; filtered by the server, one page after the other.

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Link, useLocation, useNavigate, useRouter } from "@tanstack/react-router";
import { Download, X } from "lucide-react";
import { useDeferredValue, useEffect, useRef, useState } from "react";
import { type Schemas, api, checked, read, save, send } from "../api/client";
import { deviceName } from "../device";
import { useMay, useOrganization } from "../standing";
import { ActionButton, useAction } from "../ui/action";
import { Button, Empty, Facts, Filter, Page, Problem, SearchBox, Skeleton, Status, When, words } from "../ui/basics";
import { copy } from "../ui/clipboard";
import { DayField, midnight } from "../ui/day";
import { Dialog } from "../ui/dialog";
import { PersonChoice, PersonName } from "../ui/person-choice";
import { Fields, isBlank, plain } from "../ui/record";

/** What an entry says beside who and what: no braces and quotes, and nothing of what is empty. */
function told(details: unknown): string {
    if (Array.isArray(details)) return details.map(told).join(", ");
    if (details === null || typeof details !== "object") return plain(details);
    return Object.entries(details)
        .filter(([, value]) => !isBlank(value))
        .map(([key, value]) => `${words(key)}: ${told(value)}`)
        .join(" · ");
}

type Chosen = { action?: string; kind?: string; target?: string; person?: string; from?: string; to?: string };

export function Audit() {
    // Whoever goes to another address of this page begins with the filters that stand in it. A change of these replaces the
    // address, which is no going.
    const { history } = useRouter();
    const location = useLocation();
    const [visit, setVisit] = useState({ at: location, number: 0 });
    const isGoing = useRef(false);
    useEffect(
        () =>
            history.subscribe(({ action }) => {
                if (action.type !== "REPLACE") isGoing.current = true;
            }),
        [history],
    );
    useEffect(() => {
        if (!isGoing.current || location.pathname !== visit.at.pathname) return;
        isGoing.current = false;
        setVisit(({ number }) => ({ at: location, number: number + 1 }));
    }, [location, visit.at.pathname]);
    return <Log key={visit.number} first={visit.at.search} />;
}

function Log({ first }: { first: Chosen }) {
    const may = useMay();
    const navigate = useNavigate();
    const organization = useOrganization();
    const [chosen, setChosen] = useState(first);
    const [opened, setOpened] = useState<Schemas["AuditEntry"]>();
    // In the address they outlive a reload, and can be sent to somebody.
    const choose = (change: Chosen) => {
        const next = { ...chosen, ...change };
        setChosen(next);
        void navigate({ to: "/audit", search: next, replace: true });
    };
    const { action = "", kind = "", target = "", person = "", from = "", to = "" } = chosen;
    const filters = {
        action: useDeferredValue(action.trim()) || undefined,
        target_type: kind || undefined,
        // It goes with its kind.
        target: (kind && target) || undefined,
        actor_id: Number(useDeferredValue(person)) || undefined,
        from: midnight(from),
        // It is exclusive.
        to: midnight(to, 1),
    };
    const log = useInfiniteQuery({
        queryKey: ["audit", organization, filters],
        placeholderData: keepPreviousData,
        initialPageParam: undefined as string | undefined,
        queryFn: ({ pageParam }) =>
            read(
                api.GET("/api/v1/organizations/{org_id}/audit-logs", {
                    params: { path: { org_id: organization }, query: { ...filters, cursor: pageParam, limit: 50 } },
                }),
            ),
        getNextPageParam: (last) => last.next_cursor ?? undefined,
    });
    // Of all that the filters leave, not of the pages that were looked at; without filters it can be verified to its end.
    const exported = useAction(
        async () => {
            const given = Object.entries(filters).filter(([, value]) => value !== undefined);
            const asked = new URLSearchParams(given.map(([key, value]) => [key, String(value)]));
            const response = await send(`/api/v1/organizations/${organization}/audit-logs?${asked}`, {
                headers: { accept: "application/x-ndjson" },
            });
            await save(await checked(response), `audit-organization-${organization}.jsonl`);
        },
        { done: "Downloaded. The export is recorded in the audit log." },
    );
    const entries = log.data?.pages.flatMap((page) => page.entries) ?? [];
    // The one that is asked for stands there before the server has told of them.
    const kinds = [...new Set<string>([...(kind ? [kind] : []), ...(log.data?.pages[0]?.target_types ?? [])])];
    return (
        <Page
            title="Audit log"
            lead="Who did what, and when. It can be read and exported, never changed."
            actions={
                <ActionButton icon={<Download size={15} />} action={exported} on={undefined}>
                    Export
                </ActionButton>
            }
        >
            <div className="stack tight">
                <div className="row">
                    <SearchBox
                        label="Action, e.g. policy.create"
                        value={action}
                        onValue={(value) => choose({ action: value })}
                    />
                    <Filter
                        label="Object"
                        value={kind}
                        onValue={(value) => choose({ kind: value, target: "" })}
                        options={[
                            ["", "Any object"],
                            ...kinds
                                .map((each) => [each, words(each)] as const)
                                .sort(([, a], [, b]) => a.localeCompare(b)),
                        ]}
                    />
                    {kind && target && (
                        <button type="button" className="chip" onClick={() => choose({ target: "" })}>
                            <span className="visually-hidden">Remove filter: </span>
                            {words(kind)} {target}
                            <X size={13} aria-hidden />
                        </button>
                    )}
                    {may("user.read") && (
                        <PersonChoice
                            isCompact
                            label="Person"
                            none="Anyone"
                            value={person}
                            onValue={(value) => choose({ person: value })}
                        />
                    )}
                    <DayField label="From" day={from} onDay={(day) => choose({ from: day })} />
                    <DayField label="to" day={to} onDay={(day) => choose({ to: day })} />
                </div>
                {log.error && <Problem error={log.error} retry={() => log.refetch()} />}
                {(!log.error || log.data) && (
                    <div className="table-wrap" tabIndex={0} role="region" aria-label="Audit log">
                        {!log.data ? (
                            <div style={{ padding: 18 }}>
                                <Skeleton lines={8} />
                            </div>
                        ) : entries.length === 0 ? (
                            <Empty title="No matching entries">Try fewer filters or a longer period.</Empty>
                        ) : (
                            <table className="rows" aria-label="Audit log">
                                <thead>
                                    <tr>
                                        <th scope="col">When</th>
                                        <th scope="col">Action</th>
                                        <th scope="col">Outcome</th>
                                        <th scope="col">By</th>
                                        <th scope="col">Object</th>
                                        <th scope="col">Details</th>
                                        <th scope="col">
                                            <span className="visually-hidden">Actions</span>
                                        </th>
                                    </tr>
                                </thead>
                                <tbody>
                                    {entries.map((entry) => (
                                        <tr key={entry.id}>
                                            <td data-label="When">
                                                <When at={entry.at} />
                                            </td>
                                            <td className="title">
                                                <code>{entry.action}</code>
                                            </td>
                                            <td data-label="Outcome">
                                                <Status value={entry.outcome} />
                                            </td>
                                            <td className="nowrap" data-label="By">
                                                {entry.actor_id && entry.actor_type === "user" ? (
                                                    <Link to="/people/$id" params={{ id: String(entry.actor_id) }}>
                                                        <PersonName id={entry.actor_id} />
                                                    </Link>
                                                ) : (
                                                    words(entry.actor_type)
                                                )}
                                                {entry.ip && <div className="small soft">{entry.ip}</div>}
                                            </td>
                                            <td className="nowrap" data-label="Object">
                                                {!entry.target_type ? (
                                                    "—"
                                                ) : !entry.target_id ? (
                                                    words(entry.target_type)
                                                ) : (
                                                    <Link
                                                        to="/audit"
                                                        search={{ kind: entry.target_type, target: entry.target_id }}
                                                        title="Show its full history"
                                                    >
                                                        {words(entry.target_type)} {entry.target_id}
                                                    </Link>
                                                )}
                                            </td>
                                            <td className="small soft" data-label="Details">
                                                <div className="clamp" title={told(entry.details ?? {})}>
                                                    {told(entry.details ?? {}) || "—"}
                                                </div>
                                            </td>
                                            <td className="actions" data-label="">
                                                <Button
                                                    kind="quiet"
                                                    small
                                                    aria-label={`Show all of ${entry.action}`}
                                                    onClick={() => setOpened(entry)}
                                                >
                                                    Show
                                                </Button>
                                            </td>
                                        </tr>
                                    ))}
                                </tbody>
                            </table>
                        )}
                    </div>
                )}
            </div>
            {log.hasNextPage && (
                <div>
                    <Button busy={log.isFetchingNextPage} onClick={() => log.fetchNextPage()}>
                        Older
                    </Button>
                </div>
            )}
            {opened && <Entry of={opened} onClose={() => setOpened(undefined)} />}
        </Page>
    );
}

function Entry({ of: entry, onClose }: { of: Schemas["AuditEntry"]; onClose: () => void }) {
    return (
        <Dialog title={entry.action} onClose={onClose} wide>
            <Facts
                of={[
                    ["When", plain(entry.at)],
                    ["Outcome", <Status key="outcome" value={entry.outcome} />],
                    [
                        "By",
                        entry.actor_id && entry.actor_type === "user" ? (
                            <PersonName key="by" id={entry.actor_id} />
                        ) : (
                            words(entry.actor_type)
                        ),
                    ],
                    entry.ip ? ["IP address", entry.ip] : null,
                    entry.user_agent ? ["Device", deviceName(entry.user_agent)] : null,
                    entry.target_type ? ["Object", `${words(entry.target_type)} ${entry.target_id ?? ""}`] : null,
                    isBlank(entry.details) ? null : ["Details", <Fields key="details" of={entry.details} />],
                ]}
            />
            <div className="form-end">
                <Button onClick={() => void copy(JSON.stringify(entry, null, 2), "Copied as JSON.")}>
                    Copy as JSON
                </Button>
                <Button onClick={onClose}>Close</Button>
            </div>
        </Dialog>
    );
}
