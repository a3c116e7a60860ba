//! `GET` and `POST /api/v1/sso/saml/slo/{provider_id}`: single logout (SAML 2.0 Profiles, section 4.4).
//!
//! ```text
//! the provider: LogoutRequest ─▶ what it opened here ends ─▶ LogoutResponse, to the provider
//! this server: sso/logout ─▶ LogoutRequest ─▶ the provider ─▶ LogoutResponse ─▶ back to where the browser came from
//! ```
//!
//! Messages of the provider must be signed, whichever way they come, and addressed to this very place; a request is taken once,
//! and while it is young. Ours are always signed. By the time a response comes, the session here has ended long ago: nothing
//! but the way back depends on it.

use axum::{
    extract::{Form, RawQuery, State, rejection::FormRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, SsoProviderId, Token, TokenHash};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord, Outcome},
    db::is_foreign_key_violation,
    errors,
    http::{Envelope, Path, Reply, RequestOrigin},
};
use saml_rs::{
    BrowserInput, FormField, IdpDescriptor, LogoutBinding, LogoutResponse, LogoutSubject, NameId, PendingLogoutRequest,
    PendingSnapshot, Received, RelayStateParam, RespondSlo, Saml, SessionIndex, Sp, StartSlo,
};
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Refusal, document,
    parties::{self, SKEW, ServiceProvider},
};
use crate::{
    Federation,
    provider::{self, Kind},
    sign_in::{FINISH_BY_IP, bounded, login, seen, sessions},
};

/// How old a request of a provider may be, where it does not say itself how long it is good.
const OLDEST: Duration = Duration::minutes(10);
/// How long the browser may be at the provider.
const AWAY: Duration = Duration::minutes(10);

/// A logout on its way through the provider. Index: saml_logouts(state_hash), unique; (expires_at).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saml_logouts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub provider_id: SsoProviderId,
    /// Of the RelayState.
    pub state_hash: TokenHash,
    pub request_id: String,
    /// Where the browser goes in the end.
    pub back: String,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Throws away those that did not come back. Index: saml_logouts(expires_at).
pub(crate) async fn forget(tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
    Entity::delete_many().filter(Column::ExpiresAt.lt(now)).exec(tx.conn()).await?;
    Ok(())
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"SAMLRequest": "PHNhbWxwOkxvZ291dFJlcXVlc3Q…"}))]
pub struct SamlLogoutForm {
    /// A LogoutRequest of the provider's, in base64; or
    #[serde(rename = "SAMLRequest")]
    saml_request: Option<String>,
    /// its LogoutResponse.
    #[serde(rename = "SAMLResponse")]
    saml_response: Option<String>,
    #[serde(rename = "RelayState")]
    relay_state: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SamlLoggedOut {
    /// Sessions that were live.
    #[schema(examples(1))]
    pub sessions_ended: u64,
    pub message: &'static str,
}

errors! { pub SloErrors: SsoStateInvalid, SamlResponseInvalid, SamlAssertionRejected, ProviderNotFound, RateLimited; }

/// Handle a logout message that the provider sends by redirect
#[utoipa::path(get, path = "/api/v1/sso/saml/slo/{provider_id}", tag = "sso", security(()),
    params(("provider_id" = SsoProviderId, Path, description = "The provider"),
        ("SAMLRequest" = Option<String>, Query, description = "A LogoutRequest, deflated, in base64; or"),
        ("SAMLResponse" = Option<String>, Query, description = "a LogoutResponse"),
        ("RelayState" = Option<String>, Query), ("SigAlg" = Option<String>, Query), ("Signature" = Option<String>, Query)),
    responses((status = 200, description = "The sessions have ended; the provider has no address for an answer", body = Envelope<SamlLoggedOut>),
        (status = 302, description = "Back to the provider with the answer or, if it was the provider that answered, to where the sign-out started"), SloErrors))]
pub async fn saml_logout(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    Path(id): Path<SsoProviderId>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let query = query.unwrap_or_default();
    let named = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let way = Way::Redirect { algorithm: named("SigAlg").unwrap_or_default(), query: query.clone() };
    let message = Message {
        request: named("SAMLRequest").is_some(),
        response: named("SAMLResponse").is_some(),
        relay_state: named("RelayState"),
        way,
    };
    take(&federation, id, message, &origin).await
}

/// Handle a logout message that the provider's page posts
#[utoipa::path(post, path = "/api/v1/sso/saml/slo/{provider_id}", tag = "sso", security(()),
    params(("provider_id" = SsoProviderId, Path, description = "The provider")),
    request_body(content = SamlLogoutForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The sessions have ended; the provider has no address for an answer", body = Envelope<SamlLoggedOut>),
        (status = 302, description = "Back to the provider with the answer or, if it was the provider that answered, to where the sign-out started"), SloErrors))]
pub async fn saml_logout_form(
    State(federation): State<Federation>,
    origin: RequestOrigin,
    Path(id): Path<SsoProviderId>,
    form: Result<Form<SamlLogoutForm>, FormRejection>,
) -> Result<Response> {
    let unread = |rejection: FormRejection| Error::new(ErrorCode::SamlResponseInvalid).with_source(rejection);
    let Form(form) = form.map_err(unread)?;
    let message = Message {
        request: form.saml_request.is_some(),
        response: form.saml_response.is_some(),
        relay_state: form.relay_state,
        way: Way::Post { base64: form.saml_request.or(form.saml_response).unwrap_or_default() },
    };
    take(&federation, id, message, &origin).await
}

/// A message as it came.
struct Message {
    request: bool,
    response: bool,
    relay_state: Option<String>,
    way: Way,
}

enum Way {
    /// Signed as a whole, beside it.
    Redirect { query: String, algorithm: String },
    /// Signed inside.
    Post { base64: String },
}

impl Message {
    /// What the library takes, after our own rules; and which way it came.
    fn input<M>(
        self,
        name: &'static str,
        parameter: &'static str,
        redirect: impl FnOnce(String) -> BrowserInput<M>,
        post: impl FnOnce(Vec<FormField>) -> BrowserInput<M>,
    ) -> Result<BrowserInput<M>, Refusal> {
        match self.way {
            // The signature covers all that is read, so there is nothing to wrap.
            Way::Redirect { query, algorithm } if document::is_trusted_signature(&algorithm) => Ok(redirect(query)),
            Way::Redirect { algorithm, .. } => {
                let shown: String = algorithm.chars().take(100).collect();
                Err(Refusal::rejected(format!("the {name} is not signed, or in a way that is not trusted: {shown}")))
            }
            Way::Post { base64 } => {
                let canonical = document::canonical(&document::decode(&base64)?)?;
                document::logout(&canonical, name)?;
                let mut fields = vec![FormField::new(parameter, STANDARD.encode(canonical))];
                fields.extend(self.relay_state.map(|state| FormField::new("RelayState", state)));
                Ok(post(fields))
            }
        }
    }
}

async fn take(
    federation: &Federation,
    id: SsoProviderId,
    message: Message,
    origin: &RequestOrigin,
) -> Result<Response> {
    let platform = federation.platform();
    platform.limits.check(&FINISH_BY_IP, &origin.limit_key())?;
    let provider = provider::active(platform.db.read(), id).await?.filter(|provider| provider.kind == Kind::Saml);
    let provider = provider.ok_or(ErrorCode::ProviderNotFound)?;
    let taken = match (message.request, message.response) {
        (true, false) => requested(federation, &provider, message).await?,
        (false, true) => return answered(federation, &provider, message).await,
        _ => Err(Refusal::unreadable("it is neither a LogoutRequest nor a LogoutResponse")),
    };
    match taken {
        Ok(response) => Ok(response),
        Err(refusal) => {
            let tx = platform.db.begin().await?;
            let record = AuditRecord::new(Some(provider.organization_id), origin.anonymous(), "sso.logout")
                .target("sso_provider", provider.id.0)
                .outcome(Outcome::Failure)
                .details(json!({"by": "provider", "reason": bounded(&refusal.to_string())}));
            audit::record(&tx, &platform.clock, record).await?;
            tx.commit().await?;
            Err(refusal.into())
        }
    }
}

/// The provider ends its sessions.
async fn requested(
    federation: &Federation,
    provider: &provider::Model,
    message: Message,
) -> Result<Result<Response, Refusal>> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let us = ServiceProvider::of(federation, provider).await?;
    let Accepted { sp, peer, received, end, subject } = match accept(&us, provider, message, now) {
        Ok(accepted) => accepted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let request = received.message();
    let tx = platform.db.begin().await?;
    if !seen::is_first(&tx, provider.id, seen::Kind::LogoutRequest, request.id().as_str(), end).await? {
        return Ok(Err(Refusal::rejected("the LogoutRequest was already used")));
    }
    let indexes: Vec<&str> = request.session_indexes().iter().map(SessionIndex::as_str).collect();
    let sessions_ended = sessions::end(federation, tx, provider, subject.as_deref(), &indexes).await?;
    if provider.slo_url.is_none() {
        let message = "The sessions have ended.";
        return Ok(Ok(Reply::ok(SamlLoggedOut { sessions_ended, message }, message).into_response()));
    }
    let answer = sp.respond_slo(&peer, &received, RespondSlo::redirect().allow_http_single_logout());
    let answer = answer.map_err(parties::ours)?;
    go(answer.redirect_url().map_err(parties::ours)?).map(Ok)
}

/// A request that is believed.
struct Accepted {
    sp: Saml<Sp>,
    peer: IdpDescriptor,
    received: Received<saml_rs::LogoutRequest>,
    /// Until when it could be sent again.
    end: DateTime<Utc>,
    /// Whom it names, where that is the name that is kept of them.
    subject: Option<String>,
}

/// Verifies a request, all but that it comes for the first time.
fn accept(
    us: &ServiceProvider,
    provider: &provider::Model,
    message: Message,
    now: DateTime<Utc>,
) -> Result<Accepted, Refusal> {
    let input = message.input(
        "LogoutRequest",
        "SAMLRequest",
        BrowserInput::<saml_rs::LogoutRequest>::redirect,
        BrowserInput::<saml_rs::LogoutRequest>::post,
    )?;
    let (sp, peer) = (us.acting(now, None)?, parties::peer(provider, now)?);
    let received = sp.receive_slo(&peer, input, parties::at(now))?;
    let end = end_of(&received, now)?;
    let request = received.message();
    // Where people are named by an attribute, the NameID is not the name that is kept; the session is.
    let is_renamed = provider.mapping().contains_key("subject");
    if is_renamed && request.session_indexes().is_empty() {
        return Err(Refusal::rejected(
            "people are identified by an attribute here, and the LogoutRequest names no session",
        ));
    }
    let name_id = request.name_id().map(|name_id| name_id.value().trim().to_owned());
    let name_id = name_id.ok_or_else(|| Refusal::rejected("the LogoutRequest names nobody in plain text"))?;
    Ok(Accepted { sp, peer, end, subject: (!is_renamed).then_some(name_id), received })
}

/// Until when the request could be sent again.
fn end_of(received: &Received<saml_rs::LogoutRequest>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let read = |text: &str| {
        let read = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        read.map_err(|_| Refusal::rejected("the LogoutRequest has an invalid time"))
    };
    let issued = read(received.message().issue_instant().as_str())?;
    let end = issued + OLDEST;
    if issued > now + SKEW || end + SKEW < now {
        return Err(Refusal::rejected(
            "the LogoutRequest is too old, or from the future: check the clocks of both servers",
        ));
    }
    Ok(end + SKEW)
}

/// The address at the provider that ends its session; `None` where it has none, or does not know the person by a name.
pub(super) async fn begin(
    federation: &Federation,
    provider: &provider::Model,
    login: &login::Model,
    back: &str,
) -> Result<Option<String>> {
    if provider.slo_url.is_none() {
        return Ok(None);
    }
    let Some(hint) = login.logout_hint(federation).await? else { return Ok(None) };
    let (name_id, format): (String, String) = serde_json::from_str(hint.expose()).map_err(Error::internal)?;
    let platform = federation.platform();
    let now = platform.clock.now();
    let Ok(peer) = parties::peer(provider, now) else { return Ok(None) };
    let us = ServiceProvider::of(federation, provider).await?;
    let sp = us.naming(now, &format).map_err(parties::ours)?;
    let index = login.idp_session.as_deref().map(SessionIndex::try_new).transpose().map_err(parties::ours)?;
    let subject = LogoutSubject::new(NameId::new(name_id, None), index.into_iter().collect());
    let state = Token::random(&mut rand::rng());
    let relay_state = RelayStateParam::try_from_option(Some(state.expose())).map_err(parties::ours)?;
    let started = sp
        .start_slo(&peer, subject, StartSlo::redirect().relay_state(relay_state).allow_http_single_logout())
        .map_err(parties::ours)?;
    let tx = platform.db.begin().await?;
    let row = ActiveModel {
        provider_id: Set(provider.id),
        state_hash: Set(state.hash()),
        request_id: Set(started.pending.id().as_str().to_owned()),
        back: Set(back.to_owned()),
        expires_at: Set(now + AWAY),
        ..Default::default()
    };
    let kept = Entity::insert(row).exec_without_returning(tx.conn()).await;
    if kept.as_ref().is_err_and(is_foreign_key_violation) {
        // The provider was removed at this moment.
        return Ok(None);
    }
    kept?;
    tx.commit().await?;
    Ok(Some(started.outbound.redirect_url().map_err(parties::ours)?.to_owned()))
}

/// The provider has ended its session: the browser goes on.
async fn answered(federation: &Federation, provider: &provider::Model, message: Message) -> Result<Response> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let state = message.relay_state.clone().ok_or(ErrorCode::SsoStateInvalid)?;
    let found = Entity::find().filter(Column::StateHash.eq(TokenHash::of(&state))).one(platform.db.read()).await?;
    let begun = found.filter(|row| row.provider_id == provider.id && now < row.expires_at);
    let begun = begun.ok_or(ErrorCode::SsoStateInvalid)?;
    let us = ServiceProvider::of(federation, provider).await?;
    let binding = match message.way {
        Way::Redirect { .. } => LogoutBinding::Redirect,
        Way::Post { .. } => LogoutBinding::Post,
    };
    let finished = || -> Result<(), Refusal> {
        let input = message.input(
            "LogoutResponse",
            "SAMLResponse",
            BrowserInput::<LogoutResponse>::redirect,
            BrowserInput::<LogoutResponse>::post,
        )?;
        let peer = parties::peer(provider, now)?;
        let relay_state = RelayStateParam::try_from_option(Some(state))?;
        let entity_id = peer.entity_id().as_str();
        let pending = PendingSnapshot::logout_request(&begun.request_id, relay_state, entity_id, binding);
        let pending = PendingLogoutRequest::from_snapshot(pending)?;
        us.acting(now, None)?.finish_slo(&peer, &pending, input, parties::at(now))?;
        Ok(())
    };
    finished()?;
    let tx = platform.db.begin().await?;
    Entity::delete_by_id(begun.id).exec(tx.conn()).await?;
    tx.commit().await?;
    go(&begun.back)
}

fn go(address: &str) -> Result<Response> {
    let location = HeaderValue::from_str(address).map_err(Error::internal)?;
    let no_store = HeaderValue::from_static("no-store");
    Ok((StatusCode::FOUND, [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)]).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::testing::{ENTITY_ID, Signer, a_signing_provider, now, us};

    /// What an honest provider asks for.
    struct Asked {
        issuer: &'static str,
        destination: Option<String>,
        issued: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    }

    impl Default for Asked {
        fn default() -> Self {
            Self { issuer: ENTITY_ID, destination: Some(us().addresses.slo_url), issued: now(), until: None }
        }
    }

    impl Asked {
        fn xml(&self) -> String {
            let time = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            let destination = self.destination.as_ref().map(|to| format!(r#" Destination="{to}""#)).unwrap_or_default();
            let until = self.until.map(|until| format!(r#" NotOnOrAfter="{}""#, time(until))).unwrap_or_default();
            let (issuer, issued) = (self.issuer, time(self.issued));
            format!(
                r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_logout" Version="2.0" IssueInstant="{issued}"{destination}{until}><saml:Issuer>{issuer}</saml:Issuer><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">ada</saml:NameID><samlp:SessionIndex>_session</samlp:SessionIndex></samlp:LogoutRequest>"#
            )
        }

        fn signed(&self) -> String {
            Signer::of_provider().sign(&self.xml(), true)
        }
    }

    /// What becomes of a request that is posted.
    fn posted(xml: &str) -> Result<Accepted, Refusal> {
        let way = Way::Post { base64: STANDARD.encode(xml) };
        let message = Message { request: true, response: false, relay_state: None, way };
        accept(&us(), &a_signing_provider(), message, now())
    }

    #[track_caller]
    fn refused(xml: &str, reason: &str) {
        let refusal = posted(xml).err().unwrap_or_else(|| panic!("believed: {xml}"));
        assert!(refusal.to_string().contains(reason), "refused because {refusal}, and not because {reason}");
    }

    #[test]
    fn an_honest_request_is_believed() {
        for until in [None, Some(now() + Duration::minutes(1))] {
            let accepted = posted(&Asked { until, ..Asked::default() }.signed()).unwrap();
            assert_eq!(accepted.subject.as_deref(), Some("ada"));
            assert_eq!(accepted.received.message().session_indexes()[0].as_str(), "_session");
            assert_eq!(accepted.end, now() + OLDEST + SKEW);
        }
    }

    #[test]
    fn a_posted_request_is_signed_by_the_provider_or_ends_nothing() {
        let asked = Asked::default();
        refused(&asked.xml(), "the LogoutRequest is not signed");
        // By another key, be it that of another organization's provider; with its certificate, or with ours claimed.
        let (another, own) = (Signer::of_another(), Signer::of_provider());
        let by_another = another.sign(&asked.xml(), true);
        refused(&by_another, "certificate that is not among those of this provider");
        refused(&by_another.replace(&another.certificate, &own.certificate), "signature does not match");
        // Changed after it was signed.
        refused(&asked.signed().replace(">ada<", ">root<"), "signature does not match");
        let issuer = Asked { issuer: "https://idp.globex.example/metadata", ..Asked::default() };
        refused(&issuer.signed(), "it is issued by https://idp.globex.example/metadata");
    }

    #[test]
    fn a_request_that_wraps_another_is_refused() {
        let signed = Asked::default().signed();
        let evil = Asked::default().xml().replace("_logout", "_evil").replace(">ada<", ">root<");
        let extension = format!("<samlp:Extensions>{signed}</samlp:Extensions><saml:NameID");
        refused(&evil.replacen("<saml:NameID", &extension, 1), "the LogoutRequest has another in it");
        refused("<x/>", "a LogoutRequest was expected");
    }

    #[test]
    fn a_request_is_for_this_place() {
        let elsewhere = |to: Option<&str>| Asked { destination: to.map(str::to_owned), ..Asked::default() }.signed();
        refused(&elsewhere(Some("https://other.example/slo")), "it is addressed to https://other.example/slo");
        // The same provider asks at another organization's.
        let next = us().addresses.slo_url.replace("/slo/7", "/slo/8");
        refused(&elsewhere(Some(&next)), "it is addressed to");
        refused(&elsewhere(None), "it is addressed to nothing");
    }

    #[test]
    fn a_request_is_of_now() {
        let of = |issued, until| Asked { issued, until, ..Asked::default() }.signed();
        let (now, minute) = (now(), Duration::minutes(1));
        assert!(posted(&of(now - minute * 11, None)).is_ok());
        refused(&of(now - minute * 12, None), "too old, or from the future");
        refused(&of(now + minute * 2, None), "too old, or from the future");
        // The provider's own limit is kept where it is narrower.
        refused(&of(now - minute * 5, Some(now - minute * 2)), "it has expired");
    }
}
