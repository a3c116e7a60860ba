// The dialogs that add an authenticator app, codes by mail, or a passkey.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { deviceName } from "../../device";
import { registerPasskey } from "../../passkey";
import { ActionForm, useAction } from "../../ui/action";
import { Copyable, TextField } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { NameDialog } from "../../ui/naming";

export function AddApp({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
    const [setup, setSetup] = useState<Schemas["TotpSetup"] & { name: string }>();
    const begin = useAction(
        async (name: string) => ({
            ...(await read(api.POST("/api/v1/mfa/totp/setup", { body: { device_name: name } }))),
            name,
        }),
        { inline: true, onDone: setSetup },
    );
    if (setup) return <ConfirmApp setup={setup} name={setup.name} onClose={onClose} onCodes={onCodes} />;
    return (
        <NameDialog
            title="Add an authenticator app"
            label="Name"
            first="Phone"
            action="Continue"
            field="device_name"
            make={begin}
            onClose={onClose}
        />
    );
}

/** The code of the app proves that it has the key. */
function ConfirmApp({
    setup,
    name,
    onClose,
    onCodes,
}: {
    setup: Schemas["TotpSetup"];
    name: string;
    onClose: () => void;
    onCodes: (codes: string[]) => void;
}) {
    const [code, setCode] = useState("");
    const confirm = useAction(() => read(api.POST("/api/v1/mfa/totp/verify", { body: { code, device_name: name } })), {
        done: "Authenticator app added.",
        changes: [["mfa"], ["me"]],
        inline: true,
        onDone: (done) => {
            onClose();
            onCodes(done.backup_codes);
        },
    });
    return (
        <Dialog title="Add an authenticator app" touched onClose={onClose}>
            <ActionForm action={confirm} submit="Confirm" onCancel={onClose}>
                <p>Scan this with your app, or type the key.</p>
                <div className="row" style={{ gap: 18, alignItems: "flex-start" }}>
                    <img className="qr" src={setup.qr_code} alt={`QR code of the key ${setup.manual_entry_key}`} />
                    <div className="grow stack tight">
                        <Copyable text={setup.manual_entry_key} label="key" />
                        <TextField
                            label="Code shown in the app"
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
            </ActionForm>
        </Dialog>
    );
}

export function AddMail({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
    const [sent, setSent] = useState(false);
    const [code, setCode] = useState("");
    const begin = useAction(() => read(api.POST("/api/v1/mfa/email-otp/setup")), {
        inline: true,
        onDone: () => setSent(true),
    });
    const confirm = useAction(() => read(api.POST("/api/v1/mfa/email-otp/verify", { body: { code } })), {
        done: "Codes by e-mail added.",
        changes: [["mfa"], ["me"]],
        inline: true,
        onDone: (done) => {
            onClose();
            onCodes(done.backup_codes);
        },
    });
    const error = begin.error ?? confirm.error;
    return (
        <Dialog title="Codes by e-mail" touched={sent} onClose={onClose}>
            <ActionForm
                action={{ ...(sent ? confirm : begin), error }}
                submit={sent ? "Confirm" : "Send code"}
                onCancel={onClose}
            >
                {sent ? (
                    <TextField
                        label="Code from the e-mail"
                        inputMode="numeric"
                        autoComplete="one-time-code"
                        required
                        value={code}
                        onValue={setCode}
                        autoFocus
                    />
                ) : (
                    <p>We will e-mail you a code to confirm it.</p>
                )}
            </ActionForm>
        </Dialog>
    );
}

export function AddPasskey({ onClose }: { onClose: () => void }) {
    const add = useAction(registerPasskey, {
        done: "Passkey added.",
        changes: [["passkeys"], ["mfa"], ["me"]],
        inline: true,
        onDone: onClose,
    });
    return (
        <NameDialog
            title="Add a passkey"
            label="Name"
            first={deviceName(navigator.userAgent)}
            action="Continue"
            field="device_name"
            make={add}
            onClose={onClose}
        />
    );
}
