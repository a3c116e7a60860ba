//! Secrets of applications: `rgs_`, 43 letters of 256 random bits, and a checksum, as personal access tokens have it. The
//! database keeps the hash.
//!
//! `regenerate-secret` makes one that replaces all others at once. To change it without a gap, add a second one, give it to
//! the program, and remove the first.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_identity::personal_token::{is_well_formed, written};
use rivergen_kernel::{Error, ErrorCode, OauthApplicationId, OrganizationId, Permission, Result, Token, TokenHash};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{ActiveValue::Set, Condition, PaginatorTrait, QueryOrder, QuerySelect, entity::prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::Done;
use crate::Oauth;

pub const PREFIX: &str = "rgs_";
/// Enough to recognise a secret.
const SHOWN: usize = 10;
/// That are good at the same time.
const MOST: u64 = 5;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_secrets")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub application_id: OauthApplicationId,
    /// How the secret begins.
    pub prefix: String,
    pub secret_hash: TokenHash,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether the text is this secret, and it is good.
    pub fn matches(&self, text: &str, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end) && is_well_formed(PREFIX, text) && self.secret_hash.matches(text)
    }
}

fn is_live(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
}

/// Index: oauth_secrets(application_id, id).
pub fn of_application(id: OauthApplicationId, now: DateTime<Utc>) -> Select<Entity> {
    Entity::find().filter(Column::ApplicationId.eq(id)).filter(is_live(now)).order_by_asc(Column::Id).limit(MOST)
}

/// Makes a secret; answers its text, which is shown this once.
pub async fn issue(
    tx: &Transaction,
    application: OauthApplicationId,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<String> {
    let text = written(PREFIX, &Token::random(&mut rand::rng()));
    let row = ActiveModel {
        application_id: Set(application),
        prefix: Set(text[..SHOWN].to_owned()),
        secret_hash: Set(TokenHash::of(&text)),
        created_at: Set(now),
        expires_at: Set(expires_at),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(text)
}

errors! {
    pub RegenerateErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound, ValidationError;
    pub AddErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound, Conflict, ValidationError;
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound;
    pub RemoveErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound, NotFound;
}

/// A secret that is only shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewSecret {
    #[schema(examples("rgs_…"))]
    pub client_secret: String,
    pub message: &'static str,
}

/// `ValidationError` for a client that has no secret.
fn keeps_secrets(row: &super::Model) -> Result<()> {
    match row.has_secrets() {
        true => Ok(()),
        false => {
            Err(Error::invalid_field("app_id", "is a client without secrets: it is public, or has keys of its own"))
        }
    }
}

/// Replace the secrets of an application
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/regenerate-secret", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    responses((status = 200, description = "The new secret; the old ones and all tokens stop working", body = Envelope<NewSecret>), RegenerateErrors))]
pub async fn regenerate(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
) -> Result<Reply<NewSecret>> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let (caller, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let tx = platform.db.begin().await?;
    let row = super::find(tx.conn(), tenant, app_id).await?;
    keeps_secrets(&row)?;
    super::answers_for(&caller, &row, &row.grant_types())?;
    Entity::delete_many().filter(Column::ApplicationId.eq(row.id)).exec(tx.conn()).await?;
    let client_secret = issue(&tx, row.id, None, now).await?;
    row.void_tokens(&tx, "secret_regenerated", now).await?;
    let action = "oauth_application.regenerate_secret";
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), action)
        .target("oauth_application", row.id.0)
        .details(json!({"name": row.name}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The secret was replaced. Keep the new one: it will not be shown again.";
    Ok(Reply::ok(NewSecret { client_secret, message }, message))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"expires_in_days": 90}))]
pub struct AddSecretRequest {
    /// Without it, the secret works until it is removed.
    #[garde(inner(range(min = 1, max = 3650)))]
    pub expires_in_days: Option<u16>,
}

/// Add another secret to an application
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    request_body = AddSecretRequest,
    responses((status = 201, description = "The new secret; the others keep working", body = Envelope<NewSecret>), AddErrors))]
pub async fn add(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
    Json(request): Json<AddSecretRequest>,
) -> Result<Reply<NewSecret>> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let (caller, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let tx = platform.db.begin().await?;
    // Of two at once the second waits here and counts the first.
    organization::lock(&tx, tenant).await?;
    let row = super::find(tx.conn(), tenant, app_id).await?;
    keeps_secrets(&row)?;
    super::answers_for(&caller, &row, &row.grant_types())?;
    let expired = Entity::delete_many().filter(Column::ApplicationId.eq(row.id)).filter(Column::ExpiresAt.lte(now));
    expired.exec(tx.conn()).await?;
    if Entity::find().filter(Column::ApplicationId.eq(row.id)).count(tx.conn()).await? >= MOST {
        return Err(Error::new(ErrorCode::Conflict)
            .with_message("An application can have at most five secrets; remove one first."));
    }
    let expires_at = request.expires_in_days.map(|days| now + Duration::days(i64::from(days)));
    let client_secret = issue(&tx, row.id, expires_at, now).await?;
    tx.publish(Event::ApplicationChanged(row.id)).await?;
    let action = "oauth_application.add_secret";
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), action)
        .target("oauth_application", row.id.0)
        .details(json!({"name": row.name, "expires_at": expires_at}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The secret was added. Keep it: it will not be shown again.";
    Ok(Reply::created(NewSecret { client_secret, message }, message))
}

/// A secret without its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct OauthSecret {
    pub id: i64,
    /// How the secret begins.
    #[schema(examples("rgs_3mKq7x"))]
    pub prefix: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// At most five.
#[derive(Debug, Serialize, ToSchema)]
pub struct OauthSecrets {
    pub secrets: Vec<OauthSecret>,
    pub message: &'static str,
}

/// List the secrets of an application
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    responses((status = 200, description = "Those that still work, without their values; at most five", body = Envelope<OauthSecrets>), ListErrors))]
pub async fn list(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
) -> Result<Reply<OauthSecrets>> {
    let platform = oauth.platform();
    let (_, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppRead).await?;
    let row = super::find(platform.db.read(), tenant, app_id).await?;
    let rows = of_application(row.id, platform.clock.now()).all(platform.db.read()).await?;
    let shown = |row: Model| OauthSecret {
        id: row.id,
        prefix: row.prefix,
        created_at: row.created_at,
        expires_at: row.expires_at,
    };
    let message = "The secrets of the application.";
    Ok(Reply::ok(OauthSecrets { secrets: rows.into_iter().map(shown).collect(), message }, message))
}

/// Remove a secret of an application
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets/{secret}", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications"),
        ("secret" = i64, Path, description = "The id of the secret, from the list of secrets")),
    responses((status = 200, description = "It no longer works; the tokens keep working", body = Envelope<Done>), RemoveErrors))]
pub async fn remove(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, app_id, secret)): Path<(OrganizationId, OauthApplicationId, i64)>,
) -> Result<Reply<Done>> {
    let platform = oauth.platform();
    let (caller, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let tx = platform.db.begin().await?;
    let row = super::find(tx.conn(), tenant, app_id).await?;
    let theirs = Entity::delete_many().filter(Column::ApplicationId.eq(row.id)).filter(Column::Id.eq(secret));
    if theirs.exec(tx.conn()).await?.rows_affected == 0 {
        return Err(ErrorCode::NotFound.into());
    }
    tx.publish(Event::ApplicationChanged(row.id)).await?;
    let action = "oauth_application.remove_secret";
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), action)
        .target("oauth_application", row.id.0)
        .details(json!({"name": row.name, "secret": secret}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The secret was removed.";
    Ok(Reply::ok(Done { message }, message))
}
