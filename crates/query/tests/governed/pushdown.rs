use std::sync::{Arc, Mutex};

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use rivergen_connectors::pushdown::{Comparable, Dialect, RemoteColumn, RemoteDatabase, RemoteTable};
use rivergen_policies::rule::{EffectivePolicy, RuleType};
use rivergen_query::GovernedTable;
use serde_json::json;

use crate::support::*;

/// A database that answers nothing and remembers what it was asked.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<String>>);

impl RemoteDatabase for Asked {
    fn identity(&self) -> &str {
        "asked"
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        self.0.lock().unwrap().push(sql);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::empty()))
    }
}

fn remote(
    database: &Arc<Asked>,
    table: &str,
    columns: &[(&str, DataType)],
    policies: &[EffectivePolicy],
) -> GovernedTable {
    let fields: Vec<_> = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
    let read = columns
        .iter()
        .map(|(name, _)| RemoteColumn {
            name: (*name).to_owned(),
            reading: "{}".to_owned(),
            comparable: Comparable::Ordered,
            implied: None,
        })
        .collect();
    let from = format!("\"public\".\"{table}\"");
    let provider = RemoteTable::new(Arc::clone(database) as _, from, Schema::new(fields), read).into_provider();
    governed("crm", table, provider, policies)
}

/// What the database is asked for one query.
async fn asked(sql: &str) -> Vec<String> {
    let database = Arc::new(Asked::default());
    let text = DataType::Utf8;
    let customers = [
        ("id", DataType::Int64),
        ("name", text.clone()),
        ("email", text.clone()),
        ("card", text.clone()),
        ("region", text),
        ("salary", DataType::Int64),
    ];
    let money = DataType::Decimal128(15, 2);
    let orders = [
        ("id", DataType::Int64),
        ("customer_id", DataType::Int64),
        ("amount", DataType::Float64),
        ("price", money.clone()),
        ("discount", money),
    ];
    let policies = [region_filter(), masks()];
    let tables =
        vec![remote(&database, "customers", &customers, &policies), remote(&database, "orders", &orders, &policies)];
    ask(&session_over(tables, limits()), sql).await.unwrap();
    let asked = database.0.lock().unwrap();
    asked.clone()
}

#[tokio::test]
async fn a_governed_join_and_aggregate_leave_as_one_statement() {
    let sql = "SELECT c.region, sum(o.amount), count(*) FROM customers c JOIN orders o ON o.customer_id = c.id \
               WHERE o.amount > 5 GROUP BY c.region";
    let asked = asked(sql).await;
    let [one] = asked.as_slice() else { panic!("{asked:#?}") };
    for part in ["'EU'", "GROUP BY", "sum(", "JOIN"] {
        assert!(one.contains(part), "{part} is not in {one}");
    }
    assert!(!one.contains("email") && !one.contains("card"), "{one}");
}

#[tokio::test]
async fn decimals_are_computed_there_as_long_as_their_digits_suffice() {
    let over = "FROM customers c JOIN orders o ON o.customer_id = c.id";
    let asked = self::asked(&format!("SELECT sum(o.price * (1 - o.discount)) {over}")).await;
    let [one] = asked.as_slice() else { panic!("{asked:#?}") };
    for part in ["'EU'", "sum((", "JOIN"] {
        assert!(one.contains(part), "{part} is not in {one}");
    }
    // A product of 61 digits could raise, so it is kept away from rows that are hidden: nothing above them leaves.
    let asked = self::asked(&format!("SELECT sum(o.price * (1 - o.discount) * (1 - o.discount)) {over}")).await;
    assert!(!asked.is_empty(), "nothing was asked");
    assert!(asked.iter().all(|sql| !sql.contains("JOIN") && !sql.contains("sum(")), "{asked:#?}");
}

#[tokio::test]
async fn a_mask_is_made_here_and_the_rows_are_filtered_there() {
    let asked = asked("SELECT name, email FROM customers WHERE name = 'x'").await;
    let [one] = asked.as_slice() else { panic!("{asked:#?}") };
    assert!(one.contains("'EU'") && one.contains("'x'") && !one.contains("card"), "{one}");
    // A predicate on a masked column is about the mask, which the database does not know.
    let asked = self::asked("SELECT name FROM customers WHERE email = 'a***@x.com'").await;
    assert!(asked.iter().all(|sql| sql.contains("'EU'") && !sql.contains("a***")), "{asked:#?}");
}

#[tokio::test]
async fn a_mask_that_is_an_expression_is_made_there() {
    let database = Arc::new(Asked::default());
    let expression = "CASE WHEN region = current_user_region THEN name ELSE NULL END";
    let rule = json!({"table": "customers", "column": "name", "masking_function": "expression",
        "options": {"expression": expression}});
    let own_region = policy(15, "own region", &[(RuleType::MaskColumn, rule)]);
    let columns = [("name", DataType::Utf8), ("region", DataType::Utf8)];
    let customers = remote(&database, "customers", &columns, &[own_region]);
    let session = session_over(vec![customers], limits());
    ask(&session, "SELECT count(*) FROM customers WHERE name = 'x'").await.unwrap();
    let asked = database.0.lock().unwrap();
    let [one] = asked.as_slice() else { panic!("{asked:#?}") };
    for part in ["count(", "CASE WHEN", "'EU'", "'x'"] {
        assert!(one.contains(part), "{part} is not in {one}");
    }
}

#[tokio::test]
async fn what_may_raise_stays_here_and_the_row_filter_leaves() {
    for sql in [
        "SELECT name FROM customers WHERE 1 / (id - 5) > 0 AND name = 'x'",
        "SELECT 1 / id FROM customers WHERE name = 'x'",
        "SELECT count(*) FROM customers WHERE name = 'x' AND CAST(region AS INT) = 1",
        "SELECT max(id % 7) FROM customers WHERE name = 'x'",
    ] {
        let asked = asked(sql).await;
        let [one] = asked.as_slice() else { panic!("{asked:#?}") };
        assert!(one.contains("'EU'") && one.contains("'x'"), "{sql}: {one}");
        assert!(!one.contains('/') && !one.contains('%') && !one.contains("max("), "{sql}: {one}");
    }
}
