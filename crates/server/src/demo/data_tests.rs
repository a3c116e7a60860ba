use std::collections::BTreeMap;

use datafusion::{
    arrow::{array::AsArray, datatypes::*},
    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    prelude::SessionContext,
};

use super::*;

/// A customer as SQLite gives it back.
type Row = (i64, String, String, String, f64, String, String, String);

fn file(rows: usize) -> Bytes {
    let pieces: Vec<Bytes> = orders_parquet(rows).unwrap().collect::<Result<_, _>>().unwrap();
    pieces.concat().into()
}

#[test]
fn everything_is_the_same_each_time() {
    assert_eq!(file(2_000), file(2_000));
    assert_eq!(customers(), customers());
    assert_eq!(products_csv(), products_csv());
    // Pinned, so that another version of the generator is noticed.
    let first = &customers()[0];
    assert_eq!((first.name.as_str(), first.region, first.salary), ("Priya Weber", "APAC", 57_500.0));
}

#[test]
fn orders_are_sorted_and_fit_customers_and_products() {
    let rows = ROW_GROUP + 1_000;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file(rows)).unwrap();
    assert_eq!(builder.metadata().num_row_groups(), 2);
    assert_eq!(builder.schema().fields(), orders_schema().fields());
    let group = builder.metadata().row_group(0);
    assert!(group.columns().iter().all(|column| column.statistics().is_some()));
    assert!(group.sorting_columns().is_some());

    let (customers, products) = (customers(), products());
    let (mut next_id, mut last_time, mut shipped) = (1, FIRST_MICROS, 0);
    for batch in builder.build().unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let buyers = batch.column(1).as_primitive::<Int64Type>();
        let things = batch.column(2).as_primitive::<Int64Type>();
        let (regions, states) = (batch.column(3).as_string::<i32>(), batch.column(4).as_string::<i32>());
        let quantities = batch.column(5).as_primitive::<Int32Type>();
        let amounts = batch.column(6).as_primitive::<Decimal128Type>();
        let times = batch.column(7).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            assert_eq!(ids.value(row), next_id);
            next_id += 1;
            assert!((last_time..END_MICROS).contains(&times.value(row)));
            last_time = times.value(row);
            assert_eq!(regions.value(row), customers[buyers.value(row) as usize - 1].region);
            let full =
                i128::from(products[things.value(row) as usize - 1].price_cents * i64::from(quantities.value(row)));
            assert!((full * 9 / 10..=full).contains(&amounts.value(row)), "row {row}");
            shipped += usize::from(states.value(row) == "shipped");
        }
    }
    assert_eq!(next_id, rows as i64 + 1);
    assert!((65..75).contains(&(shipped * 100 / rows)));
}

#[tokio::test]
async fn the_engine_reads_and_sums_the_orders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.parquet");
    std::fs::write(&path, file(5_000)).unwrap();
    let engine = SessionContext::new();
    engine.register_parquet("orders", path.to_str().unwrap(), Default::default()).await.unwrap();
    let sql = "SELECT region, sum(amount) AS total, avg(amount) FROM orders \
               WHERE amount > 100 AND ordered_at >= '2026-01-01' GROUP BY region ORDER BY total DESC";
    let batches = engine.sql(sql).await.unwrap().collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    assert!(batches[0].column(1).as_primitive::<Decimal128Type>().value(0) > 0);
}

#[test]
fn no_orders_are_a_file_too() {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file(0)).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[tokio::test]
async fn customers_are_a_database_that_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("customers.sqlite");
    for _ in 0..2 {
        customers_sqlite(&path).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let options = SqliteConnectOptions::new().filename(&path).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM customers ORDER BY id").fetch_all(&mut connection).await.unwrap();
    let expected: Vec<_> = customers()
        .into_iter()
        .map(|c| {
            let day = c.signed_up_on.to_string();
            (c.id, c.name, c.email, c.card_number, c.salary, c.region.to_owned(), c.city.to_owned(), day)
        })
        .collect();
    assert_eq!(rows.len(), CUSTOMERS);
    assert_eq!(rows, expected);
}

#[test]
fn customers_are_plausible() {
    let customers = customers();
    let mut by_region: BTreeMap<&str, usize> = BTreeMap::new();
    for customer in &customers {
        *by_region.entry(customer.region).or_default() += 1;
        let digits: Vec<u32> = customer.card_number.chars().filter_map(|digit| digit.to_digit(10)).collect();
        assert_eq!((digits.len(), luhn_sum(&digits, false) % 10), (16, 0), "{}", customer.card_number);
        assert!((24_000.0..=150_000.0).contains(&customer.salary));
        assert!(customer.signed_up_on < first_order_day());
    }
    let mut emails: Vec<&str> = customers.iter().map(|customer| customer.email.as_str()).collect();
    emails.sort_unstable();
    emails.dedup();
    assert_eq!(emails.len(), CUSTOMERS);
    for (region, share, _) in REGIONS {
        let percent = by_region[region] * 100 / CUSTOMERS;
        assert!(percent.abs_diff(share as usize) <= 3, "{region}: {percent} percent");
    }
}

#[test]
fn the_check_digit_is_luhns() {
    let digits = |text: &str| text.chars().filter_map(|digit| digit.to_digit(10)).collect::<Vec<_>>();
    assert_eq!(luhn_sum(&digits("4242424242424242"), false) % 10, 0);
    assert_ne!(luhn_sum(&digits("4242424242424241"), false) % 10, 0);
}

#[test]
fn products_are_two_hundred_lines_of_four_values() {
    let csv = String::from_utf8(products_csv()).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("product_id,name,category,price"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), PRODUCTS);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!((row.len(), row[0].parse()), (4, Ok(index + 1)));
        assert!(row[3].parse::<f64>().unwrap() > 0.0);
    }
}
