//! Who somebody is, and whether they may come in: decided from what the provider says and what is kept, without changing
//! anything, so that a rehearsal asks the same question.

use chrono::{DateTime, Utc};
use rivergen_identity::{asked_anew::AskedAnew, user::User};
use rivergen_kernel::{Error, ErrorCode, PermissionSet, Result, Tenant, UserId};
use rivergen_platform::db::TenantScope;
use rivergen_tenancy::{
    domain,
    member::{self, Status},
    organization,
    standing::Standing,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::{Assertion, roles};
use crate::provider::{self, identity};

/// How somebody comes in.
#[derive(Debug)]
pub struct Admission {
    pub account: Account,
    /// The link of the provider's subject to the account, where there is one.
    pub link: Option<identity::Model>,
    /// `None`: they become a member.
    pub member: Option<member::Model>,
}

/// Whose account.
#[derive(Debug)]
pub enum Account {
    Known(Box<User>),
    /// One that is made, of this proved address.
    New(String),
}

/// Why somebody may not come in. For the audit log and for administrators; whoever is refused is told the code alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the provider sent no e-mail address to find an account by")]
    NoAddress,
    #[error("the provider does not say that the address {0} is verified")]
    AddressNotVerified(String),
    #[error("the organization has not verified the domain of {0}")]
    DomainNotProved(String),
    #[error("the domain of {0} is not one of this provider's domains")]
    DomainOfAnother(String),
    #[error("there is no member with the address {0}, and the provider does not add members (jit_provisioning)")]
    Unknown(String),
    #[error("the organization does not accept people from the domain of {0} (allowed_email_domains)")]
    NotTakenIn(String),
    #[error("the account of {0} is linked to another subject of this provider")]
    LinkedOtherwise(String),
    #[error(
        "{0} has more permissions in the organization than the person who last set the provider up: an owner must save \
         its trusted settings"
    )]
    AboveWhoSetItUp(String),
    #[error("the account is disabled")]
    Disabled,
    #[error("the member is suspended")]
    Suspended,
    #[error("the identity provider has deactivated the member")]
    Deactivated,
    #[error("the provider is not active")]
    ProviderInactive,
    #[error("the person who came back is not the one who was asked to sign in again")]
    AnotherPerson,
    #[error("the provider does not say that the person signed in just now (auth_time, AuthnInstant)")]
    NotAskedAnew,
}

impl Refusal {
    /// Who proves anew that it is them has come in already, so they may know what was wrong with that.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::AnotherPerson => ErrorCode::AnotherPerson,
            Self::NotAskedAnew => ErrorCode::NotAskedAnew,
            _ => ErrorCode::SsoUserNotAllowed,
        }
    }
}

/// Whether it is the person whom the provider was to ask anew, by a link that stands already, and it did ask.
pub async fn hold_to(
    db: &impl ConnectionTrait,
    provider: &provider::Model,
    assertion: &Assertion,
    asked: AskedAnew,
) -> Result<Result<(), Refusal>> {
    let link = identity::find(db, provider.id, &assertion.subject).await?;
    Ok(match link.is_some_and(|link| link.user_id == asked.person) {
        false => Err(Refusal::AnotherPerson),
        true if asked.is_answered(assertion.authenticated_at) => Ok(()),
        true => Err(Refusal::NotAskedAnew),
    })
}

/// Decides. Read once more where something is changed by it: unique indexes refuse what was overtaken.
pub async fn decide(
    db: &impl ConnectionTrait,
    provider: &provider::Model,
    assertion: &Assertion,
    now: DateTime<Utc>,
) -> Result<Result<Admission, Refusal>> {
    let admitted = admit(db, provider, assertion).await?;
    if let Ok(Admission { account: Account::Known(user), member: Some(_), .. }) = &admitted
        && !is_vouched_for(db, tenant_of(provider), Some(provider.vouched_by_user_id), user.id(), now).await?
    {
        return Ok(Err(Refusal::AboveWhoSetItUp(user.email.email.clone())));
    }
    Ok(admitted)
}

async fn admit(
    db: &impl ConnectionTrait,
    provider: &provider::Model,
    assertion: &Assertion,
) -> Result<Result<Admission, Refusal>> {
    let link = identity::find(db, provider.id, &assertion.subject).await?;
    let user = match &link {
        Some(link) => {
            let user = User::find(db, link.user_id).await?;
            Some(user.ok_or_else(|| Error::internal("a link without its account"))?)
        }
        None => None,
    };
    let tenant = tenant_of(provider);
    if let Some(user) = &user
        && let Some(member) = member_of(db, tenant, user).await?
    {
        return Ok(let_in(user.clone(), link, Some(member)));
    }
    // Not linked, or out of the organization since: the address decides.
    let email = match proved_address(db, provider, assertion).await? {
        Ok(email) => email,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let user = match (user, User::find_by_email(db, &email).await?) {
        // Linked by another address than the account has by now: it is not the organization's to open any more.
        (Some(linked), found) if found.as_ref().is_none_or(|found| found.id() != linked.id()) => {
            return Ok(Err(Refusal::LinkedOtherwise(email)));
        }
        (_, found) => found,
    };
    if let Some(user) = &user {
        if link.is_none() && identity::is_linked_otherwise(db, provider.id, user.id(), &assertion.subject).await? {
            return Ok(Err(Refusal::LinkedOtherwise(email)));
        }
        if let Some(member) = member_of(db, tenant, user).await? {
            return Ok(let_in(user.clone(), link, Some(member)));
        }
    }
    if !provider.jit_provisioning {
        return Ok(Err(Refusal::Unknown(email)));
    }
    let organization = organization::Entity::find_by_id(provider.organization_id).one(db).await?;
    let organization = organization.ok_or_else(|| Error::internal("a provider without its organization"))?;
    if organization.intake()?.allow(&email).is_err() {
        return Ok(Err(Refusal::NotTakenIn(email)));
    }
    Ok(match user {
        Some(user) => let_in(user, link, None),
        None => Ok(Admission { account: Account::New(email), link: None, member: None }),
    })
}

fn let_in(user: User, link: Option<identity::Model>, member: Option<member::Model>) -> Result<Admission, Refusal> {
    if user.account.disabled_at.is_some() {
        return Err(Refusal::Disabled);
    }
    match member.as_ref().map(|member| member.status) {
        Some(Status::Suspended) => Err(Refusal::Suspended),
        Some(Status::Deactivated) => Err(Refusal::Deactivated),
        Some(Status::Active) | None => Ok(Admission { account: Account::Known(Box::new(user)), link, member }),
    }
}

/// Whether somebody holds nothing in the organization that whoever set up what speaks for them does not hold, beside what is
/// harmless: who runs a provider can be everybody whom it names, and must not become more than they are. What somebody holds who
/// is locked out at this moment counts, for it comes back with them.
pub async fn is_vouched_for(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    voucher: Option<UserId>,
    person: UserId,
    now: DateTime<Utc>,
) -> Result<bool> {
    if voucher == Some(person) {
        return Ok(true);
    }
    let standing = Standing::load(db, tenant.organization_id(), person).await?;
    let held = standing.iter().flat_map(|standing| standing.roles.iter());
    let held = held.filter(|role| role.assignment.workspace_id.is_none() && role.is_live(now));
    let mut above: PermissionSet = held.flat_map(|role| role.permissions.iter().copied()).collect();
    above.retain(|permission| !roles::is_harmless(*permission));
    if above.is_empty() {
        return Ok(true);
    }
    let Some(voucher) = voucher else { return Ok(false) };
    let standing = Standing::load(db, tenant.organization_id(), voucher).await?;
    let membership = standing.and_then(|standing| standing.membership(None, now));
    Ok(membership.is_some_and(|membership| above.is_subset(&membership.organization_permissions)))
}

fn tenant_of(provider: &provider::Model) -> Tenant {
    Tenant::on_behalf_of(provider.organization_id)
}

/// Index: memberships(organization_id, user_id), unique.
async fn member_of(db: &impl ConnectionTrait, tenant: Tenant, user: &User) -> Result<Option<member::Model>> {
    Ok(tenant.find::<member::Entity>().filter(member::Column::UserId.eq(user.id())).one(db).await?)
}

/// The address, where the provider may vouch for it: it says that it is verified, and the organization has proved its
/// domain, which is one of the provider's own if it has some.
async fn proved_address(
    db: &impl ConnectionTrait,
    provider: &provider::Model,
    assertion: &Assertion,
) -> Result<Result<String, Refusal>> {
    let Some(email) = assertion.email.clone() else { return Ok(Err(Refusal::NoAddress)) };
    if !assertion.email_verified {
        return Ok(Err(Refusal::AddressNotVerified(email)));
    }
    let tenant = tenant_of(provider);
    let proved = domain::verified(db, tenant).await?;
    let Some(of) = domain::of_address(&email).filter(|of| proved.contains(of)) else {
        return Ok(Err(Refusal::DomainNotProved(email)));
    };
    let own = provider::domain::of(db, provider.id).await?;
    if !own.is_empty() && !own.contains(&of) {
        return Ok(Err(Refusal::DomainOfAnother(email)));
    }
    Ok(Ok(email))
}
