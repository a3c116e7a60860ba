//! From what an identity provider says of a person to a member who is signed in.

use std::collections::BTreeMap;

use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// What a provider says of a person, after its signature, its audience and its time were checked. The same for both
/// protocols; what becomes of it is decided here alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// OpenID Connect's `sub`, SAML's NameID.
    pub subject: String,
    /// Lower-cased.
    pub email: Option<String>,
    /// Whether the provider says that the address is the person's. What SAML says is said so.
    pub email_verified: bool,
    pub display_name: Option<String>,
    /// By the provider's own names.
    pub attributes: BTreeMap<String, Vec<String>>,
    pub groups: Vec<String>,
    /// Whether the provider asked for two factors (`amr` with `mfa`, or an authentication context that says so).
    pub second_factor: bool,
    /// What the provider calls its session (`sid`, SessionIndex): a logout names it.
    pub idp_session: Option<String>,
}

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}
