//! The chain holds, and whatever is done to it shows.

use rivergen_kernel::{OrganizationId, UserId};
use rivergen_platform::audit::{self, Actor, AuditRecord, Break, BreakReason, Chain, Outcome, verify};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;

use crate::database::TestDatabase;

const ACME: OrganizationId = OrganizationId(7);

on_both_databases!(
    records_are_kept_as_they_were_given,
    a_rolled_back_record_leaves_no_gap,
    nobody_changes_or_deletes_a_record,
    a_changed_record_breaks_the_chain,
    a_removed_record_breaks_the_chain,
    a_cut_end_does_not_fit_the_head,
    a_forged_record_stands_beyond_the_head,
    records_at_the_same_time_make_one_chain,
);

async fn record(test: &TestDatabase, organization: Option<OrganizationId>, action: &'static str) {
    let tx = test.db.begin().await.unwrap();
    let record = AuditRecord::new(organization, Actor::user(UserId(3)), action)
        .target("user", UserId(3))
        .details(json!({"b": 1.50, "a": ["é", null]}));
    audit::record(&tx, &test.clock, record).await.unwrap();
    tx.commit().await.unwrap();
}

/// Past the triggers, as somebody who owns the database could.
async fn tamper(test: &TestDatabase, statement: &str) {
    let triggers: &[&str] = if test.is_postgres() {
        &["ALTER TABLE audit_log DISABLE TRIGGER USER"]
    } else {
        &["DROP TRIGGER audit_log_no_update", "DROP TRIGGER audit_log_no_delete", "DROP TRIGGER audit_log_no_replace"]
    };
    for trigger in triggers {
        test.sql(trigger).await.unwrap();
    }
    test.sql(statement).await.unwrap();
}

async fn first_break(test: &TestDatabase) -> Option<(i64, BreakReason)> {
    let report = verify(&test.db, None).await.unwrap();
    report.first_break.map(|Break { sequence, reason, .. }| (sequence, reason))
}

async fn records_are_kept_as_they_were_given(test: &TestDatabase) {
    let tx = test.db.begin().await.unwrap();
    let actor =
        Actor::anonymous().with_ip(Some("203.0.113.9".parse().unwrap())).with_user_agent(Some("a\0".repeat(1000)));
    let failed = AuditRecord::new(None, actor, "auth.login").outcome(Outcome::Failure);
    audit::record(&tx, &test.clock, failed).await.unwrap();
    tx.commit().await.unwrap();
    record(test, Some(ACME), "data_source.create").await;
    record(test, Some(ACME), "data_source.create").await;

    let rows = audit::log::Entity::find().order_by_asc(audit::log::Column::Id).all(test.db.read()).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.chain, row.sequence)).collect::<Vec<_>>(), [(0, 1), (7, 1), (7, 2)]);
    assert_eq!(rows[0].ip.as_deref(), Some("203.0.113.9"));
    assert_eq!(rows[0].user_agent.as_deref(), Some("a".repeat(256).as_str()), "bounded, without zero bytes");
    assert_eq!((rows[0].actor_kind.as_str(), rows[0].outcome.as_str()), ("anonymous", "failure"));
    assert_eq!(rows[1].details, r#"{"a":["é",null],"b":1.5}"#);
    assert_eq!(rows[2].previous_hash, rows[1].hash);

    let report = verify(&test.db, None).await.unwrap();
    assert_eq!((report.chains, report.records, report.first_break), (2, 3, None));
    let report = verify(&test.db, Some(Chain::of(Some(ACME)))).await.unwrap();
    assert_eq!((report.chains, report.records), (1, 2));
    let ends: Vec<_> = report.heads.iter().map(|head| (head.chain, head.sequence, &head.hash)).collect();
    assert_eq!(ends, [(Chain::of(Some(ACME)), 2, &rows[2].hash)]);
}

async fn a_rolled_back_record_leaves_no_gap(test: &TestDatabase) {
    record(test, None, "one").await;
    let tx = test.db.begin().await.unwrap();
    audit::record(&tx, &test.clock, AuditRecord::new(None, Actor::system(), "undone")).await.unwrap();
    drop(tx);
    record(test, None, "two").await;
    let report = verify(&test.db, None).await.unwrap();
    assert_eq!((report.records, report.first_break), (2, None));
}

async fn nobody_changes_or_deletes_a_record(test: &TestDatabase) {
    record(test, None, "one").await;
    let mut forbidden =
        vec!["UPDATE audit_log SET outcome = 'failure'", "UPDATE audit_log SET id = id", "DELETE FROM audit_log"];
    if test.is_postgres() {
        forbidden.push("TRUNCATE audit_log");
    } else {
        forbidden.push("INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log");
    }
    for statement in forbidden {
        let error = test.sql(statement).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    assert_eq!(first_break(test).await, None);
}

async fn a_changed_record_breaks_the_chain(test: &TestDatabase) {
    for action in ["one", "two", "three"] {
        record(test, Some(ACME), action).await;
    }
    tamper(test, "UPDATE audit_log SET actor_user_id = 4 WHERE sequence = 2").await;
    assert_eq!(first_break(test).await, Some((2, BreakReason::Changed)));
}

async fn a_removed_record_breaks_the_chain(test: &TestDatabase) {
    for action in ["one", "two", "three"] {
        record(test, Some(ACME), action).await;
    }
    tamper(test, "DELETE FROM audit_log WHERE sequence = 2").await;
    assert_eq!(first_break(test).await, Some((2, BreakReason::Missing)));
    // Closing the gap does not help: the record behind it names the one that is gone.
    test.sql("UPDATE audit_log SET sequence = 2 WHERE sequence = 3").await.unwrap();
    assert_eq!(first_break(test).await, Some((2, BreakReason::Changed)));
}

async fn a_cut_end_does_not_fit_the_head(test: &TestDatabase) {
    for action in ["one", "two"] {
        record(test, Some(ACME), action).await;
    }
    tamper(test, "DELETE FROM audit_log WHERE sequence = 2").await;
    assert_eq!(first_break(test).await, Some((2, BreakReason::Missing)));
    test.sql("UPDATE audit_heads SET sequence = 1").await.unwrap();
    assert_eq!(first_break(test).await, Some((1, BreakReason::HeadChanged)));
    test.sql("DELETE FROM audit_heads").await.unwrap();
    assert_eq!(first_break(test).await, Some((1, BreakReason::BeyondHead)));
}

async fn a_forged_record_stands_beyond_the_head(test: &TestDatabase) {
    record(test, Some(ACME), "one").await;
    test.sql(
        "INSERT INTO audit_log (chain, sequence, organization_id, occurred_at, actor_kind, action, outcome, details, \
         previous_hash, hash) SELECT chain, 2, organization_id, occurred_at, actor_kind, 'forged', outcome, details, \
         hash, hash FROM audit_log",
    )
    .await
    .unwrap();
    assert_eq!(first_break(test).await, Some((2, BreakReason::BeyondHead)));
}

async fn records_at_the_same_time_make_one_chain(test: &TestDatabase) {
    futures::future::join_all((0..20).map(|_| record(test, Some(ACME), "busy"))).await;
    let report = verify(&test.db, None).await.unwrap();
    assert_eq!((report.records, report.first_break), (20, None));
}
