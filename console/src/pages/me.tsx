// One's own account: profile, password, second factors, passkeys, sessions, devices, tokens, invitations, and the way out.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CheckIcon, Fingerprint, KeyRound, Mail, Smartphone } from "lucide-react";
import { type ReactNode, useState } from "react";
import { type Schemas, api, checked, read, save, send } from "../api/client";
import { registerPasskey } from "../passkey";
import { queries } from "../queries";
import { session } from "../session";
import { useMe } from "../standing";
import { proved, useAction } from "../ui/action";
import {
    Badge,
    Button,
    Card,
    Check,
    Copyable,
    Empty,
    Facts,
    Note,
    Page,
    Problem,
    SelectField,
    Skeleton,
    TextField,
    When,
} from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { List, Loaded } from "../ui/list";
import { device } from "./people";

const PARTS = [
    ["/me", "Profile"],
    ["/me/security", "Password and factors"],
    ["/me/sessions", "Sessions and devices"],
    ["/me/tokens", "Tokens"],
    ["/me/applications", "Applications"],
] as const;

function MyPage({ title, lead, children }: { title: string; lead?: string; children: ReactNode }) {
    return (
        <Page title={title} lead={lead} narrow>
            <nav className="tabs" aria-label="Your account">
                {PARTS.map(([to, label]) => (
                    <Link
                        key={to}
                        to={to}
                        activeOptions={{ exact: true }}
                        activeProps={{ className: "active", "aria-current": "page" }}
                    >
                        {label}
                    </Link>
                ))}
            </nav>
            {children}
        </Page>
    );
}

export function Profile() {
    const me = useMe();
    const [name, setName] = useState<string>();
    const [email, setEmail] = useState("");
    const [deleting, setDeleting] = useState(false);
    const [password, setPassword] = useState("");
    const changes = [["me"]];
    const rename = useAction(() => read(api.PUT("/api/v1/auth/me/profile", { body: { display_name: name } })), {
        done: "Saved.",
        changes,
        inline: true,
        onDone: () => setName(undefined),
    });
    const add = useAction(
        (makePrimary: boolean) =>
            read(api.POST("/api/v1/auth/me/emails", { body: { email, make_primary: makePrimary } })),
        { done: "A mail is on its way; confirm the address by it.", changes, inline: true, onDone: () => setEmail("") },
    );
    const leave = useAction(
        (organization: number) =>
            read(api.POST("/api/v1/organizations/{org_id}/leave", { params: { path: { org_id: organization } } })),
        { done: "You have left.", changes },
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
                            <form
                                className="row"
                                onSubmit={(event) => {
                                    event.preventDefault();
                                    void rename.start(undefined);
                                }}
                            >
                                <div className="grow">
                                    <input
                                        type="text"
                                        aria-label="Name"
                                        value={name ?? data.user.display_name ?? ""}
                                        onChange={(event) => setName(event.target.value)}
                                    />
                                </div>
                                <Button
                                    type="submit"
                                    kind="primary"
                                    busy={rename.busy}
                                    disabled={name === undefined || name === data.user.display_name}
                                >
                                    Save
                                </Button>
                            </form>
                            {rename.error !== undefined && <Problem error={rename.error} />}
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
                                        <Button busy={add.busy} disabled={!email} onClick={() => add.start(true)}>
                                            Add as primary
                                        </Button>
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
                                        <Button small kind="danger" onClick={() => leave.start(each.id)}>
                                            Leave
                                        </Button>
                                    </li>
                                ))}
                                {data.organizations.length === 0 && <li className="soft">None yet.</li>}
                            </ul>
                        </Card>
                        {(social.data?.accounts?.length ?? 0) > 0 && (
                            <Card title="Connected accounts" flush>
                                <ul className="list">
                                    {social.data?.accounts.map((each) => (
                                        <li key={each.provider}>
                                            <b className="strong grow">{each.display_name ?? each.provider}</b>
                                            <span className="soft small">{each.email}</span>
                                            <Button small kind="danger" onClick={() => unlink.start(each.provider)}>
                                                Disconnect
                                            </Button>
                                        </li>
                                    ))}
                                </ul>
                            </Card>
                        )}
                        <Card title="Your data">
                            <div className="row apart">
                                <p className="soft">Everything that is kept about you.</p>
                                <span className="row">
                                    <Button busy={hand.busy} onClick={() => hand.start("json")}>
                                        JSON
                                    </Button>
                                    <Button busy={hand.busy} onClick={() => hand.start("csv")}>
                                        CSV
                                    </Button>
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
                        {deleting && (
                            <Confirm
                                title="Close your account?"
                                action="Close it"
                                onClose={() => setDeleting(false)}
                                onConfirm={async () => {
                                    await proved(() =>
                                        read(
                                            api.DELETE("/api/v1/auth/me", {
                                                body: { current_password: password || undefined },
                                            }),
                                        ),
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

export function Security() {
    const me = useMe();
    const status = useQuery({ queryKey: ["mfa"], queryFn: () => read(api.GET("/api/v1/mfa/status")) });
    const passkeys = useQuery({ queryKey: ["passkeys"], queryFn: () => read(api.GET("/api/v1/webauthn/credentials")) });
    const [current, setCurrent] = useState("");
    const [next, setNext] = useState("");
    const [dialog, setDialog] = useState<"app" | "mail" | "passkey">();
    const [codes, setCodes] = useState<string[]>();
    const changes = [["mfa"], ["passkeys"], ["me"]];
    const change = useAction(
        () =>
            read(api.POST("/api/v1/auth/change-password", { body: { current_password: current, new_password: next } })),
        {
            done: "Password changed; other sessions have ended.",
            inline: true,
            onDone: () => {
                setCurrent("");
                setNext("");
            },
        },
    );
    const removeApp = useAction(
        (id: number) =>
            read(api.DELETE("/api/v1/mfa/totp/devices/{device_id}", { params: { path: { device_id: id } } })),
        { done: "Removed.", changes },
    );
    const removeMail = useAction(() => read(api.DELETE("/api/v1/mfa/email-otp")), { done: "Switched off.", changes });
    const removePasskey = useAction(
        (id: string) =>
            read(
                api.DELETE("/api/v1/webauthn/credentials/{credential_id}", {
                    params: { path: { credential_id: id as never } },
                }),
            ),
        { done: "Deleted.", changes },
    );
    const fresh = useAction(() => read(api.POST("/api/v1/mfa/backup-codes/generate", { body: {} })), {
        changes,
        onDone: (made) => setCodes(made.backup_codes),
    });
    return (
        <MyPage title="Password and second factors" lead="What keeps your account yours.">
            {status.data?.mfa_required && !status.data.mfa_enabled && (
                <Note tone="warn">An organization of yours asks for a second factor. Set one up below.</Note>
            )}
            <Card
                title="Passkeys"
                actions={
                    <Button small onClick={() => setDialog("passkey")}>
                        Add a passkey
                    </Button>
                }
                flush
            >
                <ul className="list">
                    {!passkeys.data ? (
                        <li>
                            <Skeleton lines={1} />
                        </li>
                    ) : passkeys.data.credentials.length === 0 ? (
                        <li className="soft">
                            None yet. A passkey signs you in with your finger, your face or your device's code, and
                            cannot be phished.
                        </li>
                    ) : (
                        passkeys.data.credentials.map((each) => (
                            <li key={each.id}>
                                <Fingerprint size={17} aria-hidden />
                                <span className="grow">
                                    <b className="strong">{each.device_name}</b>
                                    <br />
                                    <span className="small soft">
                                        Made <When at={each.created_at} />, used <When at={each.last_used_at} />
                                    </span>
                                </span>
                                {each.backed_up && <Badge>Synced</Badge>}
                                <Button small kind="danger" onClick={() => removePasskey.start(String(each.id))}>
                                    Delete
                                </Button>
                            </li>
                        ))
                    )}
                </ul>
            </Card>
            <Card
                title="Second factors"
                actions={
                    <>
                        <Button small onClick={() => setDialog("app")}>
                            Add an app
                        </Button>
                        {status.data && !status.data.methods.some((method) => method.type === "email_otp") && (
                            <Button small onClick={() => setDialog("mail")}>
                                Codes by mail
                            </Button>
                        )}
                    </>
                }
                flush
            >
                <ul className="list">
                    {!status.data ? (
                        <li>
                            <Skeleton lines={1} />
                        </li>
                    ) : status.data.methods.length === 0 ? (
                        <li className="soft">None yet: whoever knows your password is in.</li>
                    ) : (
                        status.data.methods.map((method) => (
                            <li key={method.id}>
                                {method.type === "totp" ? (
                                    <Smartphone size={17} aria-hidden />
                                ) : (
                                    <Mail size={17} aria-hidden />
                                )}
                                <span className="grow">
                                    <b className="strong">
                                        {method.type === "totp"
                                            ? (method.device_name ?? "Authenticator app")
                                            : "Codes by mail"}
                                    </b>
                                    <br />
                                    <span className="small soft">
                                        Used <When at={method.last_used_at} />
                                    </span>
                                </span>
                                {method.is_primary && <Badge tone="accent">Asked first</Badge>}
                                <Button
                                    small
                                    kind="danger"
                                    onClick={() =>
                                        method.type === "totp"
                                            ? removeApp.start(method.id)
                                            : removeMail.start(undefined)
                                    }
                                >
                                    Remove
                                </Button>
                            </li>
                        ))
                    )}
                    {status.data?.mfa_enabled && (
                        <li>
                            <KeyRound size={17} aria-hidden />
                            <span className="grow">
                                <b className="strong">Backup codes</b>
                                <br />
                                <span className="small soft">{status.data.backup_codes_remaining} left</span>
                            </span>
                            <Button small busy={fresh.busy} onClick={() => fresh.start(undefined)}>
                                New ones
                            </Button>
                        </li>
                    )}
                </ul>
            </Card>
            <Card title="Password">
                <form
                    className="form-grid"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void change.start(undefined);
                    }}
                >
                    <input
                        type="text"
                        autoComplete="username"
                        value={me.data?.user.primary_email ?? ""}
                        readOnly
                        hidden
                    />
                    <TextField
                        label="Current password"
                        type="password"
                        autoComplete="current-password"
                        required
                        value={current}
                        onValue={setCurrent}
                        error={change.of("current_password")}
                    />
                    <TextField
                        label="New password"
                        type="password"
                        autoComplete="new-password"
                        required
                        value={next}
                        onValue={setNext}
                        error={change.of("new_password")}
                    />
                    {change.error !== undefined && (
                        <div className="span">
                            <Problem error={change.error} />
                        </div>
                    )}
                    <div className="form-end span">
                        <Button type="submit" kind="primary" busy={change.busy}>
                            Change it
                        </Button>
                    </div>
                </form>
            </Card>
            {dialog === "app" && <AddApp onClose={() => setDialog(undefined)} onCodes={setCodes} />}
            {dialog === "mail" && <AddMail onClose={() => setDialog(undefined)} onCodes={setCodes} />}
            {dialog === "passkey" && <AddPasskey onClose={() => setDialog(undefined)} />}
            {codes && codes.length > 0 && (
                <Dialog title="Keep these codes" onClose={() => setCodes(undefined)}>
                    <p className="soft">Each lets you in once when your factor is lost. They are shown this once.</p>
                    <pre className="code-block" style={{ columns: 2 }}>
                        {codes.join("\n")}
                    </pre>
                    <div className="form-end">
                        <Button onClick={() => navigator.clipboard.writeText(codes.join("\n"))}>Copy</Button>
                        <Button kind="primary" onClick={() => setCodes(undefined)}>
                            I have kept them
                        </Button>
                    </div>
                </Dialog>
            )}
        </MyPage>
    );
}

function AddApp({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
    const [name, setName] = useState("Phone");
    const [setup, setSetup] = useState<Schemas["TotpSetup"]>();
    const [code, setCode] = useState("");
    const begin = useAction(() => read(api.POST("/api/v1/mfa/totp/setup", { body: { device_name: name } })), {
        inline: true,
        onDone: setSetup,
    });
    const confirm = useAction(() => read(api.POST("/api/v1/mfa/totp/verify", { body: { code, device_name: name } })), {
        done: "Your app is set up.",
        changes: [["mfa"], ["me"]],
        inline: true,
        onDone: (done) => {
            onClose();
            onCodes(done.backup_codes);
        },
    });
    return (
        <Dialog title="Add an authenticator app" onClose={onClose}>
            {!setup ? (
                <form
                    className="stack"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void begin.start(undefined);
                    }}
                >
                    <TextField label="What to call it" required value={name} onValue={setName} autoFocus />
                    {begin.error !== undefined && <Problem error={begin.error} />}
                    <div className="form-end">
                        <Button onClick={onClose}>Cancel</Button>
                        <Button kind="primary" type="submit" busy={begin.busy}>
                            Go on
                        </Button>
                    </div>
                </form>
            ) : (
                <form
                    className="stack"
                    onSubmit={(event) => {
                        event.preventDefault();
                        void confirm.start(undefined);
                    }}
                >
                    <p>Scan this with the app, or type the key.</p>
                    <div className="row" style={{ gap: 18, alignItems: "flex-start" }}>
                        <img className="qr" src={setup.qr_code} alt={`QR code of the key ${setup.manual_entry_key}`} />
                        <div className="grow stack tight">
                            <Copyable text={setup.manual_entry_key} label="key" />
                            <TextField
                                label="The code that it shows now"
                                inputMode="numeric"
                                autoComplete="one-time-code"
                                required
                                value={code}
                                onValue={setCode}
                                autoFocus
                                error={confirm.of("code")}
                            />
                        </div>
                    </div>
                    {confirm.error !== undefined && <Problem error={confirm.error} />}
                    <div className="form-end">
                        <Button onClick={onClose}>Cancel</Button>
                        <Button kind="primary" type="submit" busy={confirm.busy}>
                            Confirm
                        </Button>
                    </div>
                </form>
            )}
        </Dialog>
    );
}

function AddMail({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
    const [sent, setSent] = useState(false);
    const [code, setCode] = useState("");
    const begin = useAction(() => read(api.POST("/api/v1/mfa/email-otp/setup")), {
        inline: true,
        onDone: () => setSent(true),
    });
    const confirm = useAction(() => read(api.POST("/api/v1/mfa/email-otp/verify", { body: { code } })), {
        done: "Codes come by mail from now on.",
        changes: [["mfa"], ["me"]],
        inline: true,
        onDone: (done) => {
            onClose();
            onCodes(done.backup_codes);
        },
    });
    const error = begin.error ?? confirm.error;
    return (
        <Dialog title="Codes by mail" onClose={onClose}>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void (sent ? confirm : begin).start(undefined);
                }}
            >
                {sent ? (
                    <TextField
                        label="The code from the mail"
                        inputMode="numeric"
                        autoComplete="one-time-code"
                        required
                        value={code}
                        onValue={setCode}
                        autoFocus
                    />
                ) : (
                    <p>We mail you a code to begin with.</p>
                )}
                {error !== undefined && <Problem error={error} />}
                <div className="form-end">
                    <Button onClick={onClose}>Cancel</Button>
                    <Button kind="primary" type="submit" busy={begin.busy || confirm.busy}>
                        {sent ? "Confirm" : "Send it"}
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}

function AddPasskey({ onClose }: { onClose: () => void }) {
    const [name, setName] = useState(device(navigator.userAgent));
    const add = useAction(() => registerPasskey(name), {
        done: "Your passkey is set up.",
        changes: [["passkeys"], ["mfa"], ["me"]],
        inline: true,
        onDone: onClose,
    });
    return (
        <Dialog title="Add a passkey" onClose={onClose}>
            <form
                className="stack"
                onSubmit={(event) => {
                    event.preventDefault();
                    void add.start(undefined);
                }}
            >
                <TextField label="What to call it" required value={name} onValue={setName} autoFocus />
                {add.error !== undefined && <Problem error={add.error} />}
                <div className="form-end">
                    <Button onClick={onClose}>Cancel</Button>
                    <Button kind="primary" type="submit" busy={add.busy}>
                        Go on
                    </Button>
                </div>
            </form>
        </Dialog>
    );
}

export function SessionsPage() {
    const end = useAction(
        (id: number) => read(api.DELETE("/api/v1/sessions/{session_id}", { params: { path: { session_id: id } } })),
        { done: "Ended.", changes: [["sessions"]] },
    );
    const all = useAction(() => read(api.POST("/api/v1/auth/logout-all", { body: { except_current: true } })), {
        done: "All others have ended.",
        changes: [["sessions"]],
    });
    const forget = useAction(
        (id: number) => read(api.DELETE("/api/v1/devices/{device_id}", { params: { path: { device_id: id } } })),
        { done: "Not trusted any more.", changes: [["devices"]] },
    );
    const devices = useQuery({ queryKey: ["devices"], queryFn: () => read(api.GET("/api/v1/devices/")) });
    return (
        <MyPage
            title="Sessions and devices"
            lead="Where you are signed in. End what you do not know, and change your password."
        >
            <List
                name="Sessions"
                of={["sessions", "own"]}
                filters={
                    <Button small kind="danger" busy={all.busy} onClick={() => all.start(undefined)}>
                        End all others
                    </Button>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/sessions", { params: { query: { page, page_size: size } } }),
                    );
                    return { items: answer.sessions, total: answer.total_count };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Where",
                        cell: (each) => (
                            <>
                                <span className="row">
                                    <b className="strong">{device(each.user_agent)}</b>
                                    {each.is_current && <Badge tone="good">This one</Badge>}
                                </span>
                                <span className="small soft">{each.ip_address}</span>
                            </>
                        ),
                    },
                    { head: "Begun", cell: (each) => <When at={each.created_at} /> },
                    { head: "Last used", cell: (each) => <When at={each.last_activity_at} /> },
                    {
                        head: "",
                        cell: (each) =>
                            !each.is_current && (
                                <Button small kind="danger" onClick={() => end.start(each.id)}>
                                    End
                                </Button>
                            ),
                    },
                ]}
                empty={<Empty title="No session" />}
            />
            <Card title="Trusted devices" flush>
                <ul className="list">
                    {!devices.data ? (
                        <li>
                            <Skeleton lines={1} />
                        </li>
                    ) : devices.data.devices.length === 0 ? (
                        <li className="soft">None. After a second factor a device may be trusted for a month.</li>
                    ) : (
                        devices.data.devices.map((each) => (
                            <li key={each.id}>
                                <Smartphone size={17} aria-hidden />
                                <span className="grow">
                                    <b className="strong">{each.device_name}</b>
                                    <br />
                                    <span className="small soft">
                                        Until <When at={each.trusted_until} />, used <When at={each.last_used_at} />
                                    </span>
                                </span>
                                <Button small kind="danger" onClick={() => forget.start(each.id)}>
                                    Forget
                                </Button>
                            </li>
                        ))
                    )}
                </ul>
            </Card>
        </MyPage>
    );
}

export const SCOPES = [
    ["read", "Read", "What only reads, questions included"],
    ["write", "Write", "That, and making workspaces, sources and files"],
    ["admin", "Everything", "All that you may do"],
] as const;

export function MyTokens() {
    const me = useMe();
    const [making, setMaking] = useState(false);
    const [made, setMade] = useState<Schemas["CreatedToken"]>();
    const [name, setName] = useState("");
    const [scope, setScope] = useState("read");
    const [days, setDays] = useState("90");
    const [organization, setOrganization] = useState("");
    const changes = [["tokens"]];
    const make = useAction(
        () =>
            read(
                api.POST("/api/v1/auth/tokens", {
                    body: {
                        name,
                        scopes: [scope],
                        expires_in_days: days ? Number(days) : undefined,
                        organization_id: organization ? Number(organization) : undefined,
                    },
                }),
            ),
        {
            changes,
            inline: true,
            onDone: (token) => {
                setMade(token);
                setMaking(false);
                setName("");
            },
        },
    );
    const revoke = useAction(
        (id: number) => read(api.DELETE("/api/v1/auth/tokens/{token_id}", { params: { path: { token_id: id } } })),
        { done: "Revoked.", changes },
    );
    return (
        <MyPage title="Your tokens" lead="For programs that act for you. None of them may do more than you.">
            {made && (
                <Note tone="good">
                    <div className="stack tight">
                        <b>Your token {made.name}. It is shown this once.</b>
                        <Copyable text={made.token} label="token" />
                    </div>
                </Note>
            )}
            <List
                name="Tokens"
                of={["tokens", "own"]}
                filters={
                    <Button small kind="primary" onClick={() => setMaking(true)}>
                        New token
                    </Button>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/auth/tokens", { params: { query: { page, page_size: size } } }),
                    );
                    return { items: answer.tokens, total: answer.total };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Name",
                        cell: (each) => (
                            <>
                                <b className="strong">{each.name}</b>
                                <div className="small soft mono">{each.prefix}…</div>
                            </>
                        ),
                    },
                    { head: "Scopes", cell: (each) => each.scopes.map((one) => <Badge key={one}>{one}</Badge>) },
                    { head: "Used", cell: (each) => <When at={each.last_used_at} /> },
                    { head: "Until", cell: (each) => <When at={each.expires_at} never="revoked" /> },
                    {
                        head: "",
                        cell: (each) => (
                            <Button small kind="danger" onClick={() => revoke.start(each.id)}>
                                Revoke
                            </Button>
                        ),
                    },
                ]}
                empty={<Empty title="No tokens" />}
            />
            {making && (
                <Dialog title="New token" onClose={() => setMaking(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void make.start(undefined);
                        }}
                    >
                        <TextField
                            label="Name"
                            required
                            value={name}
                            onValue={setName}
                            autoFocus
                            error={make.of("name")}
                        />
                        <fieldset style={{ border: 0, margin: 0, padding: 0 }}>
                            <legend className="label">What it may do</legend>
                            {SCOPES.map(([key, label, hint]) => (
                                <Check
                                    key={key}
                                    type="radio"
                                    name="scope"
                                    label={label}
                                    hint={hint}
                                    checked={scope === key}
                                    onChange={() => setScope(key)}
                                />
                            ))}
                        </fieldset>
                        <div className="form-grid">
                            <SelectField
                                label="Good for"
                                value={days}
                                onValue={setDays}
                                options={[
                                    ["7", "7 days"],
                                    ["30", "30 days"],
                                    ["90", "90 days"],
                                    ["365", "A year"],
                                ]}
                                error={make.of("expires_in_days")}
                            />
                            <SelectField
                                label="Where"
                                value={organization}
                                onValue={setOrganization}
                                options={[
                                    ["", "Everywhere"],
                                    ...(me.data?.organizations ?? []).map(
                                        (each) => [String(each.id), each.name] as const,
                                    ),
                                ]}
                            />
                        </div>
                        {make.error !== undefined && <Problem error={make.error} />}
                        <div className="form-end">
                            <Button onClick={() => setMaking(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={make.busy}>
                                Make it
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
        </MyPage>
    );
}

export function ConnectedApplications() {
    const [ending, setEnding] = useState<Schemas["ConnectedApplication"]>();
    const applications = useQuery({
        queryKey: ["connected"],
        queryFn: () => read(api.GET("/api/v1/oauth/connected-applications", { params: { query: { page_size: 100 } } })),
    });
    return (
        <MyPage
            title="Connected applications"
            lead="What you let other programs do for you, never more than you may do yourself."
        >
            <Loaded query={applications}>
                {(data) =>
                    data.applications.length === 0 ? (
                        <div className="card">
                            <Empty title="None">
                                When you sign in to another program with RiverGen, it stands here.
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
                                                ; you agreed to more <When at={each.updated_at} />
                                            </>
                                        )}
                                    </p>
                                </div>
                            </Card>
                        ))
                    )
                }
            </Loaded>
            {ending && (
                <Confirm
                    title={`Disconnect ${ending.name}?`}
                    action="Disconnect"
                    onClose={() => setEnding(undefined)}
                    onConfirm={async () => {
                        await read(
                            api.DELETE("/api/v1/oauth/connected-applications/{app_id}", {
                                params: { path: { app_id: ending.id } },
                            }),
                        );
                        await queries.invalidateQueries({ queryKey: ["connected"] });
                    }}
                >
                    <p>Its access to your account ends at once. You may let it in again.</p>
                </Confirm>
            )}
        </MyPage>
    );
}

export function Invited() {
    const invitations = useQuery({
        queryKey: ["invited"],
        queryFn: () => read(api.GET("/api/v1/invitations", { params: { query: { limit: 50 } } })),
    });
    return (
        <Page title="My invitations" narrow>
            <Loaded query={invitations}>
                {(data) =>
                    data.invitations.length === 0 ? (
                        <div className="card">
                            <Empty title="None">An invitation comes by mail, with a link that takes you in.</Empty>
                        </div>
                    ) : (
                        <Card flush>
                            <ul className="list">
                                {data.invitations.map((each) => (
                                    <li key={each.id}>
                                        <span className="grow">
                                            <b className="strong">{each.organization.name}</b>
                                            <br />
                                            <span className="small soft">
                                                {each.role?.name}, until <When at={each.expires_at} />
                                            </span>
                                        </span>
                                        <Badge>{each.status}</Badge>
                                    </li>
                                ))}
                            </ul>
                        </Card>
                    )
                }
            </Loaded>
            <Facts of={[["To accept one", "open the link in its mail, signed in with the address that it names."]]} />
        </Page>
    );
}
