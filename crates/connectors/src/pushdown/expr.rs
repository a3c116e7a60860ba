//! Scalar expressions as SQL, where the SQL means the same.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Cast, Expr, Like, Operator, expr::InList, expr::ScalarFunction,
};
use datafusion::scalar::ScalarValue;

use super::table::Comparable;
use super::{Dialect, dialect::is_utc};

/// Longer lists are compared here.
const LONGEST_LIST: usize = 1_000;

/// An expression in the database's words.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub text: String,
    pub data_type: DataType,
    pub comparable: Comparable,
    /// It is NULL in a row that an outer join makes up.
    pub bare: bool,
    /// It names at least one column. One that does not would be a position in GROUP BY and ORDER BY.
    pub varies: bool,
}

impl Sql {
    fn computed(text: String, data_type: DataType, varies: bool) -> Self {
        Self { text, data_type, comparable: Comparable::Ordered, bare: false, varies }
    }
}

/// The columns that an expression may name, aligned with the schema of the plan that provides them.
pub(super) struct Scope<'a> {
    pub dialect: Dialect,
    pub schema: &'a DFSchema,
    pub columns: &'a [Sql],
}

impl Scope<'_> {
    /// The expression as SQL; `None` where it has to be evaluated here.
    pub fn write(&self, expr: &Expr) -> Option<Sql> {
        match expr {
            Expr::Alias(alias) => self.write(&alias.expr),
            Expr::Column(column) => self.column(column),
            Expr::Literal(value, _) => Some(Sql::computed(self.dialect.literal(value)?, value.data_type(), false)),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Like(like) => self.like(like),
            Expr::Not(inner) => self.condition(inner, |inner| format!("(NOT {inner})")),
            Expr::IsNull(inner) => self.null_test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.null_test(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.condition(inner, |inner| format!("({inner} IS TRUE)")),
            Expr::IsNotTrue(inner) => self.condition(inner, |inner| format!("({inner} IS NOT TRUE)")),
            Expr::IsFalse(inner) => self.condition(inner, |inner| format!("({inner} IS FALSE)")),
            Expr::IsNotFalse(inner) => self.condition(inner, |inner| format!("({inner} IS NOT FALSE)")),
            Expr::IsUnknown(inner) => self.condition(inner, |inner| format!("({inner} IS NULL)")),
            Expr::IsNotUnknown(inner) => self.condition(inner, |inner| format!("({inner} IS NOT NULL)")),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Case(case) => self.case(case),
            Expr::Cast(cast) => self.cast(cast),
            Expr::ScalarFunction(function) => self.function(function),
            _ => None,
        }
    }

    /// A condition as SQL.
    pub fn write_condition(&self, expr: &Expr) -> Option<String> {
        let sql = self.write(expr)?;
        (sql.data_type == DataType::Boolean).then_some(sql.text)
    }

    fn column(&self, column: &Column) -> Option<Sql> {
        let index = self.schema.maybe_index_of_column(column)?;
        self.columns.get(index).cloned()
    }

    fn condition(&self, inner: &Expr, wrap: impl Fn(&str) -> String) -> Option<Sql> {
        let inner = self.write(inner)?;
        let boolean = inner.data_type == DataType::Boolean;
        boolean.then(|| Sql::computed(wrap(&inner.text), DataType::Boolean, inner.varies))
    }

    fn null_test(&self, inner: &Expr, test: &str) -> Option<Sql> {
        let inner = self.write(inner)?;
        Some(Sql::computed(format!("({} {test})", inner.text), DataType::Boolean, inner.varies))
    }

    fn binary(&self, binary: &BinaryExpr) -> Option<Sql> {
        let (left, right) = (self.write(&binary.left)?, self.write(&binary.right)?);
        let sqlite = self.dialect == Dialect::Sqlite;
        let boolean = |sql: &Sql| sql.data_type == DataType::Boolean;
        let operator = match binary.op {
            Operator::And if boolean(&left) && boolean(&right) => "AND",
            Operator::Or if boolean(&left) && boolean(&right) => "OR",
            Operator::Eq => equality(&left, &right, "=")?,
            Operator::NotEq => equality(&left, &right, "<>")?,
            Operator::IsDistinctFrom if sqlite => equality(&left, &right, "IS NOT")?,
            Operator::IsNotDistinctFrom if sqlite => equality(&left, &right, "IS")?,
            Operator::IsDistinctFrom => equality(&left, &right, "IS DISTINCT FROM")?,
            Operator::IsNotDistinctFrom => equality(&left, &right, "IS NOT DISTINCT FROM")?,
            Operator::Lt => ordering(&left, &right, "<")?,
            Operator::LtEq => ordering(&left, &right, "<=")?,
            Operator::Gt => ordering(&left, &right, ">")?,
            Operator::GtEq => ordering(&left, &right, ">=")?,
            Operator::StringConcat if is_text(&left.data_type) && is_text(&right.data_type) => {
                let text = format!("({} || {})", left.text, right.text);
                let comparable = left.comparable.min(right.comparable);
                let varies = left.varies || right.varies;
                return Some(Sql { comparable, ..Sql::computed(text, left.data_type, varies) });
            }
            _ => return None,
        };
        let text = format!("({} {operator} {})", left.text, right.text);
        Some(Sql::computed(text, DataType::Boolean, left.varies || right.varies))
    }

    fn like(&self, like: &Like) -> Option<Sql> {
        let expr = self.write(&like.expr)?;
        let Expr::Literal(pattern, _) = like.pattern.as_ref() else { return None };
        let pattern = pattern.try_as_str()??;
        // Databases differ in what an escape is, and in how they fold letters.
        let plain = !like.case_insensitive && like.escape_char.is_none() && !pattern.contains('\\');
        if !plain || !is_text(&expr.data_type) || expr.comparable < Comparable::Equality {
            return None;
        }
        let not = if like.negated { "NOT " } else { "" };
        let text = format!("({} {not}LIKE {})", expr.text, self.dialect.text(pattern)?);
        Some(Sql::computed(text, DataType::Boolean, expr.varies))
    }

    fn between(&self, between: &Between) -> Option<Sql> {
        let (expr, low, high) = (self.write(&between.expr)?, self.write(&between.low)?, self.write(&between.high)?);
        ordering(&expr, &low, "")?;
        ordering(&expr, &high, "")?;
        let not = if between.negated { "NOT " } else { "" };
        let text = format!("({} {not}BETWEEN {} AND {})", expr.text, low.text, high.text);
        Some(Sql::computed(text, DataType::Boolean, expr.varies || low.varies || high.varies))
    }

    fn in_list(&self, list: &InList) -> Option<Sql> {
        if list.list.is_empty() || list.list.len() > LONGEST_LIST {
            return None;
        }
        let expr = self.write(&list.expr)?;
        let mut varies = expr.varies;
        let mut items = Vec::with_capacity(list.list.len());
        for item in &list.list {
            let item = self.write(item)?;
            equality(&expr, &item, "")?;
            varies |= item.varies;
            items.push(item.text);
        }
        let not = if list.negated { "NOT " } else { "" };
        let text = format!("({} {not}IN ({}))", expr.text, items.join(", "));
        Some(Sql::computed(text, DataType::Boolean, varies))
    }

    fn case(&self, case: &Case) -> Option<Sql> {
        let subject = match &case.expr {
            Some(expr) => Some(self.write(expr)?),
            None => None,
        };
        let mut results: Vec<Sql> = Vec::new();
        let mut varies = subject.as_ref().is_some_and(|s| s.varies);
        let mut text = format!("(CASE {}", subject.as_ref().map_or("", |s| s.text.as_str()));
        for (when, then) in &case.when_then_expr {
            let (when, then) = (self.write(when)?, self.write(then)?);
            match &subject {
                Some(subject) => _ = equality(subject, &when, "")?,
                None if when.data_type == DataType::Boolean => {}
                None => return None,
            }
            varies |= when.varies || then.varies;
            text.push_str(&format!(" WHEN {} THEN {}", when.text, then.text));
            results.push(then);
        }
        if let Some(otherwise) = &case.else_expr {
            let otherwise = self.write(otherwise)?;
            varies |= otherwise.varies;
            text.push_str(&format!(" ELSE {}", otherwise.text));
            results.push(otherwise);
        }
        text.push_str(" END)");
        self.one_of(text, &results, varies)
    }

    /// An expression whose value is one of the given ones.
    fn one_of(&self, text: String, values: &[Sql], varies: bool) -> Option<Sql> {
        let first = values.first()?;
        if !values.iter().all(|value| same(&first.data_type, &value.data_type)) {
            return None;
        }
        let comparable = values.iter().map(|value| value.comparable).min()?;
        Some(Sql { comparable, ..Sql::computed(text, first.data_type.clone(), varies) })
    }

    fn cast(&self, cast: &Cast) -> Option<Sql> {
        use DataType as T;
        let inner = self.write(&cast.expr)?;
        let target = cast.field.data_type();
        if same(&inner.data_type, target) {
            return Some(Sql { data_type: target.clone(), ..inner });
        }
        let text = match (&inner.data_type, target) {
            (T::Int8 | T::Int16, T::Int32 | T::Int64) | (T::Int32, T::Int64) => match self.dialect {
                Dialect::Postgres => format!("CAST({} AS {})", inner.text, self.dialect.type_name(target)?),
                Dialect::Sqlite => inner.text,
            },
            (T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32, T::Float64)
            | (T::Int16 | T::Int32 | T::Int64, T::Utf8 | T::Utf8View | T::LargeUtf8) => {
                format!("CAST({} AS {})", inner.text, self.dialect.type_name(target)?)
            }
            (T::Int16 | T::Int32 | T::Int64, T::Decimal128(precision, scale))
                if self.dialect == Dialect::Postgres && i16::from(*precision) - i16::from(*scale) >= 19 =>
            {
                format!("CAST({} AS numeric)", inner.text)
            }
            // A number with more room is the same number.
            (T::Decimal128(precision, scale), T::Decimal128(wider, finer))
                if finer >= scale
                    && i16::from(*wider) - i16::from(*finer) >= i16::from(*precision) - i16::from(*scale) =>
            {
                inner.text
            }
            _ => return None,
        };
        let comparable = if is_text(target) { Comparable::Equality } else { Comparable::Ordered };
        Some(Sql { comparable, ..Sql::computed(text, target.clone(), inner.varies) })
    }

    fn function(&self, function: &ScalarFunction) -> Option<Sql> {
        let args: Vec<Sql> = function.args.iter().map(|arg| self.write(arg)).collect::<Option<_>>()?;
        let varies = args.iter().any(|arg| arg.varies);
        let texts = || args.iter().map(|arg| arg.text.as_str()).collect::<Vec<_>>().join(", ");
        let postgres = self.dialect == Dialect::Postgres;
        match function.name() {
            "coalesce" if args.len() > 1 => self.one_of(format!("COALESCE({})", texts()), &args, varies),
            "nullif" if args.len() == 2 => {
                equality(&args[0], &args[1], "")?;
                self.one_of(format!("NULLIF({})", texts()), &args, varies)
            }
            "character_length" if args.len() == 1 && postgres && is_text(&args[0].data_type) => {
                Some(Sql::computed(format!("char_length({})", texts()), DataType::Int32, varies))
            }
            "date_trunc" if args.len() == 2 && postgres => {
                let unit = unit(&function.args[0], &["year", "quarter", "month", "week", "day", "hour", "minute"])?;
                is_moment(&args[1].data_type).then(|| {
                    let text = format!("date_trunc('{unit}', {})", args[1].text);
                    Sql::computed(text, args[1].data_type.clone(), varies)
                })
            }
            "date_part" if args.len() == 2 && postgres => {
                let parts = ["year", "quarter", "month", "week", "day", "doy", "dow", "hour", "minute"];
                let unit = unit(&function.args[0], &parts)?;
                let moment = &args[1].text;
                (is_moment(&args[1].data_type) || args[1].data_type == DataType::Date32).then(|| {
                    // An infinite moment has no parts, and a cast of an infinite part would raise.
                    let text = format!(
                        "(CASE WHEN isfinite({moment}) THEN CAST(date_part('{unit}', {moment}) AS integer) END)"
                    );
                    Sql::computed(text, DataType::Int32, varies)
                })
            }
            _ => None,
        }
    }
}

fn unit<'a>(expr: &Expr, known: &[&'a str]) -> Option<&'a str> {
    let Expr::Literal(value, _) = expr else { return None };
    let name = value.try_as_str()??.to_lowercase();
    known.iter().copied().find(|known| *known == name)
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, zone) if zone.as_deref().is_none_or(is_utc))
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether two types hold the same values.
pub(super) fn same(left: &DataType, right: &DataType) -> bool {
    left == right || (is_text(left) && is_text(right))
}

/// The operator, where both sides can be compared for equality.
pub(super) fn equality<'a>(left: &Sql, right: &Sql, operator: &'a str) -> Option<&'a str> {
    let comparable = left.comparable.min(right.comparable) >= Comparable::Equality;
    (comparable && same(&left.data_type, &right.data_type)).then_some(operator)
}

fn ordering<'a>(left: &Sql, right: &Sql, operator: &'a str) -> Option<&'a str> {
    let comparable = left.comparable.min(right.comparable) == Comparable::Ordered;
    (comparable && same(&left.data_type, &right.data_type)).then_some(operator)
}

/// The parts of a conjunction.
pub(super) fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    datafusion::logical_expr::utils::split_conjunction(expr)
}

/// Whether the expression is the literal 1 or *, the argument of a count of rows.
pub(super) fn counts_rows(args: &[Expr]) -> bool {
    matches!(args, [] | [Expr::Literal(ScalarValue::Int64(Some(_)), _)])
}
