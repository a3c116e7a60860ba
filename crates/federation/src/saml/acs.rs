//! `POST /api/v1/sso/saml/acs/{provider_id}`: where the provider's page posts its response to.
//!
//! | the response | and the form | then |
//! | --- | --- | --- |
//! | answers a request | brings the state of a sign-in that this browser began here | it must answer that very request |
//! | answers none | whatever | it is taken only where the provider may begin sign-ins itself (`allow_idp_initiated`) |
//!
//! `RelayState` is looked up, and never an address to go to: a browser goes where the start said, and where the provider
//! began, to the first address that the operator allows.

use axum::{
    extract::{Form, State, rejection::FormRejection},
    http::HeaderMap,
    response::Response,
};
use rivergen_kernel::{Error, ErrorCode, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Path, RequestOrigin},
};
use sea_orm::EntityTrait;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Refusal, document, mapping,
    parties::{self, ServiceProvider},
    response::{self, Said},
};
use crate::{
    Federation,
    provider::{self, Kind, Status},
    sign_in::{self, Assertion, FINISH_BY_IP, seen, state},
};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"SAMLResponse": "PHNhbWxwOlJlc3BvbnNl…", "RelayState": "mVxN3…"}))]
pub struct SamlResponseForm {
    /// The response, in base64.
    #[serde(rename = "SAMLResponse")]
    saml_response: String,
    /// What the sign-in was started with; absent or anything if the provider started it.
    #[serde(rename = "RelayState")]
    relay_state: Option<String>,
}

errors! { pub AcsErrors: SsoStateInvalid, SamlResponseInvalid, SamlAssertionRejected, SsoUserNotAllowed, AnotherPerson, NotAskedAnew, ProviderNotFound, RateLimited; }

/// Handle the SAML provider's answer, and finish the sign-in
#[utoipa::path(post, path = "/api/v1/sso/saml/acs/{provider_id}", tag = "sso", security(()),
    params(("provider_id" = SsoProviderId, Path, description = "The provider whose page posts it")),
    request_body(content = SamlResponseForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 302, description = "To the redirect address of the start, with a one-time code; a browser is also sent there with `error`"),
        AcsErrors))]
pub async fn saml_callback(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(id): Path<SsoProviderId>,
    form: Result<Form<SamlResponseForm>, FormRejection>,
) -> Result<Response> {
    let platform = federation.platform();
    platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let unread = |rejection: FormRejection| Error::new(ErrorCode::SamlResponseInvalid).with_source(rejection);
    let Form(form) = form.map_err(unread)?;
    let provider = provider::Entity::find_by_id(id).one(platform.db.read()).await?;
    let provider = provider.filter(|one| one.kind == Kind::Saml).ok_or(ErrorCode::ProviderNotFound)?;

    // Whether it answers a request decides which way to go; that it does is verified on that way.
    let canonical = document::decode(&form.saml_response).and_then(|xml| document::canonical(&xml));
    let request = canonical.as_ref().map_err(Clone::clone).and_then(|canonical| response::answers(canonical));
    let begun = match (&form.relay_state, &request) {
        (Some(relay_state), Ok(Some(_))) => Some(state::take(&federation, relay_state, &headers).await?),
        (None, Ok(Some(_))) => return Err(ErrorCode::SsoStateInvalid.into()),
        _ => None,
    };
    let begun = begun.as_ref();
    if begun.is_some_and(|begun| begun.provider_id != provider.id) {
        return Err(ErrorCode::SsoStateInvalid.into());
    }
    let is_test = begun.is_some_and(state::Model::is_test);
    if provider.status != Status::Active && !is_test || !provider::lives(platform.db.read(), &provider).await? {
        return Err(ErrorCode::ProviderNotFound.into());
    }
    let judged = match (canonical, request) {
        (Ok(canonical), Ok(request)) => judge(&federation, &provider, canonical, request, begun).await?,
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
    };
    match judged {
        Ok(assertion) => sign_in::arrive(&federation, &provider, assertion, begun, &origin, &headers).await,
        Err(refusal) => {
            let reason = refusal.to_string();
            sign_in::reject(&federation, &provider, begun, refusal.into(), &reason, &origin, &headers).await
        }
    }
}

/// Whether the response is believed, and what it says.
async fn judge(
    federation: &Federation,
    provider: &provider::Model,
    canonical: String,
    request: Option<String>,
    begun: Option<&state::Model>,
) -> Result<Result<Assertion, Refusal>> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let expected = match begun {
        Some(begun) => {
            let secrets = begun.secrets(federation).await?;
            let id = secrets["request_id"].as_str().unwrap_or_default().to_owned();
            if request.as_deref() != Some(id.as_str()) {
                return Ok(Err(Refusal::rejected("it answers a different request than the one of this sign-in")));
            }
            Some(id)
        }
        None if !provider.allow_idp_initiated => {
            return Ok(Err(Refusal::rejected(
                "the provider started the sign-in itself, which is not allowed for it (allow_idp_initiated)",
            )));
        }
        None => None,
    };
    let peer = match parties::peer(provider, now) {
        Ok(peer) => peer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let us = ServiceProvider::of(federation, provider).await?;
    // Parsing and RSA: some milliseconds, which other requests do not wait for.
    let accepted =
        tokio::task::spawn_blocking(move || response::accept(&us, &peer, &canonical, expected.as_deref(), now));
    let said: Said = match accepted.await.map_err(Error::internal)? {
        Ok(said) => said,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let tx = platform.db.begin().await?;
    let once = seen::Kind::Assertion;
    if !seen::is_first(&tx, provider.id, once, &said.assertion_id, said.expires_at).await? {
        return Ok(Err(Refusal::rejected("the assertion was already used")));
    }
    tx.commit().await?;
    Ok(mapping::assertion(provider, said))
}
