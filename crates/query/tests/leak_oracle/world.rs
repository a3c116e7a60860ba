//! Tables, what they hold and the policies over them.

use std::{collections::BTreeSet, fmt, sync::Arc};

use chrono::{DateTime, TimeDelta};

use datafusion::{
    arrow::{
        array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    catalog::{TableProvider, streaming::StreamingTable},
    execution::TaskContext,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use rivergen_kernel::{DataSourceId, PolicyId, RoleId, UserId};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide_tagged},
    facts::Facts,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{GovernedTable, filter::Entitlements, mask::column_type};
use serde_json::{Value as Json, json};

use crate::{
    choices::Choices,
    postgres::Postgres,
    reference::{Filter, Kind, Mask, Value},
    sqlite::Sqlite,
};

pub const HASH_KEY: &[u8] = b"the oracle's key";

pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    rows: Vec<Vec<Value>>,
    filters: Vec<Filter>,
    masks: Vec<Masked>,
    /// Masks that the caller's role spares them.
    spared: Vec<(usize, Mask)>,
    /// By their names, and by a tag.
    hidden: BTreeSet<usize>,
    hidden_by_tag: BTreeSet<usize>,
    /// What each allow rule opens; without any, everything is open.
    allowed: Vec<BTreeSet<usize>>,
    closed: Option<Closed>,
    max_rows: Option<u64>,
}

/// A column under a mask.
#[derive(Debug)]
struct Masked {
    at: usize,
    /// What covers it.
    mask: Mask,
    /// As a rule has it, which covers the column by its tag: a mask without a meaning for the column leaves nothing of it.
    by_tag: Option<Mask>,
    /// The rule names roles that it spares, and the caller has none of them.
    spares_others: bool,
}

/// Why nobody reads a table.
#[derive(Debug, Clone, Copy)]
enum Closed {
    /// A deny rule closes it.
    Denied,
    /// The only allow rule opens a column that it does not have.
    NotAllowed,
    /// It has lost a column with a tag that a rule is about.
    Lost,
}

/// The caller's roles, of which rules spare the first.
const OWN_ROLE: i64 = 7;
const OTHER_ROLE: i64 = 8;
/// The name of the policy that closes a table.
const CLOSING: &str = "closes it";

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

    /// The tables with their policies; those named lie in a database, on the server if there is one, the others in memory.
    pub async fn governed(&self, in_database: &BTreeSet<&str>, server: Option<&Postgres>) -> Vec<GovernedTable> {
        let sqlite = Sqlite::new();
        let server = match server {
            Some(server) => Some(server.case().await),
            None => None,
        };
        let mut providers: Vec<Arc<dyn TableProvider>> = Vec::new();
        for table in &self.tables {
            providers.push(match &server {
                _ if !in_database.contains(table.name) => provider(table.columns, &table.rows),
                Some(case) => case.table(table.name, table.columns, &table.rows).await,
                None => sqlite.table(table.name, table.columns, &table.rows),
            });
        }
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

    /// What a query that names closed tables is answered; it names none where there is nothing here.
    pub fn refusals(&self, query: &str) -> Vec<String> {
        self.named_in(query).filter_map(Table::refusal).collect()
    }

    /// After how many rows policies cut the query's answer off.
    pub fn max_rows(&self, query: &str) -> Option<u64> {
        self.named_in(query).filter_map(|table| table.max_rows).min()
    }

    /// A query names each table as `people AS t1`.
    fn named_in(&self, query: &str) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(move |table| query.contains(&format!("{} AS t", table.name)))
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
        let mut table = Self {
            name,
            columns,
            rows,
            filters: Vec::new(),
            masks: Vec::new(),
            spared: Vec::new(),
            hidden: BTreeSet::new(),
            hidden_by_tag: BTreeSet::new(),
            allowed: Vec::new(),
            closed: None,
            max_rows: None,
        };
        for _ in 0..choices.below(3) {
            let of_rows = filter(choices, columns, 2);
            table.filters.push(match choices.below(12) {
                0 => Filter::And(Box::new(fact(choices)), Box::new(of_rows)),
                1 => Filter::Or(Box::new(fact(choices)), Box::new(of_rows)),
                _ => of_rows,
            });
        }
        for (at, (_, kind)) in columns.iter().enumerate() {
            if choices.percent(25) {
                let written = mask(choices, columns);
                let by_tag = choices.percent(30);
                let spares_others = choices.percent(20);
                if written.fits(*kind) {
                    let by_tag = by_tag.then(|| written.clone());
                    table.masks.push(Masked { at, mask: written, by_tag, spares_others });
                } else if by_tag && written.is_senseless(*kind) {
                    table.masks.push(Masked { at, mask: Mask::NullValue, by_tag: Some(written), spares_others });
                }
            } else if at > 0 && choices.percent(5) {
                table.hidden.insert(at);
            } else if at > 0 && choices.percent(4) {
                table.hidden_by_tag.insert(at);
            }
            if choices.percent(6) {
                let spared = mask(choices, columns);
                if spared.fits(*kind) {
                    table.spared.push((at, spared));
                }
            }
        }
        if choices.percent(15) {
            for _ in 0..=choices.below(2) {
                // The first is always there: a table of which nothing is left is closed.
                let mut opened: BTreeSet<usize> = (1..columns.len()).filter(|_| choices.percent(60)).collect();
                opened.insert(0);
                table.allowed.push(opened);
            }
        }
        if choices.percent(4) {
            table.closed = Some(*choices.one(&[Closed::Denied, Closed::NotAllowed, Closed::Lost]));
        }
        if choices.percent(6) {
            table.max_rows = Some(1 + choices.below(4) as u64);
        }
        table
    }

    fn is_visible(&self, at: usize) -> bool {
        let is_hidden = self.hidden.contains(&at) || self.hidden_by_tag.contains(&at);
        !is_hidden && (self.allowed.is_empty() || self.allowed.iter().any(|opened| opened.contains(&at)))
    }

    /// The words that a closed table is refused with.
    fn refusal(&self) -> Option<String> {
        let name = self.table_name();
        Some(match self.closed? {
            Closed::Denied => format!("The policy “{CLOSING}” does not let you read {name}."),
            Closed::NotAllowed => format!("No policy lets you read {name}."),
            Closed::Lost => format!(
                "The policy “{CLOSING}” cannot be applied to {name}, so the table stays closed; tell your administrator."
            ),
        })
    }

    fn table_name(&self) -> TableName {
        TableName { catalog: "src".into(), schema: "main".into(), table: self.name.into() }
    }

    /// The rules, each with the name of its policy.
    fn rules(&self) -> Vec<(String, RuleType, Json)> {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let named = |columns: &BTreeSet<usize>| columns.iter().map(|at| names[*at]).collect::<Vec<_>>();
        let mut rules = Vec::new();
        let mut add = |rule_type, config| rules.push((format!("policy {}", rules.len()), rule_type, config));
        for filter in &self.filters {
            // What is about the request alone needs no table.
            let table = if matches!(filter, Filter::Fact { .. }) { "*" } else { self.name };
            add(RuleType::FilterRows, json!({"table": table, "condition": filter.text(&names)}));
        }
        for Masked { at, mask, by_tag, spares_others } in &self.masks {
            let mut config = mask_config(by_tag.as_ref().unwrap_or(mask), names[*at], &names);
            config["table"] = self.name.into();
            match by_tag {
                Some(_) => config["tag"] = format!("m{at}.*").into(),
                None => config["column"] = names[*at].into(),
            }
            if *spares_others {
                config["unless_role_ids"] = json!([OTHER_ROLE]);
            }
            add(RuleType::MaskColumn, config);
        }
        for (at, mask) in &self.spared {
            let mut config = mask_config(mask, names[*at], &names);
            config["table"] = self.name.into();
            config["column"] = names[*at].into();
            config["unless_role_ids"] = json!([OTHER_ROLE, OWN_ROLE]);
            add(RuleType::MaskColumn, config);
        }
        if !self.hidden.is_empty() {
            add(RuleType::DenyAccess, json!({"table": self.name, "columns": named(&self.hidden)}));
        }
        if !self.hidden_by_tag.is_empty() {
            add(RuleType::DenyAccess, json!({"table": self.name, "tag": "h.*"}));
        }
        for opened in &self.allowed {
            add(RuleType::AllowAccess, json!({"table": self.name, "columns": named(opened)}));
        }
        if let Some(most) = self.max_rows {
            add(RuleType::LimitQuery, json!({"max_rows": most}));
        }
        let closing = match self.closed {
            None => None,
            Some(Closed::Denied) => Some((RuleType::DenyAccess, json!({"table": self.name}))),
            Some(Closed::NotAllowed) => {
                rules.retain(|(_, rule_type, _)| *rule_type != RuleType::AllowAccess);
                Some((RuleType::AllowAccess, json!({"table": self.name, "columns": ["no_such_column"]})))
            }
            Some(Closed::Lost) => Some((RuleType::DenyAccess, json!({"table": self.name, "tag": "lost.*"}))),
        };
        rules.extend(closing.map(|(rule_type, config)| (CLOSING.to_owned(), rule_type, config)));
        rules
    }

    fn governed(&self, provider: Arc<dyn TableProvider>) -> GovernedTable {
        let policies: Vec<EffectivePolicy> = (1..)
            .zip(self.rules())
            .map(|(id, (name, rule_type, config))| EffectivePolicy {
                id: PolicyId(id),
                name,
                policy_type: PolicyType::RowLevelSecurity,
                priority: 0,
                only: None,
                rules: vec![RuleConfig::parse(rule_type, &config).unwrap_or_else(|error| panic!("{config}: {error}"))],
            })
            .collect();
        let tags_of = |at: usize| -> BTreeSet<String> {
            let by_mask = self.masks.iter().any(|masked| masked.at == at && masked.by_tag.is_some());
            let tags = [(by_mask, format!("m{at}.x")), (self.hidden_by_tag.contains(&at), "h.x".to_owned())];
            tags.into_iter().filter(|(holds, _)| *holds).map(|(_, tag)| tag).collect()
        };
        let columns: Vec<ColumnInfo> = provider
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| ColumnInfo {
                name: field.name().clone(),
                column_type: column_type(field.data_type()),
                tags: tags_of(at),
            })
            .collect();
        let lost = match self.closed {
            Some(Closed::Lost) => ["lost.x".to_owned()].into(),
            _ => BTreeSet::new(),
        };
        let decision = decide_tagged(&policies, &self.table_name(), &columns, &lost, &caller(), false);
        assert_eq!(decision.is_allowed(), self.closed.is_none(), "{:?}", decision.access);
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
        self.masks.iter().find(|masked| masked.at == at).map(|masked| &masked.mask)
    }

    /// The columns that the caller sees, with what they hold for them.
    pub fn visible_columns(&self) -> Vec<(&'static str, Kind)> {
        let visible = self.columns.iter().enumerate().filter(|(at, _)| self.is_visible(*at));
        visible.map(|(at, (name, kind))| (*name, self.mask_of(at).map_or(*kind, |mask| mask.kind(*kind)))).collect()
    }

    fn visible_rows(&self) -> Vec<Vec<Value>> {
        let seen = |row: &&Vec<Value>| self.filters.iter().all(|filter| filter.lets_through(row));
        let masked = |row: &Vec<Value>| {
            let values = row.iter().enumerate().filter(|(at, _)| self.is_visible(*at));
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
            writeln!(f, "{} {:?}", table.name, table.columns)?;
            for (policy, rule_type, config) in table.rules() {
                writeln!(f, "  {policy}: {} {config}", rule_type.as_str())?;
            }
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

/// Whom the policies govern.
fn caller() -> Subject {
    let attributes = [("region".to_owned(), json!("EU")), ("level".to_owned(), json!(2))].into();
    let facts = Facts {
        attributes,
        user_id: Some(UserId(3)),
        email: Some("b@y.org".to_owned()),
        role_names: vec!["Viewer".to_owned()],
        groups: vec!["Sales".to_owned()],
        // A Thursday.
        at: Some(DateTime::UNIX_EPOCH + TimeDelta::hours(14)),
        ip: Some([10, 1, 2, 3].into()),
    };
    Subject { facts, role_ids: [RoleId(OWN_ROLE)].into() }
}

/// What conditions ask of that caller, and what is so.
const FACTS: &[(&str, bool)] = &[
    ("'Viewer' IN (current_user_roles)", true),
    ("'Owner' IN (current_user_roles)", false),
    ("'Sales' IN (current_user_groups)", true),
    ("'Ops' IN (current_user_groups)", false),
    ("current_user_id = 3", true),
    ("current_user_level > 5", false),
    ("current_hour BETWEEN 8 AND 16", true),
    ("current_hour < 8", false),
    ("current_weekday = 4", true),
    ("current_ip IN ('10.0.0.0/8')", true),
    ("current_ip IN ('192.168.0.0/16')", false),
];

fn fact(choices: &mut Choices) -> Filter {
    let (text, truth) = *choices.one(FACTS);
    Filter::Fact { text, truth }
}

/// The mask as a rule has it, without the column.
fn mask_config(mask: &Mask, column: &str, columns: &[&str]) -> Json {
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
        Mask::Card { keep_first, keep_last } => ("card", json!({"keep_first": keep_first, "keep_last": keep_last})),
        Mask::BucketSize(size) => ("bucket", json!({"size": size})),
        Mask::BucketBounds(bounds) => ("bucket", json!({"bounds": bounds})),
        Mask::ValueWhere(_) | Mask::InitialUnless(_) => {
            ("expression", json!({"expression": mask.expression(column, columns)}))
        }
    };
    json!({"masking_function": function, "options": options})
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
            let (name, held) = *choices.one(&[("region", "EU"), ("email", "b@y.org")]);
            Filter::Attribute { column, op, name, value: Some(Value::Text(held.to_owned())) }
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
