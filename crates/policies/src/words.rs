//! Conditions and masks as a person reads them: the condition as it is written in a policy, and both in words.

use std::fmt::{self, Write as _};

use crate::{
    condition::{ATTRIBUTE_PREFIX, Comparison, Condition, FactComparison, Literal, Operand},
    facts::SessionFact,
    mask::{DateUnit, Mask},
};

/// What may stand on the right of a comparison.
pub trait Term {
    /// As it is written in a condition.
    fn written(&self) -> String;

    /// As it is told to a person.
    fn told(&self) -> String;
}

impl Term for Literal {
    fn written(&self) -> String {
        match self {
            Literal::Text(text) => quoted(text),
            Literal::Number(number) => number.clone(),
            Literal::Boolean(flag) => flag.to_string(),
        }
    }

    fn told(&self) -> String {
        self.written()
    }
}

impl Term for Operand {
    fn written(&self) -> String {
        match self {
            Operand::Literal(literal) => literal.written(),
            Operand::Attribute(name) => format!("{ATTRIBUTE_PREFIX}{name}"),
            Operand::Session(fact) => fact.name().to_owned(),
        }
    }

    fn told(&self) -> String {
        match self {
            Operand::Literal(literal) => literal.told(),
            Operand::Attribute(name) => format!("the person's {name}"),
            Operand::Session(fact) => match fact {
                SessionFact::Date => "the date",
                SessionFact::Time => "the time",
                SessionFact::Timestamp => "the date and time",
                SessionFact::Hour => "the hour",
                SessionFact::Weekday => "the day of the week",
                SessionFact::Ip => "the person's address",
            }
            .to_owned(),
        }
    }
}

/// As it is written in a policy; reading it gives the same condition.
impl<V: Term> fmt::Display for Condition<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match self {
            Condition::Compare { column, comparison, value } => {
                write!(f, "{} {comparison} {}", named(column), value.written())
            }
            Condition::In { column, values, negated } => {
                let values: Vec<String> = values.iter().map(Term::written).collect();
                write!(f, "{} {}IN ({})", named(column), not(negated), values.join(", "))
            }
            Condition::Like { column, pattern, negated } => {
                write!(f, "{} {}LIKE {}", named(column), not(negated), quoted(pattern))
            }
            Condition::IsNull { column, negated } => write!(f, "{} IS {}NULL", named(column), not(negated)),
            Condition::And(parts) => joined(f, parts, " AND "),
            Condition::Or(parts) => joined(f, parts, " OR "),
            Condition::Not(inner) => write!(f, "NOT ({inner})"),
            Condition::Entitled { column, select } => {
                let table: Vec<String> = select.table.split('.').map(named).collect();
                let (column, of) = (named(column), named(&select.column));
                write!(f, "{column} IN (SELECT {of} FROM {}", table.join("."))?;
                match &select.filter {
                    Some(filter) => write!(f, " WHERE {filter})"),
                    None => f.write_str(")"),
                }
            }
            Condition::Fact(test) => {
                let right: Vec<String> = test.right.iter().map(Term::written).collect();
                match test.comparison {
                    FactComparison::Compare(comparison) => {
                        write!(f, "{} {comparison} {}", test.left.written(), right.join(", "))
                    }
                    FactComparison::In { negated } => {
                        write!(f, "{} {}IN ({})", test.left.written(), not(&negated), right.join(", "))
                    }
                }
            }
            Condition::Known(known) => f.write_str(match known {
                Some(true) => "TRUE",
                Some(false) => "FALSE",
                None => "UNKNOWN",
            }),
        }
    }
}

fn joined<V: Term>(f: &mut fmt::Formatter<'_>, parts: &[Condition<V>], between: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        match part {
            Condition::And(_) | Condition::Or(_) => write!(f, "({part})")?,
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// In quotes where the language would not take the name without.
pub(crate) fn named(column: &str) -> String {
    if is_plain(column) { column.to_owned() } else { format!("\"{}\"", column.replace('"', "\"\"")) }
}

/// Whether the name is read as a column without quotes. Many words of SQL are; some begin something else.
fn is_plain(name: &str) -> bool {
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_word
        && matches!(Condition::parse(&format!("{name} IS NULL")),
            Ok(Condition::IsNull { column, negated: false }) if column == name)
}

impl<V: Term> Condition<V> {
    /// As a sentence tells it: `region is 'EU' and owner is not empty`.
    pub fn in_words(&self) -> String {
        match self {
            Condition::Compare { column, comparison, value } => {
                format!("{column} {} {}", in_words(*comparison), value.told())
            }
            Condition::In { values, negated, .. } if values.is_empty() => {
                format!("no rows, because the list {}is empty", if *negated { "of exclusions " } else { "" })
            }
            Condition::In { column, values, negated } => {
                let values: Vec<String> = values.iter().map(Term::told).collect();
                let is = if *negated { "is none of" } else { "is one of" };
                format!("{column} {is} {}", values.join(", "))
            }
            Condition::Like { column, pattern, negated } => {
                let is = if *negated { "is not like" } else { "is like" };
                format!("{column} {is} {}", quoted(pattern))
            }
            Condition::IsNull { column, negated } => {
                format!("{column} {}", if *negated { "is not empty" } else { "is empty" })
            }
            Condition::And(parts) => sentence(parts, " and "),
            Condition::Or(parts) => sentence(parts, " or "),
            Condition::Not(inner) => format!("not ({})", inner.in_words()),
            Condition::Entitled { column, select } => {
                let filter = select.filter.as_ref().map(|filter| format!(" where {}", filter.in_words()));
                format!("{column} is a {} of {}{}", select.column, select.table, filter.unwrap_or_default())
            }
            Condition::Fact(test) => {
                let right: Vec<String> = test.right.iter().map(Term::told).collect();
                let is = match test.comparison {
                    FactComparison::Compare(comparison) => in_words(comparison),
                    FactComparison::In { negated: false } => "is one of",
                    FactComparison::In { negated: true } => "is none of",
                };
                format!("{} {is} {}", test.left.told(), right.join(", "))
            }
            Condition::Known(Some(true)) => "every row at the moment".to_owned(),
            Condition::Known(_) => "no row at the moment".to_owned(),
        }
    }
}

fn sentence<V: Term>(parts: &[Condition<V>], between: &str) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Condition::And(_) | Condition::Or(_) => format!("({})", part.in_words()),
            _ => part.in_words(),
        })
        .collect();
    parts.join(between)
}

fn in_words(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "is",
        Comparison::NotEqual => "is not",
        Comparison::Less => "is less than",
        Comparison::LessOrEqual => "is at most",
        Comparison::Greater => "is more than",
        Comparison::GreaterOrEqual => "is at least",
    }
}

impl Mask {
    /// What is left of a value, as a sentence tells it.
    pub fn in_words(&self) -> String {
        match self {
            Mask::NullValue => "the value is removed".to_owned(),
            Mask::Redact => "the value is replaced by a fixed word, or removed".to_owned(),
            Mask::Constant { .. } => "every row shows the same value".to_owned(),
            Mask::Hash => "the value is replaced by a code that is the same for equal values".to_owned(),
            Mask::Partial { keep_first, keep_last, .. } => {
                let mut text = "all but ".to_owned();
                let _ = match (keep_first, keep_last) {
                    (0, 0) => return "every character is hidden".to_owned(),
                    (0, last) => write!(text, "the last {last}"),
                    (first, 0) => write!(text, "the first {first}"),
                    (first, last) => write!(text, "the first {first} and the last {last}"),
                };
                text + " characters are hidden"
            }
            Mask::Tokenize => {
                "the value is replaced by a token that authorized people can turn back into the value".to_owned()
            }
            Mask::Card { keep_first: 0, keep_last } => {
                format!("only the last {keep_last} digits of the card number are shown")
            }
            Mask::Card { keep_first, keep_last } => {
                format!("only the first {keep_first} and last {keep_last} digits of the card number are shown")
            }
            Mask::Bucket(_) => "only the range that the number falls into is shown".to_owned(),
            Mask::Expression(_) | Mask::Computed(_) => "the value is computed from the row".to_owned(),
            Mask::Email => "only the first letter and the domain of the address are shown".to_owned(),
            Mask::RegexReplace { .. } => "text that matches a pattern is replaced".to_owned(),
            Mask::TruncateDate { unit } => format!("only the {} is shown", unit_in_words(*unit)),
            Mask::RoundNumber { to } => format!("the number is rounded to the nearest multiple of {to}"),
        }
    }
}

const fn unit_in_words(unit: DateUnit) -> &'static str {
    match unit {
        DateUnit::Hour => "hour",
        DateUnit::Day => "day",
        DateUnit::Week => "week",
        DateUnit::Month => "month",
        DateUnit::Quarter => "quarter",
        DateUnit::Year => "year",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_reads_back_as_it_was() {
        for text in [
            "region = current_user_region",
            "(a = 1 OR b <> 'it''s') AND NOT (c IS NULL)",
            "\"Order Date\" >= '2024-01-01' AND \"select\" IN (1, 2.5, true)",
            "name NOT LIKE 'A\\_%' OR x NOT IN ('a') OR y IS NOT NULL",
            "z BETWEEN -1 AND 2",
            "'Auditor' IN (current_user_roles) OR current_hour >= 8 AND current_ip NOT IN ('10.0.0.0/8')",
            "current_date < '2026-01-01' OR a = current_date",
        ] {
            let condition = Condition::parse(text).unwrap();
            assert_eq!(Condition::parse(&condition.to_string()).unwrap(), condition, "{condition}");
        }
    }

    #[test]
    fn a_condition_is_told_as_a_sentence() {
        let told = |text: &str| Condition::parse(text).unwrap().in_words();
        assert_eq!(
            told("region = current_user_region AND (status IN ('open', 'held') OR NOT (owner IS NULL))"),
            "region is the person's region and (status is one of 'open', 'held' or not (owner is empty))"
        );
        assert_eq!(told("name LIKE 'A%'"), "name is like 'A%'");
    }
}
