// The dialogs that add an authenticator app, codes by mail, or a passkey.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { deviceName } from "../../device";
import { registerPasskey } from "../../passkey";
import { useAction } from "../../ui/action";
import { Button, Copyable, Problem, TextField } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";

export function AddApp({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
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

export function AddMail({ onClose, onCodes }: { onClose: () => void; onCodes: (codes: string[]) => void }) {
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

export function AddPasskey({ onClose }: { onClose: () => void }) {
    const [name, setName] = useState(deviceName(navigator.userAgent));
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
