//! Other programs: applications of organizations, and the protocols that they speak.

use serde_json::{Value, json};

use super::{Entry, entry, nothing, unique};
use crate::tenant_matrix::access::Access::{
    Members, MembersRefusing, NotFor, NotForRefusing, Protocol, Public, PublicRefusing, Untried,
};

pub const ENTRIES: &[Entry] = &[
    entry("POST /api/v1/organizations/{org_id}/oauth-applications", NotFor("Developer"), |_| oauth_application()),
    entry("GET /api/v1/organizations/{org_id}/oauth-applications", NotFor("Developer"), nothing),
    entry("GET /api/v1/organizations/{org_id}/oauth-applications/{app_id}", NotFor("Developer"), nothing),
    entry(
        "PATCH /api/v1/organizations/{org_id}/oauth-applications/{app_id}",
        NotFor("Developer"),
        |_| json!({"description": "Weekly"}),
    ),
    entry("DELETE /api/v1/organizations/{org_id}/oauth-applications/{app_id}", Untried(Some("Developer")), nothing),
    entry("POST /api/v1/organizations/{org_id}/oauth-applications/{app_id}/revoke", NotFor("Developer"), nothing),
    entry(
        "POST /api/v1/organizations/{org_id}/oauth-applications/{app_id}/regenerate-secret",
        NotFor("Developer"),
        nothing,
    ),
    entry(
        "POST /api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets",
        NotFor("Developer"),
        |_| json!({"expires_in_days": 1}),
    ),
    entry("GET /api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets", NotFor("Developer"), nothing),
    entry(
        "DELETE /api/v1/organizations/{org_id}/oauth-applications/{app_id}/secrets/{secret}",
        NotForRefusing("Developer", "NOT_FOUND"),
        nothing,
    ),
    entry("GET /api/v1/organizations/{org_id}/oauth-applications/{app_id}/usage", NotFor("Developer"), nothing),
    entry("GET /api/v1/organizations/{org_id}/oauth-policy", NotFor("Developer"), nothing),
    entry("PUT /api/v1/organizations/{org_id}/oauth-policy", NotFor("Developer"), |_| json!({"applications": "all"})),
    entry(
        "POST /api/v1/oauth/authorize",
        MembersRefusing("invalid_client"),
        |_| json!({"client_id": "nobody", "redirect_uri": "https://x.example/", "approve": true}),
    ),
    entry("GET /api/v1/oauth/app-info", PublicRefusing("VALIDATION_ERROR"), nothing),
    entry("GET /api/v1/oauth/branding", PublicRefusing("VALIDATION_ERROR"), nothing),
    entry("GET /api/v1/oauth/connected-applications", Members, nothing),
    entry("DELETE /api/v1/oauth/connected-applications/{app_id}", MembersRefusing("application_not_found"), nothing),
    entry("GET /oauth/authorize", Protocol("invalid_client"), nothing),
    entry("POST /oauth/authorize", Protocol("invalid_request"), nothing),
    entry("GET /oauth/logout", Public, nothing),
    entry("POST /oauth/device_authorization", Protocol("invalid_request"), nothing),
    entry("POST /oauth/par", Protocol("invalid_request"), nothing),
    entry("POST /oauth/token", Protocol("invalid_request"), nothing),
    entry("POST /oauth/token/revoke", Protocol("invalid_request"), nothing),
    entry("POST /oauth/introspect", Protocol("invalid_request"), nothing),
    entry("GET /oauth/userinfo", Protocol("invalid_token"), nothing),
    entry("POST /oauth/register", Protocol("access_denied"), nothing),
    entry("GET /oauth/registration", Protocol("invalid_token"), nothing),
    entry("PUT /oauth/registration", Protocol("invalid_token"), nothing),
    entry("DELETE /oauth/registration", Protocol("invalid_token"), nothing),
    entry("GET /oauth/jwks", Public, nothing),
    entry("GET /.well-known/oauth-authorization-server", Public, nothing),
    entry("GET /.well-known/openid-configuration", Public, nothing),
    entry("GET /.well-known/oauth-protected-resource", Public, nothing),
];

pub fn oauth_application() -> Value {
    json!({"name": unique(" app"), "grant_types": ["authorization_code", "client_credentials"], "scopes": ["read"],
        "redirect_uris": ["https://app.example/callback"]})
}
