// A value of an answer, in the words in which it is shown.

export type Cell = string | number | boolean | null | object;

export const shown = (value: Cell | undefined) =>
    value == null ? "NULL" : typeof value === "object" ? JSON.stringify(value) : String(value);

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 6, useGrouping: false });

/** The same with numbers rounded, as far as one reads them. */
export const asText = (value: Cell | undefined) => (typeof value === "number" ? numbers.format(value) : shown(value));
