//! The demo's data: invented orders, customers and products, the same on every machine.
//!
//! ```text
//! orders (Parquet)  ──customer_id──▶  customers (SQLite)
//!        └──────────product_id──────▶  products (CSV)
//! ```
//!
//! Everything follows from fixed seeds and a fixed last day, so that questions have known answers. The shape is that of a
//! shop: some customers order far more than others, business grows, most orders were shipped. Names are
//! put together from lists, addresses are under reserved domains, card numbers pass the Luhn check under a
//! prefix that issuers give out for tests.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate};
use datafusion::{
    arrow::{
        array::{
            ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
        error::ArrowError,
    },
    parquet::{
        arrow::ArrowWriter,
        basic::Compression,
        errors::ParquetError,
        file::{metadata::SortingColumn, properties::WriterProperties},
    },
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use sea_orm::sqlx::{self, Connection, QueryBuilder, Sqlite, SqliteConnection, sqlite::SqliteConnectOptions};

pub const CUSTOMERS: usize = 10_000;
pub const PRODUCTS: usize = 200;

/// Rows of one row group: large enough to compress well, small enough that a time range skips most of them.
const ROW_GROUP: usize = 128 * 1024;

const CUSTOMER_SEED: u64 = 1;
const PRODUCT_SEED: u64 = 2;
const ORDER_SEED: u64 = 3;

/// Three years, the last day included: 2023-11-01 to 2026-10-31.
const FIRST_MICROS: i64 = 1_698_796_800_000_000;
const END_MICROS: i64 = 1_793_491_200_000_000;

/// Why the data could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("the orders could not be put into columns: {0}")]
    Arrow(#[from] ArrowError),
    #[error("the orders could not be written as Parquet: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the customers could not be written to SQLite: {0}")]
    Sqlite(#[from] sqlx::Error),
    #[error("the file could not be written: {0}")]
    Io(#[from] std::io::Error),
}

// ---- customers ---------------------------------------------------------------------------------------

/// Region, its share of the customers in percent, and its cities.
const REGIONS: [(&str, u32, &[&str]); 4] = [
    ("EU", 40, &["Berlin", "Paris", "Madrid", "Vienna", "Warsaw", "Lisbon", "Dublin", "Milan"]),
    ("US", 30, &["New York", "Chicago", "Austin", "Seattle", "Denver", "Boston", "Atlanta", "Portland"]),
    ("APAC", 20, &["Tokyo", "Singapore", "Sydney", "Seoul", "Mumbai", "Auckland"]),
    ("LATAM", 10, &["Mexico City", "Bogota", "Lima", "Santiago", "Buenos Aires"]),
];

const FIRST_NAMES: [&str; 48] = [
    "Ada", "Alan", "Amara", "Ana", "Anders", "Aylin", "Bruno", "Carla", "Chen", "Clara", "Daniel", "Diego", "Elena",
    "Emma", "Farid", "Felix", "Fatima", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Julia", "Kai", "Karin",
    "Leo", "Lina", "Lucia", "Maja", "Marco", "Maria", "Mateo", "Mei", "Nadia", "Noah", "Nora", "Oscar", "Paula",
    "Priya", "Rafael", "Rosa", "Samuel", "Sofia", "Tomas", "Vera", "Yuki", "Zoe",
];

const LAST_NAMES: [&str; 48] = [
    "Abe",
    "Adams",
    "Alvarez",
    "Andersson",
    "Bauer",
    "Becker",
    "Bianchi",
    "Brown",
    "Castillo",
    "Chen",
    "Costa",
    "Davies",
    "Dubois",
    "Evans",
    "Fischer",
    "Fontaine",
    "Garcia",
    "Gruber",
    "Hansen",
    "Haddad",
    "Ito",
    "Jansen",
    "Johnson",
    "Kaya",
    "Keller",
    "Kim",
    "Kowalski",
    "Larsen",
    "Lopez",
    "Martin",
    "Mendes",
    "Meyer",
    "Moreau",
    "Nakamura",
    "Novak",
    "Okafor",
    "Olsen",
    "Patel",
    "Petrov",
    "Reyes",
    "Ricci",
    "Romero",
    "Santos",
    "Schmidt",
    "Silva",
    "Tanaka",
    "Weber",
    "Wilson",
];

#[derive(Debug, Clone, PartialEq)]
struct Customer {
    id: i64,
    name: String,
    email: String,
    card_number: String,
    salary: f64,
    region: &'static str,
    city: &'static str,
    signed_up_on: NaiveDate,
}

fn customers() -> Vec<Customer> {
    let mut rng = StdRng::seed_from_u64(CUSTOMER_SEED);
    (1..=CUSTOMERS as i64).map(|id| customer(id, &mut rng)).collect()
}

fn customer(id: i64, rng: &mut StdRng) -> Customer {
    let first = pick(&FIRST_NAMES, rng);
    let last = pick(&LAST_NAMES, rng);
    let (region, cities) = region(rng.random_range(0..100));
    let domain = pick(&["example.com", "example.org", "example.net"], rng);
    // The sum of three dice: most in the middle, few at the ends.
    let salary: u32 = 24_000 + (0..3).map(|_| rng.random_range(0..400)).sum::<u32>() * 100;
    Customer {
        id,
        name: format!("{first} {last}"),
        email: format!("{}.{}{id}@{domain}", first.to_lowercase(), last.to_lowercase()),
        card_number: card_number(rng),
        salary: f64::from(salary),
        region,
        city: pick(cities, rng),
        // Before the first order: the three and a half years up to it.
        signed_up_on: first_order_day() - Days::new(rng.random_range(1..1_280)),
    }
}

fn region(percent: u32) -> (&'static str, &'static [&'static str]) {
    let mut upper = 0;
    for (name, share, cities) in REGIONS {
        upper += share;
        if percent < upper {
            return (name, cities);
        }
    }
    let (name, _, cities) = REGIONS[0];
    (name, cities)
}

/// Sixteen digits of which the last is the Luhn check digit.
fn card_number(rng: &mut StdRng) -> String {
    let mut digits = vec![4, 0, 0, 0, 0, 0];
    digits.extend((0..9).map(|_| rng.random_range(0..10u32)));
    digits.push((10 - luhn_sum(&digits, true) % 10) % 10);
    digits.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect()
}

/// From the right, every second digit counts double; `double` says whether the last one does.
fn luhn_sum(digits: &[u32], double: bool) -> u32 {
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match digit * 2 {
            doubled if (place % 2 == 0) == double => doubled / 10 + doubled % 10,
            _ => *digit,
        })
        .sum()
}

fn first_order_day() -> NaiveDate {
    DateTime::from_timestamp_micros(FIRST_MICROS).unwrap_or_default().date_naive()
}

/// Writes the customers as an SQLite database file. The file appears whole or not at all.
pub async fn customers_sqlite(path: &Path) -> Result<(), DataError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    match tokio::fs::remove_file(partial).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let options = SqliteConnectOptions::new().filename(partial).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, \
         card_number TEXT NOT NULL, salary REAL NOT NULL, region TEXT NOT NULL, city TEXT NOT NULL, \
         signed_up_on DATE NOT NULL)",
    )
    .execute(&mut connection)
    .await?;
    let mut transaction = connection.begin().await?;
    for rows in customers().chunks(1_000) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO customers (id, name, email, card_number, salary, region, city, signed_up_on) ",
        );
        insert.push_values(rows, |mut row, customer| {
            row.push_bind(customer.id)
                .push_bind(&customer.name)
                .push_bind(&customer.email)
                .push_bind(&customer.card_number)
                .push_bind(customer.salary)
                .push_bind(customer.region)
                .push_bind(customer.city)
                .push_bind(customer.signed_up_on.to_string());
        });
        insert.build().execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    tokio::fs::rename(partial, path).await?;
    Ok(())
}

// ---- products ----------------------------------------------------------------------------------------

/// Category, its lowest and highest price in whole units, and its kinds of things.
const CATEGORIES: [(&str, (i64, i64), [&str; 5]); 8] = [
    ("Audio", (19, 399), ["Headphones", "Speaker", "Turntable", "Microphone", "Earbuds"]),
    ("Bikes", (349, 3_900), ["City Bike", "Road Bike", "Cargo Bike", "Mountain Bike", "Folding Bike"]),
    ("Books", (9, 59), ["Atlas", "Cookbook", "Field Guide", "Novel", "Picture Book"]),
    ("Clothing", (15, 249), ["Jacket", "Jumper", "Raincoat", "Scarf", "Shirt"]),
    ("Garden", (7, 299), ["Planter", "Rake", "Spade", "Sprinkler", "Wheelbarrow"]),
    ("Kitchen", (12, 499), ["Coffee Grinder", "Cutting Board", "Kettle", "Knife Set", "Toaster"]),
    ("Outdoor", (25, 699), ["Backpack", "Camp Stove", "Hammock", "Sleeping Bag", "Tent"]),
    ("Toys", (5, 129), ["Board Game", "Building Blocks", "Kite", "Puzzle", "Train Set"]),
];

const LINES: [&str; 5] = ["Basic", "Classic", "Compact", "Deluxe", "Pro"];

#[derive(Debug, Clone, PartialEq)]
struct Product {
    id: i64,
    name: String,
    category: &'static str,
    price_cents: i64,
}

fn products() -> Vec<Product> {
    let mut rng = StdRng::seed_from_u64(PRODUCT_SEED);
    let mut products = Vec::with_capacity(PRODUCTS);
    for (category, (lowest, highest), kinds) in CATEGORIES {
        for kind in kinds {
            for line in LINES {
                let id = products.len() as i64 + 1;
                let price_cents = rng.random_range(lowest..=highest) * 100 - pick(&[1, 5, 10], &mut rng);
                products.push(Product { id, name: format!("{kind} {line}"), category, price_cents });
            }
        }
    }
    products
}

/// The products as CSV with a header. No value has a comma or a quote.
pub fn products_csv() -> Vec<u8> {
    let mut csv = String::from("product_id,name,category,price\n");
    for Product { id, name, category, price_cents } in products() {
        csv.push_str(&format!("{id},{name},{category},{}.{:02}\n", price_cents / 100, price_cents % 100));
    }
    csv.into_bytes()
}

// ---- orders ------------------------------------------------------------------------------------------

/// Status and its share of the orders in percent.
const STATUSES: [(&str, u32); 5] = [("shipped", 70), ("paid", 14), ("pending", 7), ("cancelled", 6), ("refunded", 3)];

/// The orders as a Parquet file, one piece per row group, sorted by time. Making a piece keeps a core busy
/// for a moment: draw them on a blocking thread.
///
/// `region` is that of the customer.
pub fn orders_parquet(rows: usize) -> Result<OrdersParquet, DataError> {
    let schema = orders_schema();
    let by_time = schema.index_of("ordered_at")? as i32;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: by_time, descending: false, nulls_first: false }]))
        .build();
    let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    Ok(OrdersParquet { writer: Some(writer), orders: Orders::new(rows) })
}

/// The pieces of the file, in order.
pub struct OrdersParquet {
    /// `None` behind the last piece.
    writer: Option<ArrowWriter<Vec<u8>>>,
    orders: Orders,
}

impl OrdersParquet {
    fn next_piece(&mut self) -> Result<Option<Bytes>, DataError> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        match self.orders.next_batch(ROW_GROUP)? {
            Some(batch) => {
                writer.write(&batch)?;
                writer.flush()?;
                let piece = std::mem::take(writer.inner_mut());
                self.writer = Some(writer);
                Ok(Some(piece.into()))
            }
            None => Ok(Some(writer.into_inner()?.into())),
        }
    }
}

impl Iterator for OrdersParquet {
    type Item = Result<Bytes, DataError>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}

fn orders_schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("order_id", DataType::Int64, false),
        Field::new("customer_id", DataType::Int64, false),
        Field::new("product_id", DataType::Int64, false),
        Field::new("region", DataType::Utf8, false),
        Field::new("status", DataType::Utf8, false),
        Field::new("quantity", DataType::Int32, false),
        Field::new("amount", DataType::Decimal128(12, 2), false),
        Field::new("ordered_at", time, false),
    ]))
}

/// Draws orders one after the other.
struct Orders {
    rng: StdRng,
    /// By customer id - 1.
    regions: Vec<&'static str>,
    /// In cents, by product id - 1.
    prices: Vec<i64>,
    rows: usize,
    drawn: usize,
}

struct Order {
    customer_id: i64,
    product_id: i64,
    region: &'static str,
    status: &'static str,
    quantity: i32,
    amount_cents: i128,
    ordered_at: i64,
}

impl Orders {
    fn new(rows: usize) -> Self {
        Self {
            rng: StdRng::seed_from_u64(ORDER_SEED),
            regions: customers().into_iter().map(|customer| customer.region).collect(),
            prices: products().into_iter().map(|product| product.price_cents).collect(),
            rows,
            drawn: 0,
        }
    }

    fn next_batch(&mut self, at_most: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let first = self.drawn;
        let orders: Vec<Order> = (first..self.rows).take(at_most).map(|index| self.draw(index)).collect();
        if orders.is_empty() {
            return Ok(None);
        }
        self.drawn += orders.len();
        let ids = first as i64 + 1..=self.drawn as i64;
        let amounts = Decimal128Array::from_iter_values(orders.iter().map(|order| order.amount_cents));
        let times = TimestampMicrosecondArray::from_iter_values(orders.iter().map(|order| order.ordered_at));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(ids)),
            Arc::new(Int64Array::from_iter_values(orders.iter().map(|order| order.customer_id))),
            Arc::new(Int64Array::from_iter_values(orders.iter().map(|order| order.product_id))),
            Arc::new(StringArray::from_iter_values(orders.iter().map(|order| order.region))),
            Arc::new(StringArray::from_iter_values(orders.iter().map(|order| order.status))),
            Arc::new(Int32Array::from_iter_values(orders.iter().map(|order| order.quantity))),
            Arc::new(amounts.with_precision_and_scale(12, 2)?),
            Arc::new(times.with_timezone("UTC")),
        ];
        RecordBatch::try_new(orders_schema(), columns).map(Some)
    }

    fn draw(&mut self, index: usize) -> Order {
        let rng = &mut self.rng;
        // The product of two even draws favours small numbers; a multiplier without a common divisor
        // scatters the favoured customers over all ids, so that no id says how much its customer buys.
        let favoured = (rng.random::<f64>() * rng.random::<f64>() * CUSTOMERS as f64) as usize % CUSTOMERS;
        let customer = favoured * 7_919 % CUSTOMERS;
        let product = rng.random_range(0..PRODUCTS);
        let quantity = 1 + [0, 0, 0, 0, 1, 1, 2, 4][rng.random_range(0..8)];
        let percent_paid = [100, 100, 100, 95, 90][rng.random_range(0..5)];
        Order {
            customer_id: customer as i64 + 1,
            product_id: product as i64 + 1,
            region: self.regions[customer],
            status: status(rng.random_range(0..100)),
            quantity,
            amount_cents: i128::from(self.prices[product] * i64::from(quantity) * percent_paid / 100),
            ordered_at: ordered_at(index, self.rows, rng.random()),
        }
    }
}

/// Later orders lie closer together: business grows. Never falls from one order to the next, because each
/// has a slice of the time of its own.
fn ordered_at(index: usize, rows: usize, within_slice: f64) -> i64 {
    let share = (index as f64 + within_slice) / rows as f64;
    let grown = (share + share.sqrt()) / 2.0;
    let micros = FIRST_MICROS + (grown * (END_MICROS - FIRST_MICROS) as f64) as i64;
    micros.min(END_MICROS - 1)
}

fn status(percent: u32) -> &'static str {
    let mut upper = 0;
    for (status, share) in STATUSES {
        upper += share;
        if percent < upper {
            return status;
        }
    }
    STATUSES[0].0
}

fn pick<T: Copy>(from: &[T], rng: &mut impl Rng) -> T {
    from[rng.random_range(0..from.len())]
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
