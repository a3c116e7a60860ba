use chrono::{Duration, SecondsFormat};
use rivergen_kernel::{DataSourceId, ErrorCode, PolicyId, QueryId};
use rivergen_policies::{
    decision::{ActionTaken, AppliedPolicy, EvaluationResult},
    evaluation::{self, Applied, NewRun, Outcome, RunKind, RunStatus, run},
    rule::PolicyType,
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::harness::{ACME, Answer, CRM, House, LAKE, Person};

on_both_databases!(
    a_run_leaves_one_evaluation_per_policy_and_source,
    every_end_is_recorded_and_only_once,
    the_record_is_filtered_and_paged,
    a_killed_servers_runs_are_marked,
);

async fn start(house: &House, person: &Person) -> QueryId {
    let new = NewRun {
        tenant: house.tenant(),
        user_id: person.user_id,
        kind: RunKind::Sql,
        sql: "SELECT '\0'",
        data_source_ids: &[CRM, LAKE],
        ip: Some([203, 0, 113, 9].into()),
        stage: None,
    };
    evaluation::start(&house.policies.platform, new).await.unwrap()
}

async fn stored(house: &House, id: QueryId) -> run::Model {
    run::Entity::find_by_id(id).one(house.policies.platform.db.read()).await.unwrap().unwrap()
}

async fn policy(house: &House, rules: usize) -> PolicyId {
    let rules: Vec<Value> = (0..rules)
        .map(|_| json!({"rule_name": "r", "rule_type": "filter_rows", "rule_config": {"condition": "a = 1"}}))
        .collect();
    let policy = house.policy(json!({"name": "a", "type": "row_level_security", "rules": rules})).await;
    PolicyId(policy["id"].as_i64().unwrap())
}

fn applied(
    data_source_id: DataSourceId,
    policy_id: PolicyId,
    result: EvaluationResult,
    action: ActionTaken,
) -> Applied {
    let policy = AppliedPolicy {
        policy_id,
        policy_name: "a".to_owned(),
        policy_type: PolicyType::RowLevelSecurity,
        evaluation_result: result,
        action_taken: action,
    };
    Applied { data_source_id, policy }
}

fn filtered(data_source_id: DataSourceId, policy_id: PolicyId) -> Applied {
    applied(data_source_id, policy_id, EvaluationResult::Modified, ActionTaken::FilteredRows)
}

fn items(answer: &Answer) -> &Vec<Value> {
    answer.data()["items"].as_array().unwrap()
}

async fn a_run_leaves_one_evaluation_per_policy_and_source(house: &House) {
    let (one, two) = (policy(house, 1).await, policy(house, 2).await);
    let run = start(house, &house.viewer).await;
    house.time.advance(Duration::seconds(3));
    let outcome = Outcome::succeeded(12);
    let did = [
        filtered(CRM, one),
        applied(CRM, one, EvaluationResult::Allowed, ActionTaken::None),
        filtered(CRM, one),
        filtered(LAKE, one),
        applied(LAKE, two, EvaluationResult::Modified, ActionTaken::MaskedColumns),
    ];
    evaluation::finish(&house.policies.platform, run, outcome, &did).await.unwrap();
    let row = stored(house, run).await;
    assert_eq!((row.status, row.row_count, row.error_code), (RunStatus::Succeeded, Some(12), None));
    assert!(row.duration_ms.unwrap() >= 3_000);
    assert_eq!((row.organization_id, row.data_source_ids), (ACME, json!([CRM, LAKE])));

    let answer = house.get(&house.owner, &format!("/{one}/evaluations")).await;
    assert_eq!(items(&answer).len(), 2);
    let latest = &items(&answer)[0];
    assert_eq!((&latest["policy_id"], &latest["query_id"]), (&json!(one), &json!(run)));
    assert_eq!((&latest["user_id"], &latest["data_source_id"]), (&json!(house.viewer.user_id), &json!(LAKE)));
    assert!(latest["policy_rule_id"].is_i64());
    assert_eq!((&latest["evaluation_result"], &latest["action_taken"]), (&json!("modified"), &json!("filtered_rows")));
    assert_eq!(latest["evaluation_details"], json!({"rows_filtered": null, "rows_returned": 12}));
    assert_eq!(latest["ip_address"], "203.0.113.9");
    assert_eq!(latest["metadata"], json!({"query_kind": "sql", "query_status": "succeeded", "error_code": null}));

    // A policy with several rules is recorded as a whole.
    let answer = house.get(&house.owner, &format!("/{two}/evaluations")).await;
    assert_eq!(items(&answer)[0]["policy_rule_id"], Value::Null);
}

async fn every_end_is_recorded_and_only_once(house: &House) {
    let platform = &house.policies.platform;
    let policy = policy(house, 1).await;
    let since = platform.clock.now() - Duration::hours(1);
    for (outcome, status, code) in [
        (Outcome::failed(ErrorCode::PolicyDenied), RunStatus::Denied, Some("POLICY_DENIED")),
        (Outcome::failed(ErrorCode::QueryTimeout), RunStatus::Failed, Some("QUERY_TIMEOUT")),
        (Outcome::cancelled(5), RunStatus::Cancelled, None),
        (Outcome::succeeded(0), RunStatus::Succeeded, None),
    ] {
        let run = start(house, &house.viewer).await;
        assert_eq!(stored(house, run).await.status, RunStatus::Running);
        evaluation::finish(platform, run, outcome, &[filtered(CRM, policy)]).await.unwrap();
        evaluation::finish(platform, run, Outcome::succeeded(99), &[filtered(CRM, policy)]).await.unwrap();
        let row = stored(house, run).await;
        assert_eq!((row.status, row.error_code.as_deref()), (status, code));
        let answer = house.get(&house.owner, &format!("/{policy}/evaluations?query_id={run}")).await;
        assert_eq!(items(&answer).len(), 1);
    }
    let tenant = house.tenant();
    assert_eq!(evaluation::started_since(platform, tenant, house.viewer.user_id, since).await.unwrap(), 4);
    assert_eq!(evaluation::started_since(platform, tenant, house.owner.user_id, since).await.unwrap(), 0);
    house.time.advance(Duration::hours(2));
    let since = platform.clock.now() - Duration::hours(1);
    assert_eq!(evaluation::started_since(platform, tenant, house.viewer.user_id, since).await.unwrap(), 0);
    assert!(evaluation::finish(platform, QueryId(999), Outcome::succeeded(0), &[]).await.is_err());
}

async fn the_record_is_filtered_and_paged(house: &House) {
    let platform = &house.policies.platform;
    let policy = policy(house, 1).await;
    let begin = platform.clock.now();
    for person in [&house.viewer, &house.developer, &house.viewer] {
        house.time.advance(Duration::days(1));
        let run = start(house, person).await;
        evaluation::finish(platform, run, Outcome::succeeded(1), &[filtered(CRM, policy)]).await.unwrap();
    }
    let path = format!("/{policy}/evaluations");
    let day = |days| (begin + Duration::days(days) + Duration::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    for (query, expected) in [
        (String::new(), 3),
        (format!("?user_id={}", house.viewer.user_id), 2),
        (format!("?start_date={}", day(1)), 2),
        (format!("?end_date={}", day(1)), 1),
        (format!("?start_date={}&end_date={}", day(1), day(2)), 1),
        (format!("?start_date={}", day(1).replace('Z', "+00:00")), 2),
    ] {
        let answer = house.get(&house.owner, &format!("{path}{query}")).await;
        assert_eq!(answer.data()["pagination"]["total_items"], expected, "{query}");
    }
    let second = house.get(&house.owner, &format!("{path}?page=2&page_size=2")).await;
    assert_eq!(items(&second).len(), 1);
    assert_eq!(second.data()["pagination"]["has_previous"], true);

    let bad_date = house.get(&house.owner, &format!("{path}?start_date=yesterday")).await;
    assert_eq!(bad_date.fault(), (ErrorCode::ValidationError, vec!["start_date"]));
    let backwards = house.get(&house.owner, &format!("{path}?start_date={}&end_date={}", day(2), day(1))).await;
    assert_eq!(backwards.fault().0, ErrorCode::BadRequest);
    assert_eq!(house.get(&house.stranger, &path).await.fault().0, ErrorCode::NotFound);
    assert_eq!(house.get(&house.viewer, &path).await.fault().0, ErrorCode::Forbidden);
    assert_eq!(house.get(&house.owner, "/999/evaluations").await.fault().0, ErrorCode::NotFound);
    assert_eq!(house.send("GET", None, &path, None).await.fault().0, ErrorCode::Unauthorized);
}

async fn a_killed_servers_runs_are_marked(house: &House) {
    let platform = &house.policies.platform;
    let ended = start(house, &house.viewer).await;
    evaluation::finish(platform, ended, Outcome::succeeded(1), &[]).await.unwrap();
    let left = start(house, &house.viewer).await;
    house.time.advance(Duration::hours(2));
    assert_eq!(evaluation::mark_interrupted(platform, Duration::hours(1)).await.unwrap(), 1);
    assert_eq!(stored(house, left).await.status, RunStatus::Interrupted);
    assert_eq!(stored(house, ended).await.status, RunStatus::Succeeded);
    // The query that was thought dead ends after all: too late.
    evaluation::finish(platform, left, Outcome::succeeded(1), &[]).await.unwrap();
    assert_eq!(stored(house, left).await.status, RunStatus::Interrupted);

    // On PostgreSQL another node may be running it.
    let young = start(house, &house.viewer).await;
    let marked = evaluation::mark_interrupted(platform, Duration::hours(1)).await.unwrap();
    let on_postgres = platform.db.backend() == sea_orm::DbBackend::Postgres;
    assert_eq!(marked, u64::from(!on_postgres));
    let expected = if on_postgres { RunStatus::Running } else { RunStatus::Interrupted };
    assert_eq!(stored(house, young).await.status, expected);
}
