//! A database that the governed tables may lie in, so that what is pushed to a source is held to the same answers.

use std::sync::{Arc, Mutex};

use datafusion::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
        },
        compute::cast,
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    catalog::TableProvider,
    error::{DataFusionError, Result},
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use rivergen_connectors::pushdown::{Comparable, Dialect, RemoteColumn, RemoteDatabase, RemoteTable};
use rusqlite::{Connection, types::ValueRef};

use crate::reference::{Kind, Value, date_text, days_of};

#[derive(Debug)]
pub struct Sqlite {
    connection: Mutex<Connection>,
    identity: String,
}

impl Sqlite {
    /// A database of its own; another database never has its identity.
    pub fn new() -> Arc<Self> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let connection = Mutex::new(Connection::open_in_memory().unwrap());
        Arc::new(Self { connection, identity: format!("oracle {number}") })
    }

    pub fn table(
        self: &Arc<Self>,
        name: &str,
        columns: &[(&str, Kind)],
        rows: &[Vec<Value>],
    ) -> Arc<dyn TableProvider> {
        let connection = self.connection.lock().unwrap();
        let declared: Vec<_> =
            columns.iter().map(|(column, kind)| format!("\"{column}\" {}", affinity(*kind))).collect();
        connection.execute_batch(&format!("CREATE TABLE \"{name}\" ({})", declared.join(", "))).unwrap();
        for row in rows {
            let places = vec!["?"; row.len()].join(", ");
            let values = row.iter().map(|value| match value {
                Value::Null => rusqlite::types::Value::Null,
                Value::Int(number) => (*number).into(),
                Value::Float(number) => (*number).into(),
                Value::Text(text) => text.clone().into(),
                Value::Date(days) => date_text(*days).into(),
            });
            let insert = format!("INSERT INTO \"{name}\" VALUES ({places})");
            connection.execute(&insert, rusqlite::params_from_iter(values)).unwrap();
        }
        let fields: Vec<_> = columns
            .iter()
            .map(|(column, kind)| {
                let data_type = match kind {
                    Kind::Int => DataType::Int64,
                    Kind::Float => DataType::Float64,
                    Kind::Text => DataType::Utf8,
                    Kind::Date => DataType::Date32,
                };
                Field::new(*column, data_type, true)
            })
            .collect();
        let read = columns
            .iter()
            .map(|(column, _)| RemoteColumn {
                name: (*column).to_owned(),
                reading: "{}".to_owned(),
                comparable: Comparable::Ordered,
                implied: None,
            })
            .collect();
        let database: Arc<dyn RemoteDatabase> = Arc::clone(self) as _;
        RemoteTable::new(database, format!("\"main\".\"{name}\""), Schema::new(fields), read).into_provider()
    }

    fn read(
        &self,
        sql: &str,
        schema: &SchemaRef,
    ) -> std::result::Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        let connection = self.connection.lock().map_err(|_| "the connection is broken")?;
        let mut statement = connection.prepare(sql)?;
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); schema.fields().len()];
        let mut count = 0;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            count += 1;
            for (at, column) in columns.iter_mut().enumerate() {
                column.push(match (row.get_ref(at)?, schema.field(at).data_type()) {
                    (ValueRef::Null, _) => Value::Null,
                    (ValueRef::Integer(number), DataType::Float64) => Value::Float(number as f64),
                    (ValueRef::Integer(number), _) => Value::Int(number),
                    (ValueRef::Real(number), _) => Value::Float(number),
                    (ValueRef::Text(text), DataType::Date32) => Value::Date(parse_date(std::str::from_utf8(text)?)?),
                    (ValueRef::Text(text), _) => Value::Text(std::str::from_utf8(text)?.to_owned()),
                    (other, data_type) => return Err(format!("{other:?} as {data_type}").into()),
                });
            }
        }
        let arrays = columns
            .into_iter()
            .zip(schema.fields())
            .map(|(values, field)| array(values, field))
            .collect::<std::result::Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
    }
}

impl RemoteDatabase for Sqlite {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let batch: Result<RecordBatch> =
            self.read(&sql, &schema).map_err(|error| DataFusionError::External(format!("{sql}: {error}").into()));
        // An empty answer has no batches, like an empty table in memory.
        let batches: Vec<_> =
            if matches!(&batch, Ok(batch) if batch.num_rows() == 0) { Vec::new() } else { vec![batch] };
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
    }
}

fn affinity(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "INTEGER",
        Kind::Float => "REAL",
        Kind::Text | Kind::Date => "TEXT",
    }
}

fn array(values: Vec<Value>, field: &Field) -> std::result::Result<ArrayRef, String> {
    macro_rules! array {
        ($variant:ident, $array:ident) => {
            Arc::new(
                values
                    .into_iter()
                    .map(|value| match value {
                        Value::$variant(inner) => Ok(Some(inner)),
                        Value::Null => Ok(None),
                        other => Err(format!("{other:?} as {}", field.data_type())),
                    })
                    .collect::<std::result::Result<$array, String>>()?,
            )
        };
    }
    Ok(match field.data_type() {
        integer if integer.is_integer() => {
            let numbers: ArrayRef = array!(Int, Int64Array);
            cast(&numbers, integer).map_err(|error| error.to_string())?
        }
        // The engine's own constants in decorrelated subqueries; SQLite answers 0 or 1.
        DataType::Boolean => Arc::new(
            values
                .into_iter()
                .map(|value| match value {
                    Value::Int(flag) => Ok(Some(flag != 0)),
                    Value::Null => Ok(None),
                    other => Err(format!("{other:?} as a boolean")),
                })
                .collect::<std::result::Result<BooleanArray, String>>()?,
        ),
        DataType::Float64 => array!(Float, Float64Array),
        text if text.is_string() => {
            let texts: ArrayRef = array!(Text, StringArray);
            cast(&texts, text).map_err(|error| error.to_string())?
        }
        DataType::Date32 => array!(Date, Date32Array),
        other => return Err(format!("a column of type {other}")),
    })
}

fn parse_date(text: &str) -> std::result::Result<i32, String> {
    let parts: Vec<i32> = text.split('-').map_while(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [year, month, day] => Ok(days_of(*year, *month, *day)),
        _ => Err(format!("{text} is no date")),
    }
}
