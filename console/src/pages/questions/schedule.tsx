// Making a schedule of a saved question, or changing one of one's own.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay, useMe } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Button, Check, Choices, TextField } from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { PeopleChoice, PersonName } from "../../ui/person-choice";
import { Secret } from "../../ui/secret";
import type { Saved } from "./keeping";
import { type TimingDraft, TimingFields, draftOf, timingOf } from "./timing";

export type Schedule = Schemas["PromptSchedule"];

type Draft = {
    name: string;
    timing: TimingDraft;
    mailTo: number[];
    /** Another address than the one that is kept and not told. */
    webhook: string;
    isWithoutWebhook: boolean;
    includeRows: boolean;
};

/** What the draft makes of who hears of it. */
const deliveryOf = ({ mailTo, webhook, isWithoutWebhook, includeRows }: Draft) => ({
    mail_to_user_ids: mailTo,
    webhook_url: isWithoutWebhook ? null : webhook.trim() || undefined,
    include_rows: includeRows,
});

export function NewSchedule({ question, onClose }: { question: Saved; onClose: () => void }) {
    const me = useMe().data?.user.id;
    return (
        <ScheduleForm
            title="New schedule"
            first={{
                name: (question.name || question.prompt_text).slice(0, 255),
                timing: draftOf(),
                mailTo: me === undefined ? [] : [me],
                webhook: "",
                isWithoutWebhook: false,
                includeRows: false,
            }}
            send={(draft) =>
                read(
                    api.POST("/api/v1/prompts/{prompt_id}/schedules", {
                        params: { path: { prompt_id: question.id } },
                        body: { name: draft.name, timing: timingOf(draft.timing), delivery: deliveryOf(draft) },
                    }),
                )
            }
            action="Create schedule"
            done="Scheduled."
            onClose={onClose}
        />
    );
}

export function ChangeSchedule({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
    const { name, timing, delivery } = schedule;
    const first: Draft = {
        name,
        timing: draftOf(timing),
        mailTo: delivery.mail_to_user_ids,
        webhook: "",
        isWithoutWebhook: false,
        includeRows: delivery.include_rows,
    };
    const send = (draft: Draft) => {
        // What stays is not said again: people who left meanwhile would be refused.
        const changed = <T,>(of: (draft: Draft) => T) => (isSame(of(draft), of(first)) ? undefined : of(draft));
        return read(
            api.PATCH("/api/v1/prompts/schedules/{schedule_id}", {
                params: { path: { schedule_id: schedule.id } },
                body: {
                    name: changed((each) => each.name),
                    timing: changed((each) => timingOf(each.timing)),
                    delivery: changed(deliveryOf) && {
                        ...deliveryOf(draft),
                        mail_to_user_ids: changed((each) => each.mailTo),
                        include_rows: changed((each) => each.includeRows),
                    },
                },
            }),
        );
    };
    return (
        <ScheduleForm
            title={`Edit ${name}`}
            first={first}
            origin={delivery.webhook_origin ?? undefined}
            send={send}
            action="Save"
            done="Saved."
            onClose={onClose}
        />
    );
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);

function ScheduleForm({
    title,
    first,
    origin,
    send,
    action,
    done,
    onClose,
}: {
    title: string;
    first: Draft;
    /** Where its webhook is, where it has one. */
    origin?: string;
    send: (draft: Draft) => Promise<Schedule>;
    /** The word on the button. */
    action: string;
    done: string;
    onClose: () => void;
}) {
    const may = useMay();
    const me = useMe().data?.user.id;
    const [draft, setDraft] = useState(first);
    const [touched, setTouched] = useState(false);
    const [secret, setSecret] = useState<string>();
    const set = (change: Partial<Draft>) => {
        setDraft({ ...draft, ...change });
        setTouched(true);
    };
    const save = useAction(send, {
        done,
        changes: [["schedules"]],
        inline: true,
        onDone: ({ webhook_secret }) => (webhook_secret ? setSecret(webhook_secret) : onClose()),
    });
    const setMailTo = (mailTo: number[]) => {
        // What is wrong was said of the people as they stood.
        save.reset();
        set({ mailTo });
    };
    const refused = draft.mailTo
        .map((id, at) => ({ id, why: save.of(`delivery.mail_to_user_ids[${at}]`) }))
        .find(({ why }) => why !== undefined);
    const others = draft.mailTo.filter((id) => id !== me);
    const hasWebhook = !draft.isWithoutWebhook && (draft.webhook.trim() !== "" || origin !== undefined);
    const isUnheard = draft.mailTo.length === 0 && !hasWebhook;

    if (secret)
        return (
            <Dialog title="Signing secret" touched onClose={onClose}>
                <Secret secret={secret} of="the webhook">
                    <span className="small">Receivers use it to verify that messages come from here.</span>
                </Secret>
                <div className="form-end">
                    <Button kind="primary" onClick={onClose}>
                        Close
                    </Button>
                </div>
            </Dialog>
        );
    return (
        <Dialog wide title={title} touched={touched} onClose={onClose}>
            <ActionForm
                action={save}
                on={draft}
                submit={action}
                disabled={isUnheard}
                onCancel={onClose}
                touched={touched}
                what="The schedule is"
            >
                <p className="soft">Runs as you, under your policies at the time of each run.</p>
                <TextField
                    label="Name"
                    required
                    maxLength={255}
                    value={draft.name}
                    onValue={(name) => set({ name })}
                    autoFocus
                    error={save.of("name")}
                />
                <TimingFields draft={draft.timing} onDraft={(timing) => set({ timing })} of={save.of} />
                <Choices legend="Delivery" error={isUnheard ? "Choose a recipient or a webhook." : save.of("delivery")}>
                    {me !== undefined && (
                        <Check
                            label="E-mail me"
                            hint="With the number of rows."
                            checked={draft.mailTo.includes(me)}
                            onChange={(event) => setMailTo(event.target.checked ? [me, ...others] : others)}
                        />
                    )}
                </Choices>
                {(may("user.read") || others.length > 0) && (
                    <PeopleChoice
                        label="E-mail others"
                        hint="They get a link and see the answer under their own policies. Up to 20 people who can see the question."
                        chosen={others}
                        onChosen={(chosen) => setMailTo([...draft.mailTo.filter((id) => id === me), ...chosen])}
                        without={me === undefined ? [] : [me]}
                        error={
                            refused ? (
                                <>
                                    <PersonName id={refused.id} /> {refused.why}.
                                </>
                            ) : (
                                save.of("delivery.mail_to_user_ids")
                            )
                        }
                    />
                )}
                {may("prompt.write") && !draft.isWithoutWebhook && (
                    <TextField
                        label="Webhook (optional)"
                        type="url"
                        placeholder={origin ? `${origin}/…` : "https://hooks.acme.example/orders"}
                        hint={
                            origin
                                ? "The address is not shown again. A new address gets a new secret."
                                : "Receives each answer as a signed message. The signing secret is shown once."
                        }
                        value={draft.webhook}
                        onValue={(webhook) => set({ webhook })}
                        error={save.of("delivery.webhook_url")}
                    />
                )}
                {origin && (
                    <Check
                        label={`Stop sending to ${origin}`}
                        checked={draft.isWithoutWebhook}
                        onChange={(event) => set({ isWithoutWebhook: event.target.checked, webhook: "" })}
                    />
                )}
                <Check
                    label="Include rows"
                    hint="The first 20 in your own e-mail, the first 1,000 to the webhook. E-mails to others never contain rows."
                    checked={draft.includeRows}
                    onChange={(event) => set({ includeRows: event.target.checked })}
                />
            </ActionForm>
        </Dialog>
    );
}
