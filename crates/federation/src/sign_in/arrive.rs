//! What happens to somebody whom a provider has named: the one place where an [`Assertion`] becomes a member.
//!
//! Whoever may come in is sent on with a one-time code, never with tokens. Whoever may not is told no more than that: the
//! audit log says why. A browser is sent to the redirect address with `error`; a program reads the error itself.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use rivergen_identity::user::{NewUser, User, default_display_name};
use rivergen_kernel::{Error, ErrorCode, Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, Actor, AuditRecord, Outcome},
    db::{is_unique_violation, refers_to_what_is_gone},
    http::{RequestOrigin, preferred},
};
use rivergen_tenancy::{
    member::{NewMember, Source},
    organization,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde_json::json;
use url::Url;

use super::{
    Assertion,
    admission::{self, Account, Admission, Refusal},
    attributes, login, mails, rehearsal,
    roles::{self, Plan},
    state,
};
use crate::{
    Federation,
    provider::{self, Kind, Status, identity},
};

/// What the audit log calls it.
const ACTION: &str = "sso.sign_in";

/// Lets somebody in whom the provider has named, or refuses them. `begun` is the sign-in that they come back from, already
/// taken; `None` where the provider began it.
pub async fn arrive(
    federation: &Federation,
    provider: &provider::Model,
    assertion: Assertion,
    begun: Option<&state::Model>,
    origin: &RequestOrigin,
    headers: &HeaderMap,
) -> Result<Response> {
    if begun.is_some_and(state::Model::is_test) {
        let shown = rehearsal::show(federation, provider, &assertion).await?;
        return leave(federation, begun, shown.into_response());
    }
    let (db, now) = (federation.platform().db.read(), federation.platform().clock.now());
    let asked = match begun {
        Some(begun) => begun.asked_anew(federation).await?,
        None => None,
    };
    if let Some(asked) = asked
        && let Err(refusal) = admission::hold_to(db, provider, &assertion, asked).await?
    {
        return refuse(federation, provider, &assertion, refusal, begun, origin, headers).await;
    }
    // Another request for the same person may be first once; then this one finds what it made.
    for attempt in [1, 2] {
        let admission = match admission::decide(db, provider, &assertion, now).await? {
            Ok(admission) if provider.status == Status::Active => admission,
            Ok(_) => {
                return refuse(federation, provider, &assertion, Refusal::ProviderInactive, begun, origin, headers)
                    .await;
            }
            Err(refusal) => return refuse(federation, provider, &assertion, refusal, begun, origin, headers).await,
        };
        match admit(federation, provider, &assertion, admission, begun, origin).await {
            // Or what was to be linked went meanwhile: the account, or the provider itself, of which whoever comes a
            // moment later is told the same.
            Err(error) if attempt == 1 && (error.code == ErrorCode::Conflict || refers_to_what_is_gone(&error)) => {
                if provider::Entity::find_by_id(provider.id).one(db).await?.is_none() {
                    return Err(match provider.kind {
                        Kind::Oidc => ErrorCode::SsoStateInvalid.into(),
                        Kind::Saml => ErrorCode::ProviderNotFound.into(),
                    });
                }
            }
            target => {
                let location = HeaderValue::from_str(target?.as_str()).map_err(Error::internal)?;
                let onward = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
                return leave(federation, begun, onward);
            }
        }
    }
    Err(ErrorCode::Conflict.into())
}

/// Writes down what the provider says, and answers where the browser goes. `CONFLICT` where somebody else was quicker.
async fn admit(
    federation: &Federation,
    provider: &provider::Model,
    assertion: &Assertion,
    admission: Admission,
    begun: Option<&state::Model>,
    origin: &RequestOrigin,
) -> Result<Url> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let tenant = Tenant::on_behalf_of(provider.organization_id);
    let existing = match &admission.account {
        Account::Known(user) => Some(user.clone()),
        Account::New(_) => None,
    };
    let known = existing.as_ref().map(|user| user.id());
    let plan = Plan::of(platform.db.read(), provider, known, &assertion.groups, now).await?;
    let changes_roles = !plan.changes_nothing() || admission.member.is_none();

    let tx = platform.db.begin().await?;
    if changes_roles {
        organization::lock(&tx, tenant).await?;
    }
    let (is_new_account, is_new_member) = (known.is_none(), admission.member.is_none());
    let user_id = account(federation, &tx, admission.account, assertion).await?;
    let is_linked = link(&tx, provider, assertion, admission.link, user_id, now).await?;
    let mut records = Vec::new();
    match &admission.member {
        Some(member) => {
            attributes::write(&tx, member, &attributes::after(&member.attributes(), provider, assertion)).await?;
        }
        None => {
            let row = organization::Entity::find_by_id(provider.organization_id).one(tx.conn()).await?;
            let intake = row.ok_or(ErrorCode::OrgNotFound)?.intake()?;
            let role = roles::of_newcomers(tx.conn(), tenant, &intake, provider.default_role_id).await?;
            let said = attributes::after(&Default::default(), provider, assertion);
            let new = NewMember {
                organization_id: provider.organization_id,
                user_id,
                role_id: role.id,
                source: Source::Provisioned,
                attributes: &said,
                by: None,
            };
            let joined = new.add(&tx, &Actor::system(), now).await;
            records.extend(joined.map_err(|error| error.renamed(ErrorCode::AlreadyMember, ErrorCode::Conflict))?);
        }
    }
    if changes_roles {
        // As it is now, after whoever was before us.
        let plan = Plan::of(tx.conn(), provider, Some(user_id), &assertion.groups, now).await?;
        plan.apply(&tx, provider, user_id, &platform.clock).await?;
    }
    count(&tx, provider, now).await?;
    if let Some(user) = existing.filter(|_| is_linked) {
        mails::send_linked(platform, &tx, &user, provider, origin).await?;
    }
    let redirect_uri = match begun {
        Some(begun) => begun.redirect_uri.clone(),
        None => default_target(federation),
    };
    let code = login::begin(federation, &tx, provider, user_id, assertion, &redirect_uri).await?;
    let details = json!({"user_id": user_id, "linked": is_linked, "new_account": is_new_account,
        "new_member": is_new_member, "second_factor": assertion.second_factor});
    let details = federation.tenancy.identity.settings.countries.add_to(details, origin.ip);
    let record = AuditRecord::new(Some(provider.organization_id), origin.actor(user_id), ACTION)
        .target("sso_provider", provider.id.0)
        .details(details);
    records.push(record);
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await?;

    let mut target: Url = redirect_uri.parse().map_err(Error::internal)?;
    target.query_pairs_mut().append_pair("code", code.expose());
    if let Some(state) = begun.and_then(|begun| begun.client_state.as_deref()) {
        target.query_pairs_mut().append_pair("state", state);
    }
    Ok(target)
}

/// The account, made where it is new. An address that its account has never proved is proved now, by somebody who is perhaps
/// not the one who signed up with it: what they left behind opens nothing any more.
async fn account(federation: &Federation, tx: &Transaction, account: Account, assertion: &Assertion) -> Result<UserId> {
    let now = federation.platform().clock.now();
    match account {
        Account::Known(user) if user.is_verified() => Ok(user.id()),
        Account::Known(user) => {
            rivergen_identity::account::prove::prove(tx, &user, now).await?;
            Ok(user.id())
        }
        Account::New(email) => {
            let display_name = assertion.display_name.clone().unwrap_or_else(|| default_display_name(&email));
            let new = NewUser { email, display_name, password_hash: None, verified_at: Some(now), terms_version: None };
            let user: User = new.insert(tx.conn(), now).await.map_err(overtaken)?;
            Ok(user.id())
        }
    }
}

/// Links the provider's subject to the account, or writes down what it says today; answers whether the link is new.
async fn link(
    tx: &Transaction,
    provider: &provider::Model,
    assertion: &Assertion,
    known: Option<identity::Model>,
    user_id: UserId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<bool> {
    let is_new = known.is_none();
    let mut row = match known {
        Some(known) => identity::ActiveModel { id: Set(known.id), ..Default::default() },
        None => identity::ActiveModel {
            organization_id: Set(provider.organization_id),
            provider_id: Set(provider.id),
            subject: Set(assertion.subject.clone()),
            user_id: Set(user_id),
            created_at: Set(now),
            ..Default::default()
        },
    };
    row.email = Set(assertion.email.clone());
    row.attributes = Set(serde_json::to_value(&assertion.attributes).map_err(Error::internal)?);
    row.groups = Set(serde_json::to_value(&assertion.groups).map_err(Error::internal)?);
    row.last_login_at = Set(Some(now));
    match is_new {
        true => drop(row.insert(tx.conn()).await.map_err(overtaken)?),
        false => drop(row.update(tx.conn()).await.map_err(overtaken)?),
    }
    Ok(is_new)
}

/// `CONFLICT` where another request made it first, or took it away.
fn overtaken(error: sea_orm::DbErr) -> Error {
    let is_gone = matches!(error, sea_orm::DbErr::RecordNotUpdated);
    if is_gone || is_unique_violation(&error) { ErrorCode::Conflict.into() } else { error.into() }
}

/// Counts a sign-in through the provider; `SSO_STATE_INVALID` where the provider was changed since it was read, while it was
/// asked perhaps: what the one said that it was must not be a link of the other that it is now.
async fn count(tx: &Transaction, provider: &provider::Model, now: chrono::DateTime<chrono::Utc>) -> Result<()> {
    let counted = provider::Entity::update_many()
        .col_expr(provider::Column::LoginCount, Expr::col(provider::Column::LoginCount).add(1))
        .col_expr(provider::Column::LastLoginAt, Expr::value(now))
        .filter(provider::Column::Id.eq(provider.id))
        .filter(provider::Column::UpdatedAt.eq(provider.updated_at))
        .exec(tx.conn())
        .await?;
    if counted.rows_affected == 1 { Ok(()) } else { Err(ErrorCode::SsoStateInvalid.into()) }
}

async fn refuse(
    federation: &Federation,
    provider: &provider::Model,
    assertion: &Assertion,
    refusal: Refusal,
    begun: Option<&state::Model>,
    origin: &RequestOrigin,
    headers: &HeaderMap,
) -> Result<Response> {
    let details = json!({"reason": refusal.to_string(), "subject": assertion.subject, "email": assertion.email});
    record_failure(federation, provider, details, origin).await?;
    answer(federation, begun, refusal.code().into(), headers)
}

/// Ends a sign-in of which the provider's answer is worth nothing: `error` is what is answered, `reason` is for the audit log
/// and for an administrator who tries the provider out.
pub async fn reject(
    federation: &Federation,
    provider: &provider::Model,
    begun: Option<&state::Model>,
    error: Error,
    reason: &str,
    origin: &RequestOrigin,
    headers: &HeaderMap,
) -> Result<Response> {
    if begun.is_some_and(state::Model::is_test) {
        return leave(federation, begun, error.with_message(format!("The sign-in failed: {reason}.")).into_response());
    }
    let details = json!({"code": error.code.as_str(), "reason": bounded(reason)});
    record_failure(federation, provider, details, origin).await?;
    answer(federation, begun, error, headers)
}

/// A reason as the audit log keeps it: parts of it are what somebody sent.
pub fn bounded(reason: &str) -> String {
    reason.chars().filter(|character| !character.is_control()).take(500).collect()
}

async fn record_failure(
    federation: &Federation,
    provider: &provider::Model,
    details: serde_json::Value,
    origin: &RequestOrigin,
) -> Result<()> {
    let platform = federation.platform();
    let tx = platform.db.begin().await?;
    let details = federation.tenancy.identity.settings.countries.add_to(details, origin.ip);
    let record = AuditRecord::new(Some(provider.organization_id), origin.anonymous(), ACTION)
        .target("sso_provider", provider.id.0)
        .outcome(Outcome::Failure)
        .details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}

/// The error: a browser that asks for a page is sent to the redirect address with its code.
fn answer(
    federation: &Federation,
    begun: Option<&state::Model>,
    error: Error,
    headers: &HeaderMap,
) -> Result<Response> {
    let wants_a_page = preferred(headers, &["application/json", "text/html"]) == Some("text/html");
    let Some(begun) = begun.filter(|_| wants_a_page) else {
        return leave(federation, begun, error.into_response());
    };
    let mut target: Url = begun.redirect_uri.parse().map_err(Error::internal)?;
    target.query_pairs_mut().append_pair("error", error.code.as_str());
    if let Some(state) = &begun.client_state {
        target.query_pairs_mut().append_pair("state", state);
    }
    let location = HeaderValue::from_str(target.as_str()).map_err(Error::internal)?;
    leave(federation, Some(begun), (StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

/// What goes to the browser: kept nowhere, told to nobody, and without the cookie of the sign-in.
fn leave(federation: &Federation, begun: Option<&state::Model>, response: Response) -> Result<Response> {
    let cookie = begun.map(|begun| state::spent_cookie(federation, begun)).transpose()?;
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let headers = headers.into_iter().chain(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok((AppendHeaders(headers), response).into_response())
}

/// Where a browser goes that named no address: the first that the operator allows, or the server's own first page.
pub(super) fn default_target(federation: &Federation) -> String {
    let targets = &federation.tenancy.identity.settings.social.redirect_targets;
    let own = || format!("{}/", federation.platform().public_url.trim_end_matches('/'));
    targets.first().map_or_else(own, |target| target.to_string())
}
