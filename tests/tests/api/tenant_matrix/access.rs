//! Who may call an operation, and what they are answered.

use rivergen_tests::Answer;

/// Who may call an operation.
#[derive(Clone, Copy, PartialEq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Every member, whatever their role.
    Members,
    /// Members of some roles; not this one.
    NotFor(&'static str),
    /// As `NotFor`, and the Owner is refused with this code, which only the operation itself gives: the object is in a
    /// state in which it cannot be done, or an entry before it took it away.
    NotForRefusing(&'static str, &'static str),
    /// Everybody, and this body is refused with a code that only the operation itself gives: the call went as far as
    /// it can, and its good way has a test of its own.
    PublicRefusing(&'static str),
    /// Everybody, as a standard says it; this call is refused in its words.
    Protocol(&'static str),
    /// Every member, and this body is refused for what it says.
    MembersRefusing(&'static str),
    /// The Owner, whose own object the path names; for every other member it does not exist.
    Own,
    /// As `Own`, and the Owner is refused with this code: the object is in a state in which it cannot be done.
    OwnRefusing(&'static str),
    /// As `Own`, and not tried out: the object is needed after it.
    Destroys,
    /// As `NotFor` of that role, or else as `Members`, and not tried out: what it takes away is needed after it.
    Untried(Option<&'static str>),
    /// The organization's identity provider, with its token; every person is answered 401.
    Provisioner,
    /// As `Provisioner`, and not tried out: what it takes away is needed after it.
    UntriedProvisioner,
}
use Access::{
    MembersRefusing, NotFor, NotForRefusing, OwnRefusing, Protocol, Provisioner, Public, PublicRefusing, Untried,
    UntriedProvisioner,
};

impl Access {
    pub fn is_public(self) -> bool {
        matches!(self, Public | PublicRefusing(_) | Protocol(_))
    }

    pub fn is_of_provisioner(self) -> bool {
        matches!(self, Provisioner | UntriedProvisioner)
    }

    /// The strongest role that must not.
    pub fn forbidden_to(self) -> Option<&'static str> {
        match self {
            NotFor(role) | NotForRefusing(role, _) | Untried(Some(role)) => Some(role),
            _ => None,
        }
    }

    /// What an authorized caller is answered.
    pub fn is_control(self, answer: &Answer) -> bool {
        match self {
            PublicRefusing(code) | MembersRefusing(code) | NotForRefusing(_, code) | OwnRefusing(code) => {
                answer.body["error"]["code"] == code
            }
            Protocol(code) => answer.body["error"] == code,
            _ => answer.status.is_success(),
        }
    }
}
