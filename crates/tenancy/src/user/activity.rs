//! `GET /api/v1/users/{user_id}/activity`: what a user did, what was done to the account, and the roles that it got and lost.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    audit::log::{self, Column, Entity, Model},
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn, SkipLimit},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::acting_on;
use crate::{Tenancy, organization::audit_logs::Happened};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ActivityQuery {
    /// The organization that the caller stands in, if absent; oneself sees everything.
    pub organization_id: Option<OrganizationId>,
}

/// One thing that somebody did, or that was done to their account.
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

/// Read what a user did and what was done to the account
#[utoipa::path(get, path = "/api/v1/users/{user_id}/activity", tag = "users",
    params(("user_id" = UserId, Path, description = "A member, or oneself"), ActivityQuery, Happened, SkipLimit),
    responses((status = 200, description = "The newest first", body = Envelope<Activities>), ActivityErrors))]
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
    // Indexes: audit_log(actor_user_id, id), audit_log(target_kind, target_id, id), audit_log_holder.
    let about = Condition::any()
        .add(Column::ActorUserId.eq(user_id))
        .add(log::of_account(user_id))
        .add(log::of_roles(db.get_database_backend(), user_id));
    let wanted = Entity::find()
        .filter(about)
        .filter(Condition::all().add_option(within.map(|organization| Column::OrganizationId.eq(organization))))
        .filter(happened.condition());
    let total_count = wanted.clone().count(db).await?;
    let rows = wanted.order_by_desc(Column::Id).offset(window.skip()).limit(window.limit()).all(db).await?;
    let message = "What the user did, and what was done to the account.";
    let activities = rows.into_iter().map(|row| activity(user_id, row)).collect();
    Ok(Reply::ok(Activities { activities, total_count, message }, message))
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
