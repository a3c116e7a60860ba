//! The identity providers of an organization: what they are, how they are set up, tried out and removed.
//!
//! One operation, one file: [`create`], [`list`], [`get`], [`update`], [`delete`], [`test`](try_out), [`people`],
//! [`metadata`], [`setup`].
//! What `create` and `update` take is checked in one place ([`draft`]); [`certificate`] reads certificates, [`mapping`] names
//! attributes.

pub(crate) mod certificate;
mod create;
mod delete;
mod draft;
mod get;
mod list;
pub mod mapping;
mod metadata;
mod people;
pub(crate) mod setup;
mod try_out;
mod update;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, OrganizationId, Result, RoleId, SsoProviderId, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope},
    vault::Sealed,
};
use rivergen_tenancy::organization;
use sea_orm::{ConnectionTrait, JoinType, QuerySelect, Select, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Federation, enforcement,
    sign_in::{login, state},
};

/// Providers of one organization.
pub const MOST: u64 = 20;

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

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saml => "saml",
            Self::Oidc => "oidc",
        }
    }
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
    /// SAML: the address of its single logout.
    pub slo_url: Option<String>,
    /// SAML: where its metadata is read from, to follow its certificates.
    pub metadata_url: Option<String>,
    /// SAML: the certificates that its signatures are checked with, the newest first: an array of base64 DER.
    pub certificates: Json,
    /// SAML: whether a response is accepted that was not requested here.
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
    /// Whether a first sign-in adds the person as a member.
    pub jit_provisioning: bool,
    pub default_role_id: Option<RoleId>,
    /// From the provider's groups to roles.
    pub group_role_mapping: Json,
    pub last_tested_at: Option<DateTime<Utc>>,
    /// Whether the last test found nothing wrong.
    pub last_test_succeeded: bool,
    pub last_login_at: Option<DateTime<Utc>>,
    pub login_count: i64,
    /// OpenID Connect: whether browsers come back to an address that is this provider's alone, because the organization's own is
    /// another provider's already.
    pub own_callback: bool,
    /// Who last changed what is trusted of it.
    pub vouched_by_user_id: UserId,
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

impl Model {
    /// From RiverGen's attributes to the provider's names.
    pub fn mapping(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.attribute_mapping.clone()).unwrap_or_default()
    }

    /// Whose names of people its subjects are: those of an issuer, or of an entity, and there the NameID or an attribute. A
    /// name of one kind may be somebody else's of the other.
    fn names_people(&self) -> (Option<String>, Option<String>, Option<String>) {
        let attribute = self.mapping().remove(mapping::SUBJECT).filter(|_| self.kind == Kind::Saml);
        (self.issuer.clone(), self.entity_id.clone(), attribute)
    }

    /// From the provider's groups to roles.
    pub fn group_roles(&self) -> BTreeMap<String, RoleId> {
        serde_json::from_value(self.group_role_mapping.clone()).unwrap_or_default()
    }

    pub fn scopes(&self) -> Vec<String> {
        serde_json::from_value(self.scopes.clone()).unwrap_or_default()
    }

    /// Base64 of DER, the newest first.
    pub fn certificates(&self) -> Vec<String> {
        serde_json::from_value(self.certificates.clone()).unwrap_or_default()
    }
}

/// The organization's provider; `PROVIDER_NOT_FOUND` for every other.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: SsoProviderId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?;
    found.ok_or_else(|| ErrorCode::ProviderNotFound.into())
}

/// Whether the organization of the provider lives.
pub async fn lives(db: &impl ConnectionTrait, provider: &Model) -> Result<bool> {
    let found = organization::Entity::find_by_id(provider.organization_id);
    Ok(found.filter(organization::Column::DeletedAt.is_null()).one(db).await?.is_some())
}

/// The provider, where people may sign in through it: it is active, and its organization lives. For who is not signed in
/// and so has no organization yet.
pub async fn active(db: &impl ConnectionTrait, id: SsoProviderId) -> Result<Option<Model>> {
    Ok(active_among([id]).one(db).await?)
}

/// Those of them that are.
pub fn active_among(ids: impl IntoIterator<Item = SsoProviderId>) -> Select<Entity> {
    let of = Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id);
    Entity::find()
        .join(JoinType::InnerJoin, of.into())
        .filter(Column::Id.is_in(ids))
        .filter(Column::Status.eq(Status::Active))
        .filter(organization::Column::DeletedAt.is_null())
}

/// `SSO_ENFORCED` where the organization requires single sign-on and this is the last provider through which it can be had: one
/// of which nobody knows whether it works does not stand in for one that has passed its test. The organization is locked.
async fn refuse_last(tx: &Transaction, tenant: Tenant, row: &Model) -> Result<()> {
    if !enforcement::requires_sso(tx.conn(), tenant).await? {
        return Ok(());
    }
    let mut others = tenant.find::<Entity>().filter(Column::Id.ne(row.id)).filter(Column::Status.eq(Status::Active));
    if row.last_test_succeeded {
        others = others.filter(Column::LastTestSucceeded.eq(true));
    }
    match others.limit(1).one(tx.conn()).await? {
        Some(_) => Ok(()),
        None => Err(ErrorCode::SsoEnforced.into()),
    }
}

/// Takes the links of a provider away that is another one from now on: its subjects name other people. Indexes:
/// sso_identities(provider_id, subject), sso_logins(provider_id, subject), sso_states(provider_id).
async fn forget_people(tx: &Transaction, provider: &Model) -> Result<()> {
    let id = provider.id;
    identity::Entity::delete_many().filter(identity::Column::ProviderId.eq(id)).exec(tx.conn()).await?;
    login::Entity::delete_many().filter(login::Column::ProviderId.eq(id)).exec(tx.conn()).await?;
    state::Entity::delete_many().filter(state::Column::ProviderId.eq(id)).exec(tx.conn()).await?;
    Ok(())
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
        /// As DNS has it: lower case, ASCII.
        pub domain: String,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }

    /// Those of a provider; none: all that its organization has proved. Index: sso_provider_domains(provider_id).
    pub async fn of(db: &impl ConnectionTrait, provider: SsoProviderId) -> Result<BTreeSet<String>> {
        let rows = Entity::find().filter(Column::ProviderId.eq(provider)).all(db).await?;
        Ok(rows.into_iter().map(|row| row.domain).collect())
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
        /// As the provider last sent it.
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

    /// Whose account the subject is at the provider. Index: sso_identities(provider_id, subject), unique.
    pub async fn find(db: &impl ConnectionTrait, provider: SsoProviderId, subject: &str) -> Result<Option<Model>> {
        let of_provider = Entity::find().filter(Column::ProviderId.eq(provider));
        Ok(of_provider.filter(Column::Subject.eq(subject)).one(db).await?)
    }

    /// Whether the account is another subject's at the provider. Index: sso_identities(user_id, organization_id).
    pub async fn is_linked_otherwise(
        db: &impl ConnectionTrait,
        provider: SsoProviderId,
        user: UserId,
        subject: &str,
    ) -> Result<bool> {
        let of_user = Entity::find().filter(Column::UserId.eq(user)).filter(Column::ProviderId.eq(provider));
        Ok(of_user.filter(Column::Subject.ne(subject)).limit(1).one(db).await?.is_some())
    }
}

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(create::create_provider, list::list_providers))
        .routes(routes!(get::get_provider, update::update_provider, delete::delete_provider))
        .routes(routes!(try_out::test_provider))
        .routes(routes!(people::list_identities))
        .routes(routes!(people::unlink_identity))
        .routes(routes!(metadata::get_metadata))
        .routes(routes!(setup::get_setup))
}
