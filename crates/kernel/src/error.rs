//! The error that the API answers, and the one catalogue of its codes.
//!
//! A room has an error enum of its own that says what happened; it turns into an [`Error`] where the
//! request leaves the room. What a caller reads is `code`, `message` and `details`; the `source` is for
//! the log alone.

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum_core::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxPostgresError, SqlxSqliteError, sqlx};
use serde::Serialize;

/// What functions of the upper layers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! catalogue {
    ($($variant:ident $code:literal $status:literal $message:literal;)+) => {
        /// Every code that the API can answer; the table in `docs/errors.md` is made from it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $(#[doc = $message] $variant),+ }

        impl ErrorCode {
            /// The whole catalogue, in the order of the status.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant),+];

            /// The code as clients match on it.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code),+ }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status),+ }
            }

            /// What it says where nothing more precise is known.
            pub const fn message(self) -> &'static str {
                match self { $(ErrorCode::$variant => $message),+ }
            }
        }
    };
}

catalogue! {
    InvalidRequest "INVALID_REQUEST" 400 "The request body cannot be parsed; send valid JSON with the content type application/json.";
    BadRequest "BAD_REQUEST" 400 "The request is not valid.";
    InvalidToken "INVALID_TOKEN" 400 "The token is not valid; ask for a new one.";
    LogoutFailed "LOGOUT_FAILED" 400 "The session could not be ended.";
    WeakPassword "WEAK_PASSWORD" 400 "The password does not meet the password policy.";
    InvalidQuery "INVALID_QUERY" 400 "The query must be a single, valid, read-only statement.";
    QuestionNotUnderstood "QUESTION_NOT_UNDERSTOOD" 400 "The question could not be understood.";
    QuestionAmbiguous "QUESTION_AMBIGUOUS" 400 "A word in the question has more than one meaning; choose one.";
    InvalidCode "INVALID_CODE" 400 "The code is wrong or has expired.";
    InvalidMfaCode "INVALID_MFA_CODE" 400 "The code is wrong or has expired.";
    NoPendingSetup "NO_PENDING_SETUP" 400 "There is nothing to confirm; start setting up again.";
    SetupFailed "SETUP_FAILED" 400 "The setup could not be started.";
    MfaNotEnabled "MFA_NOT_ENABLED" 400 "Set up a second factor first.";
    InvalidCurrentPassword "INVALID_CURRENT_PASSWORD" 400 "The current password is wrong.";
    ChangePasswordFailed "CHANGE_PASSWORD_FAILED" 400 "The password could not be changed.";
    ProfileUpdateFailed "PROFILE_UPDATE_FAILED" 400 "The profile could not be changed.";
    InvalidProvider "INVALID_PROVIDER" 400 "There is no such provider.";
    ProviderNotConfigured "PROVIDER_NOT_CONFIGURED" 400 "This provider is not set up on this server; ask its operator.";
    InvalidState "INVALID_STATE" 400 "The state is unknown, already used or expired; start the sign-in again.";
    MissingAuthorizationCode "MISSING_AUTHORIZATION_CODE" 400 "The provider sent no authorization code; start the sign-in again.";
    OauthAuthorizationFailed "OAUTH_AUTHORIZATION_FAILED" 400 "The provider refused the sign-in.";
    SocialLoginFailed "SOCIAL_LOGIN_FAILED" 400 "The sign-in with the provider failed; start it again.";
    SocialSignupFailed "SOCIAL_SIGNUP_FAILED" 400 "The sign-up with the provider failed; start it again.";
    RegistrationStartFailed "REGISTRATION_START_FAILED" 400 "Passkey registration could not be started.";
    RegistrationCompletionFailed "REGISTRATION_COMPLETION_FAILED" 400 "The passkey could not be registered.";
    InvalidAttestation "INVALID_ATTESTATION" 400 "The authenticator's answer could not be verified.";
    AuthenticationStartFailed "AUTHENTICATION_START_FAILED" 400 "Passkey sign-in could not be started.";
    AuthenticationCompletionFailed "AUTHENTICATION_COMPLETION_FAILED" 400 "Passkey sign-in could not be completed.";
    InvalidActivationToken "INVALID_ACTIVATION_TOKEN" 400 "The activation token is unknown or already used.";
    ActivationTokenExpired "ACTIVATION_TOKEN_EXPIRED" 400 "The activation token is older than 5 minutes; sign in again.";
    TokenCreationFailed "token_creation_failed" 400 "The token could not be created for that organization.";
    ApplicationExists "application_exists" 400 "An application with this name already exists.";
    OauthInvalidClient "invalid_client" 400 "The application does not exist or is suspended.";
    OauthInvalidRedirectUri "invalid_redirect_uri" 400 "The address is not registered for the application.";
    OauthInvalidScope "invalid_scope" 400 "The application may not ask for this scope.";
    OauthInvalidRequest "invalid_request" 400 "The authorization request is not valid.";
    ConfirmationMismatch "CONFIRMATION_MISMATCH" 400 "The name does not match; type the organization's name to confirm.";
    InvalidDomain "INVALID_DOMAIN" 400 "This is not a domain name such as acme.example.";
    InvalidImportFile "INVALID_IMPORT_FILE" 400 "The file cannot be fetched or read.";
    CannotMergeSelf "CANNOT_MERGE_SELF" 400 "An account cannot be merged with itself.";
    InvalidRedirectUri "INVALID_REDIRECT_URI" 400 "This server does not redirect to that address.";
    SsoStateInvalid "SSO_STATE_INVALID" 400 "The sign-in is unknown, already used, expired, or was started in another browser; start it again.";
    SamlResponseInvalid "SAML_RESPONSE_INVALID" 400 "This is not a readable SAML response.";
    NoEnforcementChange "NO_ENFORCEMENT_CHANGE" 400 "Give the mode for single sign-on, for the second factor, or for both.";
    Unauthorized "UNAUTHORIZED" 401 "Sign in: the access token is missing or not valid.";
    TokenExpired "TOKEN_EXPIRED" 401 "The access token has expired; refresh it.";
    InvalidCredentials "INVALID_CREDENTIALS" 401 "The e-mail address or the password is wrong.";
    InvalidRefreshToken "INVALID_REFRESH_TOKEN" 401 "The refresh token is unknown, expired or already used; sign in again.";
    InvalidTemporaryToken "INVALID_TEMPORARY_TOKEN" 401 "The temporary token is unknown or has expired; sign in again.";
    PendingLoginInvalid "INVALID_TOKEN" 401 "The temporary token is not valid; sign in again.";
    PendingUserGone "USER_NOT_FOUND" 401 "The account no longer exists or is disabled.";
    InvalidAssertion "INVALID_ASSERTION" 401 "The passkey could not be verified.";
    ProofRequired "REAUTHENTICATION_REQUIRED" 401 "Sign in to the existing account first, and call again with its token.";
    SamlAssertionRejected "SAML_ASSERTION_REJECTED" 401 "The identity provider's answer could not be trusted; start the sign-in again.";
    OidcTokenRejected "OIDC_TOKEN_REJECTED" 401 "The identity provider's answer could not be trusted; start the sign-in again.";
    Forbidden "FORBIDDEN" 403 "You do not have permission to do this.";
    EmailNotVerified "EMAIL_NOT_VERIFIED" 403 "Verify your e-mail address first.";
    UserDisabled "USER_DISABLED" 403 "This account is disabled; ask your administrator.";
    ReauthenticationRequired "REAUTHENTICATION_REQUIRED" 403 "Sign in again: this requires a sign-in no more than 10 minutes old.";
    SecondFactorRequired "MFA_ENROLLMENT_REQUIRED" 403 "Your organization requires a second factor: set one up in your account.";
    SsoRequired "SSO_REQUIRED" 403 "Your organization requires single sign-on: sign in through its identity provider.";
    SsoUserNotAllowed "SSO_USER_NOT_ALLOWED" 403 "You cannot sign in this way; ask an administrator of your organization.";
    AnotherPerson "ANOTHER_PERSON" 403 "The person who signed in at the provider is not the one who is signed in here.";
    NotAskedAnew "NOT_ASKED_ANEW" 403 "The provider did not confirm that you signed in just now; confirm who you are in another way.";
    PlanLimitReached "PLAN_LIMIT_REACHED" 403 "The organization's plan does not allow more.";
    EmailMismatch "EMAIL_MISMATCH" 403 "The invitation is for another address, or yours is not verified.";
    OrganizationAccessDenied "organization_access_denied" 403 "You are not a member of that organization.";
    PermissionDenied "permission_denied" 403 "You do not have permission to do this.";
    PolicyDenied "POLICY_DENIED" 403 "A policy does not allow you to read this.";
    NotFound "NOT_FOUND" 404 "It does not exist, or you do not have access to it.";
    OrgNotFound "ORG_NOT_FOUND" 404 "The organization does not exist, or you are not a member of it.";
    WorkspaceNotFound "WORKSPACE_NOT_FOUND" 404 "The workspace does not exist, or you do not have access to it.";
    UserNotFound "USER_NOT_FOUND" 404 "There is no such account.";
    MemberNotFound "MEMBER_NOT_FOUND" 404 "There is no such member.";
    RoleNotFound "ROLE_NOT_FOUND" 404 "There is no such role.";
    AssignmentNotFound "ASSIGNMENT_NOT_FOUND" 404 "There is no such assignment.";
    InvitationNotFound "INVITATION_NOT_FOUND" 404 "There is no such invitation.";
    DomainNotFound "DOMAIN_NOT_FOUND" 404 "There is no such domain.";
    ImportNotFound "IMPORT_NOT_FOUND" 404 "There is no such import.";
    SessionNotFound "SESSION_NOT_FOUND" 404 "There is no such session.";
    DeviceNotFound "DEVICE_NOT_FOUND" 404 "There is no such device.";
    MfaMethodNotFound "MFA_METHOD_NOT_FOUND" 404 "This second factor is not set up.";
    CredentialNotFound "CREDENTIAL_NOT_FOUND" 404 "There is no such passkey.";
    ChallengeNotFound "CHALLENGE_NOT_FOUND" 404 "The challenge is unknown, already used or older than 5 minutes; start again.";
    SocialAccountNotFound "SOCIAL_ACCOUNT_NOT_FOUND" 404 "That provider is not connected.";
    ProviderNotFound "PROVIDER_NOT_FOUND" 404 "There is no such identity provider.";
    SsoNotConfigured "SSO_NOT_CONFIGURED" 404 "Single sign-on is not set up for this; sign in another way.";
    ScimNotConfigured "SCIM_NOT_CONFIGURED" 404 "SCIM is not set up.";
    AbacPolicyNotFound "ABAC_POLICY_NOT_FOUND" 404 "There is no such policy.";
    OrganizationNotFound "ORGANIZATION_NOT_FOUND" 404 "The organization does not exist, or you are not a member of it.";
    TokenNotFound "token_not_found" 404 "There is no such token.";
    ApplicationNotFound "application_not_found" 404 "There is no such application.";
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 "This path does not support this method.";
    RequestTimeout "REQUEST_TIMEOUT" 408 "The request did not arrive in time.";
    Conflict "CONFLICT" 409 "This conflicts with something that already exists.";
    EmailTaken "EMAIL_TAKEN" 409 "This e-mail address already belongs to an account.";
    OrgExists "ORG_EXISTS" 409 "An organization with this name already exists.";
    WorkspaceExists "WORKSPACE_EXISTS" 409 "A workspace with this name already exists in the organization.";
    IdempotencyConflict "IDEMPOTENCY_CONFLICT" 409 "This idempotency key was already used with a different request.";
    QueryCancelled "QUERY_CANCELLED" 409 "The query was cancelled.";
    ResultNotKept "RESULT_NOT_KEPT" 409 "What you may see of this data depends on the time to the second, so no result of it is kept; run the query directly, or as a download.";
    AssignmentExists "ASSIGNMENT_EXISTS" 409 "The policy is already assigned to these targets.";
    DataSourceUnavailable "DATA_SOURCE_UNAVAILABLE" 409 "The data source is not active; test its connection.";
    TotpAlreadyEnabled "TOTP_ALREADY_ENABLED" 409 "An authenticator with this name is already set up.";
    EmailOtpAlreadyEnabled "EMAIL_OTP_ALREADY_ENABLED" 409 "Codes by e-mail are already set up.";
    MfaRequiredByOrganization "MFA_REQUIRED_BY_ORGANIZATION" 409 "One of your organizations requires a second factor; set up another one first.";
    SocialAccountInUse "SOCIAL_ACCOUNT_IN_USE" 409 "That provider account is already connected to someone else here.";
    LastLoginMethod "LAST_LOGIN_METHOD" 409 "This is your only way to sign in; set up another one first.";
    LastAdmin "LAST_ADMIN" 409 "You are the only administrator; make someone else an administrator first.";
    LastOwner "LAST_OWNER" 409 "The organization would be left without an owner; make someone else an owner first.";
    RoleAlreadyExists "ROLE_ALREADY_EXISTS" 409 "A role with this name already exists.";
    RoleAlreadyAssigned "ROLE_ALREADY_ASSIGNED" 409 "The member already has this role there.";
    RoleInUse "ROLE_IN_USE" 409 "The role is still assigned or part of an invitation; choose a role to replace it.";
    SystemRole "SYSTEM_ROLE" 409 "Built-in roles cannot be changed or deleted; copy one instead.";
    AlreadyMember "ALREADY_MEMBER" 409 "This person is already a member.";
    UserAlreadyExists "USER_ALREADY_EXISTS" 409 "This address already belongs to a member.";
    CannotChangeSelf "CANNOT_CHANGE_SELF" 409 "You cannot do this to yourself.";
    DefaultWorkspace "DEFAULT_WORKSPACE" 409 "The default workspace cannot be deleted; make another one the default first.";
    PersonalOrg "PERSONAL_ORG" 409 "A personal organization can only be deleted together with its account.";
    SettingManagedElsewhere "SETTING_MANAGED_ELSEWHERE" 409 "This setting cannot be changed here.";
    PublicAccessForbidden "PUBLIC_ACCESS_FORBIDDEN" 409 "The organization does not allow workspaces that are open to all of its members.";
    DomainExists "DOMAIN_EXISTS" 409 "The organization already has this domain.";
    DomainTaken "DOMAIN_TAKEN" 409 "Another organization has verified this domain.";
    DomainNotVerified "DOMAIN_NOT_VERIFIED" 409 "The domain is not verified: publish its DNS record, then verify it.";
    DomainProofMissing "DOMAIN_PROOF_MISSING" 409 "The domain's DNS record was not found; publish it and try again.";
    InvitationExists "INVITATION_EXISTS" 409 "This address already has a pending invitation; send that one again.";
    InvitationNotPending "INVITATION_NOT_PENDING" 409 "The invitation has already been accepted or revoked.";
    InvitationStale "INVITATION_STALE" 409 "The invitation is no longer valid: its role or workspace is gone, or the person who sent it may no longer invite; ask for a new one.";
    ProviderExists "PROVIDER_EXISTS" 409 "The organization already has an identity provider with this name, entity ID or issuer.";
    SsoEnforced "SSO_ENFORCED" 409 "Single sign-on is required and this is its last active identity provider; lift the requirement first.";
    SsoNotReady "SSO_NOT_READY" 409 "Single sign-on cannot be required yet: test an active identity provider, and sign in through it yourself.";
    SyncInProgress "SYNC_IN_PROGRESS" 409 "The provider is already being reconciled.";
    AbacPolicyExists "ABAC_POLICY_EXISTS" 409 "A policy with this name already exists.";
    VerificationExpired "TOKEN_EXPIRED" 410 "The link has expired; ask for a new one.";
    InvitationExpired "INVITATION_EXPIRED" 410 "The invitation has expired; ask for a new one.";
    InvitationGone "INVITATION_NOT_PENDING" 410 "The invitation has already been accepted or revoked.";
    UploadExpired "UPLOAD_EXPIRED" 410 "The upload was not resumed in time; start it again.";
    LinkExpired "LINK_EXPIRED" 410 "The link has expired, was revoked, or is no longer valid; ask for a new one.";
    PreconditionFailed "PRECONDITION_FAILED" 412 "Send the header Tus-Resumable: 1.0.0.";
    RequestEntityTooLarge "REQUEST_ENTITY_TOO_LARGE" 413 "The upload is larger than the remaining quota.";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" 415 "Send the body with the content type that the operation expects.";
    RangeNotSatisfiable "RANGE_NOT_SATISFIABLE" 416 "The file does not have this range of bytes.";
    ValidationError "VALIDATION_ERROR" 422 "Some fields are not valid; see the details.";
    InvalidPassword "INVALID_PASSWORD" 422 "The password does not meet the password policy.";
    UnreadableFile "UNREADABLE_FILE" 422 "The file cannot be read as a file of this kind.";
    RateLimited "RATE_LIMITED" 429 "Too many requests; try again later (Retry-After says when).";
    TooManyAttempts "TOO_MANY_ATTEMPTS" 429 "Too many wrong codes; try again later (Retry-After says when).";
    QueryLimitExceeded "QUERY_LIMIT_EXCEEDED" 429 "The query exceeds its limits.";
    ChecksumMismatch "CHECKSUM_MISMATCH" 460 "The data that arrived does not match its checksum; send it again.";
    InternalError "INTERNAL_ERROR" 500 "Something went wrong on our side; give your administrator the request ID.";
    AccountsFetchFailed "ACCOUNTS_FETCH_FAILED" 500 "The connected accounts could not be read.";
    DeviceListError "DEVICE_LIST_ERROR" 500 "The authenticators could not be read.";
    DeviceRemoveError "DEVICE_REMOVE_ERROR" 500 "The authenticator could not be removed.";
    CredentialListingFailed "CREDENTIAL_LISTING_FAILED" 500 "The passkeys could not be read.";
    CredentialDeletionFailed "CREDENTIAL_DELETION_FAILED" 500 "The passkey could not be deleted.";
    FileDamaged "FILE_DAMAGED" 500 "The stored file is damaged; restore it from a backup or upload it again.";
    ConnectionError "CONNECTION_ERROR" 502 "The data source cannot be reached.";
    IdpUnavailable "IDP_UNAVAILABLE" 502 "The identity provider cannot be reached; try again shortly.";
    PlannerUnavailable "PLANNER_UNAVAILABLE" 502 "The configured language model did not answer.";
    ServiceUnavailable "SERVICE_UNAVAILABLE" 503 "The server cannot handle this right now; try again shortly.";
    QueryTimeout "QUERY_TIMEOUT" 504 "The query exceeded its time limit.";
}

/// One field that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field in the body or the query: `rules[0].rule_config.column`.
    #[schema(examples("email"))]
    pub field: String,
    /// What is wrong with it, as a sentence that says what to send.
    #[schema(examples("is not an e-mail address"))]
    pub reason: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// A rate limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExhaustedLimit {
    pub limit: u32,
    pub reset_at: DateTime<Utc>,
}

/// What the API answers when something fails.
#[derive(Clone, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Error {
    pub code: ErrorCode,
    /// For the caller: what happened and what to do. Never names what the caller may not see.
    pub message: Cow<'static, str>,
    /// For the caller: the fields, or the suggestions, that go with it.
    pub details: Vec<FieldError>,
    /// Sent as `Retry-After`, in whole seconds.
    pub retry_after: Option<Duration>,
    /// The rate limit that refused the request, sent as `X-RateLimit-*`.
    pub exhausted: Option<ExhaustedLimit>,
    /// For the log only.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message()),
            details: Vec::new(),
            retry_after: None,
            exhausted: None,
            source: None,
        }
    }

    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    pub fn with_details(mut self, details: Vec<FieldError>) -> Self {
        self.details = details;
        self
    }

    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub fn with_exhausted(mut self, limit: ExhaustedLimit) -> Self {
        self.exhausted = Some(limit);
        self
    }

    /// Keeps the cause for the log; the caller never reads it.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// 422 for one field.
    pub fn invalid_field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError).with_details(vec![FieldError::new(field, reason)])
    }

    /// A failure of our own under the name that the operation has for it; every other error stays as it is.
    pub fn or_internally(self, code: ErrorCode) -> Self {
        self.renamed(ErrorCode::InternalError, code)
    }

    /// The error of one code under the name that the operation has for it; every other error stays as it is.
    pub fn renamed(mut self, from: ErrorCode, to: ErrorCode) -> Self {
        if self.code == from {
            self.code = to;
            self.message = Cow::Borrowed(to.message());
        }
        self
    }

    /// 500: the cause is logged, the caller reads the request id.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::InternalError).with_source(source)
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code.as_str())
            .field("message", &self.message)
            .field("details", &self.details)
            .field("source", &self.source)
            .finish()
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

/// Whose transaction was stopped in favour of another, or who found the database taken or out of reach for longer than one
/// waits, may come again: nothing of it was done. All else is a failure of ours.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match gave_way(&error) {
            true => Self::new(ErrorCode::ServiceUnavailable).with_retry_after(COME_BACK_AFTER).with_source(error),
            false => Self::internal(error),
        }
    }
}

/// When what the database had no room for may be tried again.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

/// Whether the database refused because of what others do at the same time, and not because of what was asked.
fn gave_way(error: &DbErr) -> bool {
    if let DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) = error {
        return true;
    }
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else { return false };
    let RuntimeErr::SqlxError(cause) = cause else { return false };
    let sqlx::Error::Database(cause) = &**cause else { return false };
    let code = cause.code().unwrap_or_default();
    if cause.try_downcast_ref::<SqlxPostgresError>().is_some() {
        // serialization_failure, deadlock_detected
        return matches!(&*code, "40001" | "40P01");
    }
    // SQLITE_BUSY and SQLITE_LOCKED; the higher bytes say more of either.
    let is_taken = code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6));
    is_taken && cause.try_downcast_ref::<SqlxSqliteError>().is_some()
}

/// The body of a failed request; `request_id` is filled in by the outermost layer, which knows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorEnvelope {
    /// Always `false`.
    #[schema(examples(false))]
    pub success: bool,
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// One of the catalogue of codes.
    #[schema(examples("VALIDATION_ERROR"))]
    pub code: &'static str,
    /// A sentence for a person.
    pub message: String,
    /// The fields that are wrong, if any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<FieldError>,
    /// To be told to the administrator; the log has the rest.
    #[schema(examples("0198f3a2b4c94d6e8a1f"))]
    pub request_id: String,
}

impl Error {
    /// The body as the caller reads it.
    pub fn envelope(&self, request_id: &str) -> ErrorEnvelope {
        ErrorEnvelope {
            success: false,
            error: ErrorBody {
                code: self.code.as_str(),
                message: self.message.to_string(),
                details: self.details.clone(),
                request_id: request_id.to_owned(),
            },
        }
    }
}

/// The status, with the error itself as an extension: the outermost layer writes the body, because
/// only it knows the request id, and logs the cause.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = http::StatusCode::from_u16(self.code.status()).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_snake_of_one_case_and_has_an_error_status() {
        for code in ErrorCode::ALL {
            let letters = code.as_str().replace('_', "");
            // The token modules' codes are documented in lower case.
            let one_case =
                [char::is_ascii_uppercase, char::is_ascii_lowercase].iter().any(|of| letters.chars().all(|c| of(&c)));
            assert!(one_case, "{code:?}");
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert!(code.message().ends_with('.'), "{code:?}");
            // People read it: they have pages, and no operations.
            assert!(!code.message().contains("/api/"), "{code:?}");
        }
    }
}
