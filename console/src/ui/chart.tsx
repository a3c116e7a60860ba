// A chart of one text or date against one number, as bars or a line; it needs nothing but SVG, and says its values in words.

import { useLayoutEffect, useRef, useState } from "react";
import { count } from "./basics";
import type { Cell, GridColumn } from "./grid";

type Shape = { label: number; value: number; isTime: boolean };

/** What of an answer can be drawn, if anything. */
export function shapeOf(columns: GridColumn[], rows: Cell[][]): Shape | undefined {
    const isNumeric = (index: number) =>
        rows.some((row) => typeof row[index] === "number" || isDecimal(row[index])) &&
        rows.every((row) => row[index] == null || Number.isFinite(Number(row[index])));
    const value = columns.findLastIndex(
        (column, index) =>
            !column.masked && /int|float|double|decimal|numeric|real/i.test(column.type) && isNumeric(index),
    );
    const label = columns.findIndex((_, index) => index !== value);
    if (value < 0 || label < 0 || rows.length < 1) return undefined;
    // A line through the months of all regions, or bars that are called alike, would be about none of them.
    if (new Set(rows.map((row) => row[label])).size < rows.length) return undefined;
    return { label, value, isTime: /date|time/i.test(columns[label]?.type ?? "") };
}
const isDecimal = (value: Cell | undefined) => typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value);

const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
/** A date as people write it; what else stands there, as it is. */
const day = (label: string) =>
    /^\d{4}-\d{2}-\d{2}/.test(label) ? dayFormat.format(Date.parse(label.slice(0, 10))) : label;

const WIDEST = 1000;
/** How wide the drawing may be: its letters keep their size on a phone. */
function useWidth() {
    const frame = useRef<HTMLDivElement>(null);
    const [width, setWidth] = useState(WIDEST);
    useLayoutEffect(() => {
        const element = frame.current;
        if (!element) return;
        const measure = () => {
            const { paddingLeft, paddingRight } = getComputedStyle(element);
            const inside = element.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
            setWidth(Math.max(240, Math.min(WIDEST, Math.floor(inside))));
        };
        measure();
        const observer = new ResizeObserver(measure);
        observer.observe(element);
        return () => observer.disconnect();
    }, []);
    return { frame, width };
}

export function Chart({ columns, rows }: { columns: GridColumn[]; rows: Cell[][] }) {
    const { frame, width } = useWidth();
    const shape = shapeOf(columns, rows);
    if (!shape) return <div className="chart soft">This answer does not have one number for each label to chart.</div>;
    const points = rows
        .slice(0, shape.isTime ? 400 : 30)
        .map((row) => ({ label: String(row[shape.label] ?? "NULL"), value: Number(row[shape.value] ?? 0) }));
    if (shape.isTime) points.sort((a, b) => a.label.localeCompare(b.label));
    const top = Math.max(0, ...points.map((point) => point.value));
    const bottom = Math.min(0, ...points.map((point) => point.value));
    const range = top - bottom || 1;
    const title = `${columns[shape.value]?.name} by ${columns[shape.label]?.name}`;

    if (shape.isTime && points.length > 1) {
        const height = 240;
        const x = (index: number) => 60 + (index / (points.length - 1)) * (width - 80);
        const y = (value: number) => 14 + (1 - (value - bottom) / range) * (height - 50);
        return (
            <div className="chart" ref={frame} tabIndex={0} role="region" aria-label={title}>
                <svg
                    viewBox={`0 0 ${width} ${height}`}
                    role="img"
                    aria-label={`${title}: from ${points[0]?.label} to ${points.at(-1)?.label}`}
                    style={{ width, display: "block" }}
                >
                    {[0, 0.5, 1].map((part) => (
                        <g key={part}>
                            <line
                                className="axis"
                                x1="60"
                                x2={width - 20}
                                y1={y(bottom + range * part)}
                                y2={y(bottom + range * part)}
                            />
                            <text x="52" y={y(bottom + range * part) + 4} textAnchor="end">
                                {count(Math.round((bottom + range * part) * 100) / 100)}
                            </text>
                        </g>
                    ))}
                    <polyline
                        className="line"
                        points={points.map((point, index) => `${x(index)},${y(point.value)}`).join(" ")}
                    />
                    {points.length <= 60 &&
                        points.map((point, index) => (
                            <circle key={point.label + index} className="mark" r="3" cx={x(index)} cy={y(point.value)}>
                                <title>{`${day(point.label)}: ${point.value.toLocaleString()}`}</title>
                            </circle>
                        ))}
                    <text x="60" y={height - 8}>
                        {day(points[0]?.label ?? "")}
                    </text>
                    <text x={width - 20} y={height - 8} textAnchor="end">
                        {day(points.at(-1)?.label ?? "")}
                    </text>
                </svg>
            </div>
        );
    }
    const line = 30;
    if (shape.isTime) for (const point of points) point.label = day(point.label);
    const labelWidth = Math.min(220, width * 0.38, Math.max(...points.map((point) => point.label.length)) * 7 + 16);
    const letters = Math.floor((labelWidth - 16) / 7) + 1;
    return (
        <div className="chart" ref={frame} tabIndex={0} role="region" aria-label={title}>
            <svg
                viewBox={`0 0 ${width} ${points.length * line + 4}`}
                role="img"
                aria-label={`${title}: ${points
                    .slice(0, 8)
                    .map((point) => `${point.label} ${point.value}`)
                    .join(", ")}`}
                style={{ width, display: "block" }}
            >
                {points.map((point, index) => {
                    const size = (Math.abs(point.value) / Math.max(top, -bottom, 1e-9)) * (width - labelWidth - 64);
                    return (
                        <g key={point.label + index} transform={`translate(0 ${index * line})`}>
                            <text x={labelWidth - 10} y="19" textAnchor="end">
                                {point.label.length > letters ? `${point.label.slice(0, letters - 1)}…` : point.label}
                            </text>
                            <rect
                                className="mark"
                                x={labelWidth}
                                y="5"
                                width={Math.max(2, size)}
                                height={line - 10}
                                rx="3"
                                opacity={point.value < 0 ? 0.5 : 1}
                            />
                            <text x={labelWidth + size + 8} y="19">
                                {count(point.value)}
                            </text>
                        </g>
                    );
                })}
            </svg>
            {rows.length > points.length && (
                <p className="small soft">
                    The first {points.length} of {rows.length.toLocaleString()} rows.
                </p>
            )}
        </div>
    );
}
