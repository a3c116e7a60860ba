// What keeps an account one's own: passkeys, second factors, the password.

import { useQuery } from "@tanstack/react-query";
import { Fingerprint, KeyRound, Mail, Smartphone } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMe } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Badge, Button, Card, Note, PasswordField, When } from "../../ui/basics";
import { copy } from "../../ui/clipboard";
import { Dialog } from "../../ui/dialog";
import { Rows } from "../../ui/loaded";
import { Unsaved } from "../../ui/unsaved";
import { AddApp, AddMail, AddPasskey } from "./factors";
import { MyPage } from "./my-page";

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
            done: "Password changed. Sign in again on every device.",
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
        <MyPage title="Password and two-factor" lead="How you sign in, and what protects your account.">
            {status.data?.mfa_required && !status.data.mfa_enabled && (
                <Note tone="warn">One of your organizations requires a second factor. Set one up below.</Note>
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
                <Rows
                    query={passkeys}
                    items={(data) => data.credentials}
                    none="None yet. A passkey signs you in with your fingerprint, face or device PIN, and cannot be phished."
                >
                    {(each) => (
                        <li key={each.id}>
                            <Fingerprint size={17} aria-hidden />
                            <span className="grow">
                                <b className="strong">{each.device_name}</b>
                                <br />
                                <span className="small soft">
                                    Created <When at={each.created_at} />, used <When at={each.last_used_at} />
                                </span>
                            </span>
                            {each.backed_up && <Badge>Synced</Badge>}
                            <ActionButton small kind="danger" action={removePasskey} on={String(each.id)}>
                                Delete
                            </ActionButton>
                        </li>
                    )}
                </Rows>
            </Card>
            <Card
                title="Second factors"
                actions={
                    <>
                        <Button small onClick={() => setDialog("app")}>
                            Add authenticator app
                        </Button>
                        {status.data && !status.data.methods.some((method) => method.type === "email_otp") && (
                            <Button small onClick={() => setDialog("mail")}>
                                Codes by e-mail
                            </Button>
                        )}
                    </>
                }
                flush
            >
                <Rows
                    query={status}
                    items={(data) => data.methods}
                    none="None yet. Anyone who knows your password can sign in."
                    after={
                        status.data?.mfa_enabled && (
                            <li>
                                <KeyRound size={17} aria-hidden />
                                <span className="grow">
                                    <b className="strong">Backup codes</b>
                                    <br />
                                    <span className="small soft">{status.data.backup_codes_remaining} left</span>
                                </span>
                                <ActionButton small action={fresh} on={undefined}>
                                    Create new codes
                                </ActionButton>
                            </li>
                        )
                    }
                >
                    {(method) => (
                        <li key={`${method.type} ${method.id}`}>
                            {method.type === "totp" ? (
                                <Smartphone size={17} aria-hidden />
                            ) : (
                                <Mail size={17} aria-hidden />
                            )}
                            <span className="grow">
                                <b className="strong">
                                    {method.type === "totp"
                                        ? (method.device_name ?? "Authenticator app")
                                        : "Codes by e-mail"}
                                </b>
                                <br />
                                <span className="small soft">
                                    Used <When at={method.last_used_at} />
                                </span>
                            </span>
                            {method.is_primary && <Badge tone="accent">Default</Badge>}
                            {method.type === "totp" ? (
                                <ActionButton small kind="danger" action={removeApp} on={method.id}>
                                    Remove
                                </ActionButton>
                            ) : (
                                <ActionButton small kind="danger" action={removeMail} on={undefined}>
                                    Remove
                                </ActionButton>
                            )}
                        </li>
                    )}
                </Rows>
            </Card>
            <Card title="Password">
                <ActionForm
                    action={change}
                    submit="Change password"
                    // The one that it has may be filled in by the browser.
                    touched={next !== ""}
                    what="The new password is"
                >
                    <input
                        type="text"
                        autoComplete="username"
                        value={me.data?.user.primary_email ?? ""}
                        readOnly
                        hidden
                    />
                    <div className="form-grid">
                        <PasswordField
                            label="Current password"
                            autoComplete="current-password"
                            required
                            value={current}
                            onValue={setCurrent}
                            error={change.of("current_password")}
                        />
                        <PasswordField
                            label="New password"
                            autoComplete="new-password"
                            required
                            value={next}
                            onValue={setNext}
                            error={change.of("new_password")}
                        />
                    </div>
                </ActionForm>
            </Card>
            {dialog === "app" && <AddApp onClose={() => setDialog(undefined)} onCodes={setCodes} />}
            {dialog === "mail" && <AddMail onClose={() => setDialog(undefined)} onCodes={setCodes} />}
            {dialog === "passkey" && <AddPasskey onClose={() => setDialog(undefined)} />}
            {codes && codes.length > 0 && (
                <Dialog title="Save these codes" touched onClose={() => setCodes(undefined)}>
                    <p className="soft">Each works once if you lose your second factor. They are shown only now.</p>
                    <pre className="code-block" style={{ columns: 2 }}>
                        {codes.join("\n")}
                    </pre>
                    <Unsaved touched busy={false} what="The codes are" />
                    <div className="form-end">
                        <Button onClick={() => void copy(codes.join("\n"), "Codes copied.")}>Copy</Button>
                        <Button kind="primary" onClick={() => setCodes(undefined)}>
                            I have saved them
                        </Button>
                    </div>
                </Dialog>
            )}
        </MyPage>
    );
}
