use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, DictionaryArray, Int64Array, ListArray, StringArray, StructArray},
        datatypes::{DataType, Field, Int32Type, Int64Type},
    },
    datasource::MemTable,
};
use futures::StreamExt;
use rivergen_policies::{
    decision::{ActionTaken, EvaluationResult},
    rule::{EffectivePolicy, RuleType},
};
use rivergen_query::{Encoder, Encoding, Session};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn two_policies_two_answers() {
    let governed = session(&[region_filter(), masks()]);
    assert_eq!(
        rows(&governed, "SELECT id, name, email, card, salary FROM customers ORDER BY id").await,
        json!([
            [1, "Anna", "a***@example.com", "************1111", 52000],
            [3, "Cleo", "***@example.com", "***********0009", 62000],
        ])
    );
    let open = session(&[]);
    assert_eq!(rows(&open, "SELECT count(*) FROM crm.main.customers").await, json!([[5]]));
}

#[tokio::test]
async fn predicates_see_the_mask() {
    let governed = session(&[masks()]);
    for (predicate, ids) in [
        ("email = 'anna@example.com'", json!([])),
        ("email = 'a***@example.com'", json!([[1]])),
        ("card LIKE '4111%'", json!([])),
        ("card LIKE '%1111'", json!([[1]])),
        ("salary > 52300", json!([[3]])),
        ("salary = 52000", json!([[1]])),
    ] {
        let sql = format!("SELECT id FROM customers WHERE {predicate} ORDER BY id");
        assert_eq!(rows(&governed, &sql).await, ids, "{sql}");
    }
    let sql = "SELECT max(salary), min(card) FROM customers WHERE id < 4";
    assert_eq!(rows(&governed, sql).await, json!([[62000, "************0004"]]));
}

/// id, region, note, contact and scores, the last three masked for people of other regions by an expression.
fn people() -> Session {
    let phones = Arc::new(StringArray::from(vec!["030", "040"])) as ArrayRef;
    let contact = StructArray::from(vec![(Arc::new(Field::new("phone", DataType::Utf8, true)), phones)]);
    let scores = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), Some(vec![Some(77)])]);
    let table: Arc<MemTable> = mem_table(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("region", Arc::new(StringArray::from(vec!["EU", "US"]))),
        ("note", Arc::new(StringArray::from(vec!["what is seen", "what is hidden"]))),
        ("contact", Arc::new(contact)),
        ("scores", Arc::new(scores)),
    ]);
    let masked = |column: &str| {
        let expression = format!("CASE WHEN region = current_user_region THEN {column} ELSE NULL END");
        let rule = json!({"table": "people", "column": column, "masking_function": "expression",
            "options": {"expression": expression}});
        (RuleType::MaskColumn, rule)
    };
    let own_region: EffectivePolicy = policy(14, "own region", &["note", "contact", "scores"].map(masked));
    session_over(vec![governed("crm", "people", table, &[own_region])], limits())
}

#[tokio::test]
async fn a_mask_over_a_nested_value_covers_what_is_in_it() {
    let governed = people();
    for (sql, expected) in [
        ("SELECT id, contact['phone'] FROM people ORDER BY id", json!([[1, "030"], [2, null]])),
        ("SELECT id FROM people WHERE contact['phone'] = '040'", json!([])),
        ("SELECT id FROM people WHERE contact['phone'] IS NULL", json!([[2]])),
        ("SELECT max(contact['phone']) FROM people", json!([["030"]])),
        ("SELECT id, scores[1] FROM people ORDER BY id", json!([[1, 1], [2, null]])),
        ("SELECT id, array_length(scores) FROM people ORDER BY id", json!([[1, 1], [2, null]])),
        ("SELECT max(array_max(scores)) FROM people", json!([[1]])),
    ] {
        assert_eq!(rows(&governed, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn no_form_of_an_answer_carries_what_a_mask_hides() {
    let governed = people();
    let queries =
        ["SELECT note FROM people", "SELECT array_agg(note) FROM people", "SELECT make_array(note) FROM people"];
    for (encoding, sql) in Encoding::ALL.iter().flat_map(|encoding| queries.map(|sql| (*encoding, sql))) {
        let planned = governed.plan(sql, &Default::default()).await.unwrap();
        let mut answer = planned.run().await.unwrap();
        let mut encoder = Encoder::new(encoding, &answer.schema()).unwrap();
        while let Some(batch) = answer.next().await {
            encoder.write(&batch.unwrap()).unwrap();
        }
        encoder.finish().unwrap();
        let bytes = encoder.take();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("what is seen"), "{encoding:?}: {sql}");
        assert!(!holds("what is hidden"), "{encoding:?}: {sql}");
    }
}

#[tokio::test]
async fn what_raises_on_hidden_rows_only_does_not_raise() {
    let alone = session_on(1, tables(&[region_filter()]), limits());
    let governed = session(&[region_filter()]);
    for (sql, expected) in [
        ("SELECT id FROM customers WHERE 1 / (salary - 100) >= 0 ORDER BY id", json!([[1], [3]])),
        ("SELECT id, 10 / salary FROM customers ORDER BY id", json!([[1, 0], [3, 0]])),
        ("SELECT id FROM customers WHERE CAST(card AS BIGINT) % (salary - 100) >= 0 ORDER BY id", json!([[1], [3]])),
        ("SELECT count(*) FROM customers HAVING sum(100 / salary) >= 0", json!([[2]])),
        ("SELECT id FROM customers ORDER BY 1 / salary, id", json!([[1], [3]])),
        // Narrower than its input, so that the engine likes to compute it below a filter.
        ("SELECT region, 10 / (salary * id) AS x FROM customers", json!([["EU", 0], ["EU", 0]])),
        (
            "SELECT o.id FROM customers c JOIN orders o ON o.customer_id = c.id AND 100000 / c.salary > 0 ORDER BY 1",
            json!([[10], [11], [13]]),
        ),
        (
            "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND 7 / (c.salary - 100) = 0) ORDER BY 1",
            json!([[10], [11], [13]]),
        ),
        ("SELECT sum(x) FROM (SELECT 1 / salary AS x FROM customers) WHERE x < 5", json!([[0]])),
        ("SELECT k, count(*) FROM (SELECT 10 / salary AS k FROM customers) GROUP BY k", json!([[0, 2]])),
        ("SELECT row_number() OVER (ORDER BY 10 / salary, id) FROM customers ORDER BY 1", json!([[1], [2]])),
        ("SELECT sum(1 / salary) FILTER (WHERE 1 / (salary - 100) = 0) FROM customers", json!([[0]])),
        (
            "SELECT id FROM customers WHERE 1 / (salary - 100) >= 0 UNION ALL SELECT id FROM customers WHERE 1 / salary = 5 ORDER BY 1",
            json!([[1], [3]]),
        ),
    ] {
        assert_eq!(rows(&governed, sql).await, expected, "{sql}");
        assert_eq!(rows(&alone, sql).await, expected, "on one partition: {sql}");
        let error = ask(&session(&[]), sql).await.expect_err(sql).to_string();
        assert!(error == "division by zero" || error == "a value could not be cast", "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_dictionary_does_not_tell_of_hidden_rows() {
    let table = mem_table(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("region", Arc::new(StringArray::from(vec!["EU", "US", "EU"]))),
        ("code", Arc::new(DictionaryArray::<Int32Type>::from_iter(["1", "hidden", "3"]))),
    ]);
    let sees = |policies: &[EffectivePolicy]| {
        session_over(vec![governed("crm", "customers", Arc::clone(&table) as _, policies)], limits())
    };
    let governed = sees(&[region_filter()]);
    for (sql, expected) in [
        ("SELECT id, CAST(code AS BIGINT) FROM customers ORDER BY id", json!([[1, 1], [3, 3]])),
        ("SELECT id FROM customers WHERE CAST(code AS BIGINT) > 1", json!([[3]])),
        ("SELECT max(CAST(upper(code) AS BIGINT)) FROM customers", json!([[3]])),
    ] {
        assert_eq!(rows(&governed, sql).await, expected, "{sql}");
        assert_eq!(ask(&sees(&[]), sql).await.expect_err(sql).to_string(), "a value could not be cast", "{sql}");
    }
    assert_eq!(rows(&governed, "SELECT id FROM customers WHERE code = '3'").await, json!([[3]]));
}

#[tokio::test]
async fn a_constant_that_raises_does_not_tell_whether_there_are_hidden_rows() {
    let nobody = policy(1, "nobody", &[(RuleType::FilterRows, json!({"table": "customers", "condition": "id = 99"}))]);
    let hides_all = session(std::slice::from_ref(&nobody));
    let nothing = mem_table(vec![("id", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    let has_none = session_over(vec![governed("crm", "customers", nothing, &[nobody])], limits());
    for sql in [
        "SELECT id FROM customers WHERE 1 / 0 = 1",
        "SELECT id FROM customers WHERE CAST('x' AS INT) = 1",
        "SELECT id FROM customers WHERE id / 0 = 1",
        "SELECT count(*) FROM customers WHERE id = 1 AND 1 / 0 = 1",
        "SELECT id FROM customers WHERE CAST(concat('x', id) AS INT) = 1",
    ] {
        let told = |answer: Result<rivergen_query::JsonAnswer, rivergen_query::QueryError>| {
            answer.map(|answer| answer.rows).map_err(|error| error.to_string())
        };
        assert_eq!(told(ask(&hides_all, sql).await), told(ask(&has_none, sql).await), "{sql}");
    }
}

#[tokio::test]
async fn names_short_and_long() {
    let open = session(&[]);
    for table in ["orders", "main.orders", "shop.main.orders", "Orders", "\"orders\""] {
        assert_eq!(rows(&open, &format!("SELECT count(*) FROM {table}")).await, json!([[4]]), "{table}");
    }
    let twice = vec![governed("a", "t", orders(), &[]), governed("b", "t", customers(), &[])];
    let twice = session_over(twice, limits());
    assert!(ask(&twice, "SELECT * FROM t").await.is_err());
    assert_eq!(rows(&twice, "SELECT count(*) FROM b.main.t").await, json!([[5]]));
}

#[tokio::test]
async fn hidden_columns_do_not_exist() {
    let hide =
        policy(4, "no salaries", &[(RuleType::DenyAccess, json!({"table": "customers", "columns": ["salary"]}))]);
    let governed = session(&[hide]);
    let planned = governed.plan("SELECT * FROM customers", &Default::default()).await.unwrap();
    assert!(planned.columns().iter().all(|column| column.name != "salary"));
    for sql in [
        "SELECT salary FROM customers",
        "SELECT id FROM customers WHERE salary > 0",
        "SELECT id FROM customers ORDER BY salary",
    ] {
        let error = ask(&governed, sql).await.expect_err(sql).to_string();
        assert!(error.starts_with("There is no column"), "{error}");
        assert!(!error.contains("Nearest: salary"), "{error}");
    }
}

#[tokio::test]
async fn masked_columns_are_traced() {
    let governed = session(&[masks()]);
    for (sql, masked) in [
        ("SELECT id, email, upper(email) AS u, salary + id AS x FROM customers", vec![false, true, true, true]),
        ("SELECT region, max(salary), count(*) FROM customers GROUP BY region", vec![false, true, false]),
        ("SELECT id FROM customers WHERE email LIKE '%x%'", vec![false]),
        (
            "WITH c AS (SELECT card AS k, id FROM customers) SELECT c.k, o.amount FROM c JOIN orders o ON o.customer_id = c.id",
            vec![true, false],
        ),
        ("SELECT id FROM orders UNION ALL SELECT salary FROM customers", vec![true]),
        ("SELECT amount, (SELECT max(salary) FROM customers) FROM orders", vec![false, true]),
        ("SELECT id, rank() OVER (ORDER BY salary) FROM customers", vec![false, true]),
        ("SELECT 1", vec![false]),
    ] {
        let planned = governed.plan(sql, &Default::default()).await.unwrap();
        assert_eq!(planned.columns().iter().map(|c| c.masked).collect::<Vec<_>>(), masked, "{sql}");
    }
}

#[tokio::test]
async fn only_policies_of_touched_tables_are_reported() {
    let governed = session(&[region_filter(), masks()]);
    let planned = governed.plan("SELECT * FROM orders", &Default::default()).await.unwrap();
    assert_eq!(planned.applied_policies(), []);
    let planned = governed
        .plan("SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM customers)", &Default::default())
        .await
        .unwrap();
    let applied: Vec<_> =
        planned.applied_policies().iter().map(|a| (a.policy_id.0, a.evaluation_result, a.action_taken)).collect();
    assert_eq!(
        applied,
        [
            (12, EvaluationResult::Modified, ActionTaken::FilteredRows),
            (13, EvaluationResult::Modified, ActionTaken::MaskedColumns),
        ]
    );
    assert_eq!(planned.tables().len(), 2);
}

#[tokio::test]
async fn the_plan_names_policies_and_not_their_values() {
    let governed = session(&[region_filter(), masks()]);
    let answer =
        ask(&governed, "EXPLAIN SELECT name FROM customers c WHERE id > 1 AND email LIKE '%com'").await.unwrap();
    let text = answer.rows[0][0].as_str().unwrap();
    assert!(text.contains("rows: <policy 12: region filter>"), "{text}");
    assert!(text.contains("email: email <policy 13: personal data>"), "{text}");
    assert!(!text.contains("EU"), "{text}");
    let planned = governed.plan("SELECT 10 / salary FROM customers", &Default::default()).await.unwrap();
    assert!(!planned.governed_plan_text().unwrap().contains("EU"));
}

#[tokio::test]
async fn parameters_are_values() {
    let open = session(&[]);
    let sql = "SELECT id FROM customers WHERE name = $name OR id = $id ORDER BY id";
    let answer = ask_with(&open, sql, json!({"name": "x' OR '1'='1", "id": 2})).await.unwrap();
    assert_eq!(json!(answer.rows), json!([[2]]));
    let error = ask_with(&open, sql, json!({"name": "x"})).await.unwrap_err();
    assert!(matches!(error, rivergen_query::QueryError::InvalidQuery { .. }), "{error:?}");
    assert!(ask_with(&open, "SELECT $x", json!({"x": []})).await.is_err());
}

#[tokio::test]
async fn values_as_json() {
    let open = session(&[]);
    assert_eq!(
        rows(&open, "SELECT born, balance, 9007199254740993, 1.5, 'x', true, NULL, CAST('2024-01-02T03:04:05.5' AS TIMESTAMP), make_array(1, 2), arrow_placeholder FROM (SELECT *, CAST('NaN' AS DOUBLE) AS arrow_placeholder FROM customers) WHERE id = 1").await,
        json!([["1990-01-01", "123.45", "9007199254740993", 1.5, "x", true, null, "2024-01-02T03:04:05.500", [1, 2], "NaN"]])
    );
}

#[tokio::test]
async fn every_mask_on_every_type() {
    for (function, options, column, expected) in [
        ("redact", json!({}), "name", json!("[REDACTED]")),
        ("redact", json!({}), "salary", json!(null)),
        ("null_value", json!({}), "born", json!(null)),
        ("constant", json!({"value": "x"}), "name", json!("x")),
        ("constant", json!({"value": 7}), "salary", json!(7)),
        ("constant", json!({"value": "secret"}), "salary", json!("secret")),
        ("partial", json!({"keep_last": 2}), "salary", json!("***00")),
        ("email", json!({}), "email", json!("a***@example.com")),
        ("round_number", json!({"to": 10000}), "salary", json!(50000)),
        ("round_number", json!({"to": 100}), "balance", json!("100.00")),
        ("truncate_date", json!({"unit": "year"}), "born", json!("1990-01-01")),
        ("regex_replace", json!({"pattern": "[a-z]+", "replacement": "-"}), "name", json!("A-")),
    ] {
        let rule = json!({"table": "customers", "column": column, "masking_function": function, "options": options});
        let governed = session(&[policy(1, "mask", &[(RuleType::MaskColumn, rule)])]);
        let sql = format!("SELECT {column} FROM customers WHERE id = 1");
        assert_eq!(rows(&governed, &sql).await, json!([[expected]]), "{function} {column}");
    }
    let hash = json!({"table": "customers", "column": "salary", "masking_function": "hash"});
    let governed = session(&[policy(1, "mask", &[(RuleType::MaskColumn, hash)])]);
    let sql = "SELECT count(DISTINCT salary), min(length(salary)) FROM customers";
    assert_eq!(rows(&governed, sql).await, json!([[4, 32]]));
}
