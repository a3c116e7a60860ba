//! The connectors of files.

use std::io::Write;
use std::sync::Arc;

use crate::support::differential::{Pair, rows, session, session_of};
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::displayable;
use proptest::prelude::*;
use rivergen_connectors::{Credentials, DataSourceType, DiscoveredTable, Registry, SourceConfig, SourceContext};
use serde_json::json;

async fn context(kind: DataSourceType, content: impl Into<Vec<u8>>) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(kind);
    config.file_path = Some(format!("users/1/The Data.{kind}"));
    let (context, cache) = crate::support::source("file", config, Credentials::default());
    crate::support::put(&context, content).await;
    (context, cache)
}

async fn discovered(context: &SourceContext) -> DiscoveredTable {
    crate::support::open(context).await.discover(None).await.unwrap().remove(0).tables.remove(0)
}

fn types(table: &DiscoveredTable) -> Vec<(&str, DataType)> {
    table.columns.iter().map(|column| (column.name.as_str(), column.arrow_type.clone())).collect()
}

/// The rows of a query over the file's table.
async fn query(context: &SourceContext, sql: &str) -> Vec<Vec<String>> {
    let source = crate::support::open(context).await;
    let table = source.open_table("files", "the_data", None).await.unwrap();
    let ctx = session_of("the_data", table);
    rows(&ctx.sql(sql).await.unwrap().collect().await.unwrap(), true)
}

/// What a test of the connection says is wrong.
async fn complaint(kind: DataSourceType, content: impl Into<Vec<u8>>) -> String {
    let (context, _cache) = context(kind, content).await;
    let outcome = Registry::new().connector(kind).unwrap().test(&context).await;
    assert!(!outcome.successful, "a file of kind {kind} that is none is read");
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
    use DataSourceType::{Avro, Csv, Excel, Json, Jsonl, Parquet};
    let avro = fixture("people.null.avro");
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
        (Avro, b"not Avro", "Avro"),
        (Avro, &avro[..200], "header is damaged"),
        (Avro, &fixture("either.avro"), "field x may hold values of several types"),
        (Excel, b"a,b\n1,2\n", "not a workbook"),
        (Excel, &fixture("people.xlsx")[..3_000], "damaged"),
        (Excel, &fixture("people.xls")[..3_000], "damaged"),
        (Excel, &fixture("bomb.ods"), "too large"),
        (Excel, &fixture("far.xls"), "too large"),
        (Excel, &packed(b"<x/>"), "damaged"),
        (Excel, &packed(&vec![b'<'; 32 * 1024 * 1024]), "too large"),
    ] {
        let message = complaint(kind, content).await;
        assert!(message.contains(told), "{message:?} should tell {told:?}");
        assert!(message.contains("The Data"), "{message}");
    }
    let mut config = SourceConfig::new(Csv);
    config.file_path = Some("not/there.csv".into());
    let (missing, _cache) = crate::support::source("file", config, Credentials::default());
    let outcome = Registry::new().connector(Csv).unwrap().test(&missing).await;
    assert_eq!(outcome.error_code, Some("NOT_FOUND"));
}

/// An archive that says it is a workbook.
fn packed(content: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("xl/workbook.xml", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap().into_inner()
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

/// A file that another program wrote, see `fixtures/make.py`.
fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connectors/fixtures").join(name))
        .unwrap()
}

/// The rows of a query over the sheets of a workbook.
async fn query_sheets(context: &SourceContext, sql: &str) -> Vec<Vec<String>> {
    let source = crate::support::open(context).await;
    let ctx = session();
    for table in source.discover(None).await.unwrap().remove(0).tables {
        let provider = source.open_table("files", &table.name, None).await.unwrap();
        ctx.register_table(table.name, provider).unwrap();
    }
    rows(&ctx.sql(sql).await.unwrap().collect().await.unwrap(), true)
}

#[tokio::test]
async fn workbooks_of_all_formats_hold_the_same() {
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    for name in ["people.xlsx", "people.xls", "people.ods"] {
        let (context, _cache) = context(DataSourceType::Excel, fixture(name)).await;
        let table = discovered(&context).await;
        assert_eq!(table.name, "people_of_2024", "{name}");
        let expected = [
            ("Name", DataType::Utf8),
            ("Whole", DataType::Int64),
            ("Fraction", DataType::Float64),
            ("Day", DataType::Date32),
            ("Moment", moment.clone()),
            ("Truth", DataType::Boolean),
            ("Mixed", DataType::Utf8),
        ];
        assert_eq!(types(&table), expected, "{name}");
        let found = query_sheets(&context, "SELECT * FROM people_of_2024").await;
        let row = |name, whole, fraction, truth, mixed| {
            [name, whole, fraction, "2024-02-29", "2024-02-29T10:30:05", truth, mixed]
        };
        assert_eq!(found[0], row("Ann", "1", "1.50000000000e0", "true", "7"), "{name}");
        assert_eq!(found[1], row("Bob", "2", "NULL", "false", "seven"), "{name}");
        assert_eq!(
            found[2],
            ["Cyd", "-3", "2.00000000000e0", "NULL", "NULL", "NULL", "true"],
            "{name}: after an empty row"
        );
        assert_eq!(table.row_count, Some(found.len() as u64));
        let found = query_sheets(&context, "SELECT \"Name\" FROM people_of_2024 WHERE \"Whole\" > 1").await;
        assert_eq!(found, [["Bob"]]);
    }
}

#[tokio::test]
async fn sheets_are_tables_and_can_be_chosen() {
    let (mut context, _cache) = context(DataSourceType::Excel, fixture("people.xlsx")).await;
    let source = crate::support::open(&context).await;
    let tables = source.discover(None).await.unwrap().remove(0).tables;
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["people_of_2024", "plain", "times"], "no hidden one, no empty one");
    // An error of a formula is null, and a merged cell stands in its first row and column.
    let found = query_sheets(&context, "SELECT \"Name\", \"Whole\" FROM people_of_2024 OFFSET 3").await;
    assert_eq!(found, [["Dee", "NULL"], ["merged", "NULL"]]);
    assert_eq!(types(&tables[1]), [("column_1", DataType::Int64), ("column_2", DataType::Float64)]);
    assert_eq!(query_sheets(&context, "SELECT at, took FROM times").await, [["10:30:00", "30:00:00"]]);
    assert!(source.open_table("files", "hidden", None).await.is_err());

    context.config.metadata.insert("sheet".into(), json!("hidden"));
    context.config.metadata.insert("table".into(), json!("Answers"));
    assert_eq!(query_sheets(&context, "SELECT secret FROM answers").await, [["42"]]);
    context.config.metadata.insert("sheet".into(), json!("Plain"));
    context.config.metadata.insert("has_header".into(), json!(true));
    assert_eq!(query_sheets(&context, "SELECT \"1\", \"10.25\" FROM answers").await, [["2", "2.05000000000e1"]]);
    context.config.metadata.insert("sheet".into(), json!("Nowhere"));
    let outcome = Registry::new().connector(DataSourceType::Excel).unwrap().test(&context).await;
    let message = outcome.error_message.unwrap();
    assert!(message.contains("no sheet Nowhere; it has People of 2024, Plain"), "{message}");
}

#[tokio::test]
async fn avro_is_read_with_every_codec() {
    for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"] {
        let (context, _cache) = context(DataSourceType::Avro, fixture(&format!("people.{codec}.avro"))).await;
        let table = discovered(&context).await;
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "name", "born", "seen", "worth", "tags", "kind", "home"]);
        assert_eq!(table.columns[2].arrow_type, DataType::Date32);
        assert_eq!(table.columns[4].arrow_type, DataType::Decimal128(10, 2));
        assert!(!table.columns[0].nullable && table.columns[1].nullable);
        let sql = "SELECT id, name, born, worth, tags[2], kind, home['city'], home['zip'] FROM the_data WHERE id < 3";
        let found = query(&context, sql).await;
        assert_eq!(found[0], ["1", "person 1", "2024-02-29", "12.50", "y", "B", "Bonn", "1"], "{codec}");
        assert_eq!(found[1][..2], ["2", "NULL"], "{codec}");
        assert_eq!(query(&context, "SELECT count(*) FROM the_data").await, [["4"]]);
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
    let source = crate::support::open(&context).await;
    let provider = source.open_table("files", "the_data", None).await.unwrap();
    let ctx = session_of("t", provider.clone());
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
    let source = crate::support::open(&context).await;
    let (url, store) = source.object_stores().remove(0);
    assert!(url.host_str().unwrap().len() >= 32);
    let other = object_store::path::Path::from("users/1/The Data.csv");
    assert!(object_store::ObjectStoreExt::get(store.as_ref(), &other).await.is_err(), "not by its name in storage");
    assert!(source.is_current().await);
    crate::support::put(&context, "a\n1\n2\n").await;
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
