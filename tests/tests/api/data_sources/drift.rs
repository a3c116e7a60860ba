//! `GET /api/v1/data-sources/{data_source_id}/drift`

use rivergen_tests::{PostgresDatabase, Server, on_both_databases};
use serde_json::{Value, json};

use super::{of, policy};

on_both_databases! {
    what_changed_is_told;
    a_policy_that_names_what_is_gone_closes_its_table_and_that_is_said;
    policies_that_name_what_is_gone_are_told;
    what_policies_hide_is_not_told;
    values_in_the_type_of_a_masked_column_are_not_told;
    anothers_is_not_found;
}

/// Each change in words, in the order of the names.
fn told(data: &Value) -> Vec<String> {
    let mut told: Vec<String> = data["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let column = item["column_name"].as_str().map(|column| format!(".{column}")).unwrap_or_default();
            format!("{} {}{column}", item["change"].as_str().unwrap(), item["table_name"].as_str().unwrap())
        })
        .collect();
    told.sort();
    told
}

async fn what_changed_is_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text, pieces int, old text); CREATE TABLE gone (id int)").await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let discover = of(id, "/discover-schema?refresh=true");
    acme.admin.client.post_empty(&discover).await.ok();
    // The first discovery changes nothing, nor does one that finds the same.
    assert_eq!(acme.viewer.client.get(&of(id, "/drift")).await.ok()["items"], json!([]));
    database
        .execute("ALTER TABLE stock ALTER pieces TYPE bigint, DROP old, ADD depot text; DROP TABLE gone; CREATE TABLE fresh (id int)")
        .await;
    acme.admin.client.post_empty(&discover).await.ok();
    let data = acme.viewer.client.get(&of(id, "/drift")).await.ok();
    let expected = [
        "column_added stock.depot",
        "column_removed stock.old",
        "column_type_changed stock.pieces",
        "table_added fresh",
        "table_removed gone",
    ];
    assert_eq!(told(&data), expected);
    let pieces = data["items"].as_array().unwrap().iter().find(|item| item["column_name"] == "pieces").unwrap();
    assert_eq!((pieces["was"].as_str(), pieces["became"].as_str()), (Some("integer"), Some("bigint")));
    assert_eq!((pieces["closes_table"].as_bool(), pieces["policies"].clone()), (Some(false), json!([])));
    let get = async |query: &str| acme.viewer.client.get(&of(id, &format!("/drift?{query}"))).await.ok();
    assert_eq!(told(&get("table_name=gone").await), ["table_removed gone"]);
    assert_eq!(get("page=2&page_size=2").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(get("since=2999-01-01T00:00:00Z").await["items"], json!([]));
    acme.viewer.client.get(&of(id, "/drift?since=now")).await.invalid("since");
    assert_eq!(server.audited("data_source.drift", "success").await, 1);
    database.remove().await;
}

async fn a_policy_that_names_what_is_gone_closes_its_table_and_that_is_said(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute("CREATE TABLE customers (id int, card_number text); INSERT INTO customers VALUES (1, '4000')")
        .await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let mask = json!({"table": "customers", "column": "card_number", "masking_function": "redact"});
    let masking = policy(&acme, id, "Viewer", "data_masking", "mask_column", mask).await;
    acme.viewer.query(id, "SELECT * FROM customers").await;
    database.execute("ALTER TABLE customers RENAME card_number TO card").await;
    let discover = of(id, "/discover-schema?refresh=true");
    acme.admin.client.post_empty(&discover).await.ok();
    acme.viewer.query_with(id, json!({"query": "SELECT card FROM customers"})).await.error(403, "POLICY_DENIED");
    let data = acme.admin.client.get(&of(id, "/drift")).await.ok();
    let gone = data["items"].as_array().unwrap().iter().find(|item| item["change"] == "column_removed").unwrap();
    assert_eq!(gone["closes_table"], true);
    assert_eq!(gone["policies"][0]["policy_id"], masking);
    // To whom the table is closed nothing of it is told.
    assert_eq!(acme.viewer.client.get(&of(id, "/drift")).await.ok()["items"], json!([]));
    // When the column is back, so is the table.
    database.execute("ALTER TABLE customers RENAME card TO card_number").await;
    acme.admin.client.post_empty(&discover).await.ok();
    let data = acme.admin.client.get(&of(id, "/drift")).await.ok();
    assert!(data["items"].as_array().unwrap().iter().all(|item| item["closes_table"] == false), "{data}");
    acme.viewer.query(id, "SELECT card_number FROM customers").await;
    database.remove().await;
}

/// What was renamed is not governed by its old name: somebody must hear of it.
async fn policies_that_name_what_is_gone_are_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE people (id int, phone text, mail text); CREATE TABLE vault (id int)").await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let everywhere = json!({"column": "phone", "masking_function": "redact"});
    let masking = policy(&acme, id, "Viewer", "data_masking", "mask_column", everywhere).await;
    let closing = policy(&acme, id, "Viewer", "access_control", "deny_access", json!({"table": "vault"})).await;
    let tags = json!({"columns": [{"table": "people", "column": "mail", "tags": ["pii.email"]}]});
    acme.admin.client.put(&of(id, "/tags"), tags).await.ok();
    let by_tag = policy(&acme, id, "Developer", "access_control", "deny_access", json!({"tag": "pii.*"})).await;
    let renamed = "ALTER TABLE people RENAME phone TO mobile; ALTER TABLE people RENAME mail TO address; \
        ALTER TABLE vault RENAME TO cellar";
    database.execute(renamed).await;
    acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await.ok();
    let data = acme.admin.client.get(&of(id, "/drift")).await.ok();
    let named: Vec<(&str, &Value, &Value)> = data["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["policies"] != json!([]))
        .map(|item| (item["change"].as_str().unwrap(), &item["policies"][0]["policy_id"], &item["closes_table"]))
        .collect();
    let (masking, closing, by_tag) = (json!(masking), json!(closing), json!(by_tag));
    let (no, yes) = (json!(false), json!(true));
    let mut expected = vec![
        ("column_removed", &masking, &no),
        // Of what was tagged nobody knows what became of it.
        ("column_removed", &by_tag, &yes),
        ("table_removed", &closing, &no),
    ];
    for one in named {
        let at = expected.iter().position(|wanted| *wanted == one).unwrap_or_else(|| panic!("{one:?} in {data}"));
        expected.remove(at);
    }
    assert!(expected.is_empty(), "{expected:?} not in {data}");
    // Who may not read policies hears of the change alone.
    let told = acme.viewer.client.get(&of(id, "/drift")).await.ok();
    assert!(told["items"].as_array().unwrap().iter().all(|item| item["policies"] == json!([])), "{told}");
    database.remove().await;
}

async fn what_policies_hide_is_not_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute("CREATE TABLE vault (id int, k text); CREATE TABLE open (id int, secret text, hush text); CREATE TABLE cellar (id int)")
        .await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    for rule in [
        json!({"table": "vault"}),
        json!({"table": "cellar"}),
        json!({"columns": ["secret"]}),
        json!({"columns": ["hush"]}),
    ] {
        policy(&acme, id, "Viewer", "access_control", "deny_access", rule).await;
    }
    database
        .execute("ALTER TABLE vault DROP k, ADD j int; ALTER TABLE open ALTER secret TYPE varchar(9), DROP hush, ADD seen int; DROP TABLE cellar")
        .await;
    acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await.ok();
    assert_eq!(acme.admin.client.get(&of(id, "/drift")).await.ok()["pagination"]["total_items"], 6);
    let data = acme.viewer.client.get(&of(id, "/drift")).await.ok();
    assert_eq!(told(&data), ["column_added open.seen"], "{data}");
    assert_eq!(data["pagination"]["total_items"], 1);
    database.remove().await;
}

/// As in MySQL's `enum('a','b')`; PostgreSQL has types whose names are written so.
async fn values_in_the_type_of_a_masked_column_are_not_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute(
            "CREATE DOMAIN \"kind('sesame')\" AS text; CREATE DOMAIN \"kind('sesame','poppy')\" AS text; \
            CREATE TABLE seeds (id int, kind \"kind('sesame')\")",
        )
        .await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    let mask = json!({"table": "seeds", "column": "kind", "masking_function": "redact"});
    policy(&acme, id, "Viewer", "data_masking", "mask_column", mask).await;
    database.execute("ALTER TABLE seeds ALTER kind TYPE \"kind('sesame','poppy')\"").await;
    acme.admin.client.post_empty(&of(id, "/discover-schema?refresh=true")).await.ok();
    let all = acme.admin.client.get(&of(id, "/drift")).await.ok();
    assert!(all.to_string().contains("sesame") && all.to_string().contains("poppy"), "{all}");
    let data = acme.viewer.client.get(&of(id, "/drift")).await.ok();
    assert_eq!(told(&data), ["column_type_changed seeds.kind"]);
    assert!(!data.to_string().contains("sesame") && !data.to_string().contains("poppy"), "{data}");
    database.remove().await;
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    globex.owner.client.get(&of(id, "/drift")).await.error(404, "NOT_FOUND");
    server.anonymous().get(&of(id, "/drift")).await.error(401, "UNAUTHORIZED");
}
