//! Questions that a model on the server itself answers: a model of some kilobytes, with one answer in it.

use rivergen_local_model::tiny::Tiny;
use rivergen_tests::{Backend, Server, on_both_backends};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{EXECUTE, PATH};

on_both_backends! {
    the_operators_model_is_on_the_server;
    an_organization_chooses_the_servers_model;
    what_the_servers_model_cannot_answer_the_next_does;
    where_there_is_none_none_is_chosen;
}

/// Its file, for as long as the server has it.
struct Model {
    file: String,
    _folder: TempDir,
}

impl Model {
    fn new(tiny: Tiny) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiny.gguf");
        // A token of it is a byte: a context has to have room for what is said of the tables.
        Tiny { context: 32_768, ..tiny }.write(&file).unwrap();
        Self { file: file.display().to_string(), _folder: folder }
    }

    fn answering(sql: &str) -> Self {
        let answer = json!({"sql": sql, "explanation": "As asked."}).to_string();
        Self::new(Tiny::knowing("qwen2", &[answer.as_str()]))
    }

    async fn server(&self, backend: Backend, planner: &str) -> Server {
        let file = &self.file;
        let local = format!("[planner.local]\nfile = {file:?}\ncontext_tokens = 16384\nanswer_tokens = 256\n");
        Server::start(backend, &format!("[planner]\n{planner}\n{local}")).await
    }
}

const COUNT: &str = "SELECT count(*) AS n FROM orders";

/// What the events of a run say of those who were asked.
async fn calls(server: &Server, run: &Value) -> String {
    let rows = format!(
        "SELECT data FROM prompt_execution_events WHERE execution_id = {} AND event = 'execution.tool_call' ORDER BY seq",
        run["execution_id"]
    );
    json!(server.rows(&rows).await).to_string()
}

async fn the_operators_model_is_on_the_server(backend: Backend) {
    let model = Model::answering("SELECT region, count(*) AS n FROM orders GROUP BY region");
    let server = model.server(backend, "kind = \"local\"\nmonthly_tokens = 1000000").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let body = json!({"prompt_text": "Orders per region?", "selected_data_source_ids": [shop.orders]});
    let run = acme.viewer.client.post(EXECUTE, body).await.ok();
    assert_eq!(run["result_preview"], json!([{"region": "US", "n": 4}]), "under the policies of whoever asks: {run}");
    assert_eq!((&run["ai_model"], &run["explanation"]), (&json!("local"), &json!("As asked.")), "{run}");
    let calls = calls(&server, &run).await;
    assert!(calls.contains("local, on this server, reads the question") && !calls.contains("go to"), "{calls}");
    let choice = acme.owner.client.get(&format!("{PATH}/planners")).await.ok();
    assert_eq!(choice["operators"], json!(["local"]), "{choice}");
    assert!(choice["operators_tokens_this_month"].as_i64().unwrap() > 0, "{choice}");
    server.stop().await;
}

async fn an_organization_chooses_the_servers_model(backend: Backend) {
    let model = Model::answering(COUNT);
    let server = model.server(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("{PATH}/planners");
    assert_eq!(acme.owner.client.get(&path).await.ok()["has_local"], true);
    let put = async |planner: Value| acme.admin.client.put(&path, json!({"planners": [planner]})).await;
    for (given, value) in [("base_url", "https://models.example"), ("model", "m"), ("api_key", "k")] {
        put(json!({"kind": "local", given: value})).await.invalid(&format!("planners[0].{given}"));
    }
    put(json!({"kind": "local", "name": "embedded"})).await.invalid("planners[0].name");
    let chosen = put(json!({"kind": "local", "name": "ours", "monthly_tokens": 10})).await.ok();
    let planner = &chosen["planners"][0];
    assert_eq!(
        (&planner["kind"], &planner["name"], &planner["model"]),
        (&json!("local"), &json!("ours"), &Value::Null)
    );

    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
    let run = acme.viewer.client.post(EXECUTE, body.clone()).await.ok();
    assert_eq!((&run["ai_model"], &run["result_preview"]), (&json!("ours"), &json!([{"n": 12}])), "{run}");
    let planner = &acme.owner.client.get(&path).await.ok()["planners"][0];
    assert_eq!(planner["requests_this_month"], 1, "{planner}");
    assert!(planner["tokens_this_month"].as_i64().unwrap() > 1000, "{planner}");
    // A model here is budgeted as those elsewhere are.
    let error = acme.viewer.client.post(EXECUTE, body).await.error(502, "PLANNER_UNAVAILABLE");
    assert!(error["message"].as_str().unwrap().contains("spent its 10 tokens for this month"), "{error}");
    server.stop().await;
}

async fn what_the_servers_model_cannot_answer_the_next_does(backend: Backend) {
    // It has the beginning of an answer, and no end.
    let model = Model::new(Tiny::knowing("qwen3", &["{\"sql\":\"SELECT ", "a"]));
    let server = model.server(backend, "kind = \"local\"\nfalls_back = true").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
    let run = acme.viewer.client.post(EXECUTE, body).await.ok();
    assert_eq!((&run["ai_model"], &run["status"]), (&json!("embedded"), &json!("completed")), "{run}");
    let calls = calls(&server, &run).await;
    assert!(
        calls.contains("local, on this server, reads")
            && calls.contains("embedded is asked: the model's answer was cut off"),
        "{calls}"
    );
    let spent = acme.owner.client.get(&format!("{PATH}/planners")).await.ok()["operators_tokens_this_month"].clone();
    assert!(spent.as_i64().unwrap() > 256, "what was cut off was computed: {spent}");
    server.stop().await;
}

async fn where_there_is_none_none_is_chosen(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/planners");
    assert_eq!(acme.owner.client.get(&path).await.ok()["has_local"], false);
    let wanted = json!({"planners": [{"kind": "embedded"}, {"kind": "local"}]});
    acme.admin.client.put(&path, wanted).await.invalid("planners[1].kind");
    server.stop().await;
}
