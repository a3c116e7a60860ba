//! Organizations, invitations, workspaces, users and roles.

use serde_json::json;

use super::{Entry, entry, nothing, unique};
use crate::tenant_matrix::access::Access::{
    Members, MembersRefusing, NotFor, NotForRefusing, Public, PublicRefusing, Untried,
};

pub const ENTRIES: &[Entry] = &[
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
    entry(
        "POST /api/v1/organizations/{org_id}/domains/{domain_id}/mail",
        NotFor("Developer"),
        |_| json!({"mailbox": "postmaster"}),
    ),
    entry(
        "POST /api/v1/organizations/{org_id}/domains/{domain_id}/mail/verify",
        NotForRefusing("Developer", "INVALID_CODE"),
        |_| json!({"code": "wrong"}),
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
    entry("GET /api/v1/auth/branding", PublicRefusing("VALIDATION_ERROR"), nothing),
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
];
