//! The mails of schedules.

use rivergen_identity::user::User;
use rivergen_kernel::UserId;
use rivergen_platform::{
    Platform,
    mail::{Mail, MailTemplate, Table},
};

use super::{Model, PausedReason};
use crate::execution::{self, Preview};

/// Of what the owner's mail shows at most.
const ROWS: usize = 20;
const COLUMNS: usize = 8;
/// Characters of a cell.
const LONGEST_CELL: usize = 100;

const FOOTER: &str = "You are receiving this e-mail because a schedule in your organization lists you as a recipient. \
                      Its owner can change that on the page of the saved question.";

/// With the way to the question, and why the mail came.
fn finished(template: MailTemplate, kind: &str, platform: &Platform, schedule: &Model, to: &User) -> Mail {
    let question = format!("{}/questions/{}", platform.public_url, schedule.prompt_id);
    template.action("Open the question", question).footer(FOOTER).into_mail(kind, &to.email.email)
}

/// Says that the question was answered. Whoever is not the owner is told nothing of the answer: their policies may hide it.
pub(super) fn answered(
    platform: &Platform,
    schedule: &Model,
    run: &execution::Model,
    to: &User,
    rows: Option<&Preview>,
) -> Mail {
    let title = format!("{}: there is a new answer", schedule.name);
    let mail = MailTemplate::greeting(title, &to.account.display_name);
    let mail = match is_owner(schedule, to.id()) {
        true => {
            let count = run.rows_returned.unwrap_or_default();
            let mail =
                mail.paragraph(format!("The scheduled question \"{}\" was answered; rows: {count}.", schedule.name));
            match rows {
                Some(preview) => mail.table(first_of(preview)),
                None => mail,
            }
        }
        false => mail.paragraph(format!(
            "The scheduled question \"{}\" was answered. Open it to ask it yourself: you will see what you are allowed \
             to see.",
            schedule.name
        )),
    };
    finished(mail, "studio.schedule_answered", platform, schedule, to)
}

/// Tells the owner that a run failed, which is the first of several perhaps.
pub(super) fn failed(platform: &Platform, schedule: &Model, owner: &User, why: &str) -> Mail {
    let title = format!("{}: a run failed", schedule.name);
    let mail = MailTemplate::greeting(title, &owner.account.display_name)
        .paragraph(format!("The scheduled question \"{}\" was not answered or not delivered: {why}", schedule.name))
        .paragraph(
            "It will be tried again when it is next due. You are only told about the first failure, and when the \
             schedule is paused.",
        );
    finished(mail, "studio.schedule_failed", platform, schedule, owner)
}

/// Tells the owner that it does not run any more.
pub(super) fn paused(platform: &Platform, schedule: &Model, owner: &User, reason: PausedReason) -> Mail {
    let title = format!("{}: the schedule is paused", schedule.name);
    let mail = MailTemplate::greeting(title, &owner.account.display_name)
        .paragraph(format!("The schedule \"{}\" is paused: {}", schedule.name, in_words(reason)))
        .paragraph("It stays paused until you resume it.");
    finished(mail, "studio.schedule_paused", platform, schedule, owner)
}

pub(super) const fn in_words(reason: PausedReason) -> &'static str {
    match reason {
        PausedReason::ByHand => "someone paused it.",
        PausedReason::AccessLost => "your membership or your access to the workspace has ended or is suspended.",
        PausedReason::PermissionLost => "you no longer have the permissions that it needs.",
        PausedReason::QuestionGone => "its question was deleted, or you can no longer see it.",
        PausedReason::SourceGone => "a data source of its question was deleted, or you no longer have access to it.",
        PausedReason::Failing => "ten runs in a row failed.",
        PausedReason::HandedOver => "another member handed it over to you.",
    }
}

fn is_owner(schedule: &Model, user: UserId) -> bool {
    schedule.owner_user_id == user
}

fn first_of(preview: &Preview) -> Table {
    let cell = |value: &serde_json::Value| {
        let text = match value {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.chars().take(LONGEST_CELL).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    };
    let columns = preview.columns.iter().take(COLUMNS).map(|column| column.name.clone()).collect();
    let rows = preview.rows.iter().take(ROWS).map(|row| row.iter().take(COLUMNS).map(cell).collect()).collect();
    Table { columns, rows }
}
