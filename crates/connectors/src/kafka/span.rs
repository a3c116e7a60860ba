//! What of a partition a filter leaves.

use crate::documents::{Condition, Operator, Value};

use super::{OFFSET, PARTITION, TIMESTAMP};

/// The records of one partition for which a condition can hold: all of them, and maybe more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
    /// The first moment, in milliseconds. The last one is no bound: times need not rise with the offsets.
    pub since: i64,
}

impl Span {
    pub const ALL: Self = Self { first: i64::MIN, last: i64::MAX, since: i64::MIN };
    const NONE: Self = Self { first: i64::MAX, last: i64::MIN, since: i64::MAX };

    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// Of a partition, under all these conditions.
    pub fn of(conditions: &[Condition], partition: i32) -> Self {
        conditions.iter().fold(Self::ALL, |span, condition| span.and(Self::one(condition, partition.into())))
    }

    fn one(condition: &Condition, partition: i64) -> Self {
        match condition {
            Condition::All(parts) => parts.iter().fold(Self::ALL, |span, part| span.and(Self::one(part, partition))),
            Condition::Any(parts) => parts.iter().fold(Self::NONE, |span, part| span.or(Self::one(part, partition))),
            Condition::Compare { column, operator, value } => Self::compare(column, *operator, value, partition),
            Condition::In { column, values } => values
                .iter()
                .fold(Self::NONE, |span, value| span.or(Self::compare(column, Operator::Equal, value, partition))),
            Condition::Prefix { .. } | Condition::Null { .. } | Condition::NotNull { .. } => Self::ALL,
        }
    }

    fn compare(column: &str, operator: Operator, value: &Value, partition: i64) -> Self {
        match (column, value) {
            (PARTITION, Value::Int(value)) => {
                let holds = match operator {
                    Operator::Equal => partition == *value,
                    Operator::NotEqual => partition != *value,
                    Operator::Less => partition < *value,
                    Operator::LessOrEqual => partition <= *value,
                    Operator::Greater => partition > *value,
                    Operator::GreaterOrEqual => partition >= *value,
                };
                if holds { Self::ALL } else { Self::NONE }
            }
            (OFFSET, Value::Int(value)) => match operator {
                Operator::Equal => Self { first: *value, last: *value, ..Self::ALL },
                Operator::NotEqual => Self::ALL,
                Operator::Less => value.checked_sub(1).map_or(Self::NONE, |last| Self { last, ..Self::ALL }),
                Operator::LessOrEqual => Self { last: *value, ..Self::ALL },
                Operator::Greater => value.checked_add(1).map_or(Self::NONE, |first| Self { first, ..Self::ALL }),
                Operator::GreaterOrEqual => Self { first: *value, ..Self::ALL },
            },
            (TIMESTAMP, Value::Moment(microseconds)) => {
                let since = microseconds.div_euclid(1_000);
                let since = match operator {
                    Operator::Greater => since + 1,
                    // A moment within a millisecond is later than its begin.
                    Operator::Equal | Operator::GreaterOrEqual if microseconds.rem_euclid(1_000) > 0 => since + 1,
                    Operator::Equal | Operator::GreaterOrEqual => since,
                    Operator::NotEqual | Operator::Less | Operator::LessOrEqual => i64::MIN,
                };
                Self { since, ..Self::ALL }
            }
            _ => Self::ALL,
        }
    }

    fn and(self, other: Self) -> Self {
        let both = Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
            since: self.since.max(other.since),
        };
        if both.is_empty() { Self::NONE } else { both }
    }

    fn or(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self {
                first: self.first.min(other.first),
                last: self.last.max(other.last),
                since: self.since.min(other.since),
            },
        }
    }
}

/// Whether less is fetched under a condition.
pub(super) fn narrows(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().any(narrows),
        Condition::Any(parts) => parts.iter().all(narrows),
        Condition::Compare { column, operator, .. } => match (column.as_str(), operator) {
            (PARTITION, _) => true,
            (OFFSET, operator) => *operator != Operator::NotEqual,
            (TIMESTAMP, operator) => {
                matches!(operator, Operator::Equal | Operator::Greater | Operator::GreaterOrEqual)
            }
            _ => false,
        },
        Condition::In { column, .. } => [PARTITION, OFFSET, TIMESTAMP].contains(&column.as_str()),
        Condition::Prefix { .. } | Condition::Null { .. } | Condition::NotNull { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(column: &str, operator: Operator, value: Value) -> Condition {
        Condition::Compare { column: column.to_owned(), operator, value }
    }

    #[test]
    fn parts_are_put_together_for_each_partition() {
        let branch = |partition: i64, first: i64| {
            Condition::All(vec![
                compare(PARTITION, Operator::Equal, Value::Int(partition)),
                compare(OFFSET, Operator::Greater, Value::Int(first)),
            ])
        };
        let either = Condition::Any(vec![branch(1, 10), branch(2, 20)]);
        assert!(narrows(&either));
        let of = |partition| Span::of(std::slice::from_ref(&either), partition);
        assert!(of(0).is_empty());
        assert_eq!((of(1).first, of(2).first), (11, 21));
        let unknown = Condition::Any(vec![branch(1, 10), Condition::Null { column: "x".to_owned() }]);
        assert!(!narrows(&unknown));
        assert_eq!(Span::of(&[unknown], 7), Span::ALL);
    }

    #[test]
    fn moments_are_rounded_to_the_next_millisecond() {
        let since =
            |operator, microseconds| Span::of(&[compare(TIMESTAMP, operator, Value::Moment(microseconds))], 0).since;
        assert_eq!(since(Operator::GreaterOrEqual, 5_000), 5);
        assert_eq!(since(Operator::GreaterOrEqual, 5_001), 6);
        assert_eq!(since(Operator::Greater, 5_000), 6);
        assert_eq!(since(Operator::Greater, 5_999), 6);
        assert_eq!(since(Operator::Equal, -1_500), -1);
        assert_eq!(since(Operator::Less, 5_000), i64::MIN);
    }

    #[test]
    fn offsets_beyond_all_numbers_hold_for_none() {
        let of = |operator, value| Span::of(&[compare(OFFSET, operator, Value::Int(value))], 0);
        assert!(of(Operator::Greater, i64::MAX).is_empty() && of(Operator::Less, i64::MIN).is_empty());
        let both = [compare(OFFSET, Operator::Less, Value::Int(5)), compare(OFFSET, Operator::Greater, Value::Int(4))];
        assert!(Span::of(&both, 0).is_empty());
    }
}
