//! People and their proofs: accounts, sessions, second factors, devices, tokens.

use serde_json::{Value, json};

use super::{Entry, PASSWORD, entry, nothing, unique};
use crate::tenant_matrix::access::Access::{Destroys, Members, MembersRefusing, Own, Public, PublicRefusing};

pub const ENTRIES: &[Entry] = &[
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
    entry("GET /api/v1/auth/proofs", Members, nothing),
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
];

/// What a provider would give, under a state that was never made.
fn made_up_code() -> Value {
    json!({"provider": "github", "code": "x", "state": "x"})
}
