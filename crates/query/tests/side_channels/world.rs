//! Two worlds that look the same to the caller.

use std::{sync::Arc, time::Duration};

use datafusion::catalog::TableProvider;
use rivergen_policies::{
    decision::{ColumnInfo, Subject, decide},
    facts::Facts,
    mask::HashKey,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{
    GovernedTable, Limits, QueryError, QueryThreads, Session, SessionSpec, filter::Entitlements, mask::column_type,
};
use serde_json::{Value as Json, json};

use crate::{
    place::{NAMES, Place, Tables},
    work::{Meter, Work},
};

/// A row of `people`: id, name, email, region, salary, badge.
pub type Person = (i64, String, String, Option<&'static str>, i64, String);

/// What the tables hold. `orders` is the same in both worlds and open to everybody.
pub struct Content {
    pub people: Vec<Person>,
    /// id, person_id, amount.
    pub orders: Vec<(i64, i64, i64)>,
    pub secrets: Vec<String>,
    /// Their ids.
    pub notes: Vec<i64>,
    /// Who may see which note.
    pub grants: Vec<(Option<i64>, &'static str)>,
}

impl Content {
    fn of(which: usize) -> Self {
        let person = |id: i64, email: &str, region, salary, badge: &str| {
            (id, format!("n{id}"), email.to_owned(), region, salary, badge.to_owned())
        };
        // The same under the masks: the first letter and the domain, thousands.
        let visible = [
            [
                person(1, "anna@x.com", Some("EU"), 52_400, "b1"),
                person(3, "cleo@x.com", Some("EU"), 60_600, "b3"),
                person(5, "emil@x.com", Some("EU"), 48_000, "b5"),
            ],
            [
                person(1, "alfred@x.com", Some("EU"), 51_700, "c9"),
                person(3, "christine@x.com", Some("EU"), 61_300, "c8"),
                person(5, "ev@x.com", Some("EU"), 48_400, "c7"),
            ],
        ];
        let mut people = Vec::new();
        if which == 0 {
            people.push(person(2, "bert@y.org", Some("US"), 70_000, "b2"));
        } else {
            people.extend([
                (4, "zero".to_owned(), "d@z.de".to_owned(), Some("APAC"), 0, "d4".to_owned()),
                (7, String::new(), String::new(), None, -1, String::new()),
            ]);
            people.extend((100..400).map(|id| person(id, "many@y.org", Some("US"), id % 7, "many")));
        }
        people.extend(visible[which].clone());
        let orders = vec![(11, 1, 10), (12, 2, 20), (13, 3, 30), (14, 4, 40), (15, 5, 50), (16, 102, 60)];
        let secrets = if which == 0 { Vec::new() } else { vec!["word".to_owned(), "another word".to_owned()] };
        // The caller's are the same; others' are not, and neither are the notes that nobody may see.
        let mut grants = vec![(Some(1), "me@x.com"), (Some(3), "me@x.com"), (Some(9), "me@x.com"), (None, "me@x.com")];
        let mut notes = vec![2, 1, 3];
        if which == 1 {
            grants.extend((100..300).map(|note| (Some(note), "other@x.com")));
            grants.push((Some(2), "other@x.com"));
            notes.extend(100..200);
        }
        Self { people, orders, secrets, notes, grants }
    }
}

/// The two worlds, in one place.
pub struct Worlds {
    worlds: [Tables; 2],
}

/// What can be observed of one statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    Answer { columns: Vec<String>, rows: Vec<Json>, truncated: bool },
    Failure(String),
}

impl Observed {
    pub fn is_answer(&self) -> bool {
        matches!(self, Observed::Answer { .. })
    }

    pub fn rows(&self) -> Json {
        match self {
            Observed::Answer { rows, .. } => json!(rows),
            Observed::Failure(message) => panic!("{message}"),
        }
    }

    pub fn count(&self) -> usize {
        self.rows().as_array().map_or(0, Vec::len)
    }

    pub fn columns(&self) -> Vec<&str> {
        match self {
            Observed::Answer { columns, .. } => columns.iter().map(String::as_str).collect(),
            Observed::Failure(message) => panic!("{message}"),
        }
    }

    pub fn is_truncated(&self) -> bool {
        matches!(self, Observed::Answer { truncated: true, .. })
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        match self {
            Observed::Answer { rows, .. } => json!(rows).to_string(),
            Observed::Failure(message) => message.clone(),
        }
    }
}

impl Worlds {
    /// `None` where the place is not there.
    pub async fn build(place: Place) -> Option<Self> {
        let first = Tables::build(place, "first", &Content::of(0)).await?;
        let second = Tables::build(place, "second", &Content::of(1)).await?;
        Some(Self { worlds: [first, second] })
    }

    pub async fn remove(self) {
        for world in self.worlds {
            world.remove().await;
        }
    }

    /// What both worlds show, which must be the same.
    pub async fn same(&self, sql: &str) -> Observed {
        self.same_with(sql, json!({})).await
    }

    pub async fn same_with(&self, sql: &str, parameters: Json) -> Observed {
        let [first, second] = &self.worlds;
        let (first, second) =
            (observe(first, sql, &parameters, 1_000).await, observe(second, sql, &parameters, 1_000).await);
        assert_eq!(first, second, "{sql} tells the two worlds apart");
        first
    }

    /// The rows that both worlds answer.
    pub async fn rows(&self, sql: &str) -> Json {
        match self.same(sql).await {
            Observed::Failure(message) => panic!("{sql}: {message}"),
            answer => answer.rows(),
        }
    }

    /// What a statement costs each world's place.
    pub async fn work(&self, sql: &str) -> [Work; 2] {
        let [first, second] = &self.worlds;
        [work(first, sql).await, work(second, sql).await]
    }

    /// What each world answers under a limit; which rows are cut off is nobody's business.
    pub async fn observe_limited(&self, sql: &str, max_rows: u64) -> (Observed, Observed) {
        let [first, second] = &self.worlds;
        let none = json!({});
        (observe(first, sql, &none, max_rows).await, observe(second, sql, &none, max_rows).await)
    }
}

fn policies() -> Vec<EffectivePolicy> {
    let rule = |rule_type, config: Json| RuleConfig::parse(rule_type, &config).unwrap();
    let rules = vec![
        rule(RuleType::FilterRows, json!({"table": "people", "condition": "region = current_user_region"})),
        rule(RuleType::MaskColumn, json!({"table": "people", "column": "email", "masking_function": "email"})),
        rule(
            RuleType::MaskColumn,
            json!({"table": "people", "column": "salary", "masking_function": "round_number", "options": {"to": 1000}}),
        ),
        rule(RuleType::DenyAccess, json!({"table": "people", "columns": ["badge"]})),
        rule(RuleType::DenyAccess, json!({"table": "secrets"})),
        rule(RuleType::DenyAccess, json!({"table": "grants"})),
        rule(
            RuleType::FilterRows,
            json!({"table": "notes", "condition": "id IN (SELECT note FROM grants WHERE holder = current_user_email)"}),
        ),
    ];
    vec![EffectivePolicy {
        id: rivergen_kernel::PolicyId(1),
        name: "what is seen".to_owned(),
        policy_type: PolicyType::AccessControl,
        priority: 0,
        only: None,
        rules,
    }]
}

fn governed(provider: impl Fn(&'static str) -> Arc<dyn TableProvider>) -> Vec<GovernedTable> {
    let subject = Subject {
        facts: Facts {
            attributes: [("region".to_owned(), json!("EU"))].into(),
            email: Some("me@x.com".to_owned()),
            ..Facts::default()
        },
        ..Subject::default()
    };
    let entitlements: Entitlements = [("grants".to_owned(), provider("grants"))].into();
    let govern = |name: &'static str| {
        let provider = provider(name);
        let columns: Vec<ColumnInfo> = provider
            .schema()
            .fields()
            .iter()
            .map(|field| ColumnInfo {
                name: field.name().clone(),
                column_type: column_type(field.data_type()),
                tags: Default::default(),
            })
            .collect();
        let name = TableName { catalog: "src".into(), schema: "main".into(), table: name.into() };
        let decision = decide(&policies(), &name, &columns, &subject, false);
        GovernedTable {
            name,
            source_id: rivergen_kernel::DataSourceId(1),
            provider,
            decision,
            entitlements: entitlements.clone(),
        }
    };
    NAMES.map(govern).into()
}

async fn observe(tables: &Tables, sql: &str, parameters: &Json, max_rows: u64) -> Observed {
    observe_over(governed(|name| tables.provider(name)), sql, parameters, max_rows).await
}

async fn work(tables: &Tables, sql: &str) -> Work {
    let meter = Meter::default();
    observe_over(governed(|name| meter.over(name, tables.provider(name))), sql, &json!({}), 1_000).await;
    meter.read()
}

async fn observe_over(tables: Vec<GovernedTable>, sql: &str, parameters: &Json, max_rows: u64) -> Observed {
    let session = Session::open(SessionSpec {
        tables,
        limits: Limits {
            max_rows,
            max_bytes: 16 << 20,
            timeout: Duration::from_secs(60),
            memory_bytes: 128 << 20,
            spill_directory: std::env::temp_dir(),
            max_spill_bytes: 1 << 20,
        },
        hash_key: HashKey::new(b"the organization's key"),
        default_schema: None,
        object_stores: Vec::new(),
        target_partitions: Some(1),
        threads: QueryThreads::default(),
    })
    .unwrap();
    let asked = async {
        let planned = session.plan(sql, parameters.as_object().unwrap()).await?;
        let columns = planned.columns().iter().map(|column| column.name.clone()).collect();
        let answer = planned.collect_json_rows().await?;
        let mut rows: Vec<Json> = answer.rows.into_iter().map(Json::Array).collect();
        if !sql.contains("ORDER BY") {
            rows.sort_by_key(Json::to_string);
        }
        Ok::<_, QueryError>(Observed::Answer { columns, rows, truncated: answer.outcome.truncated })
    };
    asked.await.unwrap_or_else(|error| {
        // Which of equally near functions is suggested is chance, on the same world too.
        let said = error.to_string();
        Observed::Failure(said.split(" Did you mean").next().unwrap_or_default().to_owned())
    })
}
