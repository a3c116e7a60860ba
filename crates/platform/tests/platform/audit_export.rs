//! An export holds by itself, and whatever is done to it shows.

use futures::TryStreamExt;
use rivergen_kernel::{OrganizationId, UserId};
use rivergen_platform::audit::{
    self, Actor, AuditRecord, BreakReason, Chain, ExportReport, Extent, FaultReason, Rows, log, verify_export,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::database::TestDatabase;

const ACME: OrganizationId = OrganizationId(7);

on_both_databases!(
    an_export_verifies_without_the_database,
    every_field_is_held_by_the_hash,
    missing_moved_and_inserted_lines_are_found,
    a_cut_off_end_is_found,
    what_a_filter_chose_is_verified_as_far_as_it_goes,
    more_records_than_one_batch_come_in_order,
);

async fn record(test: &TestDatabase, organization: Option<OrganizationId>, action: &'static str) {
    let tx = test.db.begin().await.unwrap();
    let actor = Actor::user(UserId(3)).with_ip(Some("203.0.113.9".parse().unwrap())).with_user_agent(Some("ä\"\n"));
    let record = AuditRecord::new(organization, actor, action)
        .target("user", UserId(3))
        .details(json!({"b": 1.50, "a": ["é\u{2028}", null]}));
    audit::record(&tx, &test.clock, record).await.unwrap();
    tx.commit().await.unwrap();
}

async fn export(test: &TestDatabase, organization: Option<OrganizationId>) -> Vec<String> {
    let head = audit::head(test.db.read(), Chain::of(organization)).await.unwrap().unwrap();
    let export = audit::export(test.db.clone(), Rows::Along(Box::new(log::Entity::find())), head, Extent::Whole);
    lines(export.try_collect::<Vec<_>>().await.unwrap().concat())
}

fn lines(export: Vec<u8>) -> Vec<String> {
    String::from_utf8(export).unwrap().lines().map(str::to_owned).collect()
}

fn verified(lines: &[String], extent: Extent) -> ExportReport {
    verify_export(lines.join("\n").as_bytes(), extent).unwrap()
}

/// The line at which it does not hold, and why.
fn fault(lines: &[String]) -> Option<(u64, FaultReason)> {
    verified(lines, Extent::Whole).fault.map(|fault| (fault.line, fault.reason))
}

/// As [`fault`], where it is a chain that breaks.
fn first_break(lines: &[String]) -> Option<(u64, BreakReason)> {
    match fault(lines) {
        Some((line, FaultReason::Broken(broken))) => Some((line, broken.reason)),
        other => panic!("no break: {other:?}"),
    }
}

async fn three(test: &TestDatabase) -> Vec<String> {
    for action in ["one", "two", "three"] {
        record(test, Some(ACME), action).await;
    }
    export(test, Some(ACME)).await
}

async fn an_export_verifies_without_the_database(test: &TestDatabase) {
    let mut all = three(test).await;
    record(test, None, "of the system").await;
    all.extend(export(test, None).await);
    assert_eq!(all.len(), 6);
    let report = verified(&all, Extent::Whole);
    assert_eq!((report.records, report.fault), (4, None));
    let ends: Vec<_> = report.heads.iter().map(|head| (head.chain, head.sequence)).collect();
    assert_eq!(ends, [(Chain::SYSTEM, 1), (Chain::of(Some(ACME)), 3)]);
    let first: Value = serde_json::from_str(&all[0]).unwrap();
    assert_eq!(first["details"], "{\"a\":[\"é\u{2028}\",null],\"b\":1.5}");
    assert_eq!((&first["user_agent"], &first["previous_hash"]), (&json!("ä\"\n"), &json!("0".repeat(64))));
    // A chain without records has no head, and so no export.
    assert_eq!(audit::head(test.db.read(), Chain::of(Some(OrganizationId(8)))).await.unwrap(), None);
    assert_eq!(fault(&[]).unwrap().1, FaultReason::Empty);
}

async fn every_field_is_held_by_the_hash(test: &TestDatabase) {
    let whole = three(test).await;
    let fields: Vec<String> =
        serde_json::from_str::<serde_json::Map<_, _>>(&whole[1]).unwrap().keys().cloned().collect();
    assert_eq!(fields.len(), 16);
    for field in fields {
        let mut changed: Value = serde_json::from_str(&whole[1]).unwrap();
        let other = match &changed[&field] {
            Value::Number(number) => json!(number.as_i64().unwrap() + 1),
            Value::String(text) if field == "occurred_at" => json!(text.replace('T', "t")),
            Value::String(text) if field.ends_with("hash") => json!(format!("{:0<64}", &text[..60])),
            Value::String(text) => json!(format!("{text} ")),
            other => panic!("{other}"),
        };
        changed[&field] = other;
        let mut without: Value = serde_json::from_str(&whole[1]).unwrap();
        without.as_object_mut().unwrap().remove(&field);
        for line in [changed, without] {
            let mut lines = whole.clone();
            lines[1] = line.to_string();
            let (at, _) = fault(&lines).unwrap_or_else(|| panic!("{field} is not held: {line}"));
            // A record that says it is of another chain is missing in its own, which shows at the latest behind it.
            assert!((2..=3).contains(&at), "{field}: line {at}");
        }
    }
    for field in ["ip", "user_agent", "target_kind", "target_id", "organization_id", "actor_user_id"] {
        let mut lines = whole.clone();
        let mut emptied: Value = serde_json::from_str(&lines[2]).unwrap();
        emptied[field] = Value::Null;
        lines[2] = emptied.to_string();
        assert_eq!(first_break(&lines), Some((3, BreakReason::Changed)), "{field}");
    }
    let mut more = whole.clone();
    more[0] = more[0].replacen('{', "{\"note\":1,", 1);
    assert!(matches!(fault(&more), Some((1, FaultReason::Unreadable(_)))));
    let mut twice = whole;
    twice[0] = twice[0].replacen('{', "{\"action\":\"x\",", 1);
    assert!(matches!(fault(&twice), Some((1, FaultReason::Unreadable(_)))));
}

async fn missing_moved_and_inserted_lines_are_found(test: &TestDatabase) {
    let whole = three(test).await;
    let of = |order: &[usize]| -> Vec<String> { order.iter().map(|at| whole[*at].clone()).collect() };
    assert_eq!(first_break(&of(&[0, 2, 3])), Some((2, BreakReason::Missing)));
    assert_eq!(first_break(&of(&[1, 2, 3])), Some((1, BreakReason::Missing)));
    assert_eq!(first_break(&of(&[0, 2, 1, 3])), Some((2, BreakReason::Missing)));
    assert_eq!(first_break(&of(&[0, 1, 1, 2, 3])), Some((3, BreakReason::OutOfOrder)));
    // A record of another database: it holds by itself, and nothing here leads to it.
    let other = TestDatabase::sqlite().await;
    let foreign = three(&other).await;
    let mut inserted = whole.clone();
    inserted[1].clone_from(&foreign[1]);
    assert_eq!(first_break(&inserted), Some((2, BreakReason::NotLinked)));
    assert_eq!(fault(&of(&[0, 1, 2, 3, 3])).unwrap(), (5, FaultReason::AfterHead(Chain::of(Some(ACME)))));
    other.remove().await;
}

async fn a_cut_off_end_is_found(test: &TestDatabase) {
    let whole = three(test).await;
    for length in 1..whole.len() {
        let (line, reason) = fault(&whole[..length]).unwrap();
        assert_eq!((line, reason), (length as u64 + 1, FaultReason::NoHead(Chain::of(Some(ACME)))));
    }
    let mut shorter = whole.clone();
    shorter.remove(2);
    assert_eq!(first_break(&shorter), Some((3, BreakReason::Missing)));
    let half = whole.join("\n");
    let half = &half.as_bytes()[..half.len() - 10];
    let report = verify_export(half, Extent::Whole).unwrap();
    assert!(matches!(report.fault.unwrap().reason, FaultReason::Unreadable(_)));
    let mut forged = whole;
    forged[3] = forged[3].replace("\"sequence\":3", "\"sequence\":2");
    assert_eq!(first_break(&forged), Some((4, BreakReason::BeyondHead)));
}

async fn what_a_filter_chose_is_verified_as_far_as_it_goes(test: &TestDatabase) {
    let whole = three(test).await;
    record(test, Some(ACME), "four").await;
    let head = audit::head(test.db.read(), Chain::of(Some(ACME))).await.unwrap().unwrap();
    let rows = Rows::Along(Box::new(log::Entity::find().filter(log::Column::Action.ne("two"))));
    let filtered = audit::export(test.db.clone(), rows, head, Extent::Selected).try_collect::<Vec<_>>().await.unwrap();
    let filtered = lines(filtered.concat());
    assert_eq!(filtered.len(), 3);
    let report = verified(&filtered, Extent::Selected);
    assert_eq!((report.records, report.fault), (3, None));
    assert_eq!(fault(&filtered).unwrap().0, 2, "it does not pass for a whole one");
    let mut changed = filtered.clone();
    changed[0] = changed[0].replace("203.0.113.9", "203.0.113.8");
    assert_eq!(verified(&changed, Extent::Selected).fault.unwrap().line, 1);
    let mut moved = filtered;
    moved.swap(0, 1);
    assert_eq!(verified(&moved, Extent::Selected).fault.unwrap().line, 2);
    assert_eq!(verified(&[], Extent::Selected).fault, None);
    assert_eq!(verified(&whole[..2], Extent::Selected).fault, None);
}

async fn more_records_than_one_batch_come_in_order(test: &TestDatabase) {
    let tx = test.db.begin().await.unwrap();
    let records = (0..1000).map(|_| AuditRecord::new(Some(ACME), Actor::system(), "busy")).collect();
    audit::record_all(&tx, &test.clock, records).await.unwrap();
    tx.commit().await.unwrap();
    let lines = export(test, Some(ACME)).await;
    let report = verified(&lines, Extent::Whole);
    assert_eq!((lines.len(), report.records, report.fault), (1001, 1000, None));
}
