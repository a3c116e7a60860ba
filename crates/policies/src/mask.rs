//! Masks: what stands in a column's place for somebody who may not see the values.
//!
//! Every mask is *total*: it has an answer for every value and never fails, so that masking can not tell
//! one hidden value from another by an error. A mask is applied to the stored value, below everything that
//! the caller writes: `WHERE ssn = '…'` compares with the mask.
//!
//! Masks are ordered by strictness, and the order is total, so "the strictest wins" is a maximum:
//! associative, commutative, idempotent, whatever the policies' priorities. From strictest on:
//!
//! | mask           | what is left of the value                         | NULL stays NULL |
//! | -------------- | ------------------------------------------------- | --------------- |
//! | `null_value`   | nothing                                           | everything is NULL |
//! | `redact`       | nothing: `[REDACTED]` for text, NULL for the rest | no |
//! | `constant`     | nothing: the given value                          | no |
//! | `hash`         | equality (keyed: not to be guessed from outside)  | yes |
//! | `tokenize`     | equality, and the value itself for who may ask    | yes |
//! | `partial`      | some characters at the ends; fewer is stricter    | yes |
//! | `card`         | digits at the ends of a card's number             | yes |
//! | `email`        | first letter and domain                           | yes |
//! | `regex_replace`| what the pattern does not match                   | yes |
//! | `bucket`       | the range that a number lies in                   | yes |
//! | `truncate_date`| the year, quarter, …; coarser is stricter         | yes |
//! | `round_number` | the nearest multiple; the larger is stricter      | yes |
//! | `expression`   | what its author computes from the row             | as written |
//!
//! `partial`, `card`, `email`, `hash`, `tokenize` and `regex_replace` work on text; other scalar columns are rendered as
//! text and become text columns, and so does a `bucket`. What an `expression` leaves is not known, so each other mask on
//! the same column stands above it, and what it would show of another column has to be seen itself: else nothing is left.
//! `round_number` and `bucket` need numbers, `truncate_date` dates or timestamps. A mask on a column that it does not fit
//! cannot be applied, and what cannot be applied refuses the query.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use hmac::{Hmac, KeyInit, Mac};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::Sha256;

use crate::{
    bucket::Buckets,
    condition::Literal,
    expression::Expression,
    facts::Facts,
    rule::{ConfigError, from_json},
    tokens::TokenKey,
};

/// What `redact` writes over text.
pub const REDACTED: &str = "[REDACTED]";

const MAX_PATTERN_CHARS: usize = 500;
const MAX_PATTERN_BYTES_COMPILED: usize = 1 << 20;
const MAX_TEXT_OPTION_CHARS: usize = 255;

/// The contract's names of the masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaskingFunction {
    Redact,
    NullValue,
    Partial,
    Email,
    Hash,
    Constant,
    RoundNumber,
    TruncateDate,
    RegexReplace,
    Tokenize,
    Card,
    Bucket,
    Expression,
}

/// A mask with its options checked.
#[derive(Debug, Clone)]
pub enum Mask {
    NullValue,
    Redact,
    /// The same value in every row; given in the column's type where it can be read as that, else as text.
    Constant {
        value: String,
    },
    /// HMAC-SHA256 under the organization's key, 32 hexadecimal digits: equal values stay equal, across tables too.
    Hash,
    /// Keeps the first and last characters and writes `fill` over the rest; a value too short to hide
    /// anything is covered wholly.
    Partial {
        keep_first: u32,
        keep_last: u32,
        fill: char,
    },
    /// `a***@example.com`
    Email,
    RegexReplace {
        pattern: Arc<Regex>,
        replacement: String,
    },
    TruncateDate {
        unit: DateUnit,
    },
    /// To the nearest multiple of `to`, halves away from zero.
    RoundNumber {
        to: u64,
    },
    /// The value, sealed under the organization's key; equal values stay equal.
    Tokenize,
    /// Digits at the ends of a number that is as long as a card's; of every other text nothing.
    Card {
        keep_first: u32,
        keep_last: u32,
    },
    /// The range that the number lies in, as text.
    Bucket(Buckets),
    /// As written in a policy.
    Expression(Arc<Expression>),
    /// With the caller's attributes in it.
    Computed(Arc<Expression<Literal>>),
}

/// How much of a date is kept; later variants are coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateUnit {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// What a column holds, as far as rules ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Text,
    Number,
    Boolean,
    Date,
    Timestamp,
    /// Binary, lists, structures, intervals.
    Other,
}

/// The key that an organization's hashed values are made with.
#[derive(Clone)]
pub struct HashKey {
    hash: Arc<[u8]>,
    tokens: TokenKey,
}

impl HashKey {
    pub fn new(key: &[u8]) -> Self {
        let tokens = TokenKey::new(&digest(key, b"the key of tokens"));
        Self { hash: key.into(), tokens }
    }

    /// The value that a token stands for; nothing for what is no token of this key.
    pub fn detokenize(&self, token: &str) -> Option<String> {
        self.tokens.open(token)
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}

impl Mask {
    /// Checks the options of a masking function; what it does not know, it refuses.
    pub fn parse(function: MaskingFunction, options: Option<&Json>) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct None {}
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Partial {
            keep_first: u32,
            keep_last: u32,
            fill: char,
        }
        impl Default for Partial {
            fn default() -> Self {
                Self { keep_first: 0, keep_last: 4, fill: '*' }
            }
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Constant {
            value: Json,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RoundNumber {
            to: u64,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct TruncateDate {
            unit: DateUnit,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Card {
            keep_first: u32,
            keep_last: u32,
        }
        impl Default for Card {
            fn default() -> Self {
                Self { keep_first: 0, keep_last: 4 }
            }
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Custom {
            expression: String,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RegexReplace {
            pattern: String,
            #[serde(default = "default_replacement")]
            replacement: String,
        }
        fn default_replacement() -> String {
            "***".to_owned()
        }

        let empty = Json::Object(Default::default());
        let options = options.filter(|options| !options.is_null()).unwrap_or(&empty);
        if !options.is_object() {
            return Err(ConfigError::new("options", "give an object"));
        }
        let at = |error: ConfigError| error.below("options");
        let plain = |mask| from_json::<None>(options).map(|_| mask).map_err(at);
        match function {
            MaskingFunction::NullValue => plain(Mask::NullValue),
            MaskingFunction::Redact => plain(Mask::Redact),
            MaskingFunction::Email => plain(Mask::Email),
            MaskingFunction::Hash => plain(Mask::Hash),
            MaskingFunction::Partial => {
                let Partial { keep_first, keep_last, fill } = from_json(options).map_err(at)?;
                Ok(Mask::Partial { keep_first, keep_last, fill })
            }
            MaskingFunction::Constant => {
                let value = match from_json::<Constant>(options).map_err(at)?.value {
                    Json::String(text) if text.chars().count() <= MAX_TEXT_OPTION_CHARS => text,
                    Json::Number(number) => number.to_string(),
                    Json::Bool(flag) => flag.to_string(),
                    _ => {
                        let reason =
                            format!("give a text of at most {MAX_TEXT_OPTION_CHARS} characters, a number or a boolean");
                        return Err(ConfigError::new("options.value", reason));
                    }
                };
                Ok(Mask::Constant { value })
            }
            MaskingFunction::RoundNumber => match from_json::<RoundNumber>(options).map_err(at)?.to {
                0 => Err(ConfigError::new("options.to", "give a number of at least 1")),
                to if to > i64::MAX as u64 => Err(ConfigError::new("options.to", "the number is too large")),
                to => Ok(Mask::RoundNumber { to }),
            },
            MaskingFunction::Tokenize => plain(Mask::Tokenize),
            MaskingFunction::Card => {
                let Card { keep_first, keep_last } = from_json(options).map_err(at)?;
                // What the industry's rules (PCI DSS, 3.4.1) let anybody see at most.
                if keep_first > 6 {
                    return Err(ConfigError::new("options.keep_first", "give at most 6"));
                }
                if keep_last > 4 {
                    return Err(ConfigError::new("options.keep_last", "give at most 4"));
                }
                Ok(Mask::Card { keep_first, keep_last })
            }
            MaskingFunction::Bucket => Buckets::parse(options).map(Mask::Bucket).map_err(at),
            MaskingFunction::Expression => {
                let Custom { expression } = from_json(options).map_err(at)?;
                let read = Expression::parse(&expression)
                    .map_err(|error| ConfigError::new("options.expression", error.to_string()))?;
                Ok(Mask::Expression(Arc::new(read)))
            }
            MaskingFunction::TruncateDate => {
                let TruncateDate { unit } = from_json(options).map_err(at)?;
                Ok(Mask::TruncateDate { unit })
            }
            MaskingFunction::RegexReplace => {
                let RegexReplace { pattern, replacement } = from_json(options).map_err(at)?;
                if pattern.is_empty() || pattern.chars().count() > MAX_PATTERN_CHARS {
                    let reason = format!("give a pattern of 1 to {MAX_PATTERN_CHARS} characters");
                    return Err(ConfigError::new("options.pattern", reason));
                }
                if replacement.chars().count() > MAX_TEXT_OPTION_CHARS {
                    let reason = format!("give at most {MAX_TEXT_OPTION_CHARS} characters");
                    return Err(ConfigError::new("options.replacement", reason));
                }
                let pattern = regex::RegexBuilder::new(&pattern)
                    .size_limit(MAX_PATTERN_BYTES_COMPILED)
                    .build()
                    .map_err(|error| ConfigError::new("options.pattern", error.to_string()))?;
                Ok(Mask::RegexReplace { pattern: Arc::new(pattern), replacement })
            }
        }
    }

    /// The contract's name of this mask.
    pub fn function(&self) -> MaskingFunction {
        match self {
            Mask::NullValue => MaskingFunction::NullValue,
            Mask::Redact => MaskingFunction::Redact,
            Mask::Constant { .. } => MaskingFunction::Constant,
            Mask::Hash => MaskingFunction::Hash,
            Mask::Partial { .. } => MaskingFunction::Partial,
            Mask::Email => MaskingFunction::Email,
            Mask::RegexReplace { .. } => MaskingFunction::RegexReplace,
            Mask::TruncateDate { .. } => MaskingFunction::TruncateDate,
            Mask::RoundNumber { .. } => MaskingFunction::RoundNumber,
            Mask::Tokenize => MaskingFunction::Tokenize,
            Mask::Card { .. } => MaskingFunction::Card,
            Mask::Bucket(_) => MaskingFunction::Bucket,
            Mask::Expression(_) | Mask::Computed(_) => MaskingFunction::Expression,
        }
    }

    /// The mask on one table, whose names for the columns `rename` knows.
    pub(crate) fn on_table<E>(self, rename: &mut impl FnMut(&str) -> Result<String, E>) -> Result<Self, E> {
        match self {
            Mask::Expression(written) => {
                Ok(Mask::Expression(Arc::new(Expression::clone(&written).map_columns(rename)?)))
            }
            other => Ok(other),
        }
    }

    /// The mask for one caller. One that asks for an attribute which the caller lacks leaves nothing of the column.
    pub(crate) fn bind(&self, facts: &Facts) -> Self {
        match self {
            Mask::Expression(written) => match written.bind(facts) {
                Some(bound) => Mask::Computed(Arc::new(bound)),
                None => Mask::NullValue,
            },
            other => other.clone(),
        }
    }

    /// The columns that it reads beside its own.
    pub fn columns(&self) -> BTreeSet<&str> {
        match self {
            Mask::Expression(written) => written.columns(),
            Mask::Computed(bound) => bound.columns(),
            _ => BTreeSet::new(),
        }
    }

    /// The columns of which values may come to stand in the place of its own.
    pub fn shown_columns(&self) -> BTreeSet<&str> {
        match self {
            Mask::Expression(written) => written.shown_columns(),
            Mask::Computed(bound) => bound.shown_columns(),
            _ => BTreeSet::new(),
        }
    }

    /// Whether the mask has a meaning on a column of this type.
    pub fn fits(&self, column: ColumnType) -> bool {
        match self {
            // Whether an expression fits is seen when it is put together.
            Mask::NullValue | Mask::Redact | Mask::Constant { .. } | Mask::Expression(_) | Mask::Computed(_) => true,
            Mask::Hash
            | Mask::Tokenize
            | Mask::Partial { .. }
            | Mask::Card { .. }
            | Mask::Email
            | Mask::RegexReplace { .. } => column != ColumnType::Other,
            Mask::TruncateDate { .. } => matches!(column, ColumnType::Date | ColumnType::Timestamp),
            Mask::RoundNumber { .. } | Mask::Bucket(_) => column == ColumnType::Number,
        }
    }

    /// The masks that look at a value as text. The others answer it unchanged here: they do not see text.
    pub fn apply_text(&self, value: &str, key: &HashKey) -> String {
        match self {
            Mask::Hash => keyed_hash(value, key),
            Mask::Tokenize => key.tokens.seal(value).unwrap_or_else(|| REDACTED.to_owned()),
            Mask::Card { keep_first, keep_last } => card(value, *keep_first, *keep_last),
            Mask::Partial { keep_first, keep_last, fill } => partial(value, *keep_first, *keep_last, *fill),
            Mask::Email => email(value),
            Mask::RegexReplace { pattern, replacement } => {
                pattern.replace_all(value, replacement.as_str()).into_owned()
            }
            Mask::Redact
            | Mask::NullValue
            | Mask::TruncateDate { .. }
            | Mask::RoundNumber { .. }
            | Mask::Bucket(_)
            | Mask::Expression(_)
            | Mask::Computed(_) => REDACTED.to_owned(),
            Mask::Constant { value } => value.clone(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Mask::NullValue => 13,
            Mask::Redact => 12,
            Mask::Constant { .. } => 11,
            Mask::Hash => 10,
            Mask::Tokenize => 9,
            Mask::Partial { .. } => 8,
            Mask::Card { .. } => 7,
            Mask::Email => 6,
            Mask::RegexReplace { .. } => 5,
            Mask::Bucket(_) => 4,
            Mask::TruncateDate { .. } => 3,
            Mask::RoundNumber { .. } => 2,
            Mask::Computed(_) => 1,
            Mask::Expression(_) => 0,
        }
    }
}

/// By strictness; masks that are equally strict but not equal are ordered by their options, so that the
/// strictest of several does not depend on the order in which they are met.
impl Ord for Mask {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank()).then_with(|| match (self, other) {
            (Mask::Constant { value: a }, Mask::Constant { value: b }) => a.cmp(b),
            (
                Mask::Partial { keep_first: a1, keep_last: a2, fill: a3 },
                Mask::Partial { keep_first: b1, keep_last: b2, fill: b3 },
            ) => {
                let kept = |first: &u32, last: &u32| u64::from(*first) + u64::from(*last);
                (kept(b1, b2), b1, a3).cmp(&(kept(a1, a2), a1, b3))
            }
            (Mask::RegexReplace { pattern: a, replacement: x }, Mask::RegexReplace { pattern: b, replacement: y }) => {
                (a.as_str(), x).cmp(&(b.as_str(), y))
            }
            (Mask::TruncateDate { unit: a }, Mask::TruncateDate { unit: b }) => a.cmp(b),
            (Mask::RoundNumber { to: a }, Mask::RoundNumber { to: b }) => a.cmp(b),
            (Mask::Card { keep_first: a1, keep_last: a2 }, Mask::Card { keep_first: b1, keep_last: b2 }) => {
                (b1 + b2, b1).cmp(&(a1 + a2, a1))
            }
            (Mask::Bucket(a), Mask::Bucket(b)) => a.cmp(b),
            (Mask::Computed(a), Mask::Computed(b)) => a.to_string().cmp(&b.to_string()),
            (Mask::Expression(a), Mask::Expression(b)) => a.to_string().cmp(&b.to_string()),
            _ => Ordering::Equal,
        })
    }
}

impl PartialOrd for Mask {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Mask {}

fn digest(key: &[u8], value: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length; the error arm of its type is empty.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(value);
    mac.finalize().into_bytes().into()
}

fn keyed_hash(value: &str, key: &HashKey) -> String {
    hex::encode(&digest(&key.hash, value.as_bytes())[..16])
}

/// A card's number has 12 digits at least (ISO/IEC 7812), and between them spaces and dashes alone.
fn card(value: &str, keep_first: u32, keep_last: u32) -> String {
    let is_gap = |c: char| c == ' ' || c == '-';
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let is_card = digits >= 12 && value.chars().all(|c| c.is_ascii_digit() || is_gap(c));
    let (first, last) = if is_card { (keep_first as usize, keep_last as usize) } else { (0, 0) };
    let mut at = 0;
    let cover = |c: char| {
        if is_card && is_gap(c) {
            return c;
        }
        at += 1;
        if at <= first || (is_card && at > digits - last) { c } else { '*' }
    };
    value.chars().map(cover).collect()
}

fn partial(value: &str, keep_first: u32, keep_last: u32, fill: char) -> String {
    let length = value.chars().count();
    let (first, last) = (keep_first as usize, keep_last as usize);
    if first.saturating_add(last) >= length {
        return std::iter::repeat_n(fill, length).collect();
    }
    value.chars().enumerate().map(|(at, c)| if at < first || at >= length - last { c } else { fill }).collect()
}

fn email(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((local, domain)) => match local.chars().next() {
            Some(first) if local.chars().nth(1).is_some() => format!("{first}***@{domain}"),
            _ => format!("***@{domain}"),
        },
        None => "***".to_owned(),
    }
}

/// The nearest multiple of `to`, halves away from zero, within `[min, max]`; where that multiple lies outside,
/// the next one towards zero.
pub fn round_integer(value: i128, to: u64, min: i128, max: i128) -> i128 {
    let to = i128::from(to);
    let truncated = value - value % to;
    let rest = (value % to).abs();
    if rest * 2 < to {
        return truncated;
    }
    let rounded = truncated.checked_add(to * value.signum()).unwrap_or(truncated);
    if (min..=max).contains(&rounded) { rounded } else { truncated }
}

/// [`round_integer`] for floating point numbers; infinities and NaN stay what they are.
pub fn round_float(value: f64, to: u64) -> f64 {
    let to = to as f64;
    let rounded = (value / to).round() * to;
    if rounded.is_finite() { rounded } else { value }
}

/// The first moment of the unit that the moment lies in; nothing where the calendar ends.
pub fn truncate_moment(moment: NaiveDateTime, unit: DateUnit) -> Option<NaiveDateTime> {
    let date = moment.date();
    let day = match unit {
        DateUnit::Hour => return date.and_hms_opt(moment.hour(), 0, 0),
        DateUnit::Day => date,
        DateUnit::Week => date.checked_sub_days(chrono::Days::new(date.weekday().num_days_from_monday().into()))?,
        DateUnit::Month => date.with_day(1)?,
        DateUnit::Quarter => NaiveDate::from_ymd_opt(date.year(), (date.month0() / 3) * 3 + 1, 1)?,
        DateUnit::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1)?,
    };
    day.and_hms_opt(0, 0, 0)
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
