//! A question that goes on from a run: `follows_execution_id`.

use rivergen_tests::{Backend, Person, Server, Shop, on_both_backends};
use serde_json::{Value, json};

use super::{EXECUTE, PATH, ended, model::Model, send};

on_both_backends! {
    a_question_goes_on_from_a_run;
    it_runs_under_the_policies_of_now;
    only_ones_own_answered_run_is_gone_on_from;
    a_model_is_told_what_was_before;
}

fn body(shop: &Shop, question: &str, follows: Option<&Value>) -> Value {
    json!({"prompt_text": question, "selected_data_source_ids": [shop.orders], "follows_execution_id": follows})
}

async fn ask(person: &Person, shop: &Shop, question: &str, follows: Option<&Value>) -> rivergen_tests::Answer {
    person.client.post(EXECUTE, body(shop, question, follows)).await
}

async fn a_question_goes_on_from_a_run(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let first = ask(&acme.viewer, &shop, "How many orders per region?", None).await.ok();
    assert_eq!((first["rows_returned"].as_i64(), first["follows_execution_id"].is_null()), (Some(3), true));
    let second = ask(&acme.viewer, &shop, "only EU", Some(&first["execution_id"])).await.ok();
    assert_eq!((second["rows_returned"].as_i64(), &second["follows_execution_id"]), (Some(1), &first["execution_id"]));
    assert!(second["explanation"].as_str().unwrap().contains("It goes on from"), "{second}");
    let third = ask(&acme.viewer, &shop, "what about US?", Some(&second["execution_id"])).await.ok();
    assert!(third["result_preview"][0].as_object().unwrap().values().any(|value| value == "US"), "{third}");
    let told = json!({"phrase": "US", "meaning": "in the place of \"EU\""});
    assert!(third["understood"].as_array().unwrap().contains(&told), "{third}");
    // The words alone say nothing.
    ask(&acme.viewer, &shop, "what about US?", None).await.error(400, "QUESTION_NOT_UNDERSTOOD");
    // Saved it is asked again with what it goes on from, and no pair is made of its words.
    let path = format!("{PATH}/executions/{}", third["execution_id"]);
    let saved = acme.viewer.client.post(&format!("{path}/save"), json!({"name": "US"})).await.created();
    let again = acme.viewer.client.post_empty(&format!("{PATH}/{}/execute", saved["id"])).await.ok();
    assert_eq!(again["result_preview"], third["result_preview"]);
    let given = acme.viewer.client.post(&format!("{path}/feedback"), json!({"verdict": "right"})).await.ok();
    assert!(given["verified_pair_id"].is_null(), "{given}");
    server.stop().await;
}

async fn it_runs_under_the_policies_of_now(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let first = ask(&acme.viewer, &shop, "How many orders per region?", None).await.ok();
    acme.govern(&shop).await;
    let second = ask(&acme.viewer, &shop, "top 3", Some(&first["execution_id"])).await.ok();
    assert_eq!(second["rows_returned"], 1, "{second}");
    assert!(second["policies_applied"].as_array().is_some_and(|policies| !policies.is_empty()), "{second}");
    server.stop().await;
}

async fn only_ones_own_answered_run_is_gone_on_from(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = ask(&acme.viewer, &shop, "How many orders per region?", None).await.ok();
    for other in [&acme.developer, &acme.admin] {
        ask(other, &shop, "only EU", Some(&run["execution_id"])).await.error(404, "NOT_FOUND");
    }
    let failed = send(&acme.viewer, body(&shop, "Which penguins sing?", None)).await;
    ended(&acme.viewer, &failed["execution_id"]).await;
    ask(&acme.viewer, &shop, "only EU", Some(&failed["execution_id"])).await.error(409, "CONFLICT");
    server.stop().await;
}

async fn a_model_is_told_what_was_before(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders WHERE region = 'EU'")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let first = ask(&acme.viewer, &shop, "How many orders in Europe?", None).await.ok();
    let second = ask(&acme.viewer, &shop, "And elsewhere?", Some(&first["execution_id"])).await.ok();
    let sent = || model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(sent().contains("<turn>\nHow many orders in Europe?\nSELECT count(*) AS n"), "{}", sent());
    // Asked by somebody else, without what it became for its author.
    let save = format!("{PATH}/executions/{}/save", second["execution_id"]);
    let saved = acme.viewer.client.post(&save, json!({"name": "Elsewhere"})).await.created();
    acme.developer.client.post_empty(&format!("{PATH}/{}/execute", saved["id"])).await.ok();
    assert!(sent().contains("<turn>\nHow many orders in Europe?\n"), "{}", sent());
    assert!(!sent().contains("SELECT count(*)"), "{}", sent());
    server.stop().await;
}
