//! The mails of this room, written where the change is: they go out if and when it commits.

use rivergen_kernel::Result;
use rivergen_platform::{
    Transaction,
    http::RequestOrigin,
    mail::{self, MailTemplate},
};

use crate::{
    Identity,
    one_time_token::{self, Purpose},
    user::User,
};

/// The link that proves the address; older links die.
pub async fn send_verification(identity: &Identity, tx: &Transaction, user: &User) -> Result<()> {
    let now = identity.platform.clock.now();
    let token = one_time_token::issue(tx, Purpose::EmailVerification, user.id(), now).await?;
    let link = format!("{}/verify-email?token={}", identity.platform.public_url, token.expose());
    let template = MailTemplate::new("Verify your e-mail address")
        .paragraph(format!("Hello {},", user.account.display_name))
        .paragraph("please confirm that this address is yours. The link works for 10 minutes.")
        .action("Verify the address", link)
        .footer("If you did not sign up, ignore this mail: without the link nothing happens.");
    mail::send(&identity.platform, tx, template.into_mail("identity.verification", &user.email.email)).await.map(drop)
}

/// Somebody tried to sign up with an address that has an account.
pub async fn send_address_taken(identity: &Identity, tx: &Transaction, owner: &User) -> Result<()> {
    let template = MailTemplate::new("You have an account already")
        .paragraph(format!("Hello {},", owner.account.display_name))
        .paragraph("somebody tried to sign up with this address, which has an account. If it was you, sign in instead.")
        .footer("If it was not you, there is nothing to do.");
    mail::send(&identity.platform, tx, template.into_mail("identity.address_taken", &owner.email.email)).await.map(drop)
}

/// A spent refresh token was shown again, so its session has ended.
pub async fn send_session_ended(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    origin: &RequestOrigin,
) -> Result<()> {
    let from = origin.ip.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
    let template = MailTemplate::new("We ended one of your sessions")
        .paragraph(format!("Hello {},", user.account.display_name))
        .paragraph(format!(
            "a sign-in token that was used before has been used again, from {from}. \
             A copy of it may be in other hands, so we ended that session."
        ))
        .paragraph("Sign in again. If you do not recognise this, change your password.");
    mail::send(&identity.platform, tx, template.into_mail("identity.session_ended", &user.email.email)).await.map(drop)
}
