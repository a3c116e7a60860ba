//! Metrics: a number under a name, as people define it once for all.
//!
//! ```text
//! sum(amount) where status = 'paid'
//! ─┬─ ─┬────       ─┬─────────────
//!  │   └ of what    └ over which rows; may be left out
//!  └ one aggregate
//! ```
//!
//! One aggregate may be divided by another, over the same rows: `sum(amount) / count(distinct order_id) where …`.
//!
//! A definition speaks of the columns of one table. It is parsed as SQL is, checked against the types of the columns, and
//! kept as a tree in which only what is written here exists: no sub-select, no function but the aggregate, nothing that
//! reads another table. What refuses it says where.

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
        Spanned, UnaryOperator, Value,
    },
    dialect::GenericDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token},
};
use serde::{Deserialize, Serialize};

use super::ColumnType;

/// Deeper nesting than a metric can need.
const DEEPEST_NESTING: usize = 20;

/// A definition, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formula {
    pub aggregate: Aggregation,
    /// `None`: the rows.
    pub of: Option<Scalar>,
    /// What it is divided by.
    #[serde(default)]
    pub per: Option<Divisor>,
    pub condition: Option<Scalar>,
    /// What comes out can be added up and compared with numbers.
    pub is_number: bool,
}

/// An aggregate by which another is divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divisor {
    pub aggregate: Aggregation,
    /// `None`: the rows.
    pub of: Option<Scalar>,
}

/// How rows become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    Count,
    CountDistinct,
    Sum,
    Average,
    Minimum,
    Maximum,
    Median,
}

/// What one row has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scalar {
    Column(String),
    Text(String),
    /// Digits, with at most one point and a sign before them.
    Number(String),
    Date(NaiveDate),
    Moment(NaiveDateTime),
    Truth(bool),
    Binary(Box<Scalar>, Operator, Box<Scalar>),
    Not(Box<Scalar>),
    Missing(Box<Scalar>),
    In(Box<Scalar>, Vec<Scalar>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

impl Formula {
    /// There is a value of the data in it, or of somebody's head.
    pub fn has_values(&self) -> bool {
        let per = self.per.as_ref().and_then(|per| per.of.as_ref());
        self.of.iter().chain(per).chain(&self.condition).any(Scalar::has_values)
    }
}

impl Scalar {
    fn has_values(&self) -> bool {
        match self {
            Self::Column(_) => false,
            Self::Text(_) | Self::Number(_) | Self::Date(_) | Self::Moment(_) | Self::Truth(_) => true,
            Self::Binary(left, _, right) => left.has_values() || right.has_values(),
            Self::Not(inner) | Self::Missing(inner) => inner.has_values(),
            Self::In(left, values) => left.has_values() || !values.is_empty(),
        }
    }
}

/// Why a definition is none, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {position}: {reason}")]
pub struct MetricError {
    /// In characters, from 1.
    pub position: usize,
    pub reason: String,
}

/// The table of which a definition speaks.
#[derive(Debug, Clone)]
pub struct MetricTable<'a> {
    /// `catalog.schema.table`
    pub name: &'a str,
    pub columns: Vec<(&'a str, ColumnType)>,
}

/// Reads a definition over the columns of a table.
pub fn parse(definition: &str, table: &MetricTable<'_>) -> Result<Formula, MetricError> {
    let reader = Reader { definition, table };
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(DEEPEST_NESTING)
        .try_with_sql(definition)
        .map_err(|error| reader.syntax(&error))?;
    let measure = parser.parse_expr().map_err(|error| reader.syntax(&error))?;
    let mut formula = reader.formula(&measure)?;
    if parser.parse_keyword(Keyword::WHERE) {
        let condition = parser.parse_expr().map_err(|error| reader.syntax(&error))?;
        formula.condition = Some(reader.condition(&condition)?);
    }
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(formula),
        other => Err(reader.at(rest.span.start, format!("\"{other}\" is not expected here"))),
    }
}

/// The kinds between which a definition tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
    Date,
    Moment,
    Other,
}

impl Kind {
    fn of(column: ColumnType) -> Self {
        match column {
            ColumnType::Text => Self::Text,
            ColumnType::Integer | ColumnType::Decimal => Self::Number,
            ColumnType::Boolean => Self::Truth,
            ColumnType::Date => Self::Date,
            ColumnType::Timestamp => Self::Moment,
            ColumnType::Other => Self::Other,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Date => "a day",
            Self::Moment => "a moment",
            Self::Other => "of a type that cannot be compared",
        }
    }
}

struct Reader<'a> {
    definition: &'a str,
    table: &'a MetricTable<'a>,
}

impl Reader<'_> {
    fn at(&self, location: Location, reason: impl Into<String>) -> MetricError {
        let reason = reason.into();
        let Some(lines_before) = usize::try_from(location.line).ok().and_then(|line| line.checked_sub(1)) else {
            return MetricError { position: 1, reason };
        };
        let before: usize = self.definition.split('\n').take(lines_before).map(|line| line.chars().count() + 1).sum();
        let column = usize::try_from(location.column).unwrap_or(1);
        // Behind the end is at the end.
        let position = (before + column).clamp(1, self.definition.chars().count().max(1));
        MetricError { position, reason }
    }

    fn wrong(&self, place: &impl Spanned, reason: impl Into<String>) -> MetricError {
        self.at(place.span().start, reason)
    }

    /// The parser tells the place in its words.
    fn syntax(&self, error: &ParserError) -> MetricError {
        let message = match error {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.as_str(),
            ParserError::RecursionLimitExceeded => "it is nested too deeply",
        };
        let (reason, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
        let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>());
        match (numbers.next(), numbers.next()) {
            (Some(Ok(line)), Some(Ok(column))) => self.at(Location { line, column }, reason),
            _ => MetricError { position: 1, reason: reason.to_owned() },
        }
    }

    /// One aggregate, or one divided by another.
    fn formula(&self, expr: &Expr) -> Result<Formula, MetricError> {
        match expr {
            Expr::Nested(inner) => self.formula(inner),
            Expr::BinaryOp { left, op: BinaryOperator::Divide, right } => {
                let (dividend, divisor) = (self.measure(left)?, self.measure(right)?);
                for (side, measure) in [(left, &dividend), (right, &divisor)] {
                    if !measure.is_number {
                        return Err(self.wrong(side.as_ref(), "only numbers can be divided"));
                    }
                }
                Ok(Formula { per: Some(Divisor { aggregate: divisor.aggregate, of: divisor.of }), ..dividend })
            }
            _ => self.measure(expr),
        }
    }

    fn measure(&self, expr: &Expr) -> Result<Formula, MetricError> {
        let function = match expr {
            Expr::Nested(inner) => return self.measure(inner),
            Expr::Function(function) => function,
            _ => {
                return Err(self
                    .wrong(expr, "must be one aggregate, such as sum(amount) or count(*), or one divided by another"));
            }
        };
        let argument = self.argument(function)?;
        let is_distinct = match &function.args {
            FunctionArguments::List(list) => matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)),
            FunctionArguments::None | FunctionArguments::Subquery(_) => false,
        };
        let aggregate = match function.name.to_string().to_lowercase().as_str() {
            "count" if is_distinct => Aggregation::CountDistinct,
            "count" => Aggregation::Count,
            "sum" => Aggregation::Sum,
            "avg" => Aggregation::Average,
            "min" => Aggregation::Minimum,
            "max" => Aggregation::Maximum,
            "median" => Aggregation::Median,
            other => {
                let reason = format!("there is no aggregate {other}; there are sum, avg, min, max, median and count");
                return Err(self.wrong(expr, reason));
            }
        };
        let counts = matches!(aggregate, Aggregation::Count | Aggregation::CountDistinct);
        if is_distinct && aggregate != Aggregation::CountDistinct {
            return Err(self.wrong(expr, "only count takes different values once"));
        }
        let (of, is_number) = match argument {
            None if aggregate == Aggregation::Count => (None, true),
            None => return Err(self.wrong(expr, "only count takes *")),
            Some(argument) => {
                let (of, kind) = self.scalar(argument)?;
                let adds_up = matches!(aggregate, Aggregation::Sum | Aggregation::Average | Aggregation::Median);
                if kind == Kind::Other || (adds_up && kind != Kind::Number) {
                    let reason = format!("is {}; {} needs a number", kind.as_str(), function.name);
                    return Err(self.wrong(argument, reason));
                }
                (Some(of), counts || kind == Kind::Number)
            }
        };
        Ok(Formula { aggregate, of, per: None, condition: None, is_number })
    }

    /// What the aggregate is of; `None` for `*`.
    fn argument<'e>(&self, function: &'e Function) -> Result<Option<&'e Expr>, MetricError> {
        let plain = function.filter.is_none()
            && function.over.is_none()
            && function.within_group.is_empty()
            && function.null_treatment.is_none()
            && matches!(function.parameters, FunctionArguments::None);
        let FunctionArguments::List(list) = &function.args else {
            return Err(self.wrong(&function.name, "needs what it is of in parentheses"));
        };
        match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if plain && list.clauses.is_empty() => Ok(None),
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] if plain && list.clauses.is_empty() => {
                Ok(Some(argument))
            }
            _ => Err(self.wrong(&function.name, "takes one argument and nothing else; conditions follow \"where\"")),
        }
    }

    fn condition(&self, expr: &Expr) -> Result<Scalar, MetricError> {
        let (scalar, kind) = self.scalar(expr)?;
        match kind {
            Kind::Truth => Ok(scalar),
            other => Err(self.wrong(expr, format!("must be a condition, and is {}", other.as_str()))),
        }
    }

    fn scalar(&self, expr: &Expr) -> Result<(Scalar, Kind), MetricError> {
        let truth = |scalar: Scalar| Ok((scalar, Kind::Truth));
        let negated = |scalar: Scalar, not: bool| if not { Scalar::Not(Box::new(scalar)) } else { scalar };
        match expr {
            Expr::Nested(inner) => self.scalar(inner),
            Expr::Identifier(name) => self.column(std::slice::from_ref(name), expr),
            Expr::CompoundIdentifier(parts) => self.column(parts, expr),
            Expr::Value(value) => self.literal(&value.value, expr),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => match self.scalar(inner)? {
                (Scalar::Number(digits), kind) if !digits.starts_with('-') => {
                    Ok((Scalar::Number(format!("-{digits}")), kind))
                }
                (inner, Kind::Number) => {
                    let zero = Scalar::Number("0".to_owned());
                    Ok((Scalar::Binary(Box::new(zero), Operator::Subtract, Box::new(inner)), Kind::Number))
                }
                (_, kind) => Err(self.wrong(inner.as_ref(), format!("is {}; a sign needs a number", kind.as_str()))),
            },
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => {
                truth(Scalar::Not(Box::new(self.condition(inner)?)))
            }
            Expr::IsNull(inner) => truth(Scalar::Missing(Box::new(self.scalar(inner)?.0))),
            Expr::IsNotNull(inner) => truth(negated(Scalar::Missing(Box::new(self.scalar(inner)?.0)), true)),
            Expr::IsTrue(inner) => truth(self.condition(inner)?),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, expr),
            Expr::Between { expr: inner, negated: not, low, high } => {
                let (above, _) = self.compared(inner, Operator::GreaterOrEqual, low)?;
                let (below, _) = self.compared(inner, Operator::LessOrEqual, high)?;
                truth(negated(Scalar::Binary(Box::new(above), Operator::And, Box::new(below)), *not))
            }
            Expr::InList { expr: inner, list, negated: not } => {
                let (left, kind) = self.scalar(inner)?;
                let mut values = Vec::with_capacity(list.len());
                for value in list {
                    values.push(self.fitting(value, kind)?);
                }
                truth(negated(Scalar::In(Box::new(left), values), *not))
            }
            _ => Err(self.wrong(
                expr,
                "this is more than a metric can say: columns, values, + - * /, comparisons, in, \
                between, is null, and, or, not",
            )),
        }
    }

    fn binary(
        &self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        whole: &Expr,
    ) -> Result<(Scalar, Kind), MetricError> {
        let operator = match op {
            BinaryOperator::Plus => Operator::Add,
            BinaryOperator::Minus => Operator::Subtract,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Eq => Operator::Equal,
            BinaryOperator::NotEq => Operator::NotEqual,
            BinaryOperator::Lt => Operator::Less,
            BinaryOperator::LtEq => Operator::LessOrEqual,
            BinaryOperator::Gt => Operator::Greater,
            BinaryOperator::GtEq => Operator::GreaterOrEqual,
            BinaryOperator::And => Operator::And,
            BinaryOperator::Or => Operator::Or,
            other => return Err(self.wrong(whole, format!("a metric does not know {other}"))),
        };
        match operator {
            Operator::And | Operator::Or => {
                let (left, right) = (self.condition(left)?, self.condition(right)?);
                Ok((Scalar::Binary(Box::new(left), operator, Box::new(right)), Kind::Truth))
            }
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => {
                let mut sides = Vec::with_capacity(2);
                for side in [left, right] {
                    match self.scalar(side)? {
                        (scalar, Kind::Number) => sides.push(Box::new(scalar)),
                        (_, kind) => {
                            return Err(self.wrong(side, format!("is {}; {op} needs a number", kind.as_str())));
                        }
                    }
                }
                match (sides.pop(), sides.pop()) {
                    (Some(right), Some(left)) => Ok((Scalar::Binary(left, operator, right), Kind::Number)),
                    _ => Err(self.wrong(whole, "needs two sides")),
                }
            }
            _ => self.compared(left, operator, right),
        }
    }

    fn compared(&self, left: &Expr, operator: Operator, right: &Expr) -> Result<(Scalar, Kind), MetricError> {
        // A day is written as a text: the side that has a type of its own says what the other is.
        let (left, right) = match matches!(left, Expr::Value(_)) {
            true => {
                let (right, kind) = self.scalar(right)?;
                (self.fitting(left, kind)?, right)
            }
            false => {
                let (left, kind) = self.scalar(left)?;
                let right = self.fitting(right, kind)?;
                (left, right)
            }
        };
        Ok((Scalar::Binary(Box::new(left), operator, Box::new(right)), Kind::Truth))
    }

    /// What stands there, where it can be compared with something of the kind.
    fn fitting(&self, expr: &Expr, wanted: Kind) -> Result<Scalar, MetricError> {
        let (scalar, kind) = self.scalar(expr)?;
        let times = [Kind::Date, Kind::Moment];
        match (scalar, kind) {
            (Scalar::Text(text), Kind::Text) if times.contains(&wanted) => self.time(&text, wanted, expr),
            (scalar, kind) if kind == wanted && kind != Kind::Other => Ok(scalar),
            (scalar, kind) if times.contains(&kind) && times.contains(&wanted) => Ok(scalar),
            (_, kind) => {
                Err(self.wrong(expr, format!("is {}, and is compared with {}", kind.as_str(), wanted.as_str())))
            }
        }
    }

    fn time(&self, text: &str, wanted: Kind, place: &Expr) -> Result<Scalar, MetricError> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
        let midnight = day.map(|day| day.and_time(chrono::NaiveTime::MIN));
        match (wanted, day, moment.or(midnight)) {
            (Kind::Date, Some(day), _) => Ok(Scalar::Date(day)),
            (Kind::Moment, _, Some(moment)) => Ok(Scalar::Moment(moment)),
            _ => Err(self.wrong(place, "must be a time such as '2025-12-31'")),
        }
    }

    fn literal(&self, value: &Value, place: &Expr) -> Result<(Scalar, Kind), MetricError> {
        match value {
            Value::SingleQuotedString(text) => Ok((Scalar::Text(text.clone()), Kind::Text)),
            Value::Boolean(truth) => Ok((Scalar::Truth(*truth), Kind::Truth)),
            Value::Number(number, _) => {
                let number = number.to_string();
                let is_plain = number.starts_with(|c: char| c.is_ascii_digit())
                    && number.chars().all(|c| c.is_ascii_digit() || c == '.');
                match is_plain {
                    true => Ok((Scalar::Number(number), Kind::Number)),
                    false => Err(self.wrong(place, "must be digits with at most one point between them")),
                }
            }
            _ => {
                Err(self.wrong(place, "is no value that a metric knows: texts in single quotes, numbers, true, false"))
            }
        }
    }

    /// The last part names the column; what stands before it must be the table.
    fn column(&self, parts: &[Ident], place: &Expr) -> Result<(Scalar, Kind), MetricError> {
        let Some((name, owner)) = parts.split_last() else { return Err(self.wrong(place, "names no column")) };
        let table: Vec<&str> = self.table.name.split('.').collect();
        let fits = owner.len() <= table.len()
            && owner.iter().rev().zip(table.iter().rev()).all(|(part, of)| part.value.eq_ignore_ascii_case(of));
        if !fits {
            return Err(self.wrong(place, format!("a metric reads one table, and that is {}", self.table.name)));
        }
        let columns = &self.table.columns;
        let exact = columns.iter().find(|(known, _)| *known == name.value);
        let alike = || {
            let mut alike = columns.iter().filter(|(known, _)| known.eq_ignore_ascii_case(&name.value));
            alike.next().filter(|_| alike.next().is_none())
        };
        let found = exact.or_else(|| if name.quote_style.is_none() { alike() } else { None });
        match found {
            Some((known, column_type)) => Ok((Scalar::Column((*known).to_owned()), Kind::of(*column_type))),
            None => {
                let nearest = columns
                    .iter()
                    .map(|(known, _)| (strsim::damerau_levenshtein(known, &name.value), *known))
                    .min()
                    .map(|(_, known)| format!("; the nearest is {known}"));
                let reason = format!("{} has no column {}{}", self.table.name, name.value, nearest.unwrap_or_default());
                Err(self.wrong(place, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(definition: &str) -> Result<Formula, MetricError> {
        let columns = vec![
            ("amount", ColumnType::Decimal),
            ("status", ColumnType::Text),
            ("ordered_on", ColumnType::Date),
            ("is_gift", ColumnType::Boolean),
        ];
        parse(definition, &MetricTable { name: "shop.main.orders", columns })
    }

    #[test]
    fn a_metric_is_an_aggregate_over_some_rows() {
        let revenue = read("sum(amount) where status = 'paid'").unwrap();
        assert_eq!((revenue.aggregate, revenue.of), (Aggregation::Sum, Some(Scalar::Column("amount".into()))));
        let paid = Scalar::Binary(
            Box::new(Scalar::Column("status".into())),
            Operator::Equal,
            Box::new(Scalar::Text("paid".into())),
        );
        assert_eq!(revenue.condition, Some(paid));
        for definition in [
            "count(*)",
            "COUNT(DISTINCT orders.status)",
            "avg(amount * 2 - 1) where not is_gift and status in ('paid', 'sent')",
            "sum(Amount) where shop.main.orders.ordered_on >= '2025-01-01' or status is null",
            "max(amount) where amount between -1 and 10.5",
            "sum(-amount)",
            "sum(amount) / count(*) where status = 'paid'",
            "(sum(amount) / count(distinct status))",
        ] {
            assert!(read(definition).is_ok(), "{definition}: {:?}", read(definition));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (definition, position, said) in [
            ("sum(amout)", 5, "the nearest is amount"),
            ("sum(status)", 5, "needs a number"),
            ("sum(amount) where status = 5", 28, "is compared with a text"),
            ("sum(amount) where ordered_on > 'soon'", 32, "must be a time"),
            ("sum(amount) where amount", 19, "must be a condition"),
            ("amount", 1, "one aggregate"),
            ("sum(customers.amount)", 5, "reads one table"),
            ("count(*) limit 1", 10, "not expected"),
            ("stddev(amount)", 1, "there is no aggregate"),
            ("sum(amount) / 2", 15, "one aggregate"),
            ("sum(amount) / max(ordered_on)", 15, "only numbers"),
            ("sum(amount) * count(*)", 1, "one aggregate"),
            ("sum(amount) / count(*) / count(*)", 1, "one aggregate"),
        ] {
            let error = read(definition).unwrap_err();
            assert!(error.reason.contains(said), "{definition}: {error}");
            assert_eq!(error.position, position, "{definition}: {error}");
        }
        for definition in [
            "",
            "sum(",
            "sum(amount) where",
            "sum(amount) over ()",
            "sum(amount) filter (where is_gift)",
            "count(*) where status = (select 1)",
        ] {
            assert!(read(definition).is_err(), "{definition}");
        }
    }

    #[test]
    fn values_are_noticed() {
        assert!(read("sum(amount) where status = 'paid'").unwrap().has_values());
        assert!(read("sum(amount) / sum(amount * 2)").unwrap().has_values());
        assert!(!read("sum(amount) / count(*)").unwrap().has_values());
    }
}
