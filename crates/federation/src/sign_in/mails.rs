//! What people are told of their sign-ins through a provider.

use rivergen_identity::{mails::address_in_words, user::User};
use rivergen_kernel::{ErrorCode, Result};
use rivergen_platform::{
    Platform, Transaction,
    http::RequestOrigin,
    mail::{self, MailTemplate},
};
use rivergen_tenancy::organization;
use sea_orm::EntityTrait;

use crate::provider;

/// An account that somebody has had is opened by a provider from now on: they should know, for it was the provider that said
/// that it is theirs. An address that no mail can go to holds no sign-in back.
pub(super) async fn send_linked(
    platform: &Platform,
    tx: &Transaction,
    user: &User,
    provider: &provider::Model,
    origin: &RequestOrigin,
) -> Result<()> {
    let to = &user.email.email;
    if mail::check_recipient(to).is_err() {
        return Ok(());
    }
    let organization = organization::Entity::find_by_id(provider.organization_id).one(tx.conn()).await?;
    let organization = organization.ok_or(ErrorCode::OrganizationNotFound)?.name;
    let from = address_in_words(origin.ip);
    let template = MailTemplate::greeting("Your account was linked to single sign-on", &user.account.display_name)
        .paragraph(format!(
            "The identity provider “{}” of {organization} can now be used to sign in to your account. This was done \
             for the first time from {from}.",
            provider.name
        ))
        .footer(format!(
            "If this was not you, tell an administrator of {organization} immediately: they can unlink the account and \
             end its sessions."
        ));
    mail::send(platform, tx, template.into_mail("sso.account_linked", to)).await.map(drop)
}
