//! RiverGen as OAuth 2.1 authorization server and OpenID provider: other programs sign people in here, and act for them.
//!
//! ```text
//! browser ─▶ GET /oauth/authorize ─▶ signed in? consent? ─▶ redirect with a code ─▶ POST /oauth/token ─▶ access, refresh
//!                                                                                                        and ID tokens
//! service ─▶ POST /oauth/token (client_credentials) ─▶ access token ─▶ /api/v1/…, as the person who answers for it
//! ```
//!
//! [`application`] is who may ask ([`registration`] and [`client_document`]: also who came by itself), [`scope`] for what;
//! [`authorize`] asks the person, whose yes is a [`grant`] and stays known as a [`consent`]; [`token`] gives tokens for it.
//! [`access_token`] is what they say, and how one becomes the caller of a request: always a person, with what the scopes leave
//! of what they may do at that moment; [`id_token`] says who signed in, and how; [`keys`] sign both, and [`dpop`] binds the
//! former to a key of whoever uses it. [`revoke`], [`introspect`], [`userinfo`], [`metadata`] are the other doors of the
//! protocol; [`connected`] is where people see and end what they granted.

pub mod access_token;
pub mod application;
pub mod assertion;
pub mod authentication_context;
pub mod authorize;
pub mod client_authentication;
pub mod client_document;
pub mod client_metadata;
pub mod connected;
pub mod consent;
pub mod device;
pub mod dpop;
pub mod error;
pub mod form;
pub mod grant;
pub mod http;
pub mod id_token;
pub mod introspect;
pub mod keys;
pub mod metadata;
pub mod migrations;
pub mod personal_data;
pub mod policy;
pub mod published;
pub mod pushed;
pub mod registration;
pub mod request;
pub mod revoke;
pub mod scope;
mod sweep;
pub mod token;
pub mod userinfo;

use std::sync::Arc;

use axum::Router;
use rivergen_kernel::OrganizationId;
use rivergen_platform::{
    Platform,
    http::{Authenticator, TrustedProxies},
};
use rivergen_tenancy::Tenancy;
use url::Url;
use utoipa_axum::router::OpenApiRouter;

pub use access_token::Access;
pub use keys::{Algorithms, Keys, TokenAlgorithm};
pub use sweep::register_jobs;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an access token lives where the organization asks for no shorter life.
    pub access_token_lifetime: chrono::Duration,
    /// Whether a proof of a key must have a nonce of this server's (RFC 9449, section 8).
    pub dpop_nonce: bool,
    /// Whether programs may register themselves (RFC 7591), where an organization's policy lets them too.
    pub dynamic_registration: bool,
    /// Whether programs may tell of themselves in a document at their client id, where the organization's policy lets them too.
    pub client_documents: bool,
    /// Whether the console is there, which signs people in in more ways than the pages here.
    pub console: bool,
    /// The organization of programs that come without anybody's token.
    pub organization: Option<OrganizationId>,
}

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Oauth {
    pub tenancy: Tenancy,
    pub(crate) access: Access,
    /// Who a browser's cookie says is there.
    pub(crate) authenticator: Arc<dyn Authenticator>,
}

impl Oauth {
    pub fn new(tenancy: Tenancy, access: Access, authenticator: Arc<dyn Authenticator>) -> Self {
        Self { tenancy, access, authenticator }
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.tenancy.identity.platform
    }

    /// Who issues the tokens, as it stands in them (RFC 8414, section 2).
    pub(crate) fn issuer(&self) -> &str {
        &self.platform().public_url
    }

    /// The address of the API, by which it is known as a protected resource beside the server's own.
    pub(crate) fn api(&self) -> String {
        format!("{}/api/v1", self.issuer())
    }

    /// Whether the address is this server's own or its API's, however it is written.
    pub(crate) fn is_own(&self, resource: &str) -> bool {
        let Ok(resource) = Url::parse(resource) else { return false };
        [self.issuer(), &self.api()].into_iter().any(|own| {
            Url::parse(own)
                .is_ok_and(|own| resource.as_str().trim_end_matches('/') == own.as_str().trim_end_matches('/'))
        })
    }
}

/// The operations of the API: registration, a front end's decision, what people have granted.
pub fn operations() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .merge(application::operations())
        .merge(policy::operations())
        .merge(authorize::operations())
        .merge(connected::operations())
}

/// The operations of the protocol, which have bodies and errors of their own.
pub fn protocol() -> OpenApiRouter<Oauth> {
    OpenApiRouter::new()
        .merge(authorize::protocol())
        .merge(pushed::protocol())
        .merge(device::protocol())
        .merge(token::protocol())
        .merge(revoke::protocol())
        .merge(introspect::protocol())
        .merge(registration::protocol())
        .merge(userinfo::protocol())
        .merge(metadata::protocol())
}

/// The same, with what surrounds them.
pub fn router(oauth: Oauth, proxies: Arc<TrustedProxies>) -> Router {
    http::surrounded(oauth, proxies)
}
