//! The tenant matrix: every operation of the OpenAPI document, called without a token, with a role that may not, and
//! with another tenant's ids. An operation without an entry here fails, so the matrix grows with the API.
//!
//! ```text
//! control      an Owner with their own ids                      →  2xx, so the refusals below mean something; or
//!              the refusal of the operation's own that its entry names, where a good call needs another server
//! no token     everything but the public operations             →  401; SCIM, every person
//! wrong role   the strongest role that must not                 →  403
//! foreign ids  each id in the path, each id-bearing body field  →  404, and in the query: an empty list
//! ```

use std::collections::BTreeMap;

use rivergen_tests::{Answer, Backend, Client, NameServer, Organization, Server, on_both_backends};
use serde_json::{Value, json};

on_both_backends! {
    every_operation_keeps_tenants_and_roles_apart;
}

/// A provider that exists by its name alone.
const SETTINGS: &str = "[social.github]\nkind = \"github\"\nclient_id = \"x\"\nclient_secret = \"x\"\n";

/// Who may call an operation.
#[derive(Clone, Copy, PartialEq)]
enum Access {
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
    Destroys, Members, MembersRefusing, NotFor, NotForRefusing, Own, OwnRefusing, Protocol, Provisioner, Public,
    PublicRefusing, Untried, UntriedProvisioner,
};

impl Access {
    fn is_public(self) -> bool {
        matches!(self, Public | PublicRefusing(_) | Protocol(_))
    }

    fn is_of_provisioner(self) -> bool {
        matches!(self, Provisioner | UntriedProvisioner)
    }

    /// The strongest role that must not.
    fn forbidden_to(self) -> Option<&'static str> {
        match self {
            NotFor(role) | NotForRefusing(role, _) | Untried(Some(role)) => Some(role),
            _ => None,
        }
    }

    /// What an authorized caller is answered.
    fn is_control(self, answer: &Answer) -> bool {
        match self {
            PublicRefusing(code) | MembersRefusing(code) | NotForRefusing(_, code) | OwnRefusing(code) => {
                answer.body["error"]["code"] == code
            }
            Protocol(code) => answer.body["error"] == code,
            _ => answer.status.is_success(),
        }
    }
}

/// One operation: who may call it, and a body that an Owner may send.
struct Entry {
    operation: &'static str,
    access: Access,
    body: fn(&Ids) -> Value,
}

const fn entry(operation: &'static str, access: Access, body: fn(&Ids) -> Value) -> Entry {
    Entry { operation, access, body }
}

fn nothing(_: &Ids) -> Value {
    Value::Null
}

/// What a provider would give, under a state that was never made.
fn made_up_code() -> Value {
    json!({"provider": "github", "code": "x", "state": "x"})
}

/// The table. A body with a file is sent as the form of an upload.
const ENTRIES: &[Entry] = &[
    entry("POST /api/v1/auth/signup", Public, |_| json!({"email": unique("@new.example"), "password": PASSWORD})),
    entry("POST /api/v1/auth/login", Public, |ids| json!({"email": ids.owner, "password": PASSWORD})),
    entry("POST /api/v1/auth/refresh", Public, |ids| json!({"refresh_token": ids.refresh_token})),
    entry("POST /api/v1/auth/verify-email", Public, |ids| json!({"token": ids.verification_token})),
    entry("POST /api/v1/auth/resend-verification", Public, |_| json!({"email": "nobody@new.example"})),
    entry("GET /api/v1/auth/oauth/providers", Public, nothing),
    entry("GET /api/v1/auth/oauth/{provider}/url", Public, nothing),
    entry("POST /api/v1/auth/oauth/login", PublicRefusing("INVALID_STATE"), |_| made_up_code()),
    entry("POST /api/v1/auth/oauth/signup", PublicRefusing("INVALID_STATE"), |_| made_up_code()),
    entry("GET /api/v1/auth/oauth/{provider}/callback", PublicRefusing("MISSING_AUTHORIZATION_CODE"), nothing),
    entry("POST /api/v1/auth/oauth/{provider}/callback", PublicRefusing("INVALID_REQUEST"), nothing),
    entry("POST /api/v1/auth/oauth/handover", PublicRefusing("INVALID_TOKEN"), |_| json!({"handover_code": "x"})),
    entry("GET /api/v1/auth/social-accounts", Members, nothing),
    entry("POST /api/v1/auth/social-accounts/{provider}", MembersRefusing("INVALID_STATE"), |_| made_up_code()),
    entry("DELETE /api/v1/auth/social-accounts/{provider}", MembersRefusing("SOCIAL_ACCOUNT_NOT_FOUND"), nothing),
    entry("POST /api/v1/auth/logout", Members, nothing),
    // It would end the sessions that the others need.
    entry("POST /api/v1/auth/logout-all", MembersRefusing("VALIDATION_ERROR"), |_| json!({"except_current": "no"})),
    entry("GET /api/v1/auth/me", Members, nothing),
    entry(
        "DELETE /api/v1/auth/me",
        MembersRefusing("INVALID_CURRENT_PASSWORD"),
        |_| json!({"current_password": "Wrong1horse"}),
    ),
    entry("PUT /api/v1/auth/me/profile", Members, |_| json!({"display_name": "Somebody"})),
    entry("POST /api/v1/auth/me/emails", Members, |_| json!({"email": unique("@new.example")})),
    entry("POST /api/v1/auth/switch-workspace", Members, |ids| json!({"workspace_id": ids.workspace_id})),
    entry("POST /api/v1/auth/forgot-password", Public, |_| json!({"email": "nobody@new.example"})),
    entry(
        "POST /api/v1/auth/reset-password",
        PublicRefusing("INVALID_TOKEN"),
        |_| json!({"token": "of nobody", "new_password": PASSWORD}),
    ),
    entry(
        "POST /api/v1/auth/change-password",
        MembersRefusing("INVALID_CURRENT_PASSWORD"),
        |_| json!({"current_password": "Wrong1horse", "new_password": "Correct2horse"}),
    ),
    entry(
        "POST /api/v1/auth/mfa/otp/generate",
        PublicRefusing("INVALID_TEMPORARY_TOKEN"),
        |_| json!({"temporary_token": "of nobody", "method": "totp"}),
    ),
    entry(
        "POST /api/v1/auth/mfa/verify",
        PublicRefusing("INVALID_TOKEN"),
        |_| json!({"temporary_token": "of nobody", "code": "123456"}),
    ),
    entry("POST /api/v1/webauthn/register/start", Members, |_| json!({"device_name": "laptop"})),
    entry(
        "POST /api/v1/webauthn/register/complete",
        MembersRefusing("CHALLENGE_NOT_FOUND"),
        |_| json!({"device_name": "laptop", "credential": {}}),
    ),
    entry("POST /api/v1/webauthn/authenticate/start", Public, |_| json!({"email": "nobody@new.example"})),
    entry(
        "POST /api/v1/webauthn/authenticate/complete",
        PublicRefusing("CHALLENGE_NOT_FOUND"),
        |_| json!({"credential": {}}),
    ),
    entry("GET /api/v1/webauthn/credentials", Members, nothing),
    entry("DELETE /api/v1/webauthn/credentials/{credential_id}", MembersRefusing("CREDENTIAL_NOT_FOUND"), nothing),
    entry("GET /api/v1/sessions", Members, nothing),
    entry("DELETE /api/v1/sessions/{session_id}", Own, nothing),
    entry("POST /api/v1/mfa/totp/setup", Members, |_| json!({"device_name": "phone"})),
    entry("POST /api/v1/mfa/totp/verify", MembersRefusing("VALIDATION_ERROR"), |_| json!({"code": "1"})),
    entry("GET /api/v1/mfa/totp/devices", Members, nothing),
    entry("DELETE /api/v1/mfa/totp/devices/{device_id}", MembersRefusing("DEVICE_NOT_FOUND"), nothing),
    entry("POST /api/v1/mfa/email-otp/setup", Members, nothing),
    entry("POST /api/v1/mfa/email-otp/verify", MembersRefusing("VALIDATION_ERROR"), |_| json!({"code": "1"})),
    entry("DELETE /api/v1/mfa/email-otp", MembersRefusing("MFA_METHOD_NOT_FOUND"), nothing),
    entry("GET /api/v1/mfa/status", Members, nothing),
    entry("GET /api/v1/mfa/backup-codes", Members, nothing),
    entry("POST /api/v1/mfa/backup-codes/generate", MembersRefusing("MFA_NOT_ENABLED"), |_| json!({})),
    entry("GET /api/v1/devices/", Members, nothing),
    entry(
        "POST /api/v1/devices/activate",
        MembersRefusing("INVALID_ACTIVATION_TOKEN"),
        |_| json!({"activation_token": "of nobody"}),
    ),
    entry(
        "POST /api/v1/devices/skip",
        MembersRefusing("INVALID_ACTIVATION_TOKEN"),
        |_| json!({"activation_token": "of nobody"}),
    ),
    entry("DELETE /api/v1/devices/{device_id}", MembersRefusing("DEVICE_NOT_FOUND"), nothing),
    entry("POST /api/v1/auth/tokens", Members, |_| json!({"name": "a program", "scopes": ["read"]})),
    entry("GET /api/v1/auth/tokens", Members, nothing),
    entry("PATCH /api/v1/auth/tokens/{token_id}", Own, |_| json!({"name": "another program"})),
    entry("DELETE /api/v1/auth/tokens/{token_id}", Destroys, nothing),
    entry(
        "POST /api/v1/organizations",
        Public,
        |_| json!({"name": unique(" Ltd"), "admin_email": unique("@new.example"), "admin_password": PASSWORD}),
    ),
    entry("GET /api/v1/organizations", Members, nothing),
    entry("GET /api/v1/organizations/{org_id}", Members, nothing),
    entry("PATCH /api/v1/organizations/{org_id}", NotFor("Developer"), |_| json!({"domain": "acme.example"})),
    entry("DELETE /api/v1/organizations/{org_id}", Untried(Some("Admin")), |_| json!({"confirm_name": "Acme"})),
    entry("GET /api/v1/organizations/{org_id}/settings", NotFor("Developer"), nothing),
    entry(
        "PATCH /api/v1/organizations/{org_id}/settings",
        NotFor("Developer"),
        |_| json!({"settings": {"invitation_expiry_days": 5}}),
    ),
    entry("GET /api/v1/organizations/{org_id}/audit-logs", NotFor("Developer"), nothing),
    entry("GET /api/v1/organizations/{org_id}/domains", Members, nothing),
    entry(
        "POST /api/v1/organizations/{org_id}/domains",
        NotFor("Developer"),
        |_| json!({"domain": unique(".example")}),
    ),
    entry(
        "PATCH /api/v1/organizations/{org_id}/domains/{domain_id}",
        NotForRefusing("Developer", "DOMAIN_NOT_VERIFIED"),
        |_| json!({"auto_join": true}),
    ),
    entry("DELETE /api/v1/organizations/{org_id}/domains/{domain_id}", Untried(Some("Developer")), nothing),
    entry(
        "POST /api/v1/organizations/{org_id}/domains/{domain_id}/verify",
        NotForRefusing("Developer", "DOMAIN_PROOF_MISSING"),
        nothing,
    ),
    entry("POST /api/v1/organizations/{org_id}/workspaces", NotFor("Developer"), |_| json!({"name": unique(" Lab")})),
    entry("GET /api/v1/organizations/{org_id}/workspaces", Members, nothing),
    entry("GET /api/v1/organizations/{org_id}/members", NotFor("Viewer"), nothing),
    entry("GET /api/v1/organizations/{org_id}/members/{user_id}", Members, nothing),
    entry(
        "PATCH /api/v1/organizations/{org_id}/members/{user_id}",
        NotFor("Developer"),
        |_| json!({"status": "active"}),
    ),
    entry("DELETE /api/v1/organizations/{org_id}/members/{user_id}", Untried(Some("Developer")), nothing),
    entry("POST /api/v1/organizations/{org_id}/leave", Untried(None), nothing),
    entry(
        "POST /api/v1/organizations/{org_id}/members/invite",
        NotFor("Developer"),
        |ids| json!({"email": unique("@new.example"), "workspace_id": ids.workspace_id, "role_id": ids.role_id}),
    ),
    entry(
        "POST /api/v1/organizations/{org_id}/members/invite/bulk",
        NotFor("Developer"),
        |ids| json!({"invitations": [{"email": unique("@new.example"), "workspace_id": ids.workspace_id, "role_id": ids.role_id}]}),
    ),
    entry("GET /api/v1/organizations/{org_id}/invitations", NotFor("Developer"), nothing),
    entry("POST /api/v1/organizations/{org_id}/invitations/{invitation_id}/resend", NotFor("Developer"), nothing),
    entry("GET /api/v1/invitations", Members, nothing),
    entry("GET /api/v1/invitations/{invitation}", Public, nothing),
    entry("DELETE /api/v1/invitations/{invitation}", Untried(Some("Developer")), nothing),
    entry("POST /api/v1/invitations/{invitation_token}/accept", MembersRefusing("EMAIL_MISMATCH"), nothing),
    entry("POST /api/v1/organizations/{org_id}/tokens", Members, |_| json!({"name": "a program", "scopes": ["read"]})),
    entry("GET /api/v1/organizations/{org_id}/tokens", NotFor("Developer"), nothing),
    entry("DELETE /api/v1/organizations/{org_id}/tokens/{token_id}", Untried(Some("Developer")), nothing),
    entry("GET /api/v1/organizations/{org_id}/workspaces/{workspace_id}", Members, nothing),
    entry(
        "PATCH /api/v1/organizations/{org_id}/workspaces/{workspace_id}",
        NotFor("Developer"),
        |_| json!({"description": "Where it begins."}),
    ),
    entry(
        "DELETE /api/v1/organizations/{org_id}/workspaces/{workspace_id}",
        NotForRefusing("Developer", "DEFAULT_WORKSPACE"),
        nothing,
    ),
    entry("POST /api/v1/organizations/{org_id}/workspaces/{workspace_id}/default", NotFor("Developer"), nothing),
    entry("GET /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members",
        NotFor("Developer"),
        |ids| json!({"user_id": ids.user_id, "role_id": ids.role_id}),
    ),
    entry(
        "DELETE /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}",
        NotFor("Developer"),
        nothing,
    ),
    // It comes after the one that takes the member out.
    entry(
        "PATCH /api/v1/organizations/{org_id}/workspaces/{workspace_id}/members/{user_id}",
        NotForRefusing("Developer", "MEMBER_NOT_FOUND"),
        |ids| json!({"role_id": ids.role_id}),
    ),
    entry(
        "POST /api/v1/workspaces",
        NotFor("Developer"),
        |ids| json!({"name": unique(" Lab"), "organization_id": ids.organization_id}),
    ),
    entry("GET /api/v1/workspaces", Members, nothing),
    entry("GET /api/v1/users", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/users",
        NotFor("Developer"),
        |ids| json!({"email": unique("@new.example"), "display_name": "New", "organization_id": ids.organization_id, "role_id": ids.role_id}),
    ),
    entry(
        "POST /api/v1/users/bulk-import",
        NotFor("Developer"),
        |ids| json!({"organization_id": ids.organization_id, "format": "csv", "content": "email\nx@new.example\n", "dry_run": true}),
    ),
    entry("GET /api/v1/users/bulk-import/{import_id}", MembersRefusing("IMPORT_NOT_FOUND"), nothing),
    entry(
        "POST /api/v1/users/merge",
        Untried(Some("Developer")),
        |ids| json!({"source_user_id": ids.user_id, "target_user_id": ids.owner_id}),
    ),
    entry("POST /api/v1/users/search", NotFor("Viewer"), |ids| json!({"organization_id": ids.organization_id})),
    entry("GET /api/v1/users/{user_id}", Members, nothing),
    entry("PUT /api/v1/users/{user_id}", Members, |_| json!({"display_name": "Somebody"})),
    entry("PUT /api/v1/users/{user_id}/status", NotFor("Developer"), |_| json!({"status": "active"})),
    entry(
        "POST /api/v1/users/bulk-status",
        NotFor("Developer"),
        |ids| json!({"organization_id": ids.organization_id, "user_ids": [ids.user_id], "status": "active"}),
    ),
    entry("DELETE /api/v1/users/{user_id}", Untried(Some("Developer")), nothing),
    entry("GET /api/v1/users/{user_id}/activity", Members, nothing),
    entry("GET /api/v1/organizations/{org_id}/roles", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/organizations/{org_id}/roles",
        NotFor("Developer"),
        |_| json!({"name": unique(" role"), "permissions": ["role.read"]}),
    ),
    entry("GET /api/v1/organizations/{org_id}/roles/{role_id}", NotFor("Viewer"), nothing),
    entry(
        "PATCH /api/v1/organizations/{org_id}/roles/{role_id}",
        NotFor("Developer"),
        |_| json!({"description": "changed"}),
    ),
    entry("DELETE /api/v1/organizations/{org_id}/roles/{role_id}", NotForRefusing("Developer", "ROLE_IN_USE"), nothing),
    entry("GET /api/v1/roles", Members, nothing),
    entry(
        "POST /api/v1/roles",
        NotFor("Developer"),
        |ids| json!({"name": unique(" role"), "permissions": ["role.read"], "organization_id": ids.organization_id}),
    ),
    entry("GET /api/v1/roles/permissions", Members, nothing),
    entry("GET /api/v1/roles/templates", NotFor("Viewer"), nothing),
    entry("POST /api/v1/roles/bulk-assign", NotFor("Developer"), |ids| {
        json!({"organization_id": ids.organization_id, "operations": [
            {"action": "assign", "role_id": ids.role_id, "user_id": ids.user_id}]})
    }),
    entry("POST /api/v1/roles/check", Members, |ids| {
        json!({"permissions": ["datasource.query"], "user_id": ids.user_id, "organization_id": ids.organization_id,
            "workspace_id": ids.workspace_id})
    }),
    entry("GET /api/v1/roles/users/{user_id}/permissions", Members, nothing),
    entry("GET /api/v1/roles/{role_id}", Members, nothing),
    entry("PUT /api/v1/roles/{role_id}", NotFor("Developer"), |_| json!({"description": "changed"})),
    entry("DELETE /api/v1/roles/{role_id}", NotForRefusing("Developer", "ROLE_IN_USE"), nothing),
    entry("POST /api/v1/roles/{role_id}/clone", NotFor("Developer"), |_| json!({"name": unique(" role")})),
    entry("POST /api/v1/roles/{role_id}/impact", NotFor("Developer"), |_| json!({"permissions": []})),
    entry("GET /api/v1/roles/{role_id}/assignments", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/roles/{role_id}/assignments",
        NotFor("Developer"),
        |ids| json!({"user_id": ids.user_id, "workspace_id": ids.workspace_id}),
    ),
    entry("DELETE /api/v1/roles/{role_id}/assignments/{assignment_id}", NotFor("Developer"), nothing),
    entry("GET /api/v1/workspaces/{workspace_id}", Members, nothing),
    entry("PUT /api/v1/workspaces/{workspace_id}", NotFor("Developer"), |_| json!({"settings": {}})),
    entry("DELETE /api/v1/workspaces/{workspace_id}", NotForRefusing("Developer", "DEFAULT_WORKSPACE"), nothing),
    entry("POST /api/v1/workspaces/{workspace_id}/clone", NotFor("Developer"), |_| json!({"name": unique(" Lab")})),
    entry("GET /api/v1/workspaces/{workspace_id}/settings", Members, nothing),
    entry(
        "PUT /api/v1/workspaces/{workspace_id}/settings",
        NotFor("Developer"),
        |_| json!({"settings": {"allow_public_access": false}}),
    ),
    entry(
        "POST /api/v1/workspaces/provision",
        NotFor("Developer"),
        |ids| json!({"organization_id": ids.organization_id, "workspaces": [{"name": unique(" Lab")}]}),
    ),
    entry("GET /api/v1/users/{user_id}/export", Members, nothing),
    entry("POST /api/v1/storage/upload", NotFor("Viewer"), |_| json!({"file": "a.csv"})),
    entry("GET /api/v1/storage/files", Members, nothing),
    entry("GET /api/v1/storage/buckets", Members, nothing),
    entry("GET /api/v1/storage/buckets/{bucket_name}/objects", Members, nothing),
    // The Owner's own: it is read by nobody else, seen and deleted by whoever manages the storage.
    entry("GET /api/v1/storage/objects/{object_name}", NotFor("Admin"), nothing),
    entry("GET /api/v1/storage/objects/{object_name}/metadata", NotFor("Developer"), nothing),
    entry("GET /api/v1/storage/objects/{object_name}/presigned-url", NotFor("Admin"), nothing),
    entry("DELETE /api/v1/storage/objects/{object_name}", Untried(Some("Developer")), nothing),
    entry("GET /api/v1/storage/quota", Members, nothing),
    entry("GET /api/v1/storage/usage", Members, nothing),
    entry("GET /api/v1/storage/usage/people", NotFor("Developer"), nothing),
    entry("GET /api/v1/storage/download/{token}", Public, nothing),
    entry("GET /api/v1/storage/links", Members, nothing),
    entry("DELETE /api/v1/storage/links/{link_id}", Destroys, nothing),
    entry("GET /api/v1/storage/shares", Members, nothing),
    entry(
        "POST /api/v1/storage/shares",
        NotFor("Viewer"),
        |ids| json!({"folder": unique(""), "workspace_id": ids.workspace_id}),
    ),
    entry("DELETE /api/v1/storage/shares/{share_id}", NotFor("Viewer"), nothing),
    entry("OPTIONS /api/v1/storage/tus", Public, nothing),
    entry("POST /api/v1/storage/tus", NotFor("Viewer"), nothing),
    entry("HEAD /api/v1/storage/tus/{upload_id}", NotFor("Viewer"), nothing),
    entry("PATCH /api/v1/storage/tus/{upload_id}", NotFor("Viewer"), nothing),
    entry("DELETE /api/v1/storage/tus/{upload_id}", Untried(Some("Viewer")), nothing),
    entry("GET /api/v1/data-sources", Members, nothing),
    entry(
        "POST /api/v1/data-sources",
        NotFor("Viewer"),
        |ids| json!({"name": unique(" source"), "type": "csv", "file_path": ids.file_path, "workspace_id": ids.workspace_id}),
    ),
    entry("GET /api/v1/data-sources/{data_source_id}", Members, nothing),
    entry("GET /api/v1/data-sources/types", Members, nothing),
    entry("PATCH /api/v1/data-sources/{data_source_id}", NotFor("Viewer"), |_| json!({"description": "What we sell"})),
    entry("DELETE /api/v1/data-sources/{data_source_id}", Untried(Some("Viewer")), nothing),
    entry("POST /api/v1/data-sources/{data_source_id}/restore", NotForRefusing("Viewer", "CONFLICT"), nothing),
    entry(
        "PATCH /api/v1/data-sources/{data_source_id}/credentials",
        NotFor("Viewer"),
        |_| json!({"username": "somebody"}),
    ),
    entry("GET /api/v1/data-sources/{data_source_id}/schemas", Members, nothing),
    entry("GET /api/v1/data-sources/{data_source_id}/health", Members, nothing),
    entry("GET /api/v1/data-sources/{data_source_id}/drift", Members, nothing),
    entry("GET /api/v1/data-sources/{data_source_id}/discoveries", NotFor("Viewer"), nothing),
    entry("GET /api/v1/data-sources/{data_source_id}/file-url", Members, nothing),
    entry("POST /api/v1/data-sources/{data_source_id}/discover-schema", NotFor("Viewer"), nothing),
    entry("POST /api/v1/data-sources/{data_source_id}/test", NotFor("Viewer"), |_| json!({})),
    entry(
        "POST /api/v1/data-sources/{data_source_id}/query",
        Members,
        |ids| json!({"query": "SELECT 1", "additional_data_source_ids": [ids.data_source_id]}),
    ),
    entry("GET /api/v1/queries", Members, nothing),
    entry("GET /api/v1/queries/{query_id}", Own, nothing),
    entry("POST /api/v1/queries/{query_id}/cancel", OwnRefusing("CONFLICT"), nothing),
    entry("GET /api/v1/queries/{query_id}/result", OwnRefusing("NOT_FOUND"), nothing),
    entry("GET /api/v1/data-sources/{data_source_id}/tags", NotFor("Viewer"), nothing),
    entry(
        "PUT /api/v1/data-sources/{data_source_id}/tags",
        NotFor("Developer"),
        |_| json!({"columns": [{"table": "products", "column": "sku", "tags": ["internal"]}]}),
    ),
    entry("POST /api/v1/data-sources/{data_source_id}/tags/proposals", NotFor("Developer"), |_| json!({})),
    entry("GET /api/v1/policies", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/policies",
        NotFor("Developer"),
        |ids| json!({"name": "p", "type": "query_limit", "data_source_ids": [ids.data_source_id], "role_ids": [ids.role_id]}),
    ),
    entry("GET /api/v1/policies/dashboard", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/policies/simulate",
        NotFor("Developer"),
        |ids| json!({"user_id": ids.user_id, "data_source_id": ids.data_source_id, "workspace_id": ids.workspace_id}),
    ),
    entry(
        "POST /api/v1/policies/explain",
        Members,
        |ids| json!({"data_source_id": ids.data_source_id, "table": "products"}),
    ),
    entry(
        "POST /api/v1/policies/detokenize",
        NotFor("Developer"),
        |_| json!({"tokens": ["tok_x"], "reason": "a test"}),
    ),
    entry("GET /api/v1/policies/{policy_id}", NotFor("Viewer"), nothing),
    entry("PATCH /api/v1/policies/{policy_id}", NotFor("Developer"), |_| json!({"description": "changed"})),
    entry("DELETE /api/v1/policies/{policy_id}", Untried(Some("Developer")), nothing),
    entry("POST /api/v1/policies/{policy_id}/restore", NotForRefusing("Developer", "CONFLICT"), nothing),
    entry("GET /api/v1/policies/{policy_id}/versions", NotFor("Viewer"), nothing),
    entry("GET /api/v1/policies/{policy_id}/versions/{version}", NotFor("Viewer"), nothing),
    entry("POST /api/v1/policies/{policy_id}/versions/{version}/restore", NotFor("Developer"), nothing),
    entry("GET /api/v1/policies/{policy_id}/assignments", NotFor("Viewer"), nothing),
    entry("POST /api/v1/policies/{policy_id}/assignments", NotFor("Developer"), |ids| json!({"role_id": ids.role_id})),
    entry(
        "DELETE /api/v1/policies/{policy_id}/assignments/{policy_assignment_id}",
        Untried(Some("Developer")),
        nothing,
    ),
    entry("GET /api/v1/policies/{policy_id}/evaluations", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/prompts/execute",
        Members,
        |ids| json!({"prompt_text": "How many products are there?", "selected_data_source_ids": [ids.data_source_id]}),
    ),
    entry("GET /api/v1/prompts", Members, nothing),
    entry("GET /api/v1/prompts/history", Members, nothing),
    entry("DELETE /api/v1/prompts/history/clear", Untried(None), nothing),
    entry("GET /api/v1/prompts/analytics/query-analytics", Members, nothing),
    entry("GET /api/v1/prompts/{prompt_id}", Members, nothing),
    entry("PATCH /api/v1/prompts/{prompt_id}", NotFor("Viewer"), |_| json!({"name": unique("")})),
    entry("DELETE /api/v1/prompts/{prompt_id}", Untried(Some("Viewer")), nothing),
    entry("POST /api/v1/prompts/{prompt_id}/restore", NotFor("Viewer"), nothing),
    entry("GET /api/v1/prompts/{prompt_id}/versions", Members, nothing),
    entry("POST /api/v1/prompts/{prompt_id}/versions/{version}/restore", NotFor("Viewer"), nothing),
    entry("POST /api/v1/prompts/{prompt_id}/execute", Members, nothing),
    entry("GET /api/v1/prompts/{prompt_id}/executions", Members, nothing),
    entry("GET /api/v1/prompts/{prompt_id}/analytics", Members, nothing),
    entry("GET /api/v1/prompts/executions/{execution_id}", Own, nothing),
    entry("GET /api/v1/prompts/executions/{execution_id}/events", Own, nothing),
    entry("POST /api/v1/prompts/executions/{execution_id}/cancel", OwnRefusing("CONFLICT"), nothing),
    entry(
        "POST /api/v1/prompts/executions/{execution_id}/feedback",
        Own,
        |_| json!({"verdict": "wrong", "comment": "No."}),
    ),
    entry(
        "POST /api/v1/prompts/executions/{execution_id}/clarify",
        OwnRefusing("CONFLICT"),
        |_| json!({"choice": "orders.region"}),
    ),
    // The question of it is saved.
    entry("POST /api/v1/prompts/executions/{execution_id}/save", OwnRefusing("CONFLICT"), |_| json!({})),
    entry("GET /api/v1/prompts/glossary", Members, nothing),
    entry(
        "PUT /api/v1/prompts/glossary",
        NotFor("Viewer"),
        |_| json!({"terms": [{"term": "wares", "means": "products"}]}),
    ),
    entry("GET /api/v1/prompts/semantic-layer", Members, nothing),
    entry("POST /api/v1/prompts/semantic-layer", NotFor("Viewer"), |_| synonym(&unique(""))),
    entry("PUT /api/v1/prompts/semantic-layer/{semantic_entry_id}", NotFor("Viewer"), |_| synonym("wares")),
    entry("DELETE /api/v1/prompts/semantic-layer/{semantic_entry_id}", Untried(Some("Viewer")), nothing),
    entry("POST /api/v1/prompts/semantic-layer/{semantic_entry_id}/confirm", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/prompts/semantic-layer/proposals",
        NotFor("Viewer"),
        |ids| json!({"data_source_ids": [ids.data_source_id]}),
    ),
    entry("GET /api/v1/prompts/semantic-layer/export", Members, nothing),
    entry("POST /api/v1/prompts/semantic-layer/import", NotFor("Viewer"), |_| json!({"document": "metrics: []"})),
    entry("GET /api/v1/prompts/verified-pairs", NotFor("Viewer"), nothing),
    entry("POST /api/v1/prompts/verified-pairs/{verified_pair_id}/verify", NotFor("Viewer"), nothing),
    entry("DELETE /api/v1/prompts/verified-pairs/{verified_pair_id}", Untried(Some("Viewer")), nothing),
    entry("GET /api/v1/prompt-templates", Members, nothing),
    entry("POST /api/v1/prompt-templates", NotFor("Viewer"), template_of),
    entry("GET /api/v1/prompt-templates/{template_id}", Members, nothing),
    entry("PATCH /api/v1/prompt-templates/{template_id}", NotFor("Viewer"), |_| json!({"name": unique("")})),
    entry("DELETE /api/v1/prompt-templates/{template_id}", Untried(Some("Viewer")), nothing),
    entry(
        "POST /api/v1/prompt-templates/{template_id}/execute",
        Members,
        |ids| json!({"selected_data_source_ids": [ids.data_source_id]}),
    ),
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

const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A template that every member sees.
fn template_of(ids: &Ids) -> Value {
    json!({"name": unique(""), "template_text": "How many products are there?", "category": "sales",
        "compatible_data_source_ids": [ids.data_source_id], "status": "published", "is_public": true})
}

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

/// A word for the products.
fn synonym(phrase: &str) -> Value {
    json!({"definition": {"kind": "synonym", "phrase": phrase, "of": "products.files.products"}})
}

fn scim_search() -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]})
}

fn oauth_application() -> Value {
    json!({"name": unique(" app"), "grant_types": ["authorization_code", "client_credentials"], "scopes": ["read"],
        "redirect_uris": ["https://app.example/callback"]})
}

/// Fields that bear an id and still need no 404, each for its reason.
const EXEMPT: &[(&str, &str, &str)] = &[
    ("POST /api/v1/auth/login", "workspace_id", "a wish: the default workspace where it cannot be reached"),
    ("POST /api/v1/data-sources", "storage_file_id", "documented as ignored"),
    ("POST /api/v1/auth/tokens", "organization_id", "documented as 400: token_creation_failed"),
    ("GET /api/v1/organizations/{org_id}/audit-logs", "actor_id", "a filter among the organization's records"),
    ("POST /api/v1/users/bulk-status", "user_ids", "each is answered for itself"),
    ("GET /api/v1/devices/", "user_id", "goes with organization_id alone: 422"),
    ("GET /api/v1/organizations/{org_id}/members", "role_id", "a filter: nobody holds another's role"),
    ("POST /api/v1/organizations/{org_id}/tokens", "org_id", "documented as 403: organization_access_denied"),
    ("GET /api/v1/organizations/{org_id}/tokens", "org_id", "documented as 403: organization_access_denied"),
    ("GET /api/v1/organizations/{org_id}/tokens", "user_id", "a filter: a stranger holds no tokens of it"),
    ("DELETE /api/v1/prompts/history/clear", "workspace_id", "a filter among one's own: nothing is deleted"),
    ("DELETE /api/v1/prompts/history/clear", "user_id", "a filter among the organization's: nothing is deleted"),
    ("POST /api/v1/sso/providers", "entity_id", "no id of ours"),
    ("POST /api/v1/sso/providers", "client_id", "no id of ours"),
    ("PUT /api/v1/sso/providers/{provider_id}", "entity_id", "no id of ours"),
    ("PUT /api/v1/sso/providers/{provider_id}", "client_id", "no id of ours"),
    ("GET /api/v1/sso/login", "provider_id", "where anybody begins a sign-in"),
    ("GET /api/v1/sso/oidc/callback/{organization_id}", "organization_id", "where any provider sends browsers"),
    (
        "GET /api/v1/sso/oidc/callback/{organization_id}/{provider_id}",
        "organization_id",
        "where a provider sends browsers",
    ),
    ("GET /api/v1/sso/oidc/callback/{organization_id}/{provider_id}", "provider_id", "where a provider sends browsers"),
    ("POST /api/v1/sso/oidc/backchannel-logout/{provider_id}", "provider_id", "where any provider tells of a logout"),
    ("GET /api/v1/sso/saml/metadata/{provider_id}", "provider_id", "what any provider loads"),
    ("POST /api/v1/sso/saml/acs/{provider_id}", "provider_id", "where any provider's page posts to"),
    ("GET /api/v1/sso/saml/slo/{provider_id}", "provider_id", "where any provider tells of a logout"),
    ("POST /api/v1/sso/enforcement/enforce/{organization_id}", "exempt_user_ids", "documented as 422: members only"),
    ("POST /api/v1/sso/enforcement/bulk-action/{organization_id}", "user_ids", "documented as 422: members only"),
    ("POST /api/v1/sso/saml/slo/{provider_id}", "provider_id", "where any provider tells of a logout"),
    ("POST /api/v1/oauth/authorize", "client_id", "no id of ours: what the protocol knows an application by"),
    ("GET /api/v1/oauth/app-info", "client_id", "no id of ours: what the protocol knows an application by"),
    ("POST /oauth/register", "client_id", "no id of ours: what the protocol knows an application by"),
    ("PUT /oauth/registration", "client_id", "no id of ours: what the protocol knows an application by"),
    ("GET /oauth/logout", "client_id", "no id of ours: what the protocol knows an application by"),
    ("GET /oauth/authorize", "client_id", "no id of ours: what the protocol knows an application by"),
];

const PASSWORD: &str = rivergen_tests::PASSWORD;

/// A word that no other call has used.
fn unique(suffix: &str) -> String {
    format!("n{:016x}{suffix}", rand::random::<u64>())
}

/// Where nobody answers.
fn unique_issuer() -> String {
    format!("https://{}", unique(".invalid"))
}

/// What one organization has.
struct Ids {
    owner: String,
    refresh_token: String,
    verification_token: String,
    organization_id: i64,
    domain_id: i64,
    workspace_id: i64,
    data_source_id: i64,
    policy_id: i64,
    policy_assignment_id: i64,
    access_policy_id: i64,
    /// A custom one, which the Owner keeps.
    role_id: i64,
    /// Of that role, to the Admin.
    assignment_id: i64,
    user_id: i64,
    owner_id: i64,
    query_id: i64,
    /// One question of the Owner's, with its run, and a template.
    prompt_id: i64,
    execution_id: i64,
    template_id: i64,
    verified_pair_id: i64,
    semantic_entry_id: i64,
    session_id: i64,
    token_id: i64,
    invitation_id: i64,
    invitation_token: String,
    file_path: String,
    /// To that file.
    link_id: i64,
    link_token: String,
    share_id: i64,
    upload_id: i64,
    /// An identity provider that pushes; the user is one whom it pushed.
    provider_id: i64,
    scim_token: String,
    scim_group_id: i64,
    app_id: i64,
}

impl Ids {
    async fn of(server: &Server, organization: &Organization) -> Self {
        let owner = &organization.owner;
        let csv = b"sku,product\nP1,Lamp\n".to_vec();
        let data_source_id = owner.file_source("Products", "csv", "products.csv", csv.clone()).await;
        let query_id = owner.query(data_source_id, "SELECT 1").await["query_id"].as_i64().unwrap();
        let question = json!({"prompt_text": "How many products are there?", "save_prompt": true,
            "selected_data_source_ids": [data_source_id]});
        let asked = owner.client.post("/api/v1/prompts/execute", question).await.ok();
        let feedback = format!("/api/v1/prompts/executions/{}/feedback", asked["execution_id"]);
        let pair = owner.client.post(&feedback, json!({"verdict": "right"})).await.ok();
        // One that is not verified goes with the next feedback on its run.
        let verify = format!("/api/v1/prompts/verified-pairs/{}/verify", pair["verified_pair_id"]);
        owner.client.post_empty(&verify).await.ok();
        let template = json!({"name": "t", "template_text": "How many products are there?", "category": "sales",
            "compatible_data_source_ids": [data_source_id], "status": "published", "is_public": true});
        let template = owner.client.post("/api/v1/prompt-templates", template).await.created();
        let synonym = owner.client.post("/api/v1/prompts/semantic-layer", synonym("wares")).await.created();
        let policy = json!({"name": "p", "type": "query_limit", "user_ids": [owner.id]});
        let policy = owner.client.post("/api/v1/policies", policy).await.created();
        let access_policy = json!({"name": "p", "effect": "deny", "resource_type": "datasource",
            "actions": ["datasource.delete"],
            "conditions": {"attribute": "subject.mfa", "operator": "eq", "value": true}});
        let access_policy = owner.client.post("/api/v1/sso/abac/policies", access_policy).await.created();
        let newcomer = unique("@new.example");
        let signup = json!({"email": newcomer, "password": PASSWORD});
        server.anonymous().post("/api/v1/auth/signup", signup).await.created();
        let sessions = owner.client.get("/api/v1/sessions").await.ok();
        let role = json!({"name": unique(" role"), "permissions": [], "organization_id": organization.id});
        let role = owner.client.post("/api/v1/roles", role).await.created();
        let role_id = role["role"]["id"].as_i64().unwrap();
        let assignments = format!("/api/v1/roles/{role_id}/assignments");
        owner.client.post(&assignments, json!({"user_id": owner.id})).await.created();
        let assigned = owner.client.post(&assignments, json!({"user_id": organization.admin.id})).await.created();
        let token = json!({"name": "a program", "scopes": ["read"], "organization_id": organization.id});
        let token = owner.client.post("/api/v1/auth/tokens", token).await.created();
        let invited = unique("@new.example");
        let invitation = json!({"email": invited, "workspace_id": organization.workspace_id,
            "role_id": organization.roles["Viewer"]});
        let invite = format!("/api/v1/organizations/{}/members/invite", organization.id);
        let invitation = owner.client.post(&invite, invitation).await.created();
        let file_path = owner.upload("more.csv", csv).await;
        let link = owner.client.get(&format!("/api/v1/storage/objects/{file_path}/presigned-url")).await.ok();
        let share = json!({"folder": "shared", "workspace_id": organization.workspace_id});
        let share = owner.client.post("/api/v1/storage/shares", share).await.created();
        let upload = tus_headers(owner.client.request(reqwest::Method::POST, "/api/v1/storage/tus"));
        let upload = owner.client.send(upload).await.headers["location"].to_str().unwrap().to_owned();
        let idp = crate::scim::Provider::of(server, organization).await;
        idp.create(&organization.viewer.email).await;
        let scim_group_id = idp.group("A group", &[]).await.parse().unwrap();
        let applications = format!("/api/v1/organizations/{}/oauth-applications", organization.id);
        let app = owner.client.post(&applications, oauth_application()).await.created();
        // Claimed with the organization.
        let domains = owner.client.get(&format!("/api/v1/organizations/{}/domains", organization.id)).await.ok();
        Self {
            owner: owner.email.clone(),
            domain_id: domains["domains"][0]["id"].as_i64().unwrap(),
            invitation_id: invitation["invitation"]["id"].as_i64().unwrap(),
            invitation_token: server.mailbox().token(&invited, 1).await,
            session_id: sessions["sessions"][0]["id"].as_i64().unwrap(),
            token_id: token["id"].as_i64().unwrap(),
            refresh_token: owner.refresh_token.clone(),
            verification_token: server.mailbox().token(&newcomer, 1).await,
            organization_id: organization.id,
            workspace_id: organization.workspace_id,
            data_source_id,
            policy_id: policy["id"].as_i64().unwrap(),
            policy_assignment_id: policy["assignments"][0]["id"].as_i64().unwrap(),
            access_policy_id: access_policy["policy"]["id"].as_i64().unwrap(),
            role_id,
            assignment_id: assigned["assignment"]["id"].as_i64().unwrap(),
            user_id: organization.viewer.id,
            owner_id: organization.owner.id,
            query_id,
            prompt_id: asked["prompt_id"].as_i64().unwrap(),
            execution_id: asked["execution_id"].as_i64().unwrap(),
            template_id: template["id"].as_i64().unwrap(),
            verified_pair_id: pair["verified_pair_id"].as_i64().unwrap(),
            semantic_entry_id: synonym["id"].as_i64().unwrap(),
            file_path,
            link_id: link["link_id"].as_i64().unwrap(),
            link_token: last_segment(link["url"].as_str().unwrap()).to_owned(),
            share_id: share["share_id"].as_i64().unwrap(),
            provider_id: idp.id,
            scim_token: idp.client.token().to_owned(),
            scim_group_id,
            app_id: app["id"].as_i64().unwrap(),
            upload_id: last_segment(&upload).parse().unwrap(),
        }
    }

    /// The id that a parameter or field of this name bears; `None` for one that bears none.
    fn named(&self, name: &str) -> Option<i64> {
        let singular = name.strip_suffix("_ids").map(|stem| format!("{stem}_id")).unwrap_or_else(|| name.to_owned());
        let known = [
            ("org_id", self.organization_id),
            ("organization_id", self.organization_id),
            ("domain_id", self.domain_id),
            ("workspace_id", self.workspace_id),
            ("data_source_id", self.data_source_id),
            ("policy_id", self.policy_id),
            ("policy_assignment_id", self.policy_assignment_id),
            ("role_id", self.role_id),
            ("assignment_id", self.assignment_id),
            ("user_id", self.user_id),
            ("query_id", self.query_id),
            ("prompt_id", self.prompt_id),
            ("execution_id", self.execution_id),
            ("template_id", self.template_id),
            ("verified_pair_id", self.verified_pair_id),
            ("semantic_entry_id", self.semantic_entry_id),
            ("session_id", self.session_id),
            ("token_id", self.token_id),
            ("invitation_id", self.invitation_id),
            ("link_id", self.link_id),
            ("share_id", self.share_id),
            ("upload_id", self.upload_id),
            ("provider_id", self.provider_id),
            ("scim_group_id", self.scim_group_id),
            ("app_id", self.app_id),
            // There are none of these yet, so every id is foreign.
            ("import_id", 1),
            ("dataset_id", 1),
            ("device_id", 1),
            ("credential_id", 1),
            ("storage_file_id", 1),
        ];
        if !singular.ends_with("_id") {
            return None;
        }
        let found = known.iter().find(|(word, _)| singular == *word || singular.ends_with(&format!("_{word}")));
        Some(found.unwrap_or_else(|| panic!("the matrix does not know the ids called {name}")).1)
    }
}

/// What every request of an upload by tus says, of one that is four bytes long and of which nothing comes.
fn tus_headers(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let headers = [
        ("tus-resumable", "1.0.0"),
        ("upload-length", "4"),
        ("upload-offset", "0"),
        ("upload-metadata", "filename YS5jc3Y="),
        ("content-type", "application/offset+octet-stream"),
    ];
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

fn last_segment(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// An operation as the document describes it.
struct Operation {
    name: String,
    method: reqwest::Method,
    path: String,
    path_ids: Vec<String>,
    query_ids: Vec<String>,
    /// Fields of the body that bear ids, and whether as a list.
    body_ids: BTreeMap<String, bool>,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(rivergen::openapi::document()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = |place: &str| -> Vec<String> {
                let all = operation["parameters"].as_array().into_iter().flatten();
                let here = all.filter(|parameter| parameter["in"] == place);
                let names = here.map(|parameter| parameter["name"].as_str().unwrap().to_owned());
                names.filter(|name| name.ends_with("_id") || name.ends_with("_ids")).collect()
            };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = match schema["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => schema,
            };
            let properties = schema["properties"].as_object().into_iter().flatten();
            let body_ids =
                properties.map(|(name, _)| name).filter(|name| name.ends_with("_id") || name.ends_with("_ids"));
            operations.push(Operation {
                name: format!("{} {path}", method.to_uppercase()),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                path_ids: parameters("path"),
                query_ids: parameters("query"),
                body_ids: body_ids.map(|name| (name.clone(), name.ends_with("_ids"))).collect(),
            });
        }
    }
    operations
}

impl Operation {
    async fn call(&self, client: &Client, path: &str, body: &Value) -> Answer {
        if let Some(name) = body["file"].as_str() {
            return client.upload(name, b"a\n1\n".to_vec()).await;
        }
        let request = client.request(self.method.clone(), path);
        if path.contains("/storage/tus") {
            return client.send(tus_headers(request)).await;
        }
        client.send(if body.is_null() { request } else { request.json(body) }).await
    }

    /// The path with the ids of `own`, but `foreign` for one parameter.
    fn path(&self, own: &Ids, foreign: Option<(&str, &Ids)>) -> String {
        let mut path = self.path.clone();
        for name in &self.path_ids {
            let ids = foreign.filter(|(at, _)| at == name).map_or(own, |(_, ids)| ids);
            let id = match name.as_str() {
                // The same name for two kinds of policies.
                "policy_id" if path.starts_with("/api/v1/sso/abac/") => ids.access_policy_id,
                name => ids.named(name).unwrap(),
            };
            path = path.replace(&format!("{{{name}}}"), &id.to_string());
        }
        // At one place in the path: an id for one method, a token for another.
        let invitation = match self.method {
            reqwest::Method::DELETE => own.invitation_id.to_string(),
            _ => own.invitation_token.clone(),
        };
        path = path.replace("{invitation}", &invitation).replace("{invitation_token}", &own.invitation_token);
        path = path.replace("{object_name}", &own.file_path).replace("{bucket_name}", "rivergen");
        path = path.replace("{token}", &own.link_token);
        // There is none of this number.
        path = path.replace("{secret}", "0");
        // No id: the same provider for everybody.
        path = path.replace("{provider}", "github").replace("{vendor}", "okta");
        path = path.replace("{provider}", "github");
        // Nor are these: the same definitions for everybody.
        path = path.replace("{urn}", USER_SCHEMA).replace("{name}", "User");
        // Nor is this: everything has a first version.
        path = path.replace("{version}", "1");
        assert!(!path.contains('{'), "the matrix does not fill {path}");
        path
    }
}

/// The address of somebody with the role.
fn role<'a>(organization: &'a Organization, name: &str) -> &'a str {
    &organization.people().iter().find(|(role, _)| *role == name).unwrap().1.email
}

async fn every_operation_keeps_tenants_and_roles_apart(backend: Backend) {
    // It has no record of anybody's.
    let names = NameServer::start().await;
    let server = Server::start(backend, &format!("{SETTINGS}{}", names.settings())).await;
    keeps_tenants_and_roles_apart(&server).await;
    server.stop().await;
}

async fn keeps_tenants_and_roles_apart(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (own, foreign) = (Ids::of(server, &acme).await, Ids::of(server, &globex).await);
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    let operations = operations();
    for operation in &operations {
        let Some(entry) = ENTRIES.iter().find(|entry| entry.operation == operation.name) else {
            faults.push(format!("{} has no entry in the matrix", operation.name));
            continue;
        };
        let mut line = vec![operation.name.clone()];
        let mut check = |what: String, status: u16, good: bool| {
            line.push(format!("{what} {status}"));
            if !good {
                faults.push(format!("{}: {what} answered {status}", operation.name));
            }
        };
        let path = operation.path(&own, None);

        let anonymous = operation.call(&server.anonymous(), &path, &(entry.body)(&own)).await;
        let status = anonymous.status.as_u16();
        // A public operation is good here already: it is its own control.
        let expected = if entry.access.is_public() { entry.access.is_control(&anonymous) } else { status == 401 };
        check("no token".to_owned(), status, expected);

        if let Some(name) = entry.access.forbidden_to() {
            let person = server.sign_in(role(&acme, name)).await.client;
            let status = operation.call(&person, &path, &(entry.body)(&own)).await.status.as_u16();
            check(name.to_owned(), status, status == 403);
        }
        if !entry.access.is_public() && entry.access.forbidden_to().is_none() && entry.access != Untried(None) {
            // A session of its own: one of the operations ends it.
            let viewer = server.sign_in(&acme.viewer.email).await.client;
            let answer = operation.call(&viewer, &path, &(entry.body)(&own)).await;
            let expected = match entry.access {
                Own | OwnRefusing(_) | Destroys => answer.status == 404,
                Provisioner | UntriedProvisioner => answer.status == 401,
                access => access.is_control(&answer),
            };
            check("Viewer".to_owned(), answer.status.as_u16(), expected);
        }
        // Whoever may, with their own ids and with others'.
        let owner = match entry.access.is_of_provisioner() {
            true => server.anonymous().with_token(&own.scim_token),
            false => server.sign_in(&own.owner).await.client,
        };
        if !entry.access.is_public() && !matches!(entry.access, Destroys | Untried(_) | UntriedProvisioner) {
            let answer = operation.call(&owner, &path, &(entry.body)(&own)).await;
            check("Owner".to_owned(), answer.status.as_u16(), entry.access.is_control(&answer));
        }

        let is_exempt = |name: &String| EXEMPT.iter().any(|(at, field, _)| *at == operation.name && field == name);
        for name in operation.path_ids.iter().filter(|name| !is_exempt(name)) {
            let path = operation.path(&own, Some((name, &foreign)));
            let status = operation.call(&owner, &path, &(entry.body)(&own)).await.status.as_u16();
            check(format!("foreign {name}"), status, status == 404);
        }
        for (name, is_list) in &operation.body_ids {
            if is_exempt(name) {
                continue;
            }
            let id = foreign.named(name).unwrap();
            let mut body = (entry.body)(&own);
            body[name] = if *is_list { json!([id]) } else { json!(id) };
            let status = operation.call(&owner, &path, &body).await.status.as_u16();
            check(format!("foreign {name}"), status, status == 404);
        }
        for name in &operation.query_ids {
            if is_exempt(name) {
                continue;
            }
            let path = format!("{path}?{name}={}", foreign.named(name).unwrap());
            let answer = operation.call(&owner, &path, &(entry.body)(&own)).await;
            let mut lists =
                answer.body["data"].as_object().into_iter().flat_map(|data| data.values()).filter_map(Value::as_array);
            let empty = lists.next().is_some_and(Vec::is_empty);
            check(format!("?{name}"), answer.status.as_u16(), answer.status == 404 || empty);
        }
        lines.push(line.join(" | "));
    }
    for entry in ENTRIES {
        if !operations.iter().any(|operation| operation.name == entry.operation) {
            faults.push(format!("{} is in the matrix and not in the document", entry.operation));
        }
    }
    println!("{}", lines.join("\n"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
