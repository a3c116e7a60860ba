// How long a source is waited for, how often it is tried, and when its tables are read again.

import type { Schemas } from "../../api/client";
import { TextField } from "../../ui/basics";

const LIMITS = [
    ["connection_timeout", "Connection timeout, seconds"],
    ["query_timeout", "Query timeout, seconds"],
    ["max_retries", "Retries after a lost connection"],
    ["connection_pool_size", "Maximum connections"],
    ["schema_refresh_interval", "Schema refresh interval, seconds"],
] as const;

/** Those that were changed, as they are typed. */
export type Limits = Partial<Record<(typeof LIMITS)[number][0], string>>;

export function LimitFields({
    source,
    limits,
    onLimits,
    error,
}: {
    source: Schemas["DataSource"];
    limits: Limits;
    onLimits: (limits: Limits) => void;
    error: (field: string) => string | undefined;
}) {
    return (
        <div className="form-grid">
            {LIMITS.map(([key, label]) => (
                <TextField
                    key={key}
                    label={label}
                    type="number"
                    min={0}
                    value={limits[key] ?? String(source[key])}
                    onValue={(value) => {
                        const { [key]: _, ...others } = limits;
                        onLimits(value === String(source[key]) ? others : { ...others, [key]: value });
                    }}
                    error={error(key)}
                />
            ))}
        </div>
    );
}

/** As the API takes them; what is left empty stays as it is. */
export const limitsOf = (limits: Limits) =>
    Object.fromEntries(
        Object.entries(limits).flatMap(([key, value]) => (value.trim() === "" ? [] : [[key, Number(value)]])),
    );
