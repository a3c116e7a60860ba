//! A table of a remote database, as the engine sees it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraints, DFSchema, Statistics, stats::Precision};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableSource, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_federation::{FederatedTableProviderAdaptor, FederatedTableSource, FederationProvider};
use serde_json::{Value, json};

use super::expr::{Scope, conjuncts};
use super::plan::Writer;
use super::provider::RemoteProvider;
use super::{RemoteDatabase, RemoteExec};
use crate::{DiscoveredColumn, DiscoveredTable};

/// What may be compared inside the database with the engine's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparable {
    /// Nothing: it is read only.
    No,
    /// Only of a column as it is stored, and in a way of its own that the dialect knows.
    Narrowed,
    /// Equality, and so grouping and joining.
    Equality,
    /// Order too: numbers, moments, texts under byte order.
    Ordered,
}

impl Comparable {
    fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Narrowed => "narrowed",
            Self::Equality => "equality",
            Self::Ordered => "order",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "order" => Self::Ordered,
            "equality" => Self::Equality,
            "narrowed" => Self::Narrowed,
            _ => Self::No,
        }
    }
}

/// A moment as a scan delivers it: in the zone, or in none.
pub(crate) fn moment(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// How a column is read; its name and type stand in the table's schema.
#[derive(Debug, Clone)]
pub struct RemoteColumn {
    /// The column's name in the database.
    pub name: String,
    /// SQL with `{}` for the column: `{}`, `CAST({} AS text)`.
    pub reading: String,
    pub comparable: Comparable,
    /// Which comparisons of what is read with a constant tell the same of the column as it is stored, which an index
    /// may hold: `Equality` where equal texts are equal under any collation. `None` where the column is read as it is.
    pub implied: Option<Comparable>,
}

impl RemoteColumn {
    /// What a discovery keeps, so that the column can be read again without asking; `version` is that of what
    /// was discovered, where it can change under the same name.
    pub(crate) fn remember(&self, version: Option<&str>) -> Value {
        json!({
            "sql": self.reading,
            "compare": self.comparable.name(),
            "implied": self.implied.map(Comparable::name),
            "version": version,
        })
    }

    /// The column as it was remembered; `None` where it was not, or for another version.
    pub(crate) fn recall(column: &DiscoveredColumn, version: Option<&str>) -> Option<Self> {
        let reading = column.reading.as_ref()?;
        let comparable = Comparable::of(reading.get("compare")?.as_str()?);
        let implied = reading.get("implied").and_then(Value::as_str).map(Comparable::of);
        let same = reading.get("version").and_then(Value::as_str) == version;
        let reading = reading.get("sql")?.as_str()?.to_owned();
        same.then(|| Self { name: column.name.clone(), reading, comparable, implied })
    }
}

/// A table or view of a remote database.
#[derive(Debug)]
pub struct RemoteTable {
    database: Arc<dyn RemoteDatabase>,
    /// Quoted and qualified.
    from: String,
    schema: SchemaRef,
    columns: Vec<RemoteColumn>,
    rows: Option<u64>,
}

impl RemoteTable {
    /// A discovered table; `None` where the discovery does not say how to read it, or speaks of another version.
    pub(crate) fn discovered(
        database: Arc<dyn RemoteDatabase>,
        schema: &str,
        table: &DiscoveredTable,
        version: Option<&str>,
    ) -> Option<Self> {
        let dialect = database.dialect();
        let from = format!("{}.{}", dialect.quote(schema), dialect.quote(&table.name));
        Self::discovered_as(database, from, table, version)
    }

    /// A discovered table under the given qualified name.
    pub(crate) fn discovered_as(
        database: Arc<dyn RemoteDatabase>,
        from: String,
        table: &DiscoveredTable,
        version: Option<&str>,
    ) -> Option<Self> {
        let columns = table.columns.iter().map(|c| RemoteColumn::recall(c, version)).collect::<Option<Vec<_>>>()?;
        let fields = table.columns.iter().map(|c| Field::new(&c.name, c.arrow_type.clone(), c.nullable));
        let fields = Schema::new(fields.collect::<Vec<_>>());
        Some(Self::new(database, from, fields, columns).with_rows(table.row_count))
    }

    /// `from` is the table's quoted name; `columns` are aligned with the fields of `schema`.
    pub fn new(database: Arc<dyn RemoteDatabase>, from: String, schema: Schema, columns: Vec<RemoteColumn>) -> Self {
        Self { database, from, schema: Arc::new(schema), columns, rows: None }
    }

    /// About how many rows there are, for the order of joins.
    pub fn with_rows(self, rows: Option<u64>) -> Self {
        Self { rows, ..self }
    }

    /// The provider that the engine federates, and that scans by itself where it does not.
    pub fn into_provider(self) -> Arc<dyn TableProvider> {
        let table = Arc::new(self);
        let provider = Arc::new(RemoteProvider::new(table.database.clone()));
        let source = Arc::new(RemoteSource { table: table.clone(), provider });
        Arc::new(FederatedTableProviderAdaptor::new_with_provider(source, table))
    }

    pub(super) fn from(&self) -> &str {
        &self.from
    }

    pub(super) fn columns(&self) -> &[RemoteColumn] {
        &self.columns
    }

    pub(super) fn fields(&self) -> &SchemaRef {
        &self.schema
    }
}

#[async_trait]
impl TableProvider for RemoteTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn constraints(&self) -> Option<&Constraints> {
        None
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let columns = Writer::new(self.database.dialect()).scan(self, None).columns;
        filters
            .iter()
            .map(|filter| {
                let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
                let scope = Scope { dialect: self.database.dialect(), schema: &schema, columns: &columns };
                let filter = unqualified(filter);
                let exact = filter.as_ref().is_some_and(|filter| scope.write_condition(filter).is_some());
                let implied = || filter.as_ref().is_some_and(|filter| scope.implied(filter).is_some());
                Ok(match exact {
                    true => TableProviderFilterPushDown::Exact,
                    // It narrows what is fetched, and the engine looks again.
                    false if implied() => TableProviderFilterPushDown::Inexact,
                    false => TableProviderFilterPushDown::Unsupported,
                })
            })
            .collect()
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut select = Writer::new(self.database.dialect()).scan(self, None);
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        for filter in filters.iter().flat_map(conjuncts) {
            let scope = Scope { dialect: self.database.dialect(), schema: &schema, columns: &select.columns };
            let condition = unqualified(filter)
                .and_then(|filter| scope.write_condition(&filter).or_else(|| scope.implied(&filter)));
            let condition = condition.ok_or_else(|| {
                datafusion::error::DataFusionError::Internal("a filter came back that was not accepted".into())
            })?;
            select.filters.push(condition);
        }
        let (schema, columns) = match projection {
            Some(kept) => (
                Arc::new(self.schema.project(kept)?),
                kept.iter().map(|index| select.columns[*index].clone()).collect(),
            ),
            None => (self.schema.clone(), select.columns),
        };
        select.columns = columns;
        select.limit = limit;
        let sql = select.render(self.database.dialect());
        let mut statistics = Statistics::new_unknown(&schema);
        if let Some(rows) = self.rows {
            statistics.num_rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        Ok(Arc::new(RemoteExec::new(self.database.clone(), sql, schema, statistics)))
    }
}

/// The engine qualifies columns with the name that the table has in a query; here it has only one.
fn unqualified(expr: &Expr) -> Option<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let stripped = expr.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(mut column) => {
                column.relation = None;
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    });
    stripped.ok().map(|stripped| stripped.data)
}

/// What the federation rule asks for: the table and who can take plans over it.
#[derive(Debug)]
pub(super) struct RemoteSource {
    pub table: Arc<RemoteTable>,
    provider: Arc<RemoteProvider>,
}

impl TableSource for RemoteSource {
    fn schema(&self) -> SchemaRef {
        self.table.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }
}

impl FederatedTableSource for RemoteSource {
    fn federation_provider(&self) -> Arc<dyn FederationProvider> {
        self.provider.clone()
    }
}
