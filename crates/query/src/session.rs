//! A caller's session: the governed views of what they may see, and the way from SQL to a plan over them.
//!
//! ```text
//! SQL ─ accept ─ plan against the views ─ functions on the list? ─ parameters ─ analyze
//!     ─ may anything raise?  no:  views opened, one plan, optimized and pushed as a whole
//!                            yes: views closed, each optimized for itself below its barrier
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use datafusion::{
    catalog::{
        CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    },
    common::{ParamValues, ScalarValue, tree_node::TreeNodeRecursion},
    execution::{
        SessionState, SessionStateBuilder, SessionStateDefaults,
        context::SessionConfig,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::FairSpillPool,
        object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry},
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::{LogicalPlan, LogicalPlanBuilder},
    sql::{
        parser::Statement,
        sqlparser::ast::{self, ObjectName},
    },
};
use datafusion_federation::FederatedQueryPlanner;
use object_store::ObjectStore;
use rivergen_kernel::DataSourceId;
use rivergen_policies::{
    decision::{Access, AppliedPolicy, Denial},
    mask::HashKey,
    rule::{QueryLimits, TableName},
};
use url::Url;

use crate::{
    answer::{Planned, QueryColumn},
    error::QueryError,
    functions, growth, lineage, statement,
    threads::QueryThreads,
    total::may_raise_below_filters,
    view::{GovernedTable, GovernedView, open_views},
};

/// The catalogue in which unqualified names are looked up where no default schema is given.
const UNQUALIFIED: &str = "tables";

/// What a session is made of.
pub struct SessionSpec {
    pub tables: Vec<GovernedTable>,
    pub limits: Limits,
    /// Masks that hash use it; one per organization, so that hashes join across sources.
    pub hash_key: HashKey,
    /// Source and schema in which unqualified names are looked up first.
    pub default_schema: Option<(String, String)>,
    /// The stores in which the tables' files lie. The session reaches no other.
    pub object_stores: Vec<(Url, Arc<dyn ObjectStore>)>,
    /// How many threads one query may use; as many as there are for queries where it is `None`.
    pub target_partitions: Option<usize>,
    /// Where its queries are planned and run.
    pub threads: QueryThreads,
}

/// The smaller side of a join is put into one hash table, up to this size divided by the threads: one of them fills it while
/// the others wait. Where it is larger, both sides are divided among the threads, which moves each row of the other, too.
const JOINED_WHOLE_BYTES: usize = 128 * 1024 * 1024;
/// As [`JOINED_WHOLE_BYTES`], where rows alone are known.
const JOINED_WHOLE_ROWS: usize = 8_000_000;

/// The bounds of each query of a session. Policies may only tighten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rows of an answer; the rest is cut off and the answer says so.
    pub max_rows: u64,
    /// Bytes of an answer in memory; more is an error.
    pub max_bytes: u64,
    pub timeout: Duration,
    /// Memory for sorts, joins and aggregates, over which they spill to disk.
    pub memory_bytes: usize,
    pub spill_directory: PathBuf,
    pub max_spill_bytes: u64,
}

/// One caller's view of the data. Cheap to make: nothing is read before a query runs.
pub struct Session(Arc<Opened>);

struct Opened {
    state: SessionState,
    limits: Limits,
    denied: Vec<(TableName, Closed)>,
    threads: QueryThreads,
}

/// Why a table of the session cannot be read.
enum Closed {
    Denied(Denial),
    /// The decision cannot be written into a plan: a literal that is no value of its column's type, say.
    Inapplicable,
}

impl Session {
    /// Builds the governed views and the catalogue that holds nothing else.
    pub fn open(spec: SessionSpec) -> Result<Self, QueryError> {
        let SessionSpec { tables, limits, hash_key, default_schema, object_stores, target_partitions, threads } = spec;
        let mut views = Vec::new();
        let mut denied = Vec::new();
        for table in tables {
            let name = table.name.clone();
            match &table.decision.access {
                Access::Denied(denial) => denied.push((name, Closed::Denied(denial.clone()))),
                Access::Allowed => match GovernedView::new(table, &hash_key) {
                    Ok(view) => views.push(Arc::new(view)),
                    Err(reason) => {
                        tracing::warn!(table = %name, %reason, "a policy cannot be applied; the table is closed");
                        denied.push((name, Closed::Inapplicable));
                    }
                },
            }
        }
        let (default_catalog, default_schema) =
            default_schema.unwrap_or_else(|| (UNQUALIFIED.to_owned(), UNQUALIFIED.to_owned()));

        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(default_catalog.as_str(), default_schema.as_str())
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false);
        if let Some(partitions) = target_partitions.or_else(|| threads.count()) {
            config = config.with_target_partitions(partitions.max(1));
        }
        let partitions = config.target_partitions().max(1);
        config.options_mut().execution.enable_recursive_ctes = false;
        let optimizer = &mut config.options_mut().optimizer;
        optimizer.hash_join_single_partition_threshold = JOINED_WHOLE_BYTES / partitions;
        optimizer.hash_join_single_partition_threshold_rows = JOINED_WHOLE_ROWS / partitions;
        // Each sort sets this much aside, on each thread, before it starts.
        let sorts = partitions * 4;
        let reservation = &mut config.options_mut().execution.sort_spill_reservation_bytes;
        *reservation = (*reservation).min(limits.memory_bytes / sorts);

        let stores = DefaultObjectStoreRegistry::new();
        if let Ok(local) = Url::parse("file://") {
            // Comes with the registry; a session reaches what its tables bring.
            let _ = stores.deregister_store(&local);
        }
        for (url, store) in object_stores {
            stores.register_store(&url, store);
        }
        let runtime = RuntimeEnvBuilder::new()
            .with_object_store_registry(Arc::new(stores))
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default()
                    .with_mode(DiskManagerMode::Directories(vec![limits.spill_directory.clone()]))
                    .with_max_temp_directory_size(limits.max_spill_bytes),
            )
            .build_arc()
            .map_err(QueryError::Internal)?;

        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_catalog_list(catalogue(&views, &default_catalog, &default_schema)?)
            .with_query_planner(Arc::new(FederatedQueryPlanner::new()))
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(functions::scalar())
            .with_aggregate_functions(functions::aggregates())
            .with_window_functions(functions::windows())
            .build();
        Ok(Self(Arc::new(Opened { state, limits, denied, threads })))
    }

    /// Plans one statement. Nothing runs and no source is touched.
    ///
    /// `parameters` are values for `$name`; they never become part of the text.
    pub async fn plan(
        &self,
        sql: &str,
        parameters: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Planned, QueryError> {
        let (opened, sql, parameters) = (Arc::clone(&self.0), sql.to_owned(), parameters.clone());
        self.0.threads.run(async move { opened.plan(&sql, &parameters).await }).await?
    }
}

impl Opened {
    async fn plan(
        &self,
        sql: &str,
        parameters: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Planned, QueryError> {
        let accepted = stacker::grow(PARSER_STACK_BYTES, || statement::accept(sql))?;
        self.check_access(&accepted.relations)?;

        let mut state = self.state.clone();
        state.mark_start_execution();
        let statement = Statement::Statement(Box::new(ast::Statement::Query(accepted.query)));
        let plan = state.statement_to_plan(statement).await.map_err(QueryError::from_planning)?;
        functions::check(&plan).map_err(QueryError::from_planning)??;
        let plan = plan.with_param_values(values(parameters)?).map_err(QueryError::from_planning)?;
        let plan = state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})
            .map_err(QueryError::from_planning)?;

        let views = touched(&plan).map_err(QueryError::from_planning)?;
        let masked = lineage::masked_columns(&plan).map_err(QueryError::from_planning)?;
        let columns =
            plan.schema().fields().iter().zip(masked).map(|(field, masked)| QueryColumn::new(field, masked)).collect();
        let mut policy_limits = QueryLimits::default();
        for view in &views {
            policy_limits = policy_limits.tighten(view.decision().limits);
        }
        let mut limits = self.limits.clone();
        limits.max_rows = policy_limits.max_rows.map_or(limits.max_rows, |rows| rows.min(limits.max_rows));
        if let Some(seconds) = policy_limits.max_execution_seconds {
            limits.timeout = limits.timeout.min(Duration::from_secs(seconds));
        }

        let plan = growth::bounded(plan).map_err(QueryError::from_planning)?;
        // One row more than may be answered, to know whether there are more.
        let fetch = usize::try_from(limits.max_rows).unwrap_or(usize::MAX).saturating_add(1);
        let closed = LogicalPlanBuilder::from(plan)
            .limit(0, Some(fetch))
            .and_then(LogicalPlanBuilder::build)
            .map_err(QueryError::from_planning)?;
        let plan = if may_raise_below_filters(&closed).map_err(QueryError::from_planning)? {
            closed.clone()
        } else {
            // From here on the plan holds what the policies compare with.
            open_views(closed.clone()).map_err(QueryError::from_execution)?
        };
        Ok(Planned {
            columns,
            applied: applied(&views),
            tables: views.iter().map(|view| (view.name().clone(), view.source_id())).collect(),
            explain: accepted.explain,
            policy_limits,
            limits,
            views,
            closed,
            plan,
            state,
            threads: self.threads.clone(),
        })
    }

    /// Refuses a statement that names a table which a policy closes.
    fn check_access(&self, relations: &[ObjectName]) -> Result<(), QueryError> {
        for relation in relations {
            let parts: Vec<String> = relation
                .0
                .iter()
                .filter_map(|part| part.as_ident())
                .map(|ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
                .collect();
            if self.resolves(&parts) {
                continue;
            }
            let names = |name: &TableName| {
                let full = [&name.catalog, &name.schema, &name.table];
                parts.len() <= full.len()
                    && full.iter().rev().zip(parts.iter().rev()).all(|(a, b)| a.eq_ignore_ascii_case(b))
            };
            if let Some((table, closed)) = self.denied.iter().find(|(name, _)| names(name)) {
                return Err(denied(table, closed));
            }
        }
        Ok(())
    }

    fn resolves(&self, parts: &[String]) -> bool {
        let catalog = &self.state.config_options().catalog;
        let (catalog, schema, table) = match parts {
            [table] => (&catalog.default_catalog, &catalog.default_schema, table),
            [schema, table] => (&catalog.default_catalog, schema, table),
            [catalog, schema, table] => (catalog, schema, table),
            _ => return false,
        };
        let schema = self.state.catalog_list().catalog(catalog).and_then(|catalog| catalog.schema(schema));
        schema.is_some_and(|schema| schema.table_exist(table))
    }
}

/// The parser recurses as deep as the text nests; in a debug build that is more than a worker's stack.
const PARSER_STACK_BYTES: usize = 16 << 20;

fn denied(table: &TableName, closed: &Closed) -> QueryError {
    let (policy, message) = match closed {
        Closed::Denied(Denial::ByPolicy(policy)) => {
            (Some(policy.name.clone()), format!("The policy “{}” does not let you read {table}.", policy.name))
        }
        Closed::Denied(Denial::NotAllowed) => (None, format!("No policy lets you read {table}.")),
        Closed::Denied(Denial::CannotApply { policy, reason }) => {
            tracing::warn!(%table, policy = %policy.name, %reason, "a policy cannot be applied; the query is refused");
            let message = format!(
                "The policy “{}” cannot be applied to {table}, so the table stays closed; tell your administrator.",
                policy.name
            );
            (Some(policy.name.clone()), message)
        }
        Closed::Inapplicable => {
            let message =
                format!("A policy cannot be applied to {table}, so the table stays closed; tell your administrator.");
            (None, message)
        }
    };
    QueryError::Denied { policy, message }
}

/// The catalogue: each view under its full name, and under the shorter names that are unique.
fn catalogue(
    views: &[Arc<GovernedView>],
    default_catalog: &str,
    default_schema: &str,
) -> Result<Arc<MemoryCatalogProviderList>, QueryError> {
    let mut catalogs: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, &Arc<GovernedView>>>> = BTreeMap::new();
    for view in views {
        let TableName { catalog, schema, table } = view.name();
        let before = catalogs.entry(catalog).or_default().entry(schema).or_default().insert(table, view);
        if before.is_some() {
            return Err(QueryError::internal(format!("two tables are called {}", view.name())));
        }
    }
    let mut by_table: HashMap<&str, Vec<&Arc<GovernedView>>> = HashMap::new();
    let mut by_schema: HashMap<(&str, &str), Vec<&Arc<GovernedView>>> = HashMap::new();
    for view in views {
        let TableName { schema, table, .. } = view.name();
        by_table.entry(table).or_default().push(view);
        by_schema.entry((schema, table)).or_default().push(view);
    }
    let defaults = catalogs.entry(default_catalog).or_default();
    for ((schema, table), same) in by_schema {
        if let [view] = same.as_slice() {
            defaults.entry(schema).or_default().entry(table).or_insert(view);
        }
    }
    let unqualified = defaults.entry(default_schema).or_default();
    for (table, same) in by_table {
        if let [view] = same.as_slice() {
            unqualified.entry(table).or_insert(view);
        }
    }

    let list = MemoryCatalogProviderList::new();
    for (catalog, schemas) in catalogs {
        let provider = MemoryCatalogProvider::new();
        for (schema, tables) in schemas {
            let schema_provider = MemorySchemaProvider::new();
            for (table, view) in tables {
                schema_provider
                    .register_table(table.to_owned(), Arc::clone(view) as _)
                    .map_err(QueryError::Internal)?;
            }
            provider.register_schema(schema, Arc::new(schema_provider)).map_err(QueryError::Internal)?;
        }
        datafusion::catalog::CatalogProviderList::register_catalog(&list, catalog.to_owned(), Arc::new(provider));
    }
    Ok(Arc::new(list))
}

/// Each view that the plan reads, once.
fn touched(plan: &LogicalPlan) -> datafusion::error::Result<Vec<Arc<GovernedView>>> {
    let mut views: BTreeMap<TableName, Arc<GovernedView>> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(view) = GovernedView::of_scan(scan)
        {
            views.insert(view.name().clone(), view);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(views.into_values().collect())
}

/// What the policies of all touched tables did, each policy once with the strongest that it did.
fn applied(views: &[Arc<GovernedView>]) -> Vec<AppliedPolicy> {
    let mut applied: Vec<AppliedPolicy> = Vec::new();
    for one in views.iter().flat_map(|view| &view.decision().applied) {
        match applied.iter_mut().find(|held| held.policy_id == one.policy_id) {
            Some(held) => {
                if (one.evaluation_result, one.action_taken) > (held.evaluation_result, held.action_taken) {
                    *held = one.clone();
                }
            }
            None => applied.push(one.clone()),
        }
    }
    applied
}

fn values(parameters: &serde_json::Map<String, serde_json::Value>) -> Result<ParamValues, QueryError> {
    use serde_json::Value as Json;
    let mut values = HashMap::with_capacity(parameters.len());
    for (name, value) in parameters {
        let value = match value {
            Json::Null => ScalarValue::Null,
            Json::Bool(flag) => ScalarValue::Boolean(Some(*flag)),
            Json::String(text) => ScalarValue::Utf8(Some(text.clone())),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => ScalarValue::Int64(Some(integer)),
                (None, Some(float)) => ScalarValue::Float64(Some(float)),
                (None, None) => return Err(QueryError::invalid(format!("The parameter {name} is out of range."))),
            },
            Json::Array(_) | Json::Object(_) => {
                let message = format!("The parameter {name} must be a text, a number, a boolean or null.");
                return Err(QueryError::invalid(message));
            }
        };
        let name = name.strip_prefix('$').unwrap_or(name);
        values.insert(name.to_owned(), value.into());
    }
    Ok(ParamValues::Map(values))
}

/// The sources of the tables that a plan reads.
pub(crate) fn sources(tables: &[(TableName, DataSourceId)]) -> BTreeSet<DataSourceId> {
    tables.iter().map(|(_, source)| *source).collect()
}
