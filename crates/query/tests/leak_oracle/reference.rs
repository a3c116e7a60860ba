//! The policies' meaning, written once more: row by row, value by value, in plain Rust.
//!
//! Nothing here calls the crates under test. Where this and the engine differ, one of them is wrong.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    /// Days since 1970.
    Date(i32),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Float,
    Text,
    Date,
}

/// A row filter, and how it is written in a policy.
#[derive(Debug, Clone)]
pub enum Filter {
    Compare {
        column: usize,
        op: &'static str,
        value: Value,
    },
    In {
        column: usize,
        values: Vec<Value>,
        negated: bool,
    },
    Like {
        column: usize,
        prefix: String,
        negated: bool,
    },
    IsNull {
        column: usize,
        negated: bool,
    },
    /// Compares with an attribute that the caller has (its value) or lacks (none).
    Attribute {
        column: usize,
        op: &'static str,
        name: &'static str,
        value: Option<Value>,
    },
    /// Is among the values that a sub-select, which is written so, has.
    Entitled {
        column: usize,
        select: &'static str,
        values: Vec<Value>,
    },
    /// About who asks, when and from where, and not about the row.
    Fact {
        text: &'static str,
        truth: bool,
    },
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    /// As a policy's condition.
    pub fn text(&self, columns: &[&str]) -> String {
        match self {
            Filter::Compare { column, op, value } => format!("{} {op} {}", columns[*column], literal(value)),
            Filter::In { column, values, negated } => {
                let values: Vec<_> = values.iter().map(literal).collect();
                format!("{} {}IN ({})", columns[*column], if *negated { "NOT " } else { "" }, values.join(", "))
            }
            Filter::Like { column, prefix, negated } => {
                format!("{} {}LIKE '{prefix}%'", columns[*column], if *negated { "NOT " } else { "" })
            }
            Filter::IsNull { column, negated } => {
                format!("{} IS {}NULL", columns[*column], if *negated { "NOT " } else { "" })
            }
            Filter::Attribute { column, op, name, .. } => format!("{} {op} current_user_{name}", columns[*column]),
            Filter::Entitled { column, select, .. } => format!("{} IN ({select})", columns[*column]),
            Filter::Fact { text, .. } => (*text).to_owned(),
            Filter::And(a, b) => format!("({} AND {})", a.text(columns), b.text(columns)),
            Filter::Or(a, b) => format!("({} OR {})", a.text(columns), b.text(columns)),
            Filter::Not(a) => format!("NOT ({})", a.text(columns)),
        }
    }

    /// Whether the row may be seen.
    pub fn lets_through(&self, row: &[Value]) -> bool {
        !self.lacks_attribute() && self.truth(row) == Some(true)
    }

    pub fn lacks_attribute(&self) -> bool {
        match self {
            Filter::Attribute { value, .. } => value.is_none(),
            Filter::And(a, b) | Filter::Or(a, b) => a.lacks_attribute() || b.lacks_attribute(),
            Filter::Not(a) => a.lacks_attribute(),
            _ => false,
        }
    }

    /// True, false or unknown.
    fn truth(&self, row: &[Value]) -> Option<bool> {
        match self {
            Filter::Compare { column, op, value } => compare(&row[*column], op, value),
            Filter::Attribute { column, op, value, .. } => compare(&row[*column], op, value.as_ref()?),
            Filter::In { column, values, negated } => {
                let mut any = Some(false);
                for value in values {
                    match compare(&row[*column], "=", value) {
                        Some(true) => return Some(!negated),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                any.map(|any| any != *negated)
            }
            Filter::Like { column, prefix, negated } => match &row[*column] {
                Value::Text(text) => Some(text.starts_with(prefix) != *negated),
                _ => None,
            },
            Filter::IsNull { column, negated } => Some((row[*column] == Value::Null) != *negated),
            Filter::Entitled { column, values, .. } => {
                Some(values.iter().any(|value| compare(&row[*column], "=", value) == Some(true)))
            }
            Filter::Fact { truth, .. } => Some(*truth),
            Filter::And(a, b) => match (a.truth(row), b.truth(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Filter::Or(a, b) => match (a.truth(row), b.truth(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Filter::Not(a) => a.truth(row).map(|truth| !truth),
        }
    }
}

fn compare(left: &Value, op: &str, right: &Value) -> Option<bool> {
    let order = match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return None,
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b)?,
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        other => panic!("a filter compares {other:?}"),
    };
    Some(match op {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        other => panic!("unknown comparison {other}"),
    })
}

/// As it is written in conditions.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Date(days) => format!("'{}'", date_text(*days)),
    }
}

pub fn date_text(days: i32) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A mask, as the contract names it.
#[derive(Debug, Clone)]
pub enum Mask {
    NullValue,
    Redact,
    ConstantText(&'static str),
    ConstantInt(i64),
    Hash,
    Partial {
        keep_first: usize,
        keep_last: usize,
    },
    Email,
    DigitsToHash,
    ToYear,
    ToMonth,
    Round {
        to: i64,
    },
    Tokenize,
    Card {
        keep_first: usize,
        keep_last: usize,
    },
    BucketSize(i64),
    BucketBounds(&'static [i64]),
    /// The value where the row passes, else NULL.
    ValueWhere(Filter),
    /// The text where the row passes, else its first letter, in capitals, with a sign.
    InitialUnless(Filter),
}

impl Mask {
    /// What the column holds afterwards.
    pub fn kind(&self, kind: Kind) -> Kind {
        match self {
            Mask::NullValue | Mask::Redact | Mask::ToYear | Mask::ToMonth | Mask::Round { .. } => kind,
            Mask::ConstantInt(_) if matches!(kind, Kind::Int | Kind::Float) => kind,
            Mask::ConstantInt(_) | Mask::ConstantText(_) => Kind::Text,
            Mask::Hash | Mask::Partial { .. } | Mask::Email | Mask::DigitsToHash => Kind::Text,
            Mask::Tokenize | Mask::Card { .. } | Mask::BucketSize(_) | Mask::BucketBounds(_) => Kind::Text,
            Mask::ValueWhere(_) | Mask::InitialUnless(_) => kind,
        }
    }

    /// The column's expression, for those that are written as one.
    pub fn expression(&self, column: &str, columns: &[&str]) -> Option<String> {
        match self {
            Mask::ValueWhere(filter) => Some(format!("CASE WHEN {} THEN {column} ELSE NULL END", filter.text(columns))),
            Mask::InitialUnless(filter) => Some(format!(
                "CASE WHEN {} THEN {column} ELSE upper(left({column}, 1)) || '~' || right('abc', 0) END",
                filter.text(columns)
            )),
            _ => None,
        }
    }

    /// Whether it has no meaning for what the column holds. By the column's tag it then leaves nothing of it.
    pub fn is_senseless(&self, kind: Kind) -> bool {
        match self {
            Mask::ToYear | Mask::ToMonth => kind != Kind::Date,
            Mask::Round { .. } | Mask::BucketSize(_) | Mask::BucketBounds(_) => matches!(kind, Kind::Text | Kind::Date),
            _ => false,
        }
    }

    pub fn fits(&self, kind: Kind) -> bool {
        match self {
            Mask::ToYear | Mask::ToMonth => kind == Kind::Date,
            Mask::Round { .. } => matches!(kind, Kind::Int | Kind::Float),
            // How floating point numbers and dates are written out is not this test's business.
            Mask::Hash
            | Mask::Partial { .. }
            | Mask::Email
            | Mask::DigitsToHash
            | Mask::Tokenize
            | Mask::Card { .. } => {
                matches!(kind, Kind::Int | Kind::Text)
            }
            Mask::BucketSize(_) | Mask::BucketBounds(_) => matches!(kind, Kind::Int | Kind::Float),
            Mask::ValueWhere(_) => true,
            Mask::InitialUnless(_) => kind == Kind::Text,
            Mask::ConstantText(_) => kind != Kind::Date,
            Mask::ConstantInt(_) => kind != Kind::Date,
            Mask::NullValue | Mask::Redact => true,
        }
    }

    /// What stands in the place of the row's value at that column.
    pub fn apply(&self, row: &[Value], at: usize, kind: Kind, key: &[u8]) -> Value {
        let value = &row[at];
        match self {
            Mask::ValueWhere(filter) if filter.lets_through(row) => return value.clone(),
            Mask::ValueWhere(_) => return Value::Null,
            // An attribute that nobody has leaves nothing of the column.
            Mask::InitialUnless(filter) if filter.lacks_attribute() => return Value::Null,
            Mask::InitialUnless(filter) if filter.lets_through(row) => return value.clone(),
            Mask::NullValue => return Value::Null,
            Mask::Redact if kind == Kind::Text => return Value::Text("[REDACTED]".to_owned()),
            Mask::Redact => return Value::Null,
            Mask::ConstantText(text) => return Value::Text((*text).to_owned()),
            Mask::ConstantInt(number) if kind == Kind::Float => return Value::Float(*number as f64),
            Mask::ConstantInt(number) if kind == Kind::Text => return Value::Text(number.to_string()),
            Mask::ConstantInt(number) => return Value::Int(*number),
            _ => {}
        }
        let text = match value {
            Value::Null => return Value::Null,
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Float(_) | Value::Date(_) => String::new(),
        };
        match self {
            Mask::Hash => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
                mac.update(text.as_bytes());
                let digest = mac.finalize().into_bytes();
                Value::Text(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Mask::Partial { keep_first, keep_last } => {
                let letters: Vec<char> = text.chars().collect();
                let hides_nothing = keep_first + keep_last >= letters.len();
                let shown = |at: usize| !hides_nothing && (at < *keep_first || at + keep_last >= letters.len());
                Value::Text(letters.iter().enumerate().map(|(at, c)| if shown(at) { *c } else { '*' }).collect())
            }
            Mask::Email => Value::Text(match text.rfind('@') {
                None => "***".to_owned(),
                Some(at) if text[..at].chars().count() > 1 => {
                    format!("{}***{}", text.chars().next().unwrap(), &text[at..])
                }
                Some(at) => format!("***{}", &text[at..]),
            }),
            Mask::DigitsToHash => {
                let mut masked = String::new();
                let mut in_digits = false;
                for c in text.chars() {
                    if !c.is_ascii_digit() {
                        masked.push(c);
                    } else if !in_digits {
                        masked.push('#');
                    }
                    in_digits = c.is_ascii_digit();
                }
                Value::Text(masked)
            }
            Mask::Tokenize => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
                mac.update(b"the key of tokens");
                let key = UnboundKey::new(&AES_256_GCM_SIV, &mac.finalize().into_bytes()[..]).unwrap();
                let mut sealed = text.into_bytes();
                sealed.push(0x80);
                while sealed.len() % 16 != 0 {
                    sealed.push(0);
                }
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).unwrap();
                Value::Text(format!("tok_{}", URL_SAFE_NO_PAD.encode(sealed)))
            }
            Mask::Card { keep_first, keep_last } => {
                let letters: Vec<char> = text.chars().collect();
                let digits: Vec<usize> = (0..letters.len()).filter(|at| letters[*at].is_ascii_digit()).collect();
                let is_gap = |c: char| c == ' ' || c == '-';
                let is_card = digits.len() >= 12 && letters.iter().all(|c| c.is_ascii_digit() || is_gap(*c));
                let covered = |at: usize| match digits.iter().position(|digit| *digit == at) {
                    Some(place) => place >= *keep_first && place < digits.len() - keep_last,
                    None => false,
                };
                let shown = |at: usize| is_card && !covered(at);
                Value::Text(letters.iter().enumerate().map(|(at, c)| if shown(at) { *c } else { '*' }).collect())
            }
            Mask::BucketSize(_) | Mask::BucketBounds(_) => {
                let number = match value {
                    Value::Int(number) => *number as f64,
                    Value::Float(number) => *number,
                    other => panic!("a mask of numbers on {other:?}"),
                };
                Value::Text(match self {
                    Mask::BucketSize(size) => {
                        let low = (number / *size as f64).floor() as i64 * size;
                        format!("{low} to under {}", low + size)
                    }
                    Mask::BucketBounds(bounds) => {
                        let low = bounds.iter().rev().find(|bound| **bound as f64 <= number);
                        let high = bounds.iter().find(|bound| **bound as f64 > number);
                        match (low, high) {
                            (Some(low), Some(high)) => format!("{low} to under {high}"),
                            (Some(low), None) => format!("{low} and more"),
                            (None, Some(high)) => format!("under {high}"),
                            (None, None) => unreachable!(),
                        }
                    }
                    _ => unreachable!(),
                })
            }
            Mask::InitialUnless(_) => {
                let initial: String = text.chars().take(1).collect();
                Value::Text(format!("{}~", initial.to_uppercase()))
            }
            Mask::ToYear | Mask::ToMonth => {
                let Value::Date(days) = value else { panic!("a mask of dates on {value:?}") };
                let (year, month, _) = civil(*days);
                Value::Date(days_of(year, if matches!(self, Mask::ToYear) { 1 } else { month }, 1))
            }
            Mask::Round { to } => match value {
                Value::Int(number) => {
                    let (quotient, rest) = (number / to, number % to);
                    let up = rest.abs() * 2 >= *to;
                    Value::Int((quotient + if up { number.signum() } else { 0 }) * to)
                }
                Value::Float(number) => Value::Float((number / *to as f64).round() * *to as f64),
                other => panic!("a mask of numbers on {other:?}"),
            },
            _ => panic!("{self:?} has been applied above"),
        }
    }
}

/// Year, month and day of a day since 1970 (Howard Hinnant's algorithm).
fn civil(days: i32) -> (i32, i32, i32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i32::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

pub fn days_of(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
