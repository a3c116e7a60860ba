// The choice of what an application may ask for.

import { Check, Choices } from "../../ui/basics";
import { Picker } from "../roles/picker";

/** As the people whom an application asks read them. */
const SCOPES = [
    ["read", "See what you can see, and query the data you can query."],
    ["write", "Create and change what you can: sources, files, prompts."],
    ["admin", "Do everything you can do, including managing the organization."],
] as const;

export function ScopeChoice({
    scopes,
    onScopes,
    error,
}: {
    scopes: string[];
    onScopes: (scopes: string[]) => void;
    error?: string;
}) {
    const isBroad = (scope: string) => SCOPES.some(([name]) => name === scope);
    const permissions = scopes.filter((scope) => !isBroad(scope));
    return (
        <Choices legend="Scopes" isHidden error={error}>
            {SCOPES.map(([scope, sentence]) => (
                <Check
                    key={scope}
                    label={<code>{scope}</code>}
                    hint={sentence}
                    checked={scopes.includes(scope)}
                    onChange={(event) =>
                        onScopes(event.target.checked ? [...scopes, scope] : scopes.filter((each) => each !== scope))
                    }
                />
            ))}
            <details open={permissions.length > 0}>
                <summary style={{ padding: "6px 0" }}>
                    Individual permissions {permissions.length > 0 && `(${permissions.length})`}
                </summary>
                <Picker held={permissions} onHeld={(held) => onScopes([...scopes.filter(isBroad), ...held])} />
            </details>
        </Choices>
    );
}
