//! `POST /api/v1/sso/abac/evaluate`: asks for a decision and the reasons for it, without any effect.
//!
//! Of oneself everybody may ask, as they stand there. Who manages single sign-on may ask of other members, and suppose: other
//! attributes, another time, another place.

use std::net::IpAddr;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::user::User;
use rivergen_kernel::{
    AbacPolicyId, Attributes, Caller, Error, ErrorCode, Federation as Vouched, Permission, Proofs, Result, Tenant,
    UserId, WorkspaceId,
    access::{Asker, Resource, Verdict},
    caller::Membership,
};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Column, Effect, Entity,
    compiled::{Compiled, Decision},
    facts::Facts,
};
use crate::Federation;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(as = EvaluateAbacRequest, example = json!({"action": "datasource.query", "resource": {"type": "datasource", "id": 7}}))]
pub struct EvaluateRequest {
    /// Without it, the caller.
    #[garde(dive)]
    pub subject: Option<SubjectAsked>,
    /// A permission of the catalogue.
    #[garde(length(max = 100))]
    #[schema(examples("datasource.query"))]
    pub action: String,
    #[garde(dive)]
    pub resource: ResourceAsked,
    /// What to assume about the request; without it, that of this request.
    #[garde(dive)]
    pub context: Option<ContextAsked>,
}

/// Whose access it is about.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct SubjectAsked {
    pub user_id: Option<UserId>,
    /// For administrators: attributes in addition to those of the member, or in their place. They are kept nowhere.
    #[garde(length(max = 100))]
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

/// What it is about.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ResourceAsked {
    #[serde(rename = "type")]
    #[garde(length(max = 100))]
    #[schema(examples("datasource"))]
    pub kind: String,
    /// One object; without it and without attributes, the permission as such.
    pub id: Option<i64>,
    #[garde(dive)]
    pub attributes: Option<ObjectAttributes>,
}

/// What policies look at of an object.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ObjectAttributes {
    pub workspace: Option<WorkspaceId>,
    pub owner: Option<UserId>,
}

/// What policies look at in a request.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(as = AbacContext)]
pub struct ContextAsked {
    #[schema(value_type = Option<String>, examples("203.0.113.7"))]
    pub ip: Option<IpAddr>,
    pub time: Option<DateTime<Utc>>,
    /// Whether the session has a second factor.
    pub mfa: Option<bool>,
    pub passkey: Option<bool>,
    /// Whether the session was started by the organization's identity provider.
    pub sso: Option<bool>,
    pub device_trusted: Option<bool>,
}

/// What the policies decide.
#[derive(Debug, Serialize, ToSchema)]
pub struct AbacDecisionAnswer {
    /// `not_applicable`: no policy applies, so only the roles decide.
    #[schema(inline)]
    pub decision: AbacDecision,
    /// Those that decided.
    pub matched_policies: Vec<MatchedPolicy>,
    /// Whether a role grants the permission.
    pub granted_by_role: bool,
    /// The result of both: whether the permission is granted.
    pub permitted: bool,
    #[schema(examples("A policy denies it."))]
    pub reason: String,
    pub message: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbacDecision {
    Allow,
    Deny,
    NotApplicable,
}

impl From<Verdict> for AbacDecision {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Deny => Self::Deny,
            Verdict::NotApplicable => Self::NotApplicable,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MatchedPolicy {
    pub id: AbacPolicyId,
    #[schema(examples("No queries from outside"))]
    pub name: String,
    #[schema(inline)]
    pub effect: Effect,
}

errors! { pub EvaluateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, MemberNotFound, ValidationError; }

/// Ask for an access decision and the reasons for it
///
/// Nothing is changed or recorded.
#[utoipa::path(post, path = "/api/v1/sso/abac/evaluate", tag = "sso", request_body = EvaluateRequest,
    responses((status = 200, description = "What the policies and the roles say", body = Envelope<AbacDecisionAnswer>), EvaluateErrors))]
pub async fn evaluate(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Json(request): Json<EvaluateRequest>,
) -> Result<Reply<AbacDecisionAnswer>> {
    let tenant = caller.tenant()?;
    let permission = request.permission()?;
    let suppositions = request.subject.as_ref().is_some_and(|subject| !subject.attributes.is_empty());
    let of_other = request.subject.as_ref().and_then(|subject| subject.user_id).filter(|user| *user != caller.user_id);
    if suppositions || of_other.is_some() || request.context.is_some() {
        caller.require(Permission::SsoManage)?;
    }
    let now = federation.platform().clock.now();
    let mut person = match of_other {
        Some(user) => Person::other(&federation, tenant, user, now).await?,
        None => Person::of(&caller)?,
    };
    if let Some(subject) = request.subject {
        person.membership.attributes.extend(subject.attributes);
    }
    let context = request.context.unwrap_or_default();
    person.suppose(&context, tenant);
    let object = request.resource.object();
    let access = federation.access();
    let groups = access.groups(tenant.organization_id(), person.user_id).await?;
    let asker = person.asker();
    let facts = Facts {
        asker: &asker,
        membership: &person.membership,
        groups: &groups,
        object: object.as_ref(),
        now: context.time.unwrap_or(now),
    };
    let compiled = access.compiled(tenant.organization_id()).await?;
    let decision =
        compiled.map_or_else(|| Compiled::default().decide(&facts, permission), |all| all.decide(&facts, permission));
    let granted_by_role = person.membership.permissions.contains(&permission);
    let permitted = person.membership.permitted(&asker, permission, decision.verdict);
    let matched_policies = matched(&federation, tenant, &decision).await?;
    let message = "This is what the policies say; nothing was done.";
    let answer = AbacDecisionAnswer {
        decision: decision.verdict.into(),
        matched_policies,
        granted_by_role,
        permitted,
        reason: reason(&decision, granted_by_role, permitted),
        message,
    };
    Ok(Reply::ok(answer, message))
}

impl EvaluateRequest {
    /// The permission that the action names; 422 where it is none, or none of the resource's type.
    fn permission(&self) -> Result<Permission> {
        let is_type = Permission::ALL.iter().any(|permission| permission.resource() == self.resource.kind);
        if !is_type {
            return Err(Error::invalid_field(
                "resource.type",
                "must be the part of a permission before the dot, such as datasource",
            ));
        }
        let permission = self.action.parse::<Permission>().ok();
        permission.filter(|permission| permission.resource() == self.resource.kind).ok_or_else(|| {
            Error::invalid_field("action", "must be a permission on the resource's type, such as datasource.query")
        })
    }
}

impl ResourceAsked {
    fn object(&self) -> Option<Resource> {
        let attributes = self.attributes.as_ref();
        let is_object = self.id.is_some() || attributes.is_some();
        is_object.then(|| Resource {
            id: self.id,
            workspace_id: attributes.and_then(|attributes| attributes.workspace),
            owner_id: attributes.and_then(|attributes| attributes.owner),
        })
    }
}

/// Whose access it is about.
struct Person {
    user_id: UserId,
    email: Option<String>,
    membership: Membership,
    proofs: Proofs,
    scopes: Option<rivergen_kernel::Scopes>,
}

impl Person {
    fn of(caller: &Caller) -> Result<Self> {
        Ok(Self {
            user_id: caller.user_id,
            email: caller.email_verified.then(|| caller.email.to_string()),
            membership: caller.membership()?.clone(),
            proofs: caller.proofs,
            scopes: caller.credential.scopes().cloned(),
        })
    }

    /// Another member, with a session of which nothing is known.
    async fn other(federation: &Federation, tenant: Tenant, user_id: UserId, now: DateTime<Utc>) -> Result<Self> {
        let standing = federation.tenancy.standings.of(tenant.organization_id(), user_id).await?;
        let membership =
            standing.and_then(|standing| standing.membership(None, now)).ok_or(ErrorCode::MemberNotFound)?;
        let user = User::find(federation.platform().db.read(), user_id).await?.ok_or(ErrorCode::MemberNotFound)?;
        let proofs =
            Proofs { second_factor: false, passkey: false, trusted_device: false, ip: None, federation: Vouched::No };
        let email = user.is_verified().then(|| user.email.email.clone());
        Ok(Self { user_id, email, membership, proofs, scopes: None })
    }

    fn suppose(&mut self, context: &ContextAsked, tenant: Tenant) {
        let proofs = &mut self.proofs;
        proofs.ip = context.ip.or(proofs.ip);
        proofs.second_factor = context.mfa.unwrap_or(proofs.second_factor);
        proofs.passkey = context.passkey.unwrap_or(proofs.passkey);
        proofs.trusted_device = context.device_trusted.unwrap_or(proofs.trusted_device);
        proofs.federation = match context.sso {
            Some(true) => Vouched::By(tenant.organization_id()),
            Some(false) => Vouched::No,
            None => proofs.federation,
        };
    }

    fn asker(&self) -> Asker<'_> {
        Asker { user_id: self.user_id, email: self.email.as_deref(), proofs: self.proofs, scopes: self.scopes.as_ref() }
    }
}

async fn matched(federation: &Federation, tenant: Tenant, decision: &Decision) -> Result<Vec<MatchedPolicy>> {
    let ids = decision.decided.iter().chain(&decision.broken).copied().map(AbacPolicyId).collect::<Vec<_>>();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tenant.find::<Entity>().filter(Column::Id.is_in(ids)).order_by_desc(Column::Priority);
    let rows = rows.order_by_asc(Column::Id).all(federation.platform().db.read()).await?;
    let matched = |row: super::Model| MatchedPolicy { id: row.id, name: row.name, effect: row.effect };
    Ok(rows.into_iter().map(matched).collect())
}

fn reason(decision: &Decision, granted_by_role: bool, permitted: bool) -> String {
    let text = match (decision.verdict, decision.broken.is_empty()) {
        (Verdict::Deny, _) if permitted => "A policy denies it, but owners can always manage the policies.",
        (Verdict::Deny, true) => "A policy denies it.",
        (Verdict::Deny, false) => {
            "A policy cannot be evaluated for this person, because an attribute has a different type than the policy \
             expects; this counts as a denial."
        }
        (Verdict::Allow, _) if permitted => "A policy allows it, and none denies it.",
        (Verdict::Allow, _) => "A policy allows it, but the token's scopes do not.",
        (Verdict::NotApplicable, _) if granted_by_role => "No policy applies to it; a role grants it.",
        (Verdict::NotApplicable, _) => "No policy applies to it, and no role grants it.",
    };
    text.to_owned()
}
