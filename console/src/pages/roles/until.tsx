// A role on loan: the day at whose end it ends by itself.

export function Until({ day, onDay }: { day: string; onDay: (day: string) => void }) {
    return (
        <label className="row small soft">
            to the end of{" "}
            <input
                type="date"
                className="compact"
                style={{ width: "auto", minHeight: 32 }}
                value={day}
                onChange={(event) => onDay(event.target.value)}
            />
        </label>
    );
}
