// Saved questions that are asked by themselves: all that one sees, and those of one question.

import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { MoreHorizontal } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { api, read } from "../../api/client";
import { queries } from "../../queries";
import { useMay, useMe } from "../../standing";
import { useAction } from "../../ui/action";
import { Badge, Button, Empty, Filter, Status, When } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { PersonName } from "../../ui/person-choice";
import type { Saved } from "./keeping";
import { QuestionsPart } from "./part";
import { ChangeSchedule, NewSchedule, type Schedule } from "./schedule";
import { ScheduleRuns } from "./schedule-runs";
import { inWords } from "./timing";

/** Of whom schedules are, wherever they are listed. */
const WHOSE = "Each runs as its owner and under their policies. Only they can edit, run or resume it.";

/** People that a line names; of more it says how many. */
const NAMED = 3;

export function AllSchedules() {
    const [whose, setWhose] = useState("");
    const [status, setStatus] = useState("");
    const isNarrowed = whose !== "" || status !== "";
    return (
        <QuestionsPart lead={`Saved questions that run on a schedule. ${WHOSE}`}>
            <Schedules
                of={{ own: whose === "own" || undefined, status: (status || undefined) as Schedule["status"] }}
                filters={
                    <>
                        <Filter
                            label="Whose"
                            value={whose}
                            onValue={setWhose}
                            options={[
                                ["", "Everyone's"],
                                ["own", "Mine"],
                            ]}
                        />
                        <Filter
                            label="Status"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "Any status"],
                                ["active", "Active"],
                                ["paused", "Paused"],
                            ]}
                        />
                    </>
                }
                empty={
                    isNarrowed ? (
                        <Empty title="No matching schedules">Try another owner or status.</Empty>
                    ) : (
                        <Empty
                            title="No schedules yet"
                            actions={
                                <Link className="button primary" to="/questions">
                                    Saved questions
                                </Link>
                            }
                        >
                            Open a saved question and choose when it runs and who gets the answer.
                        </Empty>
                    )
                }
            />
        </QuestionsPart>
    );
}

export function SchedulesOf({ question }: { question: Saved }) {
    const may = useMay();
    // Whoever comes from an answer to have it asked by itself is asked when.
    const { schedule } = useSearch({ strict: false }) as { schedule?: string };
    const [making, setMaking] = useState(schedule === "new");
    const navigate = useNavigate();
    // Once: neither a reload nor the way back asks again.
    useEffect(() => {
        if (schedule !== undefined)
            void navigate({
                to: "/questions/$id",
                params: { id: String(question.id) },
                search: ({ schedule: _, ...others }) => others,
                replace: true,
            });
    }, [schedule, question.id, navigate]);
    return (
        <>
            <header className="section-head">
                <div className="grow">
                    <h2>Schedules</h2>
                    <p className="small soft">{WHOSE}</p>
                </div>
                {may("prompt.execute") && may("datasource.query") && (
                    <Button small onClick={() => setMaking(true)}>
                        New schedule
                    </Button>
                )}
            </header>
            <Schedules
                of={{ prompt_id: question.id }}
                empty={
                    <Empty title="No schedules yet">
                        Run it every hour, day, week or month, with the answer sent by e-mail or to a webhook.
                    </Empty>
                }
            />
            {making && <NewSchedule question={question} onClose={() => setMaking(false)} />}
        </>
    );
}

function Schedules({
    of,
    filters,
    empty,
}: {
    /** Which, as the API asks. */
    of: { prompt_id?: number; own?: boolean; status?: Schedule["status"] };
    filters?: ReactNode;
    empty: ReactNode;
}) {
    const may = useMay();
    const me = useMe().data?.user.id;
    const [changing, setChanging] = useState<Schedule>();
    const [deleting, setDeleting] = useState<Schedule>();
    const [looked, setLooked] = useState<Schedule>();
    const path = ({ id }: Schedule) => ({ schedule_id: id });
    const isOwn = (schedule: Schedule) => schedule.owner_user_id === me;
    const turn = useAction(
        ({ schedule, status }: { schedule: Schedule; status: Schedule["status"] }) =>
            read(
                api.PATCH("/api/v1/prompts/schedules/{schedule_id}", {
                    params: { path: path(schedule) },
                    body: { status },
                }),
            ),
        {
            done: ({ status }) => (status === "active" ? "Resumed. It runs when it is next due." : "Paused."),
            changes: [["schedules"]],
        },
    );
    const run = useAction(
        (schedule: Schedule) =>
            read(api.POST("/api/v1/prompts/schedules/{schedule_id}/run", { params: { path: path(schedule) } })),
        { done: "Started.", changes: [["schedules"]] },
    );
    return (
        <>
            <List
                name="Schedules"
                of={["schedules", of]}
                filters={filters}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompts/schedules", { params: { query: { page, page_size: size, ...of } } }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(schedule) => schedule.id}
                columns={[
                    {
                        head: "Schedule",
                        className: "break",
                        cell: (schedule) => (
                            <div style={{ minWidth: 180 }}>
                                {of.prompt_id !== undefined || schedule.paused_reason === "question_gone" ? (
                                    <b className="strong">{schedule.name}</b>
                                ) : (
                                    <Link
                                        className="strong"
                                        to="/questions/$id"
                                        params={{ id: String(schedule.prompt_id) }}
                                    >
                                        {schedule.name}
                                    </Link>
                                )}
                                <div className="small soft">
                                    {inWords(schedule.timing)}, {schedule.timing.time_zone.replaceAll("_", " ")}
                                </div>
                            </div>
                        ),
                    },
                    { head: "Next run", cell: (schedule) => <When at={schedule.next_run_at} never="—" /> },
                    {
                        head: "Status",
                        className: "break",
                        cell: (schedule) => (
                            <div style={{ minWidth: 150 }}>
                                <Status value={schedule.status} />
                                <div className="small soft">{told(schedule, isOwn(schedule))}</div>
                            </div>
                        ),
                    },
                    { head: "Owner", cell: (schedule) => <PersonName id={schedule.owner_user_id} /> },
                    { head: "Sent to", className: "break", cell: (schedule) => <Heard of={schedule.delivery} /> },
                    {
                        head: "",
                        cell: (schedule) => {
                            const own = isOwn(schedule);
                            const mayStop = own || may("prompt.write");
                            return (
                                <ActionMenu
                                    label={`More for ${schedule.name}`}
                                    busy={
                                        run.isBusyWith(schedule) ||
                                        (["active", "paused"] as const).some((status) =>
                                            turn.isBusyWith({ schedule, status }),
                                        )
                                    }
                                    choices={[
                                        mayStop && { label: "Runs", run: () => setLooked(schedule) },
                                        own &&
                                            may("prompt.execute") && {
                                                label: "Run now",
                                                run: async () => {
                                                    if (await run.start(schedule)) setLooked(schedule);
                                                },
                                            },
                                        own && { label: "Edit…", run: () => setChanging(schedule) },
                                        mayStop &&
                                            schedule.status === "active" && {
                                                label: "Pause",
                                                run: () => void turn.start({ schedule, status: "paused" }),
                                            },
                                        own &&
                                            schedule.status === "paused" && {
                                                label: "Resume",
                                                run: () => void turn.start({ schedule, status: "active" }),
                                            },
                                        mayStop && {
                                            label: "Delete…",
                                            danger: true,
                                            run: () => setDeleting(schedule),
                                        },
                                    ]}
                                >
                                    <MoreHorizontal size={16} />
                                </ActionMenu>
                            );
                        },
                    },
                ]}
                empty={empty}
            />
            {changing && <ChangeSchedule schedule={changing} onClose={() => setChanging(undefined)} />}
            {looked && (
                <ScheduleRuns
                    schedule={looked}
                    isOwn={isOwn(looked)}
                    onClose={() => {
                        setLooked(undefined);
                        // What ran meanwhile shows around it.
                        void queries.invalidateQueries({ queryKey: ["schedules"] });
                        void queries.invalidateQueries({ queryKey: ["prompt", looked.prompt_id] });
                    }}
                />
            )}
            {deleting && (
                <Deletion
                    of={deleting.name}
                    run={() =>
                        read(
                            api.DELETE("/api/v1/prompts/schedules/{schedule_id}", { params: { path: path(deleting) } }),
                        )
                    }
                    changes={[["schedules"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>Its run history is deleted with it. Answers are kept.</p>
                </Deletion>
            )}
        </>
    );
}

/** Why it is paused and what of it; or that its runs fail. */
function told({ status, paused_reason, failures }: Schedule, isOwn: boolean): string {
    if (status === "active") {
        if (failures === 0) return "";
        return failures === 1 ? "The last run failed." : `The last ${failures} runs failed. After ten it is paused.`;
    }
    const [Who, who] = isOwn ? ["You", "you"] : ["Its owner", "its owner"];
    const why = {
        by_hand: "Paused manually.",
        access_lost: `${Who} lost access to the organization or the workspace.`,
        permission_lost: `${Who} lost a permission it needs.`,
        question_gone: `The question was deleted, or is no longer visible to ${who}.`,
        source_gone: `A source was deleted, or is no longer open to ${who}.`,
        failing: "Ten runs in a row failed.",
        handed_over: `Another member handed it over to ${who}. Its webhook was removed.`,
    }[paused_reason ?? "by_hand"];
    return isOwn ? why : `${why} Only its owner can resume it.`;
}

function Heard({ of }: { of: Schedule["delivery"] }) {
    const more = of.mail_to_user_ids.length - NAMED;
    return (
        <ul className="small" style={{ minWidth: 120 }}>
            {of.mail_to_user_ids.slice(0, NAMED).map((id) => (
                <li key={id}>
                    <PersonName id={id} />
                </li>
            ))}
            {more > 0 && <li>{more} more</li>}
            {of.webhook_origin && <li>{of.webhook_origin}</li>}
            {of.include_rows && (
                <li>
                    <Badge>With rows</Badge>
                </li>
            )}
        </ul>
    );
}
