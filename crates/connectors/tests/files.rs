//! The connectors of files.

mod support;

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::displayable;
use proptest::prelude::*;
use rivergen_connectors::{Credentials, DataSourceType, DiscoveredTable, Registry, SourceConfig, SourceContext};
use serde_json::json;
use support::differential::{Pair, rows, session};

async fn context(kind: DataSourceType, content: impl Into<Vec<u8>>) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(kind);
    config.file_path = Some(format!("users/1/The Data.{kind}"));
    let (context, cache) = support::source("file", config, Credentials::default());
    support::put(&context, content).await;
    (context, cache)
}

async fn discovered(context: &SourceContext) -> DiscoveredTable {
    support::open(context).await.discover(None).await.unwrap().remove(0).tables.remove(0)
}

fn types(table: &DiscoveredTable) -> Vec<(&str, DataType)> {
    table.columns.iter().map(|column| (column.name.as_str(), column.arrow_type.clone())).collect()
}

/// The rows of a query over the file's table.
async fn query(context: &SourceContext, sql: &str) -> Vec<Vec<String>> {
    let source = support::open(context).await;
    let table = source.open_table("files", "the_data", None).await.unwrap();
    let ctx = session();
    ctx.register_table("the_data", table).unwrap();
    rows(&ctx.sql(sql).await.unwrap().collect().await.unwrap(), true)
}

/// What a test of the connection says is wrong.
async fn complaint(kind: DataSourceType, content: impl Into<Vec<u8>>) -> String {
    let (context, _cache) = context(kind, content).await;
    let outcome = Registry::new().connector(kind).unwrap().test(&context).await;
    assert!(!outcome.successful);
    assert_eq!(outcome.error_code, Some("UNREADABLE_FILE"));
    outcome.error_message.unwrap()
}

#[tokio::test]
async fn csv_with_everything_odd_is_read() {
    let content = "\u{feff}id;Name;price;since;ok;at;zip\r\n\
        1;\"semi; and\nnew line\";1,5;2024-02-29;true;2024-01-01T10:00:00;01234\r\n\
        2;\"say \"\"hi\"\"\";;;FALSE;;99999\r\n";
    let (context, _cache) = context(DataSourceType::Csv, content).await;
    let table = discovered(&context).await;
    assert_eq!((table.name.as_str(), table.row_count), ("the_data", Some(2)));
    let expected = [
        ("id", DataType::Int64),
        ("Name", DataType::Utf8),
        ("price", DataType::Utf8),
        ("since", DataType::Date32),
        ("ok", DataType::Boolean),
        ("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("zip", DataType::Utf8),
    ];
    assert_eq!(types(&table), expected);
    let found = query(&context, "SELECT * FROM the_data WHERE id > 0 ORDER BY id").await;
    assert_eq!(found[0], ["1", "semi; and\nnew line", "1,5", "2024-02-29", "true", "2024-01-01T10:00:00", "01234"]);
    assert_eq!(found[1], ["2", "say \"hi\"", "NULL", "NULL", "false", "NULL", "99999"]);
}

#[tokio::test]
async fn headers_are_found_or_told() {
    let (mut context, _cache) = context(DataSourceType::Csv, "1,Anna\n2,Bob\n").await;
    let table = discovered(&context).await;
    assert_eq!(types(&table), [("column_1", DataType::Int64), ("column_2", DataType::Utf8)]);
    assert_eq!(table.row_count, Some(2));
    context.config.metadata.insert("has_header".into(), json!(true));
    let table = discovered(&context).await;
    assert_eq!(types(&table), [("1", DataType::Int64), ("Anna", DataType::Utf8)]);
    assert_eq!(query(&context, "SELECT * FROM the_data").await, [["2", "Bob"]]);
    context.config.metadata.insert("delimiter".into(), json!("|"));
    assert_eq!(discovered(&context).await.columns.len(), 1);

    let (tsv, _cache) = self::context(DataSourceType::Tsv, "a\tb\n1,5\t2\n").await;
    assert_eq!(types(&discovered(&tsv).await), [("a", DataType::Utf8), ("b", DataType::Int64)]);
}

#[tokio::test]
async fn types_hold_for_lines_far_down() {
    let mut content = String::from("n,s\n");
    (0..20_000).for_each(|n| content.push_str(&format!("{n},x\n")));
    content.push_str("n/a,x\n");
    let (context, _cache) = context(DataSourceType::Csv, content).await;
    assert_eq!(discovered(&context).await.row_count, Some(20_001));
    assert_eq!(query(&context, "SELECT count(*), count(n) FROM the_data WHERE s = 'x'").await, [["20001", "20001"]]);
    assert_eq!(query(&context, "SELECT s FROM the_data WHERE n = 'n/a'").await, [["x"]]);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_line() {
    use DataSourceType::{Csv, Json, Jsonl, Parquet};
    for (kind, content, told) in [
        (Csv, &b"a,b\n1,2\n3\n"[..], "line 3 has 1 fields, expected 2"),
        (Csv, b"a,b\n1,2\n\"x\ny\",2\n3,4,5\n", "line 5 has 3 fields, expected 2"),
        (Csv, b"", "empty"),
        (Csv, b"a,b\n1,\xff\xfe\n", "UTF-8"),
        (Jsonl, b"{\"a\": 1}\n{\"a\": \n", "line 2"),
        (Jsonl, b"{\"a\": 1}\n[1]\n", "line 2: it holds something other than objects"),
        (Jsonl, b"[{\"a\": 1}]", "kind json"),
        (Jsonl, b"{\"a\": 1}\n{\"a\": \"x\"}\n", "line 2: field a holds numbers and texts"),
        (Json, b"[{\"a\": 1},\n{\"a\": 2}", "not valid JSON"),
        (Json, b"[]", "no objects"),
        (Json, b"  \n ", "no objects"),
        (Parquet, b"PAR1 but not really PAR1", "Parquet"),
        (Parquet, b"x", "Parquet"),
    ] {
        let message = complaint(kind, content).await;
        assert!(message.contains(told), "{message:?} should tell {told:?}");
        assert!(message.contains("The Data"), "{message}");
    }
    let mut config = SourceConfig::new(Csv);
    config.file_path = Some("not/there.csv".into());
    let (missing, _cache) = support::source("file", config, Credentials::default());
    let outcome = Registry::new().connector(Csv).unwrap().test(&missing).await;
    assert_eq!(outcome.error_code, Some("NOT_FOUND"));
}

#[tokio::test]
async fn json_is_read_in_both_forms() {
    let lines =
        "{\"id\": 1, \"tags\": [\"a\"], \"in\": {\"x\": 1.5}, \"n\": 1}\n\n{\"id\": 2, \"n\": 2.5, \"late\": true}\n";
    let array =
        "\n [{\"id\": 1, \"tags\": [\"a\"], \"in\": {\"x\": 1.5}, \"n\": 1}, {\"id\": 2, \"n\": 2.5, \"late\": true}]";
    for (kind, content) in
        [(DataSourceType::Jsonl, lines), (DataSourceType::Json, lines), (DataSourceType::Json, array)]
    {
        let (context, _cache) = context(kind, content).await;
        let table = discovered(&context).await;
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert_eq!(table.row_count, Some(2));
        let found = query(&context, "SELECT id, n, late, \"in\"['x'] FROM the_data ORDER BY id").await;
        assert_eq!(found[0], ["1", "1.00000000000e0", "NULL", "1.50000000000e0"]);
        assert_eq!(found[1], ["2", "2.50000000000e0", "true", "NULL"]);
    }
}

fn parquet(rows: usize) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("region", DataType::Utf8, true),
    ]));
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1_000)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties)).unwrap();
    let ids = Int64Array::from_iter_values(0..rows as i64);
    let regions = StringArray::from_iter((0..rows).map(|n| (n % 7 > 0).then(|| ["EU", "US", "APAC"][n % 3])));
    writer.write(&RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(regions)]).unwrap()).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test]
async fn parquet_is_pruned_and_counted() {
    let (context, _cache) = context(DataSourceType::Parquet, parquet(10_000)).await;
    let table = discovered(&context).await;
    assert_eq!(table.row_count, Some(10_000));
    assert!(!table.columns[0].nullable && table.columns[1].nullable);
    let source = support::open(&context).await;
    let provider = source.open_table("files", "the_data", None).await.unwrap();
    let ctx = session();
    ctx.register_table("t", provider.clone()).unwrap();
    let plan = ctx.sql("SELECT region FROM t WHERE id >= 9500").await.unwrap().create_physical_plan().await.unwrap();
    let found = datafusion::physical_plan::collect(plan.clone(), ctx.task_ctx()).await.unwrap();
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 500);
    let mut scan = plan;
    while let Some(child) = scan.children().first().map(|child| Arc::clone(child)) {
        scan = child;
    }
    let shown = displayable(scan.as_ref()).set_show_schema(false).indent(true).to_string();
    assert!(shown.contains("predicate=id@0 >= 9500"), "{shown}");
    let metrics = scan.metrics().unwrap().to_string();
    assert!(metrics.contains("row_groups_pruned_statistics"), "{metrics}");

    let pair = Pair::of(vec![("t", provider)]).await;
    for sql in [
        "SELECT * FROM t WHERE region = 'EU' AND id < 100",
        "SELECT region, count(*), sum(id) FROM t GROUP BY region",
        "SELECT count(*) FROM t WHERE region IS NULL",
        "SELECT a.id FROM t a JOIN t b ON a.id = b.id WHERE b.region LIKE 'A%' AND a.id < 50",
        "SELECT id FROM t WHERE region <> 'EU' ORDER BY id DESC LIMIT 3",
    ] {
        pair.check(sql).await;
    }
}

#[tokio::test]
async fn the_store_is_one_file_under_an_unguessable_name() {
    let (context, _cache) = context(DataSourceType::Csv, "a\n1\n").await;
    let source = support::open(&context).await;
    let (url, store) = source.object_stores().remove(0);
    assert!(url.host_str().unwrap().len() >= 32);
    let other = object_store::path::Path::from("users/1/The Data.csv");
    assert!(object_store::ObjectStoreExt::get(store.as_ref(), &other).await.is_err(), "not by its name in storage");
    assert!(source.is_current().await);
    support::put(&context, "a\n1\n2\n").await;
    assert!(!source.is_current().await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What was found out of a file holds for the scan of it: no content makes a scan fail that a test let pass.
    #[test]
    fn a_csv_that_passes_its_test_can_be_scanned(
        lines in prop::collection::vec(prop::collection::vec(cell(), 3), 1..20),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter as u8).from_writer(Vec::new());
        lines.iter().for_each(|line| writer.write_record(line).unwrap());
        let content = writer.into_inner().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (mut context, _cache) = context(DataSourceType::Csv, content).await;
            context.config.metadata.insert("delimiter".into(), json!(delimiter.to_string()));
            let table = discovered(&context).await;
            let found = query(&context, "SELECT * FROM the_data").await;
            assert_eq!(Some(found.len() as u64), table.row_count);
        });
    }
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "[-+]?[0-9]{0,3}[.eE]?[-+]?[0-9]{0,3}",
        "(true|FALSE|null|NaN|inf)",
        "[12][0-9]{3}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?Z?)?",
        "[a-z,;|\" \n\u{e4}]{0,6}",
    ]
}
