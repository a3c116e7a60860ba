//! `PATCH /api/v1/organizations/{org_id}/oauth-applications/{app_id}`
//!
//! What is taken away from an application holds for the tokens and codes that it has: they are checked against it at each
//! use. A suspended one that is let in again gets new tokens; the old ones stay void.
//!
//! Once it acts for whoever answers for it, nobody else may know how it proves itself. So what others could know, its secrets
//! and its keys, goes when somebody takes it over, and when `client_credentials` is added.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{
    Caller, Error, ErrorCode, OauthApplicationId, OrganizationId, Permission, Result, Scope, Scopes, Tenant,
};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use rivergen_tenancy::member;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    AccessLevel, GrantType, Model, Origin, Status, answers_for, check_algorithm, check_resources, create::check_shape,
    logo, may_register, name_key, redirect, secret, view::ApplicationAnswer,
};
use crate::{Oauth, assertion, keys::TokenAlgorithm};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"description": "Weekly reports", "status": "active"}))]
#[garde(allow_unvalidated)]
pub struct UpdateApplicationRequest {
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub name: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    #[garde(inner(length(min = 1, max = 4)))]
    pub grant_types: Option<Vec<GrantType>>,
    #[garde(inner(length(max = 20)))]
    pub redirect_uris: Option<Vec<String>>,
    #[garde(inner(length(min = 1, max = 50)))]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
    pub access_level: Option<AccessLevel>,
    pub status: Option<Status>,
    #[garde(inner(length(max = 20)))]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    #[garde(inner(length(max = 20)))]
    pub resources: Option<Vec<String>>,
    /// Other public keys, for an application that has some.
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<serde_json::Value>,
    pub preapproved: Option<bool>,
    /// A picture, which people see when it asks: PNG, JPEG, WebP or GIF of 64 KiB at most, as a data URL. `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    pub logo: Option<Option<String>>,
    /// `true` says that the caller has checked who made a program that registered itself: people do not read any more that
    /// nobody has.
    pub verified: Option<bool>,
    /// It only gets tokens that are bound to a key of its own (DPoP); those that it has keep working.
    pub dpop_bound_access_tokens: Option<bool>,
    /// The algorithm that its ID tokens are signed with from now on. `null`: the first in the server's metadata.
    #[serde(default, deserialize_with = "given")]
    #[garde(skip)]
    #[schema(value_type = Option<TokenAlgorithm>)]
    pub id_token_signed_response_alg: Option<Option<TokenAlgorithm>>,
    /// `true` makes the caller the one for whom it acts where no person is there. Its secrets and tokens are void then: others
    /// know them. An application with keys needs new ones, in `jwks`, at the same time.
    pub take_over: Option<bool>,
}

errors! {
    pub UpdateErrors: ApplicationExists, InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, OrgNotFound, ApplicationNotFound, ValidationError;
}

/// Change an application
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    request_body = UpdateApplicationRequest,
    responses((status = 200, description = "The application as it is now", body = Envelope<ApplicationAnswer>), UpdateErrors))]
pub async fn update(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
    Json(request): Json<UpdateApplicationRequest>,
) -> Result<Reply<ApplicationAnswer>> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let (caller, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppManage).await?;
    let tx = platform.db.begin().await?;
    let before = super::find(tx.conn(), tenant, app_id).await?;
    if before.origin == Origin::Document {
        left_to_its_document(&request)?;
    }
    let takes_over = request.take_over == Some(true) && !answers_already(tx.conn(), tenant, &caller, &before).await?;
    let widens = request.scopes.is_some() || request.grant_types.is_some() || request.jwks.is_some();
    let grant_types = request.grant_types.unwrap_or_else(|| before.grant_types());
    let redirect_uris = request.redirect_uris.unwrap_or_else(|| before.redirect_uris());
    check_shape(before.client_type, &grant_types, &redirect_uris)?;
    let is_new = |grant: GrantType| grant_types.contains(&grant) && !before.grant_types().contains(&grant);
    // Others may have made its secrets while it acted for nobody but those who let it.
    let renews = takes_over || is_new(GrantType::ClientCredentials);
    let mut changed = before.clone().into_active_model();
    changed.grant_types = Set(json!(grant_types));
    changed.redirect_uris = Set(json!(redirect_uris));
    changed.updated_at = Set(now);
    if let Some(name) = request.name {
        changed.name_key = Set(name_key(&name));
        changed.name = Set(name);
    }
    if let Some(description) = request.description {
        if description.as_ref().is_some_and(|text| text.chars().count() > 1000) {
            return Err(Error::invalid_field("description", "is longer than 1000 characters"));
        }
        changed.description = Set(description);
    }
    if let Some(scopes) = request.scopes {
        let scopes = Scopes(scopes.into_iter().collect());
        may_register(&caller, &scopes, &before.scopes(), now)?;
        changed.scopes = Set(json!(scopes));
    }
    if let Some(level) = request.access_level {
        changed.access_level = Set(level);
    }
    if let Some(uris) = request.post_logout_redirect_uris {
        redirect::check("post_logout_redirect_uris", &uris)?;
        changed.post_logout_redirect_uris = Set(json!(uris));
    }
    if let Some(resources) = request.resources {
        check_resources(&oauth, &resources)?;
        changed.resources = Set(json!(resources));
    }
    if let Some(keys) = request.jwks {
        if before.jwks.is_none() {
            return Err(Error::invalid_field("jwks", "is only for applications that were registered with keys"));
        }
        let new = assertion::check(&keys)?;
        if renews && before.jwks.as_ref().is_some_and(|known| assertion::shares_a_key(known, &new)) {
            return Err(known_keys());
        }
        changed.jwks = Set(Some(keys));
    } else if renews && before.has_keys() {
        return Err(known_keys());
    }
    if let Some(preapproved) = request.preapproved {
        if preapproved && !before.preapproved {
            caller.recently_proved(now)?;
        }
        changed.preapproved = Set(preapproved);
    }
    if let Some(Some(logo)) = &request.logo {
        logo::check(logo)?;
    }
    if let Some(verified) = request.verified {
        if before.origin == Origin::Administrator {
            return Err(Error::invalid_field("verified", "is only for programs that registered themselves"));
        }
        if verified && before.verified_at.is_none() {
            caller.recently_proved(now)?;
        }
        changed.verified_at = Set(verified.then(|| before.verified_at.unwrap_or(now)));
    }
    // What acts for somebody without asking people is not changed by its maker any more.
    if renews {
        changed.registration_token_hash = Set(None);
    }
    if let Some(bound) = request.dpop_bound_access_tokens {
        changed.dpop_bound_access_tokens = Set(bound);
    }
    if let Some(algorithm) = request.id_token_signed_response_alg {
        check_algorithm(&oauth, algorithm)?;
        changed.id_token_signed_response_alg = Set(algorithm);
    }
    if widens && !takes_over {
        answers_for(&caller, &before, &grant_types)?;
    }
    if takes_over {
        // From now on it may do what the caller may: that is theirs to prove.
        caller.recently_proved(now)?;
        changed.responsible_user_id = Set(caller.user_id);
        changed.responsible_since = Set(now);
    }
    if let Some(status) = request.status {
        changed.status = Set(status);
    }
    let row = changed.update(tx.conn()).await.map_err(duplicate_is(ErrorCode::ApplicationExists))?;
    if row.status == Status::Revoked && before.status == Status::Active {
        row.void_tokens(&tx, "application_revoked", now).await?;
    }
    let needs_secret = renews && row.has_secrets();
    if needs_secret {
        secret::Entity::delete_many().filter(secret::Column::ApplicationId.eq(row.id)).exec(tx.conn()).await?;
    }
    if let Some(logo) = request.logo {
        logo::keep(&tx, row.id, logo).await?;
    }
    if takes_over {
        row.void_tokens(&tx, "application_taken_over", now).await?;
    }
    tx.publish(Event::ApplicationChanged(row.id)).await?;
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "oauth_application.update")
        .target("oauth_application", row.id.0)
        .details(
            json!({"name": row.name, "status": row.status, "scopes_before": before.scopes(), "scopes": row.scopes(),
            "preapproved": row.preapproved, "verified_at": row.verified_at, "responsible_user_id": row.responsible_user_id}),
        );
    audit::record(&tx, &platform.clock, record).await?;
    let logo = logo::find(tx.conn(), row.id).await?;
    tx.commit().await?;
    let message = match needs_secret {
        true => {
            "The application was changed. Others may have known its secrets, so they were removed: it needs a new one."
        }
        false => "The application was changed.",
    };
    Ok(Reply::ok(ApplicationAnswer { application: row.into(), logo, message }, message))
}

/// Whether it acts for the caller. Not any more for who left since and came back: they take it over anew.
async fn answers_already(db: &impl ConnectionTrait, tenant: Tenant, caller: &Caller, row: &Model) -> Result<bool> {
    if row.responsible_user_id != caller.user_id {
        return Ok(false);
    }
    Ok(member::find(db, tenant, caller.user_id).await?.joined_at <= row.responsible_since)
}

/// What a document says of its program is not changed here: it is read again at each sign-in.
fn left_to_its_document(request: &UpdateApplicationRequest) -> Result<()> {
    let said = [
        ("name", request.name.is_some()),
        ("grant_types", request.grant_types.is_some()),
        ("redirect_uris", request.redirect_uris.is_some()),
        ("scopes", request.scopes.is_some()),
        ("post_logout_redirect_uris", request.post_logout_redirect_uris.is_some()),
        ("jwks", request.jwks.is_some()),
        ("dpop_bound_access_tokens", request.dpop_bound_access_tokens.is_some()),
        ("id_token_signed_response_alg", request.id_token_signed_response_alg.is_some()),
    ];
    match said.iter().find(|(_, is_said)| *is_said) {
        Some((field, _)) => Err(Error::invalid_field(*field, "is set by the program's own document")),
        None => Ok(()),
    }
}

fn known_keys() -> Error {
    Error::invalid_field("jwks", "must be new keys: others know the current ones")
}
