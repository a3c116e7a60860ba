//! Single sign-on, provisioning (SCIM), and access by attributes.

use serde_json::{Value, json};

use super::{Entry, entry, nothing, unique, unique_issuer};
use crate::tenant_matrix::access::Access::{
    Members, NotFor, NotForRefusing, Provisioner, PublicRefusing, Untried, UntriedProvisioner,
};

pub const ENTRIES: &[Entry] = &[
    // Single sign-on: providers and sign-ins.
    entry(
        "POST /api/v1/sso/providers",
        NotFor("Developer"),
        |_| json!({"provider_type": "oidc", "name": unique(""), "issuer": unique_issuer(), "client_id": "x"}),
    ),
    entry("GET /api/v1/sso/providers", NotFor("Developer"), nothing),
    entry("GET /api/v1/sso/providers/{provider_id}", NotFor("Developer"), nothing),
    entry("PUT /api/v1/sso/providers/{provider_id}", NotFor("Developer"), |_| json!({"name": unique("")})),
    entry("DELETE /api/v1/sso/providers/{provider_id}", Untried(Some("Developer")), nothing),
    entry("POST /api/v1/sso/providers/{provider_id}/test", NotFor("Developer"), nothing),
    entry("GET /api/v1/sso/providers/{provider_id}/identities", NotFor("Developer"), nothing),
    entry(
        "DELETE /api/v1/sso/providers/{provider_id}/identities/{user_id}",
        NotForRefusing("Developer", "USER_NOT_FOUND"),
        nothing,
    ),
    entry("GET /api/v1/sso/metadata", NotForRefusing("Developer", "VALIDATION_ERROR"), nothing),
    entry("GET /api/v1/sso/setup/{vendor}", NotFor("Developer"), nothing),
    entry("GET /api/v1/sso/login", PublicRefusing("VALIDATION_ERROR"), nothing),
    entry("GET /api/v1/sso/oidc/callback", PublicRefusing("VALIDATION_ERROR"), nothing),
    entry("GET /api/v1/sso/oidc/callback/{organization_id}", PublicRefusing("VALIDATION_ERROR"), nothing),
    entry("GET /api/v1/sso/oidc/callback/{organization_id}/{provider_id}", PublicRefusing("VALIDATION_ERROR"), nothing),
    entry("POST /api/v1/sso/oidc/backchannel-logout/{provider_id}", PublicRefusing("BAD_REQUEST"), nothing),
    entry("POST /api/v1/sso/token", PublicRefusing("INVALID_CODE"), |_| json!({"code": "x", "redirect_uri": "x"})),
    entry("POST /api/v1/sso/logout", Members, |_| json!({})),
    // SAML: what identity providers read and post. The matrix has a provider of OpenID Connect.
    entry("GET /api/v1/sso/saml/metadata/{provider_id}", PublicRefusing("PROVIDER_NOT_FOUND"), nothing),
    entry("POST /api/v1/sso/saml/acs/{provider_id}", PublicRefusing("SAML_RESPONSE_INVALID"), nothing),
    entry("GET /api/v1/sso/saml/slo/{provider_id}", PublicRefusing("PROVIDER_NOT_FOUND"), nothing),
    entry("POST /api/v1/sso/saml/slo/{provider_id}", PublicRefusing("SAML_RESPONSE_INVALID"), nothing),
    // SCIM.
    entry("POST /api/v1/sso/scim/config", NotFor("Developer"), |ids| json!({"provider_id": ids.provider_id})),
    entry("GET /api/v1/sso/scim/config", NotFor("Developer"), nothing),
    entry("POST /api/v1/sso/scim/sync", NotFor("Developer"), |ids| json!({"provider_id": ids.provider_id})),
    entry("GET /scim/v2/ServiceProviderConfig", Provisioner, nothing),
    entry("GET /scim/v2/Schemas", Provisioner, nothing),
    entry("GET /scim/v2/Schemas/{urn}", Provisioner, nothing),
    entry("GET /scim/v2/ResourceTypes", Provisioner, nothing),
    entry("GET /scim/v2/ResourceTypes/{name}", Provisioner, nothing),
    entry("GET /scim/v2/Users", Provisioner, nothing),
    entry("POST /scim/v2/Users", Provisioner, |_| scim_user(&unique("@new.example"))),
    entry("POST /scim/v2/Users/.search", Provisioner, |_| scim_search()),
    entry("GET /scim/v2/Users/{user_id}", Provisioner, nothing),
    entry("PUT /scim/v2/Users/{user_id}", Provisioner, |_| scim_user(&unique("@new.example"))),
    entry("PATCH /scim/v2/Users/{user_id}", Provisioner, |_| scim_patch("title")),
    entry("DELETE /scim/v2/Users/{user_id}", UntriedProvisioner, nothing),
    entry("GET /scim/v2/Groups", Provisioner, nothing),
    entry("POST /scim/v2/Groups", Provisioner, |_| scim_group()),
    entry("POST /scim/v2/.search", Provisioner, |_| scim_search()),
    entry("POST /scim/v2/Groups/.search", Provisioner, |_| scim_search()),
    entry("GET /scim/v2/Groups/{scim_group_id}", Provisioner, nothing),
    entry("PUT /scim/v2/Groups/{scim_group_id}", Provisioner, |_| scim_group()),
    entry("PATCH /scim/v2/Groups/{scim_group_id}", Provisioner, |_| scim_patch("displayName")),
    entry("DELETE /scim/v2/Groups/{scim_group_id}", UntriedProvisioner, nothing),
    entry(
        "POST /scim/v2/Bulk",
        Provisioner,
        |_| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": []}),
    ),
    entry("POST /api/v1/sso/abac/policies", NotFor("Developer"), |_| {
        json!({"name": unique(" policy"), "effect": "deny", "resource_type": "datasource", "actions": ["datasource.delete"],
            "conditions": {"attribute": "subject.mfa", "operator": "eq", "value": true}})
    }),
    entry("GET /api/v1/sso/abac/policies", NotFor("Developer"), nothing),
    entry("PUT /api/v1/sso/abac/policies/{policy_id}", NotFor("Developer"), |_| json!({"name": unique(" policy")})),
    entry("DELETE /api/v1/sso/abac/policies/{policy_id}", Untried(Some("Developer")), nothing),
    entry(
        "POST /api/v1/sso/abac/evaluate",
        Members,
        |_| json!({"action": "datasource.query", "resource": {"type": "datasource"}}),
    ),
    entry("GET /api/v1/sso/enforcement/status/{organization_id}", NotFor("Developer"), nothing),
    entry("GET /api/v1/sso/enforcement/migration-plan/{organization_id}", NotFor("Developer"), nothing),
    entry(
        "POST /api/v1/sso/enforcement/enforce/{organization_id}",
        NotForRefusing("Developer", "REAUTHENTICATION_REQUIRED"),
        |_| json!({"mfa_mode": "warn"}),
    ),
    entry(
        "POST /api/v1/sso/enforcement/notifications/{organization_id}",
        NotForRefusing("Developer", "VALIDATION_ERROR"),
        nothing,
    ),
    entry(
        "POST /api/v1/sso/enforcement/bulk-action/{organization_id}",
        NotForRefusing("Developer", "VALIDATION_ERROR"),
        |_| json!({}),
    ),
];

pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn scim_user(user_name: &str) -> Value {
    json!({"schemas": [USER_SCHEMA], "userName": user_name})
}

fn scim_group() -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": unique(" group")})
}

fn scim_patch(attribute: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": attribute, "value": unique("")}]})
}

fn scim_search() -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]})
}
