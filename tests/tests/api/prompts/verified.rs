//! Feedback on runs, and the verified pairs that come of it.

use rivergen_tests::{Backend, Person, Server, on_both_backends};
use serde_json::{Value, json};

use super::{EXECUTE, PATH, model::Model};

on_both_backends! {
    sql_put_right_and_confirmed_answers_the_question;
    sql_for_a_time_that_moves_looks_at_the_clock;
    a_pair_is_governed_by_the_callers_policies;
    what_may_be_a_masked_value_is_told_to_nobody;
    literals_are_told_to_those_who_see_what_the_sql_reads;
    signs_and_numbers_tell_questions_apart;
    a_question_like_it_is_an_example;
    examples_have_values_in_them;
    feedback_takes_the_place_of_what_was_given_before;
    feedback_is_ones_own;
    pairs_are_their_organizations;
}

const PAIRS: &str = "/api/v1/prompts/verified-pairs";

async fn ask(person: &Person, source: i64, question: &str) -> rivergen_tests::Answer {
    person.client.post(EXECUTE, json!({"prompt_text": question, "selected_data_source_ids": [source]})).await
}

async fn feedback(person: &Person, run: &Value, body: Value) -> rivergen_tests::Answer {
    person.client.post(&format!("{PATH}/executions/{}/feedback", run["execution_id"]), body).await
}

/// A confirmed pair of a question and its SQL put right.
async fn confirm(acme: &rivergen_tests::Organization, source: i64, question: &str, sql: &str) -> Value {
    let run = ask(&acme.admin, source, question).await.ok();
    let body = json!({"verdict": "wrong", "corrected_query_text": sql, "comment": "Only big ones."});
    let given = feedback(&acme.admin, &run, body).await.ok();
    let verify = format!("{PAIRS}/{}/verify", given["verified_pair_id"]);
    acme.developer.client.post_empty(&verify).await.ok()
}

async fn sql_put_right_and_confirmed_answers_the_question(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    let body =
        json!({"verdict": "wrong", "corrected_query_text": "SELECT count(*) AS n FROM orders WHERE amount > 50"});
    let given = feedback(&acme.viewer, &run, body).await.ok();
    let pair = format!("{PAIRS}/{}", given["verified_pair_id"]);
    // As long as nobody confirmed it, nothing changes.
    let before = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    assert_eq!(before["ai_model"], "embedded", "{before}");
    acme.viewer.client.post_empty(&format!("{pair}/verify")).await.error(403, "FORBIDDEN");
    let list = acme.developer.client.get(&format!("{PAIRS}?status=candidate")).await.ok();
    assert_eq!(
        (list["pagination"]["total_items"].as_i64(), &list["items"][0]["id"]),
        (Some(1), &given["verified_pair_id"])
    );
    let verified = acme.developer.client.post_empty(&format!("{pair}/verify")).await.ok();
    assert_eq!(
        (verified["status"].as_str(), verified["verified_by_user_id"].as_i64()),
        (Some("verified"), Some(acme.developer.id))
    );
    let after = ask(&acme.viewer, shop.orders, "how many ORDERS").await.ok();
    assert_eq!(
        (after["ai_model"].as_str(), &after["result_preview"]),
        (Some("verified"), &json!([{"n": 7}])),
        "{after}"
    );
    // Over other sources it is another question.
    let other = ask(&acme.viewer, shop.products, "How many orders?").await;
    assert_eq!(other.status, 400);
    acme.developer.client.delete(&pair).await.no_content();
    assert_eq!(ask(&acme.viewer, shop.orders, "How many orders?").await.ok()["ai_model"], "embedded");
    assert_eq!(server.audited("prompt.verify_pair", "success").await, 1);
    server.stop().await;
}

async fn sql_for_a_time_that_moves_looks_at_the_clock(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let right = json!({"verdict": "right"});
    let put_right = |sql: &str| json!({"verdict": "wrong", "corrected_query_text": sql});
    let of_one_month = put_right("SELECT count(*) AS n FROM orders WHERE ordered_on >= DATE '2025-05-01'");
    for question in ["How many orders last month?", "How many orders since March?"] {
        let run = ask(&acme.admin, shop.orders, question).await.ok();
        for body in [&right, &of_one_month] {
            let given = feedback(&acme.admin, &run, body.clone()).await.ok();
            assert!(given["verified_pair_id"].is_null(), "{question}: {given}");
        }
    }
    // What is the same at any time, and what looks at the clock, goes on being right.
    let by_the_clock = put_right("SELECT count(*) AS n FROM orders WHERE ordered_on < current_date");
    for (question, body) in [
        ("How many orders in May 2025?", &right),
        ("How many orders from January to March 2025?", &right),
        ("How many orders before today?", &by_the_clock),
    ] {
        let run = ask(&acme.admin, shop.orders, question).await.ok();
        let given = feedback(&acme.admin, &run, body.clone()).await.ok();
        acme.developer.client.post_empty(&format!("{PAIRS}/{}/verify", given["verified_pair_id"])).await.ok();
        assert_eq!(ask(&acme.admin, shop.orders, question).await.ok()["ai_model"], "verified", "{question}");
    }
    // One that was confirmed before any of this was looked at.
    let old = "UPDATE prompt_verified_pairs SET question = 'How many orders last month?', \
        question_key = 'how many orders last month' WHERE question = 'How many orders in May 2025?'";
    server.execute(old).await;
    let again = ask(&acme.admin, shop.orders, "How many orders last month?").await.ok();
    assert_eq!(again["ai_model"], "embedded", "{again}");
    server.stop().await;
}

async fn a_pair_is_governed_by_the_callers_policies(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    confirm(
        &acme,
        shop.orders,
        "How many orders per region?",
        "SELECT region, count(*) AS n FROM orders GROUP BY region",
    )
    .await;
    let question = "How many orders per region?";
    assert_eq!(ask(&acme.admin, shop.orders, question).await.ok()["ai_model"], "verified");
    // Whoever sees a part of the table is not answered by SQL of somebody who saw the rest.
    let data = ask(&acme.viewer, shop.orders, question).await.ok();
    assert_eq!((data["ai_model"].as_str(), data["rows_returned"].as_i64()), (Some("embedded"), Some(1)), "{data}");
    assert!(data["result_preview"][0].as_object().unwrap().values().any(|value| value == "US"), "{data}");
    // What they found themselves is theirs.
    let question = "How many orders?";
    let run = ask(&acme.viewer, shop.orders, question).await.ok();
    let given = feedback(&acme.viewer, &run, json!({"verdict": "right"})).await.ok();
    acme.developer.client.post_empty(&format!("{PAIRS}/{}/verify", given["verified_pair_id"])).await.ok();
    for (person, model, count) in
        [(&acme.viewer, "verified", 4), (&acme.developer, "embedded", 4), (&acme.admin, "verified", 12)]
    {
        let data = ask(person, shop.orders, question).await.ok();
        assert_eq!(data["ai_model"], model, "{data}");
        assert_eq!(data["result_preview"][0].as_object().unwrap().values().next(), Some(&json!(count)), "{data}");
    }
    server.stop().await;
}

async fn what_may_be_a_masked_value_is_told_to_nobody(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM customers")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let rich = "SELECT count(*) AS rich FROM customers WHERE salary > 91234";
    confirm(&acme, shop.crm, "How many customers are rich?", rich).await;
    let sent = || model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    ask(&acme.admin, shop.crm, "How many customers are rich here?").await.ok();
    assert!(sent().contains("91234"), "{}", sent());
    for question in ["How many customers are rich here?", "How many customers are rich?"] {
        assert_eq!(ask(&acme.viewer, shop.crm, question).await.ok()["ai_model"], "local-model");
        assert!(!sent().contains("91234"), "{}", sent());
    }
    // Nor does anybody see the pair who may not query its sources.
    let list = acme.developer.client.get(PAIRS).await.ok();
    assert_eq!(list["pagination"]["total_items"], 1, "{list}");
    let conditions = json!({"all": [{"attribute": "resource.id", "operator": "eq", "value": shop.crm},
        {"attribute": "subject.roles", "operator": "contains", "value": "Developer"}]});
    let closed = json!({"name": "No CRM", "effect": "deny", "resource_type": "datasource", "actions": ["datasource.query"],
        "conditions": conditions});
    acme.owner.client.post("/api/v1/sso/abac/policies", closed).await.created();
    assert_eq!(acme.developer.client.get(PAIRS).await.ok()["pagination"]["total_items"], 0);
    let verify = format!("{PAIRS}/{}/verify", list["items"][0]["id"]);
    acme.developer.client.post_empty(&verify).await.error(404, "NOT_FOUND");
    acme.admin.client.post_empty(&verify).await.ok();
    server.stop().await;
}

async fn literals_are_told_to_those_who_see_what_the_sql_reads(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    const QUESTION: &str = "How many orders?";
    let put_right = async |person: &Person, sql: &str| {
        let run = ask(person, shop.orders, QUESTION).await.ok();
        let body = json!({"verdict": "wrong", "corrected_query_text": sql});
        feedback(person, &run, body).await.ok()["verified_pair_id"].clone()
    };
    let without = "SELECT count(*) AS n FROM orders WHERE amount > ?";
    let admins = put_right(&acme.admin, &without.replace('?', "50")).await;
    let developers = put_right(&acme.developer, &without.replace('?', "60")).await;
    let told = async |person: &Person, pair: &Value| {
        let list = person.client.get(PAIRS).await.ok();
        let found = list["items"].as_array().unwrap().iter().find(|item| item["id"] == *pair);
        let found = found.unwrap_or_else(|| panic!("no {pair} in {list}"));
        (found["question"].clone(), found["query_text"].clone())
    };
    let hidden = (Value::Null, json!(without));
    let in_full = |sql: &str| (json!(QUESTION), json!(sql));
    // The Developer sees a part of the orders only, and what they wrote themselves.
    assert_eq!(told(&acme.developer, &admins).await, hidden, "the value may stand in the question, too");
    assert_eq!(told(&acme.developer, &developers).await, in_full(&without.replace('?', "60")));
    for (pair, amount) in [(&admins, "50"), (&developers, "60")] {
        assert_eq!(told(&acme.owner, pair).await, in_full(&without.replace('?', amount)));
    }
    let verified = acme.developer.client.post_empty(&format!("{PAIRS}/{admins}/verify")).await.ok();
    assert_eq!((verified["question"].clone(), verified["query_text"].clone()), hidden);
    // Where there is no literal none is hidden.
    let plain = "SELECT count(*) AS n FROM orders";
    let admins = put_right(&acme.admin, plain).await;
    assert_eq!(told(&acme.developer, &admins).await, in_full(plain));
    server.stop().await;
}

async fn signs_and_numbers_tell_questions_apart(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let more = "SELECT count(*) AS n FROM orders WHERE amount > 50";
    confirm(&acme, shop.orders, "Orders with amount > 50?", more).await;
    let same = ask(&acme.viewer, shop.orders, "orders with AMOUNT >50").await.ok();
    assert_eq!((same["ai_model"].as_str(), &same["result_preview"]), (Some("verified"), &json!([{"n": 7}])), "{same}");
    for other in ["Orders with amount < 50?", "Orders with amount > -50?", "Orders with amount > 50%?", "?"] {
        assert_eq!(ask(&acme.viewer, shop.orders, other).await.ok()["ai_model"], "local-model", "{other}");
    }
    // Over more sources it is another question.
    let body =
        json!({"prompt_text": "Orders with amount > 50?", "selected_data_source_ids": [shop.orders, shop.products]});
    assert_eq!(acme.viewer.client.post(EXECUTE, body).await.ok()["ai_model"], "local-model");
    server.stop().await;
}

async fn a_question_like_it_is_an_example(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    confirm(
        &acme,
        shop.orders,
        "How many big orders per region?",
        "SELECT count(*) AS big FROM orders WHERE amount > 50",
    )
    .await;
    ask(&acme.viewer, shop.orders, "How many big orders per sku?").await.ok();
    let sent = model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(sent.contains("<example>") && sent.contains("amount > 50"), "{sent}");
    // Who could not run it is not shown it, and neither is a model on their behalf.
    let closed = json!({"name": "closed", "type": "access_control", "data_source_ids": [shop.orders],
        "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": {"table": "orders"}}]});
    acme.admin.client.post("/api/v1/policies", closed).await.created();
    ask(&acme.viewer, shop.orders, "How many big orders per sku?").await;
    let sent = model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(!sent.contains("amount > 50"), "{sent}");
    server.stop().await;
}

async fn examples_have_values_in_them(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server_with(backend, "share_values = false").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let big = "SELECT count(*) AS big FROM orders WHERE region = 'APAC'";
    confirm(&acme, shop.orders, "How many far orders?", big).await;
    ask(&acme.viewer, shop.orders, "How many far orders per sku?").await.ok();
    let sent = model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(!sent.contains("<example>\n") && !sent.contains("APAC"), "{sent}");
    server.stop().await;
}

async fn feedback_takes_the_place_of_what_was_given_before(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    let right = json!({"verdict": "right"});
    let first = feedback(&acme.viewer, &run, right.clone()).await.ok()["verified_pair_id"].clone();
    let second = feedback(&acme.viewer, &run, right).await.ok()["verified_pair_id"].clone();
    assert_ne!(first, second);
    let list = acme.developer.client.get(PAIRS).await.ok();
    assert_eq!((list["items"].as_array().map(Vec::len), &list["items"][0]["id"]), (Some(1), &second), "{list}");
    assert_eq!(list["items"][0]["workspace_id"].as_i64(), Some(acme.workspace_id));
    feedback(&acme.viewer, &run, json!({"verdict": "wrong"})).await.ok();
    assert_eq!(acme.developer.client.get(PAIRS).await.ok()["pagination"]["total_items"], 0);
    server.stop().await;
}

async fn feedback_is_ones_own(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    for other in [&acme.admin, &acme.developer] {
        feedback(other, &run, json!({"verdict": "right"})).await.error(404, "NOT_FOUND");
    }
    feedback(&acme.viewer, &run, json!({"verdict": "splendid"})).await.invalid("verdict");
    for sql in ["DELETE FROM orders", "SELECT nonsense FROM orders", "SELECT * FROM customers"] {
        let body = json!({"verdict": "wrong", "corrected_query_text": sql});
        feedback(&acme.viewer, &run, body).await.error(400, "INVALID_QUERY");
    }
    let wrong = feedback(&acme.viewer, &run, json!({"verdict": "wrong", "comment": "No."})).await.ok();
    assert!(wrong["verified_pair_id"].is_null());
    let right = feedback(&acme.viewer, &run, json!({"verdict": "right"})).await.ok();
    assert!(right["verified_pair_id"].is_i64());
    assert_eq!(server.audited("prompt.feedback", "success").await, 2);
    server.stop().await;
}

async fn pairs_are_their_organizations(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let pair = confirm(&acme, shop.orders, "How many orders?", "SELECT 1").await;
    let globex = server.organization("Globex").await;
    let path = format!("{PAIRS}/{}", pair["id"]);
    globex.owner.client.delete(&path).await.error(404, "NOT_FOUND");
    globex.owner.client.post_empty(&format!("{path}/verify")).await.error(404, "NOT_FOUND");
    assert_eq!(globex.owner.client.get(PAIRS).await.ok()["pagination"]["total_items"], 0);
    server.stop().await;
}
