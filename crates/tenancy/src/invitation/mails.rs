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
        let mut template = MailTemplate::new("You are invited to an organization")
            .paragraph(format!("{inviter} invites you to join {organization} on RiverGen as {role}."));
        if let Some(message) = &invitation.message {
            template = template.paragraph(format!("They write: “{message}”"));
        }
        let template = template
            .paragraph(format!(
                "The invitation is for {}: sign in with this address, or sign up with it, and accept. It works until {end}, \
                 once.",
                invitation.email
            ))
            .action("See the invitation", link)
            .footer("If you do not know who this is from, ignore this mail: without you nothing happens.");
        template.into_mail("tenancy.invitation", &invitation.email)
    }
}
