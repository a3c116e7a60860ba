//! The mail that carries an invitation: the only place where its token stands.

use rivergen_kernel::Token;
use rivergen_platform::{
    Platform,
    mail::{Mail, MailTemplate},
};

use super::Model;

/// What the mail says beside the link.
pub(super) struct Letter<'a> {
    pub inviter: &'a str,
    pub organization: &'a str,
    pub role: &'a str,
}

impl Letter<'_> {
    pub(super) fn mail(&self, platform: &Platform, invitation: &Model, token: &Token) -> Mail {
        let Self { inviter, organization, role } = self;
        let link = format!("{}/invitation?token={}", platform.public_url, token.expose());
        let end = invitation.expires_at.format("%d %B %Y");
        let mut template = MailTemplate::new("You are invited to join an organization")
            .paragraph(format!("{inviter} invites you to join {organization} on RiverGen as {role}."));
        if let Some(message) = &invitation.message {
            template = template.paragraph(format!("They wrote: “{message}”"));
        }
        let template = template
            .paragraph(format!(
                "The invitation is for {}: sign in or sign up with this address, and accept. It can be used once, \
                 until {end}.",
                invitation.email
            ))
            .action("View invitation", link)
            .footer("If you do not know who this is from, ignore this e-mail: nothing happens unless you accept.");
        template.into_mail("tenancy.invitation", &invitation.email)
    }
}
