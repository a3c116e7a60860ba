//! `/api/v1/oauth/connected-applications`: where people see what they let applications do, and end it.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, OauthApplicationId, OrganizationId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, sea_query::UnionType,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    application::{self, view::Done},
    consent, grant,
    scope::ScopeSet,
};

pub(crate) fn operations() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(disconnect))
}

/// An application that someone has allowed to act for them.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectedApplication {
    pub id: OauthApplicationId,
    #[schema(examples("Reporting"))]
    pub name: String,
    pub description: Option<String>,
    pub organization_id: OrganizationId,
    #[schema(examples("Acme"))]
    pub organization_name: String,
    #[schema(examples(json!(["openid", "read"])))]
    pub scopes: Vec<String>,
    /// The same in words, one for each.
    pub sentences: Vec<String>,
    pub connected_at: DateTime<Utc>,
    /// When the person last allowed it.
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectedApplications {
    pub applications: Vec<ConnectedApplication>,
    #[schema(examples(1))]
    pub total: u64,
}

errors! {
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError;
    pub DisconnectErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ApplicationNotFound;
}

/// List the applications that act for you
#[utoipa::path(get, path = "/api/v1/oauth/connected-applications", tag = "oauth2", params(PageQuery),
    responses((status = 200, description = "In all of your organizations, the newest application first", body = Envelope<ConnectedApplications>), ListErrors))]
pub async fn list(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
) -> Result<Reply<ConnectedApplications>> {
    caller.session()?;
    let page = page.request()?;
    let db = oauth.platform().db.read();
    let now = oauth.platform().clock.now();
    // Index: oauth_consents(user_id, application_id).
    let agreed = consent::Entity::find().filter(consent::Column::UserId.eq(caller.user_id));
    // An administrator may have agreed for everybody: then there are grants without a consent.
    let granted = grant::Entity::find().filter(grant::usable(caller.user_id, now));
    // As one list of ids: PostgreSQL would ask of every application that there is whether one or the other has it.
    let mut either = agreed.clone().select_only().column(consent::Column::ApplicationId).into_query();
    let by_grant = granted.clone().select_only().column(grant::Column::ApplicationId).into_query();
    either.union(UnionType::Distinct, by_grant);
    let wanted = application::Entity::find().filter(application::Column::Id.in_subquery(either));
    let total = wanted.clone().count(db).await?;
    let newest = wanted.order_by_desc(application::Column::Id).offset(page.offset()).limit(page.limit());
    let applications = newest.all(db).await?;
    let shown: Vec<i64> = applications.iter().map(|row| row.id.0).collect();
    let agreed = agreed.filter(consent::Column::ApplicationId.is_in(shown.clone())).all(db).await?;
    // A program may have begun again a thousand times.
    let granted: Vec<(OauthApplicationId, String, DateTime<Utc>, DateTime<Utc>)> = granted
        .filter(grant::Column::ApplicationId.is_in(shown))
        .select_only()
        .column(grant::Column::ApplicationId)
        .column(grant::Column::Scope)
        .column_as(grant::Column::CreatedAt.min(), "first")
        .column_as(grant::Column::CreatedAt.max(), "last")
        .group_by(grant::Column::ApplicationId)
        .group_by(grant::Column::Scope)
        .into_tuple()
        .all(db)
        .await?;
    let agreed = agreed.into_iter().map(|row| (row.application_id, row.scope, row.created_at, row.updated_at));
    let mut connections: BTreeMap<OauthApplicationId, (ScopeSet, DateTime<Utc>, DateTime<Utc>)> = BTreeMap::new();
    for (id, scope, first, last) in agreed.chain(granted) {
        let known = connections.entry(id).or_insert_with(|| (ScopeSet::default(), first, last));
        known.0.0.extend(scope.parse::<ScopeSet>().unwrap_or_default().0);
        (known.1, known.2) = (known.1.min(first), known.2.max(last));
    }
    let organizations: BTreeSet<i64> = applications.iter().map(|row| row.organization_id.0).collect();
    let found = organization::Entity::find().filter(organization::Column::Id.is_in(organizations)).all(db).await?;
    let names: BTreeMap<_, _> = found.into_iter().map(|row| (row.id, row.name)).collect();
    let shown = |row: application::Model| {
        let (scope, connected_at, updated_at) = connections.remove(&row.id)?;
        Some(ConnectedApplication {
            id: row.id,
            name: row.name,
            description: row.description,
            organization_id: row.organization_id,
            organization_name: names.get(&row.organization_id).cloned().unwrap_or_default(),
            scopes: scope.0.iter().map(ToString::to_string).collect(),
            sentences: scope.0.iter().map(|item| item.sentence()).collect(),
            connected_at,
            updated_at,
        })
    };
    let applications = applications.into_iter().filter_map(shown).collect();
    Ok(Reply::ok(ConnectedApplications { applications, total }, "The applications that act for you."))
}

/// Disconnect an application that acts for you
#[utoipa::path(delete, path = "/api/v1/oauth/connected-applications/{app_id}", tag = "oauth2",
    params(("app_id" = OauthApplicationId, Path, description = "From the list of connected applications")),
    responses((status = 200, description = "Its tokens stop working immediately, and it has to ask again", body = Envelope<Done>), DisconnectErrors))]
pub async fn disconnect(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(app_id): Path<OauthApplicationId>,
) -> Result<Reply<Done>> {
    caller.session()?;
    let platform = oauth.platform();
    let (user, now) = (caller.user_id, platform.clock.now());
    let tx = platform.db.begin().await?;
    let known = consent::find(tx.conn(), user, app_id).await?;
    let ended = grant::end_of_person(&tx, user, app_id, "disconnected", now).await?;
    // An administrator may have agreed for everybody: then there are grants without a consent.
    if known.is_none() && ended == 0 {
        return Err(ErrorCode::ApplicationNotFound.into());
    }
    consent::forget(&tx, user, app_id).await?;
    let organization = application::Entity::find_by_id(app_id).one(tx.conn()).await?.map(|row| row.organization_id);
    let record = AuditRecord::new(organization, origin.actor(user), "oauth.disconnect")
        .target("oauth_application", app_id.0)
        .details(json!({"grants_ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The application no longer acts for you.";
    Ok(Reply::ok(Done { message }, message))
}
