// One's own profile: name, picture, addresses, organizations, connected accounts, data, and the way out.

import { Mail } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { session } from "../../session";
import { useMe } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Badge, Button, Card, PasswordField, When } from "../../ui/basics";
import { Confirm } from "../../ui/confirm";
import { Loaded } from "../../ui/loaded";
import { NameForm } from "../../ui/naming";
import { Picture, asPicture } from "../../ui/picture";
import { giveUp } from "../../ui/unsaved";
import { DataCard } from "../people/data-card";
import { MyPage } from "./my-page";
import { SocialAccounts } from "./social";

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
    const show = useAction(
        async (file: File | null) =>
            read(
                api.PUT("/api/v1/auth/me/profile", {
                    body: { profile_image_url: file === null ? "" : await asPicture(file) },
                }),
            ),
        { done: "Saved.", changes: [...changes, ["members"]], inline: true },
    );
    const add = useAction(
        (makePrimary: boolean) =>
            read(api.POST("/api/v1/auth/me/emails", { body: { email, make_primary: makePrimary } })),
        { done: "We sent you an e-mail to confirm the address.", changes, inline: true, onDone: () => setEmail("") },
    );
    return (
        <MyPage title="Your account">
            <Loaded query={me}>
                {(data) => (
                    <>
                        <Card title="Name">
                            <NameForm key={data.user.display_name} name={data.user.display_name ?? ""} save={rename} />
                        </Card>
                        <Card title="Picture">
                            <Picture
                                picture={data.user.profile_image_url}
                                kinds={["image/png", "image/jpeg", "image/webp", "image/gif"]}
                                hint="PNG, JPEG, WebP or GIF, up to 64 KiB. Visible to members of your organizations."
                                field="profile_image_url"
                                set={show}
                            />
                        </Card>
                        <Card title="E-mail addresses" flush>
                            <ul className="list">
                                {data.emails.map((each) => (
                                    <li key={each.email}>
                                        <Mail size={16} aria-hidden />
                                        <span className="grow break">{each.email}</span>
                                        <span className="row">
                                            {each.is_primary && <Badge tone="accent">Primary</Badge>}
                                            {each.verified ? (
                                                <Badge tone="good">Verified</Badge>
                                            ) : (
                                                <Badge tone="warn">Not verified</Badge>
                                            )}
                                        </span>
                                    </li>
                                ))}
                                <li>
                                    <ActionForm
                                        action={add}
                                        on={false}
                                        className="stack tight grow"
                                        touched={email !== ""}
                                        what="The address is"
                                    >
                                        <div className="row">
                                            <div className="grow">
                                                <input
                                                    type="email"
                                                    aria-label="Add an address"
                                                    placeholder="Add an address"
                                                    required
                                                    value={email}
                                                    onChange={(event) => setEmail(event.target.value)}
                                                />
                                            </div>
                                            <Button
                                                type="submit"
                                                busy={add.isBusyWith(false)}
                                                disabled={add.isBusyWith(true)}
                                            >
                                                Add
                                            </Button>
                                            <ActionButton disabled={!email} action={add} on={true}>
                                                Add as primary
                                            </ActionButton>
                                        </div>
                                    </ActionForm>
                                </li>
                            </ul>
                        </Card>
                        <Card title="Organizations" flush>
                            <ul className="list">
                                {data.organizations.map((each) => (
                                    <li key={each.id}>
                                        <b className="strong grow">{each.name}</b>
                                        <span className="row">
                                            <span className="soft small">
                                                since <When at={each.joined_at} />
                                            </span>
                                            <Button small kind="danger" onClick={() => setLeaving(each)}>
                                                Leave…
                                            </Button>
                                        </span>
                                    </li>
                                ))}
                                {data.organizations.length === 0 && <li className="soft">None yet.</li>}
                            </ul>
                        </Card>
                        <SocialAccounts />
                        <DataCard
                            title="Your data"
                            text="Everything stored about you."
                            person={data.user.id}
                            name="my-data"
                            done="Downloaded."
                        />
                        <Card title="Close account">
                            <div className="row apart">
                                <p className="soft">It closes immediately and is deleted after thirty days.</p>
                                <Button kind="danger" onClick={() => setDeleting(true)}>
                                    Close…
                                </Button>
                            </div>
                        </Card>
                        {leaving && (
                            <Confirm
                                title={`Leave ${leaving.name}?`}
                                action="Leave"
                                run={() =>
                                    read(
                                        api.POST("/api/v1/organizations/{org_id}/leave", {
                                            params: { path: { org_id: leaving.id } },
                                        }),
                                    )
                                }
                                done="You left the organization."
                                changes={changes}
                                onClose={() => setLeaving(undefined)}
                            >
                                <p>You can only come back by invitation.</p>
                            </Confirm>
                        )}
                        {deleting && (
                            <Confirm
                                title="Close your account?"
                                action="Close account"
                                run={() =>
                                    read(
                                        api.DELETE("/api/v1/auth/me", {
                                            body: { current_password: password || undefined },
                                        }),
                                    )
                                }
                                onDone={() => {
                                    giveUp();
                                    session.end();
                                }}
                                onClose={() => setDeleting(false)}
                            >
                                <p>
                                    Your sessions and tokens end immediately. The operator can restore the account for
                                    thirty days.
                                </p>
                                <PasswordField
                                    label="Your password"
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
