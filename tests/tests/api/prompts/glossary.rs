//! `/api/v1/prompts/glossary`: the words of a workspace.

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{EXECUTE, PATH};

on_both_databases! {
    words_of_ones_own_are_understood;
    what_is_not_valid_is_named;
    a_glossary_is_its_workspaces;
    of_two_who_write_at_once_one_stands;
}

fn path() -> String {
    format!("{PATH}/glossary")
}

async fn words_of_ones_own_are_understood(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let ask = async |question: &str| {
        acme.viewer
            .client
            .post(EXECUTE, json!({"prompt_text": question, "selected_data_source_ids": [shop.orders]}))
            .await
    };
    ask("What is the harvest?").await.error(400, "QUESTION_NOT_UNDERSTOOD");
    let empty = acme.viewer.client.get(&path()).await.ok();
    assert_eq!((&empty["terms"], empty["updated_at"].is_null()), (&json!([]), true));
    let terms = json!([{"term": "harvest", "means": "total amount of orders"}]);
    acme.viewer.client.put(&path(), json!({"terms": terms})).await.error(403, "FORBIDDEN");
    acme.developer.client.put(&path(), json!({"terms": terms})).await.ok();
    let data = ask("What is the Harvest?").await.ok();
    assert_eq!(data["result_preview"][0].as_object().unwrap().values().next(), Some(&json!(780.0)), "{data}");
    let understood = json!({"phrase": "Harvest", "meaning": "total amount of orders"});
    assert!(data["understood"].as_array().unwrap().contains(&understood), "{data}");
    let kept = acme.viewer.client.get(&path()).await.ok();
    assert_eq!((&kept["terms"], kept["updated_by_user_id"].as_i64()), (&terms, Some(acme.developer.id)));
    assert_eq!(kept["workspace_id"].as_i64(), Some(acme.workspace_id));
    // Written anew it is what it is then.
    acme.admin.client.put(&path(), json!({"terms": []})).await.ok();
    ask("What is the harvest?").await.error(400, "QUESTION_NOT_UNDERSTOOD");
    assert_eq!(server.audited("prompt.glossary", "success").await, 2);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let developer = server.organization("Acme").await.developer.client;
    let put = async |terms: Value| developer.put(&path(), json!({"terms": terms})).await;
    put(json!([{"term": "x", "means": "orders"}])).await.invalid("terms[0].term");
    put(json!([{"term": "sales", "means": ""}])).await.invalid("terms[0].means");
    put(json!([{"term": "sales", "means": "a"}, {"term": "Sales ", "means": "b"}])).await.invalid("terms[1].term");
    put(json!([{"term": "sa\u{0}les", "means": "orders"}])).await.invalid("body");
    put(json!("sales")).await.invalid("terms");
}

async fn a_glossary_is_its_workspaces(server: &Server) {
    let acme = server.organization("Acme").await;
    let terms = json!({"terms": [{"term": "harvest", "means": "total amount of orders"}]});
    acme.owner.client.put(&path(), terms).await.ok();
    let elsewhere = acme.workspace("Elsewhere").await;
    let owner = acme.owner.stand_in(elsewhere).await;
    assert_eq!(owner.client.get(&path()).await.ok()["terms"], json!([]));
    assert_eq!(server.organization("Globex").await.owner.client.get(&path()).await.ok()["terms"], json!([]));
    server.anonymous().get(&path()).await.error(401, "UNAUTHORIZED");
}

async fn of_two_who_write_at_once_one_stands(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = path();
    let writes = (0..8).map(|turn| {
        let person = if turn % 2 == 0 { &acme.developer } else { &acme.admin };
        person.client.put(&path, json!({"terms": [{"term": "harvest", "means": format!("amount {turn}")}]}))
    });
    for answer in futures::future::join_all(writes).await {
        answer.ok();
    }
    assert_eq!(server.count("SELECT count(*) FROM prompt_glossaries").await, 1);
    let kept = acme.viewer.client.get(&path).await.ok();
    assert!(kept["terms"][0]["means"].as_str().is_some_and(|means| means.starts_with("amount ")), "{kept}");
}
