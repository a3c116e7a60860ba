//! The identity providers of an organization.

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, RoleId, SsoProviderId, UserId};
use rivergen_platform::{db::TenantOwned, vault::Sealed};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// What an identity provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
#[schema(as = SsoProviderType)]
pub enum Kind {
    #[sea_orm(string_value = "saml")]
    Saml,
    #[sea_orm(string_value = "oidc")]
    Oidc,
}

/// Whether people may sign in through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
#[schema(as = SsoProviderStatus)]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    #[sea_orm(string_value = "inactive")]
    Inactive,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_providers")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SsoProviderId,
    pub organization_id: OrganizationId,
    pub name: String,
    /// The name in lower case: unique in the organization.
    pub name_key: String,
    pub kind: Kind,
    pub status: Status,
    /// SAML: what the provider calls itself.
    pub entity_id: Option<String>,
    /// SAML: where sign-ins begin.
    pub sso_url: Option<String>,
    /// SAML: where its single logout is.
    pub slo_url: Option<String>,
    /// SAML: where its metadata is read from, to follow its certificates.
    pub metadata_url: Option<String>,
    /// SAML: the certificates that its signatures are checked with, the newest first: an array of base64 DER.
    pub certificates: Json,
    /// SAML: whether a response is taken that nobody here asked for.
    pub allow_idp_initiated: bool,
    /// OpenID Connect.
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub sealed_client_secret: Option<Sealed>,
    /// An array of texts.
    pub scopes: Json,
    /// From RiverGen's attributes (`email`, `name`, `first_name`, `last_name`, `groups`, or one of the member's own) to the
    /// names that the provider gives them.
    pub attribute_mapping: Json,
    /// Whether a first sign-in makes a member.
    pub jit_provisioning: bool,
    pub default_role_id: Option<RoleId>,
    /// From the provider's groups to roles.
    pub group_role_mapping: Json,
    pub last_tested_at: Option<DateTime<Utc>>,
    /// Whether the last test found nothing wrong.
    pub last_test_succeeded: bool,
    pub last_login_at: Option<DateTime<Utc>>,
    pub login_count: i64,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// The mail domains that a provider signs in: each is a verified domain of its organization.
pub mod domain {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sso_provider_domains")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: OrganizationId,
        pub provider_id: SsoProviderId,
        /// Lower case.
        pub domain: String,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}

/// Who a person is at a provider: made by their first sign-in, or by a push.
pub mod identity {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sso_identities")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: OrganizationId,
        pub provider_id: SsoProviderId,
        /// OpenID Connect's `sub`, SAML's NameID; unique for the provider.
        pub subject: String,
        pub user_id: UserId,
        /// As the provider last said it.
        pub email: Option<String>,
        /// What the provider last said of the person, by its own names: each an array of texts.
        pub attributes: Json,
        /// Its groups, an array of texts.
        pub groups: Json,
        pub created_at: DateTime<Utc>,
        pub last_login_at: Option<DateTime<Utc>>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}

/// What this module does in the background.
pub(crate) fn register_jobs(_federation: &Federation) {}
