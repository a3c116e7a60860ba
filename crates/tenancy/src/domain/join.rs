//! Who proves an address of a verified domain becomes a member, where the organization lets them.
//!
//! It happens at the proof of the address, which an address has once, and in its transaction: nobody is pulled in later,
//! and nobody whom an administrator removed comes back with the same address. Somebody who is invited is left to the
//! invitation, whose role counts.

use rivergen_identity::user::User;
use rivergen_kernel::{ErrorCode, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{
    Platform, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    mail::{self, MailTemplate},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::{Column, Entity, Model, Status, of_address};
use crate::{
    invitation,
    member::{self, NewMember, Source},
    organization::{self, settings::default_role},
};

/// The organization that takes in whoever proves the address. It stays locked until the transaction ends, so this comes
/// before anything that the transaction writes.
pub(crate) async fn welcoming(tx: &Transaction, email: &str) -> Result<Option<OrganizationId>> {
    let Some(domain) = of_address(email) else { return Ok(None) };
    let Some(found) = open(tx, &domain).await? else { return Ok(None) };
    organization::lock(tx, Tenant::on_behalf_of(found.organization_id)).await?;
    // As it is now, after whoever was before us.
    let still = open(tx, &domain).await?.filter(|row| row.id == found.id);
    Ok(still.map(|row| row.organization_id))
}

/// Index: organization_domains(domain) of those that are verified, unique.
async fn open(tx: &Transaction, domain: &str) -> Result<Option<Model>> {
    let found = Entity::find()
        .filter(Column::Domain.eq(domain))
        .filter(Column::Status.eq(Status::Verified))
        .filter(Column::AutoJoin.eq(true));
    Ok(found.one(tx.conn()).await?)
}

/// Makes the person, who has proved the address, a member of the organization that [`welcoming`] answered, unless it is
/// closed, does not let the address in, has invited it, or knows the person already, in whatever standing.
pub(crate) async fn join(
    platform: &Platform,
    tx: &Transaction,
    organization: OrganizationId,
    user: &User,
    email: &str,
    by: &Actor,
) -> Result<()> {
    let tenant = Tenant::on_behalf_of(organization);
    let found = organization::Entity::find_by_id(organization).filter(organization::Column::DeletedAt.is_null());
    let Some(found) = found.one(tx.conn()).await? else { return Ok(()) };
    let intake = found.intake()?;
    if intake.allow(email).is_err()
        || is_known(tx, tenant, user.id()).await?
        || is_invited(platform, tx, tenant, email).await?
    {
        return Ok(());
    }
    let role = default_role(tx.conn(), tenant, &intake).await?;
    let new = NewMember {
        organization_id: organization,
        user_id: user.id(),
        role_id: role.id,
        source: Source::Domain,
        attributes: &Default::default(),
        by: None,
    };
    let mut records = new.add(tx, by, platform.clock.now()).await?;
    let domain = of_address(email);
    let mail = MailTemplate::new(format!("You are now a member of {}", found.name))
        .paragraph(format!(
            "You have verified the address {email}, and {} accepts people from its domain: you are now a member, as \
             {}.",
            found.name, role.name
        ))
        .paragraph("If you do not want that, sign in and leave the organization.")
        .footer("Your account and your other organizations have not changed.");
    mail::send(platform, tx, mail.into_mail("tenancy.joined", &user.email.email)).await?;
    let record = AuditRecord::new(Some(organization), by.clone(), "member.join")
        .target("user", user.id().0)
        .details(json!({"domain": domain, "role_id": role.id}));
    records.push(record);
    audit::record_all(tx, &platform.clock, records).await
}

/// A member, also a suspended one.
async fn is_known(tx: &Transaction, tenant: Tenant, user: UserId) -> Result<bool> {
    match member::find(tx.conn(), tenant, user).await {
        Ok(_) => Ok(true),
        Err(error) if error.code == ErrorCode::MemberNotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Index: invitations(organization_id, email) of those that are pending.
async fn is_invited(platform: &Platform, tx: &Transaction, tenant: Tenant, email: &str) -> Result<bool> {
    let pending = tenant
        .find::<invitation::Entity>()
        .filter(invitation::Column::Email.eq(email))
        .filter(invitation::is_pending())
        .filter(invitation::Column::ExpiresAt.gt(platform.clock.now()));
    Ok(pending.one(tx.conn()).await?.is_some())
}
