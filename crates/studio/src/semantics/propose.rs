//! `POST /api/v1/prompts/semantic-layer/proposals`: joins that the schema declares, that names tell, and that queries made.

use std::collections::BTreeMap;

use axum::extract::State;
use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, Expr, JoinConstraint, JoinOperator, Select, SetExpr, Statement, TableFactor, TableWithJoins,
    },
    dialect::GenericDialect,
    parser::Parser,
};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Permission, Result, Tenant};
use rivergen_platform::{
    Platform,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_sources::access::Access;
use rivergen_tenancy::organization;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Definition, Known, Origin, Said, Status,
    definition::{Cardinality, JoinDefinition},
};
use crate::{
    Studio, context,
    execution::{self, ask::distinct},
    planner::{self, ColumnPlace, Context, Join},
    prompt,
};

/// Queries that are looked through, the newest first.
const LOOKED_THROUGH: u64 = 200;
/// Deeper SQL is left alone.
const DEEPEST_NESTING: usize = 40;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"data_source_ids": [1, 2]}))]
pub struct ProposeRequest {
    /// Of whose tables.
    #[garde(length(min = 1, max = 20))]
    pub data_source_ids: Vec<DataSourceId>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProposedSemantics {
    /// New proposals; what is there already stays as it is.
    #[schema(examples(3))]
    pub proposed: usize,
}

errors! { pub ProposeErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, DataSourceUnavailable, ValidationError; }

/// Find joins in schemas and past queries, and propose them
#[utoipa::path(post, path = "/api/v1/prompts/semantic-layer/proposals", tag = "prompt_studio", request_body = ProposeRequest,
    responses((status = 200, description = "They are among the entries with the status proposed", body = Envelope<ProposedSemantics>),
        ProposeErrors))]
pub async fn propose_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ProposeRequest>,
) -> Result<Reply<ProposedSemantics>> {
    let tenant = caller.require(Permission::PromptWrite)?;
    let engine = &studio.engine;
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let sources = engine.sources.find_all(&access, &distinct(request.data_source_ids)).await?;
    let catalogue = engine.catalogue(&caller, tenant, sources).await?;
    let context = context::outline(engine, &catalogue);
    let mut found: Vec<(Join, Origin)> =
        planner::references(&context).into_iter().map(|join| (join, Origin::Discovery)).collect();
    for sql in queries(&engine.platform, tenant).await? {
        found.extend(joins_of(&sql, &context).into_iter().map(|join| (join, Origin::Usage)));
    }
    let platform = &engine.platform;
    let workspace = caller.membership()?.workspace_id;
    let mut proposed = 0;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    for (join, origin) in found {
        let Some(definition) = written(&join, &context) else { continue };
        // As for whoever writes one: of columns that can be compared, and that are not masked.
        if definition.check().is_err() || definition.resolve(&context).is_err() {
            continue;
        }
        let (by, status) = (caller.user_id, Status::Proposed);
        let said = Said { workspace, of: None, by, definition: &definition, status, origin };
        proposed += usize::from(super::store(&tx, platform, tenant, said, Known::Keep).await?.is_some());
    }
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.semantics_propose")
        .details(serde_json::json!({"proposed": proposed}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(ProposedSemantics { proposed }, "The joins that were found are proposed."))
}

/// The SQL of questions that were answered last. Of it only joins are told, of columns that whoever looks may see.
/// Index: prompt_executions(organization_id, …).
async fn queries(platform: &Platform, tenant: Tenant) -> Result<Vec<String>> {
    use execution::Column;
    let answered = tenant
        .find::<execution::Entity>()
        .select_only()
        .column(Column::GeneratedQueryText)
        .filter(Column::Status.eq(prompt::Status::Completed))
        .filter(Column::GeneratedQueryText.is_not_null())
        .order_by_desc(Column::Id)
        .limit(LOOKED_THROUGH)
        .into_tuple::<Option<String>>();
    let mut queries: Vec<String> = answered.all(platform.db.read()).await?.into_iter().flatten().collect();
    queries.sort_unstable();
    queries.dedup();
    Ok(queries)
}

fn written(join: &Join, context: &Context) -> Option<Definition> {
    let name = |place: ColumnPlace| {
        let table = context.tables.get(place.table)?;
        Some(format!("{}.{}", table.full_name(), context.column_at(place)?.name))
    };
    let cardinality = if join.one_to_one { Cardinality::OneToOne } else { Cardinality::ManyToOne };
    Some(Definition::Join(JoinDefinition { from: name(join.from)?, to: name(join.to)?, cardinality }))
}

/// The joins of a query over tables of the context, of which one side is a key; others tell nothing of how many belong to
/// one.
fn joins_of(sql: &str, context: &Context) -> Vec<Join> {
    let parsed = Parser::new(&GenericDialect {})
        .with_recursion_limit(DEEPEST_NESTING)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    let Ok(statements) = parsed else { return Vec::new() };
    let selects = statements.iter().filter_map(|statement| match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Select(select) => Some(select.as_ref()),
            _ => None,
        },
        _ => None,
    });
    selects.flat_map(|select| joins_of_select(select, context)).collect()
}

fn joins_of_select(select: &Select, context: &Context) -> Vec<Join> {
    let mut tables = BTreeMap::new();
    let mut compared = Vec::new();
    for TableWithJoins { relation, joins } in &select.from {
        tables.extend(named(relation, context));
        for join in joins {
            tables.extend(named(&join.relation, context));
            if let JoinOperator::Join(JoinConstraint::On(on))
            | JoinOperator::Inner(JoinConstraint::On(on))
            | JoinOperator::Left(JoinConstraint::On(on))
            | JoinOperator::LeftOuter(JoinConstraint::On(on)) = &join.join_operator
            {
                equal_columns(on, &mut compared);
            }
        }
    }
    let place = |(table, column): &(String, String)| {
        let table = *tables.get(table)?;
        let column = context.tables.get(table)?.columns.iter().position(|known| known.name == *column)?;
        Some(ColumnPlace { table, column })
    };
    let directed = |(one, other): &((String, String), (String, String))| {
        let (one, other) = (place(one)?, place(other)?);
        match (planner::is_key(context, one), planner::is_key(context, other)) {
            (false, true) => Some(Join { from: one, to: other, one_to_one: false }),
            (true, false) => Some(Join { from: other, to: one, one_to_one: false }),
            _ => None,
        }
    };
    compared.iter().filter_map(directed).collect()
}

/// What a table is called in the query, and which one it is.
fn named(relation: &TableFactor, context: &Context) -> Option<(String, usize)> {
    let TableFactor::Table { name, alias, .. } = relation else { return None };
    let parts: Vec<&str> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect();
    let mut meant = context.tables.iter().enumerate().filter(|(_, table)| {
        let full = [table.catalog.as_str(), table.schema.as_str(), table.name.as_str()];
        parts.len() <= full.len() && full.iter().rev().zip(parts.iter().rev()).all(|(one, other)| one == other)
    });
    let (table, _) = meant.next()?;
    if meant.next().is_some() {
        return None;
    }
    let called = alias.as_ref().map(|alias| alias.name.value.as_str()).or(parts.last().copied())?;
    Some((called.to_owned(), table))
}

/// A column by the name that its table is called by, and its own.
type NamedColumn = (String, String);

/// The pairs of columns that must be equal.
fn equal_columns(on: &Expr, found: &mut Vec<(NamedColumn, NamedColumn)>) {
    let column = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., table, column] => Some((table.value.clone(), column.value.clone())),
            _ => None,
        },
        _ => None,
    };
    match on {
        Expr::Nested(inner) => equal_columns(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equal_columns(left, found);
            equal_columns(right, found);
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            found.extend(column(left).zip(column(right)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{ColumnContext, ColumnType, Dialect, Layer, TableContext};

    #[test]
    fn a_query_tells_which_columns_belong_together() {
        let column = |name: &str, is_primary_key| ColumnContext {
            name: name.into(),
            data_type: ColumnType::Integer,
            masked: false,
            sample_values: Vec::new(),
            comment: None,
            is_primary_key,
            references: None,
        };
        let table = |name: &str, columns| TableContext {
            catalog: "shop".into(),
            schema: "main".into(),
            name: name.into(),
            columns,
            row_count: None,
            comment: None,
        };
        let context = Context {
            tables: vec![
                table("orders", vec![column("id", true), column("buyer", false)]),
                table("people", vec![column("number", true)]),
            ],
            now: chrono::DateTime::UNIX_EPOCH,
            dialect: Dialect::DataFusion,
            examples: Vec::new(),
            terms: Vec::new(),
            layer: Layer::default(),
            asks: false,
            thread: Vec::new(),
        };
        let found = joins_of(
            "SELECT count(*) FROM shop.main.orders AS o LEFT JOIN people ON (people.number = o.buyer) AND o.id > 3",
            &context,
        );
        let expected = Join {
            from: ColumnPlace { table: 0, column: 1 },
            to: ColumnPlace { table: 1, column: 0 },
            one_to_one: false,
        };
        assert_eq!(found, [expected]);
        for sql in [
            "SELECT 1",
            "SELECT",
            "SELECT * FROM orders JOIN secrets ON secrets.id = orders.buyer",
            "SELECT * FROM orders a JOIN orders b ON a.buyer = b.buyer",
        ] {
            assert!(joins_of(sql, &context).is_empty(), "{sql}");
        }
    }
}
