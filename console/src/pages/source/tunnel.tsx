// The SSH tunnel to a source.

import { Check, PasswordField, TextField } from "../../ui/basics";
import { type Values, write } from "../../ui/schema-form";

export function Tunnel({
    values,
    onValues,
    error,
}: {
    values: Values;
    onValues: (values: Values) => void;
    error: (path: string) => string | undefined;
}) {
    const isOn = Boolean(values.use_ssh_tunnel);
    const field = (path: string) => ({
        value: String(
            path.split(".").reduce<unknown>((value, name) => (value as Values | undefined)?.[name], values) ?? "",
        ),
        onValue: (value: string) => onValues(write(values, path.split("."), value)),
        error: error(path),
    });
    return (
        <div className="stack tight">
            <Check
                label="Through an SSH tunnel"
                checked={isOn}
                onChange={(event) => onValues({ ...values, use_ssh_tunnel: event.target.checked })}
            />
            {isOn && (
                <div className="form-grid">
                    <TextField label="SSH host" required {...field("ssh_host")} />
                    <TextField
                        label="SSH port"
                        type="number"
                        placeholder="22"
                        value={String(values.ssh_port ?? "")}
                        onValue={(value) => onValues(write(values, ["ssh_port"], value ? Number(value) : undefined))}
                        error={error("ssh_port")}
                    />
                    <TextField label="SSH user" required {...field("ssh_username")} />
                    <PasswordField
                        label="Key passphrase (optional)"
                        autoComplete="off"
                        {...field("credentials.ssh_passphrase")}
                    />
                    <label className="field span">
                        <span className="label">Private key (PEM)</span>
                        <textarea
                            className="mono"
                            spellCheck={false}
                            value={field("credentials.ssh_private_key").value}
                            onChange={(event) => field("credentials.ssh_private_key").onValue(event.target.value)}
                        />
                    </label>
                </div>
            )}
        </div>
    );
}
