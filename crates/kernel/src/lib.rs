//! Plain types that every room of the house shares, and no I/O.
//!
//! - [`id`]: one newtype per kind of object, so that a user's id cannot stand where a role's must.
//! - [`error`]: the one [`Error`] that the API answers and the one catalogue of its codes.
//! - [`access`]: what an organization's own access policies say beside the roles.
//! - [`caller`]: who is asking, in which organization, and what they may do ([`Caller`], [`Tenant`]).
//! - [`permission`]: the catalogue of permissions and the built-in roles.
//! - [`page`]: paging of lists, asked for and answered.
//! - [`scope`]: what a token is confined to, whatever its owner may do.
//! - [`secret`]: values that do not print, and random tokens of which only a hash is kept.

pub mod access;
pub mod caller;
pub mod error;
pub mod id;
pub mod page;
pub mod permission;
pub mod scope;
pub mod secret;

pub use caller::{Attributes, Caller, Closed, Credential, Extent, Federation, MissingScope, Proofs, Tenant};
pub use error::{Error, ErrorCode, FieldError, Result};
pub use id::*;
pub use page::{Page, PageRequest, Pagination};
pub use permission::{BuiltInRole, Permission, PermissionSet};
pub use scope::{Scope, Scopes};
pub use secret::{Secret, Token, TokenHash};
