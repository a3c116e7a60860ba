//! Three small sources of one organization, and the policies over them.

use serde_json::{Value, json};

use crate::{Organization, Person, eventually, fixtures};

/// The sources' ids: `orders` (Parquet), `crm` (SQLite, table `customers`), `products` (CSV).
pub struct Shop {
    pub orders: i64,
    pub crm: i64,
    pub products: i64,
}

impl Organization {
    /// The three sources, registered by the Admin, tested and discovered.
    pub async fn shop(&self) -> Shop {
        let admin = &self.admin;
        let orders = admin.file_source("Orders", "parquet", "orders.parquet", fixtures::orders_parquet()).await;
        let crm = admin.file_source("CRM", "sqlite", "customers.sqlite", fixtures::customers_sqlite()).await;
        let products = admin.file_source("Products", "csv", "products.csv", fixtures::products_csv()).await;
        Shop { orders, crm, products }
    }

    /// Over the shop: Developers and Viewers see their own region; Developers see e-mails and cards in part and salaries
    /// rounded, Viewers none of them. Answers the ids of the policies.
    pub async fn govern(&self, shop: &Shop) -> Vec<i64> {
        let both = json!([self.roles["Developer"], self.roles["Viewer"]]);
        let own_region = |name: &str, source: i64, table: &str| {
            json!({"name": name, "type": "row_level_security", "data_source_ids": [source], "role_ids": both,
                "rules": [{"rule_name": "own region", "rule_type": "filter_rows",
                    "rule_config": {"table": table, "condition": "region = current_user_region"}}]})
        };
        let mask = |column: &str, function: &str, options: Value| {
            json!({"rule_name": column, "rule_type": "mask_column", "rule_config": {"table": "customers",
                "column": column, "masking_function": function, "options": options}})
        };
        let masks = |name: &str, role: &str, rules: Value| {
            json!({"name": name, "type": "data_masking", "data_source_ids": [shop.crm], "role_ids": [self.roles[role]],
                "rules": rules})
        };
        let policies = [
            own_region("Orders of the own region", shop.orders, "orders"),
            own_region("Customers of the own region", shop.crm, "customers"),
            masks(
                "Developers",
                "Developer",
                json!([
                    mask("email", "email", json!({})),
                    mask("card_number", "partial", json!({"keep_last": 4})),
                    mask("salary", "round_number", json!({"to": 10000}))
                ]),
            ),
            masks(
                "Viewers",
                "Viewer",
                json!([
                    mask("email", "redact", json!({})),
                    mask("card_number", "redact", json!({})),
                    mask("salary", "null_value", json!({}))
                ]),
            ),
        ];
        let mut ids = Vec::new();
        for policy in policies {
            ids.push(id_of(&self.admin.client.post("/api/v1/policies", policy).await.created()));
        }
        ids
    }
}

impl Person {
    /// Uploads a file and answers the path that a data source takes.
    pub async fn upload(&self, file_name: &str, bytes: Vec<u8>) -> String {
        let data = self.client.upload(file_name, bytes).await.created();
        data["file_path"].as_str().unwrap().to_owned()
    }

    /// Uploads a file, registers it as a source and waits for its first test and discovery.
    pub async fn file_source(&self, name: &str, kind: &str, file_name: &str, bytes: Vec<u8>) -> i64 {
        let file_path = self.upload(file_name, bytes).await;
        let table = file_name.split('.').next().unwrap();
        let metadata = if kind == "sqlite" { json!({}) } else { json!({"table": table}) };
        let source = json!({"name": name, "type": kind, "file_path": file_path, "metadata": metadata});
        let id = self.register(source).await;
        let checked = self.checked(id).await;
        assert_eq!(checked["status"], "active", "{checked}");
        id
    }

    /// Registers a source; its first test may not have ended.
    pub async fn register(&self, source: Value) -> i64 {
        id_of(&self.client.post("/api/v1/data-sources", source).await.created())
    }

    /// The source when its first test, and the discovery after a good one, have ended.
    pub async fn checked(&self, id: i64) -> Value {
        let path = format!("/api/v1/data-sources/{id}");
        eventually("the first test of the source", async || {
            let source = self.client.get(&path).await.ok();
            let done = match source["status"].as_str() {
                Some("testing") => false,
                Some("active") => !source["schema_discovered_at"].is_null(),
                _ => true,
            };
            done.then_some(source)
        })
        .await
    }

    /// The answer to a query that runs.
    pub async fn query(&self, source: i64, sql: &str) -> Value {
        self.query_with(source, json!({"query": sql})).await.ok()
    }

    /// A query with all of its body.
    pub async fn query_with(&self, source: i64, body: Value) -> crate::Answer {
        self.client.post(&format!("/api/v1/data-sources/{source}/query"), body).await
    }

    /// The only value of a query's only row.
    pub async fn value(&self, source: i64, sql: &str) -> Value {
        let mut data = self.query(source, sql).await;
        assert_eq!(
            (data["row_count"].as_i64(), data["columns"].as_array().map(Vec::len)),
            (Some(1), Some(1)),
            "{data}"
        );
        data["rows"][0][0].take()
    }
}

/// The id of a made object.
pub fn id_of(data: &Value) -> i64 {
    data["id"].as_i64().unwrap_or_else(|| panic!("no id in {data}"))
}
