//! What members, administrators and owners are told.

use chrono::{DateTime, Utc};
use rivergen_kernel::{BuiltInRole, Result, Tenant};
use rivergen_platform::{
    Platform, Transaction,
    db::TenantScope,
    mail::{self, Mail, MailTemplate},
};
use rivergen_tenancy::{member, role};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{notice::Kind, people};

/// Administrators who are told of a change.
const MOST_ADMINISTRATORS: u64 = 200;

/// A notice to members.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub kind: Kind,
    pub organization: String,
    /// When what is wanted is demanded, where that is planned.
    pub deadline: Option<DateTime<Utc>>,
}

impl Letter {
    pub fn mail(&self, platform: &Platform, to: &str) -> Mail {
        let organization = &self.organization;
        let (title, asked) = match self.kind {
            Kind::MfaSetup => (
                format!("{organization} asks you to set up a second factor"),
                format!("{organization} asks its members to sign in with a second factor. Set one up under Security."),
            ),
            Kind::SsoMigration => (
                format!("{organization} asks you to sign in through its identity provider"),
                format!(
                    "{organization} is moving to single sign-on. Sign in with it once, so that your account is linked."
                ),
            ),
            Kind::EnforcementWarning => (
                format!("{organization} is changing how you sign in"),
                format!(
                    "{organization} is going to require single sign-on or a second factor, and your account does not \
                     have everything it needs yet."
                ),
            ),
        };
        let mut template = MailTemplate::new(title).paragraph(asked);
        if let Some(deadline) = self.deadline {
            template = template.paragraph(format!("You have until {}.", deadline.format("%d %B %Y, %H:%M UTC")));
        }
        template
            .action("Sign in", platform.public_url.to_string())
            .footer("You are receiving this e-mail because you are a member of the organization.")
            .into_mail(format!("sso.{}", self.kind.as_str()), to)
    }
}

/// Mails the same to the holders of roles in the whole organization.
async fn send(
    platform: &Platform,
    tx: &Transaction,
    tenant: Tenant,
    roles: &[BuiltInRole],
    kind: &str,
    template: impl Fn() -> MailTemplate,
) -> Result<()> {
    let mut ids = Vec::new();
    for role in roles {
        ids.push(role::built_in(tx.conn(), tenant, *role).await?.id);
    }
    let holders = people::holders(tenant, &ids, platform.clock.now());
    let members = tenant
        .find::<member::Entity>()
        .filter(member::Column::UserId.in_subquery(holders))
        .filter(member::Column::UserId.in_subquery(member::active(tenant)))
        .order_by_asc(member::Column::Id)
        .limit(MOST_ADMINISTRATORS)
        .all(tx.conn())
        .await?;
    // An address that no mail can go to must not hold the change back.
    let reachable = members.iter().filter(|member| mail::check_recipient(&member.email).is_ok());
    let mails = reachable.map(|member| template().into_mail(kind, &member.email)).collect();
    mail::send_all(platform, tx, mails).await
}

/// Tells the administrators what changed.
pub(super) async fn tell_administrators(
    platform: &Platform,
    tx: &Transaction,
    tenant: Tenant,
    organization: &str,
    by: &str,
    changes: &[String],
) -> Result<()> {
    let template = || {
        let template = MailTemplate::new(format!("{organization}: the rules for signing in have changed"))
            .paragraph(format!("{by} changed what {organization} requires for signing in."));
        let template = changes.iter().fold(template, |template, change| template.paragraph(change.clone()));
        template.footer("You are receiving this e-mail because you are an administrator of the organization.")
    };
    let roles = [BuiltInRole::Owner, BuiltInRole::Admin];
    send(platform, tx, tenant, &roles, "sso.enforcement_changed", template).await
}

/// The alarm: somebody came in beside the identity provider.
pub(super) async fn alarm_owners(
    platform: &Platform,
    tx: &Transaction,
    tenant: Tenant,
    organization: &str,
    who: &str,
    from: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let template = || {
        MailTemplate::new(format!("{organization}: a sign-in without single sign-on"))
            .paragraph(format!(
                "{who}, who is exempt from single sign-on in {organization}, signed in without it on {}, from {from}.",
                at.format("%d %B %Y, %H:%M UTC")
            ))
            .paragraph("If none of you knows why, end their sessions and remove the exemption.")
            .footer("You are receiving this e-mail because you are an owner of the organization.")
    };
    send(platform, tx, tenant, &[BuiltInRole::Owner], "sso.exempt_sign_in", template).await
}
