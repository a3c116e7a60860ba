//! `GET /api/v1/auth/proofs`: how the signed-in person can prove anew who they are, where something needs a proof that is not
//! older than ten minutes.
//!
//! Each way is a sign-in of its own; the session that it opens takes the place of the one that they have. What would be refused
//! there, or would be no proof, is not listed: a provider that does not say when it asked, and an identity provider that
//! vouches for a part of the account alone.

use std::collections::BTreeMap;

use axum::extract::State;
use rivergen_identity::{
    social::{self, OauthProvider},
    user::User,
    webauthn,
};
use rivergen_kernel::{Caller, ErrorCode, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Federation,
    provider::{self, identity},
};

/// How the signed-in person can confirm who they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaysToProve {
    /// With their password, at `auth/login`.
    #[schema(examples(false))]
    pub password: bool,
    /// With a passkey, at `webauthn/authenticate/…`.
    #[schema(examples(false))]
    pub passkey: bool,
    /// At a provider that they have connected, from `auth/oauth/{provider}/url?anew=true`.
    pub social: Vec<OauthProvider>,
    /// At an identity provider of their organization, from `sso/login?anew=true&provider_id=…`.
    pub sso: Vec<VouchingProvider>,
}

/// An identity provider that can confirm who the person is.
#[derive(Debug, Serialize, ToSchema)]
pub struct VouchingProvider {
    pub provider_id: SsoProviderId,
    #[schema(examples("Acme Okta"))]
    pub name: String,
}

errors! { pub WaysErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified; }

/// List the ways to confirm who you are
#[utoipa::path(get, path = "/api/v1/auth/proofs", tag = "authentication",
    responses((status = 200, description = "All that would be accepted; nothing if only another sign-in helps", body = Envelope<WaysToProve>), WaysErrors))]
pub async fn ways_to_prove(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<WaysToProve>> {
    caller.session()?;
    let identity = &federation.tenancy.identity;
    let (db, now) = (identity.platform.db.read(), identity.platform.clock.now());
    let user = User::find(db, caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let sso = vouching(&federation, &caller).await?;
    let sso = sso.into_iter().map(|(row, _)| VouchingProvider { provider_id: row.id, name: row.name }).collect();
    let mut ways = WaysToProve { password: false, passkey: false, social: Vec::new(), sso };
    // Every other door is closed to who has to come in through the identity provider.
    if !identity.directory.security(user.id()).await?.is_single_sign_on_alone(now) {
        ways.password = user.account.password_hash.is_some();
        ways.passkey = webauthn::count(db, user.id()).await? > 0;
        ways.social = social::that_ask_anew(identity, user.id()).await?;
    }
    Ok(Reply::ok(ways, "Each of these is a fresh proof."))
}

/// The identity providers that can vouch anew for the caller, with who they are there. Those of the only organization that
/// they belong to: what one of several says is no proof for what the account is elsewhere.
pub(super) async fn vouching(
    federation: &Federation,
    caller: &Caller,
) -> Result<Vec<(provider::Model, identity::Model)>> {
    let Some(organization) = caller.membership.as_ref().map(|membership| membership.organization_id) else {
        return Ok(Vec::new());
    };
    if federation.tenancy.identity.directory.security(caller.user_id).await?.reaches_beyond(organization) {
        return Ok(Vec::new());
    }
    let db = federation.platform().db.read();
    // Index: sso_identities(user_id, organization_id).
    let linked = identity::Entity::find()
        .filter(identity::Column::UserId.eq(caller.user_id))
        .filter(identity::Column::OrganizationId.eq(organization))
        .order_by_asc(identity::Column::ProviderId)
        .limit(provider::MOST)
        .all(db)
        .await?;
    // Index: the primary key.
    let active = provider::active_among(linked.iter().map(|identity| identity.provider_id)).all(db).await?;
    let active: BTreeMap<SsoProviderId, provider::Model> = active.into_iter().map(|row| (row.id, row)).collect();
    let vouching =
        linked.into_iter().filter_map(|identity| Some((active.get(&identity.provider_id)?.clone(), identity)));
    Ok(vouching.collect())
}
