// The small pieces that every page is made of.

import { AlertCircle, CheckCircle2, Info, LoaderCircle, Search } from "lucide-react";
import { type ComponentProps, type ReactNode, useId } from "react";
import { ApiError } from "../api/client";
import { copy } from "./clipboard";

export function Button({
    kind = "",
    small,
    busy,
    icon,
    children,
    className = "",
    onClick,
    ...rest
}: ComponentProps<"button"> & {
    kind?: "" | "primary" | "danger" | "quiet";
    small?: boolean;
    busy?: boolean;
    icon?: ReactNode;
}) {
    const onlyIcon = icon !== undefined && children === undefined;
    return (
        <button
            type="button"
            {...rest}
            // One that is disabled loses the focus, and whoever goes by the keys their place. While it runs it takes no click.
            aria-disabled={busy || rest["aria-disabled"]}
            aria-busy={busy || undefined}
            onClick={busy ? (event) => event.preventDefault() : onClick}
            className={`button ${kind} ${small ? "small" : ""} ${onlyIcon ? "icon" : ""} ${className}`}
        >
            {busy ? <LoaderCircle size={15} className="spin" aria-hidden /> : icon}
            {children}
        </button>
    );
}

export function Badge({
    tone = "",
    children,
}: {
    tone?: "" | "good" | "warn" | "bad" | "accent";
    children: ReactNode;
}) {
    return <span className={`badge ${tone}`}>{children}</span>;
}

/** The state of a thing, in a colour and in a word. */
export function Status({ value }: { value: string | null | undefined }) {
    const tone = (
        {
            active: "good",
            succeeded: "good",
            success: "good",
            allowed: "good",
            verified: "good",
            accepted: "good",
            completed: "good",
            published: "good",
            sent: "good",
            pending: "warn",
            testing: "warn",
            running: "warn",
            processing: "warn",
            in_progress: "accent",
            modified: "accent",
            maintenance: "warn",
            missing: "warn",
            withheld: "warn",
            failed: "bad",
            failure: "bad",
            denied: "bad",
            suspended: "bad",
            error: "bad",
            revoked: "bad",
        } as const
    )[value ?? ""];
    return (
        <span className={`badge ${tone ?? ""}`}>
            <i className="dot" />
            {words(value ?? "unknown")}
        </span>
    );
}

/** A name of the API as people write it: `last_login_ip` is “Last login IP”. */
export const words = (text: string) =>
    text
        .replaceAll("_", " ")
        .replace(/^./, (first) => first.toUpperCase())
        .replace(/\b(?:api|csv|id|ip|mfa|saml|scim|sql|sso|url)(?=s?\b)/gi, (short) => short.toUpperCase());

/** Somebody's picture, or their initials. Pictures from elsewhere are not loaded: this page tells nobody who is looked at. */
export function Avatar({ name, picture }: { name: string; picture?: string | null }) {
    if (picture?.startsWith("data:")) return <img className="avatar" src={picture} alt="" />;
    const initials = name
        .split(/[\s@.]+/)
        .filter(Boolean)
        .slice(0, 2)
        .map((part) => part[0]?.toUpperCase())
        .join("");
    return (
        <span className="avatar" aria-hidden>
            {initials || "?"}
        </span>
    );
}

/** A label, its control, what it is for, and what is wrong with it. */
export function Field({
    label,
    hint,
    error,
    span,
    children,
}: {
    label: string;
    hint?: ReactNode;
    error?: string;
    span?: boolean;
    children: (props: { id: string; "aria-invalid"?: true; "aria-describedby"?: string }) => ReactNode;
}) {
    const id = useId();
    const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
    return (
        <div className={`field ${span ? "span" : ""}`}>
            <label htmlFor={id}>{label}</label>
            {children({ id, "aria-invalid": error ? true : undefined, "aria-describedby": described })}
            {hint && (
                <span className="hint" id={`${id}-hint`}>
                    {hint}
                </span>
            )}
            {error && (
                <span className="wrong" id={`${id}-error`} role="alert">
                    {error}
                </span>
            )}
        </div>
    );
}

/** A field for one line of text. */
export function TextField({
    label,
    hint,
    error,
    span,
    onValue,
    ...rest
}: Omit<ComponentProps<"input">, "onChange"> & {
    label: string;
    hint?: ReactNode;
    error?: string;
    span?: boolean;
    onValue?: (value: string) => void;
}) {
    return (
        <Field label={label} hint={hint} error={error} span={span}>
            {(props) => <input type="text" {...rest} {...props} onChange={(event) => onValue?.(event.target.value)} />}
        </Field>
    );
}

/** A field that shows nobody what is typed. A secret of something else is `off`: no browser is to keep or to suggest it. */
export function PasswordField(
    props: Omit<ComponentProps<typeof TextField>, "type" | "autoComplete"> & {
        autoComplete: "current-password" | "new-password" | "off";
    },
) {
    return <TextField spellCheck={false} autoCapitalize="none" {...props} type="password" />;
}

/** A choice of one among few, by the browser's own control: quick, and at home on a phone. */
export function SelectField({
    label,
    hint,
    error,
    span,
    onValue,
    options,
    ...rest
}: Omit<ComponentProps<"select">, "onChange"> & {
    label: string;
    hint?: ReactNode;
    error?: string;
    span?: boolean;
    onValue?: (value: string) => void;
    options: readonly (readonly [string, string])[];
}) {
    return (
        <Field label={label} hint={hint} error={error} span={span}>
            {(props) => (
                <select {...rest} {...props} onChange={(event) => onValue?.(event.target.value)}>
                    {options.map(([value, text]) => (
                        <option key={value} value={value}>
                            {text}
                        </option>
                    ))}
                </select>
            )}
        </Field>
    );
}

/** The same without a visible label, for the line above a list. */
export function Filter({
    label,
    value,
    busy,
    onValue,
    options,
}: {
    label: string;
    value: string;
    /** Whether what was chosen is still on its way. */
    busy?: boolean;
    onValue: (value: string) => void;
    options: readonly (readonly [string, string])[];
}) {
    return (
        <select
            className="compact"
            aria-label={label}
            aria-busy={busy || undefined}
            disabled={busy}
            value={value}
            onChange={(event) => onValue(event.target.value)}
        >
            {options.map(([value, text]) => (
                <option key={value} value={value}>
                    {text}
                </option>
            ))}
        </select>
    );
}

export function SearchBox({
    label,
    value,
    onValue,
}: {
    label: string;
    value: string;
    onValue: (value: string) => void;
}) {
    return (
        <div className="search">
            <Search size={15} aria-hidden />
            <input
                type="search"
                className="compact"
                aria-label={label}
                placeholder={label}
                value={value}
                onChange={(event) => onValue(event.target.value)}
            />
        </div>
    );
}

export function Check({ label, hint, ...rest }: ComponentProps<"input"> & { label: ReactNode; hint?: ReactNode }) {
    return (
        <label className="check">
            <input type="checkbox" {...rest} />
            <span>
                {label}
                {hint && <small>{hint}</small>}
            </span>
        </label>
    );
}

/** Controls that answer one question together, under its words; with a hint and what is wrong with them. */
export function Choices({
    legend,
    isHidden,
    hint,
    error,
    children,
}: {
    legend: string;
    isHidden?: boolean;
    hint?: ReactNode;
    error?: ReactNode;
    children: ReactNode;
}) {
    return (
        <fieldset className="choices">
            <legend className={isHidden ? "visually-hidden" : "label"}>{legend}</legend>
            {children}
            {(hint || error) && (
                <div className="field">
                    {hint && <span className="hint">{hint}</span>}
                    {error && (
                        <span className="wrong" role="alert">
                            {error}
                        </span>
                    )}
                </div>
            )}
        </fieldset>
    );
}

export function Note({ tone = "", children }: { tone?: "" | "good" | "warn" | "bad"; children: ReactNode }) {
    const Icon = tone === "good" ? CheckCircle2 : tone === "" ? Info : AlertCircle;
    return (
        <div className={`note ${tone}`} role={tone === "bad" ? "alert" : undefined}>
            <Icon size={16} aria-hidden />
            <div className="grow">{children}</div>
        </div>
    );
}

/** An error in the server's words, with what to tell whoever runs it. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
    const id = error instanceof ApiError ? error.requestId : undefined;
    const details = error instanceof ApiError ? error.details : [];
    return (
        <Note tone="bad">
            <p>{error instanceof Error ? error.message : "Something went wrong."}</p>
            {details.length > 0 && (
                <ul className="small">
                    {details.map((detail) => (
                        <li key={detail.field + detail.reason}>
                            <b>{detail.field}</b>: {detail.reason}
                        </li>
                    ))}
                </ul>
            )}
            {(id || retry) && (
                <p className="row small">
                    {id && (
                        <span className="soft">
                            Request <code>{id}</code>
                        </span>
                    )}
                    {retry && (
                        <Button small onClick={retry}>
                            Try again
                        </Button>
                    )}
                </p>
            )}
        </Note>
    );
}

export function Empty({ title, children, actions }: { title: string; children?: ReactNode; actions?: ReactNode }) {
    return (
        <div className="empty">
            <h2>{title}</h2>
            {children && <p>{children}</p>}
            {actions && <div className="row">{actions}</div>}
        </div>
    );
}

export function Skeleton({ lines = 3, height }: { lines?: number; height?: number }) {
    return (
        <div className="stack tight" aria-hidden>
            {Array.from({ length: lines }, (_, line) => (
                <span
                    key={line}
                    className="skeleton"
                    style={{ width: height ? "100%" : `${92 - ((line * 17) % 40)}%`, height }}
                />
            ))}
        </div>
    );
}

/** A page: where it is, what it is, what can be done, and its content. */
export function Page({
    title,
    lead,
    crumbs,
    actions,
    narrow,
    children,
}: {
    title: string;
    lead?: ReactNode;
    crumbs?: ReactNode;
    actions?: ReactNode;
    narrow?: boolean;
    children: ReactNode;
}) {
    return (
        <div className={`page ${narrow ? "narrow" : ""}`}>
            <title>{`${title} · RiverGen`}</title>
            <header className="page-head">
                <div className="grow">
                    {crumbs && (
                        <nav className="crumbs" aria-label="Breadcrumb">
                            {crumbs}
                        </nav>
                    )}
                    <h1 tabIndex={-1}>{title}</h1>
                    {lead && <p className="lead">{lead}</p>}
                </div>
                {actions && <div className="row">{actions}</div>}
            </header>
            {children}
        </div>
    );
}

/** Where the parts of a page are wider than the screen, the one that is open is in sight. */
export const showActive = (nav: HTMLElement | null) => {
    const active = nav?.querySelector(".active");
    if (nav && active) nav.scrollLeft += active.getBoundingClientRect().right - nav.getBoundingClientRect().right + 28;
};

export function Card({
    title,
    actions,
    children,
    flush,
}: {
    title?: ReactNode;
    actions?: ReactNode;
    children: ReactNode;
    flush?: boolean;
}) {
    return (
        <section className="card">
            {title && (
                <header>
                    <h2>{title}</h2>
                    {actions && <div className="row">{actions}</div>}
                </header>
            )}
            {flush ? children : <div className="body">{children}</div>}
        </section>
    );
}

export function Facts({ of }: { of: readonly (readonly [string, ReactNode] | false | null | undefined)[] }) {
    return (
        <dl className="facts">
            {of.map(
                (fact) =>
                    fact && (
                        <div key={fact[0]} style={{ display: "contents" }}>
                            <dt>{fact[0]}</dt>
                            <dd>{fact[1] ?? "—"}</dd>
                        </div>
                    ),
            )}
        </dl>
    );
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A moment as people say it, the exact time on hover. */
export function When({ at, never = "never" }: { at: string | null | undefined; never?: string }) {
    if (!at) return <span className="soft">{never}</span>;
    const date = new Date(at);
    const seconds = (date.getTime() - Date.now()) / 1000;
    const units = [
        ["day", 86400],
        ["hour", 3600],
        ["minute", 60],
    ] as const;
    const unit = units.find(([, size]) => Math.abs(seconds) >= size);
    const text =
        Math.abs(seconds) > 30 * 86400
            ? full.format(date)
            : unit
              ? relative.format(Math.round(seconds / unit[1]), unit[0])
              : "just now";
    return (
        <time dateTime={at} title={full.format(date)} className="nowrap">
            {text}
        </time>
    );
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (value: number | null | undefined) =>
    value == null ? "—" : value < 100_000 ? value.toLocaleString("en") : compact.format(value);

export function bytes(value: number): string {
    const units = ["B", "KB", "MB", "GB", "TB"];
    const power = Math.min(units.length - 1, value > 0 ? Math.floor(Math.log10(value) / 3) : 0);
    return `${(value / 1000 ** power).toFixed(power && value / 1000 ** power < 10 ? 1 : 0)} ${units[power]}`;
}

/** A text that is meant to be copied somewhere else. */
export function Copyable({ text, label }: { text: string; label: string }) {
    return (
        <div className="row" style={{ flexWrap: "nowrap" }}>
            <code className="code-block grow" style={{ padding: "6px 10px" }}>
                {text}
            </code>
            <Button small onClick={() => void copy(text, `Copied the ${label}.`)} aria-label={`Copy ${label}`}>
                Copy
            </Button>
        </div>
    );
}
