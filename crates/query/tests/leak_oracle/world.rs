//! Tables, what they hold and the policies over them.

use std::{collections::BTreeSet, fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    catalog::{TableProvider, streaming::StreamingTable},
    execution::TaskContext,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use rivergen_kernel::{DataSourceId, PolicyId};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide},
    facts::Facts,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{GovernedTable, filter::Entitlements, mask::column_type};
use serde_json::json;

use crate::{
    choices::Choices,
    reference::{Filter, Kind, Mask, Value},
    sqlite::Sqlite,
};

pub const HASH_KEY: &[u8] = b"the oracle's key";

pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    rows: Vec<Vec<Value>>,
    filters: Vec<Filter>,
    masks: Vec<(usize, Mask)>,
    hidden: BTreeSet<usize>,
}

pub struct World {
    pub tables: Vec<Table>,
}

const PEOPLE: &[(&str, Kind)] = &[
    ("id", Kind::Int),
    ("region", Kind::Text),
    ("score", Kind::Int),
    ("code", Kind::Text),
    ("email", Kind::Text),
    ("born", Kind::Date),
];
const ORDERS: &[(&str, Kind)] =
    &[("id", Kind::Int), ("person_id", Kind::Int), ("amount", Kind::Float), ("qty", Kind::Int), ("ref", Kind::Text)];
const TAGS: &[(&str, Kind)] = &[("person_id", Kind::Int), ("tag", Kind::Text), ("weight", Kind::Int)];

impl World {
    pub fn generate(choices: &mut Choices) -> Self {
        let mut tables: Vec<Table> = [("people", PEOPLE), ("orders", ORDERS), ("tags", TAGS)]
            .map(|(name, columns)| Table::generate(choices, name, columns))
            .into();
        // The first two have the ids of people; the third says whose may be seen, whatever of itself may be seen.
        for (at, column) in [(0, 0), (1, 1)] {
            if choices.percent(20) {
                let entitled = entitled(choices, &tables[2].rows, column);
                let filter = match choices.below(3) {
                    0 => Filter::Or(Box::new(entitled), Box::new(filter(choices, tables[at].columns, 1))),
                    1 => Filter::And(Box::new(entitled), Box::new(filter(choices, tables[at].columns, 1))),
                    _ => entitled,
                };
                tables[at].filters.push(filter);
            }
        }
        Self { tables }
    }

    /// The tables with their policies; those named lie in a database, the others in memory.
    pub fn governed(&self, in_database: &BTreeSet<&str>) -> Vec<GovernedTable> {
        let database = Sqlite::new();
        let placed = |table: &Table| match in_database.contains(table.name) {
            true => database.table(table.name, table.columns, &table.rows),
            false => provider(table.columns, &table.rows),
        };
        let providers: Vec<Arc<dyn TableProvider>> = self.tables.iter().map(placed).collect();
        let entitlements: Entitlements = [("tags".to_owned(), Arc::clone(&providers[2]))].into();
        let governed = |(table, provider): (&Table, &Arc<dyn TableProvider>)| GovernedTable {
            entitlements: entitlements.clone(),
            ..table.governed(Arc::clone(provider))
        };
        self.tables.iter().zip(&providers).map(governed).collect()
    }

    /// Tables to which the policies have been applied, with none left.
    pub fn applied_beforehand(&self) -> Vec<GovernedTable> {
        self.tables.iter().map(|table| table.without_policies(table.visible_columns(), table.visible_rows())).collect()
    }

    /// The tables as they are, with no policies.
    pub fn ungoverned(&self) -> Vec<GovernedTable> {
        self.tables.iter().map(|table| table.without_policies(table.columns.to_vec(), table.rows.clone())).collect()
    }
}

impl Table {
    fn generate(choices: &mut Choices, name: &'static str, columns: &'static [(&'static str, Kind)]) -> Self {
        let rows = (0..choices.below(8))
            .map(|at| columns.iter().map(|(column, kind)| value(choices, at, column, *kind)).collect())
            .collect();
        let mut table = Self { name, columns, rows, filters: Vec::new(), masks: Vec::new(), hidden: BTreeSet::new() };
        for _ in 0..choices.below(3) {
            let filter = filter(choices, columns, 2);
            table.filters.push(filter);
        }
        for (at, (_, kind)) in columns.iter().enumerate() {
            if choices.percent(25) {
                let mask = mask(choices, columns);
                if mask.fits(*kind) {
                    table.masks.push((at, mask));
                }
            } else if at > 0 && choices.percent(5) {
                table.hidden.insert(at);
            }
        }
        table
    }

    fn table_name(&self) -> TableName {
        TableName { catalog: "src".into(), schema: "main".into(), table: self.name.into() }
    }

    fn governed(&self, provider: Arc<dyn TableProvider>) -> GovernedTable {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut rules = Vec::new();
        for filter in &self.filters {
            let config = json!({"table": self.name, "condition": filter.text(&names)});
            rules.push((RuleType::FilterRows, config));
        }
        for (at, mask) in &self.masks {
            let (function, options) = match mask {
                Mask::NullValue => ("null_value", json!({})),
                Mask::Redact => ("redact", json!({})),
                Mask::ConstantText(text) => ("constant", json!({"value": text})),
                Mask::ConstantInt(number) => ("constant", json!({"value": number})),
                Mask::Hash => ("hash", json!({})),
                Mask::Partial { keep_first, keep_last } => {
                    ("partial", json!({"keep_first": keep_first, "keep_last": keep_last}))
                }
                Mask::Email => ("email", json!({})),
                Mask::DigitsToHash => ("regex_replace", json!({"pattern": "[0-9]+", "replacement": "#"})),
                Mask::ToYear => ("truncate_date", json!({"unit": "year"})),
                Mask::ToMonth => ("truncate_date", json!({"unit": "month"})),
                Mask::Round { to } => ("round_number", json!({"to": to})),
                Mask::Tokenize => ("tokenize", json!({})),
                Mask::Card { keep_first, keep_last } => {
                    ("card", json!({"keep_first": keep_first, "keep_last": keep_last}))
                }
                Mask::BucketSize(size) => ("bucket", json!({"size": size})),
                Mask::BucketBounds(bounds) => ("bucket", json!({"bounds": bounds})),
                Mask::ValueWhere(_) | Mask::InitialUnless(_) => {
                    ("expression", json!({"expression": mask.expression(names[*at], &names)}))
                }
            };
            let config =
                json!({"table": self.name, "column": names[*at], "masking_function": function, "options": options});
            rules.push((RuleType::MaskColumn, config));
        }
        if !self.hidden.is_empty() {
            let columns: Vec<_> = self.hidden.iter().map(|at| names[*at]).collect();
            rules.push((RuleType::DenyAccess, json!({"table": self.name, "columns": columns})));
        }
        let policies: Vec<EffectivePolicy> = (1..)
            .zip(rules)
            .map(|(id, (rule_type, config))| EffectivePolicy {
                id: PolicyId(id),
                name: format!("policy {id}"),
                policy_type: PolicyType::RowLevelSecurity,
                priority: 0,
                rules: vec![RuleConfig::parse(rule_type, &config).unwrap_or_else(|error| panic!("{config}: {error}"))],
            })
            .collect();
        let columns: Vec<ColumnInfo> = provider
            .schema()
            .fields()
            .iter()
            .map(|field| ColumnInfo {
                name: field.name().clone(),
                column_type: column_type(field.data_type()),
                tags: Default::default(),
            })
            .collect();
        let attributes = [("region".to_owned(), json!("EU")), ("level".to_owned(), json!(2))].into();
        let subject = Subject { facts: Facts { attributes, ..Facts::default() }, role_ids: BTreeSet::new() };
        let decision = decide(&policies, &self.table_name(), &columns, &subject, false);
        assert!(decision.is_allowed(), "{:?}", decision.access);
        GovernedTable {
            name: self.table_name(),
            source_id: DataSourceId(1),
            provider,
            decision,
            entitlements: Default::default(),
        }
    }

    fn without_policies(&self, columns: Vec<(&'static str, Kind)>, rows: Vec<Vec<Value>>) -> GovernedTable {
        GovernedTable {
            name: self.table_name(),
            source_id: DataSourceId(1),
            provider: provider(&columns, &rows),
            decision: Decision::unrestricted(),
            entitlements: Default::default(),
        }
    }

    fn mask_of(&self, at: usize) -> Option<&Mask> {
        self.masks.iter().find(|(column, _)| *column == at).map(|(_, mask)| mask)
    }

    /// The columns that the caller sees, with what they hold for them.
    pub fn visible_columns(&self) -> Vec<(&'static str, Kind)> {
        let visible = self.columns.iter().enumerate().filter(|(at, _)| !self.hidden.contains(at));
        visible.map(|(at, (name, kind))| (*name, self.mask_of(at).map_or(*kind, |mask| mask.kind(*kind)))).collect()
    }

    fn visible_rows(&self) -> Vec<Vec<Value>> {
        let seen = |row: &&Vec<Value>| self.filters.iter().all(|filter| filter.lets_through(row));
        let masked = |row: &Vec<Value>| {
            let values = row.iter().enumerate().filter(|(at, _)| !self.hidden.contains(at));
            values
                .map(|(at, value)| match self.mask_of(at) {
                    Some(mask) => mask.apply(row, at, self.columns[at].1, HASH_KEY),
                    None => value.clone(),
                })
                .collect()
        };
        self.rows.iter().filter(seen).map(masked).collect()
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
            let filters: Vec<_> = table.filters.iter().map(|filter| filter.text(&names)).collect();
            writeln!(
                f,
                "{} {names:?} filters {filters:?} masks {:?} hidden {:?}",
                table.name, table.masks, table.hidden
            )?;
            for row in &table.rows {
                writeln!(f, "  {row:?}")?;
            }
            writeln!(f, "  seen: {:?}", table.visible_rows())?;
        }
        Ok(())
    }
}

/// Few values, so that they meet; with zeros to divide by and texts that are no numbers.
fn value(choices: &mut Choices, row: usize, column: &str, kind: Kind) -> Value {
    if column == "id" {
        return Value::Int(row as i64 + 1);
    }
    if choices.percent(12) {
        return Value::Null;
    }
    match (kind, column) {
        (Kind::Int, "person_id") => Value::Int(choices.int(1, 6)),
        (Kind::Int, _) => Value::Int(choices.int(-2, 12)),
        (Kind::Float, _) => Value::Float(choices.int(-4, 24) as f64 / 2.0),
        (Kind::Text, "region") => Value::Text((*choices.one(&["EU", "US", "eu", "APAC"])).to_owned()),
        (Kind::Text, "email") => {
            Value::Text((*choices.one(&["anna@x.com", "b@y.org", "nobody", "", "zoë@z.de", "a'b@c.d"])).to_owned())
        }
        (Kind::Text, _) => Value::Text(
            (*choices.one(&["1", "0", "42", "x9", "EU", "-7", " 3", "1e3", "4111-1111 1111 1234"])).to_owned(),
        ),
        (Kind::Date, _) => Value::Date(choices.int(-30, 20_000) as i32),
    }
}

/// Of ranges.
const BOUNDS: &[&[i64]] = &[&[0, 3], &[-1], &[2, 4, 8]];

/// The people that rows of `tags` name.
fn entitled(choices: &mut Choices, tags: &[Vec<Value>], column: usize) -> Filter {
    let (select, counts): (&str, fn(&[Value]) -> bool) = match choices.below(3) {
        0 => ("SELECT person_id FROM tags", |_| true),
        1 => ("SELECT person_id FROM tags WHERE weight > 2", |tag| matches!(tag[2], Value::Int(weight) if weight > 2)),
        _ => ("SELECT person_id FROM tags WHERE tag = current_user_region OR weight IS NULL", |tag| {
            tag[1] == Value::Text("EU".to_owned()) || tag[2] == Value::Null
        }),
    };
    let values = tags.iter().filter(|tag| counts(tag)).map(|tag| tag[0].clone()).collect();
    Filter::Entitled { column, select, values }
}

fn filter(choices: &mut Choices, columns: &[(&str, Kind)], depth: usize) -> Filter {
    if depth > 0 && choices.percent(35) {
        let left = Box::new(filter(choices, columns, depth - 1));
        return match choices.below(3) {
            0 => Filter::And(left, Box::new(filter(choices, columns, depth - 1))),
            1 => Filter::Or(left, Box::new(filter(choices, columns, depth - 1))),
            _ => Filter::Not(left),
        };
    }
    let column = choices.below(columns.len());
    let kind = columns[column].1;
    let constant = |choices: &mut Choices| match kind {
        Kind::Int => Value::Int(choices.int(-1, 6)),
        Kind::Float => Value::Float(choices.int(-2, 12) as f64 / 2.0),
        Kind::Text => Value::Text((*choices.one(&["EU", "US", "1", "42", "b@y.org"])).to_owned()),
        Kind::Date => Value::Date(choices.int(0, 15_000) as i32),
    };
    let op = *choices.one(&["=", "<>", "<", "<=", ">", ">="]);
    let negated = choices.percent(30);
    match choices.below(6) {
        0 | 1 => Filter::Compare { column, op, value: constant(choices) },
        2 => Filter::In { column, values: (0..=choices.below(3)).map(|_| constant(choices)).collect(), negated },
        3 if kind == Kind::Text => {
            Filter::Like { column, prefix: (*choices.one(&["E", "", "anna", "1"])).to_owned(), negated }
        }
        4 if kind == Kind::Text => {
            let value = Some(Value::Text("EU".to_owned()));
            Filter::Attribute { column, op, name: "region", value }
        }
        4 if kind == Kind::Int => Filter::Attribute { column, op, name: "level", value: Some(Value::Int(2)) },
        5 if choices.percent(15) => Filter::Attribute { column, op, name: "nothing", value: None },
        _ => Filter::IsNull { column, negated },
    }
}

fn mask(choices: &mut Choices, columns: &[(&str, Kind)]) -> Mask {
    match choices.below(18) {
        0 => Mask::NullValue,
        1 => Mask::Redact,
        2 => Mask::ConstantText("hidden"),
        3 => Mask::ConstantInt(0),
        4 => Mask::Hash,
        5 => Mask::Partial { keep_first: choices.below(2), keep_last: choices.below(3) },
        6 => Mask::Email,
        7 => Mask::DigitsToHash,
        8 => Mask::ToYear,
        9 => Mask::ToMonth,
        10 => Mask::Tokenize,
        11 => Mask::Card { keep_first: choices.below(7), keep_last: choices.below(5) },
        12 => Mask::BucketSize(choices.int(1, 5)),
        13 => Mask::BucketBounds(choices.one::<&[i64]>(BOUNDS)),
        14 | 15 => Mask::ValueWhere(filter(choices, columns, 1)),
        16 => Mask::InitialUnless(filter(choices, columns, 1)),
        _ => Mask::Round { to: choices.int(2, 10) },
    }
}

/// One batch whose statistics nobody knows: with them, hidden rows could change the join order, and which of two
/// failures comes first is not what is tested here.
#[derive(Debug)]
struct OneBatch {
    schema: SchemaRef,
    batch: Option<RecordBatch>,
}

impl PartitionStream for OneBatch {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = futures::stream::iter(self.batch.clone().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

fn provider(columns: &[(&str, Kind)], rows: &[Vec<Value>]) -> Arc<dyn TableProvider> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (at, (name, kind)) in columns.iter().enumerate() {
        let values = rows.iter().map(|row| &row[at]);
        macro_rules! array {
            ($variant:ident, $array:ident) => {
                Arc::new(
                    values
                        .map(|value| match value {
                            Value::$variant(inner) => Some(inner.clone()),
                            Value::Null => None,
                            other => panic!("{other:?} in {name}"),
                        })
                        .collect::<$array>(),
                )
            };
        }
        let (data_type, array): (DataType, ArrayRef) = match kind {
            Kind::Int => (DataType::Int64, array!(Int, Int64Array)),
            Kind::Float => (DataType::Float64, array!(Float, Float64Array)),
            Kind::Text => (DataType::Utf8, array!(Text, StringArray)),
            Kind::Date => (DataType::Date32, array!(Date, Date32Array)),
        };
        fields.push(Field::new(*name, data_type, true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = (!rows.is_empty()).then(|| RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap());
    let partition = Arc::new(OneBatch { schema: Arc::clone(&schema), batch });
    Arc::new(StreamingTable::try_new(schema, vec![partition]).unwrap())
}
