//! What rows tell of one column: how much is missing, how many different values there are, the least and the greatest,
//! and the commonest.
//!
//! Values are compared in Arrow's row format, whose bytes have the order of the values whatever the type is. Of what
//! comes only this is held: a hash of each different value, the two ends, and the values themselves where they are few.
//! A type that cannot be compared has fewer figures; it is no error, and takes nothing from the other columns.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use datafusion::arrow::{
    array::{Array, ArrayRef, RecordBatch},
    buffer::NullBuffer,
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    row::{OwnedRow, Row, RowConverter, SortField},
};
use rivergen_query::json;
use serde_json::Value as Json;

/// Of the commonest values so many are told.
const MOST_COMMON: usize = 5;
/// A column with more different values than this has none that are common.
const MOST_KINDS: usize = 1_000;
/// A value that is common stands in so many rows, on average over all values of its column.
const ROWS_OF_A_KIND: u64 = 2;
/// Of a longer text its beginning is told.
const MOST_CHARACTERS: usize = 200;

/// What is known of a column. The values are as answers to queries have them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Figures {
    pub null_count: u64,
    /// None where values of the type cannot be compared.
    pub distinct_count: Option<u64>,
    /// None where they have no order, and where there are none.
    pub range: Option<(Json, Json)>,
    /// With how many rows have each; none where the values are not few.
    pub most_common: Option<Vec<(Json, u64)>>,
}

/// A column that is looked at.
pub(super) struct Column {
    null_count: u64,
    /// None where values of the type cannot be compared.
    values: Option<Values>,
}

struct Values {
    converter: RowConverter,
    hasher: RandomState,
    is_ordered: bool,
    present: u64,
    hashes: HashSet<u64>,
    /// The least and the greatest.
    ends: Option<(OwnedRow, OwnedRow)>,
    /// By their hashes, as long as they are few.
    counts: Option<HashMap<u64, (OwnedRow, u64)>>,
}

impl Column {
    pub fn of(data_type: &DataType, is_key: bool) -> Self {
        Self { null_count: 0, values: Values::of(data_type, is_key) }
    }

    pub fn add(&mut self, column: &ArrayRef) {
        let nulls = column.logical_nulls();
        self.null_count += nulls.as_ref().map_or(0, NullBuffer::null_count) as u64;
        if self.values.as_mut().is_some_and(|values| values.add(column, nulls.as_ref()).is_err()) {
            self.values = None;
        }
    }

    pub fn told(self) -> Figures {
        let Self { null_count, values } = self;
        Figures { null_count, ..values.map(Values::told).unwrap_or_default() }
    }
}

impl Values {
    fn of(data_type: &DataType, is_key: bool) -> Option<Self> {
        if data_type.is_nested() {
            return None;
        }
        let counts = (may_repeat(data_type) && !is_key).then(HashMap::new);
        Some(Self {
            converter: RowConverter::new(vec![SortField::new(data_type.clone())]).ok()?,
            hasher: RandomState::new(),
            is_ordered: is_ordered(data_type),
            present: 0,
            hashes: HashSet::new(),
            ends: None,
            counts,
        })
    }

    fn add(&mut self, column: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<(), ArrowError> {
        let rows = self.converter.convert_columns(std::slice::from_ref(column))?;
        for (at, row) in rows.iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(at)) {
                continue;
            }
            self.present += 1;
            let hash = self.hasher.hash_one(row);
            self.hashes.insert(hash);
            if self.hashes.len() > MOST_KINDS {
                self.counts = None;
            }
            if let Some(counts) = &mut self.counts {
                counts.entry(hash).or_insert_with(|| (row.owned(), 0)).1 += 1;
            }
            if self.is_ordered {
                self.stretch(row);
            }
        }
        Ok(())
    }

    /// Moves the ends as far as the value is.
    fn stretch(&mut self, row: Row<'_>) {
        let Some((least, greatest)) = &mut self.ends else {
            self.ends = Some((row.owned(), row.owned()));
            return;
        };
        if row < least.row() {
            *least = row.owned();
        } else if row > greatest.row() {
            *greatest = row.owned();
        }
    }

    fn told(self) -> Figures {
        let distinct_count = self.hashes.len() as u64;
        let ends = self.ends.as_ref().and_then(|(least, greatest)| self.json([least, greatest]));
        let range = ends.and_then(|told| <[Json; 2]>::try_from(told).ok()).map(|[least, greatest]| (least, greatest));
        let is_common = distinct_count > 0 && distinct_count.saturating_mul(ROWS_OF_A_KIND) <= self.present;
        let most_common = self.counts.as_ref().filter(|_| is_common).and_then(|counts| {
            let mut commonest: Vec<&(OwnedRow, u64)> = counts.values().collect();
            commonest.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
            commonest.truncate(MOST_COMMON);
            let told = self.json(commonest.iter().map(|(value, _)| value))?;
            Some(told.into_iter().zip(commonest.iter().map(|(_, count)| *count)).collect())
        });
        Figures { null_count: 0, distinct_count: Some(distinct_count), range, most_common }
    }

    /// Values as answers have them, long texts cut.
    fn json<'a>(&self, values: impl IntoIterator<Item = &'a OwnedRow>) -> Option<Vec<Json>> {
        let columns = self.converter.convert_rows(values.into_iter().map(OwnedRow::row)).ok()?;
        // A dictionary comes back as its values.
        let field = Field::new("value", columns.first()?.data_type().clone(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), columns).ok()?;
        let mut rows = Vec::new();
        json::append_rows(&batch, &mut rows).ok()?;
        Some(rows.into_iter().flatten().map(shortened).collect())
    }
}

/// Whether one value of the type can be called less than another.
fn is_ordered(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_ordered(values),
        // A month is sometimes less than thirty days.
        DataType::Interval(_) => false,
        other => other.is_numeric() || other.is_temporal() || other.is_string(),
    }
}

/// Whether columns of the type may hold kinds of things, rather than measures of them.
fn may_repeat(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => may_repeat(values),
        other => other.is_string() || other.is_integer() || *other == DataType::Boolean,
    }
}

fn shortened(value: Json) -> Json {
    let Json::String(mut text) = value else { return value };
    if let Some((end, _)) = text.char_indices().nth(MOST_CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
    Json::String(text)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{
            BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
            ListArray, NullArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
        },
        datatypes::{Int32Type, Int64Type},
    };
    use serde_json::json;

    use super::*;

    /// What batches of one column tell.
    fn figures(batches: &[ArrayRef], is_key: bool) -> Figures {
        let mut column = Column::of(batches[0].data_type(), is_key);
        batches.iter().for_each(|batch| column.add(batch));
        column.told()
    }

    fn range(least: Json, greatest: Json) -> Option<(Json, Json)> {
        Some((least, greatest))
    }

    #[test]
    fn batches_are_seen_as_one() {
        let first: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(-3), Some(7)]));
        let second: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(7), Some(12), Some(-3)]));
        let common = vec![(json!(7), 3), (json!(-3), 2), (json!(12), 1)];
        let expected = Figures {
            null_count: 2,
            distinct_count: Some(3),
            range: range(json!(-3), json!(12)),
            most_common: Some(common),
        };
        assert_eq!(figures(&[first.clone(), second.clone()], false), expected);
        // What is one of a key is common nowhere.
        assert_eq!(figures(&[first, second], true), Figures { most_common: None, ..expected });
    }

    #[test]
    fn each_type_tells_what_it_can() {
        let structure = StructArray::from(vec![(
            Arc::new(Field::new("a", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
        )]);
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None]);
        let words: DictionaryArray<Int32Type> = ["new", "old", "new", "new"].into_iter().collect();
        let decimals = Decimal128Array::from(vec![1250, -5]).with_precision_and_scale(10, 2).unwrap();
        type Range = Option<(Json, Json)>;
        let cases: Vec<(ArrayRef, u64, Option<u64>, Range)> = vec![
            (Arc::new(StringArray::from(vec!["b", "a"])), 0, Some(2), range(json!("a"), json!("b"))),
            (Arc::new(StringViewArray::from(vec!["b", "Z"])), 0, Some(2), range(json!("Z"), json!("b"))),
            (Arc::new(words), 0, Some(2), range(json!("new"), json!("old"))),
            (Arc::new(Float64Array::from(vec![0.5, -1.5])), 0, Some(2), range(json!(-1.5), json!(0.5))),
            (Arc::new(decimals), 0, Some(2), range(json!("-0.05"), json!("12.50"))),
            (Arc::new(Date32Array::from(vec![0, 1])), 0, Some(2), range(json!("1970-01-01"), json!("1970-01-02"))),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, 0]).with_timezone("UTC")),
                0,
                Some(2),
                range(json!("1970-01-01T00:00:00Z"), json!("1970-01-01T00:00:01Z")),
            ),
            (Arc::new(BooleanArray::from(vec![true, false, true])), 0, Some(2), None),
            (Arc::new(BinaryArray::from_iter_values([b"a", b"a"])), 0, Some(1), None),
            (Arc::new(structure), 0, None, None),
            (Arc::new(list), 1, None, None),
            (Arc::new(NullArray::new(3)), 3, Some(0), None),
            (Arc::new(StringArray::from(vec![None::<&str>, None])), 2, Some(0), None),
        ];
        for (column, null_count, distinct_count, range) in cases {
            let data_type = column.data_type().clone();
            let told = figures(&[column], false);
            assert_eq!((told.null_count, told.distinct_count), (null_count, distinct_count), "{data_type}");
            assert_eq!(told.range, range, "{data_type}");
        }
    }

    #[test]
    fn common_is_what_stands_in_many_rows() {
        let texts = |of: &mut dyn Iterator<Item = String>| -> ArrayRef { Arc::new(StringArray::from_iter_values(of)) };
        let each_its_own = texts(&mut (0..4).map(|at| at.to_string()));
        assert_eq!(figures(&[each_its_own], false).most_common, None);
        let yes: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true), Some(true)]));
        assert_eq!(figures(&[yes], false).most_common, Some(vec![(json!(true), 3), (json!(false), 1)]));
        // Five of them, and of those that stand in as many rows the least.
        let sevens = texts(&mut (0..21).map(|at| format!("k{}", at % 7)));
        let told = figures(&[sevens], false).most_common.unwrap();
        assert_eq!(told, ["k0", "k1", "k2", "k3", "k4"].map(|kind| (json!(kind), 3)));
        // Measures are not kinds.
        let weights: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1.0, 1.0]));
        assert_eq!(figures(&[weights], false).most_common, None);
        // Too many to be held, however often each comes.
        let many = || texts(&mut (0..=MOST_KINDS).map(|at| at.to_string()));
        let told = figures(&[many(), many(), many()], false);
        assert_eq!((told.distinct_count, told.most_common), (Some(MOST_KINDS as u64 + 1), None));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["ä".repeat(201), "z".repeat(200)]));
        let (least, greatest) = figures(&[column], false).range.unwrap();
        assert_eq!(least, json!("z".repeat(200)));
        assert_eq!(greatest, json!(format!("{}…", "ä".repeat(200))));
    }
}
