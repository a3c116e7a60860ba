//! `POST /api/v1/sso/token`: the one-time code that the browser brought along, against the tokens of a session in the
//! organization whose provider vouched for the person.
//!
//! Whoever shows a code for the second time has a copy that should not exist, so the session that the first use opened ends
//! (RFC 6749, section 4.1.2).

use axum::{extract::State, http::HeaderMap};
use garde::Validate;
use rivergen_identity::{
    login::{Entrance, FactorRequired, TokenSet, Way, sign_in},
    pending_login::FirstStep,
    session::{EndReason, Federated, Given},
    user::User,
};
use rivergen_kernel::{ErrorCode, OrganizationId, Result, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{FINISH_BY_IP, login, sessions};
use crate::{Federation, provider};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"code": "mVxN3…", "redirect_uri": "https://app.acme.example/signed-in"}))]
pub struct SsoTokenRequest {
    /// From the query of the redirect address; valid for a minute and for one use.
    #[garde(length(min = 1, max = 200))]
    pub code: String,
    /// The address that the code was sent to.
    #[garde(length(min = 1, max = 2000))]
    pub redirect_uri: String,
    /// Asks for the second factor on a trusted device as well: for what needs one that is fresh.
    #[garde(skip)]
    pub ask_second_factor: Option<bool>,
}

/// What a code is exchanged for: tokens, or a temporary token if the person has a second factor here and the provider
/// did not ask for one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SsoAnswer {
    SignedIn(SsoSignedIn),
    FactorRequired(FactorRequired),
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SsoSignedIn {
    #[serde(flatten)]
    pub tokens: TokenSet,
    #[schema(examples(false))]
    pub mfa_required: bool,
    pub user: SsoUser,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SsoUser {
    pub id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub name: String,
    pub organization_id: OrganizationId,
}

errors! { pub ExchangeErrors: InvalidRequest, InvalidCode, UserDisabled, SsoUserNotAllowed, ValidationError, RateLimited; }

/// Exchange the one-time code of a sign-in for the tokens of its session
#[utoipa::path(post, path = "/api/v1/sso/token", tag = "sso", request_body = SsoTokenRequest, security(()),
    params(("x-device-fingerprint" = Option<String>, Header, description = "What the client knows about its device, as JSON"),
        ("x-device-token" = Option<String>, Header, description = "The secret of a trusted device, for clients without cookies")),
    responses((status = 200, description = "Signed in, or what is still needed to sign in", body = Envelope<SsoAnswer>), ExchangeErrors))]
pub async fn exchange_code(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<SsoTokenRequest>,
) -> Result<Reply<SsoAnswer>> {
    let identity = &federation.tenancy.identity;
    let platform = federation.platform();
    platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let (now, db) = (platform.clock.now(), platform.db.read());
    let login = login::find(db, &request.code).await?.ok_or(ErrorCode::InvalidCode)?;
    if login.used_at.is_some() {
        return Err(used_twice(&federation, &login, &origin).await?);
    }
    // A session that is over before it begins is none.
    let is_over = login.session_until.is_some_and(|until| now >= until);
    if now >= login.expires_at || is_over || login.redirect_uri != request.redirect_uri {
        return Err(ErrorCode::InvalidCode.into());
    }
    if provider::active(db, login.provider_id).await?.is_none() {
        return Err(ErrorCode::InvalidCode.into());
    }
    let user = User::find(db, login.user_id).await?.ok_or(ErrorCode::InvalidCode)?;
    if user.account.disabled_at.is_some() {
        return Err(ErrorCode::UserDisabled.into());
    }
    let organization_id = login.organization_id;
    // Suspended or removed since a minute ago.
    if identity.directory.membership(user.id(), organization_id, None).await?.is_none() {
        return Err(ErrorCode::SsoUserNotAllowed.into());
    }
    let step = FirstStep {
        amr: amr(&federation, &login).await?,
        workspace_id: None,
        session_lifetime: identity.settings.session_lifetime,
        federated_by: Some(Federated { organization_id, login_id: login.id, until: login.session_until }),
        given: Given::Elsewhere(login.authenticated_at),
    };
    let way = Way::find(identity, &user, &step, &headers).await?.asking_second_factor(request.ask_second_factor);
    let tx = platform.db.begin().await?;
    if !login.spend(&tx, now).await? {
        drop(tx);
        return Err(used_twice(&federation, &login, &origin).await?);
    }
    let details = json!({"method": "sso", "provider_id": login.provider_id, "organization_id": organization_id});
    let entrance = sign_in(identity, &tx, &user, step, way, details, &origin).await?;
    tx.commit().await?;
    let message = "Signed in.";
    Ok(match entrance {
        Entrance::FactorRequired(required) => {
            let message = required.message;
            Reply::ok(SsoAnswer::FactorRequired(required), message)
        }
        Entrance::Open(tokens) => {
            let user =
                SsoUser { id: user.id(), email: user.email.email, name: user.account.display_name, organization_id };
            Reply::ok(SsoAnswer::SignedIn(SsoSignedIn { tokens, mfa_required: false, user, message }), message)
        }
    })
}

/// How the person proved who they are. A second factor of the provider's counts where no other organization of theirs asks for
/// one: an organization speaks for its own doors alone.
async fn amr(federation: &Federation, login: &login::Model) -> Result<&'static str> {
    let asked = federation.tenancy.identity.directory.security(login.user_id).await?;
    let mut others = asked.mfa_required_by().filter(|organization| *organization != login.organization_id);
    Ok(if login.second_factor && others.next().is_none() { "fed mfa" } else { "fed" })
}

/// Ends what the code opened, and answers as for a code that never was.
async fn used_twice(
    federation: &Federation,
    login: &login::Model,
    origin: &RequestOrigin,
) -> Result<rivergen_kernel::Error> {
    let platform = federation.platform();
    let tx = platform.db.begin().await?;
    let ended = sessions::end_logins(federation, &tx, &[login.id], EndReason::Revoked).await?;
    let record = AuditRecord::new(Some(login.organization_id), origin.anonymous(), "sso.code_reuse")
        .target("user", login.user_id.0)
        .outcome(Outcome::Failure)
        .details(json!({"provider_id": login.provider_id, "sessions_ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(ErrorCode::InvalidCode.into())
}
