// Rules checked while they are typed, by the server and the same code that will write them into queries.

import { useQueries, useQuery } from "@tanstack/react-query";
import { CheckCircle2, LoaderCircle } from "lucide-react";
import { useDeferredValue, useEffect, useMemo, useState } from "react";
import { ApiError, api, read } from "../../api/client";
import { usePeople } from "../../choices";
import { useMe } from "../../standing";
import { Note } from "../../ui/basics";
import type { PolicyType } from "../policies";
import type { Rule, Table } from "../rules";

export function useTables(sources: number[]): Table[] {
    const schemas = useQueries({
        queries: sources.slice(0, 8).map((id) => ({
            queryKey: ["schemas", id, "policy"],
            staleTime: 60_000,
            queryFn: () =>
                read(
                    api.GET("/api/v1/data-sources/{data_source_id}/schemas", {
                        params: { path: { data_source_id: id }, query: { page_size: 200 } },
                    }),
                ),
        })),
        combine: (results) => results.flatMap((result) => result.data?.schemas ?? []),
    });
    return useMemo(
        () =>
            schemas.flatMap((schema) =>
                schema.tables.map((table) => ({
                    name: table.table_name,
                    columns: (table.columns ?? []).map((column) => ({
                        name: column.column_name,
                        type: column.column_type,
                    })),
                })),
            ),
        [schemas],
    );
}

/** Asks the server what these rules would do, which also says what is wrong with them. */
export function useCheck(type: PolicyType, rules: Rule[], sources: number[], ready: boolean, roleIds: number[]) {
    const me = useMe();
    // Shown for somebody whom it would govern, where there is one.
    const people = usePeople();
    const text = useDeferredValue(JSON.stringify(rules));
    const [settled, setSettled] = useState(text);
    useEffect(() => {
        const timer = setTimeout(() => setSettled(text), 450);
        return () => clearTimeout(timer);
    }, [text]);
    // What was said of other rules is not said of these.
    const isBehind = settled !== JSON.stringify(rules);
    const governed = people.data?.users.find((person) => person.role_id != null && roleIds.includes(person.role_id));
    const id = governed?.id ?? me.data?.user.id;
    const check = useQuery({
        queryKey: ["check", type, settled, sources[0], id],
        enabled: Boolean(ready && !isBehind && id && sources[0]),
        retry: false,
        queryFn: () =>
            read(
                api.POST("/api/v1/policies/simulate", {
                    body: {
                        user_id: id ?? 0,
                        data_source_id: sources[0] ?? 0,
                        changes: {
                            drafts: [
                                {
                                    name: "draft",
                                    type,
                                    rules: (JSON.parse(settled) as Rule[]).map((rule) => ({
                                        ...rule,
                                        rule_name: rule.rule_name || "rule",
                                    })) as never,
                                },
                            ],
                        },
                    },
                }),
            ),
    });
    return { ...check, type, isBehind, whom: governed ? governed.display_name || governed.email : "you" };
}

export function isReady(type: PolicyType, rules: Rule[]): boolean {
    return rules.every(({ rule_config: config }) =>
        type === "row_level_security"
            ? Boolean(config.condition)
            : type === "data_masking"
              ? Boolean(config.column || config.tag)
              : type === "query_limit"
                ? Object.keys(config).length > 0
                : true,
    );
}

export function Checked({
    check,
    ready,
    sources,
}: {
    check: ReturnType<typeof useCheck>;
    ready: boolean;
    sources: number[];
}) {
    if (!ready) return null;
    if (sources.length === 0)
        return <p className="small soft">Choose a source to check the rules against its tables.</p>;
    if (check.isFetching || check.isBehind)
        return (
            <p className="row small soft">
                <LoaderCircle size={15} className="spin" aria-hidden />
                Checking…
            </p>
        );
    if (check.error) {
        const details = check.error instanceof ApiError ? check.error.details : [];
        return (
            <Note tone="bad">
                {details.length > 0 ? (
                    <ul>
                        {details.map((detail) => (
                            <li key={detail.field + detail.reason}>{detail.reason}</li>
                        ))}
                    </ul>
                ) : (
                    check.error.message
                )}
            </Note>
        );
    }
    if (!check.data) return null;
    // What cannot be applied closes the table. Of access alone that is meant.
    const closed =
        check.type === "access_control"
            ? []
            : check.data.tables.filter((table) => table.before.allowed && !table.after.allowed);
    if (closed.length > 0)
        return (
            <Note tone="bad">
                <ul>
                    {closed.map(({ table, after }) => (
                        <li key={table}>
                            <code>{table}</code>: {after.denied_because}
                        </li>
                    ))}
                </ul>
            </Note>
        );
    if (!check.data.tables.some((table) => table.changed))
        return (
            <Note tone="warn">
                This changes nothing for {check.whom}: no known table matches, or other policies already hide the same
                data.
            </Note>
        );
    const touched = check.data.tables.flatMap((table) => [
        ...table.after.row_filters.map((filter) => `${table.table}: ${filter.in_words}`),
        ...table.after.masked_columns.map((mask) => `${table.table}.${mask.column}: ${mask.in_words}`),
        ...(table.after.allowed ? [] : [`${table.table}: closed`]),
        ...table.after.hidden_columns.map((hidden) => `${table.table}.${hidden.column}: hidden`),
    ]);
    return (
        <div className="row small" style={{ alignItems: "flex-start", color: "var(--good)" }} role="status">
            <CheckCircle2 size={16} aria-hidden style={{ marginTop: 2 }} />
            <div className="grow">
                <b>These rules can be applied.</b>
                {touched.length > 0 && <> For {check.whom}:</>}
                {touched.length > 0 && (
                    <ul className="soft">
                        {touched.slice(0, 5).map((line) => (
                            <li key={line}>{line}</li>
                        ))}
                    </ul>
                )}
            </div>
        </div>
    );
}
