//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Accounts)]
}

struct Accounts;

impl MigrationName for Accounts {
    fn name(&self) -> &str {
        "m0010_identity_accounts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Accounts {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("users")
                .col(big_pk_auto("id"))
                .col(text("display_name"))
                .col(text_null("profile_image_url"))
                .col(json("profile"))
                .col(json("user_metadata"))
                .col(text_null("password_hash"))
                .col(boolean("is_system_admin"))
                .col(text_null("terms_version"))
                .col(timestamp_with_time_zone_null("terms_accepted_at"))
                .col(timestamp_with_time_zone_null("disabled_at"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("user_emails")
                .col(big_pk_auto("id"))
                .col(big_integer("user_id"))
                .col(text_uniq("email"))
                .col(boolean("is_primary"))
                .col(timestamp_with_time_zone_null("verified_at"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("user_emails", "user_id")
                        .to("users", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(Index::create().name("user_emails_user").table("user_emails").col("user_id").to_owned()).await?;

        m.create_table(
            Table::create()
                .table("sessions")
                .col(big_pk_auto("id"))
                .col(big_integer("user_id"))
                .col(big_integer_null("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(text("amr"))
                .col(timestamp_with_time_zone("authenticated_at"))
                .col(big_integer("lifetime_seconds"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("last_used_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(text_null("ip"))
                .col(text_null("user_agent"))
                .col(timestamp_with_time_zone_null("ended_at"))
                .col(text_null("end_reason"))
                .foreign_key(
                    ForeignKey::create()
                        .from("sessions", "user_id")
                        .to("users", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("sessions_user").table("sessions").col("user_id").col("ended_at").to_owned(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("refresh_tokens")
                .col(big_pk_auto("id"))
                .col(big_integer("session_id"))
                .col(binary("token_hash"))
                .col(timestamp_with_time_zone("issued_at"))
                .col(timestamp_with_time_zone_null("spent_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("refresh_tokens", "session_id")
                        .to("sessions", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().unique().name("refresh_tokens_hash").table("refresh_tokens").col("token_hash").to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("refresh_tokens_session").table("refresh_tokens").col("session_id").to_owned(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("one_time_tokens")
                .col(big_pk_auto("id"))
                .col(binary("token_hash"))
                .col(text("purpose"))
                .col(big_integer("user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("used_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("one_time_tokens", "user_id")
                        .to("users", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().unique().name("one_time_tokens_hash").table("one_time_tokens").col("token_hash").to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("one_time_tokens_user")
                .table("one_time_tokens")
                .col("user_id")
                .col("purpose")
                .to_owned(),
        )
        .await
    }
}
