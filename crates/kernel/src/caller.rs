//! Who is asking.
//!
//! A [`Caller`] is made in one place (the extractor of `platform`) from a verified token; nothing else
//! makes one from outside. A [`Tenant`] is the proof that an organization is the caller's own: each query
//! on an organization's rows takes one, so the scope is an argument that cannot be forgotten.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use chrono::{DateTime, Duration, Utc};

use crate::{
    Error, ErrorCode, FieldError, OauthApplicationId, OauthGrantId, OrganizationId, Permission, PermissionSet, Result,
    RoleId, Scopes, SessionId, TokenId, UserId, WorkspaceId,
    access::{AccessPolicies, Asker, Resource, Verdict},
};

/// How old a proof may be for what changes how an account is secured.
pub const RECENT_PROOF: Duration = Duration::minutes(10);

/// What is known of a person inside an organization and may be named in policies as `current_user_<key>`.
/// Set by administrators, never by the person.
pub type Attributes = BTreeMap<String, serde_json::Value>;

/// A verified person, in the organization and workspace that their session stands in.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user_id: UserId,
    pub credential: Credential,
    pub email: Arc<str>,
    pub email_verified: bool,
    /// When the person last gave a proof (password or factor); the beginning of time where nobody knows.
    pub authenticated_at: DateTime<Utc>,
    /// `None` for a person who belongs to no organization any more.
    pub membership: Option<Arc<Membership>>,
    pub proofs: Proofs,
    /// Why nothing of the organization is open, whatever the roles say.
    pub closed: Option<Closed>,
}

/// What a request proves, for what organizations demand of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proofs {
    /// Whether the session was opened with two factors. A token stands for the session that made it.
    pub second_factor: bool,
    /// Whether it was opened with a passkey.
    pub passkey: bool,
    /// Whether it was opened on a device that is trusted.
    pub trusted_device: bool,
    /// Where the request comes from, as far as the trusted proxies tell it.
    pub ip: Option<IpAddr>,
    pub federation: Federation,
}

impl Proofs {
    /// Of what goes on after the session that began it, which proved whatever was asked for: work in the background, a link.
    pub fn of_what_goes_on(ip: Option<IpAddr>) -> Self {
        Self { second_factor: true, passkey: true, trusted_device: false, ip, federation: Federation::Any }
    }
}

/// Which organization's identity provider vouches for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Federation {
    /// None: the person proved who they are to this server.
    No,
    /// That of this one opened the session.
    By(OrganizationId),
    /// Whichever is asked for: of what goes on after the session that began it.
    Any,
}

impl Federation {
    /// Whose identity provider opened the session, where one did.
    pub fn provider(self) -> Option<OrganizationId> {
        match self {
            Self::By(organization) => Some(organization),
            Self::No | Self::Any => None,
        }
    }

    /// Whether the organization's own identity provider vouches.
    pub fn is_by(self, organization: OrganizationId) -> bool {
        self == Self::Any || self == Self::By(organization)
    }
}

/// Why an organization is closed to a request of its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It demands a second factor that the session does not have.
    SecondFactor,
    /// It demands a passkey that the session was not opened with.
    Passkey,
    /// It does not admit requests from there.
    Network,
    /// It demands a sign-in through its own identity provider.
    SingleSignOn,
    /// The identity provider of another organization opened the session, which vouches there alone.
    Elsewhere,
}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::SecondFactor => ErrorCode::SecondFactorRequired.into(),
            Closed::Passkey => Error::new(ErrorCode::SecondFactorRequired)
                .with_message("Your organization requires passkeys: add one to your account and sign in with it."),
            Closed::SingleSignOn => ErrorCode::SsoRequired.into(),
            Closed::Elsewhere => Error::new(ErrorCode::Forbidden).with_message(
                "This session was started by another organization's identity provider; sign in here yourself.",
            ),
            Closed::Network => Error::new(ErrorCode::Forbidden)
                .with_message("Your organization does not allow requests from this network."),
        }
    }
}

/// What the request was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The person themselves, signed in.
    Session(SessionId),
    /// A program with a token of the person's.
    PersonalToken {
        id: TokenId,
        scopes: Scopes,
        /// The one organization that it is bound to.
        organization_id: Option<OrganizationId>,
    },
    /// An application that someone has allowed to act for them.
    Application {
        application_id: OauthApplicationId,
        /// What the person granted; none where it acts for whoever answers for the application.
        grant_id: Option<OauthGrantId>,
        scopes: Scopes,
        /// The one organization that it is bound to.
        organization_id: OrganizationId,
    },
}

impl Credential {
    /// What a token is confined to; `None` for the person themselves.
    pub fn scopes(&self) -> Option<&Scopes> {
        match self {
            Self::Session(_) => None,
            Self::PersonalToken { scopes, .. } | Self::Application { scopes, .. } => Some(scopes),
        }
    }
}

/// What a caller is in one organization.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub role_ids: Vec<RoleId>,
    pub role_names: Vec<String>,
    /// The roles that they hold in other workspaces than the one they stand in. They give nothing here; data policies that are
    /// bound to them hold for what belongs to those workspaces, or one could choose by where one stands.
    pub roles_elsewhere: Vec<(WorkspaceId, RoleId)>,
    /// What holds where the session stands.
    pub permissions: PermissionSet,
    /// Those of them that a role in the whole organization gives: they hold in every workspace.
    pub organization_permissions: PermissionSet,
    pub attributes: Attributes,
    /// When the first of its roles on loan ends.
    pub valid_until: Option<DateTime<Utc>>,
    /// What the organization's access policies say of this member beside the roles; `None` where it has none.
    pub policies: Option<Arc<dyn AccessPolicies>>,
}

impl Membership {
    /// What is left of it for a token with these scopes.
    pub fn narrowed(&self, scopes: &Scopes) -> Self {
        Self {
            permissions: scopes.narrow(&self.permissions),
            organization_permissions: scopes.narrow(&self.organization_permissions),
            ..self.clone()
        }
    }

    /// The one rule of who may do what, written down with its laws in `federation::abac`: a permission holds where a role
    /// gives it or a policy allows it, and no policy denies it.
    pub fn holds(&self, asker: &Asker<'_>, permission: Permission, object: Option<&Resource>) -> bool {
        let verdict = match &self.policies {
            Some(policies) => policies.decide(asker, self, permission, object),
            None => Verdict::NotApplicable,
        };
        self.permitted(asker, permission, verdict)
    }

    /// What comes of the roles and of what the policies say.
    pub fn permitted(&self, asker: &Asker<'_>, permission: Permission, verdict: Verdict) -> bool {
        let by_role = self.permissions.contains(&permission);
        match verdict {
            Verdict::Deny => by_role && self.keeps(permission),
            Verdict::Allow => by_role || asker.lets_through(permission),
            Verdict::NotApplicable => by_role,
        }
    }

    /// What no policy takes away: the owners' hand on the policies themselves.
    fn keeps(&self, permission: Permission) -> bool {
        matches!(permission, Permission::SsoRead | Permission::SsoManage) && self.holds_everything()
    }

    /// Whether its roles are as good as an owner's.
    pub fn holds_everything(&self) -> bool {
        Permission::ALL.iter().all(|permission| self.organization_permissions.contains(permission))
    }
}

/// For how much of an organization somebody holds a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Organization,
    /// The workspace that their session stands in, and what belongs to no workspace.
    Workspace(WorkspaceId),
}

impl Caller {
    /// The session; 403 for a token, which never acts on its owner's account.
    pub fn session(&self) -> Result<SessionId> {
        match self.credential {
            Credential::Session(id) => Ok(id),
            Credential::PersonalToken { .. } | Credential::Application { .. } => {
                Err(Error::new(ErrorCode::Forbidden).with_message("A token cannot do this; sign in."))
            }
        }
    }

    /// The session, where its person gave a proof in the last ten minutes.
    pub fn recently_proved(&self, now: DateTime<Utc>) -> Result<SessionId> {
        let session = self.session()?;
        if now - self.authenticated_at <= RECENT_PROOF {
            Ok(session)
        } else {
            Err(ErrorCode::ReauthenticationRequired.into())
        }
    }

    /// As [`Caller::recently_proved`], with a second factor that was given then: a trusted device stands for one that was given
    /// once. The refusal names it, so that a client knows to ask for it.
    pub fn recently_proved_twice(&self, now: DateTime<Utc>) -> Result<SessionId> {
        let session = self.session()?;
        let is_given = self.proofs.second_factor && !self.proofs.trusted_device;
        if is_given && now - self.authenticated_at <= RECENT_PROOF {
            return Ok(session);
        }
        let message = "Sign in again with a second factor: this requires one entered within the last 10 minutes; a \
                       trusted device does not replace it.";
        let reason = "is required; a trusted device does not replace it";
        Err(Error::new(ErrorCode::ReauthenticationRequired)
            .with_message(message)
            .with_details(vec![FieldError::new("second_factor", reason)]))
    }

    /// 403 for a token that may only read, or that is bound to one organization, where no permission says so.
    pub fn may_change(&self) -> Result<()> {
        match &self.credential {
            Credential::Session(_) => Ok(()),
            Credential::PersonalToken { scopes, organization_id: None, .. } if scopes.may_change() => Ok(()),
            Credential::PersonalToken { .. } | Credential::Application { .. } => {
                Err(Error::new(ErrorCode::Forbidden).with_message("The token's scopes do not allow this."))
            }
        }
    }

    /// The one organization that the caller's token is bound to.
    pub fn bound_to(&self) -> Option<OrganizationId> {
        match &self.credential {
            Credential::PersonalToken { organization_id, .. } => *organization_id,
            Credential::Application { organization_id, .. } => Some(*organization_id),
            Credential::Session(_) => None,
        }
    }

    /// The organization that the session stands in; 403 for somebody without one.
    pub fn membership(&self) -> Result<&Membership> {
        if let Some(closed) = self.closed {
            return Err(closed.into());
        }
        self.membership
            .as_deref()
            .ok_or_else(|| Error::new(ErrorCode::Forbidden).with_message("You do not belong to any organization."))
    }

    fn asker(&self) -> Asker<'_> {
        Asker {
            user_id: self.user_id,
            email: Some(&*self.email).filter(|_| self.email_verified),
            proofs: self.proofs,
            scopes: self.credential.scopes(),
        }
    }

    /// Checks the permission in the session's organization and hands out its scope.
    pub fn require(&self, permission: Permission) -> Result<Tenant> {
        let membership = self.membership()?;
        match membership.holds(&self.asker(), permission, None) {
            true => Ok(Tenant { organization_id: membership.organization_id }),
            false => Err(self.missing(membership, permission)),
        }
    }

    fn missing(&self, membership: &Membership, permission: Permission) -> Error {
        let error = Error::new(ErrorCode::Forbidden).with_message(match membership.permissions.contains(&permission) {
            true => format!("An access policy of your organization does not allow you to do this now: {permission}."),
            false => format!("You need the permission {permission} ({})", permission.sentence()),
        });
        match self.asker().lets_through(permission) {
            true => error,
            false => error.with_source(MissingScope(permission)),
        }
    }

    /// Whether an access policy of the organization denies the permission as such, to this request; what is denied on single
    /// objects alone is not.
    pub fn is_denied(&self, permission: Permission) -> Result<bool> {
        let membership = self.membership()?;
        let policies = membership.policies.as_ref();
        let verdict = policies.map(|policies| policies.decide(&self.asker(), membership, permission, None));
        Ok(verdict == Some(Verdict::Deny) && !membership.holds(&self.asker(), permission, None))
    }

    /// As [`Caller::require`], on one object: policies that look at its id, its workspace or its owner bite here.
    pub fn require_on(&self, permission: Permission, object: &Resource) -> Result<Tenant> {
        let membership = self.membership()?;
        match membership.holds(&self.asker(), permission, Some(object)) {
            true => Ok(Tenant { organization_id: membership.organization_id }),
            false => Err(self.missing(membership, permission)),
        }
    }

    /// Whether [`Caller::require_on`] may answer another thing than [`Caller::require`] for some object.
    pub fn is_judged_by_object(&self, permission: Permission) -> bool {
        let policies = self.membership.as_ref().and_then(|membership| membership.policies.as_ref());
        policies.is_some_and(|policies| policies.look_at_objects(permission))
    }

    /// As [`Caller::require`], with how far the permission reaches: what of the organization belongs to a workspace is
    /// for those who hold the permission there. A policy that allows it does so in the whole organization.
    pub fn require_extent(&self, permission: Permission) -> Result<(Tenant, Extent)> {
        let tenant = self.require(permission)?;
        let membership = self.membership()?;
        let everywhere = membership.organization_permissions.contains(&permission)
            || membership.policies.as_ref().is_some_and(|policies| {
                policies.decide(&self.asker(), membership, permission, None) == Verdict::Allow
                    && self.asker().lets_through(permission)
            });
        let extent = match membership.workspace_id {
            Some(workspace) if !everywhere => Extent::Workspace(workspace),
            _ => Extent::Organization,
        };
        Ok((tenant, extent))
    }

    /// 403 where the permissions are more than the caller's own: nobody grants what they do not hold. What a policy
    /// allows them is not theirs to give, and what one denies them neither.
    pub fn may_grant(&self, permissions: &PermissionSet) -> Result<()> {
        let membership = self.membership()?;
        let held = |permission: &Permission| {
            membership.permissions.contains(permission) && membership.holds(&self.asker(), *permission, None)
        };
        match permissions.iter().find(|permission| !held(permission)) {
            None => Ok(()),
            Some(missing) => Err(Error::new(ErrorCode::Forbidden)
                .with_message(format!("That is more than you have yourself: {missing} ({})", missing.sentence()))),
        }
    }

    /// The session's organization, where membership alone suffices.
    pub fn tenant(&self) -> Result<Tenant> {
        Ok(Tenant { organization_id: self.membership()?.organization_id })
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.closed.is_none() && self.membership.as_ref().is_some_and(|m| m.holds(&self.asker(), permission, None))
    }

    /// The same person, standing in another of their organizations, which may be closed to them. What a token may do is
    /// narrowed there too.
    pub fn within(&self, membership: &Membership, closed: Option<Closed>) -> Caller {
        let membership = match self.credential.scopes() {
            Some(scopes) => membership.narrowed(scopes),
            None => membership.clone(),
        };
        Caller { membership: Some(Arc::new(membership)), closed, ..self.clone() }
    }
}

/// The permission that the scopes of a token did not let through: the source of a `FORBIDDEN`, from which the layers above read
/// what a program is told to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token's scopes do not let {0} through")]
pub struct MissingScope(pub Permission);

impl MissingScope {
    /// What an error says of a scope.
    pub fn of(error: &Error) -> Option<Self> {
        error.source.as_deref()?.downcast_ref::<Self>().copied()
    }
}

/// The scope of one organization. Only a membership gives one, or a job that acts for the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenant {
    organization_id: OrganizationId,
}

impl Tenant {
    /// For what the server does on an organization's behalf with no caller at hand: jobs, provisioning.
    /// Never for an id that came with a request.
    pub fn on_behalf_of(organization_id: OrganizationId) -> Self {
        Self { organization_id }
    }

    pub fn organization_id(&self) -> OrganizationId {
        self.organization_id
    }
}
