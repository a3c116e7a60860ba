//! What an organization's own access policies add to the roles, as the one place asks where permissions are checked.
//!
//! The policies are written, compiled and evaluated in a room above; a [`crate::caller::Membership`] carries them, so that
//! whoever has a caller has their policies too and no check needs to ask anybody. The algebra stands with the
//! implementation.

use std::fmt;

use crate::{Permission, Proofs, Scopes, UserId, WorkspaceId, caller::Membership};

/// One object that a permission is about, as far as policies look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// `None` for one that is about to be made.
    pub id: Option<i64>,
    /// `None` for what belongs to the whole organization.
    pub workspace_id: Option<WorkspaceId>,
    pub owner_id: Option<UserId>,
}

/// Who asks, as far as policies look at it, beside what they are in the organization.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub user_id: UserId,
    /// `None` where it is not proved.
    pub email: Option<&'a str>,
    pub proofs: Proofs,
    /// Of the token that asks for its owner.
    pub scopes: Option<&'a Scopes>,
}

impl Asker<'_> {
    /// Whether the scopes of a token let the permission through; a session is not narrowed.
    pub fn lets_through(&self, permission: Permission) -> bool {
        self.scopes.is_none_or(|scopes| !scopes.narrow(&[permission].into()).is_empty())
    }
}

/// What the policies say of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Beats every allowance, and the roles.
    Deny,
    /// Nothing: the roles decide alone.
    NotApplicable,
}

/// The compiled policies of an organization, as they hold for one of its members. A member of an organization without
/// policies has none, which costs nothing.
pub trait AccessPolicies: fmt::Debug + Send + Sync {
    /// Whether they let somebody do it: to the object, or at all. What looks at objects says nothing where there is none.
    fn decide(
        &self,
        asker: &Asker<'_>,
        membership: &Membership,
        permission: Permission,
        object: Option<&Resource>,
    ) -> Verdict;

    /// Whether some policy on the permission looks at the single object.
    fn look_at_objects(&self, permission: Permission) -> bool;
}

/// The same where they are the same in memory: nobody compares what policies mean.
impl PartialEq for dyn AccessPolicies {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self, other)
    }
}
