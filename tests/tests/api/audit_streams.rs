//! Audit records on their way to a SIEM: to a webhook and over each transport of syslog, past receivers that are away and a
//! server that is killed.

use std::path::Path;

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{Backend, Binary, ClosedPort, Organization, Server, Siem, eventually, on_both_backends};
use serde_json::{Value, json};

use crate::{cli::succeeded, organizations::audit_export::assert_verified};

on_both_backends! {
    a_webhook_gets_what_happens_signed_and_verifiable;
    syslog_over_udp;
    syslog_over_tcp;
    syslog_over_tls;
    a_receiver_that_comes_back_gets_everything;
}

/// Something that is recorded in the organization.
async fn act(acme: &Organization, name: &str) {
    let body = json!({"name": name, "organization_id": acme.id});
    acme.owner.client.post("/api/v1/workspaces", body).await.created();
}

/// How many records the log has, of all chains.
async fn recorded(server: &Server) -> usize {
    usize::try_from(server.count("SELECT count(*) FROM audit_log").await).unwrap()
}

/// Waits, after the next turn is due, until everything that was recorded has arrived.
async fn arrived(server: &Server, siem: &Siem) -> Vec<String> {
    let count = recorded(server).await;
    server.clock().advance(Duration::seconds(6));
    eventually("the records to arrive", async || (siem.got().len() >= count).then(|| siem.got())).await
}

/// Chain, sequence and action of each.
fn told(lines: &[String]) -> Vec<(i64, i64, String)> {
    let parsed = lines.iter().map(|line| -> Value { serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")) });
    parsed
        .map(|line| {
            let number = |name: &str| line[name].as_i64().unwrap();
            (number("chain"), number("sequence"), line["action"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// That each chain is there from its first record to its last, in order. Records that came again are left out.
fn in_order(mut told: Vec<(i64, i64, String)>) -> Vec<(i64, i64, String)> {
    let mut seen = std::collections::BTreeSet::new();
    told.retain(|(chain, sequence, _)| seen.insert((*chain, *sequence)));
    let mut chains = std::collections::BTreeMap::<i64, i64>::new();
    for (chain, sequence, _) in &told {
        let last = chains.entry(*chain).or_default();
        assert_eq!(*sequence, *last + 1, "chain {chain}: {told:?}");
        *last = *sequence;
    }
    told
}

async fn a_webhook_gets_what_happens_signed_and_verifiable(backend: Backend) {
    let siem = Siem::webhook(ClosedPort::take().open());
    let settings = Siem::webhook_settings(siem.address, "start = \"beginning\"");
    let server = Server::start(backend, &settings).await;
    let acme = server.organization("Acme").await;
    act(&acme, "Lab").await;
    let lines = arrived(&server, &siem).await;
    let told = in_order(told(&lines));
    assert_eq!(told.len(), recorded(&server).await);
    assert!(told.iter().any(|(chain, _, action)| (*chain, action.as_str()) == (acme.id, "workspace.create")));
    assert!(told.iter().any(|(chain, _, action)| (*chain, action.as_str()) == (0, "auth.login")));
    assert_verified(&lines, true, true);

    // What is recorded later comes later.
    act(&acme, "Office").await;
    let lines = arrived(&server, &siem).await;
    assert_eq!(in_order(self::told(&lines)).len(), recorded(&server).await);
    let metrics = server.anonymous();
    eventually("the metric", async || {
        let answer = metrics.send(metrics.request(Method::GET, "/metrics")).await;
        let text = answer.body.as_str().unwrap_or_default().to_owned();
        text.contains("rivergen_audit_stream_records_behind{stream=\"siem\"} 0").then_some(())
    })
    .await;
    server.stop().await;
}

async fn syslog_over_udp(backend: Backend) {
    let siem = Siem::udp().await;
    let server = Server::start(backend, &siem.syslog_settings("udp", "start = \"beginning\"")).await;
    server.organization("Acme").await;
    let messages = arrived(&server, &siem).await;
    let lines: Vec<String> = messages
        .iter()
        .map(|message| {
            let (head, line) = message.split_once(" - {").unwrap();
            let fields: Vec<&str> = head.split(' ').collect();
            let [version, time, host, app, process, kind] = fields[..] else { panic!("{head}") };
            assert!(["<110>1", "<108>1"].contains(&version), "{head}");
            assert_eq!((host, app, process), ("127.0.0.1", "rivergen", "-"), "{head}");
            let record: Value = serde_json::from_str(&format!("{{{line}")).unwrap();
            assert_eq!((&record["occurred_at"], &record["action"]), (&json!(time), &json!(kind)));
            format!("{{{line}")
        })
        .collect();
    in_order(told(&lines));
    assert_verified(&lines, true, true);
    server.stop().await;
}

async fn syslog_over_tcp(backend: Backend) {
    let siem = Siem::tcp().await;
    let settings = siem.syslog_settings("tcp", "start = \"beginning\"\nformat = \"cef\"");
    let server = Server::start(backend, &settings).await;
    let acme = server.organization("Acme").await;
    let path = format!("/api/v1/organizations/{}/audit-logs", acme.id);
    let client = &acme.admin.client;
    client.send(client.request(Method::GET, &path).header("user-agent", "a=b|c\\d")).await.ok();
    let messages = arrived(&server, &siem).await;
    assert_eq!(messages.len(), recorded(&server).await);
    let read = messages.iter().find(|message| message.contains("|audit.read|")).unwrap();
    let (head, event) = read.split_once(" - CEF:0|RiverGen|RiverGen|").unwrap();
    assert!(head.ends_with(" 127.0.0.1 rivergen - audit.read"), "{head}");
    assert!(event.contains("|audit.read|audit read|3|rt="), "{event}");
    assert!(
        event.contains(" src=127.0.0.1 ") && event.contains(r" requestClientApplication=a\=b|c\\d cn1Label="),
        "{event}"
    );
    server.stop().await;
}

async fn syslog_over_tls(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let siem = Siem::tls(folder.path()).await;
    let stream = |name: &str, ca: &str| {
        let ca = folder.path().join(ca);
        let more = format!("start = \"beginning\"\nformat = \"ocsf\"\nca_file = {:?}", ca.display().to_string());
        siem.syslog_settings("tls", &more).replace("siem\"\nkind", &format!("{name}\"\nkind"))
    };
    // Somebody who vouches for nobody here.
    let other = tempfile::tempdir().unwrap();
    drop(Siem::tls(other.path()).await);
    std::fs::copy(other.path().join("ca.pem"), folder.path().join("other.pem")).unwrap();
    let settings = stream("trusting", "ca.pem") + &stream("wary", "other.pem");
    let server = Server::start(backend, &settings).await;
    server.organization("Acme").await;
    let messages = arrived(&server, &siem).await;
    assert_eq!(messages.len(), recorded(&server).await, "those of one stream alone");
    for message in &messages {
        let (_, event) = message.split_once(" - {").unwrap();
        let event: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
        assert_eq!(event["metadata"]["version"], "1.3.0");
        assert_eq!(event["type_uid"].as_i64().unwrap() / 100, event["class_uid"].as_i64().unwrap());
    }
    eventually("the wary stream's failure", async || {
        let sql = "SELECT count(*) FROM audit_streams WHERE name = 'wary' AND last_error LIKE '%certificate%'";
        (server.count(sql).await == 1).then_some(())
    })
    .await;
    server.stop().await;
}

async fn a_receiver_that_comes_back_gets_everything(backend: Backend) {
    let port = ClosedPort::take();
    let server = Server::start(backend, &Siem::webhook_settings(port.address(), "")).await;
    let acme = server.organization("Acme").await;
    let failures = async |least: i64| {
        server.clock().advance(Duration::seconds(601));
        eventually("a failure", async || {
            let failed = format!("SELECT count(*) FROM audit_streams WHERE failures >= {least}");
            (server.count(&failed).await == 1).then_some(())
        })
        .await;
    };
    failures(1).await;
    act(&acme, "Lab").await;
    failures(2).await;
    let error = server.rows("SELECT last_error FROM audit_streams").await;
    assert!(error[0]["last_error"].as_str().unwrap().contains("refused"), "{error:?}");

    let siem = Siem::webhook(port.open());
    siem.refuse(true);
    failures(3).await;
    let error = server.rows("SELECT last_error FROM audit_streams").await;
    assert_eq!(error[0]["last_error"], "the receiver answered 503 Service Unavailable");
    siem.refuse(false);
    server.clock().advance(Duration::seconds(601));
    let lines = arrived(&server, &siem).await;
    let told = in_order(told(&lines));
    assert_eq!(told.len(), recorded(&server).await);
    eventually("the state", async || {
        let calm = "SELECT count(*) FROM audit_streams WHERE failures = 0 AND next_attempt_at IS NULL";
        (server.count(calm).await == 1).then_some(())
    })
    .await;
    server.stop().await;
}

/// The real program, killed while its receiver is away and again while it delivers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_server_is_killed() {
    let folder = tempfile::Builder::new().prefix("rivergen-streams-").tempdir().unwrap();
    let url = Binary::configure(folder.path());
    let port = ClosedPort::take();
    let file = folder.path().join("rivergen.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings + &Siem::webhook_settings(port.address(), "start = \"beginning\"")).unwrap();
    let begun = succeeded(Binary::run(folder.path(), &["audit", "streams"]));
    assert!(begun.contains("siem (webhook, json)") && begun.contains("has not begun"), "{begun}");
    Binary::provision_acme(folder.path());

    let server = Binary::serve(folder.path(), &url).await;
    sign_in(&url, 3).await;
    eventually("a failure", async || (count(folder.path(), "SELECT failures FROM audit_streams") > 0).then_some(()))
        .await;
    server.kill().await;
    let state = succeeded(Binary::run(folder.path(), &["audit", "streams"]));
    for word in ["records in", "delivered up to record 0 of", "last error", "refused", "next attempt", "never"] {
        assert!(state.contains(word), "{word} is not in {state}");
    }

    let siem = Siem::webhook(port.open());
    let mut server = serve_again(folder.path(), &url).await;
    for _ in 0..4 {
        sign_in(&url, 5).await;
        let before = siem.got().len();
        eventually("records", async || (siem.got().len() > before).then_some(())).await;
        server.kill().await;
        server = serve_again(folder.path(), &url).await;
    }
    sign_in(&url, 1).await;
    let all = usize::try_from(count(folder.path(), "SELECT count(*) FROM audit_log")).unwrap();
    let told = eventually("everything", async || {
        let told = in_order(told(&siem.got()));
        (told.len() == all).then_some(told)
    })
    .await;
    assert!(told.iter().filter(|(_, _, action)| action == "auth.login").count() >= 24, "{told:?}");
    eventually("the position of the last", async || {
        let state = succeeded(Binary::run(folder.path(), &["audit", "streams"]));
        state.contains("behind        nothing").then_some(())
    })
    .await;
    server.terminate();
    assert!(server.ended().await.success());
}

async fn sign_in(url: &str, times: usize) {
    for _ in 0..times {
        Binary::acme_owner(url).await;
    }
}

/// After the lease of a killed server's run has ended, and the wait after a failure.
async fn serve_again(folder: &Path, url: &str) -> Binary {
    let database = rusqlite::Connection::open(folder.join("data/rivergen.db")).unwrap();
    for passed in [
        "UPDATE jobs SET due_at = '2000-01-01T00:00:00+00:00' WHERE state = 'running'",
        "UPDATE audit_streams SET next_attempt_at = NULL",
    ] {
        database.execute(passed, []).unwrap();
    }
    drop(database);
    Binary::serve(folder, url).await
}

fn count(folder: &Path, sql: &str) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(folder.join("data/rivergen.db"), flags).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}
