//! The table of notices that went out.

use sea_orm_migration::{prelude::*, schema::*};

use crate::migrations::{belongs_to, index};

pub(crate) struct Notices;

impl MigrationName for Notices {
    fn name(&self) -> &str {
        "m0084_sso_notices"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Notices {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("sso_notices")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("kind"))
                .col(big_integer("user_id"))
                .col(timestamp_with_time_zone("sent_at"))
                .foreign_key(&mut belongs_to("sso_notices", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("sso_notices", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        let once = ["organization_id", "kind", "user_id"];
        m.create_index(index("sso_notices", "sso_notices_person", &once).unique().to_owned()).await?;
        // What is kept about a person.
        m.create_index(index("sso_notices", "sso_notices_user", &["user_id", "organization_id"])).await
    }
}
