//! `GET /api/v1/sso/providers/{provider_id}`: one identity provider, with how it is used.

use axum::extract::State;
use rivergen_kernel::{Permission, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use super::view::{ProviderAnswer, SsoProvider};
use crate::Federation;

errors! { pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ProviderNotFound; }

/// Show one identity provider
#[utoipa::path(get, path = "/api/v1/sso/providers/{provider_id}", tag = "sso",
    params(("provider_id" = SsoProviderId, Path, description = "A provider of the session's organization")),
    responses((status = 200, description = "The provider, without its secret", body = Envelope<ProviderAnswer>), GetErrors))]
pub async fn get_provider(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Path(id): Path<SsoProviderId>,
) -> Result<Reply<ProviderAnswer>> {
    let tenant = caller.require(Permission::SsoRead)?;
    let db = federation.platform().db.read();
    let provider = SsoProvider::of(db, super::find(db, tenant, id).await?).await?;
    let message = "The identity provider.";
    Ok(Reply::ok(ProviderAnswer { provider, message }, message))
}
