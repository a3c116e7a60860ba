//! What people say of the data, and what it is held against: the schema as one caller sees it.

use std::borrow::Cow;

use rivergen_kernel::{Error, Result};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::planner::{ColumnPlace, ColumnType, Context, Join, Metric, Synonym};

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = SemanticDefinition, example = json!({"kind": "metric", "name": "revenue", "table": "orders.files.orders",
    "formula": "sum(amount) where status = 'paid'"}))]
pub enum Definition {
    Join(JoinDefinition),
    Metric(MetricDefinition),
    Description(DescriptionDefinition),
    Synonym(SynonymDefinition),
}

/// Columns that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinDefinition {
    /// `catalog.schema.table.column`
    #[schema(examples("orders.files.orders.customer_id"))]
    pub from: String,
    #[schema(examples("crm.main.customers.id"))]
    pub to: String,
    #[serde(default)]
    pub cardinality: Cardinality,
}

/// How many rows of `from` belong to one of `to`. Many to many is none of these: rows would be counted more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JoinCardinality)]
pub enum Cardinality {
    #[default]
    ManyToOne,
    OneToOne,
    OneToMany,
}

/// A number under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricDefinition {
    /// As questions say it.
    #[schema(examples("revenue"))]
    pub name: String,
    /// `catalog.schema.table`
    #[schema(examples("orders.files.orders"))]
    pub table: String,
    /// One aggregate over columns of the table: `sum`, `avg`, `min`, `max`, `median` or `count`; perhaps over some rows.
    #[schema(examples("sum(amount) where status = 'paid'"))]
    pub formula: String,
}

/// What a table or a column is, in words; replaces the source's own comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DescriptionDefinition {
    /// `catalog.schema.table`, or a column of it.
    #[schema(examples("orders.files.orders.amount"))]
    pub of: String,
    #[schema(examples("What was paid, taxes included, in euros."))]
    pub text: String,
}

/// A word for a table or a column; or which column a word is a value of, where several have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SynonymDefinition {
    #[schema(examples("turnover"))]
    pub phrase: String,
    /// `catalog.schema.table`, or a column of it.
    #[schema(examples("orders.files.orders.amount"))]
    pub of: String,
    /// The phrase is a value of the column, and not a name of it.
    #[serde(default)]
    pub is_value: bool,
}

/// Which one a definition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = SemanticKind)]
pub enum Kind {
    #[sea_orm(string_value = "join")]
    Join,
    #[sea_orm(string_value = "metric")]
    Metric,
    #[sea_orm(string_value = "description")]
    Description,
    #[sea_orm(string_value = "synonym")]
    Synonym,
}

/// A definition, held against a schema.
pub(crate) enum Resolved {
    Join(Join),
    Metric(Metric),
    TableDescription(usize, String),
    ColumnDescription(ColumnPlace, String),
    Synonym(Synonym),
}

const LONGEST_NAME: usize = 100;
const LONGEST_PLACE: usize = 1_000;
const LONGEST_TEXT: usize = 500;

impl Definition {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Join(_) => Kind::Join,
            Self::Metric(_) => Kind::Metric,
            Self::Description(_) => Kind::Description,
            Self::Synonym(_) => Kind::Synonym,
        }
    }

    /// What there is one of in a workspace.
    pub fn identity(&self) -> String {
        match self {
            Self::Join(join) => format!("{}={}", join.from, join.to),
            Self::Metric(metric) => metric.name.trim().to_lowercase(),
            Self::Description(description) => description.of.clone(),
            Self::Synonym(synonym) => synonym.phrase.trim().to_lowercase(),
        }
    }

    /// The sources that it speaks of, by their names in SQL.
    pub fn catalogs(&self) -> Vec<&str> {
        let places = match self {
            Self::Join(join) => vec![&join.from, &join.to],
            Self::Metric(metric) => vec![&metric.table],
            Self::Description(description) => vec![&description.of],
            Self::Synonym(synonym) => vec![&synonym.of],
        };
        places.into_iter().filter_map(|place| place.split('.').next()).collect()
    }

    /// 422 where a text is empty or too long.
    pub fn check(&self) -> Result<()> {
        let texts: Vec<(&str, &str, usize)> = match self {
            Self::Join(join) => {
                vec![("from", join.from.as_str(), LONGEST_PLACE), ("to", join.to.as_str(), LONGEST_PLACE)]
            }
            Self::Metric(metric) => vec![
                ("name", metric.name.as_str(), LONGEST_NAME),
                ("table", metric.table.as_str(), LONGEST_PLACE),
                ("formula", metric.formula.as_str(), LONGEST_TEXT),
            ],
            Self::Description(description) => {
                vec![("of", description.of.as_str(), LONGEST_PLACE), ("text", description.text.as_str(), LONGEST_TEXT)]
            }
            Self::Synonym(synonym) => {
                vec![("phrase", synonym.phrase.as_str(), LONGEST_NAME), ("of", synonym.of.as_str(), LONGEST_PLACE)]
            }
        };
        for (field, text, most) in texts {
            let length = text.chars().count();
            if text.trim().is_empty() || length > most {
                return Err(wrong(field, format!("must have 1 to {most} characters")));
            }
        }
        let named = match self {
            Self::Metric(metric) => Some(("name", metric.name.as_str())),
            Self::Synonym(synonym) => Some(("phrase", synonym.phrase.as_str())),
            Self::Join(_) | Self::Description(_) => None,
        };
        match named {
            Some((field, name)) if !name.chars().any(char::is_alphanumeric) => Err(wrong(field, "must contain a word")),
            _ => Ok(()),
        }
    }

    /// What it means in the schema; 422 with the field, and for a formula the place in it, where it means nothing there.
    pub(crate) fn resolve(&self, context: &Context) -> Result<Resolved> {
        match self {
            Self::Join(join) => resolve_join(join, context).map(Resolved::Join),
            Self::Metric(metric) => {
                let table = context.table_place(&metric.table).ok_or_else(|| wrong("table", NO_TABLE))?;
                let found = context.metric(metric.name.trim(), table, &metric.formula);
                Ok(Resolved::Metric(found.map_err(|error| wrong("formula", error.to_string()))?))
            }
            Self::Description(description) => {
                let text = description.text.clone();
                match (context.table_place(&description.of), context.column_place(&description.of)) {
                    (Some(table), _) => Ok(Resolved::TableDescription(table, text)),
                    (None, Some(column)) => Ok(Resolved::ColumnDescription(column, text)),
                    (None, None) => Err(wrong("of", NO_PLACE)),
                }
            }
            Self::Synonym(synonym) => {
                let phrase = synonym.phrase.trim().to_owned();
                let is_value = synonym.is_value;
                match (context.table_place(&synonym.of), context.column_place(&synonym.of)) {
                    (_, Some(ColumnPlace { table, column })) => {
                        Ok(Resolved::Synonym(Synonym { phrase, table, column: Some(column), is_value }))
                    }
                    (Some(_), None) if is_value => Err(wrong("of", "must be a column, as the phrase is a value")),
                    (Some(table), None) => Ok(Resolved::Synonym(Synonym { phrase, table, column: None, is_value })),
                    (None, None) => Err(wrong("of", NO_PLACE)),
                }
            }
        }
    }
}

const NO_TABLE: &str = "there is no such table; write catalog.schema.table";
const NO_COLUMN: &str = "there is no such column; write catalog.schema.table.column";
const NO_PLACE: &str = "there is no such table or column; write catalog.schema.table, or a column of it";

fn resolve_join(join: &JoinDefinition, context: &Context) -> Result<Join> {
    let place = |field: &str, name: &str| context.column_place(name).ok_or_else(|| wrong(field, NO_COLUMN));
    let (from, to) = (place("from", &join.from)?, place("to", &join.to)?);
    if from.table == to.table {
        return Err(wrong("to", "must be a column of another table"));
    }
    for (field, column) in [("from", from), ("to", to)] {
        // Masked values meet by chance, or not at all.
        if context.column_at(column).is_none_or(|column| column.masked) {
            return Err(wrong(field, "is masked for you, so rows cannot be joined by it"));
        }
    }
    let class = |place: ColumnPlace| {
        context.column_at(place).map(|column| match column.data_type {
            ColumnType::Integer | ColumnType::Decimal => ColumnType::Decimal,
            other => other,
        })
    };
    if class(from) != class(to) || class(from) == Some(ColumnType::Other) {
        return Err(wrong("to", "must be of a type that can be compared with that of from"));
    }
    Ok(match join.cardinality {
        Cardinality::ManyToOne => Join { from, to, one_to_one: false },
        Cardinality::OneToOne => Join { from, to, one_to_one: true },
        Cardinality::OneToMany => Join { from: to, to: from, one_to_one: false },
    })
}

fn wrong(field: &str, reason: impl Into<Cow<'static, str>>) -> Error {
    Error::invalid_field(format!("definition.{field}"), reason.into().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{ColumnContext, Dialect, Layer, TableContext};

    fn context() -> Context {
        let column = |name: &str, data_type, masked| ColumnContext {
            name: name.into(),
            data_type,
            masked,
            sample_values: Vec::new(),
            comment: None,
            is_primary_key: false,
            references: None,
        };
        let table = |catalog: &str, name: &str, columns| TableContext {
            catalog: catalog.into(),
            schema: "main".into(),
            name: name.into(),
            columns,
            row_count: None,
            comment: None,
        };
        let (integer, text) = (ColumnType::Integer, ColumnType::Text);
        Context {
            tables: vec![
                table("shop", "orders", vec![column("customer", integer, false), column("status", text, false)]),
                table("crm", "customers", vec![column("id", integer, false), column("card", text, true)]),
            ],
            now: chrono::DateTime::UNIX_EPOCH,
            dialect: Dialect::DataFusion,
            examples: Vec::new(),
            terms: Vec::new(),
            layer: Layer::default(),
            asks: false,
            thread: Vec::new(),
        }
    }

    fn join(from: &str, to: &str, cardinality: Cardinality) -> Definition {
        Definition::Join(JoinDefinition { from: from.into(), to: to.into(), cardinality })
    }

    fn field(definition: &Definition) -> String {
        let error = definition.resolve(&context()).err().unwrap();
        error.details[0].field.clone()
    }

    #[test]
    fn a_join_is_of_columns_that_can_be_compared() {
        let (order, customer) = ("shop.main.orders.customer", "crm.main.customers.id");
        let Ok(Resolved::Join(found)) = join(customer, order, Cardinality::OneToMany).resolve(&context()) else {
            panic!("no join");
        };
        assert_eq!((found.from.table, found.to.table, found.one_to_one), (0, 1, false), "from the many to the one");
        let to = |to: &str| field(&join(order, to, Cardinality::ManyToOne));
        assert_eq!(to("crm.main.customers.name"), "definition.to", "no such column");
        assert_eq!(to("crm.main.customers.card"), "definition.to", "masked");
        assert_eq!(to("shop.main.orders.status"), "definition.to", "the same table");
        let text = join("shop.main.orders.status", customer, Cardinality::ManyToOne);
        assert_eq!(field(&text), "definition.to", "another type");
    }

    #[test]
    fn what_is_masked_is_no_column_of_a_metric() {
        let metric = |formula: &str| {
            Definition::Metric(MetricDefinition {
                name: "m".into(),
                table: "crm.main.customers".into(),
                formula: formula.into(),
            })
        };
        assert!(metric("count(*)").resolve(&context()).is_ok());
        assert_eq!(field(&metric("count(distinct card)")), "definition.formula");
    }

    #[test]
    fn each_kind_is_told_by_its_name() {
        let json = serde_json::json!({"kind": "synonym", "phrase": "Buyers", "of": "crm.main.customers"});
        let read: Definition = serde_json::from_value(json).unwrap();
        assert_eq!((read.kind(), read.identity().as_str()), (Kind::Synonym, "buyers"));
        assert_eq!(read.catalogs(), ["crm"]);
        let more = serde_json::json!({"kind": "synonym", "phrase": "a", "of": "b", "user_id": 1});
        assert!(serde_json::from_value::<Definition>(more).is_err());
    }
}
