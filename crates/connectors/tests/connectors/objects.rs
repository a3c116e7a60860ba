//! The connectors of object stores, against a small S3 server in this process.

use std::io::Write;
use std::sync::Arc;

use crate::support::differential::{Pair, rows, session, session_of};
use crate::support::s3::S3;
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;
use rivergen_connectors::{DiscoveredTable, OpenedSource, Registry, SourceContext};
use serde_json::json;

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn numbers(from: i64, to: i64) -> Vec<u8> {
    let names = StringArray::from_iter_values((from..to).map(|n| format!("name {n}")));
    parquet(vec![("id", Arc::new(Int64Array::from_iter_values(from..to))), ("name", Arc::new(names))])
}

async fn tables(source: &dyn OpenedSource) -> Vec<DiscoveredTable> {
    source.discover(None).await.unwrap().remove(0).tables
}

fn named<'a>(tables: &'a [DiscoveredTable], name: &str) -> &'a DiscoveredTable {
    tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("{name} in {tables:?}"))
}

fn types(table: &DiscoveredTable) -> String {
    let columns = table.columns.iter().map(|column| format!("{} {}", column.name, column.arrow_type));
    columns.collect::<Vec<_>>().join(", ")
}

/// The rows of a query over all tables of the source, each opened with what was discovered.
async fn query(source: &dyn OpenedSource, sql: &str) -> Vec<Vec<String>> {
    try_query(source, &tables(source).await, sql).await.unwrap()
}

async fn try_query(
    source: &dyn OpenedSource,
    tables: &[DiscoveredTable],
    sql: &str,
) -> datafusion::error::Result<Vec<Vec<String>>> {
    let ctx = session();
    for table in tables.iter().filter(|table| sql.contains(&table.name)) {
        ctx.register_table(&table.name, source.open_table("files", &table.name, Some(table)).await?)?;
    }
    Ok(rows(&ctx.sql(sql).await?.collect().await?, true))
}

async fn complaint(context: &SourceContext) -> (&'static str, String) {
    let outcome = Registry::new().connector(context.config.kind).unwrap().test(context).await;
    assert!(!outcome.successful);
    (outcome.error_code.unwrap(), outcome.error_message.unwrap())
}

#[tokio::test]
async fn folders_are_tables_with_partitions() {
    let s3 = S3::start().await;
    for (year, month, from) in [(2025, "11", 0), (2025, "12", 10), (2026, "01", 20), (2026, "02", 30)] {
        s3.put(&format!("sales/year={year}/month={month}/part 0.parquet"), numbers(from, from + 10));
    }
    s3.put("sales/_SUCCESS", "");
    s3.put("customers.csv", "id,city\n1,Bonn\n2,Köln\n");
    s3.put("notes/read.md", "# no table");
    let (context, _cache) = s3.source();
    let source = crate::support::open(&context).await;
    source.probe().await.unwrap();
    let found = tables(source.as_ref()).await;
    assert_eq!(found.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["customers", "sales"]);
    let sales = named(&found, "sales");
    assert_eq!(types(sales), "id Int64, name Utf8View, year Int64, month Int64");
    assert_eq!((sales.row_count, sales.columns[2].source_type.as_str()), (Some(40), "partition"));
    assert_eq!(named(&found, "customers").row_count, Some(2));

    // What was discovered survives its way through the database, and is enough for a query.
    let kept: Vec<DiscoveredTable> = serde_json::from_value(serde_json::to_value(&found).unwrap()).unwrap();
    s3.asked();
    let sql = "SELECT month, count(*), min(name) FROM sales WHERE year = 2026 AND month = 1 GROUP BY month";
    assert_eq!(try_query(source.as_ref(), &kept, sql).await.unwrap(), [["1", "10", "name 20"]]);
    let asked = s3.asked();
    assert!(asked.iter().all(|key| !key.contains("year=2025") && !key.contains("month=02/")), "{asked:?}");
    assert!(asked.iter().any(|key| key == "sales/year=2026/month=01/part 0.parquet"), "{asked:?}");
    assert!(!asked.contains(&"list ".to_owned()), "only the table is listed: {asked:?}");

    // Files are pruned by their statistics: of the others only the footers are read.
    let found = query(source.as_ref(), "SELECT id FROM sales WHERE id > 38").await;
    assert_eq!(found, [["39"]]);
    assert_eq!(query(source.as_ref(), "SELECT city FROM customers WHERE id = 2").await, [["Köln"]]);
    let joined = "SELECT c.city, s.year FROM customers c JOIN sales s ON c.id = s.id ORDER BY 1";
    assert_eq!(query(source.as_ref(), joined).await, [["Bonn", "2025"], ["Köln", "2025"]]);

    // A file that is added, replaced or removed is seen by the next query.
    s3.put("sales/year=2027/month=03/part 0.parquet", numbers(100, 103));
    s3.delete("sales/year=2025/month=11/part 0.parquet");
    let sql = "SELECT count(*), max(year) FROM sales";
    assert_eq!(try_query(source.as_ref(), &kept, sql).await.unwrap(), [["33", "2027"]]);
}

#[tokio::test]
async fn answers_are_those_of_a_copy_in_memory() {
    let s3 = S3::start().await;
    for (region, day, from) in [("EU", "2026-01-30", 0), ("EU", "2026-01-31", 50), ("US", "2026-01-31", 100)] {
        s3.put(&format!("events/region={region}/day={day}/a.parquet"), numbers(from, from + 50));
    }
    let (context, _cache) = s3.source();
    let source = crate::support::open(&context).await;
    let table = source.open_table("files", "events", None).await.unwrap();
    assert_eq!(table.schema().field_with_name("day").unwrap().data_type(), &DataType::Date32);
    let pair = Pair::of(vec![("events", table)]).await;
    for sql in [
        "SELECT * FROM events WHERE region = 'EU' AND id > 40",
        "SELECT region, day, count(*), sum(id) FROM events GROUP BY region, day",
        "SELECT id FROM events WHERE day = DATE '2026-01-31' AND region <> 'US' ORDER BY id LIMIT 5",
        "SELECT id FROM events WHERE region = 'EU' OR id = 149",
        "SELECT count(*) FROM events WHERE region IN ('US', 'XX') AND name LIKE '%1'",
        "SELECT a.id FROM events a JOIN events b ON a.id = b.id AND a.region = b.region WHERE b.id < 3",
        "SELECT max(day), min(region) FROM events",
        "SELECT count(*) FROM events WHERE region = 'XX'",
    ] {
        pair.check(sql).await;
    }
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn schemas_of_files_are_put_together_by_name() {
    let s3 = S3::start().await;
    s3.put(
        "growing/a.parquet",
        parquet(vec![("id", Arc::new(Int32Array::from(vec![1]))), ("old", Arc::new(StringArray::from(vec!["x"])))]),
    );
    s3.put(
        "growing/b.parquet",
        parquet(vec![
            ("new", Arc::new(Int64Array::from(vec![7]))),
            ("id", Arc::new(Int64Array::from(vec![5_000_000_000]))),
        ]),
    );
    s3.put("odd/a.parquet", parquet(vec![("id", Arc::new(Int64Array::from(vec![1])))]));
    s3.put("odd/b.parquet", parquet(vec![("id", Arc::new(StringArray::from(vec!["one"])))]));
    s3.put("lines/a.jsonl.gz", gzipped("{\"a\": 1}\n"));
    s3.put("lines/b.jsonl.gz", gzipped("{\"a\": 2.5, \"b\": {\"c\": true}}\n"));
    s3.put("texts/a.csv.gz", gzipped("n,s\n1,x\n"));
    s3.put("texts/b.csv.gz", gzipped("n,s\nnone,y\n"));
    s3.put("turned/a.csv", "first,second\n1,2\n");
    s3.put("turned/b.csv", "second,first\n2,1\n");
    let (context, _cache) = s3.source();
    let source = crate::support::open(&context).await;
    let found = tables(source.as_ref()).await;
    let growing = named(&found, "growing");
    assert_eq!(types(growing), "id Int64, old Utf8View, new Int64");
    assert!(growing.columns[0].nullable && growing.columns[1].nullable);
    let growing = query(source.as_ref(), "SELECT id, old, new FROM growing ORDER BY id").await;
    assert_eq!(growing, [["1", "x", "NULL"], ["5000000000", "NULL", "7"]]);
    let lines = query(source.as_ref(), "SELECT a, b['c'] FROM lines ORDER BY a").await;
    assert_eq!(lines, [["1.00000000000e0", "NULL"], ["2.50000000000e0", "true"]]);
    assert_eq!(query(source.as_ref(), "SELECT n, s FROM texts ORDER BY s").await, [["1", "x"], ["none", "y"]]);

    let odd = named(&found, "odd").comment.as_ref().unwrap();
    assert!(odd.contains("b.parquet") && odd.contains("column id is Utf8View in it and Int64 in a.parquet"), "{odd}");
    assert!(named(&found, "odd").columns.is_empty());
    let turned = named(&found, "turned").comment.as_ref().unwrap();
    assert!(turned.contains("second, first") && turned.contains("same order"), "{turned}");
    // A query is told the same.
    let error = source.open_table("files", "odd", Some(named(&found, "odd"))).await.unwrap_err();
    assert_eq!(error.to_string(), *odd);
    // Once it is repaired it must be discovered: policies are for columns that are known.
    s3.delete("odd/b.parquet");
    let error = source.open_table("files", "odd", Some(named(&found, "odd"))).await.unwrap_err();
    assert!(error.to_string().contains("discover the schema again"), "{error}");

    // A file that comes later is held to what was discovered.
    s3.put("texts/c.csv.gz", gzipped("s,n\ny,2\n"));
    let error = try_query(source.as_ref(), &found, "SELECT count(*) FROM texts WHERE s = 'y'").await.unwrap_err();
    let told = rivergen_connectors::ConnectorError::within(&error).unwrap();
    assert!(told.to_string().contains("c.csv.gz"), "{told}");
    assert_eq!(told.code().as_str(), "UNREADABLE_FILE");
}

#[tokio::test]
async fn tables_with_a_log_are_not_read_as_plain_files() {
    let s3 = S3::start().await;
    s3.put("delta/_delta_log/00000000000000000000.json", "{}");
    s3.put("delta/part-0.parquet", numbers(0, 10));
    s3.put("ice/metadata/v1.metadata.json", "{}");
    s3.put("ice/data/a.parquet", numbers(0, 10));
    let (mut context, _cache) = s3.source();
    let source = crate::support::open(&context).await;
    let found = tables(source.as_ref()).await;
    assert_eq!(found.len(), 2);
    for (table, kind) in [("delta", "Delta"), ("ice", "Iceberg")] {
        assert!(named(&found, table).comment.as_ref().unwrap().contains(kind));
        let error = source.open_table("files", table, None).await.unwrap_err();
        assert!(error.to_string().contains("cannot be read by this build"), "{error}");
    }
    // Nor where the log came later.
    let plain = numbers(0, 10);
    s3.put("late/a.parquet", plain);
    let known = tables(source.as_ref()).await;
    s3.put("late/_delta_log/00000000000000000000.json", "{}");
    let error = source.open_table("files", "late", Some(named(&known, "late"))).await.unwrap_err();
    assert!(error.to_string().contains("Delta"), "{error}");
    // Nor from inside.
    for inside in ["delta/year=2026", "ice/data"] {
        s3.put(&format!("{inside}/b.parquet"), numbers(0, 10));
        context.config.metadata.insert("prefix".into(), json!(inside));
        let error = crate::support::open(&context).await.discover(None).await.unwrap_err();
        assert!(error.to_string().contains("cannot be read by this build"), "{error}");
    }
}

#[tokio::test]
async fn failures_are_told_without_the_stores_words() {
    let s3 = S3::start().await;
    s3.put("t/a.parquet", numbers(0, 1_000));
    let (context, _cache) = s3.source();

    let mut stranger = context.clone();
    stranger.credentials.username = Some("stranger".into());
    let (code, message) = complaint(&stranger).await;
    assert_eq!(code, "CONNECTION_ERROR");
    assert!(message.contains("credentials") && !message.contains("secret of the store"), "{message}");

    let mut elsewhere = context.clone();
    elsewhere.config.metadata.insert("bucket".into(), json!("another-lake"));
    assert_eq!(complaint(&elsewhere).await.0, "NOT_FOUND");

    let mut nobody = context.clone();
    nobody.config.port = Some(1);
    let (code, message) = complaint(&nobody).await;
    assert_eq!((code, message.contains("cannot be reached")), ("CONNECTION_ERROR", true), "{message}");

    let mut guarded = context.clone();
    guarded.guard = crate::support::outbound(false);
    let (code, message) = complaint(&guarded).await;
    assert_eq!((code, message.contains("not allowed")), ("CONNECTION_ERROR", true), "{message}");
    assert!(s3.asked().is_empty(), "nothing was read by the others");

    // A file that is replaced between the listing and the reading is not mixed with the new one.
    let source = crate::support::open(&context).await;
    let table = source.open_table("files", "t", None).await.unwrap();
    let ctx = session_of("t", table);
    let plan = ctx.sql("SELECT sum(id) FROM t").await.unwrap().create_physical_plan().await.unwrap();
    s3.put("t/a.parquet", numbers(5, 900));
    let error = datafusion::physical_plan::collect(plan, ctx.task_ctx()).await.unwrap_err();
    let told = rivergen_connectors::ConnectorError::within(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(told.to_string().contains("replaced while it was read"), "{told}");
}

#[tokio::test]
async fn the_store_shows_the_table_and_nothing_else() {
    let s3 = S3::start().await;
    s3.put("t/a.parquet", numbers(0, 10));
    s3.put("secret/a.parquet", numbers(0, 10));
    let (mut context, _cache) = s3.source();
    let source = crate::support::open(&context).await;
    let known = tables(source.as_ref()).await;
    let ctx = session_of("t", source.open_table("files", "t", None).await.unwrap());
    assert_eq!(rows(&ctx.sql("SELECT count(*) FROM t").await.unwrap().collect().await.unwrap(), true), [["10"]]);
    // A source that was narrowed does not open what it had found outside.
    context.config.metadata.insert("prefix".into(), json!("t"));
    let narrowed = crate::support::open(&context).await;
    let error = narrowed.open_table("files", "secret", Some(named(&known, "secret"))).await.unwrap_err();
    assert_eq!(error.code().as_str(), "NOT_FOUND");
    context.config.metadata.insert("table".into(), json!("Numbers"));
    assert_eq!(query(crate::support::open(&context).await.as_ref(), "SELECT count(*) FROM numbers").await, [["10"]]);
}

#[test]
fn every_kind_says_what_it_needs() {
    use rivergen_connectors::{Credentials, DataSourceType, SourceConfig};
    for kind in [DataSourceType::S3, DataSourceType::Minio, DataSourceType::Gcs, DataSourceType::AzureBlob] {
        let registry = Registry::new();
        let connector = registry.connector(kind).unwrap();
        let wrong = connector.validate(&SourceConfig::new(kind), &Credentials::default());
        assert!(wrong.len() >= 2, "{kind}: {wrong:?}");
        let form = connector.form();
        for field in kind.required().all {
            let place = match field.split_once('.') {
                Some((object, name)) => &form["properties"][object]["properties"][name],
                None => &form["properties"][*field],
            };
            assert!(place.is_object(), "{kind} has no {field} in its form");
        }
        let secret = &form["properties"]["credentials"]["properties"];
        let secret = secret.get("password").unwrap_or(&secret["oauth_token"]);
        assert_eq!(secret["writeOnly"], true);
    }
}

/// The same questions to each server: a partitioned folder, a packed text, a name with odd characters.
async fn ask(context: &SourceContext) {
    let source = crate::support::open(context).await;
    source.probe().await.unwrap();
    let found = tables(source.as_ref()).await;
    let names: Vec<_> = found.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["cities", "sales"]);
    let sql = "SELECT region, count(*), max(id) FROM sales WHERE year = 2026 GROUP BY region ORDER BY region";
    assert_eq!(query(source.as_ref(), sql).await, [["EU & more", "10", "19"], ["US", "10", "29"]]);
    assert_eq!(query(source.as_ref(), "SELECT count(*) FROM sales WHERE id >= 5").await, [["25"]]);
    let sql = "SELECT c.city FROM cities c JOIN sales s ON c.id = s.id WHERE s.year = 2025";
    assert_eq!(query(source.as_ref(), sql).await, [["Bonn"]]);

    let mut missing = context.clone();
    missing.config.metadata.insert("bucket".into(), json!("not-there"));
    missing.config.metadata.insert("container".into(), json!("not-there"));
    assert_eq!(complaint(&missing).await.0, "NOT_FOUND");
}

fn lake() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("sales/year=2025/region=EU/part-0.parquet", numbers(0, 10)),
        ("sales/year=2026/region=EU & more/part 0 (ü).parquet", numbers(10, 20)),
        ("sales/year=2026/region=US/part+0.parquet", numbers(20, 30)),
        ("cities/all.csv.gz", gzipped("id,city\n1,Bonn\n")),
    ]
}

#[tokio::test]
async fn s3_is_read_in_both_styles() {
    use rivergen_connectors::{Credentials, DataSourceType, SourceConfig};
    let Some(server) = crate::support::servers::moto().await else { return };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://127.0.0.1:{}/the-lake", server.port);
    assert!(http.put(&base).send().await.unwrap().status().is_success());
    for (key, content) in lake() {
        let url = url::Url::parse(&format!("{base}/{}", key.replace('+', "%2B").replace('&', "%26"))).unwrap();
        let answer =
            http.put(url).header("content-type", "application/octet-stream").body(content).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    let credentials = Credentials {
        username: Some("AKIAIOSFODNN7EXAMPLE".into()),
        password: Some(rivergen_kernel::secret::Secret::new("secret")),
        ..Credentials::default()
    };
    // `localhost` because a bucket cannot stand before an address.
    for path_style in [true, false] {
        let mut config = SourceConfig::new(DataSourceType::S3);
        let endpoint = format!("http://localhost:{}", server.port);
        for (name, value) in
            [("bucket", json!("the-lake")), ("region", json!("us-east-1")), ("endpoint", json!(endpoint))]
        {
            config.metadata.insert(name.into(), value);
        }
        config.metadata.insert("path_style".into(), json!(path_style));
        let (context, _cache) = crate::support::source("moto", config, credentials.clone());
        if !path_style && tokio::net::lookup_host(("the-lake.localhost", server.port)).await.is_err() {
            println!("SKIPPED: this machine does not resolve names below localhost");
            continue;
        }
        ask(&context).await;
    }
}

#[tokio::test]
async fn azure_is_read_with_a_key() {
    use crate::support::servers::{AZURE_ACCOUNT, AZURE_KEY, azure_put, azurite};
    use rivergen_connectors::{Credentials, DataSourceType, SourceConfig};
    let Some(server) = azurite().await else { return };
    azure_put(server.port, "the-lake", None).await;
    for (key, content) in lake() {
        let key: String = url::Url::parse(&format!("http://x/{}", key.replace('+', "%2B").replace('&', "%26")))
            .unwrap()
            .path()
            .into();
        azure_put(server.port, &format!("the-lake{key}"), Some(&content)).await;
    }
    let mut config = SourceConfig::new(DataSourceType::AzureBlob);
    config.metadata.insert("container".into(), json!("the-lake"));
    config.metadata.insert("endpoint".into(), json!(format!("http://127.0.0.1:{}/{AZURE_ACCOUNT}", server.port)));
    let key = |key: &str| Credentials {
        username: Some(AZURE_ACCOUNT.into()),
        password: Some(rivergen_kernel::secret::Secret::new(key)),
        ..Credentials::default()
    };
    let (mut context, _cache) = crate::support::source("azurite", config, key(AZURE_KEY));
    ask(&context).await;
    context.credentials = key(&AZURE_KEY.replace("Eby8", "AAAA"));
    let (code, message) = complaint(&context).await;
    assert_eq!((code, message.contains("credentials")), ("CONNECTION_ERROR", true), "{message}");
    context.credentials = key("not base64!");
    assert_eq!(complaint(&context).await.0, "VALIDATION_ERROR");
}

#[tokio::test]
async fn google_is_read_with_a_token() {
    use rivergen_connectors::{Credentials, DataSourceType};
    let s3 = S3::start().await;
    for (key, content) in lake() {
        s3.put(key, content);
    }
    let (mut context, _cache) = s3.source();
    let endpoint = format!("http://127.0.0.1:{}", context.config.port.take().unwrap());
    context.config.kind = DataSourceType::Gcs;
    context.config.metadata.insert("endpoint".into(), json!(endpoint));
    let token = |token: &str| Credentials {
        oauth_token: Some(rivergen_kernel::secret::Secret::new(token)),
        ..Credentials::default()
    };
    context.credentials = token("the token");
    ask(&context).await;
    context.credentials = token("another");
    assert_eq!(complaint(&context).await.0, "CONNECTION_ERROR");
    // The key file of a service account is read; one that is none is refused without a request.
    context.credentials = token("{\"type\": \"service_account\"}");
    assert_eq!(complaint(&context).await.0, "VALIDATION_ERROR");
}
