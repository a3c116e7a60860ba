//! Ranges of numbers: what a `bucket` mask leaves of a number.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::rule::{ConfigError, from_json};

const MAX_BOUNDS: usize = 100;

/// Ranges that cover all numbers. The larger or fewer, the stricter; those between bounds are the fewest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buckets {
    /// Between these bounds, in ascending order.
    Bounds(Vec<i64>),
    /// As long as that, one of them from zero.
    Size(u64),
}

impl Buckets {
    /// From the options `size` or `bounds`.
    pub(crate) fn parse(options: &Json) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Options {
            size: Option<u64>,
            bounds: Option<Vec<i64>>,
        }
        match from_json(options)? {
            Options { size: Some(size), bounds: None } if (1..=i64::MAX as u64).contains(&size) => Ok(Self::Size(size)),
            Options { size: Some(_), bounds: None } => Err(ConfigError::new("size", "give a number of at least 1")),
            Options { size: None, bounds: Some(bounds) } => {
                let ascend = bounds.windows(2).all(|pair| pair[0] < pair[1]);
                if !ascend || bounds.is_empty() || bounds.len() > MAX_BOUNDS {
                    let reason = format!("give 1 to {MAX_BOUNDS} whole numbers, each larger than the one before");
                    return Err(ConfigError::new("bounds", reason));
                }
                Ok(Self::Bounds(bounds))
            }
            _ => Err(ConfigError::new("", "give either size or bounds")),
        }
    }

    /// The range of a number whose whole part, rounded down, this is.
    pub fn label(&self, whole: i128) -> String {
        match self {
            Buckets::Size(size) => {
                let size = i128::from(*size);
                let low = whole.div_euclid(size).saturating_mul(size);
                format!("{low} to under {}", low.saturating_add(size))
            }
            Buckets::Bounds(bounds) => {
                let above = bounds.partition_point(|bound| i128::from(*bound) <= whole);
                match (above.checked_sub(1).and_then(|at| bounds.get(at)), bounds.get(above)) {
                    (Some(low), Some(high)) => format!("{low} to under {high}"),
                    (Some(low), None) => format!("{low} and more"),
                    (None, Some(high)) => format!("under {high}"),
                    (None, None) => "all".to_owned(),
                }
            }
        }
    }
}

impl Ord for Buckets {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Buckets::Bounds(a), Buckets::Bounds(b)) => b.len().cmp(&a.len()).then_with(|| a.cmp(b)),
            (Buckets::Size(a), Buckets::Size(b)) => a.cmp(b),
            (Buckets::Bounds(_), Buckets::Size(_)) => Ordering::Greater,
            (Buckets::Size(_), Buckets::Bounds(_)) => Ordering::Less,
        }
    }
}

impl PartialOrd for Buckets {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fewer_and_larger_ranges_are_stricter() {
        let buckets = |options: Json| Buckets::parse(&options).unwrap();
        for (lax, strict) in [
            (json!({"size": 1}), json!({"size": 1000})),
            (json!({"bounds": [0, 18, 65]}), json!({"bounds": [0]})),
            (json!({"bounds": [0, 18, 65]}), json!({"bounds": [18, 65]})),
            (json!({"bounds": [18, 65]}), json!({"bounds": [0]})),
            (json!({"size": 1}), json!({"bounds": [0, 18, 65]})),
        ] {
            let (lax, strict) = (buckets(lax), buckets(strict));
            assert_eq!((lax.cmp(&strict), strict.cmp(&lax)), (Ordering::Less, Ordering::Greater), "{lax:?} {strict:?}");
        }
    }

    #[test]
    fn every_number_has_its_range() {
        let size = Buckets::parse(&json!({"size": 1000})).unwrap();
        let bounds = Buckets::parse(&json!({"bounds": [0, 18, 65]})).unwrap();
        for (whole, of_size, of_bounds) in [
            (0, "0 to under 1000", "0 to under 18"),
            (-1, "-1000 to under 0", "under 0"),
            (18, "0 to under 1000", "18 to under 65"),
            (64, "0 to under 1000", "18 to under 65"),
            (1000, "1000 to under 2000", "65 and more"),
        ] {
            assert_eq!((size.label(whole).as_str(), bounds.label(whole).as_str()), (of_size, of_bounds), "{whole}");
        }
        for extreme in [i128::MIN, i128::MAX] {
            assert!(!size.label(extreme).is_empty() && !bounds.label(extreme).is_empty());
        }
    }
}
