//! A question with a word of several readings: the run asks, somebody answers, and the answer is remembered.

use rivergen_tests::{Organization, Person, Server, Shop, on_both_databases};
use serde_json::{Value, json};

use super::{EXECUTE, PATH, ended, events, send};

on_both_databases! {
    a_word_of_two_readings_is_asked_about;
    an_answer_is_ones_own_until_it_is_confirmed;
    an_answer_for_once_is_not_remembered;
    only_ones_own_run_is_answered;
    a_failure_tells_its_details_later_too;
    a_run_that_answered_is_saved;
}

const QUESTION: &str = "Which regions are there?";

async fn acme(server: &Server) -> (Organization, Shop) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    (acme, shop)
}

fn question(shop: &Shop) -> Value {
    json!({"prompt_text": QUESTION, "selected_data_source_ids": [shop.orders, shop.crm]})
}

async fn ask(person: &Person, shop: &Shop) -> rivergen_tests::Answer {
    person.client.post(EXECUTE, question(shop)).await
}

/// Asks, and answers the run that asks back.
async fn asked(person: &Person, shop: &Shop) -> String {
    let error = ask(person, shop).await.error(400, "QUESTION_AMBIGUOUS");
    let details = error["details"].as_array().unwrap();
    let of = |field: &str| -> Vec<&str> {
        let named = details.iter().filter(|detail| detail["field"] == field);
        named.map(|detail| detail["reason"].as_str().unwrap()).collect()
    };
    assert_eq!(of("choice"), ["orders.region", "customers.region"], "{error}");
    of("execution_id")[0].to_owned()
}

async fn clarify(person: &Person, run: &str, body: Value) -> rivergen_tests::Answer {
    person.client.post(&format!("{PATH}/executions/{run}/clarify"), body).await
}

fn reads_customers(data: &Value) -> bool {
    data["generated_query_text"].as_str().unwrap_or_else(|| panic!("{data}")).contains("\"customers\"")
}

async fn a_word_of_two_readings_is_asked_about(server: &Server) {
    let (acme, shop) = acme(server).await;
    // Whoever does not want to be asked is answered by the first reading.
    let mut body = question(&shop);
    body["clarify"] = json!(false);
    assert!(!reads_customers(&acme.viewer.client.post(EXECUTE, body).await.ok()));
    let run = asked(&acme.viewer, &shop).await;
    let told = acme.viewer.client.get(&format!("{PATH}/executions/{run}")).await.ok();
    let required = &told["input_required"];
    assert_eq!(
        (required["request_id"].as_str(), required["kind"].as_str()),
        (Some(run.as_str()), Some("clarification"))
    );
    assert_eq!(required["options"], json!(["orders.region", "customers.region"]));
    let events = events(server, &json!(run.parse::<i64>().unwrap())).await;
    assert_eq!(events[events.len() - 2..], ["execution.input_required", "execution.failed"]);
    clarify(&acme.viewer, &run, json!({"choice": "products.sku"})).await.invalid("choice");
    let data = clarify(&acme.viewer, &run, json!({"choice": "customers.region"})).await.ok();
    assert!(data["status"] == "completed" && reads_customers(&data), "{data}");
    // From now on it is known.
    assert!(reads_customers(&ask(&acme.viewer, &shop).await.ok()));
    assert_eq!(server.audited("prompt.clarify", "success").await, 1);
}

async fn an_answer_is_ones_own_until_it_is_confirmed(server: &Server) {
    let (acme, shop) = acme(server).await;
    let run = asked(&acme.viewer, &shop).await;
    clarify(&acme.viewer, &run, json!({"choice": "customers.region", "remember": "everyone"})).await.ok();
    asked(&acme.admin, &shop).await;
    let layer = format!("{PATH}/semantic-layer");
    let own = acme.viewer.client.get(&format!("{layer}?status=confirmed")).await.ok();
    assert_eq!((own["items"][0]["is_own"].as_bool(), own["items"].as_array().map(Vec::len)), (Some(true), Some(1)));
    let list = acme.developer.client.get(&layer).await.ok();
    let proposed = &list["items"][0];
    assert_eq!(
        (proposed["status"].as_str(), proposed["origin"].as_str()),
        (Some("proposed"), Some("clarification")),
        "{list}"
    );
    assert_eq!(proposed["definition"]["of"], "crm.main.customers.region");
    acme.developer.client.post_empty(&format!("{layer}/{}/confirm", proposed["id"])).await.ok();
    assert!(reads_customers(&ask(&acme.admin, &shop).await.ok()));
    // One's own goes before everybody's, and is one's own to take back.
    acme.viewer.client.delete(&format!("{layer}/{}", own["items"][0]["id"])).await.no_content();
    acme.viewer.client.delete(&format!("{layer}/{}", proposed["id"])).await.error(403, "FORBIDDEN");
}

async fn an_answer_for_once_is_not_remembered(server: &Server) {
    let (acme, shop) = acme(server).await;
    let run = asked(&acme.viewer, &shop).await;
    let data = clarify(&acme.viewer, &run, json!({"choice": "customers.region", "remember": "nobody"})).await.ok();
    assert!(reads_customers(&data), "{data}");
    asked(&acme.viewer, &shop).await;
    assert_eq!(server.count("SELECT count(*) FROM prompt_semantics").await, 0);
}

async fn only_ones_own_run_is_answered(server: &Server) {
    let (acme, shop) = acme(server).await;
    let run = asked(&acme.viewer, &shop).await;
    let choice = json!({"choice": "customers.region"});
    for other in [&acme.admin, &acme.developer] {
        clarify(other, &run, choice.clone()).await.error(404, "NOT_FOUND");
    }
    // Whoever reads the audit log sees that it failed, not what it asked.
    assert!(acme.admin.client.get(&format!("{PATH}/executions/{run}")).await.ok()["input_required"].is_null());
    let plain = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
    let plain = acme.viewer.client.post(EXECUTE, plain).await.ok();
    clarify(&acme.viewer, &plain["execution_id"].to_string(), choice).await.error(409, "CONFLICT");
}

async fn a_failure_tells_its_details_later_too(server: &Server) {
    let (acme, shop) = acme(server).await;
    let body = json!({"prompt_text": "How many penguins per region?", "selected_data_source_ids": [shop.orders]});
    let begun = send(&acme.viewer, body).await;
    let run = ended(&acme.viewer, &begun["execution_id"]).await;
    assert_eq!(run["error_code"], "QUESTION_NOT_UNDERSTOOD", "{run}");
    let details = run["error_details"].as_array().unwrap();
    assert!(details.contains(&json!({"field": "unknown_word", "reason": "penguins"})), "{run}");
    assert!(details.iter().any(|detail| detail["field"] == "suggestion"), "{run}");
    let path = format!("{PATH}/executions/{}", begun["execution_id"]);
    assert_eq!(acme.admin.client.get(&path).await.ok()["error_details"], json!([]));
    // What is kept has no value of the data in it.
    let kept = format!("SELECT error_details FROM prompt_executions WHERE id = {}", begun["execution_id"]);
    let kept = server.rows(&kept).await[0].to_string();
    assert!(!kept.contains("APAC") && !kept.contains("EU"), "{kept}");
}

async fn a_run_that_answered_is_saved(server: &Server) {
    let (acme, shop) = acme(server).await;
    let body = json!({"prompt_text": "How many orders per region?", "selected_data_source_ids": [shop.orders]});
    let run = acme.viewer.client.post(EXECUTE, body).await.ok();
    let save = format!("{PATH}/executions/{}/save", run["execution_id"]);
    acme.admin.client.post(&save, json!({})).await.error(404, "NOT_FOUND");
    acme.viewer.client.post(&save, json!({"name": ""})).await.invalid("name");
    let saved = acme.viewer.client.post(&save, json!({"name": "By region", "tags": ["sales"]})).await.created();
    assert_eq!((saved["name"].as_str(), &saved["tags"]), (Some("By region"), &json!(["sales"])));
    acme.viewer.client.post(&save, json!({})).await.error(409, "CONFLICT");
    let prompt = acme.developer.client.get(&format!("{PATH}/{}", saved["id"])).await.ok();
    assert_eq!(prompt["generated_query"]["query_text"], run["generated_query_text"]);
    assert_eq!(prompt["ai_response_metadata"]["confidence"], run["confidence"]);
    let again = acme.viewer.client.post_empty(&format!("{PATH}/{}/execute", saved["id"])).await.ok();
    assert_eq!(again["result_preview"], run["result_preview"]);
    let failed = json!({"prompt_text": "Which penguins sing?", "selected_data_source_ids": [shop.orders]});
    let failed = ended(&acme.viewer, &send(&acme.viewer, failed).await["execution_id"]).await;
    let path = format!("{PATH}/executions/{}/save", failed["execution_id"]);
    acme.viewer.client.post(&path, json!({})).await.error(409, "CONFLICT");
    assert_eq!(server.count("SELECT count(*) FROM prompts").await, 1);
}
