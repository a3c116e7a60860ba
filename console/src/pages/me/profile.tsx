// One's own profile: name, addresses, organizations, connected accounts, data, and the way out.

import { useQuery } from "@tanstack/react-query";
import { Mail } from "lucide-react";
import { useState } from "react";
import { api, checked, read, save, send } from "../../api/client";
import { queries } from "../../queries";
import { session } from "../../session";
import { useMe } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Card, Problem, TextField, When } from "../../ui/basics";
import { Confirm } from "../../ui/dialog";
import { Loaded } from "../../ui/loaded";
import { NameForm } from "../../ui/naming";
import { tell } from "../../ui/tell";
import { MyPage } from "./my-page";

export function Profile() {
    const me = useMe();
    const [email, setEmail] = useState("");
    const [deleting, setDeleting] = useState(false);
    const [leaving, setLeaving] = useState<{ id: number; name: string }>();
    const [password, setPassword] = useState("");
    const changes = [["me"]];
    const rename = useAction(
        (name: string) => read(api.PUT("/api/v1/auth/me/profile", { body: { display_name: name } })),
        { done: "Saved.", changes, inline: true },
    );
    const add = useAction(
        (makePrimary: boolean) =>
            read(api.POST("/api/v1/auth/me/emails", { body: { email, make_primary: makePrimary } })),
        { done: "A mail is on its way; confirm the address by it.", changes, inline: true, onDone: () => setEmail("") },
    );
    const unlink = useAction(
        (provider: string) =>
            read(api.DELETE("/api/v1/auth/social-accounts/{provider}", { params: { path: { provider } } })),
        { done: "Disconnected.", changes: [["social"]] },
    );
    const social = useQuery({ queryKey: ["social"], queryFn: () => read(api.GET("/api/v1/auth/social-accounts")) });
    const hand = useAction(
        async (format: string) =>
            save(
                await checked(await send(`/api/v1/users/${me.data?.user.id}/export?format=${format}`)),
                `my-data.${format === "csv" ? "zip" : "json"}`,
            ),
        { done: "Downloaded." },
    );
    return (
        <MyPage title="Your account">
            <Loaded query={me}>
                {(data) => (
                    <>
                        <Card title="Name">
                            <NameForm key={data.user.display_name} name={data.user.display_name ?? ""} save={rename} />
                        </Card>
                        <Card title="E-mail addresses" flush>
                            <ul className="list">
                                {data.emails.map((each) => (
                                    <li key={each.email}>
                                        <Mail size={16} aria-hidden />
                                        <span className="grow break">{each.email}</span>
                                        {each.is_primary && <Badge tone="accent">Primary</Badge>}
                                        {each.verified ? (
                                            <Badge tone="good">Verified</Badge>
                                        ) : (
                                            <Badge tone="warn">Not verified</Badge>
                                        )}
                                    </li>
                                ))}
                                <li>
                                    <form
                                        className="row grow"
                                        onSubmit={(event) => {
                                            event.preventDefault();
                                            void add.start(false);
                                        }}
                                    >
                                        <div className="grow">
                                            <input
                                                type="email"
                                                aria-label="Another address"
                                                placeholder="Another address"
                                                required
                                                value={email}
                                                onChange={(event) => setEmail(event.target.value)}
                                            />
                                        </div>
                                        <Button type="submit" busy={add.busy}>
                                            Add
                                        </Button>
                                        <ActionButton disabled={!email} action={add} on={true}>
                                            Add as primary
                                        </ActionButton>
                                    </form>
                                </li>
                            </ul>
                            {add.error !== undefined && (
                                <div style={{ padding: 14 }}>
                                    <Problem error={add.error} />
                                </div>
                            )}
                        </Card>
                        <Card title="Organizations" flush>
                            <ul className="list">
                                {data.organizations.map((each) => (
                                    <li key={each.id}>
                                        <b className="strong grow">{each.name}</b>
                                        <span className="soft small">
                                            since <When at={each.joined_at} />
                                        </span>
                                        <Button small kind="danger" onClick={() => setLeaving(each)}>
                                            Leave…
                                        </Button>
                                    </li>
                                ))}
                                {data.organizations.length === 0 && <li className="soft">None yet.</li>}
                            </ul>
                        </Card>
                        {social.error && <Problem error={social.error} retry={() => social.refetch()} />}
                        {(social.data?.accounts?.length ?? 0) > 0 && (
                            <Card title="Connected accounts" flush>
                                <ul className="list">
                                    {social.data?.accounts.map((each) => (
                                        <li key={each.provider}>
                                            <b className="strong grow">{each.display_name ?? each.provider}</b>
                                            <span className="soft small">{each.email}</span>
                                            <ActionButton small kind="danger" action={unlink} on={each.provider}>
                                                Disconnect
                                            </ActionButton>
                                        </li>
                                    ))}
                                </ul>
                            </Card>
                        )}
                        <Card title="Your data">
                            <div className="row apart">
                                <p className="soft">Everything that is kept about you.</p>
                                <span className="row">
                                    <ActionButton action={hand} on="json">
                                        JSON
                                    </ActionButton>
                                    <ActionButton action={hand} on="csv">
                                        CSV
                                    </ActionButton>
                                </span>
                            </div>
                        </Card>
                        <Card title="Close the account">
                            <div className="row apart">
                                <p className="soft">It closes at once, and is deleted after thirty days.</p>
                                <Button kind="danger" onClick={() => setDeleting(true)}>
                                    Close…
                                </Button>
                            </div>
                        </Card>
                        {leaving && (
                            <Confirm
                                title={`Leave ${leaving.name}?`}
                                action="Leave"
                                onClose={() => setLeaving(undefined)}
                                onConfirm={async () => {
                                    await read(
                                        api.POST("/api/v1/organizations/{org_id}/leave", {
                                            params: { path: { org_id: leaving.id } },
                                        }),
                                    );
                                    tell("You have left.");
                                    await queries.invalidateQueries({ queryKey: ["me"] });
                                }}
                            >
                                <p>Only an invitation takes you in again.</p>
                            </Confirm>
                        )}
                        {deleting && (
                            <Confirm
                                title="Close your account?"
                                action="Close it"
                                onClose={() => setDeleting(false)}
                                onConfirm={async () => {
                                    await read(
                                        api.DELETE("/api/v1/auth/me", {
                                            body: { current_password: password || undefined },
                                        }),
                                    );
                                    session.end();
                                }}
                            >
                                <p>Your sessions and tokens die now. For thirty days the operator can open it again.</p>
                                <TextField
                                    label="Your password"
                                    type="password"
                                    autoComplete="current-password"
                                    value={password}
                                    onValue={setPassword}
                                />
                            </Confirm>
                        )}
                    </>
                )}
            </Loaded>
        </MyPage>
    );
}
