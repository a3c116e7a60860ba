// Accounts at other providers by which one signs in here: connected, and disconnected.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Card } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { CONNECTING } from "../door/arrival";

export function SocialAccounts() {
    const accounts = useQuery({ queryKey: ["social"], queryFn: () => read(api.GET("/api/v1/auth/social-accounts")) });
    const providers = useQuery({
        queryKey: ["providers"],
        queryFn: () => read(api.GET("/api/v1/auth/oauth/providers")),
    });
    const connect = useAction(async (provider: string) => {
        const { oauth_url } = await read(
            api.GET("/api/v1/auth/oauth/{provider}/url", {
                params: { path: { provider }, query: { redirect_to: `${location.origin}/signed-in`, deliver: "code" } },
            }),
        );
        sessionStorage.setItem(CONNECTING, provider);
        location.assign(oauth_url);
    });
    const disconnect = useAction(
        (provider: string) =>
            read(api.DELETE("/api/v1/auth/social-accounts/{provider}", { params: { path: { provider } } })),
        { done: "Disconnected.", changes: [["social"]] },
    );
    const connected = accounts.data?.accounts ?? [];
    const nameOf = (provider: string) =>
        providers.data?.providers.find((each) => each.provider === provider)?.display_name ?? provider;
    const others = (providers.data?.providers ?? []).filter(
        (provider) => !connected.some((each) => each.provider === provider.provider),
    );
    if (accounts.data && connected.length + others.length === 0) return null;
    return (
        <Card title="Connected accounts" flush>
            <ul className="list">
                {accounts.data === undefined && (
                    <li>
                        <div className="grow">
                            <Loaded query={accounts} lines={1}>
                                {() => null}
                            </Loaded>
                        </div>
                    </li>
                )}
                {connected.map((each) => (
                    <li key={each.provider}>
                        <b className="strong grow">{nameOf(each.provider)}</b>
                        <span className="soft small break">{each.email ?? each.display_name}</span>
                        <ActionButton
                            small
                            kind="danger"
                            aria-label={`Disconnect ${nameOf(each.provider)}`}
                            action={disconnect}
                            on={each.provider}
                        >
                            Disconnect
                        </ActionButton>
                    </li>
                ))}
                {accounts.data &&
                    others.map((each) => (
                        <li key={each.provider}>
                            <span className="grow">{each.display_name}</span>
                            <ActionButton
                                small
                                aria-label={`Connect ${each.display_name}`}
                                action={connect}
                                on={each.provider}
                            >
                                Connect
                            </ActionButton>
                        </li>
                    ))}
            </ul>
        </Card>
    );
}
