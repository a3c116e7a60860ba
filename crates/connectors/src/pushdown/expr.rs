//! Scalar expressions as SQL, where the SQL means the same.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Cast, Expr, Like, Operator, expr::InList, expr::ScalarFunction,
};
use datafusion::scalar::ScalarValue;

use super::Dialect;
use super::dialect::{Grammar, is_utc};
use super::table::Comparable;

/// Longer lists are compared here.
const LONGEST_LIST: usize = 1_000;
/// Bytes of an expression that is written as SQL.
const LONGEST_EXPRESSION: usize = 128 * 1024;

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
    /// It is a condition, which some databases do not take for a value.
    pub condition: bool,
    /// The column as it stands in its table, where a comparison of what is read of it with a constant tells of it.
    pub stored: Option<Stored>,
}

/// A column as an index holds it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub text: String,
    /// Which comparisons with a constant hold of it wherever they hold of what is read.
    pub implied: Comparable,
}

impl Sql {
    fn computed(text: String, data_type: DataType, varies: bool) -> Self {
        Self { text, data_type, comparable: Comparable::Ordered, bare: false, varies, condition: false, stored: None }
    }

    fn condition(text: String, varies: bool) -> Self {
        Self { condition: true, ..Self::computed(text, DataType::Boolean, varies) }
    }
}

/// The columns that an expression may name, aligned with the schema of the plan that provides them.
pub(super) struct Scope<'a> {
    pub dialect: Dialect,
    pub schema: &'a DFSchema,
    pub columns: &'a [Sql],
}

impl Scope<'_> {
    /// The expression as an SQL value; `None` where it has to be evaluated here.
    pub fn write(&self, expr: &Expr) -> Option<Sql> {
        let sql = self.write_either(expr)?;
        match self.grammar().value_of(&sql.text) {
            Some(value) if sql.condition => Some(Sql { text: value, condition: false, ..sql }),
            _ => Some(sql),
        }
    }

    /// A truth value as a condition that stands in another one.
    fn write_test(&self, expr: &Expr) -> Option<Sql> {
        let sql = self.write_either(expr)?;
        match sql.data_type {
            DataType::Boolean if sql.condition => Some(sql),
            DataType::Boolean => Some(Sql { text: self.grammar().condition_of(&sql.text), condition: true, ..sql }),
            _ => None,
        }
    }

    /// As a value or as a condition, whichever it is. Some are written several times, one within the other, so that a short
    /// query could become text without end.
    fn write_either(&self, expr: &Expr) -> Option<Sql> {
        self.write_any(expr).filter(|sql| sql.text.len() <= LONGEST_EXPRESSION)
    }

    fn write_any(&self, expr: &Expr) -> Option<Sql> {
        match expr {
            Expr::Alias(alias) => self.write_either(&alias.expr),
            Expr::Column(column) => self.column(column),
            Expr::Literal(value, _) => Some(self.literal(value)?),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Like(like) => self.like(like),
            Expr::Not(inner) => self.condition(inner, |inner| format!("(NOT {inner})")),
            Expr::IsNull(inner) => self.null_test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.null_test(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.condition(inner, |inner| self.grammar().truth_test(inner, true, false)),
            Expr::IsNotTrue(inner) => self.condition(inner, |inner| self.grammar().truth_test(inner, true, true)),
            Expr::IsFalse(inner) => self.condition(inner, |inner| self.grammar().truth_test(inner, false, false)),
            Expr::IsNotFalse(inner) => self.condition(inner, |inner| self.grammar().truth_test(inner, false, true)),
            Expr::IsUnknown(inner) => self.null_test(inner, "IS NULL"),
            Expr::IsNotUnknown(inner) => self.null_test(inner, "IS NOT NULL"),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Case(case) => self.case(case),
            Expr::Cast(cast) => self.cast(cast),
            Expr::ScalarFunction(function) => self.function(function),
            _ => None,
        }
    }

    fn grammar(&self) -> &'static dyn Grammar {
        self.dialect.grammar()
    }

    /// A condition as SQL, for places where NULL is as good as false: it may come with another one that it implies.
    pub fn write_condition(&self, expr: &Expr) -> Option<String> {
        let sql = self.write_test(expr)?;
        Some(match self.implied(expr) {
            Some(implied) => format!("({implied} AND {})", sql.text),
            None => sql.text,
        })
    }

    /// A condition on columns as they are stored that is true wherever the given one is: an index serves it where
    /// the exact one computes, and it narrows what is fetched where the exact one has no SQL.
    pub fn implied(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Alias(alias) => self.implied(&alias.expr),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                match (self.implied(left), self.implied(right)) {
                    (Some(left), Some(right)) => Some(format!("({left} AND {right})")),
                    (left, right) => left.or(right),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(format!("({} OR {})", self.implied(left)?, self.implied(right)?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (op, column, constant) = match (self.stored(left), self.stored(right)) {
                    (Some(column), None) => (*op, column, right),
                    (None, Some(column)) => (op.swap()?, column, left),
                    _ => return None,
                };
                if column.implied == Comparable::Narrowed {
                    return self.narrowed(&column, op, constant);
                }
                let operator = match op {
                    Operator::Eq => "=",
                    Operator::Lt if column.implied == Comparable::Ordered => "<",
                    Operator::LtEq if column.implied == Comparable::Ordered => "<=",
                    Operator::Gt if column.implied == Comparable::Ordered => ">",
                    Operator::GtEq if column.implied == Comparable::Ordered => ">=",
                    _ => return None,
                };
                Some(format!("({} {operator} {})", column.text, self.plain(constant)?))
            }
            Expr::Between(between) if !between.negated => {
                let column = self.stored(&between.expr)?;
                if column.implied == Comparable::Narrowed {
                    let low = self.narrowed(&column, Operator::GtEq, &between.low)?;
                    return Some(format!("({low} AND {})", self.narrowed(&column, Operator::LtEq, &between.high)?));
                }
                if column.implied != Comparable::Ordered {
                    return None;
                }
                let (low, high) = (self.plain(&between.low)?, self.plain(&between.high)?);
                Some(format!("({} BETWEEN {low} AND {high})", column.text))
            }
            Expr::InList(list) if !list.negated && list.list.len() <= LONGEST_LIST => {
                let column = self.stored(&list.expr)?;
                if column.implied == Comparable::Narrowed {
                    let items = list.list.iter().map(|item| self.narrowed(&column, Operator::Eq, item));
                    let items = items.collect::<Option<Vec<_>>>()?;
                    return (!items.is_empty()).then(|| format!("({})", items.join(" OR ")));
                }
                let items = list.list.iter().map(|item| self.plain(item)).collect::<Option<Vec<_>>>()?;
                (!items.is_empty()).then(|| format!("({} IN ({}))", column.text, items.join(", ")))
            }
            _ => None,
        }
    }

    fn stored(&self, expr: &Expr) -> Option<Stored> {
        let Expr::Column(column) = expr else { return None };
        self.column(column)?.stored.filter(|stored| stored.implied != Comparable::No)
    }

    fn narrowed(&self, column: &Stored, operator: Operator, constant: &Expr) -> Option<String> {
        let Expr::Literal(value, _) = constant else { return None };
        self.grammar().narrowed(&column.text, operator, value)
    }

    fn plain(&self, expr: &Expr) -> Option<String> {
        let Expr::Literal(value, _) = expr else { return None };
        self.grammar().plain_literal(value)
    }

    fn literal(&self, value: &ScalarValue) -> Option<Sql> {
        let sql = Sql::computed(self.dialect.literal(value)?, value.data_type(), false);
        let whole = self.grammar().compares_whole(&sql.data_type);
        Some(if whole { sql } else { Sql { comparable: Comparable::Equality, ..sql } })
    }

    fn column(&self, column: &Column) -> Option<Sql> {
        let index = self.schema.maybe_index_of_column(column)?;
        self.columns.get(index).cloned()
    }

    fn condition(&self, inner: &Expr, wrap: impl Fn(&str) -> String) -> Option<Sql> {
        let inner = self.write_test(inner)?;
        Some(Sql::condition(wrap(&inner.text), inner.varies))
    }

    fn null_test(&self, inner: &Expr, test: &str) -> Option<Sql> {
        let inner = self.write(inner)?;
        Some(Sql::condition(format!("({} {test})", inner.text), inner.varies))
    }

    fn binary(&self, binary: &BinaryExpr) -> Option<Sql> {
        if let Operator::And | Operator::Or = binary.op {
            let (left, right) = (self.write_test(&binary.left)?, self.write_test(&binary.right)?);
            let text = format!("({} {} {})", left.text, binary.op, right.text);
            return Some(Sql::condition(text, left.varies || right.varies));
        }
        let (left, right) = (self.write(&binary.left)?, self.write(&binary.right)?);
        let varies = left.varies || right.varies;
        if let Some(text) = self.number_or_nan(&left, binary.op, &right) {
            return Some(Sql::condition(text, varies));
        }
        let operator = match binary.op {
            Operator::Eq | Operator::NotEq => {
                return Some(Sql::condition(self.equal(&left, &right, binary.op == Operator::NotEq)?, varies));
            }
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {
                equality(&left, &right, "")?;
                if !self.grammar().compares_whole(&left.data_type) {
                    return None;
                }
                let distinct = binary.op == Operator::IsDistinctFrom;
                let text = self.grammar().distinct_from(&left.text, &right.text, distinct);
                return Some(Sql::condition(text, varies));
            }
            Operator::Plus | Operator::Minus | Operator::Multiply => {
                return self.decimals(&left, binary.op, &right, varies);
            }
            Operator::Lt => ordering(&left, &right, "<")?,
            Operator::LtEq => ordering(&left, &right, "<=")?,
            Operator::Gt => ordering(&left, &right, ">")?,
            Operator::GtEq => ordering(&left, &right, ">=")?,
            Operator::StringConcat => return self.concatenation(&left, &right),
            _ => return None,
        };
        Some(Sql::condition(format!("({} {operator} {})", left.text, right.text), varies))
    }

    fn concatenation(&self, left: &Sql, right: &Sql) -> Option<Sql> {
        if !is_text(&left.data_type) || !is_text(&right.data_type) {
            return None;
        }
        let text = self.grammar().concat(&left.text, &right.text)?;
        let comparable = left.comparable.min(right.comparable);
        Some(Sql { comparable, ..Sql::computed(text, left.data_type.clone(), left.varies || right.varies) })
    }

    /// Arithmetic of decimals, where every result has its place in the engine's type: neither side raises or rounds.
    fn decimals(&self, left: &Sql, operator: Operator, right: &Sql, varies: bool) -> Option<Sql> {
        use DataType::Decimal128;
        let (Decimal128(p, s), Decimal128(q, t)) = (&left.data_type, &right.data_type) else { return None };
        let (p, s, q, t) = (i16::from(*p), i16::from(*s), i16::from(*q), i16::from(*t));
        if !self.grammar().computes_decimals() || s < 0 || t < 0 {
            return None;
        }
        let most = i16::from(DECIMAL128_MAX_PRECISION);
        // The engine gives a product a digit more than it can have.
        let (digits, spare, scale) = match operator {
            Operator::Multiply => (p + q, 1, s + t),
            Operator::Plus | Operator::Minus => (s.max(t) + (p - s).max(q - t) + 1, 0, s.max(t)),
            _ => return None,
        };
        if digits > most {
            return None;
        }
        let precision = u8::try_from((digits + spare).min(most)).ok()?;
        let data_type = Decimal128(precision, i8::try_from(scale).ok()?);
        Some(Sql::computed(format!("({} {operator} {})", left.text, right.text), data_type, varies))
    }

    /// That two values are the same, or that they are not.
    pub(super) fn equal(&self, left: &Sql, right: &Sql, negated: bool) -> Option<String> {
        equality(left, right, "")?;
        Some(self.grammar().equal(&left.text, &right.text, &left.data_type, negated))
    }

    /// A comparison of a fraction, which may be NaN, with a finite constant. For the engine NaN is above all numbers.
    fn number_or_nan(&self, left: &Sql, operator: Operator, right: &Sql) -> Option<String> {
        let fraction = |sql: &Sql| matches!(sql.data_type, DataType::Float32 | DataType::Float64);
        if !fraction(left) || left.data_type != right.data_type {
            return None;
        }
        let (number, operator, constant) = match (left.varies, right.varies) {
            (true, false) => (left, operator, right),
            (false, true) => (right, operator.swap()?, left),
            _ => return None,
        };
        let nan = self.grammar().is_nan(&number.text)?;
        let (number, constant) = (&number.text, &constant.text);
        match operator {
            Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq => {
                Some(format!("({number} {operator} {constant})").replace("!=", "<>"))
            }
            Operator::Gt | Operator::GtEq => Some(format!("({number} {operator} {constant} OR {nan})")),
            _ => None,
        }
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
        let text = self.grammar().like(&expr.text, pattern, like.negated)?;
        Some(Sql::condition(text, expr.varies))
    }

    fn between(&self, between: &Between) -> Option<Sql> {
        let (expr, low, high) = (self.write(&between.expr)?, self.write(&between.low)?, self.write(&between.high)?);
        ordering(&expr, &low, "")?;
        ordering(&expr, &high, "")?;
        let not = if between.negated { "NOT " } else { "" };
        let text = format!("({} {not}BETWEEN {} AND {})", expr.text, low.text, high.text);
        Some(Sql::condition(text, expr.varies || low.varies || high.varies))
    }

    fn in_list(&self, list: &InList) -> Option<Sql> {
        if list.list.is_empty() || list.list.len() > LONGEST_LIST {
            return None;
        }
        let expr = self.write(&list.expr)?;
        let mut varies = expr.varies;
        let mut items = Vec::with_capacity(list.list.len());
        for item in &list.list {
            if !self.grammar().nulls_in_lists() && !matches!(item, Expr::Literal(value, _) if !value.is_null()) {
                return None;
            }
            let item = self.write(item)?;
            varies |= item.varies;
            items.push((self.equal(&expr, &item, false)?, item.text));
        }
        let not = if list.negated { "NOT " } else { "" };
        let text = if self.grammar().compares_whole(&expr.data_type) {
            let items: Vec<_> = items.into_iter().map(|(_, item)| item).collect();
            format!("({} {not}IN ({}))", expr.text, items.join(", "))
        } else {
            let equal: Vec<_> = items.into_iter().map(|(equal, _)| equal).collect();
            format!("({not}({}))", equal.join(" OR "))
        };
        Some(Sql::condition(text, varies))
    }

    fn case(&self, case: &Case) -> Option<Sql> {
        let subject = match &case.expr {
            Some(expr) => Some(self.write(expr)?),
            None => None,
        };
        let mut results: Vec<Sql> = Vec::new();
        let mut varies = subject.as_ref().is_some_and(|s| s.varies);
        // A subject whose equality takes more than `=` is compared in each condition.
        let whole = subject.as_ref().is_some_and(|subject| self.grammar().compares_whole(&subject.data_type));
        let mut text = match &subject {
            Some(subject) if whole => format!("(CASE {}", subject.text),
            _ => "(CASE".to_owned(),
        };
        for (when, then) in &case.when_then_expr {
            let then = self.write(then)?;
            let when = match &subject {
                Some(subject) => {
                    let value = self.write(when)?;
                    let equal = self.equal(subject, &value, false)?;
                    if whole { value } else { Sql { text: equal, ..value } }
                }
                None => self.write_test(when)?,
            };
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
        if comparable == Comparable::No && self.grammar().only_read() {
            return None;
        }
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
            (T::Int8 | T::Int16, T::Int32 | T::Int64)
            | (T::Int32, T::Int64)
            | (T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32, T::Float64)
            | (T::Int16 | T::Int32 | T::Int64, T::Utf8 | T::Utf8View | T::LargeUtf8) => {
                self.grammar().cast(&inner.text, &inner.data_type, target)?
            }
            (T::Int16 | T::Int32 | T::Int64, T::Decimal128(precision, scale))
                if i16::from(*precision) - i16::from(*scale) >= 19 =>
            {
                self.grammar().cast(&inner.text, &inner.data_type, target)?
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
        let comparable = match target {
            target if is_text(target) => Comparable::Equality,
            // NaN is as comparable as before.
            T::Float64 if inner.data_type == T::Float32 => inner.comparable,
            _ => Comparable::Ordered,
        };
        Some(Sql { comparable, ..Sql::computed(text, target.clone(), inner.varies) })
    }

    fn function(&self, function: &ScalarFunction) -> Option<Sql> {
        let args: Vec<Sql> = function.args.iter().map(|arg| self.write(arg)).collect::<Option<_>>()?;
        if self.grammar().only_read() && args.iter().any(|arg| arg.comparable == Comparable::No) {
            return None;
        }
        let varies = args.iter().any(|arg| arg.varies);
        let texts = || args.iter().map(|arg| arg.text.as_str()).collect::<Vec<_>>().join(", ");
        match function.name() {
            "coalesce" if args.len() > 1 => self.one_of(format!("COALESCE({})", texts()), &args, varies),
            // The engine's own, about what lies below a NULL in its memory; a NULL of a database is nothing else.
            "mask_cleared" => args.first().cloned(),
            // The engine's own for the operator, with bounds for what itself makes of it.
            "||" if args.len() == 2 => self.concatenation(&args[0], &args[1]),
            "nullif" if args.len() == 2 => {
                let equal = self.equal(&args[0], &args[1], false)?;
                let text = match self.grammar().compares_whole(&args[0].data_type) {
                    true => format!("NULLIF({})", texts()),
                    false => format!("(CASE WHEN {equal} THEN NULL ELSE {} END)", args[0].text),
                };
                self.one_of(text, &args, varies)
            }
            "character_length" if args.len() == 1 && is_text(&args[0].data_type) => {
                Some(Sql::computed(self.grammar().character_length(&args[0].text)?, DataType::Int32, varies))
            }
            "date_trunc" if args.len() == 2 && is_moment(&args[1].data_type) => {
                let unit = unit(&function.args[0], &["year", "quarter", "month", "week", "day", "hour", "minute"])?;
                let moment = &args[1];
                let text = self.grammar().date_trunc(unit, &moment.text, &moment.data_type)?;
                Some(Sql::computed(text, moment.data_type.clone(), varies))
            }
            "date_part" if args.len() == 2 => {
                let parts = ["year", "quarter", "month", "week", "day", "doy", "dow", "hour", "minute"];
                let unit = unit(&function.args[0], &parts)?;
                let moment = &args[1];
                if !is_moment(&moment.data_type) && moment.data_type != DataType::Date32 {
                    return None;
                }
                let text = self.grammar().date_part(unit, &moment.text, &moment.data_type)?;
                Some(Sql::computed(text, DataType::Int32, varies))
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
