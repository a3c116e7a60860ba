//! `GET /api/v1/users/{user_id}/activity`: what a user did, what was done to the account, and the roles that it got and lost.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    audit::log::{self, Column, Entity, Model},
    db::{count_rows, counted_to},
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{self, Expr, ExprTrait, Func, UnionType},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::acting_on;
use crate::{Tenancy, organization::audit_logs::Happened};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ActivityQuery {
    /// The session's organization, if absent; you see everything about yourself.
    pub organization_id: Option<OrganizationId>,
}

/// One thing that someone did, or that was done to their account.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserActivity {
    pub id: i64,
    pub user_id: UserId,
    /// `null` for the server, and for somebody who was not signed in.
    pub actor_id: Option<UserId>,
    #[schema(examples("auth.login"))]
    pub action: String,
    #[schema(examples("user"))]
    pub resource_type: Option<String>,
    #[schema(examples("7"))]
    pub resource_id: Option<String>,
    /// Of the user themselves; others' addresses are theirs.
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    #[schema(value_type = Object)]
    pub details: Value,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Activities {
    pub activities: Vec<UserActivity>,
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! { pub ActivityErrors: Unauthorized, Forbidden, EmailNotVerified, UserNotFound, ValidationError; }

/// Read a user's activity, and what was done to the account
#[utoipa::path(get, path = "/api/v1/users/{user_id}/activity", tag = "users",
    params(("user_id" = UserId, Path, description = "A member, or yourself"), ActivityQuery, Happened, SkipLimit),
    responses((status = 200, description = "The newest first; `total_count` counts to 10000", body = Envelope<Activities>), ActivityErrors))]
pub async fn get_activity(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(user_id): Path<UserId>,
    Query(query): Query<ActivityQuery>,
    Query(happened): Query<Happened>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Activities>> {
    let db = tenancy.identity.platform.db.read();
    let within = if user_id == caller.user_id {
        caller.session()?;
        None
    } else {
        let (_, tenant, _) =
            acting_on(&tenancy, &caller, query.organization_id, Permission::AuditRead, user_id).await?;
        Some(tenant.organization_id())
    };
    let asked = happened.condition().add_option(within.map(is_of));
    let trail = Trail { user_id, backend: db.get_database_backend(), asked };
    let most = counted_to(window.end());
    let total_count = count_rows(db, trail.newest(most), most).await?;
    let page = trail.newest(window.end()).order_by_desc(Column::Id).offset(window.skip()).limit(window.limit());
    let rows = page.all(db).await?;
    let message = "What the user did, and what was done to the account.";
    let activities = rows.into_iter().map(|row| activity(user_id, row)).collect();
    Ok(Reply::ok(Activities { activities, total_count, message }, message))
}

/// Said so that no database walks along the records of the organization for those of one person.
fn is_of(organization: OrganizationId) -> Expr {
    let column = Column::OrganizationId.into_expr();
    Expr::expr(Func::coalesce([column.clone(), column])).eq(organization)
}

/// The records of one person, as far as they are asked for.
struct Trail {
    user_id: UserId,
    backend: DbBackend,
    asked: Condition,
}

impl Trail {
    /// The newest of them, `most` at least where there are as many: whoever asks orders and limits them once more. What
    /// they did, what was done to the account, and the roles that they got and lost are looked up each by itself. Asked
    /// for any of these, a database would read all that there ever were, to put them in order.
    ///
    /// Indexes: audit_log(actor_user_id, id), audit_log(target_kind, target_id, id), audit_log_holder.
    fn newest(&self, most: u64) -> Select<Entity> {
        let newest = |of: Condition| {
            let found = Entity::find().select_only().column(Column::Id).filter(of).filter(self.asked.clone());
            let newest = found.order_by_desc(Column::Id).limit(most).into_query();
            // In a select of its own, because SQLite knows no limit of a part of a union.
            sea_query::Query::select().column("id").from_subquery(newest, "one").to_owned()
        };
        let mut all = newest(Condition::all().add(Column::ActorUserId.eq(self.user_id)));
        let to_them = [log::of_account(self.user_id), log::of_roles(self.backend, self.user_id)];
        all.unions(to_them.map(|of| (UnionType::All, newest(of))));
        Entity::find().filter(Column::Id.in_subquery(all))
    }
}

fn activity(user_id: UserId, row: Model) -> UserActivity {
    let is_own = row.actor_user_id.is_none_or(|actor| actor == user_id);
    UserActivity {
        id: row.id,
        user_id,
        actor_id: row.actor_user_id,
        action: row.action,
        resource_type: row.target_kind,
        resource_id: row.target_id,
        ip_address: row.ip.filter(|_| is_own),
        user_agent: row.user_agent.filter(|_| is_own),
        details: serde_json::from_str(&row.details).unwrap_or_default(),
        created_at: row.occurred_at,
    }
}
