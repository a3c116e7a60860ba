//! Acme: its people, its sources, its policies, each made over the public API where it is missing.

use std::{collections::BTreeMap, path::Path, time::Instant};

use futures::StreamExt;
use reqwest::multipart::{Form, Part};
use rivergen_kernel::{Error, Result, RoleId};
use rivergen_tenancy::{provision::OrganizationFile, role};
use serde_json::{Value, json};

use super::{PASSWORD, PATIENCE, data};

/// What a person asks in the introduction.
const QUESTION: &str = "How many orders per region in 2025?";

/// The organization's file, as `rivergen provision` takes it.
pub fn people() -> Result<OrganizationFile> {
    toml::from_str(&format!(
        r#"
        name = "Acme"
        domain = "acme.example"
        [[people]]
        email = "owner@acme.example"
        display_name = "Olivia Owner"
        password = "{PASSWORD}"
        role = "Owner"
        [[people]]
        email = "admin@acme.example"
        display_name = "Adam Admin"
        password = "{PASSWORD}"
        role = "Admin"
        [[people]]
        email = "developer@acme.example"
        display_name = "Dana Developer"
        password = "{PASSWORD}"
        role = "Developer"
        attributes = {{ region = "EU" }}
        [[people]]
        email = "viewer@acme.example"
        display_name = "Victor Viewer"
        password = "{PASSWORD}"
        role = "Viewer"
        attributes = {{ region = "US" }}
        "#
    ))
    .map_err(Error::internal)
}

/// Somebody who is signed in at the demo's server.
pub struct Person {
    http: reqwest::Client,
    url: String,
    pub token: String,
}

impl Person {
    pub async fn sign_in(url: &str, email: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build().map_err(Error::internal)?;
        let mut person = Self { http, url: url.to_owned(), token: String::new() };
        let data = person.post("/api/v1/auth/login", json!({"email": email, "password": PASSWORD})).await?;
        person.token = data["access_token"].as_str().unwrap_or_default().to_owned();
        Ok(person)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.send(self.http.post(format!("{}{path}", self.url)).json(&body)).await
    }

    async fn upload(&self, name: &str, body: impl Into<reqwest::Body>) -> Result<String> {
        let form = Form::new().part("file", Part::stream(body).file_name(name.to_owned()));
        let request = self.http.post(format!("{}/api/v1/storage/upload", self.url)).multipart(form);
        let data = self.send(request).await?;
        Ok(data["file_path"].as_str().unwrap_or_default().to_owned())
    }

    /// The `data` of the answer; what the server refuses is an error with its words.
    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<Value> {
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let answer: Value = request.send().await.map_err(Error::internal)?.json().await.map_err(Error::internal)?;
        if answer["success"] == true {
            Ok(answer["data"].clone())
        } else {
            Err(Error::internal(answer["error"].to_string()))
        }
    }
}

/// The three sources, by their SQL names; made where they are missing.
pub async fn sources(admin: &Person, dir: &Path, rows: usize) -> Result<BTreeMap<&'static str, i64>> {
    let existing = admin.get("/api/v1/data-sources?page_size=100").await?;
    let mut sources = BTreeMap::new();
    for (sql_name, name) in [("orders", "Orders"), ("crm", "CRM"), ("products", "Products")] {
        let known = existing["items"].as_array().into_iter().flatten().find(|item| item["name"] == name);
        let id = match known.and_then(|item| item["id"].as_i64()) {
            Some(id) => id,
            None => register(admin, dir, rows, sql_name, name).await?,
        };
        await_first_check(admin, id, name).await?;
        sources.insert(sql_name, id);
    }
    Ok(sources)
}

async fn register(admin: &Person, dir: &Path, rows: usize, sql_name: &str, name: &str) -> Result<i64> {
    let source = match sql_name {
        "orders" => {
            println!("Generating {rows} orders as Parquet …");
            let chunks = data::orders_parquet(rows).map_err(Error::internal)?;
            let (sender, receiver) = tokio::sync::mpsc::channel(4);
            // Compressing a million rows is work for a thread of its own.
            tokio::task::spawn_blocking(move || chunks.for_each(|chunk| drop(sender.blocking_send(chunk))));
            let stream =
                futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
            let path = admin.upload("orders.parquet", reqwest::Body::wrap_stream(stream.boxed())).await?;
            json!({"name": name, "type": "parquet", "file_path": path, "metadata": {"table": "orders"},
                "description": "All orders of the last three years"})
        }
        "crm" => {
            println!("Generating the customers as a SQLite database …");
            let file = dir.join("customers.sqlite");
            data::customers_sqlite(&file).await.map_err(Error::internal)?;
            let bytes = tokio::fs::read(&file).await.map_err(Error::internal)?;
            tokio::fs::remove_file(&file).await.map_err(Error::internal)?;
            let path = admin.upload("customers.sqlite", bytes).await?;
            json!({"name": name, "type": "sqlite", "file_path": path, "description": "Customers, with personal data"})
        }
        _ => {
            let path = admin.upload("products.csv", data::products_csv()).await?;
            json!({"name": name, "type": "csv", "file_path": path, "metadata": {"table": "products"},
                "description": "What Acme sells"})
        }
    };
    let made = admin.post("/api/v1/data-sources", source).await?;
    made["id"].as_i64().ok_or_else(|| Error::internal("the new source has no id"))
}

async fn await_first_check(admin: &Person, id: i64, name: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let source = admin.get(&format!("/api/v1/data-sources/{id}")).await?;
        match source["status"].as_str() {
            Some("active") if !source["schema_discovered_at"].is_null() => return Ok(()),
            Some("failed") => {
                return Err(Error::internal(format!(
                    "the source {name} failed its test: {}",
                    source["failure_reason"]
                )));
            }
            _ if Instant::now() > deadline => {
                return Err(Error::internal(format!("the source {name} is not tested in time")));
            }
            _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}

/// The policies; made where they are missing.
pub async fn policies(admin: &Person, sources: &BTreeMap<&'static str, i64>, roles: &[role::Model]) -> Result<()> {
    let existing = admin.get("/api/v1/policies?page_size=100").await?;
    let is_known = |name: &str| existing["items"].as_array().into_iter().flatten().any(|item| item["name"] == name);
    let role =
        |name: &str| -> Vec<RoleId> { roles.iter().filter(|role| role.name == name).map(|role| role.id).collect() };
    let both = [role("Developer"), role("Viewer")].concat();
    let (orders, crm) = (sources["orders"], sources["crm"]);
    let mask = |column: &str, function: &str, options: Value| {
        json!({"rule_name": format!("{column}: {function}"), "rule_type": "mask_column",
            "rule_config": {"table": "customers", "column": column, "masking_function": function, "options": options}})
    };
    let own_region = |table: &str| {
        json!([{"rule_name": "own region only", "rule_type": "filter_rows",
            "rule_config": {"table": table, "condition": "region = current_user_region"}}])
    };
    let wanted = [
        json!({"name": "Orders in own region", "type": "row_level_security", "data_source_ids": [orders], "role_ids": both,
            "rules": own_region("orders")}),
        json!({"name": "Customers in own region", "type": "row_level_security", "data_source_ids": [crm], "role_ids": both,
            "rules": own_region("customers")}),
        json!({"name": "Personal data for developers", "type": "data_masking", "data_source_ids": [crm],
            "role_ids": role("Developer"),
            "rules": [mask("email", "email", json!({})), mask("card_number", "partial", json!({"keep_last": 4})),
                mask("salary", "round_number", json!({"to": 10000}))]}),
        json!({"name": "Personal data for viewers", "type": "data_masking", "data_source_ids": [crm], "role_ids": role("Viewer"),
            "rules": [mask("email", "redact", json!({})), mask("card_number", "redact", json!({})),
                mask("salary", "null_value", json!({}))]}),
    ];
    for policy in wanted {
        if !is_known(policy["name"].as_str().unwrap_or_default()) {
            admin.post("/api/v1/policies", policy).await?;
        }
    }
    Ok(())
}

/// What is printed at the end: the address, the sign-ins, and a question that two people ask.
pub async fn introduce(url: &str, sources: &BTreeMap<&'static str, i64>) -> Result<String> {
    let ids: Vec<String> = ["orders", "crm", "products"].iter().map(|name| sources[name].to_string()).collect();
    let ids = ids.join(",");
    let mut curls = String::new();
    for (email, region) in [("developer@acme.example", "EU"), ("viewer@acme.example", "US")] {
        let person = Person::sign_in(url, email).await?;
        curls.push_str(&format!(
            "\n  As {email} (region {region}):\n\n  curl -s {url}/api/v1/prompts/execute -H 'content-type: application/json' \
             -H 'authorization: Bearer {}' -d '{{\"prompt_text\": \"{QUESTION}\", \"selected_data_source_ids\": [{ids}]}}'\n",
            person.token
        ));
    }
    Ok(format!(
        "\nRiverGen's demo is ready: {url}   (documentation: {url}/docs)\n\n\
         Sign-ins of the organization Acme, all with the password {PASSWORD}:\n\n  \
         owner@acme.example       Owner\n  admin@acme.example       Admin\n  \
         developer@acme.example   Developer, region EU\n  viewer@acme.example      Viewer, region US\n\n\
         The same question, two rightly different answers; paste either line (good for an hour):\n{curls}\n\
         Stop with Ctrl-C; `rivergen demo` again continues where this one ended."
    ))
}
