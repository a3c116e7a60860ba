// Days, in the time of whoever chooses them.

/** The beginning of a day, or of one that comes later; none for what is no day. */
export function midnight(day = "", later = 0): string | undefined {
    const at = new Date(`${day}T00:00`);
    at.setDate(at.getDate() + later);
    return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** A day, in a line with other controls. */
export function DayField({ label, day, onDay }: { label: string; day: string; onDay: (day: string) => void }) {
    return (
        <label className="row small soft">
            <span>{label}</span>
            <input type="date" className="compact" value={day} onChange={(event) => onDay(event.target.value)} />
        </label>
    );
}
