//! `POST /api/v1/organizations/{org_id}/domains/{domain_id}/mail` and `…/mail/verify`: for who cannot change the DNS of a
//! domain. A code goes to one of the mailboxes that a domain keeps for whoever runs it; who brings it back has proved the
//! domain.
//!
//! A record says so every day, and a mail says it once. So what a code proves ends after a year, and gives way at once to
//! an organization that publishes the record ([`super::verify`]).

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DomainId, ErrorCode, OrganizationId, Permission, Result, Token};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
    mail::{self, MailTemplate},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Domain, DomainAnswer, Model, find,
    verify::{Evidence, VERIFICATIONS, settle},
};
use crate::{Tenancy, organization};

/// How long a code is good.
const CODE_LIFETIME: chrono::Duration = chrono::Duration::hours(24);

/// Mails to the mailboxes of one domain, whoever claims it.
const MAILS: Rule = Rule::new("domain_mails", 5, Duration::from_secs(24 * 3600));

/// The mailboxes of a domain's administrators (the constructed addresses of the CA/Browser Forum's Baseline
/// Requirements, section 3.2.2.4.4): no mail provider gives them to anyone else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DomainMailbox)]
pub enum Mailbox {
    Admin,
    Administrator,
    Hostmaster,
    Postmaster,
    Webmaster,
}

impl Mailbox {
    fn of(self, domain: &str) -> String {
        let name = match self {
            Self::Admin => "admin",
            Self::Administrator => "administrator",
            Self::Hostmaster => "hostmaster",
            Self::Postmaster => "postmaster",
            Self::Webmaster => "webmaster",
        };
        format!("{name}@{domain}")
    }
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"mailbox": "postmaster"}))]
pub struct MailDomainRequest {
    #[schema(inline)]
    pub mailbox: Mailbox,
}

/// Where the code was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct DomainMailed {
    #[schema(examples("postmaster@acme.example"))]
    pub sent_to: String,
    /// Seconds.
    #[schema(examples(86400))]
    pub expires_in: i64,
    pub message: &'static str,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "Jx3…"}))]
pub struct VerifyDomainByMailRequest {
    /// As it was mailed last.
    #[garde(length(min = 1, max = 200))]
    pub code: String,
}

errors! {
    pub MailErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, DomainNotFound, ValidationError, RateLimited;
    pub MailedErrors: InvalidRequest, InvalidCode, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, DomainNotFound, DomainTaken, ValidationError, RateLimited;
}

/// Send a code to a mail domain's administrator
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/domains/{domain_id}/mail", tag = "organizations", request_body = MailDomainRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("domain_id" = DomainId, Path, description = "The domain")),
    responses((status = 200, description = "On its way; earlier codes no longer work", body = Envelope<DomainMailed>), MailErrors))]
pub async fn mail_domain_code(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, domain_id)): Path<(OrganizationId, DomainId)>,
    Json(request): Json<MailDomainRequest>,
) -> Result<Reply<DomainMailed>> {
    let platform = &tenancy.identity.platform;
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::OrganizationUpdate)?;
    let claim = find(platform.db.read(), tenant, domain_id).await?;
    platform.limits.check(&VERIFICATIONS, &org_id.to_string())?;
    platform.limits.check(&MAILS, &claim.domain)?;

    let (now, code) = (platform.clock.now(), Token::random(&mut rand::rng()));
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = find(tx.conn(), tenant, domain_id).await?;
    let found = organization::Entity::find_by_id(org_id).one(tx.conn()).await?.ok_or(ErrorCode::OrgNotFound)?;
    let sent_to = request.mailbox.of(&row.domain);
    let letter = letter(&row.domain, &found.name, &caller.email, &code);
    mail::send(platform, &tx, letter.into_mail("tenancy.domain_code", &sent_to)).await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "domain.mail")
        .target("domain", row.id.0)
        .details(json!({"domain": row.domain, "sent_to": sent_to}));
    let mut row = row.into_active_model();
    row.mail_code_hash = Set(Some(code.hash()));
    row.mail_code_expires_at = Set(Some(now + CODE_LIFETIME));
    row.update(tx.conn()).await?;
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The code is on its way.";
    Ok(Reply::ok(DomainMailed { sent_to, expires_in: CODE_LIFETIME.num_seconds(), message }, message))
}

fn letter(domain: &str, organization: &str, by: &str, code: &Token) -> MailTemplate {
    MailTemplate::new(format!("Your code to verify {domain}"))
        .paragraph(format!(
            "{by} says that {domain} belongs to the organization {organization}. Whoever enters this code there \
             confirms it: from then on, the organization decides how people with addresses in the domain sign in."
        ))
        .paragraph(format!("The code is {}", code.expose()))
        .footer(format!(
            "If you do not know {by}, do not give the code to anyone: nothing happens without it. You are receiving \
             this e-mail because you administer {domain}."
        ))
}

/// Verify a mail domain with the code sent to its administrator
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/domains/{domain_id}/mail/verify", tag = "organizations", request_body = VerifyDomainByMailRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("domain_id" = DomainId, Path, description = "The domain")),
    responses((status = 200, description = "Verified for a year, unless another organization publishes its record", body = Envelope<DomainAnswer>), MailedErrors))]
pub async fn verify_domain_by_mail(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, domain_id)): Path<(OrganizationId, DomainId)>,
    Json(request): Json<VerifyDomainByMailRequest>,
) -> Result<Reply<DomainAnswer>> {
    let platform = &tenancy.identity.platform;
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationUpdate)?;
    platform.limits.check(&VERIFICATIONS, &org_id.to_string())?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = find(tx.conn(), tenant, domain_id).await?;
    if !row.was_mailed(&request.code, platform.clock.now()) {
        return Err(ErrorCode::InvalidCode.into());
    }
    let row = settle(platform, &tx, row, Evidence::Mail, origin.actor(caller.user_id)).await?;
    tx.commit().await?;
    let message = "The domain is verified.";
    Ok(Reply::ok(DomainAnswer { domain: Domain::from(row), message }, message))
}

impl Model {
    /// Whether this is the code that went out last, while it is good.
    fn was_mailed(&self, code: &str, now: DateTime<Utc>) -> bool {
        let is_good = self.mail_code_expires_at.is_some_and(|end| now < end);
        is_good && self.mail_code_hash.as_ref().is_some_and(|hash| hash.matches(code))
    }
}
