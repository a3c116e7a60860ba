//! `POST /api/v1/sso/providers/{provider_id}/test`: checks a provider's configuration without signing anyone in, and says in
//! plain words what is wrong.

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_identity::oidc::{Discovered, Failure, is_by_key};
use rivergen_kernel::{Permission, Result, SsoProviderId, Token};
use rivergen_platform::{
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
    net,
};
use rivergen_tenancy::standing::Standing;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Column, Entity, Kind, Model};
use crate::{Federation, oidc, saml, sign_in::protocol::Asking};

/// Tests of one provider: each asks it.
const TESTS: Rule = Rule::new("sso_provider_tests", 10, Duration::from_secs(600));
/// How long the sign-in address may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a part of a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestOutcome {
    Success,
    Failed,
    /// Not tried, because what it stands on failed.
    Skipped,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderTestResults {
    /// Whether the provider answers, and is who it should be.
    pub connection: TestOutcome,
    /// Whether a sign-in can start, and its answer could be checked.
    pub authentication_flow: TestOutcome,
    /// What is wrong, in words.
    #[schema(examples(json!(["The certificate expired on 2025-11-03."])))]
    pub errors: Vec<String>,
    /// The attributes that it can send about people, by its own names, if its document lists them: for the attribute
    /// mapping.
    #[schema(examples(json!(["email", "groups"])))]
    pub claims: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderTested {
    pub test_results: ProviderTestResults,
    pub message: &'static str,
}

errors! { pub TestErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ProviderNotFound, RateLimited; }

/// Check a provider's configuration without signing anyone in
#[utoipa::path(post, path = "/api/v1/sso/providers/{provider_id}/test", tag = "sso",
    params(("provider_id" = SsoProviderId, Path, description = "A provider of the session's organization")),
    responses((status = 200, description = "What was found, good or bad", body = Envelope<ProviderTested>), TestErrors))]
pub async fn test_provider(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SsoProviderId>,
) -> Result<Reply<ProviderTested>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    let provider = super::find(platform.db.read(), tenant, id).await?;
    platform.limits.check(&TESTS, &id.to_string())?;
    let mut test_results = match provider.kind {
        Kind::Oidc => of_oidc(&federation, &provider).await,
        Kind::Saml => of_saml(&federation, &provider).await,
    };
    let now = platform.clock.now();
    if !has_voucher(platform.db.read(), &provider, now).await? {
        test_results.add(
            "The person who last changed the trusted settings of this provider is no longer an active member, so \
             administrators cannot sign in through it: an owner must save it once.",
        );
    }
    let succeeded = test_results.errors.is_empty();
    let tx = platform.db.begin().await?;
    // Not of settings that were changed meanwhile.
    Entity::update_many()
        .col_expr(Column::LastTestedAt, Expr::value(now))
        .col_expr(Column::LastTestSucceeded, Expr::value(succeeded))
        .filter(Column::Id.eq(id))
        .filter(Column::UpdatedAt.eq(provider.updated_at))
        .exec(tx.conn())
        .await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "sso_provider.test")
        .target("sso_provider", id.0)
        .outcome(if succeeded { Outcome::Success } else { Outcome::Failure })
        .details(json!({"errors": test_results.errors}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = if succeeded { "No problems were found." } else { "Problems were found: see the errors." };
    Ok(Reply::ok(ProviderTested { test_results, message }, message))
}

impl ProviderTestResults {
    fn unreachable(error: String) -> Self {
        Self {
            connection: TestOutcome::Failed,
            authentication_flow: TestOutcome::Skipped,
            errors: vec![error],
            claims: Vec::new(),
        }
    }

    fn reached(errors: Vec<String>) -> Self {
        let authentication_flow = if errors.is_empty() { TestOutcome::Success } else { TestOutcome::Failed };
        Self { connection: TestOutcome::Success, authentication_flow, errors, claims: Vec::new() }
    }

    /// What is wrong on this side, whatever the provider answers.
    fn add(&mut self, error: &str) {
        if self.authentication_flow == TestOutcome::Success {
            self.authentication_flow = TestOutcome::Failed;
        }
        self.errors.push(error.to_owned());
    }
}

/// Whether whoever last changed what is trusted of the provider is a member still: who holds more than they do does not come in
/// by it.
async fn has_voucher(db: &impl ConnectionTrait, provider: &Model, now: DateTime<Utc>) -> Result<bool> {
    let standing = Standing::load(db, provider.organization_id, provider.vouched_by_user_id).await?;
    Ok(standing.and_then(|standing| standing.membership(None, now)).is_some())
}

/// The discovery document is there and names its issuer, its keys can check signatures, and a sign-in can begin.
async fn of_oidc(federation: &Federation, provider: &Model) -> ProviderTestResults {
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let discovered = match oidc::discover(federation, issuer).await {
        Ok(discovered) => discovered,
        Err(failure) => return ProviderTestResults::unreachable(not_discovered(issuer, &failure)),
    };
    let mut errors = of_document(federation, provider, &discovered);
    let state = Token::random(&mut rand::rng());
    if errors.is_empty()
        && let Err(failure) = oidc::begin(federation, provider, &discovered, &state, Asking::default()).await
    {
        errors.push(format!("A sign-in cannot begin: {}.", failure.text()));
    }
    ProviderTestResults { claims: oidc::offered(&discovered.metadata), ..ProviderTestResults::reached(errors) }
}

fn not_discovered(issuer: &str, failure: &Failure) -> String {
    let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    match failure.is_unreachable() {
        true => format!("{document} cannot be reached: {}.", failure.text()),
        false => format!("{document} is not the document of this issuer: {}.", failure.text()),
    }
}

fn of_document(federation: &Federation, provider: &Model, discovered: &Discovered) -> Vec<String> {
    let metadata = &discovered.metadata;
    let mut errors = Vec::new();
    if let Err(failure) = oidc::refuse_open_endpoints(federation, discovered) {
        errors.push(format!("The document cannot be used: {}.", failure.text()));
    }
    if metadata.token_endpoint().is_none() {
        errors
            .push("The provider has no token endpoint, so it does not support the authorization code flow.".to_owned());
    }
    if !metadata.id_token_signing_alg_values_supported().iter().any(is_by_key) {
        errors.push(
            "The provider does not publish the public half of any key that its ID tokens are signed with.".to_owned(),
        );
    }
    if metadata.jwks().keys().is_empty() {
        errors.push("The provider publishes no keys, so its ID tokens cannot be checked.".to_owned());
    }
    if let Some(known) = metadata.scopes_supported() {
        let is_unknown = |scope: &String| !known.iter().any(|known| known.as_str() == scope);
        let unknown: Vec<String> = provider.scopes().into_iter().filter(is_unknown).collect();
        if !unknown.is_empty() {
            errors.push(format!("The provider does not support the scopes {}.", unknown.join(", ")));
        }
    }
    errors
}

/// A sign-in can begin, what comes back could be checked, and the sign-in address answers.
async fn of_saml(federation: &Federation, provider: &Model) -> ProviderTestResults {
    let errors = saml::diagnose(federation, provider).await;
    if let Err(error) = answers(federation, provider.sso_url.as_deref().unwrap_or_default()).await {
        return ProviderTestResults {
            errors: std::iter::once(error).chain(errors).collect(),
            ..ProviderTestResults::unreachable(String::new())
        };
    }
    ProviderTestResults::reached(errors)
}

/// Whether anything answers at the address where sign-ins begin; what it answers to an empty request says nothing.
async fn answers(federation: &Federation, address: &str) -> Result<(), String> {
    let http = federation.platform().outbound.http_without_redirects();
    match http.get(address).timeout(PATIENCE).send().await {
        Ok(response) if response.status().is_server_error() => {
            Err(format!("The sign-in address {address} answers {}.", response.status()))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let reason = match net::blocked(&error) {
                Some(blocked) => blocked.to_string(),
                None if error.is_timeout() => "it does not answer in time".to_owned(),
                None => "there is no connection".to_owned(),
            };
            Err(format!("The sign-in address {address} cannot be reached: {reason}."))
        }
    }
}
