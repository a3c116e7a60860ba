// What became of the runs of a schedule, and who heard of each.

import { type Schemas, api, read } from "../../api/client";
import { Badge, Button, Empty, Status, When, count, words } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { List } from "../../ui/list";
import { PersonName } from "../../ui/person-choice";
import type { Schedule } from "./schedule";

type Run = Schemas["ScheduledRun"];

const isUnderWay = (run: Run) =>
    run.status === "pending" || run.status === "running" || run.deliveries.some((each) => each.status === "pending");

export function ScheduleRuns({
    schedule,
    isOwn,
    onClose,
}: {
    schedule: Schedule;
    isOwn: boolean;
    onClose: () => void;
}) {
    return (
        <Dialog wide title={`Runs of ${schedule.name}`} onClose={onClose}>
            <p className="soft">Kept for 30 days. {!isOwn && "Only the owner sees answers and errors."}</p>
            <List
                name="Scheduled runs"
                of={["schedules", schedule.id, "runs"]}
                size={10}
                isUnderWay={isUnderWay}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompts/schedules/{schedule_id}/runs", {
                            params: { path: { schedule_id: schedule.id }, query: { page, page_size: size } },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(run) => run.id}
                columns={[
                    {
                        head: "When",
                        cell: (run) => (
                            <span className="row">
                                <When at={run.due_at} />
                                {run.by_hand && <Badge>Manual</Badge>}
                            </span>
                        ),
                    },
                    {
                        head: "Status",
                        className: "break",
                        cell: (run) => (
                            <>
                                <Status value={run.status} />
                                {run.error_code && (
                                    <div className="small soft" style={{ minWidth: 160 }}>
                                        {run.error_message ?? words(run.error_code.toLowerCase())}
                                    </div>
                                )}
                            </>
                        ),
                    },
                    isOwn && { head: "Rows", cell: (run) => count(run.rows_returned), numeric: true },
                    {
                        head: "Sent to",
                        className: "break",
                        cell: (run) =>
                            run.deliveries.length === 0 ? (
                                "—"
                            ) : (
                                <ul className="small" style={{ minWidth: 180 }}>
                                    {run.deliveries.map((each, at) => (
                                        <Sending key={at} of={each} />
                                    ))}
                                </ul>
                            ),
                    },
                ]}
                empty={<Empty title="No runs yet" />}
            />
            <div className="form-end">
                <Button onClick={onClose}>Close</Button>
            </div>
        </Dialog>
    );
}

function Sending({ of }: { of: Schemas["ScheduleSending"] }) {
    return (
        <li>
            <span className="row">
                <span>
                    {of.channel === "webhook" ? (
                        "Webhook"
                    ) : of.user_id == null ? (
                        "Former member"
                    ) : (
                        <PersonName id={of.user_id} />
                    )}
                </span>
                <Status value={of.status} />
                {of.attempts > 1 && <span className="soft">{of.attempts} attempts</span>}
            </span>
            {of.status === "withheld" && (
                <div className="soft">
                    {of.channel === "mail"
                        ? "They no longer have access to the question."
                        : "Its owner no longer has access."}
                </div>
            )}
            {of.error && <div className="soft">{of.error}</div>}
        </li>
    );
}
