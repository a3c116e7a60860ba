//! The mail domains of organizations.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

use super::belongs_to;

/// The mail domains that organizations claim and prove.
pub(super) struct Domains;

impl MigrationName for Domains {
    fn name(&self) -> &str {
        "m0023_tenancy_domains"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Domains {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("organization_domains")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("domain"))
                .col(text("challenge"))
                .col(text("status"))
                .col(boolean("auto_join"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("verified_at"))
                .col(timestamp_with_time_zone_null("checked_at"))
                .col(timestamp_with_time_zone_null("missing_since"))
                .foreign_key(&mut belongs_to("organization_domains", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        for statement in [
            "CREATE UNIQUE INDEX organization_domains_claim ON organization_domains (organization_id, domain)",
            // Claimed by many, proved by one.
            "CREATE UNIQUE INDEX organization_domains_verified ON organization_domains (domain) WHERE status = 'verified'",
            "CREATE INDEX organization_domains_checked ON organization_domains (status, checked_at)",
        ] {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// Domains that are proved by a code which is mailed to them.
pub(super) struct DomainMails;

impl MigrationName for DomainMails {
    fn name(&self) -> &str {
        "m0133_tenancy_domain_mails"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for DomainMails {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds no more.
        for column in [
            binary_null("mail_code_hash"),
            timestamp_with_time_zone_null("mail_code_expires_at"),
            timestamp_with_time_zone_null("mail_proof_until"),
        ] {
            m.alter_table(Table::alter().table("organization_domains").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
