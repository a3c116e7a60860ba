//! One document, whatever source it comes from.
//!
//! JSON has too few types for what sources hold (moments, bytes, exact decimals), and a JSON library has too many
//! liberties for a table: reordered fields, numbers rounded to fractions. So sources translate into this.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The fields of one document, in its order.
pub(crate) type Document = Vec<(String, Value)>;

/// A value in a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    Text(String),
    Bytes(Vec<u8>),
    /// Microseconds since 1970 in UTC.
    Moment(i64),
    Array(Vec<Value>),
    Object(Document),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number as it is written: whole if it is, else exact if 38 digits do, else the nearest fraction.
    pub fn number(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::Int(whole));
        }
        Decimal::parse(text).map(Self::Decimal).or_else(|| text.parse().ok().map(Self::Float))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Document> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    pub fn into_document(self) -> Option<Document> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A member of an object, taken out of it.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        match self {
            Self::Object(fields) => {
                let at = fields.iter().rposition(|(known, _)| known == name)?;
                Some(fields.swap_remove(at).1)
            }
            _ => None,
        }
    }

    /// What a JSON pointer (RFC 6901) leads to.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let Some(path) = pointer.strip_prefix('/') else { return pointer.is_empty().then_some(self) };
        path.split('/').try_fold(self, |value, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match value {
                Self::Array(items) => items.get(step.parse::<usize>().ok()?),
                value => value.get(&step),
            }
        })
    }

    /// What a JSON pointer leads to, taken out.
    pub fn take_pointer(mut self, pointer: &str) -> Option<Value> {
        let Some(path) = pointer.strip_prefix('/') else { return pointer.is_empty().then_some(self) };
        for step in path.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            self = match self {
                Self::Array(mut items) => {
                    let index: usize = step.parse().ok()?;
                    (index < items.len()).then(|| items.swap_remove(index))?
                }
                mut value => value.take(&step)?,
            };
        }
        Some(self)
    }

    /// A text as it is, anything else as JSON.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => serde_json::to_string(other).unwrap_or_default(),
        }
    }

    /// About how much memory it takes.
    pub fn size(&self) -> usize {
        16 + match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Array(items) => items.iter().map(Self::size).sum(),
            Self::Object(fields) => size_of(fields),
            _ => 0,
        }
    }
}

/// About how much memory a document takes.
pub(crate) fn size_of(document: &Document) -> usize {
    document.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// A decimal number, exactly: `digits / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub digits: i128,
    pub scale: u8,
}

impl Decimal {
    /// As many digits as a column of decimals holds.
    pub const DIGITS: u32 = 38;

    /// Reads `-12.50`, `1e3`, `1.5E-7`; `None` where it is no such number or has too many digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, unsigned) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            digits = digits.checked_mul(10)?.checked_add(digit)?;
        }
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        if scale < 0 {
            digits = digits.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
            scale = 0;
        }
        let scale = u8::try_from(scale).ok().filter(|scale| u32::from(*scale) <= Self::DIGITS)?;
        let fits = digits.unsigned_abs() < 10_u128.pow(Self::DIGITS);
        fits.then_some(Self { digits: if negative { -digits } else { digits }, scale })
    }

    /// A whole number in two's complement, the highest byte first; `None` where it has too many digits.
    pub fn whole(bytes: &[u8]) -> Option<i128> {
        let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let sign = if negative { u8::MAX } else { 0 };
        let (head, rest) = bytes.split_at(bytes.len().saturating_sub(16));
        let mut digits = [sign; 16];
        digits[16 - rest.len()..].copy_from_slice(rest);
        let value = i128::from_be_bytes(digits);
        let fits = head.iter().all(|byte| *byte == sign) && (value < 0) == negative;
        (fits && value.unsigned_abs() < 10_u128.pow(Self::DIGITS)).then_some(value)
    }

    /// Digits before the point.
    pub fn whole_digits(&self) -> u32 {
        let digits = self.digits.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
        digits.saturating_sub(u32::from(self.scale))
    }

    /// The digits for a column of this scale; `None` where they do not fit it exactly.
    pub fn at_scale(&self, scale: u8) -> Option<i128> {
        let factor = 10_i128.checked_pow(u32::from(scale.checked_sub(self.scale)?))?;
        let digits = self.digits.checked_mul(factor)?;
        (digits.unsigned_abs() < 10_u128.pow(Self::DIGITS)).then_some(digits)
    }
}

impl From<i128> for Decimal {
    fn from(digits: i128) -> Self {
        Self { digits, scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.digits.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if scale == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

/// A moment as text: `2024-02-29T12:00:00Z`.
pub(crate) fn moment_text(microseconds: i64) -> Option<String> {
    Some(DateTime::from_timestamp_micros(microseconds)?.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Microseconds of a moment that is written by RFC 3339; `None` for anything finer or else.
pub(crate) fn parse_moment(text: &str) -> Option<i64> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    (moment.timestamp_subsec_nanos() % 1_000 == 0).then(|| moment.timestamp_micros())
}

/// As JSON: bytes in Base64, moments by RFC 3339, decimals and numbers that JSON lacks as texts.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(value) => serializer.collect_str(value),
            Self::Decimal(value) => serializer.collect_str(value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_str(&STANDARD.encode(value)),
            Self::Moment(value) => match moment_text(*value) {
                Some(text) => serializer.serialize_str(&text),
                None => serializer.serialize_i64(*value),
            },
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// From JSON; whole numbers beyond 64 bits stay exact.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(i64::try_from(value).map_or_else(|_| Value::Decimal(i128::from(value).into()), Value::Int))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::text(value))
            }

            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut array = Vec::new();
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Value::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
                let mut object = Document::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Value::Object(object))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_in_its_order_and_exactly() {
        let text = r#"{"b":[1,-2.5,true,null],"a":{"x":"y"},"big":"18446744073709551615"}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.to_text(), text);
        let big: Value = serde_json::from_str("18446744073709551615").unwrap();
        assert_eq!(big, Value::Decimal(Decimal { digits: 18_446_744_073_709_551_615, scale: 0 }));
    }

    #[test]
    fn pointers_lead_to_values() {
        let value: Value = serde_json::from_str(r#"{"a/b": [{"c~": 7}]}"#).unwrap();
        assert_eq!(value.pointer("/a~1b/0/c~0"), Some(&Value::Int(7)));
        assert_eq!(value.pointer("/a~1b/1"), None);
        assert_eq!(value.pointer(""), Some(&value));
        assert_eq!(value.pointer("a"), None);
        assert_eq!(value.take_pointer("/a~1b/0/c~0"), Some(Value::Int(7)));
    }

    #[test]
    fn decimals_are_exact() {
        let shown = |text: &str| Decimal::parse(text).map(|decimal| decimal.to_string());
        for (text, expected) in [
            ("-0.05", Some("-0.05")),
            ("12.500", Some("12.5")),
            ("1e3", Some("1000")),
            ("1.5E-7", Some("0.00000015")),
            ("99999999999999999999999999999999999999", Some("99999999999999999999999999999999999999")),
            ("999999999999999999999999999999999999999", None),
            ("1e39", None),
            ("1e-39", None),
            ("NaN", None),
            ("", None),
            (".", None),
            ("1e", None),
            ("1e2147483648", None),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
        assert_eq!(Decimal::parse("1.25").unwrap().at_scale(4), Some(12_500));
        assert_eq!(Decimal::parse("1.25").unwrap().at_scale(1), None);
        assert_eq!(Decimal::parse("123.45").unwrap().whole_digits(), 3);
        let long = |first: u8, rest: u8| Decimal::whole(&[[first; 1].as_slice(), &[rest; 20]].concat());
        assert_eq!((long(0, 0), long(0xff, 0xff), long(0x7f, 0xff)), (Some(0), Some(-1), None));
        assert_eq!((Decimal::whole(&[]), Decimal::whole(&[0xff, 0x85])), (Some(0), Some(-123)));
        assert_eq!(Value::number("7"), Some(Value::Int(7)));
        assert_eq!(Value::number("1e300"), Some(Value::Float(1e300)));
    }
}
