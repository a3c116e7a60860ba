//! The planner that asks a model on this machine, with something in the model's place that says what it is told to say.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use async_trait::async_trait;
use rivergen_kernel::OrganizationId;
use rivergen_studio::planner::{
    Context, LocalInference, LocalPlanner, LocalSettings, Message, Meter, NotSaid, Plan, PlanError, Planner, Refused,
    Role, Said, Unheard,
};

use super::table;

/// It says its answers in their order, and nothing when there are none any more.
#[derive(Debug)]
struct Model {
    answers: Mutex<VecDeque<&'static str>>,
    heard: Mutex<Vec<Vec<(Role, String)>>>,
    largest_schema: usize,
}

impl Model {
    fn saying(answers: &[&'static str]) -> Self {
        let answers = Mutex::new(answers.iter().copied().collect());
        Self { answers, heard: Mutex::default(), largest_schema: 48 * 1024 }
    }

    fn heard(&self) -> Vec<Vec<(Role, String)>> {
        self.heard.lock().expect("what was heard").clone()
    }
}

#[async_trait]
impl LocalInference for Model {
    fn largest_schema(&self) -> usize {
        self.largest_schema
    }

    async fn answer(
        &self,
        _: OrganizationId,
        system: &str,
        messages: &[Message<'_>],
        _: &Context,
        unheard: Unheard,
    ) -> Result<Said, NotSaid> {
        assert!(system.starts_with("You write SQL"), "{system}");
        let heard = messages.iter().map(|message| (message.role, message.content.to_string())).collect();
        self.heard.lock().expect("what was heard").push(heard);
        let answer = self.answers.lock().expect("answers").pop_front();
        match answer {
            Some(content) => Ok(Said { content: content.to_owned(), tokens: 100 }),
            None => {
                let _left = Left(Some(unheard));
                std::future::pending().await
            }
        }
    }
}

/// What it took until it was left.
struct Left(Option<Unheard>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(unheard) = self.0.take() {
            unheard(70);
        }
    }
}

/// Passes on what is counted.
#[derive(Debug)]
struct Counted(mpsc::Sender<u64>);

#[async_trait]
impl Meter for Counted {
    async fn admit(&self) -> Result<(), PlanError> {
        Ok(())
    }

    async fn spent(&self, tokens: u64) {
        self.0.send(tokens).expect("somebody who looks");
    }
}

fn planner(model: Option<Arc<dyn LocalInference>>) -> LocalPlanner {
    hurried(model, Duration::from_secs(60))
}

fn hurried(model: Option<Arc<dyn LocalInference>>, timeout: Duration) -> LocalPlanner {
    LocalPlanner::new(model, LocalSettings { name: "ours".to_owned(), timeout, share_values: true })
}

async fn plan(model: &Arc<Model>) -> Result<Plan, PlanError> {
    planner(Some(model.clone())).plan("How many orders?", &table::schema("sales").0).await
}

const GOOD: &str =
    r#"{"sql":"SELECT count(*) FROM \"orders\".\"files\".\"orders\"","explanation":"Counts all orders."}"#;

#[tokio::test]
async fn what_a_model_here_says_is_a_plan() {
    let model = Arc::new(Model::saying(&[GOOD]));
    let planned = plan(&model).await.expect("a plan");
    assert_eq!(planned.sql, r#"SELECT count(*) FROM "orders"."files"."orders""#);
    assert_eq!((planned.model.as_str(), planned.tokens_used), ("ours", 100));
    let heard = model.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0][0].0 == Role::Person && heard[0][0].1.contains("How many orders?"), "{heard:?}");
    let here = planner(Some(model));
    assert!(here.is_model() && !here.is_elsewhere(), "it is a model, and nothing leaves this server");
}

#[tokio::test]
async fn what_is_not_one_select_is_said_again() {
    let model = Arc::new(Model::saying(&[r#"{"sql":"SELECT 1; SELECT 2","explanation":"Two."}"#, GOOD]));
    let planned = plan(&model).await.expect("a plan");
    assert_eq!(planned.tokens_used, 200, "both answers");
    let heard = model.heard();
    let roles: Vec<Role> = heard[1].iter().map(|(role, _)| *role).collect();
    assert_eq!(roles, [Role::Person, Role::Model, Role::Person]);
    assert!(heard[1][2].1.contains("2 statements"), "{heard:?}");
}

#[tokio::test]
async fn what_the_engine_refuses_is_mended() {
    let model = Arc::new(Model::saying(&[GOOD]));
    let context = table::schema("sales").0;
    let refused = Refused { sql: "SELECT nonsense", reason: "there is no nonsense" };
    let mended = planner(Some(model.clone())).repair("How many orders?", &context, refused).await.expect("an idea");
    assert!(mended.is_ok(), "{mended:?}");
    assert!(model.heard()[0][2].1.contains("there is no nonsense"));
}

#[tokio::test]
async fn a_model_here_has_no_longer_than_one_elsewhere() {
    let silent = hurried(Some(Arc::new(Model::saying(&[]))), Duration::from_millis(50));
    let late = silent.plan("How many orders?", &table::schema("sales").0).await;
    assert!(matches!(&late, Err(PlanError::Unavailable { retryable: true, message }) if message.contains("in time")));
}

#[tokio::test]
async fn what_was_spent_until_nobody_waited_counts() {
    let (sender, counted) = mpsc::channel();
    let silent = hurried(Some(Arc::new(Model::saying(&[]))), Duration::from_millis(50));
    let silent = silent.metered(OrganizationId(1), Arc::new(Counted(sender)));
    silent.plan("How many orders?", &table::schema("sales").0).await.expect_err("no answer");
    // Whoever counts goes with the planner, and with what it was left to count.
    drop(silent);
    let tokens = loop {
        match counted.try_recv() {
            Ok(tokens) => break tokens,
            Err(mpsc::TryRecvError::Empty) => tokio::task::yield_now().await,
            Err(mpsc::TryRecvError::Disconnected) => panic!("it was not counted"),
        }
    };
    assert_eq!(tokens, 70);
}

#[tokio::test]
async fn a_model_with_little_room_is_told_less() {
    let all = Arc::new(Model::saying(&[GOOD]));
    plan(&all).await.expect("a plan");
    let little = Arc::new(Model { largest_schema: 10, ..Model::saying(&[GOOD]) });
    plan(&little).await.expect("a plan");
    assert!(all.heard()[0][0].1.contains(r#""table":"orders.files"#), "{:?}", all.heard());
    assert!(!little.heard()[0][0].1.contains(r#""table":"#), "{:?}", little.heard());
}

#[tokio::test]
async fn a_model_that_was_taken_away_is_not_there() {
    let gone = planner(None);
    let context = table::schema("sales").0;
    for error in [gone.ready().await.err(), gone.plan("How many orders?", &context).await.err()] {
        assert!(matches!(&error, Some(PlanError::Unavailable { retryable: false, .. })), "{error:?}");
    }
}
