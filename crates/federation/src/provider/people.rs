//! `GET /api/v1/sso/providers/{provider_id}/identities` and `DELETE …/identities/{user_id}`: who is linked to whom at a
//! provider, and the end of a link: for somebody whose subject there is another one by now.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_identity::session::EndReason;
use rivergen_kernel::{ErrorCode, Page, Permission, Result, SsoProviderId, UserId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::page_by,
    errors,
    http::{Envelope, NoContent, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::identity::{Column, Entity, Model};
use crate::{
    Federation,
    sign_in::{roles, sessions},
};

/// The account that a subject of the provider belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct SsoIdentity {
    pub user_id: UserId,
    #[schema(examples("00u1x2"))]
    pub subject: String,
    /// As the provider last sent it.
    #[schema(examples("ada@acme.example"))]
    pub email: Option<String>,
    #[schema(examples(json!(["Engineering"])))]
    pub groups: Vec<String>,
    /// The names of the attributes that the provider last sent about them: for the attribute mapping.
    #[schema(examples(json!(["department", "email"])))]
    pub claims: Vec<String>,
    pub linked_at: DateTime<Utc>,
    pub last_login_at: Option<DateTime<Utc>>,
}

impl From<Model> for SsoIdentity {
    fn from(row: Model) -> Self {
        let claims = row.attributes.as_object().map(|said| said.keys().cloned().collect());
        Self {
            claims: claims.unwrap_or_default(),
            user_id: row.user_id,
            subject: row.subject,
            email: row.email,
            groups: serde_json::from_value(row.groups).unwrap_or_default(),
            linked_at: row.created_at,
            last_login_at: row.last_login_at,
        }
    }
}

errors! {
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ProviderNotFound, ValidationError;
    pub UnlinkErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ProviderNotFound, UserNotFound;
}

/// List the accounts linked at an identity provider
#[utoipa::path(get, path = "/api/v1/sso/providers/{provider_id}/identities", tag = "sso",
    params(("provider_id" = SsoProviderId, Path, description = "A provider of the session's organization"), PageQuery),
    responses((status = 200, description = "In the order of their subjects", body = Envelope<Page<SsoIdentity>>), ListErrors))]
pub async fn list_identities(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Path(id): Path<SsoProviderId>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<SsoIdentity>>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let page = page.request()?;
    let db = federation.platform().db.read();
    let provider = super::find(db, tenant, id).await?;
    // Index: sso_identities(provider_id, subject), unique.
    let linked = Entity::find().filter(Column::ProviderId.eq(provider.id));
    let total = linked.clone().count(db).await?;
    let linked = linked.order_by_asc(Column::Subject);
    let rows = page_by(linked, Column::Subject.into_expr(), page.offset(), page.limit()).all(db).await?;
    let items = rows.into_iter().map(SsoIdentity::from).collect();
    Ok(Reply::ok(Page::new(items, page, total), "Who is linked to whom at the identity provider."))
}

/// Unlink an account from an identity provider
#[utoipa::path(delete, path = "/api/v1/sso/providers/{provider_id}/identities/{user_id}", tag = "sso",
    params(("provider_id" = SsoProviderId, Path, description = "A provider of the session's organization"),
        ("user_id" = UserId, Path, description = "Whose account it is")),
    responses((status = 204, description = "Unlinked; the sessions that the provider started for them have ended"), UnlinkErrors))]
pub async fn unlink_identity(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((id, user_id)): Path<(SsoProviderId, UserId)>,
) -> Result<NoContent> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let provider = super::find(tx.conn(), tenant, id).await?;
    // Index: sso_identities(user_id, organization_id).
    let linked = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::ProviderId.eq(provider.id));
    let rows = linked.all(tx.conn()).await?;
    if rows.is_empty() {
        return Err(ErrorCode::UserNotFound.into());
    }
    Entity::delete_many().filter(Column::Id.is_in(rows.iter().map(|row| row.id))).exec(tx.conn()).await?;
    let mut ended = 0;
    for row in &rows {
        let logins = sessions::logins_of(&tx, &provider, Some(&row.subject), &[]).await?;
        ended += sessions::end_logins(&federation, &tx, &logins, EndReason::RevokedByAdministrator).await?;
    }
    let roles_taken = roles::take_all(&tx, &provider, Some(user_id), &platform.clock).await?;
    tx.publish(Event::UserChanged(user_id)).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "sso_provider.unlink")
        .target("user", user_id.0)
        .details(json!({"provider_id": id, "sessions_ended": ended, "roles_taken": roles_taken}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
