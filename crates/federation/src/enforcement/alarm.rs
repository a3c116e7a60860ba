//! Somebody exempt came in without the single sign-on that their organization requires: it is written into the audit log of
//! the organization and mailed to its owners.

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_identity::{mails::address_in_words, user::User};
use rivergen_kernel::{ErrorCode, Result, Tenant};
use rivergen_platform::{
    audit::{self, Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError},
};
use rivergen_tenancy::directory::{EXEMPT_SIGN_IN, ExemptSignIn};
use serde_json::json;

use super::mails;
use crate::Federation;

struct Alarm(Federation);

pub(super) fn register(federation: &Federation) {
    federation.platform().jobs.register(EXEMPT_SIGN_IN, Arc::new(Alarm(federation.clone())));
}

#[async_trait]
impl Handler for Alarm {
    async fn run(&self, payload: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let sign_in: ExemptSignIn = serde_json::from_value(payload).map_err(JobError::fatal)?;
        match raise(&self.0, sign_in).await {
            // The organization or the account is gone.
            Err(error) if matches!(error.code, ErrorCode::OrganizationNotFound | ErrorCode::UserNotFound) => Ok(()),
            raised => Ok(raised?),
        }
    }
}

async fn raise(federation: &Federation, sign_in: ExemptSignIn) -> Result<()> {
    let platform = federation.platform();
    let ExemptSignIn { organization_id, user_id, ip, user_agent, at } = sign_in;
    let tenant = Tenant::on_behalf_of(organization_id);
    let tx = platform.db.begin().await?;
    let organization = super::organization_of(tx.conn(), tenant).await?;
    let user = User::find(tx.conn(), user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    let who = format!("{} ({})", user.account.display_name, user.email.email);
    let from = address_in_words(ip);
    mails::alarm_owners(platform, &tx, tenant, &organization.name, &who, &from, at).await?;
    let actor = Actor::user(user_id).with_ip(ip).with_user_agent(user_agent);
    let record = AuditRecord::new(Some(organization_id), actor, "sso_enforcement.exempt_sign_in")
        .target("user", user_id.0)
        .details(json!({"signed_in_at": at}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}
