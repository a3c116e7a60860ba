//! `GET /api/v1/organizations/{org_id}/audit-logs` as `application/x-ndjson`, and what verifies it: the program without its
//! database, and a verifier in Python that shares no line with it.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use reqwest::Method;
use rivergen_tests::{Answer, Binary, Organization, Person, Server, on_both_databases};
use serde_json::{Map, Value, json};

on_both_databases! {
    a_whole_export_ends_with_its_own_record_and_the_head;
    filters_choose_lines_and_leave_out_the_head;
    readers_of_the_log_alone_may_export_it;
    whatever_is_done_to_a_line_is_found;
}

async fn ask(acme: &Organization, person: &Person, query: &str) -> Answer {
    let path = format!("/api/v1/organizations/{}/audit-logs?{query}", acme.id);
    let request = person.client.request(Method::GET, &path).header("accept", "application/x-ndjson");
    person.client.send(request).await
}

async fn export(acme: &Organization, query: &str) -> Vec<String> {
    let answer = ask(acme, &acme.admin, query).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    // One line alone is JSON to the client.
    let body = match &answer.body {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        one => one.to_string(),
    };
    body.lines().map(str::to_owned).collect()
}

fn field<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().map(|line| &line[name]).collect()
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The verifiers, each asked with an export on its standard input; that in Python where there is one.
fn verifiers(filtered: bool) -> Vec<(&'static str, Command)> {
    let folder = std::env::temp_dir();
    let mut own = Binary::command(&folder, &["audit", "verify", "--file", "-"]);
    let mut python = Command::new("python3");
    python.arg(rivergen_tests::manifest_dir().join("interop/audit-export/verify.py"));
    if filtered {
        own.arg("--filtered");
        python.arg("--filtered");
    }
    let mut verifiers = vec![("rivergen", own)];
    match Command::new("python3").arg("--version").output() {
        Ok(_) => verifiers.push(("python3", python)),
        Err(_) => {
            rivergen_tests::missing::passed_over("python3, in which the independent verifier is, cannot be started")
        }
    }
    verifiers
}

fn verify(mut command: Command, export: &str) -> Output {
    let mut verifier = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have seen enough before it has read everything.
    let _ = verifier.stdin.take().unwrap().write_all(export.as_bytes());
    verifier.wait_with_output().unwrap()
}

/// That all verifiers say the same of an export.
#[track_caller]
pub fn assert_verified(lines: &[String], filtered: bool, holds: bool) {
    let export: String = lines.iter().map(|line| format!("{line}\n")).collect();
    for (name, verifier) in verifiers(filtered) {
        let output = verify(verifier, &export);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(!holds)), "{name}: {said}\n{export}");
    }
}

/// Something of each shape in the log: other actors, a failure, text beyond ASCII.
async fn lively(server: &Server) -> Organization {
    let acme = server.organization("Acme").await;
    for name in ["Zoë's \"lab\"", "A\\B\n", "数据"] {
        let body = json!({"name": name, "organization_id": acme.id});
        acme.owner.client.post("/api/v1/workspaces", body).await;
    }
    acme
}

async fn a_whole_export_ends_with_its_own_record_and_the_head(server: &Server) {
    let acme = lively(server).await;
    let lines = export(&acme, "").await;
    let parsed = parsed(&lines);
    let (head, records) = parsed.split_last().unwrap();
    let numbers: Vec<i64> = field(records, "sequence").iter().map(|number| number.as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=records.len() as i64).collect::<Vec<_>>());
    let last = records.last().unwrap();
    assert_eq!((&last["action"], &last["actor_user_id"]), (&json!("audit.export"), &json!(acme.admin.id)));
    assert_eq!(*head, json!({"type": "head", "chain": acme.id, "sequence": records.len(), "hash": last["hash"]}));
    assert!(records.iter().all(|record| record["organization_id"] == acme.id && record["details"].is_string()));
    assert_eq!(server.audited("audit.export", "success").await, 1);
    assert_eq!(server.audited("audit.read", "success").await, 0);
    assert_verified(&lines, false, true);
    // Later records do not disturb it, and the next one has it all.
    let later = export(&acme, "").await;
    assert_eq!(later[..records.len()], lines[..records.len()]);
    assert_verified(&later, false, true);
}

async fn filters_choose_lines_and_leave_out_the_head(server: &Server) {
    let acme = lively(server).await;
    let created = export(&acme, "action=workspace.create").await;
    let parsed = parsed(&created);
    assert!(created.len() >= 2 && field(&parsed, "action").iter().all(|action| *action == "workspace.create"));
    assert_verified(&created, true, true);
    assert_verified(&created, false, false);
    let by_owner = format!("actor_id={}&target_type=workspace&from=2000-01-01T00:00:00Z", acme.owner.id);
    assert_eq!(export(&acme, &by_owner).await, created);
    assert!(export(&acme, "to=2000-01-01T00:00:00Z").await.is_empty());
    let told = server.rows("SELECT details FROM audit_log WHERE action = 'audit.export' ORDER BY id LIMIT 1").await;
    assert!(told[0]["details"].as_str().unwrap().contains("\"action\":\"workspace.create\""), "{told:?}");
    let moved: Vec<String> = created.iter().rev().cloned().collect();
    assert_verified(&moved, true, false);
    assert_verified(&[created[0].replace("workspace.create", "workspace.delete")], true, false);
    ask(&acme, &acme.admin, "limit=10").await.invalid("limit");
    ask(&acme, &acme.admin, "cursor=10").await.invalid("cursor");
}

async fn readers_of_the_log_alone_may_export_it(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    ask(&acme, &acme.developer, "").await.error(403, "FORBIDDEN");
    ask(&acme, &globex.owner, "").await.error(404, "ORG_NOT_FOUND");
    let lines = parsed(&export(&acme, "").await);
    assert!(!lines.is_empty() && lines.iter().all(|line| line["chain"] == acme.id));
}

async fn whatever_is_done_to_a_line_is_found(server: &Server) {
    let acme = lively(server).await;
    let whole = export(&acme, "").await;
    let record: Map<String, Value> = serde_json::from_str(&whole[1]).unwrap();
    for (name, value) in &record {
        let other = match value {
            Value::Number(number) => json!(number.as_i64().unwrap() + 1),
            Value::String(text) if name.ends_with("hash") => json!(format!("{:0<64}", &text[..60])),
            Value::String(text) if name == "occurred_at" => json!(text.replace("Z", "+00:00")),
            Value::String(text) => json!(format!("{text} ")),
            _ => json!("x"),
        };
        let mut changed = record.clone();
        changed.insert(name.clone(), other);
        let mut without = record.clone();
        without.remove(name);
        for line in [changed, without] {
            let mut lines = whole.clone();
            lines[1] = Value::from(line).to_string();
            assert_verified(&lines, false, false);
        }
    }
    for lines in [
        [&whole[..1], &whole[2..]].concat(),
        [&whole[1..2], &whole[..1], &whole[2..]].concat(),
        [&whole[..2], &whole[1..]].concat(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..whole.len() - 2], &whole[whole.len() - 1..]].concat(),
        [&whole[..], &whole[..1]].concat(),
        Vec::new(),
    ] {
        assert_verified(&lines, false, false);
    }
    let mut cut = whole.clone();
    let last = cut.pop().unwrap();
    cut.push(last[..last.len() / 2].to_owned());
    assert_verified(&cut, false, false);
}
