//! A database of an evaluation: its rows in memory, what a planner is told of it, and its gold answers.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{NaiveDate, NaiveDateTime, Utc};
use datafusion::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
            TimestampMicrosecondArray,
        },
        datatypes::{DataType, Date32Type, Field, Schema},
    },
    catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider},
    datasource::MemTable,
    prelude::{SessionConfig, SessionContext},
};
use rivergen_query::json;
use rusqlite::{Connection, OpenFlags, types::Value};
use serde_json::Value as Json;

use super::{
    EvalError, Verdict,
    answer::{Answer, NULL, Order, number, text},
    dump,
    suite::{Gold, Sketch, WikiTable, name},
    ties,
};
use crate::planner::{ColumnContext, ColumnType, Context, Dialect, MOST_VALUES, TableContext};

/// The schema that every table is in.
const SCHEMA: &str = "main";

/// Something that went wrong with one query; the question is what counts, so its words are only shown.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One database, open.
pub struct Database {
    context: Context,
    engine: SessionContext,
    /// For gold SQL of SQLite's.
    sqlite: Option<Mutex<Connection>>,
    /// For WikiSQL's gold.
    wiki: Option<WikiTable>,
}

/// What a set says of a database beside its tables: words for columns, and references.
#[derive(Debug, Clone, Default)]
pub(super) struct Described {
    /// By table and column, in lower case.
    comments: HashMap<(String, String), String>,
    references: HashMap<(String, String), (String, String)>,
}

impl Described {
    /// Of an entry of Spider's `tables.json`.
    pub(super) fn of_spider(entry: &Json) -> Self {
        let list = |key: &str| entry[key].as_array().cloned().unwrap_or_default();
        let tables: Vec<String> = list("table_names_original").iter().map(|table| name(table).to_lowercase()).collect();
        let at = |column: &Json| {
            let table = column[0].as_i64().and_then(|table| usize::try_from(table).ok())?;
            Some((tables.get(table)?.clone(), name(&column[1]).to_lowercase()))
        };
        let originals: Vec<Option<(String, String)>> = list("column_names_original").iter().map(at).collect();
        let words = list("column_names");
        let comments =
            originals.iter().zip(&words).filter_map(|(column, words)| Some((column.clone()?, name(&words[1]))));
        let keys = list("foreign_keys");
        let column = |index: &Json| originals.get(usize::try_from(index.as_u64()?).ok()?)?.clone();
        let references = keys.iter().filter_map(|key| Some((column(&key[0])?, column(&key[1])?)));
        Self { comments: comments.collect(), references: references.collect() }
    }
}

/// A column, read.
struct Column {
    name: String,
    declared: String,
    is_primary_key: bool,
    references: Option<(String, String)>,
    values: Vec<Value>,
}

impl Database {
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) async fn of_sqlite(name: &str, path: &Path, described: Option<&Described>) -> Result<Self, EvalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let sqlite = Connection::open_with_flags(path, flags).map_err(|error| EvalError::new(path, error))?;
        Self::of_connection(name, sqlite, described).map_err(|error| EvalError::new(path, error))
    }

    pub(super) async fn of_dump(name: &str, path: &Path) -> Result<Self, EvalError> {
        Self::of_connection(name, dump::load(path)?, None).map_err(|error| EvalError::new(path, error))
    }

    fn of_connection(name: &str, sqlite: Connection, described: Option<&Described>) -> Result<Self, Failed> {
        let listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let tables: Vec<String> =
            sqlite.prepare(listed)?.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
        let mut read = Vec::new();
        for table in tables {
            read.push((table.clone(), columns_of(&sqlite, &table)?));
        }
        let (context, engine) = build(name, read, described.unwrap_or(&Described::default()))?;
        Ok(Self { context, engine, sqlite: Some(Mutex::new(sqlite)), wiki: None })
    }

    pub(super) async fn of_wikisql(table: &WikiTable) -> Result<Self, EvalError> {
        let column = |(index, header): (usize, &String)| {
            let is_number = table.types.get(index).is_some_and(|kind| kind == "real");
            let values = table.rows.iter().map(|row| match row.get(index) {
                Some(Json::Number(number)) => Value::Real(number.as_f64().unwrap_or_default()),
                Some(Json::String(text)) if is_number => match text.replace(',', "").parse() {
                    Ok(number) => Value::Real(number),
                    Err(_) => Value::Text(text.clone()),
                },
                Some(Json::String(text)) => Value::Text(text.clone()),
                _ => Value::Null,
            });
            Column {
                name: header.clone(),
                declared: if is_number { "real" } else { "text" }.to_owned(),
                is_primary_key: false,
                references: None,
                values: values.collect(),
            }
        };
        let mut columns: Vec<Column> = table.header.iter().enumerate().map(column).collect();
        // Headers may be there twice, which no table of SQL has.
        let mut seen = BTreeSet::new();
        for column in &mut columns {
            while !seen.insert(column.name.to_lowercase()) {
                column.name.push_str(" 2");
            }
        }
        let read = vec![("rows".to_owned(), columns)];
        let (context, engine) =
            build("wikisql", read, &Described::default()).map_err(|error| EvalError::new(&table.id, error))?;
        Ok(Self { context, engine, sqlite: None, wiki: Some(table.clone()) })
    }

    /// The gold answers, as many of them as can be had here.
    pub(super) async fn gold(&self, gold: &Gold) -> Vec<Answer> {
        if let Gold::Engine(queries) = gold {
            let mut answers = Vec::new();
            for sql in queries {
                let Ok(answer) = self.run(sql).await else { continue };
                let whole = match ties::with_places(sql) {
                    Some(whole) => self.run(&whole).await.ok(),
                    None => None,
                };
                answers.push(placed(answer, sql, whole));
            }
            return answers;
        }
        self.only(gold).into_iter().collect()
    }

    fn only(&self, gold: &Gold) -> Result<Answer, Failed> {
        match gold {
            Gold::Sqlite(sql) => {
                let sqlite = self.sqlite.as_ref().ok_or("there is no SQLite database")?;
                let sqlite = sqlite.lock().unwrap_or_else(PoisonError::into_inner);
                let answer = asked_of_sqlite(&sqlite, sql)?;
                let whole = ties::with_places(sql).and_then(|whole| asked_of_sqlite(&sqlite, &whole).ok());
                Ok(placed(answer, sql, whole))
            }
            Gold::Sketch(sketch) => {
                let table = self.wiki.as_ref().ok_or("there is no table of WikiSQL's")?;
                sketched(table, sketch).ok_or_else(|| "the gold query names no column of the table".into())
            }
            Gold::Engine(_) | Gold::None => Err("there is no one gold answer".into()),
        }
    }

    /// What SQL of a planner's answers.
    pub(super) async fn run(&self, sql: &str) -> Result<Answer, Failed> {
        let frame = self.engine.sql(sql).await?;
        // An answer without a row has its columns all the same.
        let width = frame.schema().fields().len();
        let mut rows = Vec::new();
        for batch in &frame.collect().await? {
            json::append_rows(batch, &mut rows).map_err(|error| error.to_string())?;
        }
        let columns = (0..width).map(|column| rows.iter().map(|row| of_json(&row[column])).collect()).collect();
        Ok(Answer { columns, rows: rows.len(), order: Order::None })
    }
}

fn of_json(value: &Json) -> String {
    match value {
        Json::Null => NULL.to_owned(),
        Json::Bool(truth) => number(f64::from(u8::from(*truth))),
        Json::Number(value) => number(value.as_f64().unwrap_or_default()),
        Json::String(value) => text(&moment(value)),
        other => other.to_string(),
    }
}

/// A moment as SQLite writes it; any other text as it is.
fn moment(value: &str) -> String {
    let without_zone = value.trim_end_matches('Z');
    match without_zone.parse::<NaiveDateTime>() {
        Ok(moment) => moment.format("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => value.to_owned(),
    }
}

/// Whether the rows of the outermost query have an order.
fn is_ordered(sql: &str) -> bool {
    let lower = sql.to_lowercase();
    let after = lower.rfind("order by").map(|at| &lower[at..]);
    // One within parentheses orders an inner query only.
    after.is_some_and(|rest| rest.matches('(').count() >= rest.matches(')').count())
}

/// The gold answer with the places of its rows, where the whole of what it was taken from tells them, in its last column.
fn placed(answer: Answer, sql: &str, whole: Option<Answer>) -> Answer {
    let strict = || Answer { order: if is_ordered(sql) { Order::Strict } else { Order::None }, ..answer.clone() };
    let Some(mut whole) = whole.filter(|whole| whole.rows >= answer.rows && answer.rows > 0) else { return strict() };
    let Some(ranks) = whole.columns.pop() else { return strict() };
    let mut places = vec![0];
    for row in 1..whole.rows {
        let is_tied = ranks[row] == ranks[row - 1];
        if !is_tied && row >= answer.rows {
            break;
        }
        places.push(places[row - 1] + usize::from(!is_tied));
    }
    whole.columns.iter_mut().for_each(|column| column.truncate(places.len()));
    let placed = Answer { columns: whole.columns, rows: answer.rows, order: Order::Shared(places) };
    // Without its limit the query may have been answered in another way.
    if answer.compare(&placed) == Verdict::Right { placed } else { strict() }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn columns_of(sqlite: &Connection, table: &str) -> Result<Vec<Column>, Failed> {
    let mut columns = Vec::new();
    let mut info = sqlite.prepare(&format!("PRAGMA table_info({})", quoted(table)))?;
    let mut rows = info.query([])?;
    while let Some(row) = rows.next()? {
        columns.push(Column {
            name: row.get(1)?,
            declared: row.get::<_, Option<String>>(2)?.unwrap_or_default().to_lowercase(),
            is_primary_key: row.get::<_, i64>(5)? > 0,
            references: None,
            values: Vec::new(),
        });
    }
    if columns.iter().filter(|column| column.is_primary_key).count() > 1 {
        // None of them alone identifies a row.
        columns.iter_mut().for_each(|column| column.is_primary_key = false);
    }
    let mut keys = sqlite.prepare(&format!("PRAGMA foreign_key_list({})", quoted(table)))?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        let (target, from, to): (String, String, Option<String>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        if let Some(column) = columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(&from)) {
            column.references = Some((target, to.unwrap_or_else(|| from.clone())));
        }
    }
    let mut all = sqlite.prepare(&format!("SELECT * FROM {}", quoted(table)))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        for (index, column) in columns.iter_mut().enumerate() {
            column.values.push(value(row.get_ref(index)?));
        }
    }
    Ok(columns)
}

/// Texts of old sets are not always UTF-8.
fn value(read: rusqlite::types::ValueRef<'_>) -> Value {
    use rusqlite::types::ValueRef;
    match read {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn asked_of_sqlite(sqlite: &Connection, sql: &str) -> Result<Answer, Failed> {
    let mut statement = sqlite.prepare(sql)?;
    let mut answer = Answer { columns: vec![Vec::new(); statement.column_count()], rows: 0, order: Order::None };
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (index, column) in answer.columns.iter_mut().enumerate() {
            column.push(match value(row.get_ref(index)?) {
                Value::Null => NULL.to_owned(),
                Value::Integer(value) => number(value as f64),
                Value::Real(value) => number(value),
                Value::Text(value) => text(&value),
                Value::Blob(_) => String::new(),
            });
        }
        answer.rows += 1;
    }
    Ok(answer)
}

/// What WikiSQL's form of a query answers.
fn sketched(table: &WikiTable, sketch: &Sketch) -> Option<Answer> {
    let cell = |value: &Json| of_json(value).to_lowercase();
    let as_number = |value: &Json| match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.replace(',', "").trim().parse().ok(),
        _ => None,
    };
    let holds = |row: &Vec<Json>| {
        sketch.conds.iter().all(|(column, operator, wanted)| {
            let Some(own) = row.get(*column) else { return false };
            match (operator, as_number(own), as_number(wanted)) {
                (0, Some(own), Some(wanted)) => own == wanted,
                (0, _, _) => cell(own) == cell(wanted),
                (1, Some(own), Some(wanted)) => own > wanted,
                (2, Some(own), Some(wanted)) => own < wanted,
                _ => false,
            }
        })
    };
    let values: Option<Vec<&Json>> =
        table.rows.iter().filter(|row| holds(row)).map(|row| row.get(sketch.sel)).collect();
    let values = values?;
    let numbers: Vec<f64> = values.iter().filter_map(|value| as_number(value)).collect();
    let sum: f64 = numbers.iter().sum();
    let one = match sketch.agg {
        0 => {
            let column: Vec<String> = values.iter().map(|value| of_json(value)).collect();
            return Some(Answer { rows: column.len(), columns: vec![column], order: Order::None });
        }
        1 => numbers.iter().copied().reduce(f64::max).map(number),
        2 => numbers.iter().copied().reduce(f64::min).map(number),
        3 => Some(number(values.len() as f64)),
        4 => (!numbers.is_empty()).then(|| number(sum)),
        5 => (!numbers.is_empty()).then(|| number(sum / numbers.len() as f64)),
        _ => return None,
    };
    Some(Answer { rows: 1, columns: vec![vec![one.unwrap_or_else(|| NULL.to_owned())]], order: Order::None })
}

/// The tables as the engine reads them, and as planners are told of them.
fn build(
    catalog: &str,
    read: Vec<(String, Vec<Column>)>,
    described: &Described,
) -> Result<(Context, SessionContext), Failed> {
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(catalog, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_target_partitions(1);
    let engine = SessionContext::new_with_config(config);
    let provider = MemoryCatalogProvider::new();
    let schema = Arc::new(MemorySchemaProvider::new());
    let mut tables = Vec::new();
    for (table, columns) in read {
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        let mut told = Vec::new();
        let rows = columns.first().map_or(0, |column| column.values.len());
        for column in columns {
            let (data_type, array) = array(&column);
            let key = (table.to_lowercase(), column.name.to_lowercase());
            let said = described.references.get(&key).cloned();
            let comment = described.comments.get(&key).filter(|words| !words.eq_ignore_ascii_case(&column.name));
            told.push(ColumnContext {
                data_type: ColumnType::from(&data_type),
                masked: false,
                sample_values: samples(&data_type, &column.values),
                comment: comment.cloned(),
                is_primary_key: column.is_primary_key,
                references: column
                    .references
                    .or(said)
                    .map(|(table, column)| (format!("{catalog}.{SCHEMA}.{table}"), column)),
                name: column.name.clone(),
            });
            fields.push(Field::new(column.name, data_type, true));
            arrays.push(array);
        }
        if !arrays.is_empty() {
            let fields = Arc::new(Schema::new(fields));
            let batch = RecordBatch::try_new(fields.clone(), arrays)?;
            schema.register_table(table.clone(), Arc::new(MemTable::try_new(fields, vec![vec![batch]])?))?;
        }
        tables.push(TableContext {
            catalog: catalog.to_owned(),
            schema: SCHEMA.to_owned(),
            name: table,
            columns: told,
            row_count: Some(rows as u64),
            comment: None,
        });
    }
    correct_references(&mut tables);
    provider.register_schema(SCHEMA, schema)?;
    engine.register_catalog(catalog, Arc::new(provider));
    Ok((
        Context {
            tables,
            now: Utc::now(),
            dialect: Dialect::DataFusion,
            examples: Vec::new(),
            terms: Vec::new(),
            layer: crate::planner::Layer::default(),
            asks: false,
            thread: Vec::new(),
        },
        engine,
    ))
}

/// Sets write the names of tables and columns in any case; a context has one.
fn correct_references(tables: &mut [TableContext]) {
    let known: HashMap<(String, String), (String, String)> = tables
        .iter()
        .flat_map(|table| {
            let full = format!("{}.{}.{}", table.catalog, table.schema, table.name);
            table.columns.iter().map(move |column| {
                ((full.to_lowercase(), column.name.to_lowercase()), (full.clone(), column.name.clone()))
            })
        })
        .collect();
    for column in tables.iter_mut().flat_map(|table| &mut table.columns) {
        column.references = column
            .references
            .take()
            .and_then(|(table, column)| known.get(&(table.to_lowercase(), column.to_lowercase())).cloned());
    }
}

fn samples(data_type: &DataType, values: &[Value]) -> Vec<String> {
    if *data_type != DataType::Utf8 {
        return Vec::new();
    }
    let mut distinct = BTreeSet::new();
    for value in values {
        if let Value::Text(text) = value {
            distinct.insert(text.clone());
        }
        if distinct.len() > MOST_VALUES {
            return Vec::new();
        }
    }
    distinct.into_iter().collect()
}

/// The narrowest type that holds all values: SQLite declares types and holds to none.
fn array(column: &Column) -> (DataType, ArrayRef) {
    let present = || column.values.iter().filter(|value| !matches!(value, Value::Null));
    let declared = |word: &str| column.declared.contains(word);
    let is_empty = present().next().is_none();
    let integers = present().all(|value| matches!(value, Value::Integer(_)));
    let numbers = present().all(|value| matches!(value, Value::Integer(_) | Value::Real(_)));
    if declared("bool") && present().all(|value| matches!(value, Value::Integer(0 | 1))) {
        let values = column.values.iter().map(|value| match value {
            Value::Integer(number) => Some(*number == 1),
            _ => None,
        });
        return (DataType::Boolean, Arc::new(values.collect::<BooleanArray>()));
    }
    if declared("date") || declared("time") {
        if let Some(days) = parsed(&column.values, |text| text.parse::<NaiveDate>().ok()) {
            let days = days.into_iter().map(|day| day.map(Date32Type::from_naive_date));
            return (DataType::Date32, Arc::new(days.collect::<Date32Array>()));
        }
        let moment = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
        if let Some(moments) = parsed(&column.values, moment) {
            let array: TimestampMicrosecondArray =
                moments.into_iter().map(|moment| moment.map(|moment| moment.and_utc().timestamp_micros())).collect();
            return (datafusion::arrow::array::Array::data_type(&array).clone(), Arc::new(array));
        }
    }
    if integers && (!is_empty || declared("int")) {
        let values = column.values.iter().map(|value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        });
        return (DataType::Int64, Arc::new(values.collect::<Int64Array>()));
    }
    if numbers && (!is_empty || ["real", "num", "dec", "float", "doub"].into_iter().any(declared)) {
        let values = column.values.iter().map(|value| match value {
            Value::Integer(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        });
        return (DataType::Float64, Arc::new(values.collect::<Float64Array>()));
    }
    let values = column.values.iter().map(|value| match value {
        Value::Null | Value::Blob(_) => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
    });
    (DataType::Utf8, Arc::new(values.collect::<StringArray>()))
}

/// All texts read as something; `None` where one is not.
fn parsed<T>(values: &[Value], read: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
    let one = |value: &Value| match value {
        Value::Null => Some(None),
        Value::Text(text) => read(text).map(Some),
        _ => None,
    };
    let is_any = values.iter().any(|value| matches!(value, Value::Text(_)));
    if is_any { values.iter().map(one).collect() } else { None }
}
