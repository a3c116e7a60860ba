//! Custom masks as expressions of the engine.
//!
//! The type of a custom mask is the column's own, or text where its parts are text. It is put together from what has an
//! answer for every row, and held against that once more ([`is_total`]); what does not fit the columns' types makes the
//! policy inapplicable.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, AsArray, StringBuilder, StringViewArray},
        compute::{CastOptions, cast_with_options},
        datatypes::{DataType, Field, Schema},
    },
    common::{DFSchema, ScalarValue, exec_err},
    error::Result as EngineResult,
    functions::{
        core::expr_fn::coalesce,
        string::expr_fn::{lower, upper},
    },
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
        expr::ScalarFunction, lit, when,
    },
};
use rivergen_policies::{
    condition::{Literal, Operand},
    expression::Expression,
};

use crate::{
    filter::{Entitlements, Inapplicable, column_of, expression, literal_of, text_type, type_of, with_stand_ins},
    nulls::cleared,
    total::is_total,
};

/// What stands in the column's place.
pub(crate) fn computed(bound: &Expression<Literal>, field: &Field, schema: &Schema) -> Result<Expr, Inapplicable> {
    let own = match field.data_type() {
        DataType::Dictionary(_, inner) => inner.as_ref(),
        other => other,
    };
    let made = build(bound, own, schema).or_else(|_| build(bound, &DataType::Utf8, schema))?;
    let df_schema = DFSchema::try_from(schema.clone()).map_err(|error| Inapplicable(error.strip_backtrace()))?;
    if !is_total(&made, &df_schema) {
        let reason = format!("the expression of column {} does not fit the types of its columns", field.name());
        return Err(Inapplicable(reason));
    }
    Ok(Cleared::call(made))
}

/// Whether the expression fits the columns' types, whoever asks.
pub fn check_expression(written: &Expression, field: &Field, schema: &Schema) -> Result<(), Inapplicable> {
    computed(&stood_in(written, schema)?, field, schema).map(drop)
}

/// The expression with NULL in the place of attributes.
fn stood_in(written: &Expression, schema: &Schema) -> Result<Expression<Literal>, Inapplicable> {
    let one = |inner: &Expression| stood_in(inner, schema).map(Box::new);
    let all = |parts: &[Expression]| parts.iter().map(|part| stood_in(part, schema)).collect::<Result<Vec<_>, _>>();
    Ok(match written {
        Expression::Column(name) => Expression::Column(name.clone()),
        Expression::Value(Operand::Literal(literal)) => Expression::Value(literal.clone()),
        Expression::Value(Operand::Attribute(_) | Operand::Session(_)) | Expression::Null => Expression::Null,
        Expression::Case { branches, otherwise } => Expression::Case {
            branches: branches
                .iter()
                .map(|(when, then)| Ok((with_stand_ins(when, schema, &Entitlements::new())?, stood_in(then, schema)?)))
                .collect::<Result<_, Inapplicable>>()?,
            otherwise: one(otherwise)?,
        },
        Expression::Coalesce(parts) => Expression::Coalesce(all(parts)?),
        Expression::Concat(parts) => Expression::Concat(all(parts)?),
        Expression::Lower(inner) => Expression::Lower(one(inner)?),
        Expression::Upper(inner) => Expression::Upper(one(inner)?),
        Expression::Left(inner, n) => Expression::Left(one(inner)?, *n),
        Expression::Right(inner, n) => Expression::Right(one(inner)?, *n),
    })
}

/// The expression as one of the type.
fn build(bound: &Expression<Literal>, wanted: &DataType, schema: &Schema) -> Result<Expr, Inapplicable> {
    let text = || match text_type(wanted) {
        Some(_) => Ok(()),
        None => Err(Inapplicable(format!("`{bound}` is text, but {wanted} is expected"))),
    };
    let all = |parts: &[Expression<Literal>]| {
        parts.iter().map(|part| build(part, wanted, schema)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match bound {
        Expression::Column(name) => {
            let held = type_of(name, schema)?;
            if held == wanted {
                column_of(name)
            } else if text_type(wanted).is_some()
                || matches!(held, DataType::Dictionary(_, inner) if **inner == *wanted)
            {
                // Totality is looked at when the whole is put together.
                cast(column_of(name), wanted.clone())
            } else {
                return Err(Inapplicable(format!("{name} is {held}, but {wanted} is expected")));
            }
        }
        Expression::Value(literal) => literal_of(literal, wanted)
            .map(lit)
            .ok_or_else(|| Inapplicable(format!("`{bound}` is not a value of the type {wanted}")))?,
        Expression::Null => ScalarValue::try_from(wanted)
            .map(lit)
            .map_err(|_| Inapplicable(format!("there is no NULL of the type {wanted}")))?,
        Expression::Case { branches, otherwise } => {
            let mut branches = branches.iter();
            let unplannable = |error: datafusion::error::DataFusionError| Inapplicable(error.strip_backtrace());
            let Some((condition, then)) = branches.next() else { return build(otherwise, wanted, schema) };
            let mut case = when(expression(condition, schema, &Entitlements::new())?, build(then, wanted, schema)?);
            for (condition, then) in branches {
                case = case.when(expression(condition, schema, &Entitlements::new())?, build(then, wanted, schema)?);
            }
            case.otherwise(build(otherwise, wanted, schema)?).map_err(unplannable)?
        }
        Expression::Coalesce(parts) => coalesce(all(parts)?),
        Expression::Concat(parts) => {
            text()?;
            TextFunction::call(TextOperation::Concat, wanted, all(parts)?)
        }
        Expression::Lower(inner) => {
            text()?;
            cast(lower(build(inner, wanted, schema)?), wanted.clone())
        }
        Expression::Upper(inner) => {
            text()?;
            cast(upper(build(inner, wanted, schema)?), wanted.clone())
        }
        Expression::Left(inner, n) => {
            text()?;
            TextFunction::call(TextOperation::Left(*n), wanted, vec![build(inner, wanted, schema)?])
        }
        Expression::Right(inner, n) => {
            text()?;
            TextFunction::call(TextOperation::Right(*n), wanted, vec![build(inner, wanted, schema)?])
        }
    })
}

/// Whether the function is one of this module's.
pub(crate) fn is_function_of_masks(function: &ScalarUDF) -> bool {
    function.inner().is::<TextFunction>() || function.inner().is::<Cleared>()
}

/// The value as it is, with nothing below its NULLs. Sources with a language of their own know it by its name: their NULLs
/// are nothing else.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Cleared {
    signature: Signature,
}

impl Cleared {
    fn call(value: Expr) -> Expr {
        let function = Self { signature: Signature::any(1, Volatility::Immutable) };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), vec![value]))
    }
}

impl ScalarUDFImpl for Cleared {
    fn name(&self) -> &str {
        "mask_cleared"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> EngineResult<DataType> {
        let [value] = types else { return exec_err!("one value is cleared") };
        Ok(value.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(cleared(values)?)),
            [ColumnarValue::Scalar(value)] => Ok(ColumnarValue::Scalar(value.clone())),
            _ => exec_err!("one value is cleared"),
        }
    }
}

/// Functions of text that answer every text. They are in no session's list, so no SQL can call them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextFunction {
    operation: TextOperation,
    returns: DataType,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TextOperation {
    /// NULL where one of them is.
    Concat,
    Left(u64),
    Right(u64),
}

impl TextFunction {
    fn call(operation: TextOperation, returns: &DataType, args: Vec<Expr>) -> Expr {
        let signature = Signature::variadic_any(Volatility::Immutable);
        let function = Self { operation, returns: returns.clone(), signature };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args))
    }
}

impl TextOperation {
    fn of(self, texts: &[&str]) -> String {
        let text = texts.first().copied().unwrap_or_default();
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        match self {
            TextOperation::Concat => texts.concat(),
            TextOperation::Left(n) => text.chars().take(count(n)).collect(),
            TextOperation::Right(n) => {
                let before = text.chars().count().saturating_sub(count(n));
                text.chars().skip(before).collect()
            }
        }
    }
}

impl ScalarUDFImpl for TextFunction {
    fn name(&self) -> &str {
        match self.operation {
            TextOperation::Concat => "mask_concat",
            TextOperation::Left(_) => "mask_left",
            TextOperation::Right(_) => "mask_right",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let columns = ColumnarValue::values_to_arrays(&args.args)?
            .iter()
            .map(|column| cast_with_options(column, &DataType::Utf8View, &options))
            .collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<&StringViewArray> = columns.iter().map(|column| column.as_string_view()).collect();
        let Some(rows) = columns.iter().map(|column| column.len()).min() else {
            return exec_err!("a function of text takes at least one");
        };
        let mut made = StringBuilder::new();
        let mut texts = Vec::with_capacity(columns.len());
        for row in 0..rows {
            texts.clear();
            texts.extend(columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)));
            made.append_option((texts.len() == columns.len()).then(|| self.operation.of(&texts)));
        }
        let made = cast_with_options(&made.finish(), &self.returns, &options)?;
        Ok(ColumnarValue::Array(made))
    }
}
