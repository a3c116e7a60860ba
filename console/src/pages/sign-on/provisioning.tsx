// Provisioning: the provider pushes people and groups (SCIM 2.0).

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, type Schemas, api, read } from "../../api/client";
import { useRoles } from "../../choices";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import {
    Card,
    Copyable,
    Empty,
    Facts,
    Filter,
    Note,
    Page,
    Problem,
    SelectField,
    Skeleton,
    Status,
    When,
} from "../../ui/basics";
import { RolesByGroups } from "./mapping";
import { ProvisioningState } from "./provisioning-state";

export function Scim() {
    const may = useMay();
    const roles = useRoles();
    const providers = useQuery({
        queryKey: ["providers", "all"],
        queryFn: () => read(api.GET("/api/v1/sso/providers", { params: { query: { limit: 100 } } })),
    });
    const [chosen, setChosen] = useState("");
    const provider = Number(chosen || providers.data?.providers[0]?.id || 0);
    const scim = useQuery({
        queryKey: ["scim", provider],
        enabled: provider > 0,
        retry: false,
        // A reconciliation that has begun ends by itself.
        refetchInterval: (query) => (query.state.data?.status.last_sync?.status === "in_progress" ? 2000 : false),
        queryFn: () => read(api.GET("/api/v1/sso/scim/config", { params: { query: { provider_id: provider } } })),
    });
    const isOff = scim.error instanceof ApiError && scim.error.code === "SCIM_NOT_CONFIGURED";
    const [token, setToken] = useState<string>();
    const [days, setDays] = useState("");
    const lifetime = days ? Number(days) : undefined;
    const queries = useQueryClient();
    /** A request that says nothing of it switches it on: another change leaves it as it is. */
    const change = async (body: Omit<Schemas["ConfigureScimRequest"], "provider_id">) => {
        const enabled = scim.data?.config.enabled;
        const answer = await read(
            api.POST("/api/v1/sso/scim/config", { body: { provider_id: provider, enabled, ...body } }),
        );
        if (answer.bearer_token) setToken(answer.bearer_token);
    };
    const changes = [["scim", provider]];
    const configure = useAction(
        (body: {
            enabled?: boolean;
            rotate_token?: boolean;
            overlap_hours?: number;
            expires_in_days?: number;
            default_role_id?: number | null;
        }) => change(body),
        { done: "Saved.", changes },
    );
    return (
        <Page
            title="Provisioning"
            lead="Your identity provider creates and removes people and groups here automatically (SCIM 2.0)."
            narrow
        >
            {providers.error ? (
                <Problem error={providers.error} retry={() => providers.refetch()} />
            ) : providers.data?.providers.length === 0 ? (
                <div className="card">
                    <Empty
                        title="Connect an identity provider first"
                        actions={
                            <Link className="button primary" to="/sso">
                                Single sign-on
                            </Link>
                        }
                    />
                </div>
            ) : (
                <>
                    {(providers.data?.providers.length ?? 0) > 1 && (
                        <SelectField
                            label="Provider"
                            value={String(provider)}
                            onValue={setChosen}
                            options={(providers.data?.providers ?? []).map(
                                (each) => [String(each.id), each.name] as const,
                            )}
                        />
                    )}
                    {token && (
                        <Note tone="good">
                            <div className="stack tight">
                                <b>Bearer token. It is shown only once.</b>
                                <Copyable text={token} label="token" />
                            </div>
                        </Note>
                    )}
                    {scim.error && !isOff ? (
                        <Problem error={scim.error} retry={() => scim.refetch()} />
                    ) : isOff ? (
                        <Card title="Set up SCIM">
                            <div className="stack">
                                <p className="soft">You get a base URL and a token to enter at your provider.</p>
                                <div>
                                    <ActionButton kind="primary" action={configure} on={{ enabled: true }}>
                                        Switch on
                                    </ActionButton>
                                </div>
                            </div>
                        </Card>
                    ) : !scim.data ? (
                        <Skeleton />
                    ) : (
                        <>
                            <Card
                                title="Enter at your provider"
                                actions={<Status value={scim.data.config.enabled ? "active" : "inactive"} />}
                            >
                                <div className="stack">
                                    <div className="stack tight" style={{ gap: 4 }}>
                                        <span className="label">Base URL</span>
                                        <Copyable text={scim.data.config.base_url} label="address" />
                                    </div>
                                    <Facts
                                        of={[
                                            [
                                                "Token",
                                                scim.data.config.token_prefix ? (
                                                    <code key="token">{scim.data.config.token_prefix}…</code>
                                                ) : (
                                                    "—"
                                                ),
                                            ],
                                            ["Used", <When key="used" at={scim.data.config.token_last_used_at} />],
                                            [
                                                "Until",
                                                <When key="until" at={scim.data.config.expires_at} never="revoked" />,
                                            ],
                                        ]}
                                    />
                                    <SelectField
                                        label="Role for provisioned people"
                                        disabled={!may("scim.manage") || configure.busy}
                                        value={String(scim.data.config.default_role_id ?? "")}
                                        onValue={(value) =>
                                            configure.start({ default_role_id: value ? Number(value) : null })
                                        }
                                        options={[
                                            ["", "The organization's default"],
                                            ...(roles.data?.roles ?? []).map(
                                                (each) => [String(each.id), each.name] as const,
                                            ),
                                        ]}
                                    />
                                    {may("scim.manage") && (
                                        <div className="form-end">
                                            {scim.data.config.enabled && (
                                                <>
                                                    <Filter
                                                        label="Validity of a new token"
                                                        value={days}
                                                        onValue={setDays}
                                                        options={[
                                                            ["", "Until revoked"],
                                                            ["90", "90 days"],
                                                            ["365", "1 year"],
                                                        ]}
                                                    />
                                                    <ActionButton
                                                        action={configure}
                                                        on={{
                                                            rotate_token: true,
                                                            overlap_hours: 24,
                                                            expires_in_days: lifetime,
                                                        }}
                                                    >
                                                        New token, keep the old one for a day
                                                    </ActionButton>
                                                    <ActionButton
                                                        action={configure}
                                                        on={{ rotate_token: true, expires_in_days: lifetime }}
                                                    >
                                                        Replace the token now
                                                    </ActionButton>
                                                </>
                                            )}
                                            <ActionButton
                                                kind={scim.data.config.enabled ? "danger" : "primary"}
                                                action={configure}
                                                on={{ enabled: !scim.data?.config.enabled }}
                                            >
                                                {scim.data.config.enabled ? "Switch off" : "Switch on"}
                                            </ActionButton>
                                        </div>
                                    )}
                                </div>
                            </Card>
                            {may("scim.manage") && (
                                <RolesByGroups
                                    key={provider}
                                    lead="Pushed groups, by name or external ID."
                                    held={scim.data.config.group_role_mapping}
                                    save={async (next) => {
                                        await change({ group_role_mapping: next });
                                        await queries.refetchQueries({ queryKey: ["scim", provider] });
                                    }}
                                />
                            )}
                            <ProvisioningState provider={provider} state={scim.data.status} />
                        </>
                    )}
                </>
            )}
        </Page>
    );
}
