//! Records of all actions that begin alike: `policy.create`, `policy.update`, …
//!
//! Asked for a beginning, a database walks along the log of the organization until it has found a page of it, which may be to
//! its end. So the actions are looked up first, one step in the index for each that there is, and then the first records of
//! each: a page costs what stands on it, however rare they are and however long ago. So it does of one action alone.
//!
//! Index: audit_log_action (organization_id, action, id).

use rivergen_kernel::{Result, Tenant};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement, Value,
    sea_query::{Alias, Expr, ExprTrait, Func, Query, UnionType},
};

use super::log::{Column, Entity};
use crate::db::TenantScope;

/// The actions of a subject (`policy`) that the log of an organization has.
pub async fn of_subject(db: &impl ConnectionTrait, tenant: Tenant, subject: &str) -> Result<Vec<String>> {
    let rows = db.query_all_raw(actions_of(db.get_database_backend(), tenant, subject)).await?;
    let actions: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, DbErr>>()?;
    Ok(actions)
}

/// From each action to the next, and past the records of both. The order is that of the bytes, which on PostgreSQL the
/// operators of the index have.
pub fn actions_of(backend: DbBackend, tenant: Tenant, subject: &str) -> Statement {
    let (from, after, before, first) = match backend {
        DbBackend::Postgres => ("~>=~", "~>~", "~<~", "log.action USING ~<~"),
        _ => (">=", ">", "<", "log.action"),
    };
    let next = |behind: &str| {
        format!(
            "(SELECT log.action FROM audit_log AS log WHERE log.organization_id = $1 AND log.action {behind} \
             AND log.action {before} $3 ORDER BY {first} LIMIT 1)"
        )
    };
    let sql = format!(
        "WITH RECURSIVE found (action) AS (SELECT {} UNION ALL SELECT {} FROM found WHERE found.action IS NOT NULL) \
         SELECT action FROM found WHERE action IS NOT NULL",
        next(&format!("{from} $2")),
        next(&format!("{after} found.action")),
    );
    // The byte that follows the dot is the slash.
    let values: [Value; 3] = [tenant.id().0.into(), format!("{subject}.").into(), format!("{subject}/").into()];
    Statement::from_sql_and_values(backend, sql, values)
}

/// That a record is among the first `limit`, in the order of their ids, of those that are of these actions and fulfil the
/// condition.
pub fn among_first(
    backend: DbBackend,
    tenant: Tenant,
    actions: &[String],
    condition: &Condition,
    order: &Order,
    limit: u64,
) -> Expr {
    let mut each = actions.iter().map(|action| {
        let first = tenant
            .find::<Entity>()
            .select_only()
            .column(Column::Id)
            .filter(is(backend, action))
            .filter(condition.clone())
            .order_by(Column::Id, order.clone())
            .limit(limit)
            .into_query();
        // In a select of its own, because SQLite knows no limit of a part of a union.
        Query::select().column(Alias::new("id")).from_subquery(first, "one").to_owned()
    });
    let Some(mut all) = each.next() else { return Column::Id.is_in(Vec::<i64>::new()) };
    all.unions(each.map(|one| (UnionType::All, one))).order_by(Alias::new("id"), order.clone()).limit(limit);
    Column::Id.in_subquery(all)
}

/// That it is of this action, said so that the index is taken whatever the database believes about the action. PostgreSQL
/// would walk along the newest records for one that is frequent, even if it was so long ago; it does not know the value of a
/// subquery. SQLite prefers a narrower index, or none, where ids have both a beginning and an end: it is told that next to no
/// record is of this action.
fn is(backend: DbBackend, action: &str) -> Expr {
    match backend {
        DbBackend::Postgres => {
            let action = Query::select().expr(Expr::val(action)).to_owned();
            Expr::col((Entity, Column::Action)).eq(action)
        }
        _ => Func::cust("likelihood").arg(Column::Action.eq(action)).arg(Expr::cust("0.000001")).into(),
    }
}
