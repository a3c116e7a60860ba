//! The tables of sign-ins.

use sea_orm_migration::{prelude::*, schema::*};

use crate::migrations::{belongs_to, index};

/// Sign-ins on their way and those that were, and the roles that groups gave.
pub(crate) struct SignIns;

impl MigrationName for SignIns {
    fn name(&self) -> &str {
        "m0081_federation_sign_ins"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SignIns {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("sso_states")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("provider_id"))
                .col(binary("state_hash"))
                .col(binary("browser_hash"))
                .col(binary("sealed_secrets"))
                .col(text("redirect_uri"))
                .col(text_null("client_state"))
                .col(big_integer_null("tested_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("sso_states", "provider_id", "sso_providers"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("sso_states", "sso_states_state", &["state_hash"]).unique().to_owned()).await?;
        m.create_index(index("sso_states", "sso_states_expiry", &["expires_at"])).await?;
        m.create_index(index("sso_states", "sso_states_provider", &["provider_id"])).await?;

        m.create_table(
            Table::create()
                .table("sso_logins")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("provider_id"))
                .col(big_integer("user_id"))
                .col(text("subject"))
                .col(text_null("idp_session"))
                .col(binary_null("sealed_logout_hint"))
                .col(boolean("second_factor"))
                .col(binary("code_hash"))
                .col(text("redirect_uri"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("used_at"))
                .foreign_key(&mut belongs_to("sso_logins", "provider_id", "sso_providers"))
                .foreign_key(&mut belongs_to("sso_logins", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("sso_logins", "sso_logins_code", &["code_hash"]).unique().to_owned()).await?;
        m.create_index(index("sso_logins", "sso_logins_subject", &["provider_id", "subject"])).await?;
        m.create_index(index("sso_logins", "sso_logins_idp_session", &["provider_id", "idp_session"])).await?;
        m.create_index(index("sso_logins", "sso_logins_user", &["user_id", "organization_id"])).await?;
        m.create_index(index("sso_logins", "sso_logins_expiry", &["expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("sso_role_grants")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("provider_id"))
                .col(big_integer("user_id"))
                .col(big_integer("role_id"))
                .col(big_integer("assignment_id"))
                .foreign_key(&mut belongs_to("sso_role_grants", "provider_id", "sso_providers"))
                .foreign_key(&mut belongs_to("sso_role_grants", "user_id", "users"))
                .foreign_key(&mut belongs_to("sso_role_grants", "assignment_id", "role_assignments"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("sso_role_grants", "sso_role_grants_user", &["user_id", "provider_id"])).await?;
        m.create_index(index("sso_role_grants", "sso_role_grants_provider", &["provider_id"])).await?;
        m.create_index(index("sso_role_grants", "sso_role_grants_assignment", &["assignment_id"])).await
    }
}

/// When a session is over by the word of its provider; and the messages that are taken once are those of both protocols.
pub(crate) struct SessionEnds;

impl MigrationName for SessionEnds {
    fn name(&self) -> &str {
        "m0085_federation_session_ends"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SessionEnds {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let until = timestamp_with_time_zone_null("session_until");
        m.alter_table(Table::alter().table("sso_logins").add_column(until).to_owned()).await?;
        m.rename_table(Table::rename().table("saml_assertions_seen", "sso_messages_seen").to_owned()).await
    }
}

/// When the provider asked the person who they are: a sign-in is no fresher a proof than that.
pub(crate) struct AskedAt;

impl MigrationName for AskedAt {
    fn name(&self) -> &str {
        "m0126_federation_asked_at"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AskedAt {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let asked = timestamp_with_time_zone_null("authenticated_at");
        m.alter_table(Table::alter().table("sso_logins").add_column(asked).to_owned()).await
    }
}
