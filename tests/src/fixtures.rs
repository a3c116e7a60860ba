//! Small files with known content. Twelve orders of six customers for three products, in three regions.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray},
        datatypes::DataType,
    },
    parquet::arrow::ArrowWriter,
};

/// The regions, in turn: order 1 and customer 1 are of the EU.
pub const REGIONS: [&str; 3] = ["EU", "US", "APAC"];

/// Orders `1..=12`: `customer_id`, `sku`, `region`, `amount` (10 × id), `parts` (0 in APAC, else 2), `ordered_on`.
pub fn orders_parquet() -> Vec<u8> {
    let ids: Vec<i64> = (1..=12).collect();
    let of =
        |f: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| f(*id)))) };
    let region = |id: i64| REGIONS[usize::try_from(id - 1).unwrap() % 3];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", of(&|id| id)),
        ("customer_id", of(&|id| (id - 1) % 6 + 1)),
        ("sku", Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("P{}", (id - 1) % 3 + 1))))),
        ("region", Arc::new(StringArray::from_iter_values(ids.iter().map(|id| region(*id))))),
        ("amount", Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| *id as f64 * 10.0)))),
        ("parts", of(&|id| if region(id) == "APAC" { 0 } else { 2 })),
        // 2025-01-01 is day 20089 since the epoch; two orders a month.
        ("ordered_on", Arc::new(Date32Array::from_iter_values((0..12).map(|i| 20_089 + i * 15)))),
    ];
    parquet(columns)
}

/// A table of one column `n` with the numbers from 0, in row groups of the usual size.
pub fn numbers_parquet(count: i64) -> Vec<u8> {
    parquet(vec![("n", Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef)])
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    assert!(columns.iter().all(|(_, column)| column.data_type() != &DataType::Null));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A SQLite database that these statements make.
pub fn sqlite(statements: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch(statements).unwrap();
    database.close().unwrap();
    std::fs::read(path).unwrap()
}

/// Customers `1..=6`: `name`, `email`, `card_number`, `salary` (1000 × id + 51 000), `region`.
pub fn customers_sqlite() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("customers.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, \
             card_number TEXT NOT NULL, salary INTEGER NOT NULL, region TEXT NOT NULL)",
        )
        .unwrap();
    for (index, name) in ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn"].iter().enumerate() {
        let id = i64::try_from(index).unwrap() + 1;
        let email = format!("{}@customers.example", name.to_lowercase());
        let card = format!("400000000000{:04}", id * 1111);
        let row = (id, name, email, card, 51_000 + id * 1000, REGIONS[index % 3]);
        database.execute("INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
    }
    database.close().unwrap();
    std::fs::read(path).unwrap()
}

/// Products `P1` to `P3`.
pub fn products_csv() -> Vec<u8> {
    b"sku,product,price\nP1,Lamp,19.5\nP2,Chair,75\nP3,Desk,240\n".to_vec()
}
