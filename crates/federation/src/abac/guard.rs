//! What is asked before a policy is saved: that it says anything, that nobody gives what they do not hold, and that nobody locks
//! the owners out.

use rivergen_identity::user::User;
use rivergen_kernel::{
    Caller, Error, Permission, Result, Tenant, UserId,
    access::{Asker, Verdict},
};
use rivergen_platform::Transaction;
use rivergen_tenancy::{
    member::{self, assignment},
    standing::Standing,
};
use sea_orm::QuerySelect;

use super::{
    Effect,
    compiled::{Compiled, Rule},
    facts::Facts,
    store,
};
use crate::Federation;

/// Owners who are asked about; where the first of them keep their hand on it, the organization does.
const MOST_OWNERS: u64 = 50;

/// A policy that is about to hold. `caller` stands in the whole organization: what they hold in the workspace of their session
/// must not be carried out of it.
pub(super) async fn check(
    federation: &Federation,
    tx: &Transaction,
    caller: &Caller,
    tenant: Tenant,
    rule: &Rule,
) -> Result<()> {
    if !rule.takes_any_in() {
        return Err(Error::invalid_field("cedar", "does not name any of the actions, so it would be silently ignored"));
    }
    match rule.effect {
        Effect::Allow => caller.may_grant(&rule.permissions),
        Effect::Deny if rule.permissions.contains(&Permission::SsoManage) => {
            refuse_lockout(federation, tx, caller, tenant, rule).await
        }
        Effect::Deny => Ok(()),
    }
}

/// 422 where it would deny `sso.manage` to every owner. What it says depends on the hour and the place too: it is asked as if
/// each came as the caller does.
async fn refuse_lockout(
    federation: &Federation,
    tx: &Transaction,
    caller: &Caller,
    tenant: Tenant,
    rule: &Rule,
) -> Result<()> {
    let owners = member::ownerships(tx, tenant).await?.select_only().column(assignment::Column::UserId);
    let owners: Vec<UserId> = owners.limit(MOST_OWNERS).into_tuple().all(tx.conn()).await?;
    let now = federation.platform().clock.now();
    let mut compiled = Compiled::default();
    compiled.add(0, rule);
    for owner in owners {
        let standing = Standing::load(tx.conn(), tenant.organization_id(), owner).await?;
        let Some(membership) = standing.and_then(|standing| standing.membership(None, now)) else { continue };
        let Some(user) = User::find(tx.conn(), owner).await? else { continue };
        let email = Some(user.email.email.as_str()).filter(|_| user.is_verified());
        let groups = store::groups_of(tx.conn(), tenant, owner).await?;
        let asker = Asker { user_id: owner, email, proofs: caller.proofs, scopes: None };
        let facts = Facts { asker: &asker, membership: &membership, groups: &groups, object: None, now };
        if compiled.decide(&facts, Permission::SsoManage).verdict != Verdict::Deny {
            return Ok(());
        }
    }
    Err(Error::invalid_field(
        "actions",
        "would take sso.manage away from every owner, so nobody could change the policies any more: leave it out, or \
         exempt someone with a condition",
    ))
}
