//! `GET /api/v1/sessions`: where one is signed in; for administrators, where a member is.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Credential, ErrorCode, Permission, Result, SessionId, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, PageQuery, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, Model};
use crate::Identity;

/// A session as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    #[schema(examples("203.0.113.9"))]
    pub ip_address: Option<String>,
    #[schema(examples("Mozilla/5.0 (X11; Linux x86_64)"))]
    pub user_agent: Option<String>,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_activity_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether this request was made with it.
    pub is_current: bool,
}

/// Sessions, those that were used last first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sessions {
    pub sessions: Vec<Session>,
    /// How many there are on all pages.
    #[schema(examples(3))]
    pub total_count: u64,
    /// How many of the person's are live.
    #[schema(examples(3))]
    pub active_count: u64,
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct SessionsQuery {
    /// Also those that have ended.
    #[param(default = false)]
    include_revoked: Option<bool>,
    /// Of a member of the session's organization, for its administrators.
    user_id: Option<UserId>,
}

errors! { pub SessionsErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// List active sessions
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(SessionsQuery, PageQuery),
    responses((status = 200, description = "Where the person is signed in", body = Envelope<Sessions>), SessionsErrors))]
pub async fn list_sessions(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Query(query): Query<SessionsQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Sessions>> {
    let platform = &identity.platform;
    let page = page.request()?;
    let now = platform.clock.now();
    let mut wanted = Condition::all();
    let user_id = query.user_id.unwrap_or(caller.user_id);
    if user_id == caller.user_id {
        caller.session()?;
    } else {
        let tenant = caller.require(Permission::SessionRead)?;
        let organization = tenant.organization_id();
        if identity.directory.membership(user_id, organization, None).await?.is_none() {
            return Err(ErrorCode::NotFound.into());
        }
        // What they do in their other organizations is no business of this one's.
        wanted = wanted.add(Column::OrganizationId.eq(organization));
        let tx = platform.db.begin().await?;
        let record = AuditRecord::new(Some(organization), origin.actor(caller.user_id), "session.list")
            .target("user", user_id.0);
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
    }
    // Index: sessions(user_id, ended_at).
    let of_user = Entity::find().filter(Column::UserId.eq(user_id)).filter(wanted);
    let live = of_user.clone().filter(Column::EndedAt.is_null()).filter(Column::ExpiresAt.gt(now));
    let listed = if query.include_revoked.unwrap_or(false) { of_user } else { live.clone() };
    let db = platform.db.read();
    let rows = listed
        .clone()
        .order_by_desc(Column::LastUsedAt)
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    let active_count = live.count(db).await?;
    let total_count = if query.include_revoked.unwrap_or(false) { listed.count(db).await? } else { active_count };
    let sessions = rows.into_iter().map(|row| Session::new(row, &caller.credential)).collect();
    Ok(Reply::ok(Sessions { sessions, total_count, active_count }, "Sessions."))
}

impl Session {
    fn new(row: Model, current: &Credential) -> Self {
        Self {
            is_current: *current == Credential::Session(row.id),
            id: row.id,
            user_id: row.user_id,
            ip_address: row.ip,
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_activity_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.ended_at,
        }
    }
}
