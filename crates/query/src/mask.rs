//! Masks as expressions: what stands in a column's place inside a governed view.
//!
//! Each is a literal, or one of the total functions of this module. They are not registered in any session, so no SQL
//! can call them; they only ever stand in the views that the engine builds.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate};
use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray, StringBuilder, StringViewArray,
            StringViewBuilder, UInt64Array, new_empty_array,
        },
        compute::{CastOptions, cast_with_options},
        datatypes::{
            DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
            Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
            TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        },
    },
    common::{Column, ScalarValue, exec_err},
    error::{DataFusionError, Result},
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr::ScalarFunction, lit,
    },
};
use rivergen_policies::{
    condition::Literal,
    mask::{ColumnType, DateUnit, HashKey, Mask, REDACTED, round_float, round_integer, truncate_moment},
};

use crate::{
    expression::{computed, is_function_of_masks},
    filter::{Inapplicable, literal_of, text_value},
};

/// What rules may know of an Arrow type.
pub fn column_type(data_type: &DataType) -> ColumnType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Text,
        DataType::Boolean => ColumnType::Boolean,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Timestamp(..) => ColumnType::Timestamp,
        DataType::Dictionary(_, inner) => column_type(inner),
        other if other.is_numeric() => ColumnType::Number,
        _ => ColumnType::Other,
    }
}

/// The expression that stands in the column's place; not yet named.
pub fn masked(mask: &Mask, field: &Field, schema: &Schema, key: &HashKey) -> Result<Expr, Inapplicable> {
    let data_type = field.data_type();
    if !mask.fits(column_type(data_type)) {
        return Err(Inapplicable(format!("the mask of column {} does not fit its type {data_type}", field.name())));
    }
    let null = || {
        ScalarValue::try_from(data_type)
            .map(lit)
            .map_err(|_| Inapplicable(format!("column {} of type {data_type} cannot be masked", field.name())))
    };
    match mask {
        Mask::NullValue => null(),
        Mask::Redact if column_type(data_type) == ColumnType::Text => {
            Ok(lit(text_value(plain_type(data_type), REDACTED.to_owned())))
        }
        Mask::Redact => null(),
        Mask::Constant { value } => {
            let typed = literal_of(&Literal::Text(value.clone()), plain_type(data_type));
            Ok(lit(typed.unwrap_or_else(|| ScalarValue::Utf8(Some(value.clone())))))
        }
        Mask::Computed(bound) => computed(bound, field, schema),
        _ => {
            let function = MaskFunction::new(mask.clone(), key.clone(), data_type)?;
            let column = Expr::Column(Column::from_name(field.name()));
            Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), vec![column])))
        }
    }
}

/// Whether the function is one of this module's or of expressions.
pub fn is_mask(function: &ScalarUDF) -> bool {
    function.inner().is::<MaskFunction>() || is_function_of_masks(function)
}

/// The type of a dictionary's values, or the type itself.
pub(crate) fn plain_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, inner) => plain_type(inner),
        other => other,
    }
}

/// A mask as a scalar function of the column.
#[derive(Debug)]
struct MaskFunction {
    name: &'static str,
    mask: Mask,
    key: HashKey,
    returns: DataType,
    signature: Signature,
}

impl MaskFunction {
    fn new(mask: Mask, key: HashKey, column: &DataType) -> Result<Self, Inapplicable> {
        let plain = plain_type(column);
        let unfit = || Inapplicable(format!("a column of type {column} cannot be masked this way"));
        let (name, returns) = match &mask {
            Mask::RoundNumber { .. } => ("mask_round_number", plain.clone()),
            Mask::TruncateDate { .. } => ("mask_truncate_date", plain.clone()),
            Mask::Hash => ("mask_hash", DataType::Utf8),
            Mask::Tokenize => ("mask_tokenize", DataType::Utf8),
            Mask::Card { .. } => ("mask_card", DataType::Utf8),
            Mask::Bucket(_) => ("mask_bucket", DataType::Utf8),
            Mask::Partial { .. } => ("mask_partial", DataType::Utf8),
            Mask::Email => ("mask_email", DataType::Utf8),
            Mask::RegexReplace { .. } => ("mask_regex_replace", DataType::Utf8),
            Mask::NullValue | Mask::Redact | Mask::Constant { .. } | Mask::Expression(_) | Mask::Computed(_) => {
                return Err(unfit());
            }
        };
        if matches!(mask, Mask::Bucket(_)) && whole_parts(&new_empty_array(plain)).is_none() {
            return Err(unfit());
        }
        let returns = match plain {
            DataType::Utf8View if returns == DataType::Utf8 => DataType::Utf8View,
            DataType::Float16 | DataType::Decimal256(..) | DataType::Decimal32(..) | DataType::Decimal64(..)
                if returns == *plain =>
            {
                return Err(unfit());
            }
            DataType::Date64 if returns == *plain => return Err(unfit()),
            _ => returns,
        };
        Ok(Self { name, mask, key, returns, signature: Signature::any(1, Volatility::Immutable) })
    }
}

/// Two masks are the same function where they mask alike; the key is the session's and so always the same.
impl PartialEq for MaskFunction {
    fn eq(&self, other: &Self) -> bool {
        self.mask == other.mask && self.returns == other.returns
    }
}

impl Eq for MaskFunction {}

impl Hash for MaskFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.returns.hash(state);
    }
}

impl ScalarUDFImpl for MaskFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<Arc<Field>> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        // A date at the end of the calendar has no first day of its quarter.
        let nullable = nullable || matches!(self.mask, Mask::TruncateDate { .. }) || self.returns.is_string();
        Ok(Arc::new(Field::new(self.name, self.returns.clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [column] = args.args.as_slice() else { return exec_err!("a mask takes one column") };
        match column {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(self.apply(values)?)),
            ColumnarValue::Scalar(value) => {
                let masked = self.apply(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&masked, 0)?))
            }
        }
    }
}

impl MaskFunction {
    fn apply(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let values = &match values.data_type() {
            // Unpacking a dictionary has an answer for every value.
            DataType::Dictionary(_, inner) => datafusion::arrow::compute::cast(values, inner)?,
            _ => Arc::clone(values),
        };
        match &self.mask {
            Mask::RoundNumber { to } => round(values, *to),
            Mask::TruncateDate { unit } => truncate(values, *unit),
            Mask::Bucket(buckets) => {
                let Some(parts) = whole_parts(values) else {
                    return exec_err!("numbers of type {} have no ranges", values.data_type());
                };
                let labels = parts.into_iter().map(|part| part.map(|part| buckets.label(part)));
                Ok(Arc::new(labels.collect::<StringArray>()))
            }
            _ => self.text(values),
        }
    }

    fn text(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let rendered = match self.mask {
            Mask::Hash | Mask::Tokenize => alike(values)?,
            _ => as_text(values)?,
        };
        let texts = rendered.as_string_view().iter().map(|text| Some(self.mask.apply_text(text?, &self.key)));
        if self.returns == DataType::Utf8View {
            let mut masked = StringViewBuilder::with_capacity(values.len());
            texts.for_each(|text| masked.append_option(text));
            return Ok(Arc::new(masked.finish()));
        }
        let mut masked = StringBuilder::with_capacity(values.len(), values.len() * 16);
        texts.for_each(|text| masked.append_option(text));
        Ok(Arc::new(masked.finish()))
    }
}

/// The values as texts. It is total in this mode: what has no text becomes NULL.
fn as_text(values: &ArrayRef) -> Result<ArrayRef> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    Ok(cast_with_options(values, &DataType::Utf8View, &options)?)
}

/// The values as texts that are equal where the values are: a number is written in one way, whatever the type of its
/// column is.
fn alike(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        data_type if data_type.is_floating() => {
            let wide = datafusion::arrow::compute::cast(values, &DataType::Float64)?;
            let texts = wide.as_primitive::<Float64Type>().iter().map(|value| value.map(digits));
            Ok(Arc::new(texts.collect::<StringViewArray>()))
        }
        data_type if data_type.is_decimal() => {
            let written = as_text(values)?;
            let texts = written.as_string_view().iter().map(|text| text.map(shortest));
            Ok(Arc::new(texts.collect::<StringViewArray>()))
        }
        _ => as_text(values),
    }
}

/// A fraction as an integer or a decimal writes it: no exponent, and no sign of nothing.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // Beyond the digits that tell it from its neighbours it has others, and an integer writes them all.
    if value.is_finite() && value.fract() == 0.0 { format!("{value:.0}") } else { value.to_string() }
}

/// A decimal without the zeros that only the type of its column writes.
fn shortest(decimal: &str) -> &str {
    match decimal.contains('.') {
        true => decimal.trim_end_matches('0').trim_end_matches('.'),
        false => decimal,
    }
}

/// The largest whole numbers that are not above the values; none for what is not finite. `None` for types that this does
/// not know.
fn whole_parts(values: &ArrayRef) -> Option<Vec<Option<i128>>> {
    macro_rules! integers {
        ($arrow:ident) => {
            values.as_primitive::<$arrow>().iter().map(|value| value.map(i128::from)).collect()
        };
    }
    // Far beyond what floating point numbers tell apart, and within the range of their whole parts.
    let floor = |value: f64| (value.is_finite() && value.abs() < 1e36).then(|| value.floor() as i128);
    Some(match values.data_type() {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float32 => {
            values.as_primitive::<Float32Type>().iter().map(|value| floor(f64::from(value?))).collect()
        }
        DataType::Float64 => values.as_primitive::<Float64Type>().iter().map(|value| floor(value?)).collect(),
        DataType::Decimal128(_, scale) => {
            let one = 10_i128.checked_pow(u32::try_from(*scale).ok()?)?;
            values
                .as_primitive::<Decimal128Type>()
                .iter()
                .map(|value| value.map(|value| value.div_euclid(one)))
                .collect()
        }
        _ => return None,
    })
}

fn round(values: &ArrayRef, to: u64) -> Result<ArrayRef> {
    macro_rules! integers {
        ($arrow:ident, $rust:ty) => {{
            let rounded: PrimitiveArray<$arrow> = values.as_primitive::<$arrow>().unary(|value| {
                let rounded = round_integer(i128::from(value), to, i128::from(<$rust>::MIN), i128::from(<$rust>::MAX));
                // In range by construction; the truncated value is a multiple too.
                <$rust>::try_from(rounded).unwrap_or_default()
            });
            Ok(Arc::new(rounded) as ArrayRef)
        }};
    }
    match values.data_type() {
        DataType::Int8 => integers!(Int8Type, i8),
        DataType::Int16 => integers!(Int16Type, i16),
        DataType::Int32 => integers!(Int32Type, i32),
        DataType::Int64 => integers!(Int64Type, i64),
        DataType::UInt8 => integers!(UInt8Type, u8),
        DataType::UInt16 => integers!(UInt16Type, u16),
        DataType::UInt32 => integers!(UInt32Type, u32),
        DataType::UInt64 => {
            let rounded: UInt64Array = values.as_primitive::<UInt64Type>().unary(|value| {
                let rounded = round_integer(i128::from(value), to, 0, i128::from(u64::MAX));
                u64::try_from(rounded).unwrap_or_default()
            });
            Ok(Arc::new(rounded))
        }
        DataType::Float32 => Ok(Arc::new(
            values.as_primitive::<Float32Type>().unary::<_, Float32Type>(|v| round_float(f64::from(v), to) as f32),
        )),
        DataType::Float64 => {
            Ok(Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| round_float(v, to))))
        }
        DataType::Decimal128(precision, scale) => {
            // A step that has no place among the type's digits leaves nothing of the value.
            let widest = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX) - 1;
            let step = u32::try_from(*scale)
                .ok()
                .and_then(|scale| 10_u64.checked_pow(scale))
                .and_then(|unit| unit.checked_mul(to));
            let rounded: PrimitiveArray<Decimal128Type> = values
                .as_primitive::<Decimal128Type>()
                .unary(|value| step.map_or(0, |step| round_integer(value, step, -widest, widest)));
            Ok(Arc::new(rounded.with_precision_and_scale(*precision, *scale)?))
        }
        other => exec_err!("numbers of type {other} cannot be rounded"),
    }
}

fn truncate(values: &ArrayRef, unit: DateUnit) -> Result<ArrayRef> {
    fn timestamps<T: ArrowPrimitiveType<Native = i64>>(
        values: &ArrayRef,
        unit: DateUnit,
        read: impl Fn(i64) -> Option<DateTime<chrono::Utc>>,
        write: impl Fn(DateTime<chrono::Utc>) -> Option<i64>,
    ) -> Result<ArrayRef> {
        let cut: PrimitiveArray<T> = values
            .as_primitive::<T>()
            .unary_opt(|value| write(truncate_moment(read(value)?.naive_utc(), unit)?.and_utc()));
        Ok(Arc::new(cut.with_data_type(values.data_type().clone())))
    }
    match values.data_type() {
        DataType::Date32 => {
            let cut: PrimitiveArray<Date32Type> = values.as_primitive::<Date32Type>().unary_opt(|days| {
                let date = NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(days.into())?)?;
                let cut = truncate_moment(date.and_hms_opt(0, 0, 0)?, unit)?.date();
                i32::try_from(cut.signed_duration_since(NaiveDate::default()).num_days()).ok()
            });
            Ok(Arc::new(cut))
        }
        DataType::Timestamp(TimeUnit::Second, _) => timestamps::<TimestampSecondType>(
            values,
            unit,
            |value| DateTime::from_timestamp(value, 0),
            |moment| Some(moment.timestamp()),
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            timestamps::<TimestampMillisecondType>(values, unit, DateTime::from_timestamp_millis, |moment| {
                Some(moment.timestamp_millis())
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            timestamps::<TimestampMicrosecondType>(values, unit, DateTime::from_timestamp_micros, |moment| {
                Some(moment.timestamp_micros())
            })
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => timestamps::<TimestampNanosecondType>(
            values,
            unit,
            |value| Some(DateTime::from_timestamp_nanos(value)),
            |moment| moment.timestamp_nanos_opt(),
        ),
        other => exec_err!("dates of type {other} cannot be cut"),
    }
}

impl From<Inapplicable> for DataFusionError {
    fn from(error: Inapplicable) -> Self {
        DataFusionError::Plan(error.0)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Decimal128Array, Float32Array, Float64Array, Int64Array};

    use super::*;

    fn decimals(unscaled: i128, scale: i8) -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![unscaled]).with_precision_and_scale(38, scale).unwrap())
    }

    fn float(value: f64) -> ArrayRef {
        Arc::new(Float64Array::from(vec![value]))
    }

    fn real(value: f32) -> ArrayRef {
        Arc::new(Float32Array::from(vec![value]))
    }

    fn integer(value: i64) -> ArrayRef {
        Arc::new(Int64Array::from(vec![value]))
    }

    /// What a mask that leaves equality leaves of each: equal where the numbers are.
    #[test]
    fn equal_numbers_are_masked_alike() {
        let long = 4_611_686_018_427_387_904_i64;
        let same: [(&str, Vec<ArrayRef>); 8] = [
            ("0", vec![integer(0), float(0.0), float(-0.0), real(-0.0), decimals(0, 4)]),
            ("5", vec![integer(5), float(5.0), real(5.0), decimals(500, 2)]),
            ("-10", vec![integer(-10), float(-10.0), decimals(-10, 0), decimals(-10_000, 3)]),
            ("1.5", vec![float(1.5), real(1.5), decimals(150, 2)]),
            ("0.1", vec![float(0.1), decimals(1_000, 4)]),
            ("0.0000001", vec![float(1e-7), decimals(10, 8)]),
            ("100000000000000000000", vec![float(1e20), decimals(10_i128.pow(22), 2)]),
            ("4611686018427387904", vec![integer(long), float(long as f64), decimals(i128::from(long) * 100, 2)]),
        ];
        let key = HashKey::new(b"a key");
        for mask in [Mask::Hash, Mask::Tokenize] {
            for (text, values) in &same {
                for value in values {
                    let function = MaskFunction::new(mask.clone(), key.clone(), value.data_type()).unwrap();
                    let masked = function.apply(value).unwrap();
                    let expected = mask.apply_text(text, &key);
                    assert_eq!(masked.as_string::<i32>().value(0), expected, "{text} of {}", value.data_type());
                }
            }
        }
    }
}
