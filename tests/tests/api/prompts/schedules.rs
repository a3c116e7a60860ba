//! `/api/v1/prompts/schedules`: saved questions are asked by themselves, as their owner, and who is to hear of it does.

use chrono::{Duration, Timelike};
use rivergen_platform::jobs::JobOptions;
use rivergen_tests::{Hook, Organization, Person, Server, eventually, on_both_databases};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{EXECUTE, PATH, save};

on_both_databases! {
    a_due_question_is_asked_and_mailed;
    a_webhook_gets_the_rows_signed;
    a_webhook_that_refuses_gets_the_same_again;
    no_time_is_run_twice;
    a_time_that_comes_again_is_passed_over;
    of_missed_times_one_is_made_up_for;
    an_owner_who_is_suspended_pauses_it;
    an_owner_who_may_not_any_more_pauses_it;
    what_is_deleted_pauses_it;
    a_recipient_who_may_not_see_the_question_gets_nothing;
    who_fails_is_told_once_and_paused_in_the_end;
    its_owner_alone_changes_it_and_others_pause_it;
    an_heir_has_it_paused_and_without_the_webhook;
    what_was_about_to_run_runs_for_no_heir;
    who_has_left_it_meanwhile_changes_nothing;
    two_changes_at_once_keep_each_other;
    of_two_at_once_one_is_the_last_that_there_is_room_for;
    what_is_paused_before_it_began_is_not_asked;
    it_runs_by_hand;
    runs_by_hand_are_few with "[limits]\nenabled = true\n[limits.rules]\nschedule_runs = { limit = 1, per_seconds = 3600 }\nlogin_by_ip = { limit = 100, per_seconds = 60 }\ngeneral = { limit = 1000, per_seconds = 60 }\ngeneral_admin = { limit = 5000, per_seconds = 60 }";
    runs_are_told_for_thirty_days;
    schedules_are_listed;
    each_field_that_is_wrong_is_named;
    what_it_needs_is_asked_for;
    another_organizations_do_not_exist;
}

pub(crate) const SCHEDULES: &str = "/api/v1/prompts/schedules";

/// Every hour, half an hour from now: a test that moves the clock by an hour passes one such time.
pub(crate) fn hourly(server: &Server) -> Value {
    let minute = (server.platform.clock.now().minute() + 30) % 60;
    json!({"every": "hour", "minute": minute, "time_zone": "UTC"})
}

/// Schedules a saved question; answers the schedule.
pub(crate) async fn schedule(server: &Server, person: &Person, prompt: &Value, delivery: Value) -> Value {
    let body = json!({"name": "Hourly", "timing": hourly(server), "delivery": delivery});
    person.client.post(&format!("{PATH}/{prompt}/schedules"), body).await.created()
}

/// A saved question of Acme's that is asked by itself.
struct Scheduled {
    acme: Organization,
    /// The schedule, as its owner was told of it, and where it is.
    made: Value,
    path: String,
}

impl Scheduled {
    /// How many orders there are, every hour, as that person.
    async fn new(
        server: &Server,
        owner: impl FnOnce(&Organization) -> &Person,
        delivery: impl FnOnce(&Organization) -> Value,
    ) -> Self {
        let acme = server.organization("Acme").await;
        let shop = acme.shop().await;
        let person = owner(&acme);
        let prompt = save(person, &shop, "How many orders?", "All").await["prompt_id"].clone();
        let made = schedule(server, person, &prompt, delivery(&acme)).await;
        let path = format!("{SCHEDULES}/{}", made["id"]);
        Self { acme, made, path }
    }
}

fn mailed_to(people: &[&Person]) -> Value {
    json!({"mail_to_user_ids": people.iter().map(|person| person.id).collect::<Vec<_>>()})
}

/// Waits until so many runs have come to that end.
async fn runs(server: &Server, status: &str, count: i64) {
    let sql = format!("SELECT count(*) FROM prompt_schedule_runs WHERE status = '{status}'");
    eventually(&format!("{count} runs to be {status}"), async || (server.count(&sql).await == count).then_some(()))
        .await;
}

/// Waits until nothing of schedules is left to do, and no mail to be sent.
pub(crate) async fn settled(server: &Server) {
    let open =
        "SELECT count(*) FROM jobs WHERE (kind LIKE 'studio.schedule%' OR kind = 'mail.send') AND finished_at IS NULL";
    eventually("the schedules to settle", async || (server.count(open).await == 0).then_some(())).await;
}

/// The schedule, when it is paused.
async fn paused(server: &Server, acme: &Organization, id: &Value) -> Value {
    let owner = server.sign_in(&acme.owner.email).await.client;
    let path = format!("{SCHEDULES}/{id}");
    eventually("the schedule to be paused", async || {
        let schedule = owner.get(&path).await.ok();
        (schedule["status"] == "paused").then_some(schedule)
    })
    .await
}

async fn a_due_question_is_asked_and_mailed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let prompt = save(&acme.developer, &shop, "How many orders per region?", "By region").await["prompt_id"].clone();
    let delivery = json!({"mail_to_user_ids": [acme.developer.id, acme.viewer.id], "include_rows": true});
    let made = schedule(server, &acme.developer, &prompt, delivery).await;
    assert_eq!((made["status"].as_str(), &made["prompt_id"]), (Some("active"), &prompt), "{made}");
    assert!(made["next_run_at"].is_string() && made["last_run_at"].is_null(), "{made}");
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 0);

    server.clock().advance(Duration::hours(1));
    runs(server, "completed", 1).await;
    // The owner has the rows that their policies leave them; the other recipient, whose policies differ, nothing of them.
    let question = format!("/questions/{prompt}");
    let own = server.mailbox().titled(&acme.developer.email, "Hourly").await;
    assert!(own.text.contains("rows: 1.") && own.text.contains("EU"), "{}", own.text);
    let others = server.mailbox().titled(&acme.viewer.email, "Hourly").await;
    assert!(others.links().iter().any(|link| link.ends_with(&question)), "{}", others.text);
    assert!(!others.text.contains("rows:") && !others.text.contains("EU"), "{}", others.text);

    let developer = server.sign_in(&acme.developer.email).await.client;
    let history = developer.get(&format!("{SCHEDULES}/{}/runs", made["id"])).await.ok();
    assert_eq!(history["pagination"]["total_items"], 1, "{history}");
    let run = &history["items"][0];
    assert_eq!((&run["due_at"], run["by_hand"].as_bool()), (&made["next_run_at"], Some(false)), "{run}");
    assert_eq!((run["rows_returned"].as_i64(), &run["error_code"]), (Some(1), &Value::Null));
    let sent: Vec<_> = run["deliveries"].as_array().unwrap().iter().map(|d| (&d["channel"], &d["status"])).collect();
    assert_eq!(sent, [(&json!("mail"), &json!("sent")); 2]);
    let execution = developer.get(&format!("{PATH}/executions/{}", run["execution_id"])).await.ok();
    assert_eq!((&execution["prompt_id"], execution["result_preview"].as_array().unwrap().len()), (&prompt, 1));
    let after = developer.get(&format!("{SCHEDULES}/{}", made["id"])).await.ok();
    assert_eq!(after["last_run_at"], made["next_run_at"]);
    assert!(after["next_run_at"].as_str() > made["next_run_at"].as_str(), "{after}");
    assert_eq!(
        (
            server.audited("prompt_schedule.create", "success").await,
            server.audited("prompt_schedule.run", "success").await
        ),
        (1, 1)
    );
}

async fn a_webhook_gets_the_rows_signed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let hook = Hook::start().await;
    let prompt = save(&acme.developer, &shop, "How many orders per region?", "By region").await["prompt_id"].clone();
    let delivery = json!({"webhook_url": format!("{}?key=hidden", hook.url), "include_rows": true});
    let made = schedule(server, &acme.developer, &prompt, delivery).await;
    let secret = made["webhook_secret"].as_str().unwrap().to_owned();
    // Neither is told again, to nobody.
    let again = acme.developer.client.get(&format!("{SCHEDULES}/{}", made["id"])).await.ok().to_string();
    assert!(!again.contains(&secret) && !again.contains("hidden"), "{again}");
    let rows = server.rows("SELECT details FROM audit_log WHERE action = 'prompt_schedule.create'").await;
    assert!(!rows[0].to_string().contains("hidden"), "{rows:?}");

    server.clock().advance(Duration::hours(1));
    let call = eventually("the webhook to be called", async || hook.got().into_iter().next()).await;
    assert!(call.is_signed_with(&secret));
    assert!(!call.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let message = call.json();
    assert_eq!(message["type"], "prompt_schedule.answered");
    let data = &message["data"];
    assert_eq!((&data["schedule_id"], &data["prompt_id"]), (&made["id"], &prompt), "{data}");
    assert_eq!((data["rows_returned"].as_i64(), data["truncated"].as_bool()), (Some(1), Some(false)), "{data}");
    assert!(data["rows"][0].as_array().unwrap().contains(&json!("EU")), "{data}");
    settled(server).await;
    let sent = "SELECT count(*) FROM prompt_schedule_deliveries WHERE channel = 'webhook' AND status = 'sent'";
    assert_eq!(server.count(sent).await, 1);
}

async fn a_webhook_that_refuses_gets_the_same_again(server: &Server) {
    let hook = Hook::start().await;
    hook.refuse(true);
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.developer, |_| json!({"webhook_url": hook.url})).await;
    server.clock().advance(Duration::hours(1));
    let waits =
        "SELECT count(*) FROM jobs WHERE kind = 'studio.schedule_webhook' AND state = 'queued' AND attempts = 1";
    eventually("the message to be refused", async || (server.count(waits).await == 1).then_some(())).await;
    let developer = server.sign_in(&acme.developer.email).await.client;
    let path = format!("{path}/runs");
    let sending = developer.get(&path).await.ok()["items"][0]["deliveries"][0].clone();
    assert_eq!((sending["status"].as_str(), sending["attempts"].as_i64()), (Some("pending"), Some(1)), "{sending}");
    assert!(sending["error"].as_str().unwrap().contains("503"), "{sending}");
    hook.refuse(false);
    server.clock().advance(Duration::seconds(10));
    settled(server).await;
    let calls = hook.got();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    // Nobody asked for rows.
    assert!(calls[1].json()["data"]["rows"].is_null(), "{}", calls[1].body);
    let sending = developer.get(&path).await.ok()["items"][0]["deliveries"][0].clone();
    assert_eq!((sending["status"].as_str(), sending["attempts"].as_i64()), (Some("sent"), Some(2)), "{sending}");
}

/// Has several workers of the node look for what is due at once.
pub(crate) async fn claim_at_once(server: &Server) {
    for _ in 0..4 {
        let tx = server.platform.db.begin().await.unwrap();
        server.platform.jobs.enqueue(&tx, "studio.schedules", &Value::Null, JobOptions::default()).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn no_time_is_run_twice(server: &Server) {
    Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    server.clock().advance(Duration::hours(1));
    claim_at_once(server).await;
    runs(server, "completed", 1).await;
    settled(server).await;
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 1);
    let executions = "SELECT count(*) FROM prompt_executions WHERE prompt_id IS NOT NULL";
    assert_eq!(server.count(executions).await, 2, "the one that was saved, and the one that was due");
}

async fn a_time_that_comes_again_is_passed_over(server: &Server) {
    Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    server.clock().advance(Duration::hours(1));
    runs(server, "completed", 1).await;
    settled(server).await;
    // As it is due once more where the clock was set back.
    server.execute("UPDATE prompt_schedules SET next_run_at = last_run_at").await;
    claim_at_once(server).await;
    let ahead = "SELECT count(*) FROM prompt_schedules WHERE next_run_at > last_run_at";
    eventually("the next time to be due", async || (server.count(ahead).await == 1).then_some(())).await;
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 1);
}

async fn of_missed_times_one_is_made_up_for(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    server.clock().advance(Duration::hours(6));
    runs(server, "completed", 1).await;
    claim_at_once(server).await;
    settled(server).await;
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 1);
    let viewer = server.sign_in(&acme.viewer.email).await.client;
    let after = viewer.get(&path).await.ok();
    let next: chrono::DateTime<chrono::Utc> = after["next_run_at"].as_str().unwrap().parse().unwrap();
    assert!(next > server.platform.clock.now(), "{after}");
}

async fn an_owner_who_is_suspended_pauses_it(server: &Server) {
    let Scheduled { acme, made, .. } =
        Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer, &acme.admin])).await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id);
    acme.owner.client.patch(&member, json!({"status": "suspended"})).await.ok();
    server.clock().advance(Duration::hours(1));
    let schedule = paused(server, &acme, &made["id"]).await;
    assert_eq!((schedule["paused_reason"].as_str(), &schedule["next_run_at"]), (Some("access_lost"), &Value::Null));
    server.mailbox().titled(&acme.viewer.email, "the schedule is paused").await;
    settled(server).await;
    assert!(server.mailbox().to(&acme.admin.email).iter().all(|mail| !mail.subject.contains("Hourly")));
    // Nothing was asked in their name.
    assert_eq!(server.count("SELECT count(*) FROM prompt_executions").await, 1);
    assert_eq!(server.audited("prompt_schedule.pause", "success").await, 1);
}

async fn an_owner_who_may_not_any_more_pauses_it(server: &Server) {
    let hook = Hook::start().await;
    let Scheduled { acme, made, path } =
        Scheduled::new(server, |acme| &acme.developer, |_| json!({"webhook_url": hook.url})).await;
    // A Viewer holds no prompt.write, which a webhook needs.
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    acme.owner.client.patch(&member, json!({"role_id": acme.roles["Viewer"]})).await.ok();
    server.clock().advance(Duration::hours(1));
    assert_eq!(paused(server, &acme, &made["id"]).await["paused_reason"], "permission_lost");
    settled(server).await;
    assert!(hook.got().is_empty());
    let developer = server.sign_in(&acme.developer.email).await.client;
    developer.patch(&path, json!({"status": "active"})).await.error(403, "FORBIDDEN");
    let owner = server.sign_in(&acme.owner.email).await.client;
    owner.patch(&member, json!({"role_id": acme.roles["Developer"]})).await.ok();
    let developer = server.sign_in(&acme.developer.email).await.client;
    let again = developer.patch(&path, json!({"status": "active"})).await.ok();
    assert_eq!((again["status"].as_str(), &again["paused_reason"]), (Some("active"), &Value::Null), "{again}");
    assert!(again["next_run_at"].is_string(), "{again}");
}

async fn what_is_deleted_pauses_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let to_owner = json!({"mail_to_user_ids": [acme.owner.id]});
    let gone = save(&acme.owner, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let of_gone = schedule(server, &acme.owner, &gone, to_owner.clone()).await;
    let question = json!({"prompt_text": "How many products are there?", "selected_data_source_ids": [shop.products],
        "save_prompt": true});
    let blind = acme.owner.client.post(EXECUTE, question).await.ok()["prompt_id"].clone();
    let of_blind = schedule(server, &acme.owner, &blind, to_owner).await;
    acme.owner.client.delete(&format!("{PATH}/{gone}")).await.ok();
    let source = acme.owner.client.delete(&format!("/api/v1/data-sources/{}", shop.products)).await;
    assert!(source.status.is_success(), "{source:?}");
    server.clock().advance(Duration::hours(1));
    assert_eq!(paused(server, &acme, &of_gone["id"]).await["paused_reason"], "question_gone");
    assert_eq!(paused(server, &acme, &of_blind["id"]).await["paused_reason"], "source_gone");
    runs(server, "failed", 2).await;
}

async fn a_recipient_who_may_not_see_the_question_gets_nothing(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.developer, |acme| mailed_to(&[&acme.viewer, &acme.admin])).await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id);
    acme.owner.client.patch(&member, json!({"status": "suspended"})).await.ok();
    server.clock().advance(Duration::hours(1));
    server.mailbox().titled(&acme.admin.email, "Hourly").await;
    settled(server).await;
    assert!(server.mailbox().to(&acme.viewer.email).iter().all(|mail| !mail.subject.contains("Hourly")));
    let developer = server.sign_in(&acme.developer.email).await.client;
    let history = developer.get(&format!("{path}/runs")).await.ok();
    let status = |person: &Person| {
        let deliveries = history["items"][0]["deliveries"].as_array().unwrap();
        deliveries.iter().find(|sending| sending["user_id"] == person.id).map(|sending| sending["status"].clone())
    };
    assert_eq!(
        (status(&acme.viewer), status(&acme.admin)),
        (Some(json!("withheld")), Some(json!("sent"))),
        "{history}"
    );
}

async fn who_fails_is_told_once_and_paused_in_the_end(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let question = json!({"prompt_text": "Which penguins sing opera?", "selected_data_source_ids": [shop.orders],
        "save_prompt": true});
    acme.owner.client.post(EXECUTE, question).await.error(400, "QUESTION_NOT_UNDERSTOOD");
    let prompt = acme.owner.client.get(PATH).await.ok()["items"][0]["id"].clone();
    let made = schedule(server, &acme.owner, &prompt, json!({"mail_to_user_ids": [acme.viewer.id]})).await;
    let told = || {
        let mails = server.mailbox().to(&acme.owner.email);
        mails.into_iter().filter(|mail| mail.subject.contains("a run failed")).count()
    };
    server.clock().advance(Duration::hours(1));
    runs(server, "failed", 1).await;
    server.mailbox().titled(&acme.owner.email, "a run failed").await;
    server.clock().advance(Duration::hours(1));
    runs(server, "failed", 2).await;
    // Eight more, without waiting for each.
    server.execute("UPDATE prompt_schedules SET failures = 9").await;
    server.clock().advance(Duration::hours(1));
    let schedule = paused(server, &acme, &made["id"]).await;
    assert_eq!((schedule["paused_reason"].as_str(), schedule["failures"].as_i64()), (Some("failing"), Some(10)));
    server.mailbox().titled(&acme.owner.email, "the schedule is paused").await;
    assert_eq!(told(), 1);
    let codes = server.rows("SELECT DISTINCT error_code FROM prompt_schedule_runs").await;
    assert_eq!(codes, [json!({"error_code": "QUESTION_NOT_UNDERSTOOD"})]);
    assert_eq!(server.audited("prompt_schedule.run", "failure").await, 3);
}

async fn its_owner_alone_changes_it_and_others_pause_it(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.developer, |acme| mailed_to(&[&acme.developer])).await;
    // A webhook of somebody else's choice would have what its owner may see.
    let hook = json!({"delivery": {"webhook_url": "http://127.0.0.1:1/"}});
    acme.admin.client.patch(&path, hook).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&path, json!({"status": "paused", "name": "Mine"})).await.error(403, "FORBIDDEN");
    acme.admin.client.post_empty(&format!("{path}/run")).await.error(403, "FORBIDDEN");
    acme.viewer.client.patch(&path, json!({"status": "paused"})).await.error(403, "FORBIDDEN");
    acme.viewer.client.delete(&path).await.error(403, "FORBIDDEN");
    let stopped = acme.admin.client.patch(&path, json!({"status": "paused"})).await.ok();
    assert_eq!((stopped["paused_reason"].as_str(), &stopped["next_run_at"]), (Some("by_hand"), &Value::Null));
    acme.admin.client.patch(&path, json!({"status": "active"})).await.error(403, "FORBIDDEN");
    let change = json!({"name": "Daily", "timing": {"every": "day", "at": "08:00", "time_zone": "Europe/Berlin"},
        "delivery": {"mail_to_user_ids": [acme.viewer.id]}, "status": "active"});
    let changed = acme.developer.client.patch(&path, change).await.ok();
    assert_eq!((changed["name"].as_str(), changed["timing"]["every"].as_str()), (Some("Daily"), Some("day")));
    assert_eq!(changed["delivery"]["mail_to_user_ids"], json!([acme.viewer.id]));
    assert_eq!((changed["status"].as_str(), changed["next_run_at"].is_string()), (Some("active"), true));
    acme.admin.client.delete(&path).await.no_content();
    acme.developer.client.get(&path).await.error(404, "NOT_FOUND");
    assert_eq!(
        (
            server.audited("prompt_schedule.update", "success").await,
            server.audited("prompt_schedule.delete", "success").await
        ),
        (2, 1)
    );
}

async fn an_heir_has_it_paused_and_without_the_webhook(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.developer, |_| json!({"webhook_url": "http://127.0.0.1:1/"})).await;
    let (member, heir) = (format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id), acme.admin.id);
    acme.owner.client.delete(&format!("{member}?transfer_to={heir}")).await.ok();
    let left = acme.admin.client.get(&path).await.ok();
    assert_eq!((left["owner_user_id"].as_i64(), left["paused_reason"].as_str()), (Some(heir), Some("handed_over")));
    assert_eq!((&left["delivery"]["webhook_origin"], &left["next_run_at"]), (&Value::Null, &Value::Null));
}

async fn what_was_about_to_run_runs_for_no_heir(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.developer, |acme| mailed_to(&[&acme.viewer])).await;
    acme.developer.client.post_empty(&format!("{path}/run")).await;
    runs(server, "completed", 1).await;
    settled(server).await;
    // As one that no node has taken yet.
    server.execute("UPDATE prompt_schedule_runs SET status = 'pending'").await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    acme.owner.client.delete(&format!("{member}?transfer_to={}", acme.admin.id)).await.ok();
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 0);
    acme.admin.client.get(&path).await.ok();
}

async fn who_has_left_it_meanwhile_changes_nothing(server: &Server) {
    let Scheduled { acme, made, path } =
        Scheduled::new(server, |acme| &acme.developer, |acme| mailed_to(&[&acme.viewer])).await;
    let tx = server.platform.db.begin().await.unwrap();
    let leave = format!("UPDATE prompt_schedules SET owner_user_id = {} WHERE id = {}", acme.admin.id, made["id"]);
    tx.conn().execute_unprepared(&leave).await.unwrap();
    let hook = json!({"delivery": {"webhook_url": "http://127.0.0.1:1/"}});
    let run = format!("{path}/run");
    let developer = &acme.developer.client;
    let mut asked = std::pin::pin!(futures::future::join(developer.patch(&path, hook), developer.post_empty(&run)));
    let soon = std::time::Duration::from_millis(500);
    assert!(tokio::time::timeout(soon, &mut asked).await.is_err(), "both wait for whoever leaves it");
    tx.commit().await.unwrap();
    let (changed, run) = asked.await;
    changed.error(403, "FORBIDDEN");
    run.error(403, "FORBIDDEN");
    let heirs = acme.admin.client.get(&path).await.ok();
    assert!(heirs["delivery"]["webhook_origin"].is_null(), "{heirs}");
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 0);
}

async fn two_changes_at_once_keep_each_other(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.developer, |acme| mailed_to(&[&acme.developer])).await;
    let tx = server.platform.db.begin().await.unwrap();
    let others = format!("UPDATE prompt_schedules SET mail_to_user_ids = '[{}]'", acme.viewer.id);
    tx.conn().execute_unprepared(&others).await.unwrap();
    let change = json!({"delivery": {"include_rows": true}});
    let mut asked = std::pin::pin!(acme.developer.client.patch(&path, change));
    let soon = std::time::Duration::from_millis(500);
    assert!(tokio::time::timeout(soon, &mut asked).await.is_err(), "it waits for the other change");
    tx.commit().await.unwrap();
    let delivery = asked.await.ok()["delivery"].clone();
    assert_eq!(delivery, json!({"mail_to_user_ids": [acme.viewer.id], "webhook_origin": null, "include_rows": true}));
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let prompt = save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let delivery = json!({"mail_to_user_ids": [acme.developer.id]});
    schedule(server, &acme.developer, &prompt, delivery.clone()).await;
    // 98 more like it, which are not due.
    let columns = "organization_id, workspace_id, prompt_id, owner_user_id, name, timing, mail_to_user_ids, include_rows, \
                   failures, created_at, updated_at";
    let others = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 98) \
         INSERT INTO prompt_schedules ({columns}, status) SELECT {columns}, 'paused' FROM prompt_schedules, n"
    );
    server.execute(&others).await;
    let body = json!({"name": "Hourly", "timing": hourly(server), "delivery": delivery});
    let path = format!("{PATH}/{prompt}/schedules");
    let developer = &acme.developer.client;
    let (made, refused) = server.two_at_once(&acme.held(), |_| developer.post(&path, body.clone())).await;
    made.created();
    refused.error(409, "CONFLICT");
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedules").await, 100);
}

async fn what_is_paused_before_it_began_is_not_asked(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    acme.viewer.client.post_empty(&format!("{path}/run")).await;
    runs(server, "completed", 1).await;
    settled(server).await;
    acme.admin.client.patch(&path, json!({"status": "paused"})).await.ok();
    // As one that was due, and that no node has taken yet.
    server.execute("UPDATE prompt_schedule_runs SET status = 'pending', by_hand = FALSE, execution_id = NULL").await;
    let run = json!({"run_id": server.count("SELECT id FROM prompt_schedule_runs").await});
    let tx = server.platform.db.begin().await.unwrap();
    server.platform.jobs.enqueue(&tx, "studio.scheduled_run", &run, JobOptions::default()).await.unwrap();
    tx.commit().await.unwrap();
    runs(server, "failed", 1).await;
    let executions = "SELECT count(*) FROM prompt_executions WHERE prompt_id IS NOT NULL";
    assert_eq!(server.count(executions).await, 2, "the one that was saved, and the one by hand");
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_deliveries").await, 1);
}

async fn it_runs_by_hand(server: &Server) {
    let Scheduled { acme, made, path } =
        Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    let answer = acme.viewer.client.post_empty(&format!("{path}/run")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["data"]["by_hand"], true);
    server.mailbox().titled(&acme.viewer.email, "Hourly").await;
    let runs = acme.viewer.client.get(&format!("{path}/runs")).await.ok();
    assert_eq!(
        (&runs["items"][0]["id"], &runs["items"][0]["status"]),
        (&answer.body["data"]["id"], &json!("completed"))
    );
    // It is due when it was.
    assert_eq!(acme.viewer.client.get(&path).await.ok()["next_run_at"], made["next_run_at"]);
    // One that has not ended is waited for.
    server.execute("UPDATE prompt_schedule_runs SET status = 'running'").await;
    acme.viewer.client.post_empty(&format!("{path}/run")).await.error(409, "CONFLICT");
    let others = acme.developer.client.get(&format!("{path}/runs")).await.ok();
    assert!(others["items"][0]["rows_returned"].is_null(), "{others}");
}

async fn runs_by_hand_are_few(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    let run = format!("{path}/run");
    assert_eq!(acme.viewer.client.post_empty(&run).await.status, 202);
    runs(server, "completed", 1).await;
    let refused = acme.viewer.client.post_empty(&run).await;
    assert!(refused.number("retry-after") > 0);
    refused.error(429, "RATE_LIMITED");
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_runs").await, 1);
}

async fn runs_are_told_for_thirty_days(server: &Server) {
    let Scheduled { acme, path, .. } =
        Scheduled::new(server, |acme| &acme.viewer, |acme| mailed_to(&[&acme.viewer])).await;
    acme.viewer.client.post_empty(&format!("{path}/run")).await;
    runs(server, "completed", 1).await;
    settled(server).await;
    acme.viewer.client.patch(&path, json!({"status": "paused"})).await.ok();
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedule_deliveries").await, 1);
    let old = server.platform.clock.now() - Duration::days(31);
    server.execute(&format!("UPDATE prompt_schedule_runs SET due_at = '{}'", old.to_rfc3339())).await;
    // The hour of the sweep.
    server.clock().advance(Duration::hours(2));
    let left = "SELECT (SELECT count(*) FROM prompt_schedule_runs) + (SELECT count(*) FROM prompt_schedule_deliveries)";
    eventually("the run to be swept", async || (server.count(left).await == 0).then_some(())).await;
    // What was answered is the question's own history.
    assert_eq!(server.count("SELECT count(*) FROM prompt_executions WHERE prompt_id IS NOT NULL").await, 2);
}

async fn schedules_are_listed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let first = save(&acme.viewer, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let second = save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let to_viewer = json!({"mail_to_user_ids": [acme.viewer.id]});
    let own = schedule(server, &acme.viewer, &first, to_viewer.clone()).await["id"].clone();
    let others = schedule(server, &acme.developer, &second, to_viewer).await["id"].clone();
    acme.developer.client.patch(&format!("{SCHEDULES}/{others}"), json!({"status": "paused"})).await.ok();
    let ids = async |query: &str| {
        let list = acme.viewer.client.get(&format!("{SCHEDULES}{query}")).await.ok();
        list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [others.clone(), own.clone()]);
    assert_eq!(ids("?page=2&page_size=1").await, std::slice::from_ref(&own));
    assert_eq!(ids("?own=true").await, std::slice::from_ref(&own));
    assert_eq!(ids(&format!("?prompt_id={second}")).await, std::slice::from_ref(&others));
    assert_eq!(ids("?status=paused").await, [others]);
    acme.viewer.client.get(&format!("{SCHEDULES}?status=nonsense")).await.invalid("status");
    acme.viewer.client.get(&format!("{SCHEDULES}?page_size=101")).await.invalid("page_size");
}

async fn each_field_that_is_wrong_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let prompt = save(&acme.owner, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let path = format!("{PATH}/{prompt}/schedules");
    let good = json!({"name": "s", "timing": {"every": "day", "at": "08:00", "time_zone": "UTC"},
        "delivery": {"mail_to_user_ids": [acme.owner.id]}});
    let timing = |timing: Value| ("timing", timing);
    let delivery = |delivery: Value| ("delivery", delivery);
    for ((part, value), field) in [
        (("name", json!("")), "name"),
        (("name", json!("x".repeat(256))), "name"),
        (("cron", json!("* * * * *")), "cron"),
        (timing(json!({"every": "minute", "time_zone": "UTC"})), "timing.every"),
        (timing(json!({"every": "hour", "minute": 60, "time_zone": "UTC"})), "timing.minute"),
        (timing(json!({"every": "hour", "time_zone": "UTC"})), "timing.minute"),
        (timing(json!({"every": "day", "at": "25:00", "time_zone": "UTC"})), "timing.at"),
        (timing(json!({"every": "day", "at": "08:00", "time_zone": "Mars/Olympus"})), "timing.time_zone"),
        (timing(json!({"every": "day", "at": "08:00"})), "timing.time_zone"),
        (timing(json!({"every": "week", "at": "08:00", "on": [], "time_zone": "UTC"})), "timing.on"),
        (timing(json!({"every": "month", "at": "08:00", "day": 32, "time_zone": "UTC"})), "timing.day"),
        (delivery(json!({})), "delivery"),
        (delivery(json!({"mail_to_user_ids": []})), "delivery"),
        (delivery(json!({"mail_to_user_ids": vec![acme.owner.id; 21]})), "delivery.mail_to_user_ids"),
        (delivery(json!({"mail_to_user_ids": [acme.owner.id, 987_654_321]})), "delivery.mail_to_user_ids[1]"),
        (delivery(json!({"webhook_url": "ftp://hooks.example/"})), "delivery.webhook_url"),
        (delivery(json!({"webhook_url": "not an address"})), "delivery.webhook_url"),
        (delivery(json!({"webhook_url": "https://me:secret@hooks.example/"})), "delivery.webhook_url"),
        (delivery(json!({"mail_to": [1]})), "delivery.mail_to"),
    ] {
        let mut body = good.clone();
        body[part] = value;
        acme.owner.client.post(&path, body).await.invalid(field);
    }
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedules").await, 0);
    let made = acme.owner.client.post(&path, good).await.created();
    let one = format!("{SCHEDULES}/{}", made["id"]);
    // Nobody would hear of it any more.
    acme.owner.client.patch(&one, json!({"delivery": {"mail_to_user_ids": []}})).await.invalid("delivery");
    acme.owner.client.patch(&one, json!({"status": "asleep"})).await.invalid("status");
    server
        .execute(&format!(
            "INSERT INTO prompt_schedules (organization_id, workspace_id, prompt_id, owner_user_id, name, timing, \
             mail_to_user_ids, include_rows, status, failures, created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 1 \
             UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT organization_id, workspace_id, prompt_id, owner_user_id, \
             name, timing, mail_to_user_ids, include_rows, 'paused', failures, created_at, updated_at \
             FROM prompt_schedules CROSS JOIN n WHERE id = {}",
            made["id"]
        ))
        .await;
    let full = json!({"name": "s", "timing": {"every": "day", "at": "08:00", "time_zone": "UTC"},
        "delivery": {"mail_to_user_ids": [acme.owner.id]}});
    acme.owner.client.post(&path, full).await.error(409, "CONFLICT");
}

async fn what_it_needs_is_asked_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let prompt = save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let path = format!("{PATH}/{prompt}/schedules");
    let body = |delivery: Value| json!({"name": "s", "timing": hourly(server), "delivery": delivery});
    let hook = body(json!({"webhook_url": "https://hooks.example/"}));
    acme.viewer.client.post(&path, hook).await.error(403, "FORBIDDEN");
    // A token ends, and a schedule does not end with it.
    let scopes = ["prompt.read", "prompt.execute", "prompt.write", "datasource.read", "datasource.query"];
    let token = json!({"name": "a program", "scopes": scopes});
    let token = acme.developer.client.post("/api/v1/auth/tokens", token).await.created();
    let program = acme.developer.client.with_token(token["token"].as_str().unwrap());
    let mail = body(json!({"mail_to_user_ids": [acme.developer.id]}));
    let error = program.post(&path, mail.clone()).await.error(403, "FORBIDDEN");
    assert!(error["message"].as_str().unwrap().contains("sign in"), "{error}");
    assert_eq!(server.count("SELECT count(*) FROM prompt_schedules").await, 0);
    acme.developer.client.post(&path, mail).await.created();
}

async fn another_organizations_do_not_exist(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let shop = acme.shop().await;
    let prompt = save(&acme.owner, &shop, "How many orders?", "All").await["prompt_id"].clone();
    let made = schedule(server, &acme.owner, &prompt, json!({"mail_to_user_ids": [acme.owner.id]})).await;
    let stranger = &globex.owner.client;
    let path = format!("{SCHEDULES}/{}", made["id"]);
    stranger.get(&path).await.error(404, "NOT_FOUND");
    stranger.patch(&path, json!({"status": "paused"})).await.error(404, "NOT_FOUND");
    stranger.delete(&path).await.error(404, "NOT_FOUND");
    stranger.post_empty(&format!("{path}/run")).await.error(404, "NOT_FOUND");
    stranger.get(&format!("{path}/runs")).await.error(404, "NOT_FOUND");
    assert_eq!(stranger.get(SCHEDULES).await.ok()["pagination"]["total_items"], 0);
    let body = json!({"name": "s", "timing": hourly(server), "delivery": {"mail_to_user_ids": [globex.owner.id]}});
    stranger.post(&format!("{PATH}/{prompt}/schedules"), body.clone()).await.error(404, "NOT_FOUND");
    // Nor does anybody of it hear of an answer.
    let error = acme.owner.client.post(&format!("{PATH}/{prompt}/schedules"), body).await;
    error.invalid("delivery.mail_to_user_ids[0]");
}
