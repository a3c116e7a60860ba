//! Bounds for what makes values longer than those that it is given.
//!
//! What a function makes of a batch lies outside every memory pool: `replace(x, 'a', y)` makes gigabytes of two short texts,
//! and `t || t` doubles with each step. Here each such function says how large its result may become before it makes any of
//! it, and is refused, or works in parts, where that is too much. What a source computes in its own SQL the source bounds.

use std::sync::{Arc, LazyLock};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, StructArray},
        compute::{cast, concat},
        datatypes::{DataType, Field, FieldRef, Schema},
    },
    common::{
        ScalarValue,
        tree_node::{Transformed, TreeNode},
    },
    error::{DataFusionError, Result},
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
        ScalarUDFImpl, Signature, Volatility, expr::ScalarFunction, expr_rewriter::NamePreserver,
    },
    physical_expr::expressions::{self, Column},
    physical_plan::PhysicalExpr,
};

/// Bytes of one value that a function makes, where it is not given a longer one.
const LONGEST_VALUE: usize = 16 << 20;
/// Bytes of a value that is made of constants alone, where it is not given a longer one: it is one itself, and may come to stand
/// in each row of a batch.
const LONGEST_CONSTANT: usize = 128 << 10;
/// Bytes that a function makes of one batch, where the batch itself has not almost as many.
const LARGEST_BATCH: usize = 64 << 20;
/// The same whatever the batch has.
const LARGEST_OF_LARGE_BATCH: usize = 2 * LARGEST_BATCH;
/// Bytes of a batch that may be made at a time where they could become too many.
const PART: usize = LARGEST_BATCH / 4;
/// What a value takes beside its bytes; all of a value that is no text.
const OVERHEAD: usize = 16;

/// Puts bounds around all that makes values longer. Names and types of the plan stay.
pub fn bounded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(bounded_here)?.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(plan.data)
}

fn bounded_here(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let both = ScalarFunction::new_udf(Arc::clone(&CONCATENATION), vec![*left, *right]);
            Transformed::yes(Expr::ScalarFunction(both))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => match Growth::of(func.name()) {
            Some(growth) if !func.inner().is::<Bounded>() => {
                let bounded = ScalarUDF::from(Bounded { inner: func, growth });
                Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(bounded), args)))
            }
            _ => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        },
        other => Transformed::no(other),
    })
}

/// How large a result becomes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// All arguments one after the other.
    Sum,
    /// The same with the first of them in between.
    Separated,
    /// The elements of a list with a text in between.
    Listed,
    /// A text for each place where another stands.
    Replaced,
    /// A text for each match of a pattern, perhaps with parts of the match in it.
    Rewritten,
    /// A part of the text for each bracket of the pattern.
    Captured,
    /// A few letters for each sign of a format.
    Formatted,
}

impl Growth {
    /// `None` for functions whose results are not longer than what they are given, but for some letters.
    fn of(function: &str) -> Option<Self> {
        Some(match function {
            "concat" | "overlay" | "make_array" => Self::Sum,
            "concat_ws" => Self::Separated,
            "array_to_string" => Self::Listed,
            "replace" => Self::Replaced,
            "regexp_replace" => Self::Rewritten,
            "regexp_match" => Self::Captured,
            "to_char" => Self::Formatted,
            _ => return None,
        })
    }

    fn size(self, args: &[ColumnarValue], widths: &[Widths], row: usize) -> usize {
        let width = |at: usize| widths.get(at).map_or(0, |widths| widths.at(row));
        let text = |at: usize| args.get(at).map_or("", |value| text_at(value, row));
        let sum = widths.iter().map(|widths| widths.at(row)).fold(0, usize::saturating_add);
        let times = |count: usize, each: &str| count.saturating_mul(each.len());
        match self {
            Self::Sum => sum,
            Self::Separated => sum.saturating_add(width(0).saturating_mul(args.len())),
            Self::Listed => {
                // A number takes as many letters at most.
                let each = sum.saturating_sub(width(0)).saturating_add(32);
                width(0).saturating_add((width(0) / OVERHEAD).saturating_mul(each))
            }
            Self::Replaced => {
                let (before, from, to) = (text(0), text(1), text(2));
                let most = match from.len() {
                    0 => before.len() + 1,
                    length => before.len() / length,
                };
                let rough = before.len().saturating_add(times(most, to));
                if rough <= LONGEST_VALUE || from.is_empty() {
                    return rough;
                }
                let found = before.matches(from).count();
                (before.len() - found * from.len()).saturating_add(times(found, to))
            }
            Self::Rewritten => {
                let (before, to) = (text(0), text(2));
                let matches = if text(3).contains('g') { before.len() + 1 } else { 1 };
                let parts = to.matches(['\\', '$']).count();
                before.len().saturating_add(times(matches, to)).saturating_add(times(parts, before))
            }
            Self::Captured => times(1 + text(1).matches('(').count(), text(0)),
            Self::Formatted => text(1).len().saturating_mul(40),
        }
    }
}

/// The bytes of the values of an argument.
enum Widths {
    One(usize),
    Each(Vec<usize>),
}

impl Widths {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(values) => Self::Each(widths(values)?),
            ColumnarValue::Scalar(value) => Self::One(match value.try_as_str() {
                Some(text) => OVERHEAD + text.map_or(0, str::len),
                None => widths(&value.to_array()?)?.into_iter().sum(),
            }),
        })
    }

    fn at(&self, row: usize) -> usize {
        match self {
            Self::One(width) => *width,
            Self::Each(widths) => widths.get(row).copied().unwrap_or_default(),
        }
    }

    /// Of all values of a column; of a constant nothing.
    fn of_batch(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Each(widths) => widths.iter().sum(),
        }
    }
}

fn widths(values: &ArrayRef) -> Result<Vec<usize>> {
    fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<usize> {
        values.map(|text| OVERHEAD + text.map_or(0, str::len)).collect()
    }
    fn bytes<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<usize> {
        values.map(|value| OVERHEAD + value.map_or(0, <[u8]>::len)).collect()
    }
    fn lists(values: impl Iterator<Item = Option<ArrayRef>>) -> Result<Vec<usize>> {
        let of_list = |list: Option<ArrayRef>| -> Result<usize> {
            let inner = list.map(|list| widths(&list)).transpose()?.unwrap_or_default();
            Ok(OVERHEAD + inner.into_iter().sum::<usize>())
        };
        values.map(of_list).collect()
    }
    Ok(match values.data_type() {
        DataType::Utf8 => texts(values.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(values.as_string::<i64>().iter()),
        DataType::Utf8View => texts(values.as_string_view().iter()),
        DataType::Binary => bytes(values.as_binary::<i32>().iter()),
        DataType::LargeBinary => bytes(values.as_binary::<i64>().iter()),
        DataType::BinaryView => bytes(values.as_binary_view().iter()),
        DataType::List(_) => lists(values.as_list::<i32>().iter())?,
        DataType::LargeList(_) => lists(values.as_list::<i64>().iter())?,
        DataType::FixedSizeList(..) => lists(values.as_fixed_size_list().iter())?,
        DataType::Map(..) => {
            let entries = |entries: Option<StructArray>| entries.map(|entries| Arc::new(entries) as ArrayRef);
            lists(values.as_map().iter().map(entries))?
        }
        DataType::Struct(_) => {
            let mut all = vec![OVERHEAD; values.len()];
            for column in values.as_struct().columns() {
                for (sum, width) in all.iter_mut().zip(widths(column)?) {
                    *sum += width;
                }
            }
            all
        }
        DataType::Dictionary(_, plain) => widths(&cast(values, plain)?)?,
        _ => vec![OVERHEAD; values.len()],
    })
}

/// The text of a row; none for what is no text.
fn text_at(value: &ColumnarValue, row: usize) -> &str {
    match value {
        ColumnarValue::Scalar(value) => value.try_as_str().flatten().unwrap_or_default(),
        ColumnarValue::Array(values) => match values.data_type() {
            _ if values.is_null(row) => "",
            DataType::Utf8 => values.as_string::<i32>().value(row),
            DataType::LargeUtf8 => values.as_string::<i64>().value(row),
            DataType::Utf8View => values.as_string_view().value(row),
            _ => "",
        },
    }
}

fn too_much() -> DataFusionError {
    DataFusionError::ResourcesExhausted("a function makes too much of its arguments".to_owned())
}

/// A function within bounds. Nothing of it is worked out before it is called: what is folded while it is planned would be
/// without them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let widths = args.args.iter().map(Widths::of).collect::<Result<Vec<_>>>()?;
        let is_one = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_one { 1 } else { args.number_rows };
        let sizes: Vec<usize> = (0..rows).map(|row| self.growth.size(&args.args, &widths, row)).collect();
        let longest = |row: usize| widths.iter().map(|widths| widths.at(row)).max().unwrap_or_default();
        if sizes.iter().enumerate().any(|(row, size)| *size > longest(row).max(LONGEST_VALUE)) {
            return Err(too_much());
        }
        // None of them is so large that their sum could be out of range.
        if sizes.iter().sum::<usize>() > LARGEST_BATCH {
            let given = widths.iter().map(Widths::of_batch).max().unwrap_or_default();
            let most = LARGEST_BATCH.max(given.saturating_add(PART).min(LARGEST_OF_LARGE_BATCH));
            return self.in_parts(&args, &sizes, most).map(ColumnarValue::Array);
        }
        let made = self.inner.invoke_with_args(args)?;
        if is_one && Widths::of(&made)?.at(0) > longest(0).max(LONGEST_CONSTANT) {
            return Err(too_much());
        }
        Ok(made)
    }
}

impl Bounded {
    /// Makes so much at a time that it is known in time whether all of it is more than so many bytes.
    fn in_parts(&self, args: &ScalarFunctionArgs, sizes: &[usize], most: usize) -> Result<ArrayRef> {
        let (mut parts, mut made, mut first) = (Vec::new(), 0, 0);
        while first < sizes.len() {
            let (mut rows, mut size) = (0, 0);
            for next in &sizes[first..] {
                if rows > 0 && size + next > PART {
                    break;
                }
                rows += 1;
                size += next;
            }
            let of_part = |value: &ColumnarValue| match value {
                ColumnarValue::Array(values) => ColumnarValue::Array(values.slice(first, rows)),
                ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
            };
            let part = ScalarFunctionArgs {
                args: args.args.iter().map(of_part).collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows: rows,
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            };
            let part = self.inner.invoke_with_args(part)?.into_array(rows)?;
            // Not what it keeps in memory: some set aside for a part what they would for all of the batch.
            made += widths(&part)?.into_iter().sum::<usize>();
            if made > most {
                return Err(too_much());
            }
            parts.push(part);
            first += rows;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts)?)
    }
}

/// `a || b` as a function, so that it has bounds like one.
static CONCATENATION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let operator = Concatenation { signature: Signature::any(2, Volatility::Immutable) };
    Arc::new(ScalarUDF::from(Bounded { inner: Arc::new(ScalarUDF::from(operator)), growth: Growth::Sum }))
});

/// The name under which `a || b` is a function.
const OPERATOR: &str = "||";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenation {
    signature: Signature,
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &str {
        OPERATOR
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// As the operator: a filter on it makes an inner join of an outer one.
    fn is_strict(&self) -> bool {
        true
    }

    /// Both sides have one type by now, but for bytes of a fixed number.
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::FixedSizeBinary(left), DataType::FixedSizeBinary(right)] => {
                Ok(DataType::FixedSizeBinary(left + right))
            }
            [side, _] => Ok(side.clone()),
            _ => Err(DataFusionError::Internal("an operator has two operands".to_owned())),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(OPERATOR, self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_one = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let sides = ColumnarValue::values_to_arrays(&args.args)?;
        let fields: Vec<Field> = sides.iter().map(|side| Field::new("side", side.data_type().clone(), true)).collect();
        let sides = RecordBatch::try_new(Arc::new(Schema::new(fields)), sides)?;
        let side = |at: usize| Arc::new(Column::new("side", at));
        let both = expressions::BinaryExpr::new(side(0), Operator::StringConcat, side(1)).evaluate(&sides)?;
        match (is_one, both) {
            (true, ColumnarValue::Array(value)) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?)),
            (_, both) => Ok(both),
        }
    }
}
