//! Streams deliver everything, in order, to whoever is there or comes back.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use chrono::Duration as Span;
use rivergen_kernel::OrganizationId;
use rivergen_platform::{
    audit::{
        self, Actor, AuditRecord, Extent,
        streams::{AuditConfig, StreamState, Streams, state},
        verify_export,
    },
    jobs::{Jobs, job},
    net::OutboundConfig,
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::database::TestDatabase;

const ACME: OrganizationId = OrganizationId(7);
const GLOBEX: OrganizationId = OrganizationId(8);

on_both_databases!(
    records_arrive_once_in_the_order_of_their_chain,
    a_stream_begins_where_its_settings_say_and_stays_where_it_is,
    a_receiver_that_is_away_gets_everything_later,
    what_was_taken_without_a_word_is_sent_again_under_the_same_id,
    a_record_that_is_committed_late_is_not_passed_over,
    one_node_delivers,
    a_stream_of_some_organizations_has_no_other_records,
    a_long_log_is_delivered_in_one_run,
);

/// The id of a request, and its lines.
type Request = (String, Vec<String>);

/// A webhook's receiver on this machine.
#[derive(Clone, Default)]
struct Receiver {
    requests: Arc<Mutex<Vec<Request>>>,
    /// It takes the records and answers that it has not.
    fails: Arc<AtomicBool>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let router = Router::new().route("/audit", post(take)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/audit", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn lines(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().flat_map(|request| request.1.clone()).collect()
    }

    /// The chain and the action of each record that came.
    fn actions(&self) -> Vec<(i64, String)> {
        let parsed = self.lines().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        parsed.map(|line| (line["chain"].as_i64().unwrap(), line["action"].as_str().unwrap().to_owned())).collect()
    }

    fn of(&self, chain: i64) -> Vec<String> {
        self.actions().into_iter().filter(|record| record.0 == chain).map(|record| record.1).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    receiver.requests.lock().unwrap().push((id, body.lines().map(str::to_owned).collect()));
    if receiver.fails.load(Ordering::SeqCst) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

struct Node {
    jobs: Jobs,
    streams: Streams,
    config: AuditConfig,
}

impl Node {
    async fn start(test: &TestDatabase, settings: Value) -> Self {
        let db = test.another_node().await;
        let mut stream = json!({"name": "siem", "kind": "webhook", "start": "beginning",
            "secret": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
        stream.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let config: AuditConfig = serde_json::from_value(json!({"streams": [stream]})).unwrap();
        config.check().unwrap();
        let outbound = OutboundConfig::default();
        let streams = Streams::new(&config, &outbound, "http://rivergen", db.clone(), test.clock.clone()).unwrap();
        streams.begin().await.unwrap();
        let jobs = Jobs::new(db, test.clock.clone());
        streams.register(&jobs);
        Self { jobs, streams, config }
    }

    /// The next turn, and all that it does.
    async fn turn(&self, test: &TestDatabase) {
        test.time.advance(Span::seconds(6));
        self.jobs.run_due().await.unwrap();
    }

    async fn state(&self, test: &TestDatabase) -> StreamState {
        state(&test.db, &self.config.streams[0]).await.unwrap()
    }
}

async fn record(test: &TestDatabase, organization: Option<OrganizationId>, action: &'static str) {
    let tx = test.db.begin().await.unwrap();
    audit::record(&tx, &test.clock, AuditRecord::new(organization, Actor::system(), action)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn records_arrive_once_in_the_order_of_their_chain(test: &TestDatabase) {
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url})).await;
    for action in ["one", "two"] {
        record(test, Some(ACME), action).await;
        record(test, None, action).await;
    }
    node.turn(test).await;
    record(test, Some(ACME), "three").await;
    assert_eq!(node.state(test).await.records_behind, 1);
    node.turn(test).await;
    node.turn(test).await;
    assert_eq!(
        (receiver.of(7), receiver.of(0)),
        (vec!["one".into(), "two".into(), "three".into()], vec!["one".into(), "two".into()])
    );
    let state = node.state(test).await;
    assert_eq!((state.records_behind, state.failures, state.last_error), (0, 0, None));
    assert_eq!(state.last_success_at.map(|at| at <= test.clock.now()), Some(true));
    // What arrives can be verified, line by line.
    let report = verify_export(receiver.lines().join("\n").as_bytes(), Extent::Selected).unwrap();
    assert_eq!((report.records, report.fault), (5, None));
    assert!(job::Entity::find().all(test.db.read()).await.unwrap().is_empty(), "no turn leaves a row");
    node.streams.measure().await.unwrap();
}

async fn a_stream_begins_where_its_settings_say_and_stays_where_it_is(test: &TestDatabase) {
    record(test, Some(ACME), "before").await;
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url, "start": "now"})).await;
    record(test, Some(ACME), "after").await;
    record(test, Some(GLOBEX), "a new chain").await;
    node.turn(test).await;
    assert_eq!((receiver.of(7), receiver.of(8)), (vec!["after".into()], vec!["a new chain".into()]));
    // Started again, with another place to begin: its name is known.
    let node = Node::start(test, json!({"url": url})).await;
    record(test, Some(ACME), "later").await;
    node.turn(test).await;
    assert_eq!(receiver.of(7), ["after", "later"]);
    let other = Node::start(test, json!({"url": url, "name": "other"})).await;
    other.turn(test).await;
    assert_eq!(receiver.of(7), ["after", "later", "before", "after", "later"]);
}

async fn a_receiver_that_is_away_gets_everything_later(test: &TestDatabase) {
    // A port on which nobody listens.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let node = Node::start(test, json!({"url": format!("http://{address}/secret-path?token=x")})).await;
    record(test, Some(ACME), "one").await;
    for failures in 1..=3 {
        node.turn(test).await;
        let state = node.state(test).await;
        assert_eq!((state.failures, state.records_behind), (failures, i64::from(failures)));
        let error = state.last_error.unwrap();
        assert!(error.contains("refused") && !error.contains("secret-path"), "{error}");
        assert!(state.last_failure_at.is_some());
        // Not before its time.
        let next = state.next_attempt_at.unwrap();
        assert!(next > test.clock.now());
        node.jobs.run_due().await.unwrap();
        assert_eq!(node.state(test).await.failures, failures);
        test.time.advance(next - test.clock.now());
        record(test, Some(ACME), "more").await;
    }
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url})).await;
    node.turn(test).await;
    assert_eq!(receiver.of(7), ["one", "more", "more", "more"]);
    let state = node.state(test).await;
    assert_eq!((state.failures, state.next_attempt_at, state.records_behind), (0, None, 0));
    assert!(state.last_error.is_some(), "what it was is kept");
}

async fn what_was_taken_without_a_word_is_sent_again_under_the_same_id(test: &TestDatabase) {
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url})).await;
    record(test, Some(ACME), "one").await;
    receiver.fails.store(true, Ordering::SeqCst);
    node.turn(test).await;
    assert_eq!(node.state(test).await.last_error.as_deref(), Some("the receiver answered 503 Service Unavailable"));
    receiver.fails.store(false, Ordering::SeqCst);
    node.turn(test).await;
    let requests = receiver.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
}

/// On PostgreSQL a row may appear after one with a higher id. (SQLite has one writer.)
async fn a_record_that_is_committed_late_is_not_passed_over(test: &TestDatabase) {
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url})).await;
    record(test, Some(ACME), "first").await;
    if test.is_postgres() {
        let late = test.db.begin().await.unwrap();
        audit::record(&late, &test.clock, AuditRecord::new(Some(ACME), Actor::system(), "late")).await.unwrap();
        record(test, Some(GLOBEX), "early").await;
        node.turn(test).await;
        assert_eq!((receiver.of(7), receiver.of(8)), (vec!["first".into()], vec!["early".into()]));
        late.commit().await.unwrap();
    } else {
        record(test, Some(ACME), "late").await;
    }
    node.turn(test).await;
    assert_eq!(receiver.of(7), ["first", "late"]);
}

async fn one_node_delivers(test: &TestDatabase) {
    let (receiver, url) = Receiver::start().await;
    let nodes = [Node::start(test, json!({"url": url})).await, Node::start(test, json!({"url": url})).await];
    for turn in 0..5 {
        for _ in 0..20 {
            record(test, Some(ACME), "busy").await;
        }
        test.time.advance(Span::seconds(6));
        let runs = futures::future::join_all(nodes.iter().map(|node| node.jobs.run_due())).await;
        assert!(runs.iter().all(Result::is_ok), "{runs:?}");
        assert_eq!(receiver.lines().len(), (turn + 1) * 20);
    }
}

async fn a_stream_of_some_organizations_has_no_other_records(test: &TestDatabase) {
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url, "organizations": [8]})).await;
    for organization in [None, Some(ACME), Some(GLOBEX)] {
        record(test, organization, "one").await;
    }
    assert_eq!(node.state(test).await.records_behind, 1);
    node.turn(test).await;
    assert_eq!(receiver.actions(), [(8, "one".to_owned())]);
}

async fn a_long_log_is_delivered_in_one_run(test: &TestDatabase) {
    let (receiver, url) = Receiver::start().await;
    let node = Node::start(test, json!({"url": url})).await;
    for organization in [ACME, GLOBEX] {
        let tx = test.db.begin().await.unwrap();
        let record = |_| AuditRecord::new(Some(organization), Actor::system(), "busy");
        audit::record_all(&tx, &test.clock, (0..450).map(record).collect()).await.unwrap();
        tx.commit().await.unwrap();
    }
    node.turn(test).await;
    let sequences = |chain: i64| -> Vec<i64> {
        let lines = receiver.lines();
        let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed.filter(|line| line["chain"] == chain).map(|line| line["sequence"].as_i64().unwrap()).collect()
    };
    assert_eq!(sequences(7), (1..=450).collect::<Vec<_>>());
    assert_eq!(sequences(8), (1..=450).collect::<Vec<_>>());
    assert!(receiver.requests.lock().unwrap().iter().all(|request| request.1.len() <= 200));
}
