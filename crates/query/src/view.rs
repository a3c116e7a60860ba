//! The governed view: the only form in which a table enters a session.
//!
//! ```text
//!   projection   visible columns; masks in the place of masked ones, under the same name
//!   filter       the row filters, all of them
//!   scan         the source's own table, which has no name in the session
//! ```
//!
//! To the planner a view is a table whose plan is closed: what the optimizer wants to push into it goes through
//! [`GovernedView::supports_filters_pushdown`], which takes only predicates that have an answer for every row, and
//! [`GovernedView::scan`] puts a [`BarrierExec`] on top. Where nothing in the statement may raise there is nothing to
//! hold back: [`open_views`] then puts the plans themselves in the scans' places and the optimizer, and the source
//! that the plan is pushed to, are free.

use std::{any::Any, collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::Session as CatalogSession,
    common::{
        Column, DFSchema, TableReference,
        tree_node::{Transformed, TreeNode},
    },
    datasource::{TableProvider, provider_as_source, source_as_provider},
    error::{DataFusionError, Result},
    execution::{SessionState, SessionStateBuilder},
    logical_expr::{
        Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias, TableProviderFilterPushDown, TableScan, TableType, cast,
        utils::conjunction,
    },
    optimizer::Analyzer,
    physical_plan::ExecutionPlan,
};
use rivergen_kernel::DataSourceId;
use rivergen_policies::{decision::Decision, mask::HashKey, rule::TableName};

use crate::{
    barrier::BarrierExec,
    federate,
    filter::{Entitlements, Inapplicable, row_filter},
    mask::{masked, plain_type},
    total::{is_of_one_row, is_total},
};

/// A table as the source gives it, with what the caller may see of it.
#[derive(Debug, Clone)]
pub struct GovernedTable {
    pub name: TableName,
    pub source_id: DataSourceId,
    pub provider: Arc<dyn TableProvider>,
    pub decision: Decision,
    /// The tables that its row filters look entitlements up in.
    pub entitlements: Entitlements,
}

/// A table of a session, behind its policies.
#[derive(Debug)]
pub struct GovernedView {
    name: TableName,
    source_id: DataSourceId,
    decision: Decision,
    plan: LogicalPlan,
    schema: SchemaRef,
    masked: BTreeSet<String>,
}

impl GovernedView {
    /// Writes the decision into a plan over the table.
    pub fn new(table: GovernedTable, key: &HashKey) -> Result<Self, Inapplicable> {
        let unplannable = |error: DataFusionError| Inapplicable(error.strip_backtrace());
        let GovernedTable { name, source_id, provider, decision, entitlements } = table;
        let columns = provider.schema();
        let reference = TableReference::full(name.catalog.as_str(), name.schema.as_str(), name.table.as_str());
        let mut plan = LogicalPlanBuilder::scan(reference, provider_as_source(provider), None).map_err(unplannable)?;

        let filters = decision
            .row_filters
            .iter()
            .map(|filter| row_filter(&filter.rows, &columns, &entitlements))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(filter) = conjunction(filters) {
            plan = plan.filter(filter).map_err(unplannable)?;
        }
        let mut visible = Vec::new();
        for field in columns.fields() {
            if decision.hidden.contains_key(field.name()) {
                continue;
            }
            visible.push(match decision.masks.get(field.name()) {
                Some(held) => masked(&held.mask, field, &columns, key)?.alias(field.name()),
                None => row_by_row(field),
            });
        }
        let known = |name: &String| columns.field_with_name(name).is_ok();
        if let Some(stray) = decision.masks.keys().chain(decision.hidden.keys()).find(|name| !known(name)) {
            return Err(Inapplicable(format!("the table has no column {stray}")));
        }
        let plan = plan.project(visible).and_then(LogicalPlanBuilder::build).map_err(unplannable)?;
        let plan = Analyzer::new().execute_and_check(plan, &Default::default(), |_, _| {}).map_err(unplannable)?;
        check_filters_are_total(&plan)?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let masked = decision.masks.keys().cloned().collect();
        Ok(Self { name, source_id, decision, plan, schema, masked })
    }

    pub fn name(&self) -> &TableName {
        &self.name
    }

    pub fn source_id(&self) -> DataSourceId {
        self.source_id
    }

    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    pub fn is_masked(&self, column: &str) -> bool {
        self.masked.contains(column)
    }

    /// The view behind a scan, if it is one.
    pub fn of_scan(scan: &TableScan) -> Option<Arc<GovernedView>> {
        let provider: Arc<dyn Any + Send + Sync> = source_as_provider(&scan.source).ok()?;
        provider.downcast().ok()
    }

    /// The columns by position, as the plan inside calls them.
    fn inner_column(&self, at: usize) -> Expr {
        Expr::Column(Column::from(self.plan.schema().qualified_field(at)))
    }

    fn inner_plan(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<LogicalPlan> {
        let mut plan = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            plan = plan.filter(self.inner_names(filter)?)?;
        }
        if let Some(projection) = projection {
            plan = plan.project(projection.iter().map(|at| self.inner_column(*at)).collect::<Vec<_>>())?;
        }
        if limit.is_some() {
            plan = plan.limit(0, limit)?;
        }
        plan.build()
    }

    fn inner_names(&self, filter: Expr) -> Result<Expr> {
        let renamed = filter.transform(|expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(self.inner_column(self.schema.index_of(&column.name)?))),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(renamed.data)
    }
}

/// The column as it is. Of one with a dictionary the dictionary is left behind: it holds the values of filtered rows too, and
/// whatever is computed of a dictionary as a whole, a cast for one, raises on those.
fn row_by_row(field: &Field) -> Expr {
    let column = Expr::Column(Column::from_name(field.name()));
    match field.data_type() {
        DataType::Dictionary(..) => cast(column, plain_type(field.data_type()).clone()).alias(field.name()),
        _ => column,
    }
}

/// The expression with its columns named as the table itself names them.
fn unqualified(expr: Expr) -> Result<Expr> {
    let named = expr.transform(|expr| match expr {
        Expr::Column(column) if column.relation.is_some() => {
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(named.data)
}

/// A row filter that could raise would tell of the rows that it hides.
fn check_filters_are_total(plan: &LogicalPlan) -> Result<(), Inapplicable> {
    let mut nodes = vec![plan];
    while let Some(node) = nodes.pop() {
        if let LogicalPlan::Filter(filter) = node
            && !is_total(&filter.predicate, filter.input.schema().as_ref())
        {
            return Err(Inapplicable("a row filter does not fit the types of its columns".to_owned()));
        }
        nodes.extend(node.inputs());
    }
    Ok(())
}

#[async_trait]
impl TableProvider for GovernedView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let schema = DFSchema::try_from(Schema::clone(&self.schema))?;
        filters
            .iter()
            .map(|filter| {
                let filter = unqualified((*filter).clone())?;
                Ok(if is_of_one_row(&filter) && is_total(&filter, &schema) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                })
            })
            .collect()
    }

    async fn scan(
        &self,
        state: &dyn CatalogSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return datafusion::common::internal_err!("a governed view is planned by its own session alone");
        };
        let plan = state.optimize(&self.inner_plan(projection, filters, limit)?)?;
        let plan = federate::push_to_sources(plan, state)?;
        // The plan around this one is optimized as a whole, this part included.
        let state =
            SessionStateBuilder::new_from_existing(state.clone()).with_physical_optimizer_rules(Vec::new()).build();
        let input = state.query_planner().create_physical_plan(&plan, &state).await?;
        Ok(Arc::new(BarrierExec::new(input)))
    }
}

/// Puts the views' plans in the places of their scans.
pub fn open_views(plan: LogicalPlan) -> Result<LogicalPlan> {
    let opened = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let Some(view) = GovernedView::of_scan(scan) else { return Ok(Transformed::no(node)) };
        let inner = view.inner_plan(scan.projection.as_ref(), &scan.filters, scan.fetch)?;
        let alias = SubqueryAlias::try_new(Arc::new(inner), scan.table_name.clone())?;
        Ok(Transformed::yes(LogicalPlan::SubqueryAlias(alias)))
    })?;
    Ok(opened.data)
}
