//! The tables of SAML.

use sea_orm_migration::{prelude::*, schema::*};

use crate::migrations::{belongs_to, index};

/// Key pairs, messages that were taken, logouts on their way, and looks at the metadata of providers.
pub(crate) struct Saml;

impl MigrationName for Saml {
    fn name(&self) -> &str {
        "m0083_federation_saml"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Saml {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("saml_keys")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("certificate"))
                .col(binary("sealed_private_key"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("signs_from"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("saml_keys", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("saml_keys", "saml_keys_organization", &["organization_id", "expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("saml_assertions_seen")
                .col(big_pk_auto("id"))
                .col(big_integer("provider_id"))
                .col(binary("message_hash"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("saml_assertions_seen", "provider_id", "sso_providers"))
                .to_owned(),
        )
        .await?;
        let message = ["provider_id", "message_hash"];
        let once = index("saml_assertions_seen", "saml_assertions_seen_message", &message).unique().to_owned();
        m.create_index(once).await?;
        m.create_index(index("saml_assertions_seen", "saml_assertions_seen_expiry", &["expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("saml_logouts")
                .col(big_pk_auto("id"))
                .col(big_integer("provider_id"))
                .col(binary("state_hash"))
                .col(text("request_id"))
                .col(text("back"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("saml_logouts", "provider_id", "sso_providers"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("saml_logouts", "saml_logouts_state", &["state_hash"]).unique().to_owned()).await?;
        m.create_index(index("saml_logouts", "saml_logouts_expiry", &["expires_at"])).await?;
        m.create_index(index("saml_logouts", "saml_logouts_provider", &["provider_id"])).await?;

        m.create_table(
            Table::create()
                .table("saml_metadata_checks")
                .col(big_integer("provider_id").primary_key())
                .col(timestamp_with_time_zone("checked_at"))
                .col(text_null("fault"))
                .foreign_key(&mut belongs_to("saml_metadata_checks", "provider_id", "sso_providers"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("saml_metadata_checks", "saml_metadata_checks_due", &["checked_at"])).await
    }
}
