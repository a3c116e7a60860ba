//! The mails of this room, written where the change is: they go out if and when it commits.

use std::net::IpAddr;

use chrono::Duration;
use rivergen_kernel::{Result, Token};
use rivergen_platform::{
    Transaction,
    http::RequestOrigin,
    mail::{self, MailTemplate},
};

use crate::{
    Identity, device, mfa,
    one_time_token::{self, Purpose},
    user::User,
};

/// Writes a mail to the person's primary address.
async fn send(identity: &Identity, tx: &Transaction, user: &User, kind: &str, template: MailTemplate) -> Result<()> {
    mail::send(&identity.platform, tx, template.into_mail(kind, &user.email.email)).await.map(drop)
}

fn greeting(user: &User, title: &str) -> MailTemplate {
    MailTemplate::greeting(title, &user.account.display_name)
}

/// The address of a page that acts on the token. Its host is the configured one, never that of the request.
pub(crate) fn link(identity: &Identity, page: &str, token: &Token) -> String {
    format!("{}/{page}?token={}", identity.platform.public_url, token.expose())
}

/// The address of whoever did it, in words.
pub fn address_in_words(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string())
}

/// Address and program of whoever did it, in words.
fn from_where(origin: &RequestOrigin) -> String {
    let address = address_in_words(origin.ip);
    let device = device::name_of(origin.user_agent.as_deref().unwrap_or_default());
    format!("{device}, {address}")
}

/// As long as an invitation.
const WELCOME_LIFETIME: Duration = Duration::days(7);

const NOT_YOU: &str = "If this was not you, change your password and end all sessions.";

/// Tells the person what they have done with their account, or somebody who got into it.
async fn tell(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    kind: &str,
    title: &str,
    what: impl Into<String>,
) -> Result<()> {
    send(identity, tx, user, kind, greeting(user, title).paragraph(what).footer(NOT_YOU)).await
}

/// The link that proves the primary address; older links die.
pub async fn send_verification(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    send_address_verification(identity, tx, user, &user.email.email).await
}

/// The link that proves an address; older links die.
pub async fn send_address_verification(identity: &Identity, tx: &Transaction, user: &User, email: &str) -> Result<()> {
    let now = identity.platform.clock.now();
    let token = one_time_token::issue(tx, Purpose::EmailVerification, user.id(), Some(email), now).await?;
    let template = greeting(user, "Verify your e-mail address")
        .paragraph("Please confirm that this address is yours. The link works for 10 minutes.")
        .action("Verify the address", link(identity, "verify-email", &token))
        .footer("If you did not ask for this, ignore this e-mail: nothing happens unless the link is used.");
    mail::send(&identity.platform, tx, template.into_mail("identity.verification", email)).await.map(drop)
}

/// Asks the old primary address whether another may take its place.
pub async fn send_change_approval(identity: &Identity, tx: &Transaction, user: &User, email: &str) -> Result<()> {
    let now = identity.platform.clock.now();
    let token = one_time_token::issue(tx, Purpose::EmailChangeApproval, user.id(), Some(email), now).await?;
    let template = greeting(user, "Confirm the change of your e-mail address")
        .paragraph(format!("You asked to make {email} the address of your account. The link works for one hour."))
        .action("Confirm the change", link(identity, "verify-email", &token))
        .footer(format!("Nothing changes unless you confirm. {NOT_YOU}"));
    send(identity, tx, user, "identity.change_approval", template).await
}

/// Tells the primary address of a further one.
pub async fn send_address_added(identity: &Identity, tx: &Transaction, user: &User, email: &str) -> Result<()> {
    let what = format!("{email} was added to your account. It can be used once it is verified.");
    tell(identity, tx, user, "identity.address_added", "An address was added to your account", what).await
}

/// Tells the former primary address that it is one no more.
pub async fn send_primary_changed(identity: &Identity, tx: &Transaction, user: &User, email: &str) -> Result<()> {
    let template = greeting(user, "Your e-mail address was changed")
        .paragraph(format!("{email} is now the address of your account."))
        .footer("If this was not you, tell your administrator immediately.");
    send(identity, tx, user, "identity.primary_changed", template).await
}

/// Somebody tried to sign up with an address that has an account.
pub async fn send_address_taken(identity: &Identity, tx: &Transaction, owner: &User) -> Result<()> {
    let template = greeting(owner, "You already have an account")
        .paragraph(
            "Someone tried to sign up with this address, which already has an account. If it was you, sign in instead.",
        )
        .footer("If it was not you, there is nothing you need to do.");
    send(identity, tx, owner, "identity.address_taken", template).await
}

/// The link to set another password; older ones die. It goes to the address that was asked for.
pub async fn send_password_reset(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    let now = identity.platform.clock.now();
    let token = one_time_token::issue(tx, Purpose::PasswordReset, user.id(), Some(&user.email.email), now).await?;
    let template = greeting(user, "Set a new password")
        .paragraph("You asked for a link to set a new password. It works once, within the next hour.")
        .action("Set a new password", link(identity, "reset-password", &token))
        .footer("If you did not ask for this, ignore this e-mail: your password stays the same.");
    send(identity, tx, user, "identity.password_reset", template).await
}

/// To somebody whom an administrator has made an account: the link with which they choose a password, and which proves
/// their address.
pub async fn send_welcome(identity: &Identity, tx: &Transaction, user: &User, organization: &str) -> Result<()> {
    let now = identity.platform.clock.now();
    let (purpose, address) = (Purpose::PasswordReset, Some(user.email.email.as_str()));
    let token = one_time_token::issue_for(tx, purpose, user.id(), address, WELCOME_LIFETIME, now).await?;
    let template = greeting(user, &format!("Welcome to {organization}"))
        .paragraph(format!(
            "An administrator of {organization} has created an account for you. Choose a password for it; the link \
             works once, within the next seven days."
        ))
        .action("Choose a password", link(identity, "reset-password", &token))
        .footer("If you do not know what this is about, ignore this e-mail.");
    send(identity, tx, user, "identity.welcome", template).await
}

/// In place of a link, to somebody who signs in without a password.
pub async fn send_no_password(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    let template = greeting(user, "Your account has no password")
        .paragraph(
            "You asked for a link to set a new password, but you sign in with a passkey or with another provider.",
        )
        .paragraph("Sign in that way; you can then also set a password.")
        .footer("If you did not ask for this, there is nothing you need to do.");
    send(identity, tx, user, "identity.no_password", template).await
}

/// The password is another one now.
pub async fn send_password_changed(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    origin: &RequestOrigin,
) -> Result<()> {
    let template = greeting(user, "Your password was changed")
        .paragraph(format!(
            "Your password was changed from {}. All your sessions have ended, and applications can no longer act for \
             you.",
            from_where(origin)
        ))
        .footer("If this was not you, reset your password immediately and tell your administrator.");
    send(identity, tx, user, "identity.password_changed", template).await
}

/// A sign-in from a country or on a device that the person never signed in from; one mail tells of both.
pub async fn send_new_origin(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    new_country: Option<&str>,
    is_new_device: bool,
    origin: &RequestOrigin,
) -> Result<()> {
    let (title, what) = match (new_country, is_new_device) {
        (None, false) => return Ok(()),
        (None, true) => ("A sign-in from a new device", "a device it had not been used on before".to_owned()),
        (Some(country), false) => {
            ("A sign-in from a new country", format!("a country it had not been used in before ({country})"))
        }
        (Some(country), true) => (
            "A sign-in from a new country and a new device",
            format!("a country it had not been used in before ({country}), on a device it had not been used on before"),
        ),
    };
    let what = format!("Someone signed in to your account from {what}: {}.", from_where(origin));
    tell(identity, tx, user, "identity.new_origin", title, what).await
}

/// An administrator has taken what their organization keeps about the person.
pub async fn send_personal_data_exported(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    organization: &str,
) -> Result<()> {
    let template = greeting(user, "Your data was exported").paragraph(format!(
        "An administrator of {organization} has exported the data that the organization keeps about you: your \
         membership and roles, your sessions there, and your activity."
    ));
    let template = template.footer("Ask your administrator if you want to know why.");
    send(identity, tx, user, "identity.personal_data_exported", template).await
}

/// An administrator has folded one account of a person into another; both addresses are told.
pub async fn send_accounts_merged(identity: &Identity, tx: &Transaction, gone: &User, kept: &User) -> Result<()> {
    for user in [gone, kept] {
        let template = greeting(user, "Your accounts were merged")
            .paragraph(format!(
                "An administrator has merged the account {} into {}. From now on, sign in with the latter.",
                gone.email.email, kept.email.email
            ))
            .footer("If these are not both yours, tell your administrator immediately.");
        send(identity, tx, user, "identity.accounts_merged", template).await?;
    }
    Ok(())
}

/// A code as a second factor.
pub async fn send_code(identity: &Identity, tx: &Transaction, user: &User, code: &str) -> Result<()> {
    let template = greeting(user, "Your code")
        .paragraph(format!("Your code is {code}. It works for 10 minutes."))
        .footer(format!("We never ask you for it. {NOT_YOU}"));
    send(identity, tx, user, "identity.code", template).await
}

fn factor_name(kind: mfa::Kind) -> &'static str {
    match kind {
        mfa::Kind::Totp => "an authenticator app",
        mfa::Kind::EmailOtp => "codes sent by e-mail",
    }
}

/// A second factor was set up.
pub async fn send_factor_added(identity: &Identity, tx: &Transaction, user: &User, kind: mfa::Kind) -> Result<()> {
    let what = format!("From now on, your account is protected by {}.", factor_name(kind));
    tell(identity, tx, user, "identity.factor_added", "A second factor was set up", what).await
}

/// A second factor is gone.
pub async fn send_factor_removed(identity: &Identity, tx: &Transaction, user: &User, kind: mfa::Kind) -> Result<()> {
    let what = format!("Your account is no longer protected by {}.", factor_name(kind));
    tell(identity, tx, user, "identity.factor_removed", "A second factor was removed", what).await
}

/// The operator removed all second factors.
pub async fn send_factors_reset(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    let template = greeting(user, "Your second factors were removed")
        .paragraph(
            "The operator of the server removed the second factors, backup codes and trusted devices from your \
             account. You can sign in with your password alone; set up a second factor again.",
        )
        .footer("If you did not ask for this, tell your administrator.");
    send(identity, tx, user, "identity.factors_reset", template).await
}

/// A fresh set of backup codes.
pub async fn send_backup_codes_replaced(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    let what = "A new set of backup codes was created. The old ones no longer work.";
    tell(identity, tx, user, "identity.backup_codes", "Your backup codes were replaced", what).await
}

/// A passkey was added or deleted.
pub async fn send_passkey_changed(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    name: &str,
    added: bool,
) -> Result<()> {
    let (title, what) = match added {
        true => ("A passkey was added", "can now be used to sign in to your account"),
        false => ("A passkey was deleted", "can no longer be used to sign in to your account"),
    };
    tell(identity, tx, user, "identity.passkey", title, format!("The passkey “{name}” {what}.")).await
}

/// An account of a provider was connected or disconnected.
pub async fn send_social_account_changed(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    provider: &str,
    connected: bool,
) -> Result<()> {
    let (title, what) = match connected {
        true => ("An account was connected", "can now be used to sign in to your account"),
        false => ("An account was disconnected", "can no longer be used to sign in to your account"),
    };
    tell(identity, tx, user, "identity.social_account", title, format!("Your account at {provider} {what}.")).await
}

/// A device is trusted from now on.
pub async fn send_device_trusted(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    name: &str,
    origin: &RequestOrigin,
) -> Result<()> {
    let what = format!(
        "The device “{name}” ({}) is now trusted: signing in on it no longer asks for a second factor.",
        from_where(origin)
    );
    tell(identity, tx, user, "identity.device_trusted", "A device is trusted", what).await
}

/// A token was made.
pub async fn send_token_made(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    name: &str,
    origin: &RequestOrigin,
) -> Result<()> {
    let template = greeting(user, "A token was created")
        .paragraph(format!("The personal access token “{name}” was created from {}.", from_where(origin)))
        .footer("If this was not you, revoke it and change your password.");
    send(identity, tx, user, "identity.token_made", template).await
}

/// The account is closed.
pub async fn send_account_closed(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    let template = greeting(user, "Your account is closed").paragraph(
        "Your account is closed. Everything in it will be permanently deleted in 30 days; until then, your \
         administrator can restore it.",
    );
    send(identity, tx, user, "identity.account_closed", template).await
}

/// A spent refresh token was shown again, so its session has ended.
pub async fn send_session_ended(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    origin: &RequestOrigin,
) -> Result<()> {
    let template = greeting(user, "We ended one of your sessions")
        .paragraph(format!(
            "A sign-in token that had already been used was used again, from {}. Someone may have a copy of it, so we \
             ended that session.",
            from_where(origin)
        ))
        .paragraph("Sign in again. If you do not recognise this, change your password.");
    send(identity, tx, user, "identity.session_ended", template).await
}
