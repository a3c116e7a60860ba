//! The one statement of a scan.
//!
//! `WHERE` is sent only where the key answers it: each column of the partition key is equal to a value (the last one
//! to one of several), then clustering columns in their order are equal to values, and one more lies in a range. Pushed
//! is a condition only if it holds in CQL for each row for which it holds here.

use scylla::value::{CqlTimestamp, CqlValue, CqlVarint};
use uuid::Uuid;

use super::types;
use crate::documents::{Column, Condition, Operator, Scan, TableName, Value};

/// Values of one `IN`; each is a partition that one node asks the others for.
const LONGEST_IN: usize = 100;
/// Keys are at most 65,535 bytes.
const LONGEST_KEY: usize = 60_000;

/// What a column is to its table, as it is remembered.
pub(super) mod role {
    pub const PARTITION: &str = "partition";
    pub const CLUSTERING: &str = "clustering";
    pub const STATIC: &str = "static";
    pub const REGULAR: &str = "regular";
}

/// A statement with its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub text: String,
    pub values: Vec<CqlValue>,
}

impl Statement {
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// What reads a table, and the names of the columns that it answers.
    pub fn of(table: &TableName, columns: &[Column], scan: &Scan) -> (Self, Vec<String>) {
        let mut selected = scan.fields.clone();
        // A partition with static values alone is a row only of those who ask for these.
        let others = columns.iter().filter(|column| is(column, role::STATIC)).map(|column| column.name.clone());
        selected.extend(others.filter(|name| !scan.fields.contains(name)));
        if selected.is_empty() {
            selected.extend(keys(columns, role::PARTITION).first().map(|column| column.name.clone()));
        }
        let list = selected.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let mut text = format!("SELECT {list} FROM {}.{}", quoted(&table.schema), quoted(&table.table));
        let mut relations = Vec::new();
        let mut values = Vec::new();
        for (column, relation, value) in restrictions(columns, &scan.conditions) {
            relations.push(format!("{} {relation} ?", quoted(&column.name)));
            values.push(value);
        }
        if !relations.is_empty() {
            text = format!("{text} WHERE {}", relations.join(" AND "));
        }
        if let Some(limit) = scan.limit {
            text = format!("{text} LIMIT {}", i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        }
        (Self { text, values }, selected)
    }
}

/// Whether a condition can be of use.
pub(super) fn accepts(condition: &Condition, columns: &[Column]) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().any(|part| accepts(part, columns)),
        Condition::Compare { column, operator, value } => key(column, columns).is_some_and(|column| {
            let usable = *operator == Operator::Equal || is(column, role::CLUSTERING);
            usable && relation(column, *operator, value).is_some()
        }),
        Condition::In { column, values } => {
            key(column, columns).is_some_and(|column| is(column, role::PARTITION) && in_list(column, values).is_some())
        }
        Condition::Any(_) => one_of(condition).is_some_and(|list| accepts(&list, columns)),
        Condition::Prefix { .. } | Condition::Null { .. } | Condition::NotNull { .. } => false,
    }
}

/// Relations on the key that CQL answers by it.
fn restrictions<'a>(columns: &'a [Column], conditions: &[Condition]) -> Vec<(&'a Column, &'static str, CqlValue)> {
    let mut atoms = Vec::new();
    conditions.iter().for_each(|condition| flatten(condition, &mut atoms));
    let equal = |column: &'a Column| {
        atoms.iter().find_map(|atom| match atom {
            Condition::Compare { column: name, operator: Operator::Equal, value } if *name == column.name => {
                relation(column, Operator::Equal, value).map(|(relation, value)| (column, relation, value))
            }
            _ => None,
        })
    };
    let listed = |column: &'a Column| {
        atoms.iter().find_map(|atom| match atom {
            Condition::In { column: name, values } if *name == column.name => {
                in_list(column, values).map(|list| (column, "IN", list))
            }
            _ => None,
        })
    };
    let mut found = Vec::new();
    let partition = keys(columns, role::PARTITION);
    for (at, column) in partition.iter().copied().enumerate() {
        let is_last = at + 1 == partition.len();
        match equal(column).or_else(|| listed(column).filter(|_| is_last)) {
            Some(restriction) => found.push(restriction),
            None => return Vec::new(),
        }
    }
    for column in keys(columns, role::CLUSTERING) {
        if let Some(restriction) = equal(column) {
            found.push(restriction);
            continue;
        }
        for bound in [[Operator::Greater, Operator::GreaterOrEqual], [Operator::Less, Operator::LessOrEqual]] {
            found.extend(atoms.iter().find_map(|atom| match atom {
                Condition::Compare { column: name, operator, value }
                    if *name == column.name && bound.contains(operator) =>
                {
                    relation(column, *operator, value).map(|(relation, value)| (column, relation, value))
                }
                _ => None,
            }));
        }
        break;
    }
    found
}

fn flatten(condition: &Condition, atoms: &mut Vec<Condition>) {
    match condition {
        Condition::All(parts) => parts.iter().for_each(|part| flatten(part, atoms)),
        Condition::Any(_) => atoms.extend(one_of(condition)),
        atom => atoms.push(atom.clone()),
    }
}

/// Several values of one column, which the engine writes as an OR where they are few.
fn one_of(condition: &Condition) -> Option<Condition> {
    fn collect<'a>(condition: &'a Condition, column: &mut Option<&'a String>, list: &mut Vec<Value>) -> Option<()> {
        let mut is_same = |name: &'a String| *column.get_or_insert(name) == name;
        match condition {
            Condition::Compare { column: name, operator: Operator::Equal, value } if is_same(name) => {
                list.push(value.clone());
            }
            Condition::In { column: name, values } if is_same(name) => list.extend(values.iter().cloned()),
            Condition::Any(parts) => return parts.iter().try_for_each(|part| collect(part, column, list)),
            _ => return None,
        }
        Some(())
    }
    let (mut column, mut values) = (None, Vec::new());
    collect(condition, &mut column, &mut values)?;
    Some(Condition::In { column: column?.clone(), values })
}

fn is(column: &Column, role: &str) -> bool {
    column.native["role"] == role
}

/// The columns of a part of the key, in its order.
fn keys<'a>(columns: &'a [Column], role: &str) -> Vec<&'a Column> {
    let mut keys: Vec<&Column> = columns.iter().filter(|column| is(column, role)).collect();
    keys.sort_by_key(|column| column.native["at"].as_i64());
    keys
}

fn key<'a>(name: &str, columns: &'a [Column]) -> Option<&'a Column> {
    let is_key = |column: &&Column| is(column, role::PARTITION) || is(column, role::CLUSTERING);
    columns.iter().filter(is_key).find(|column| column.name == name)
}

fn in_list(column: &Column, values: &[Value]) -> Option<CqlValue> {
    if values.len() > LONGEST_IN {
        return None;
    }
    let mut list = Vec::new();
    for value in values {
        let (_, value) = relation(column, Operator::Equal, value)?;
        // Two texts may be one value, whose rows must not come twice.
        if !list.contains(&value) {
            list.push(value);
        }
    }
    Some(CqlValue::List(list))
}

/// A relation that holds at least where the comparison does; `None` where there is none.
fn relation(column: &Column, operator: Operator, value: &Value) -> Option<(&'static str, CqlValue)> {
    let sign = match operator {
        Operator::Equal => "=",
        Operator::NotEqual => return None,
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
    };
    let equal = operator == Operator::Equal;
    let lower = matches!(operator, Operator::Greater | Operator::GreaterOrEqual);
    let cql = match (column.native["type"].as_str()?, value) {
        ("ascii", Value::Text(text)) if text.is_ascii() && is_key_text(column, text) => CqlValue::Ascii(text.clone()),
        ("text", Value::Text(text)) if is_key_text(column, text) => CqlValue::Text(text.clone()),
        ("boolean", Value::Bool(value)) if equal => CqlValue::Boolean(*value),
        ("tinyint", Value::Int(value)) => CqlValue::TinyInt(i8::try_from(*value).ok()?),
        ("smallint", Value::Int(value)) => CqlValue::SmallInt(i16::try_from(*value).ok()?),
        ("int", Value::Int(value)) => CqlValue::Int(i32::try_from(*value).ok()?),
        ("bigint", Value::Int(value)) => CqlValue::BigInt(*value),
        ("varint", Value::Decimal(value)) => {
            CqlValue::Varint(CqlVarint::from_signed_bytes_be(shortest(value.at_scale(0)?)))
        }
        ("timestamp", Value::Moment(microseconds)) => {
            let whole = microseconds.rem_euclid(1_000) == 0;
            let below = microseconds.div_euclid(1_000);
            // Between two milliseconds: none is equal, and the next one is the first that is not below.
            let milliseconds = match operator {
                Operator::Equal if !whole => return None,
                Operator::Less | Operator::GreaterOrEqual if !whole => below + 1,
                _ => below,
            };
            CqlValue::Timestamp(CqlTimestamp(milliseconds))
        }
        // They are not ordered as their texts are.
        ("uuid", Value::Text(text)) if equal => CqlValue::Uuid(Uuid::parse_str(text).ok()?),
        ("timeuuid", Value::Text(text)) if equal => {
            CqlValue::Timeuuid(Uuid::parse_str(text).ok().filter(|uuid| uuid.get_version_num() == 1)?.into())
        }
        ("inet", Value::Text(text)) if equal => CqlValue::Inet(text.parse().ok()?),
        // Dates beyond the year 9999 are written with a sign, which is below all digits.
        ("date", Value::Text(text)) if equal || (lower && is_plain_date(text)) => CqlValue::Date(types::date(text)?),
        _ => return None,
    };
    Some((sign, cql))
}

/// A partition key has at least a byte, and no key has too many.
fn is_key_text(column: &Column, text: &str) -> bool {
    text.len() <= LONGEST_KEY && !(text.is_empty() && is(column, role::PARTITION))
}

fn is_plain_date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[0].is_ascii_digit()
}

/// A number in two's complement with as few bytes as it takes, which is the one form that keys have.
fn shortest(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { u8::MAX } else { 0 };
    let spare = bytes.windows(2).take_while(|pair| pair[0] == sign && (pair[1] ^ sign) & 0x80 == 0).count();
    bytes[spare..].to_vec()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use serde_json::json;

    use super::*;

    fn column(name: &str, cql: &str, role: &str, at: i32) -> Column {
        Column::new(name, cql, DataType::Utf8).with_native(json!({"role": role, "at": at, "type": cql}))
    }

    fn columns() -> Vec<Column> {
        vec![
            column("tenant", "text", role::PARTITION, 0),
            column("day", "date", role::PARTITION, 1),
            column("at", "timestamp", role::CLUSTERING, 0),
            column("n", "int", role::CLUSTERING, 1),
            column("v\"", "text", role::REGULAR, 0),
        ]
    }

    fn compare(column: &str, operator: Operator, value: Value) -> Condition {
        Condition::Compare { column: column.to_owned(), operator, value }
    }

    fn text(columns: &[Column], conditions: Vec<Condition>, fields: &[&str], limit: Option<usize>) -> String {
        let scan = Scan { fields: fields.iter().map(|field| (*field).to_owned()).collect(), conditions, limit };
        Statement::of(&TableName::new("ks", "T"), columns, &scan).0.text
    }

    #[test]
    fn only_what_the_key_answers_is_sent() {
        use Operator::{Equal, Greater, Less, LessOrEqual};
        let columns = columns();
        let tenant = || compare("tenant", Equal, Value::text("a"));
        let day = || compare("day", Equal, Value::text("2024-02-29"));
        let at = |operator| compare("at", operator, Value::Moment(5_000));
        let n = |operator| compare("n", operator, Value::Int(3));
        let sent = |conditions| text(&columns, conditions, &["n"], None);
        let all = "SELECT \"n\" FROM \"ks\".\"T\"";
        assert_eq!(sent(vec![]), all);
        assert_eq!(sent(vec![tenant(), at(Equal)]), all);
        let key = format!("{all} WHERE \"tenant\" = ? AND \"day\" = ?");
        assert_eq!(sent(vec![Condition::All(vec![day(), tenant()])]), key);
        assert_eq!(sent(vec![tenant(), day(), n(Equal)]), key);
        assert_eq!(
            sent(vec![tenant(), day(), at(Greater), at(LessOrEqual), n(Equal)]),
            format!("{key} AND \"at\" > ? AND \"at\" <= ?")
        );
        assert_eq!(sent(vec![tenant(), day(), at(Equal), n(Less)]), format!("{key} AND \"at\" = ? AND \"n\" < ?"));
        let days = || Condition::In {
            column: "day".into(),
            values: vec![Value::text("2024-01-01"), Value::text("2024-01-02")],
        };
        assert_eq!(sent(vec![tenant(), days()]), format!("{all} WHERE \"tenant\" = ? AND \"day\" IN ?"));
        let tenants = Condition::In { column: "tenant".into(), values: vec![Value::text("a"), Value::text("b")] };
        assert_eq!(sent(vec![tenants, day()]), all);
        assert_eq!(sent(vec![Condition::Any(vec![tenant(), day()])]), all);
        let either = Condition::Any(vec![day(), Condition::Any(vec![days(), day()])]);
        assert_eq!(sent(vec![tenant(), either]), sent(vec![tenant(), days()]));
        assert_eq!(text(&columns, vec![], &["v\""], Some(5)), "SELECT \"v\"\"\" FROM \"ks\".\"T\" LIMIT 5");
        assert_eq!(text(&columns, vec![], &[], None), "SELECT \"tenant\" FROM \"ks\".\"T\"");
        let with_static = [columns, vec![column("s", "text", role::STATIC, 0)]].concat();
        assert_eq!(text(&with_static, vec![], &[], None), "SELECT \"s\" FROM \"ks\".\"T\"");
    }

    #[test]
    fn a_value_that_a_key_cannot_have_is_not_sent() {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let of = |cql: &str, role: &str, operator, value: Value| {
            relation(&column("c", cql, role, 0), operator, &value).map(|(sign, value)| format!("{sign} {value:?}"))
        };
        let clustering = |cql: &str, operator, value| of(cql, role::CLUSTERING, operator, value);
        assert_eq!(of("text", role::PARTITION, Equal, Value::text("")), None);
        assert!(clustering("text", Equal, Value::text("")).is_some());
        assert_eq!(clustering("ascii", Equal, Value::text("ü")), None);
        assert_eq!(clustering("int", Equal, Value::Int(1 << 40)), None);
        assert_eq!(clustering("uuid", Equal, Value::text("x")), None);
        assert_eq!(clustering("uuid", Greater, Value::text("00000000-0000-0000-0000-000000000000")), None);
        assert_eq!(clustering("decimal", Equal, Value::Decimal(1.into())), None);
        assert_eq!(clustering("double", Equal, Value::Float(0.0)), None);
        assert_eq!(clustering("date", LessOrEqual, Value::text("2024-01-01")), None);
        assert!(clustering("date", GreaterOrEqual, Value::text("2024-01-01")).is_some());
        let milliseconds = |operator, value| match relation(
            &column("c", "timestamp", role::CLUSTERING, 0),
            operator,
            &Value::Moment(value),
        ) {
            Some((_, CqlValue::Timestamp(CqlTimestamp(milliseconds)))) => Some(milliseconds),
            _ => None,
        };
        assert_eq!((milliseconds(Equal, 5_000), milliseconds(Equal, 5_001)), (Some(5), None));
        assert_eq!((milliseconds(Greater, 5_001), milliseconds(GreaterOrEqual, 5_001)), (Some(5), Some(6)));
        assert_eq!((milliseconds(Less, 5_001), milliseconds(LessOrEqual, 5_001)), (Some(6), Some(5)));
        assert_eq!((milliseconds(Less, 5_000), milliseconds(GreaterOrEqual, -1_500)), (Some(5), Some(-1)));
        for (value, bytes) in
            [(0, vec![0]), (127, vec![127]), (128, vec![0, 128]), (-128, vec![128]), (-129, vec![255, 127])]
        {
            assert_eq!(shortest(value), bytes, "{value}");
        }
    }
}
