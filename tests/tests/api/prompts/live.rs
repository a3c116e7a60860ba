//! `/api/v1/prompts/executions/{execution_id}`: how a run stands, its events as they happen, and its cancellation.

use futures::StreamExt;
use rivergen_tests::{Backend, Client, Person, Server, eventually, on_both_backends};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::{
    PATH, ended, events,
    model::{Model, Unanswered, followed},
    send,
};
use crate::oauth::{self, App, dpop};

on_both_backends! {
    a_run_that_goes_by_itself_is_followed_to_its_end;
    a_stream_that_was_dropped_is_resumed;
    a_web_socket_tells_the_same;
    a_run_is_cancelled_while_it_is_planned;
    a_cancellation_reaches_the_source;
    a_run_is_its_persons;
    a_question_that_fails_tells_so;
    what_a_run_asks_back_is_its_persons;
    a_stream_of_a_bound_token_takes_one_proof;
}

/// One server-sent event.
struct Told {
    id: i64,
    event: String,
    data: Value,
}

/// All events of a stream that ends.
async fn stream(client: &Client, path: &str, last: Option<i64>) -> Vec<Told> {
    let mut request = client.request(reqwest::Method::GET, path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    told(&response.text().await.unwrap())
}

fn told(text: &str) -> Vec<Told> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
    };
    text.split("\n\n")
        .filter_map(|block| {
            let data: Value = serde_json::from_str(&field(block, "data")?).unwrap();
            Some(Told { id: field(block, "id")?.parse().unwrap(), event: field(block, "event")?, data })
        })
        .collect()
}

async fn a_run_that_goes_by_itself_is_followed_to_its_end(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let question = json!({"prompt_text": "How many orders per region?", "selected_data_source_ids": [shop.orders],
        "save_prompt": true, "name": "Orders"});
    let begun = send(&acme.viewer, question).await;
    assert_eq!(
        (begun["status"].as_str(), begun["ai_processing_status"].as_str()),
        (Some("processing"), Some("in_progress"))
    );
    assert!(begun["prompt_id"].is_null() && begun["query_execution_status"].is_null(), "{begun}");
    let id = &begun["execution_id"];
    let told = stream(&acme.viewer.client, &format!("{PATH}/executions/{id}/events"), None).await;
    let names: Vec<&str> = told.iter().map(|told| told.event.as_str()).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("execution.started", "execution.completed"), "{names:?}");
    assert!(told.iter().map(|told| told.id).eq(1..=told.len() as i64));
    let generated = told.iter().find(|told| told.event == "execution.sql_generated").unwrap();
    assert_eq!(&generated.data["execution_id"], id);
    let sql = generated.data["data"]["generated_query_text"].as_str().unwrap();
    let progress: Vec<i64> = told.iter().filter_map(|told| told.data["data"]["progress_percentage"].as_i64()).collect();
    assert!(progress.is_sorted() && progress.len() > 3, "{progress:?}");

    let run = ended(&acme.viewer, id).await;
    assert_eq!((run["status"].as_str(), run["progress_percentage"].as_i64()), (Some("completed"), Some(100)));
    assert_eq!(run["generated_query_text"], sql);
    assert!(run["prompt_id"].is_i64(), "{run}");
    // The rows are there, for the one who asked, under their policies.
    assert_eq!(
        (run["rows_returned"].as_i64(), run["result_preview"].as_array().map(Vec::len)),
        (Some(1), Some(1)),
        "{run}"
    );
    assert!(run["result_preview"][0].as_object().unwrap().values().any(|value| value == "US"), "{run}");
    let seen = acme.admin.client.get(&format!("{PATH}/executions/{id}")).await.ok();
    assert!(seen["result_preview"].is_null() && seen["status"] == "completed", "{seen}");
    server.stop().await;
}

async fn a_stream_that_was_dropped_is_resumed(backend: Backend) {
    let Unanswered { server, acme, path, .. } = Unanswered::ask(backend).await;
    let events = format!("{path}/events");
    // While it runs, what is stored comes at once; then the connection is lost.
    let (response, text) = followed(&acme.viewer.client, &events).await;
    drop(response);
    let seen = told(&text);
    let last = seen.last().unwrap().id;
    let client = acme.viewer.client.clone();
    let resumed = tokio::spawn(async move { stream(&client, &events, Some(last)).await });
    acme.viewer.client.post_empty(&format!("{path}/cancel")).await.ok();
    let rest = resumed.await.unwrap();
    assert!(rest.iter().map(|told| told.id).eq(last + 1..=last + rest.len() as i64));
    assert_eq!(rest.last().unwrap().event, "execution.cancelled");
    // After the last event there is none.
    let over = stream(&acme.viewer.client, &format!("{path}/events?after={}", rest.last().unwrap().id), None).await;
    assert!(over.is_empty());
    acme.viewer.client.get(&format!("{path}/events?after=-1")).await.invalid("after");
    server.stop().await;
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens a WebSocket with the person's token, or answers the status that it is refused with.
async fn socket(server: &Server, client: &Client, path: &str) -> Result<Socket, u16> {
    let mut request = format!("{}{path}", server.url().replace("http://", "ws://")).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", client.token()).parse().unwrap());
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

/// The next event; `None` at the end.
async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn a_web_socket_tells_the_same(backend: Backend) {
    let Unanswered { server, acme, path, .. } = Unanswered::ask(backend).await;
    let mut first = socket(&server, &acme.viewer.client, &format!("{path}/events")).await.unwrap();
    let started = next(&mut first).await.unwrap();
    assert_eq!((started["event"].as_str(), started["seq"].as_i64()), (Some("execution.started"), Some(1)));
    let second = next(&mut first).await.unwrap();
    drop(first);
    let after = format!("{path}/events?after={}", second["seq"]);
    let mut resumed = socket(&server, &acme.viewer.client, &after).await.unwrap();
    assert_eq!(next(&mut resumed).await.unwrap()["seq"].as_i64(), second["seq"].as_i64().map(|seq| seq + 1));
    acme.viewer.client.post_empty(&format!("{path}/cancel")).await.ok();
    let mut last = Value::Null;
    while let Some(event) = next(&mut resumed).await {
        last = event;
    }
    assert_eq!(last["event"], "execution.cancelled");

    let events = format!("{path}/events");
    assert_eq!(socket(&server, &server.anonymous(), &events).await.err(), Some(401));
    assert_eq!(socket(&server, &acme.developer.client, &events).await.err(), Some(404));
    server.stop().await;
}

async fn a_run_is_cancelled_while_it_is_planned(backend: Backend) {
    let Unanswered { model, server, acme, id, path } = Unanswered::ask(backend).await;
    eventually("the model to be asked", async || (!model.seen().is_empty()).then_some(())).await;
    let cancel = format!("{path}/cancel");
    acme.developer.client.post_empty(&cancel).await.error(404, "NOT_FOUND");
    acme.viewer.client.post_empty(&cancel).await.ok();
    let run = ended(&acme.viewer, &id).await;
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("failed"), Some("QUERY_CANCELLED")));
    assert_eq!(run["ai_processing_status"], "failed");
    acme.viewer.client.post_empty(&cancel).await.error(409, "CONFLICT");
    assert_eq!(server.audited("prompt.cancel", "success").await, 1);
    server.stop().await;
}

async fn a_cancellation_reaches_the_source(backend: Backend) {
    let model = Model::answering(&[Some(
        "SELECT count(*) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c WHERE a.n + b.n + c.n = 7",
    )]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let bytes = rivergen_tests::fixtures::numbers_parquet(50_000);
    let source = acme.admin.file_source("Numbers", "parquet", "numbers.parquet", bytes).await;
    let begun = send(&acme.viewer, json!({"prompt_text": "Count", "selected_data_source_ids": [source]})).await;
    let running = "SELECT count(*) FROM query_runs WHERE status = 'running' AND stage = 'reading'";
    eventually("the query to run", async || (server.count(running).await == 1).then_some(())).await;
    acme.viewer.client.post_empty(&format!("{PATH}/executions/{}/cancel", begun["execution_id"])).await.ok();
    let run = ended(&acme.viewer, &begun["execution_id"]).await;
    assert_eq!(
        (run["error_code"].as_str(), run["query_execution_status"].as_str()),
        (Some("QUERY_CANCELLED"), Some("failed"))
    );
    let stopped = "SELECT count(*) FROM query_runs WHERE status = 'cancelled' AND kind = 'prompt'";
    eventually("the query to be stopped", async || (server.count(stopped).await == 1).then_some(())).await;
    server.stop().await;
}

async fn a_run_is_its_persons(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let question = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
    let begun = send(&acme.viewer, question).await;
    let path = format!("{PATH}/executions/{}", begun["execution_id"]);
    ended(&acme.viewer, &begun["execution_id"]).await;
    acme.developer.client.get(&path).await.error(404, "NOT_FOUND");
    acme.developer.client.get(&format!("{path}/events")).await.error(404, "NOT_FOUND");
    server.organization("Globex").await.owner.client.get(&path).await.error(404, "NOT_FOUND");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    // What may be seen has changed since: the run is told, its rows are not.
    assert_eq!(acme.viewer.client.get(&path).await.ok()["result_preview"].as_array().map(Vec::len), Some(1));
    acme.govern(&shop).await;
    let run = acme.viewer.client.get(&path).await.ok();
    assert!(run["result_preview"].is_null() && run["status"] == "completed", "{run}");
    server.stop().await;
}

async fn a_stream_of_a_bound_token_takes_one_proof(backend: Backend) {
    let Unanswered { server, acme, path, .. } = Unanswered::ask(backend).await;
    let events = format!("{path}/events");
    let (app, key) = (App::public(&server, &acme).await, dpop::Key::new());
    let given = dpop::tokens(&server, &app, &key, &acme.viewer).await;
    let token = oauth::text(&given, "access_token");
    let open = |scheme: &str| {
        let request = server.anonymous().request(reqwest::Method::GET, &events);
        request.header("authorization", format!("{scheme} {token}"))
    };
    assert_eq!(open("Bearer").send().await.unwrap().status(), 401);
    let proof = key.proof_with(&server, "GET", &events, token);
    let response = open("DPoP").header("dpop", proof).send().await.unwrap();
    assert_eq!(response.status(), 200);
    // So long that the token is looked at again, for which there is no further proof.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    acme.viewer.client.post_empty(&format!("{path}/cancel")).await.ok();
    assert_eq!(told(&response.text().await.unwrap()).last().unwrap().event, "execution.cancelled");
    server.stop().await;
}

async fn a_question_that_fails_tells_so(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let question = json!({"prompt_text": "Which penguins sing opera?", "selected_data_source_ids": [shop.orders]});
    let begun = send(&acme.viewer, question).await;
    let run = ended(&acme.viewer, &begun["execution_id"]).await;
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("failed"), Some("QUESTION_NOT_UNDERSTOOD")));
    assert_eq!(events(&server, &begun["execution_id"]).await.last().unwrap(), "execution.failed");
    // The nearest questions are made of what its person may see.
    let path = format!("{PATH}/executions/{}", begun["execution_id"]);
    for (person, is_told) in [(&acme.viewer, true), (&acme.admin, false)] {
        let told = stream(&person.client, &format!("{path}/events"), None).await;
        let failed = told.last().unwrap().data["data"].clone();
        let run = person.client.get(&path).await.ok();
        for details in [&failed["details"], &run["error_details"]] {
            assert_eq!(details.as_array().map(|details| !details.is_empty()), Some(is_told), "{details}");
        }
    }
    server.stop().await;
}

async fn what_a_run_asks_back_is_its_persons(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let question =
        json!({"prompt_text": "Which regions are there?", "selected_data_source_ids": [shop.orders, shop.crm]});
    let begun = send(&acme.viewer, question).await;
    let path = format!("{PATH}/executions/{}/events", begun["execution_id"]);
    let data_of = |events: &[Told], name: &str| {
        events.iter().find(|told| told.event == name).map(|told| told.data["data"].clone()).unwrap()
    };
    let own = stream(&acme.viewer.client, &path, None).await;
    let asked = data_of(&own, "execution.input_required");
    assert_eq!(asked["options"], json!(["orders.region", "customers.region"]), "{asked}");
    assert!(!data_of(&own, "execution.failed")["details"].as_array().unwrap().is_empty());
    // Whoever reads the audit log sees the steps, as they see the run.
    let seen = stream(&acme.admin.client, &path, None).await;
    assert!(seen.iter().map(|told| told.id).eq(own.iter().map(|told| told.id)));
    let asked = data_of(&seen, "execution.input_required");
    assert_eq!((&asked["question"], &asked["options"]), (&json!(""), &json!([])), "{asked}");
    let failed = data_of(&seen, "execution.failed");
    assert_eq!((failed["code"].as_str(), &failed["details"]), (Some("QUESTION_AMBIGUOUS"), &json!([])), "{failed}");
    server.stop().await;
}

/// On PostgreSQL the node that is asked need not be the one that works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_followed_and_cancelled_on_another_node() {
    let model = Model::answering(&[None]);
    let first = model.server(Backend::Postgres).await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let shop = acme.shop().await;
    let begun = send(&acme.viewer, json!({"prompt_text": "Orders?", "selected_data_source_ids": [shop.orders]})).await;
    let there = Person { client: second.anonymous().with_token(acme.viewer.client.token()), ..acme.viewer.clone() };
    let path = format!("{PATH}/executions/{}", begun["execution_id"]);
    eventually("the model to be asked", async || (!model.seen().is_empty()).then_some(())).await;
    let (client, events) = (there.client.clone(), format!("{path}/events"));
    let following = tokio::spawn(async move { stream(&client, &events, None).await });
    there.client.post_empty(&format!("{path}/cancel")).await.ok();
    assert_eq!(following.await.unwrap().last().unwrap().event, "execution.cancelled");
    second.stop().await;
    first.stop().await;
}
