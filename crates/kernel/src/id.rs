//! Identifiers: 64-bit integers in the API and in the database, a type of their own in code.

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = i64, examples(42))]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A person, whatever organizations they belong to.
    UserId,
    /// An organization: the tenant.
    OrganizationId,
    /// A workspace inside one organization.
    WorkspaceId,
    /// A signed-in session of a user.
    SessionId,
    /// A proof of a person besides the password: an authenticator app, codes by mail.
    FactorId,
    /// A passkey or security key.
    CredentialId,
    /// A device that a person trusts.
    DeviceId,
    /// A token that a person made for a program.
    TokenId,
    /// An invitation to an organization.
    InvitationId,
    /// A mail domain that an organization claims.
    DomainId,
    /// A role of one organization.
    RoleId,
    /// A registered source of data.
    DataSourceId,
    /// A table or view of a source, as discovery found it.
    DatasetId,
    /// A data policy.
    PolicyId,
    /// One rule of a data policy.
    PolicyRuleId,
    /// A stored file.
    FileId,
    /// A link to a stored file.
    FileLinkId,
    /// A folder of files that is shared with a workspace.
    FolderShareId,
    /// A resumable upload.
    UploadId,
    /// One run of a query.
    QueryId,
    /// A saved question of Prompt Studio.
    PromptId,
    /// One run of a question.
    ExecutionId,
    /// A question with places for values.
    TemplateId,
    /// When a saved question runs automatically, and who is notified.
    PromptScheduleId,
    /// One run of such a schedule.
    ScheduledRunId,
    /// A question with SQL that people confirmed to answer it.
    VerifiedPairId,
    /// What people say of the data: a join, a metric, a description, a synonym.
    SemanticEntryId,
    /// An identity provider of an organization: SAML or OpenID Connect.
    SsoProviderId,
    /// An attribute-based access policy.
    AbacPolicyId,
    /// A group that an identity provider pushed.
    ScimGroupId,
    /// An application that signs people in with this server, or acts for them.
    OauthApplicationId,
    /// What somebody has granted to such an application.
    OauthGrantId,
    /// A job of the background worker.
    JobId,
}
