// Conditions as lines: an attribute, how it is compared, and with what.

export type Line = { attribute: string; operator: string; value: string; not: boolean };

export const ATTRIBUTES = [
    "environment.ip",
    "environment.network",
    "environment.hour",
    "environment.weekday",
    "environment.time",
    "environment.device_trusted",
    "subject.mfa",
    "subject.passkey",
    "subject.sso",
    "subject.token",
    "subject.roles",
    "subject.groups",
    "subject.email_domain",
    "subject.id",
    "resource.id",
    "resource.workspace",
    "resource.owner",
    "action.name",
];

export const OPERATORS = [
    ["eq", "is"],
    ["ne", "is not"],
    ["in", "is one of"],
    ["not_in", "is none of"],
    ["contains", "contains"],
    ["starts_with", "begins with"],
    ["gt", ">"],
    ["gte", "≥"],
    ["lt", "<"],
    ["lte", "≤"],
    ["ip_in_range", "is in the network"],
    ["exists", "is known"],
] as const;

/** A value as people type it: numbers and flags by their look, lists with commas. */
export function valueOf({ operator, value, attribute }: Line): unknown {
    const one = (text: string): unknown =>
        text === "true"
            ? true
            : text === "false"
              ? false
              : /^-?\d+$/.test(text) && !attribute.startsWith("subject.email")
                ? Number(text)
                : text;
    if (operator === "exists") return value !== "false";
    return ["in", "not_in", "ip_in_range"].includes(operator)
        ? value
              .split(",")
              .map((part) => one(part.trim()))
              .filter((part) => part !== "")
        : one(value.trim());
}

export function parsed(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        throw new Error("The conditions are not valid JSON.");
    }
}
