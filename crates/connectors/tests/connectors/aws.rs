//! DynamoDB and Kinesis, against `moto_server` (PyPI `moto[server]`).

use crate::support::documents::{check, columns, discover, failure, query, table};
use crate::support::servers::{self, Program};
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

struct Moto {
    program: Program,
}

impl Moto {
    async fn start() -> Option<Self> {
        servers::moto().await.map(|program| Self { program })
    }

    /// A call that changes something; moto asks who, but does not check the signature.
    async fn call(&self, target: &str, input: Value) -> Value {
        let service = if target.starts_with("Dynamo") { "dynamodb" } else { "kinesis" };
        let scope = format!("Credential=test/20240101/eu-west-1/{service}/aws4_request");
        let answer = reqwest::Client::new()
            .post(format!("http://127.0.0.1:{}/", self.program.port))
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
            .body(input.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{target}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn source(&self, kind: DataSourceType, metadata: Value) -> (SourceContext, tempfile::TempDir) {
        let mut config = SourceConfig::new(kind);
        config.metadata = metadata.as_object().unwrap().clone();
        config.metadata.insert("region".into(), json!("eu-west-1"));
        config.metadata.insert("endpoint".into(), json!(format!("http://127.0.0.1:{}", self.program.port)));
        let credentials = Credentials {
            username: Some("AKIATEST".into()),
            password: Some(Secret::new("s3cr3t")),
            ..Credentials::default()
        };
        crate::support::source("aws", config, credentials)
    }
}

async fn orders(moto: &Moto) {
    let table = json!({
        "TableName": "orders", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "customer", "AttributeType": "S"}, {"AttributeName": "number", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}]
    });
    moto.call("DynamoDB_20120810.CreateTable", table).await;
    for n in 0..60 {
        let mut item = json!({
            "customer": {"S": format!("c{}", n % 4)}, "number": {"N": n.to_string()}, "total": {"N": format!("{}.{:02}", n, n % 100)},
            "paid": {"BOOL": n % 2 == 0}, "name": {"S": (["Anna", "anna", "Jürgen", "Bob"][n % 4])},
            "lines": {"L": [{"M": {"sku": {"S": "a"}, "n": {"N": "2"}}}]}, "tags": {"SS": ["x", "y"]}
        });
        match n % 3 {
            0 => {}
            1 => item["note"] = json!({"NULL": true}),
            _ => item["note"] = json!({"S": format!("note {n}")}),
        }
        moto.call("DynamoDB_20120810.PutItem", json!({"TableName": "orders", "Item": item})).await;
    }
}

#[tokio::test]
async fn items_are_rows_and_filters_mean_the_same() {
    let Some(moto) = Moto::start().await else { return };
    orders(&moto).await;
    let (context, _cache) = moto.source(DataSourceType::Dynamodb, json!({}));
    assert!(Registry::new().connector(DataSourceType::Dynamodb).unwrap().test(&context).await.successful);
    let source = crate::support::open(&context).await;
    assert!(!format!("{source:?}").contains("s3cr3t"));
    assert_eq!(discover(&source, "tables").await[0].row_count, Some(60));
    let orders = table(&source, "tables", "orders").await;
    let types = columns(&orders);
    assert_eq!(types[..2], ["customer Utf8", "number Int64"]);
    for expected in ["total Decimal128(38, 10)", "paid Boolean", "note Utf8", "tags List(Utf8)"] {
        assert!(types.contains(&expected.to_owned()), "{types:?}");
    }
    let found = query(&orders, "SELECT total, lines[1]['n'], note FROM t WHERE number = 11").await;
    assert_eq!(found, [["11.1100000000", "2", "note 11"]]);
    check(
        orders.clone(),
        &[
            "SELECT number FROM t WHERE customer = 'c1'",
            "SELECT number FROM t WHERE customer = 'c1' AND number > 20 AND paid",
            "SELECT number, note FROM t WHERE customer = 'c1' AND total > 20",
            "SELECT number FROM t WHERE number BETWEEN 10 AND 20",
            "SELECT number FROM t WHERE total >= CAST('30.30' AS DECIMAL(38, 10))",
            "SELECT number FROM t WHERE total = CAST('11.11' AS DECIMAL(38, 10)) OR name = 'Bob'",
            "SELECT number FROM t WHERE name > 'Bz'",
            "SELECT number FROM t WHERE name <> 'Anna'",
            "SELECT number FROM t WHERE name IN ('Anna', 'Jürgen')",
            "SELECT number FROM t WHERE note IS NULL",
            "SELECT number FROM t WHERE note IS NOT NULL AND NOT paid",
            "SELECT number FROM t WHERE note LIKE 'note 1%'",
            "SELECT count(*) FROM t WHERE customer = 'c2'",
            "SELECT count(*) FROM t WHERE customer = 'nobody'",
            "SELECT number FROM t WHERE name = 'Bob' AND customer LIKE 'c%' ORDER BY number LIMIT 3",
        ],
        &[
            "SELECT count(*), sum(total) FROM t",
            "SELECT number FROM t WHERE name = ''",
            "SELECT number FROM t WHERE upper(name) = 'ANNA'",
        ],
    )
    .await;
    assert_eq!(query(&orders, "SELECT number FROM t LIMIT 5").await.len(), 5);
    let odd = json!({"customer": {"S": "c9"}, "number": {"N": "1"}, "paid": {"S": "yes"}});
    moto.call("DynamoDB_20120810.PutItem", json!({"TableName": "orders", "Item": odd})).await;
    assert!(failure(&orders, "SELECT paid FROM t").await.contains("column paid"));
    assert!(source.open_table("tables", "gone", None).await.is_err());
}

#[tokio::test]
async fn a_window_of_a_stream_is_a_table() {
    let Some(moto) = Moto::start().await else { return };
    moto.call("Kinesis_20131202.CreateStream", json!({"StreamName": "clicks", "ShardCount": 2})).await;
    let put = async |n: usize, text: String| {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        let record = json!({"StreamName": "clicks", "PartitionKey": format!("p{n}"), "Data": data});
        moto.call("Kinesis_20131202.PutRecord", record).await;
    };
    for n in 0..30 {
        put(n, json!({"n": n, "page": format!("/{n}"), "user": {"id": n}}).to_string()).await;
    }
    let (context, _cache) = moto.source(DataSourceType::Kinesis, json!({"stream": "clicks", "window_minutes": 60}));
    assert!(Registry::new().connector(DataSourceType::Kinesis).unwrap().test(&context).await.successful);
    let source = crate::support::open(&context).await;
    let clicks = table(&source, "streams", "clicks").await;
    let types = columns(&clicks);
    assert_eq!(
        types[..4],
        ["_shard Utf8", "_sequence Utf8", "_partition_key Utf8", "_arrived_at Timestamp(µs, \"UTC\")"]
    );
    assert_eq!(types[4..6], ["n Int64", "page Utf8"]);
    let found =
        query(&clicks, "SELECT count(*), sum(n), count(DISTINCT _shard || _sequence), sum(\"user\"['id']) FROM t")
            .await;
    assert_eq!(found, [["30", "435", "30", "435"]]);
    put(30, "not an object".into()).await;
    assert!(failure(&clicks, "SELECT n FROM t").await.contains("column _value"));
    let (context, _cache) = moto.source(DataSourceType::Kinesis, json!({"stream": "clicks", "window_messages": 3}));
    let source = crate::support::open(&context).await;
    let last = table(&source, "streams", "clicks").await;
    assert!(columns(&last).contains(&"_value Utf8".to_owned()) || columns(&last).contains(&"n Int64".to_owned()));
    let (context, _cache) = moto.source(DataSourceType::Kinesis, json!({"stream": "gone"}));
    let error = crate::support::open(&context).await.probe().await.unwrap_err();
    assert_eq!(error.code().as_str(), "NOT_FOUND");
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    for (kind, name, value, field) in [
        (DataSourceType::Dynamodb, "region", json!("eu west"), "metadata.region"),
        (DataSourceType::Dynamodb, "region", json!("evil.example.com/"), "metadata.region"),
        (DataSourceType::Dynamodb, "endpoint", json!("http://u:p@h/"), "metadata.endpoint"),
        (DataSourceType::Kinesis, "window_minutes", json!(0), "metadata.window_minutes"),
        (DataSourceType::Kinesis, "window_messages", json!("all"), "metadata.window_messages"),
    ] {
        let mut config = SourceConfig::new(kind);
        config.metadata = json!({"region": "eu-west-1", "stream": "s"}).as_object().unwrap().clone();
        config.metadata.insert(name.into(), value);
        let credentials =
            Credentials { username: Some("a".into()), password: Some(Secret::new("b")), ..Credentials::default() };
        let wrong = registry.connector(kind).unwrap().validate(&config, &credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field]);
    }
}
