//! `GET /api/v1/sso/oidc/callback`, `…/callback/{organization_id}` and `…/{organization_id}/{provider_id}`: where the provider sends the browser back to.

use axum::{extract::State, http::HeaderMap, response::Response};
use garde::Validate;
use openidconnect::OAuth2TokenResponse;
use rivergen_identity::oidc::{self, Failure, GuardedHttp, IdToken};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Path, Query, RequestOrigin},
};
use sea_orm::EntityTrait;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Begun, claims, connect, redirect_uri, redirect_uri_of_organization};
use crate::{
    Federation,
    provider::{self, Kind, Status},
    sign_in::{self, Assertion, FINISH_BY_IP, state},
};

/// What a provider sends the browser back with.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    #[garde(inner(length(max = 4096)))]
    code: Option<String>,
    #[garde(length(min = 1, max = 200))]
    state: String,
    /// The issuer of the answer (RFC 9207).
    #[garde(inner(length(max = 2000)))]
    iss: Option<String>,
    /// Set if the provider or the person refused.
    #[garde(inner(length(max = 4096)))]
    error: Option<String>,
    /// Ignored: whoever creates a link can write anything there.
    #[garde(skip)]
    #[serde(rename = "error_description")]
    _error_description: Option<String>,
}

errors! { pub CallbackErrors: SsoStateInvalid, OidcTokenRejected, SsoUserNotAllowed, AnotherPerson, NotAskedAnew, ValidationError, RateLimited, IdpUnavailable; }

/// Handle the OpenID provider's answer, and finish the sign-in
#[utoipa::path(get, path = "/api/v1/sso/oidc/callback", tag = "sso", security(()), params(CallbackQuery),
    responses((status = 302, description = "To the redirect address of the start, with a one-time code; a browser is also sent there with `error`"),
        CallbackErrors))]
pub async fn oidc_callback(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<Response> {
    let at = redirect_uri(&federation);
    come_back(&federation, query, at, &origin, &headers).await
}

/// Handle the answer of an OpenID provider that does not name itself in it
#[utoipa::path(get, path = "/api/v1/sso/oidc/callback/{organization_id}", tag = "sso", security(()),
    params(("organization_id" = OrganizationId, Path, description = "Whose provider it is"), CallbackQuery),
    responses((status = 302, description = "To the redirect address of the start, with a one-time code; a browser is also sent there with `error`"),
        CallbackErrors))]
pub async fn oidc_callback_of_organization(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(organization): Path<OrganizationId>,
    Query(query): Query<CallbackQuery>,
) -> Result<Response> {
    let at = redirect_uri_of_organization(&federation, organization);
    come_back(&federation, query, at, &origin, &headers).await
}

/// Handle the answer of an organization's second OpenID provider that does not name itself in it
#[utoipa::path(get, path = "/api/v1/sso/oidc/callback/{organization_id}/{provider_id}", tag = "sso", security(()),
    params(("organization_id" = OrganizationId, Path, description = "Whose provider it is"),
        ("provider_id" = SsoProviderId, Path, description = "The provider"), CallbackQuery),
    responses((status = 302, description = "To the redirect address of the start, with a one-time code; a browser is also sent there with `error`"),
        CallbackErrors))]
pub async fn oidc_callback_of_provider(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path((organization, provider)): Path<(OrganizationId, SsoProviderId)>,
    Query(query): Query<CallbackQuery>,
) -> Result<Response> {
    let at = format!("{}/{provider}", redirect_uri_of_organization(&federation, organization));
    come_back(&federation, query, at, &origin, &headers).await
}

async fn come_back(
    federation: &Federation,
    query: CallbackQuery,
    at: String,
    origin: &RequestOrigin,
    headers: &HeaderMap,
) -> Result<Response> {
    let platform = federation.platform();
    platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let begun = state::take(federation, &query.state, headers).await?;
    let provider = provider::Entity::find_by_id(begun.provider_id).one(platform.db.read()).await?;
    let is_open = |one: &provider::Model| one.kind == Kind::Oidc && (begun.is_test() || one.status == Status::Active);
    let provider = provider.filter(is_open).ok_or(ErrorCode::SsoStateInvalid)?;
    if !provider::lives(platform.db.read(), &provider).await? {
        return Err(ErrorCode::SsoStateInvalid.into());
    }
    match ask(federation, &provider, query, at, &begun).await {
        Ok(assertion) => sign_in::arrive(federation, &provider, assertion, Some(&begun), origin, headers).await,
        Err(failure) => {
            let code = if failure.is_unreachable() { ErrorCode::IdpUnavailable } else { ErrorCode::OidcTokenRejected };
            let error = Error::new(code).with_source(failure.text().to_owned());
            sign_in::reject(federation, &provider, Some(&begun), error, failure.text(), origin, headers).await
        }
    }
}

/// Who the person is, as the provider says with the code that the browser brought.
async fn ask(
    federation: &Federation,
    provider: &provider::Model,
    query: CallbackQuery,
    at: String,
    begun: &state::Model,
) -> Result<Assertion, Failure> {
    let platform = federation.platform();
    let Begun { secrets, redirect_uri } = serde_json::from_value(begun.secrets(federation).await?)?;
    // Before the code goes anywhere: it must be this provider's.
    if at != redirect_uri {
        return Err(Failure::of("the answer came back to a different address than the sign-in gave"));
    }
    let (client, discovered) = connect(federation, provider, &redirect_uri).await?;
    let issuer = discovered.metadata.issuer().as_str();
    let names_itself = discovered.metadata.additional_metadata().authorization_response_iss_parameter_supported;
    if query.iss.as_deref().map_or(names_itself, |iss| iss != issuer) {
        return Err(Failure::of("the answer is from another issuer, or does not name its issuer"));
    }
    if let Some(error) = query.error {
        return Err(Failure::of(&refusal(&error)));
    }
    let code = query.code.filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| Failure::of("the provider sent no authorization code"))?;

    let http = GuardedHttp::new(&platform.outbound);
    let tokens = oidc::exchange(&http, &client, code, secrets.pkce_verifier).await?;
    let renew = || connect(federation, provider, &redirect_uri);
    let id_token =
        IdToken::check(platform, &federation.discovery, &tokens, secrets.nonce, (client, discovered), renew).await?;
    claims::assertion(&http, provider, &id_token, tokens.access_token()).await
}

/// What the provider said, as far as it is one of its codes: text from outside is not shown as ours.
fn refusal(error: &str) -> String {
    let code: String = error.chars().take(60).collect();
    let is_code = !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_code { format!("the provider refused ({code})") } else { "the provider refused".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn a_refusal_shows_codes_alone() {
        assert_eq!(refusal("access_denied"), "the provider refused (access_denied)");
        for text in ["<script>", "Call 555-1234 now", "", "ACCESS"] {
            assert_eq!(refusal(text), "the provider refused", "{text}");
        }
    }
}
