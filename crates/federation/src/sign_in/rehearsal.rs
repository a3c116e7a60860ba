//! A sign-in of an administrator who tries a provider out: it goes the whole way, and in place of a session shows what the
//! provider says, what becomes of it, and what would happen.

use rivergen_kernel::{Result, RoleId, SsoProviderId, UserId};
use rivergen_platform::http::Reply;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::{
    Assertion,
    admission::{self, Account, Refusal},
    attributes,
    roles::Plan,
};
use crate::{
    Federation,
    provider::{self, Status},
};

/// What a sign-in would have done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rehearsal {
    pub provider_id: SsoProviderId,
    /// What the provider said, by its own names.
    pub claims: BTreeMap<String, Vec<String>>,
    pub mapped: RehearsedClaims,
    pub roles: RehearsedRoles,
    #[schema(inline)]
    pub decision: Decision,
    /// The decision in words, with its reason.
    #[schema(examples("Would be linked to the account of ada@acme.example."))]
    pub explanation: String,
    pub user_id: Option<UserId>,
}

/// What the mapping makes of the claims.
#[derive(Debug, Serialize, ToSchema)]
pub struct RehearsedClaims {
    pub subject: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub groups: Vec<String>,
    pub second_factor: bool,
    /// What policies would name as `current_user_<key>`; null where the claim did not come.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
}

/// What the groups would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct RehearsedRoles {
    pub given: Vec<RehearsedRole>,
    pub taken: Vec<RoleId>,
    /// Those that the person has already.
    pub kept: Vec<RehearsedRole>,
    /// Groups that no role is mapped to.
    pub groups_without_role: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RehearsedRole {
    pub role_id: RoleId,
    #[schema(examples("Developer"))]
    pub name: String,
    /// The group that gives it.
    pub group: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Known already: would be signed in.
    SignIn,
    /// Would be linked to an existing member.
    Link,
    /// An existing account would become a member, and be linked.
    Join,
    /// An account would be made.
    Create,
    Refuse,
}

pub(super) async fn show(
    federation: &Federation,
    provider: &provider::Model,
    assertion: &Assertion,
) -> Result<Reply<Rehearsal>> {
    let platform = federation.platform();
    let db = platform.db.read();
    let admission = admission::decide(db, provider, assertion, platform.clock.now()).await?;
    let (decision, explanation, user_id) = match &admission {
        Err(refusal) => (Decision::Refuse, refused(refusal), None),
        Ok(admission) => match (&admission.account, &admission.member, &admission.link) {
            (Account::New(email), ..) => (Decision::Create, format!("Would be created as {email}."), None),
            (Account::Known(user), None, _) => {
                let email = &user.email.email;
                (Decision::Join, format!("The account of {email} would become a member."), Some(user.id()))
            }
            (Account::Known(user), Some(_), None) => {
                let email = &user.email.email;
                (Decision::Link, format!("Would be linked to the account of {email}."), Some(user.id()))
            }
            (Account::Known(user), Some(_), Some(_)) => {
                (Decision::SignIn, format!("Would be signed in as {}.", user.email.email), Some(user.id()))
            }
        },
    };
    let plan = Plan::of(db, provider, user_id, &assertion.groups, platform.clock.now()).await?;
    let mut explanation = explanation;
    if provider.status == Status::Inactive && decision != Decision::Refuse {
        explanation.push_str(" The provider is inactive: until it is active, nobody signs in through it.");
    }
    let said = attributes::said(provider, assertion);
    let role = |role: rivergen_tenancy::role::Model, group| RehearsedRole { role_id: role.id, name: role.name, group };
    let shown = Rehearsal {
        provider_id: provider.id,
        claims: assertion.attributes.clone(),
        mapped: RehearsedClaims {
            subject: assertion.subject.clone(),
            email: assertion.email.clone(),
            email_verified: assertion.email_verified,
            name: assertion.display_name.clone(),
            groups: assertion.groups.clone(),
            second_factor: assertion.second_factor,
            attributes: said.into_iter().map(|(key, value)| (key, value.unwrap_or(Value::Null))).collect(),
        },
        roles: RehearsedRoles {
            given: plan.give.into_iter().map(|(given, group)| role(given, Some(group))).collect(),
            taken: plan.take.into_iter().map(|grant| grant.role_id).collect(),
            kept: plan.kept.into_iter().map(|kept| role(kept, None)).collect(),
            groups_without_role: plan.without_role,
        },
        decision,
        explanation,
        user_id,
    };
    Ok(Reply::ok(shown, "Nobody was signed in: this is what would have happened."))
}

fn refused(refusal: &Refusal) -> String {
    format!("Would be refused: {refusal}.")
}
