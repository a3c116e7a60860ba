//! Applications: programs that sign people in with this server, or act for them. Each belongs to one organization, whose
//! administrators register it.
//!
//! | file | operations |
//! | --- | --- |
//! | [`create`], [`list`], [`get`], [`update`], [`delete`] | `/api/v1/organizations/{org_id}/oauth-applications[/{app_id}]` |
//! | [`usage`] | `GET …/{app_id}/usage` |
//! | [`revoke`] | `POST …/{app_id}/revoke`: suspended, with all of its tokens, at once |
//! | [`secret`] | `POST …/{app_id}/regenerate-secret`, and several secrets that overlap |
//!
//! An application acts with a person's permissions and never with its own. Where no person is there (`client_credentials`) it
//! acts for the one who answers for it: who registered it, or took it over since. Nobody else hands out its secrets or lets
//! it ask for more: they would act as somebody who may do more than they. Taking it over voids the secrets that others know.

pub mod create;
pub mod delete;
pub mod get;
pub mod known;
pub mod list;
pub mod logo;
pub mod redirect;
pub mod revoke;
pub mod secret;
pub mod update;
pub mod usage;
pub mod view;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, Error, ErrorCode, OauthApplicationId, OrganizationId, Permission, PermissionSet, Result, Scope, Scopes,
    Tenant, TokenHash, UserId,
};
use rivergen_platform::{
    Event, Transaction,
    audit::{Actor, AuditRecord},
    db::{TenantOwned, TenantScope},
};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Oauth, consent, keys::TokenAlgorithm};

pub(crate) fn operations() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .routes(routes!(create::create, list::list))
        .routes(routes!(get::get, update::update, delete::delete))
        .routes(routes!(revoke::revoke))
        .routes(routes!(usage::usage))
        .routes(routes!(secret::regenerate))
        .routes(routes!(secret::add, secret::list))
        .routes(routes!(secret::remove))
}

/// Whether a program can keep a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum ClientType {
    /// A server's program.
    #[default]
    #[sea_orm(string_value = "confidential")]
    Confidential,
    /// One that runs where its users can look into it: in a browser, on a phone.
    #[sea_orm(string_value = "public")]
    Public,
}

/// How an application comes to its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A person lets it; with refresh tokens.
    AuthorizationCode,
    /// For itself.
    ClientCredentials,
    /// A person lets it, from another device (RFC 8628); with refresh tokens.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// It was shown a token of a person's, and acts for them (RFC 8693).
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

/// Whether an application works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ApplicationStatus)]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    /// Suspended; an update to `active` lets it work again, with new tokens.
    #[sea_orm(string_value = "revoked")]
    Revoked,
}

/// How an application was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ApplicationOrigin)]
pub enum Origin {
    /// Somebody of the organization registered it.
    #[sea_orm(string_value = "administrator")]
    Administrator,
    /// It registered itself (RFC 7591).
    #[sea_orm(string_value = "registered")]
    Registered,
    /// A document at its client id tells of it.
    #[sea_orm(string_value = "document")]
    Document,
}

/// What an application can access.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum AccessLevel {
    #[default]
    #[sea_orm(string_value = "organization")]
    Organization,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_applications")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: OauthApplicationId,
    pub organization_id: OrganizationId,
    /// What the protocol knows it by: a UUID.
    pub client_id: String,
    pub name: String,
    /// The name without case, unique in the organization.
    pub name_key: String,
    pub description: Option<String>,
    pub client_type: ClientType,
    pub grant_types: Json,
    pub redirect_uris: Json,
    pub post_logout_redirect_uris: Json,
    /// Of the API; those of OpenID Connect need no registration.
    pub scopes: Json,
    /// Servers beside this one that its tokens may be meant for (RFC 8707).
    pub resources: Json,
    /// Its public keys, if it authenticates with one of them and has no secret.
    pub jwks: Option<Json>,
    /// Where they are, for one that describes itself.
    pub jwks_uri: Option<String>,
    pub access_level: AccessLevel,
    pub status: Status,
    pub origin: Origin,
    /// By which one that registered itself changes that.
    pub registration_token_hash: Option<TokenHash>,
    /// Since when an administrator vouches for one that they did not register.
    pub verified_at: Option<DateTime<Utc>>,
    /// An administrator has agreed for everybody.
    pub preapproved: bool,
    /// It is given no token that is not bound to a key (RFC 9449, section 5.2).
    pub dpop_bound_access_tokens: bool,
    /// With what it wants its ID tokens signed (OpenID Connect Dynamic Client Registration, section 2).
    pub id_token_signed_response_alg: Option<TokenAlgorithm>,
    /// Counts what made all of its tokens void.
    pub token_generation: i64,
    /// The person it acts for when nobody is present.
    pub responsible_user_id: UserId,
    /// When it was registered, or taken over last: who left since then answers for it no more, even when they come back.
    pub responsible_since: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether what people and administrators agreed to is not this any more: its name, how it proves itself, or where its
    /// codes go.
    pub(crate) fn is_another_than(&self, before: &Model) -> bool {
        (&self.name, self.client_type, &self.redirect_uris) != (&before.name, before.client_type, &before.redirect_uris)
            || (&self.jwks, &self.jwks_uri) != (&before.jwks, &before.jwks_uri)
    }

    /// What the audit log says of a program that came by itself, whichever way it came.
    pub(crate) fn came(&self, actor: Actor) -> AuditRecord {
        AuditRecord::new(Some(self.organization_id), actor, "oauth_application.register")
            .target("oauth_application", self.id.0)
            .details(json!({"name": self.name, "client_id": self.client_id, "redirect_uris": self.redirect_uris,
                "grant_types": self.grant_types, "scopes": self.scopes}))
    }

    /// The same of one that says something else of itself now.
    pub(crate) fn changed_itself(&self, actor: Actor) -> AuditRecord {
        AuditRecord::new(Some(self.organization_id), actor, "oauth_application.update")
            .target("oauth_application", self.id.0)
            .details(json!({"name": self.name, "by_itself": true, "redirect_uris": self.redirect_uris,
                "scopes": self.scopes}))
    }
}

/// Index: oauth_applications(organization_id, id).
impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What the column holds; nothing where it cannot be understood.
fn of_json<T: DeserializeOwned + Default>(value: &Json) -> T {
    T::deserialize(value).unwrap_or_default()
}

impl Model {
    pub fn grant_types(&self) -> Vec<GrantType> {
        of_json(&self.grant_types)
    }

    pub fn redirect_uris(&self) -> Vec<String> {
        of_json(&self.redirect_uris)
    }

    pub fn post_logout_redirect_uris(&self) -> Vec<String> {
        of_json(&self.post_logout_redirect_uris)
    }

    pub fn scopes(&self) -> Scopes {
        of_json(&self.scopes)
    }

    pub fn resources(&self) -> Vec<String> {
        of_json(&self.resources)
    }

    /// Whether it proves itself by a secret.
    pub fn has_secrets(&self) -> bool {
        self.client_type == ClientType::Confidential && !self.has_keys()
    }

    /// Whether it proves itself by a key of its own.
    pub fn has_keys(&self) -> bool {
        self.jwks.is_some() || self.jwks_uri.is_some()
    }

    /// Whether nobody has checked who made it.
    pub fn is_unverified(&self) -> bool {
        self.origin != Origin::Administrator && self.verified_at.is_none()
    }

    /// Makes all of its tokens void, on every node from the commit on; codes that are under way too.
    pub async fn void_tokens(&self, tx: &Transaction, reason: &'static str, now: DateTime<Utc>) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::TokenGeneration, Expr::col(Column::TokenGeneration).add(1))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        crate::grant::end_of_application(tx, self.id, reason, now).await?;
        tx.publish(Event::ApplicationChanged(self.id)).await
    }
}

/// The application of the organization; `application_not_found` for every other.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: OauthApplicationId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?;
    found.ok_or(ErrorCode::ApplicationNotFound.into())
}

/// The scope of the organization that a path names, for who may look after its applications.
pub(crate) async fn enter(
    oauth: &Oauth,
    caller: &Caller,
    organization: OrganizationId,
    permission: Permission,
) -> Result<(Caller, Tenant)> {
    let caller = oauth.tenancy.enter(caller, organization).await?;
    let tenant = caller.require(permission)?;
    Ok((caller, tenant))
}

/// Scopes that the caller may register an application with. The broad ones only narrow what whoever agrees may do; `admin`
/// takes a fresh proof, as for a token. Of the single permissions nobody registers what they do not hold.
fn may_register(caller: &Caller, scopes: &Scopes, before: &Scopes, now: DateTime<Utc>) -> Result<()> {
    if scopes.0.contains(&Scope::Admin) && !before.0.contains(&Scope::Admin) {
        caller.recently_proved(now)?;
    }
    let single = scopes.0.difference(&before.0).filter_map(|scope| match scope {
        Scope::Only(permission) => Some(*permission),
        _ => None,
    });
    caller.may_grant(&single.collect::<PermissionSet>())
}

/// `Forbidden` for who would get at what another person may do: of an application that acts for whoever answers for it, the
/// secrets and the scopes are theirs.
fn answers_for(caller: &Caller, row: &Model, grant_types: &[GrantType]) -> Result<()> {
    if !grant_types.contains(&GrantType::ClientCredentials) || row.responsible_user_id == caller.user_id {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Forbidden).with_message(
        "It acts for another administrator: take it over first with take_over, which invalidates its current secrets.",
    ))
}

/// A name as it is compared.
fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Servers that tokens may be meant for: absolute addresses without a fragment (RFC 8707, section 2). Not this server itself:
/// an application that it were registered with could exchange every token that is meant for the API.
fn check_resources(oauth: &Oauth, resources: &[String]) -> Result<()> {
    for (at, resource) in resources.iter().enumerate() {
        let parsed = url::Url::parse(resource);
        let is_good = parsed.is_ok_and(|url| url.has_host() && url.fragment().is_none() && resource.len() <= 2000);
        if !is_good {
            let reason = "must be an absolute address without a fragment, such as https://api.example/";
            return Err(Error::invalid_field(format!("resources[{at}]"), reason));
        }
        if oauth.is_own(resource) {
            let reason = "is this server itself, which every application may ask for without registering it";
            return Err(Error::invalid_field(format!("resources[{at}]"), reason));
        }
    }
    Ok(())
}

/// Whether ID tokens can be signed with what an application asks for.
fn check_algorithm(oauth: &Oauth, asked: Option<TokenAlgorithm>) -> Result<()> {
    let offered = oauth.access.keys().of_id_tokens();
    match asked.is_none_or(|asked| offered.contains(&asked)) {
        true => Ok(()),
        false => Err(Error::invalid_field("id_token_signed_response_alg", "is not one that this server signs with")),
    }
}

/// Of an application that says something else of itself now ([`Model::is_another_than`]): nobody vouches for it or has agreed
/// to it any more. Answers it as it is then.
pub(crate) async fn agreed_anew(tx: &Transaction, before: &Model, row: Model) -> Result<Model> {
    if !row.is_another_than(before) {
        return Ok(row);
    }
    consent::forget_all(tx, row.id).await?;
    let anew = ActiveModel { id: Set(row.id), verified_at: Set(None), preapproved: Set(false), ..Default::default() };
    Ok(anew.update(tx.conn()).await?)
}
