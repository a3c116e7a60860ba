//! The tables of this room. Each module lists its own.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![
        Box::new(Providers),
        Box::new(crate::sign_in::migrations::SignIns),
        Box::new(crate::saml::migrations::Saml),
    ];
    all.extend(crate::scim::migrations::migrations());
    all.push(Box::new(crate::abac::migrations::Policies));
    all.push(Box::new(crate::enforcement::migrations::Notices));
    all.push(Box::new(crate::sign_in::migrations::SessionEnds));
    all.push(Box::new(crate::sign_in::migrations::AskedAt));
    all
}

pub(crate) fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

pub(crate) fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

struct Providers;

impl MigrationName for Providers {
    fn name(&self) -> &str {
        "m0080_federation_providers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Providers {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("sso_providers")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text("name_key"))
                .col(text("kind"))
                .col(text("status"))
                .col(text_null("entity_id"))
                .col(text_null("sso_url"))
                .col(text_null("slo_url"))
                .col(text_null("metadata_url"))
                .col(json("certificates"))
                .col(boolean("allow_idp_initiated"))
                .col(text_null("issuer"))
                .col(text_null("client_id"))
                .col(binary_null("sealed_client_secret"))
                .col(json("scopes"))
                .col(json("attribute_mapping"))
                .col(boolean("jit_provisioning"))
                .col(big_integer_null("default_role_id"))
                .col(json("group_role_mapping"))
                .col(timestamp_with_time_zone_null("last_tested_at"))
                .col(boolean("last_test_succeeded"))
                .col(timestamp_with_time_zone_null("last_login_at"))
                .col(big_integer("login_count"))
                .col(boolean("own_callback"))
                .col(big_integer("vouched_by_user_id"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("sso_providers", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        for (name, column) in [
            ("sso_providers_name", "name_key"),
            ("sso_providers_entity", "entity_id"),
            ("sso_providers_issuer", "issuer"),
        ] {
            m.create_index(index("sso_providers", name, &["organization_id", column]).unique().to_owned()).await?;
        }

        m.create_table(
            Table::create()
                .table("sso_provider_domains")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("provider_id"))
                .col(text("domain"))
                .foreign_key(&mut belongs_to("sso_provider_domains", "provider_id", "sso_providers"))
                .to_owned(),
        )
        .await?;
        // Home-realm discovery: from the domain of an address to its provider.
        let of_domain = ["domain", "organization_id"];
        m.create_index(index("sso_provider_domains", "sso_provider_domains_domain", &of_domain).unique().to_owned())
            .await?;
        m.create_index(index("sso_provider_domains", "sso_provider_domains_provider", &["provider_id"])).await?;

        m.create_table(
            Table::create()
                .table("sso_identities")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("provider_id"))
                .col(text("subject"))
                .col(big_integer("user_id"))
                .col(text_null("email"))
                .col(json("attributes"))
                .col(json("groups"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("last_login_at"))
                .foreign_key(&mut belongs_to("sso_identities", "provider_id", "sso_providers"))
                .foreign_key(&mut belongs_to("sso_identities", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            index("sso_identities", "sso_identities_subject", &["provider_id", "subject"]).unique().to_owned(),
        )
        .await?;
        let of_user = ["user_id", "organization_id"];
        m.create_index(index("sso_identities", "sso_identities_user", &of_user)).await?;
        // Who of an organization is linked: the migration plan.
        m.create_index(index("sso_identities", "sso_identities_organization", &["organization_id", "user_id"])).await
    }
}
