//! `GET` and `POST /oauth/userinfo`: who the person is, as far as they let the application know (OpenID Connect Core, 5.3).

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method, header},
    response::IntoResponse,
};
use rivergen_identity::{authenticate::Delegations, user::User};
use rivergen_kernel::{ErrorCode, OrganizationId};
use rivergen_platform::http::{KeyFault, KeyProof, Shown};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Oauth,
    error::{Code, OauthError, OauthErrorBody, Result},
    id_token::PersonClaims,
    scope::Item,
};

pub(crate) fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new().routes(routes!(userinfo)).route("/oauth/userinfo", axum::routing::post(userinfo))
}

/// The person.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserInfo {
    /// The person's id, as text.
    #[schema(examples("42"))]
    pub sub: String,
    #[serde(flatten)]
    pub person: PersonClaims,
    /// The organization for which they let the application know.
    pub org: OrganizationId,
}

/// Tell an application who the person is
#[utoipa::path(get, path = "/oauth/userinfo", tag = "oauth2",
    responses((status = 200, description = "As far as the scopes `profile` and `email` go", body = UserInfo),
        (status = 401, description = "`invalid_token`", body = OauthErrorBody),
        (status = 403, description = "`insufficient_scope`: the token was not granted `openid`", body = OauthErrorBody)))]
pub async fn userinfo(State(oauth): State<Oauth>, method: Method, headers: HeaderMap) -> Result<impl IntoResponse> {
    let platform = oauth.platform();
    let unasked =
        || OauthError { challenge: Some("Bearer"), ..OauthError::new(Code::InvalidToken, "Send an access token.") };
    let shown = Shown::of(&headers).ok_or_else(unasked)?;
    let (Shown::Bearer(token) | Shown::Bound(token)) = shown;
    let inspected = oauth.access.inspect(token, platform.clock.now()).await.map_err(|error| match error.code {
        ErrorCode::UserDisabled => OauthError::new(Code::InvalidToken, "The person no longer exists."),
        _ => error.into(),
    })?;
    match (&inspected.claims.cnf, shown) {
        (None, Shown::Bearer(_)) => {}
        (None, Shown::Bound(_)) => return Err(OauthError::at_resource(&KeyFault::Unbound)),
        (Some(_), Shown::Bearer(_)) => return Err(OauthError::at_resource(&KeyFault::Missing)),
        (Some(cnf), Shown::Bound(_)) => {
            let proof = KeyProof::of(&headers, method.as_str(), "/oauth/userinfo");
            let proved = oauth.access.prove(&cnf.jkt, token, proof).await;
            proved
                .map_err(|error| KeyFault::of(&error).map_or_else(|| error.clone().into(), OauthError::at_resource))?;
        }
    }
    if !inspected.is_for(oauth.issuer()) {
        return Err(OauthError::new(Code::InvalidToken, "The token is for another server."));
    }
    if !inspected.scope.holds(Item::OpenId) {
        let challenge = match shown {
            Shown::Bearer(_) => r#"Bearer error="insufficient_scope", scope="openid""#,
            Shown::Bound(_) => r#"DPoP error="insufficient_scope", scope="openid""#,
        };
        let error = OauthError::new(Code::InsufficientScope, "The token was not granted openid.");
        return Err(OauthError { challenge: Some(challenge), ..error });
    }
    let user = User::find(platform.db.read(), inspected.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let person = PersonClaims::of(&user, &inspected.scope);
    let info = UserInfo { sub: inspected.claims.sub.clone(), person, org: inspected.claims.org };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(info)))
}
