//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Applications),
        Box::new(Grants),
        Box::new(Keys),
        Box::new(Registration),
        Box::new(Usage),
        Box::new(IdTokens),
    ]
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

struct Applications;

impl MigrationName for Applications {
    fn name(&self) -> &str {
        "m0090_oauth_applications"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Applications {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("oauth_applications")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text_uniq("client_id"))
                .col(text("name"))
                .col(text("name_key"))
                .col(text_null("description"))
                .col(text("client_type"))
                .col(json("grant_types"))
                .col(json("redirect_uris"))
                .col(json("post_logout_redirect_uris"))
                .col(json("scopes"))
                .col(json("resources"))
                .col(json_null("jwks"))
                .col(text("access_level"))
                .col(text("status"))
                .col(boolean("preapproved"))
                .col(big_integer("token_generation"))
                .col(big_integer("responsible_user_id"))
                .col(timestamp_with_time_zone("responsible_since"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .foreign_key(&mut belongs_to("oauth_applications", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        let name = ["organization_id", "name_key"];
        m.create_index(index("oauth_applications", "oauth_applications_name", &name).unique().to_owned()).await?;
        m.create_index(index("oauth_applications", "oauth_applications_list", &["organization_id", "id"])).await?;
        let personal = ["responsible_user_id", "organization_id", "id"];
        m.create_index(index("oauth_applications", "oauth_applications_personal", &personal)).await?;

        m.create_table(
            Table::create()
                .table("oauth_secrets")
                .col(big_pk_auto("id"))
                .col(big_integer("application_id"))
                .col(text("prefix"))
                .col(binary("secret_hash"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .foreign_key(&mut belongs_to("oauth_secrets", "application_id", "oauth_applications"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_secrets", "oauth_secrets_application", &["application_id", "id"])).await?;

        m.create_table(
            Table::create()
                .table("oauth_policies")
                .col(big_pk_auto("id"))
                .col(big_integer_uniq("organization_id"))
                .col(text("applications"))
                .col(json_null("scopes"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(big_integer("updated_by_user_id"))
                .foreign_key(&mut belongs_to("oauth_policies", "organization_id", "organizations"))
                .to_owned(),
        )
        .await
    }
}

struct Grants;

impl MigrationName for Grants {
    fn name(&self) -> &str {
        "m0091_oauth_grants"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Grants {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("oauth_consents")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("application_id"))
                .col(big_integer("user_id"))
                .col(text("scope"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(&mut belongs_to("oauth_consents", "application_id", "oauth_applications"))
                .foreign_key(&mut belongs_to("oauth_consents", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        let of_user = ["user_id", "application_id"];
        m.create_index(index("oauth_consents", "oauth_consents_user", &of_user).unique().to_owned()).await?;
        m.create_index(index("oauth_consents", "oauth_consents_personal", &["user_id", "organization_id", "id"]))
            .await?;
        m.create_index(index("oauth_consents", "oauth_consents_application", &["application_id"])).await?;

        m.create_table(
            Table::create()
                .table("oauth_grants")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer("application_id"))
                .col(big_integer("user_id"))
                .col(big_integer("session_id"))
                .col(boolean("made_with_second_factor"))
                .col(boolean("made_with_passkey"))
                .col(big_integer_null("federated_by_organization_id"))
                .col(text("scope"))
                .col(json("resources"))
                .col(binary_uniq("code_hash"))
                .col(text("redirect_uri"))
                .col(text("code_challenge"))
                .col(text_null("nonce"))
                .col(timestamp_with_time_zone("authenticated_at"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("code_expires_at"))
                .col(timestamp_with_time_zone_null("exchanged_at"))
                .col(timestamp_with_time_zone_null("ended_at"))
                .col(text_null("end_reason"))
                .foreign_key(&mut belongs_to("oauth_grants", "application_id", "oauth_applications"))
                .foreign_key(&mut belongs_to("oauth_grants", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_grants", "oauth_grants_application", &["application_id", "ended_at"])).await?;
        m.create_index(index("oauth_grants", "oauth_grants_user", &["user_id", "organization_id", "id"])).await?;
        m.create_index(index("oauth_grants", "oauth_grants_ended", &["ended_at"])).await?;
        m.create_index(index("oauth_grants", "oauth_grants_unused", &["exchanged_at", "code_expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("oauth_refresh_tokens")
                .col(big_pk_auto("id"))
                .col(big_integer("grant_id"))
                .col(binary_uniq("token_hash"))
                .col(timestamp_with_time_zone("issued_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("spent_at"))
                .foreign_key(&mut belongs_to("oauth_refresh_tokens", "grant_id", "oauth_grants"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_refresh_tokens", "oauth_refresh_tokens_grant", &["grant_id"])).await?;
        m.create_index(index("oauth_refresh_tokens", "oauth_refresh_tokens_expiry", &["expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("oauth_revoked_tokens")
                .col(big_pk_auto("id"))
                .col(binary_uniq("jti_hash"))
                .col(timestamp_with_time_zone("expires_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_revoked_tokens", "oauth_revoked_tokens_expiry", &["expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("oauth_seen")
                .col(big_pk_auto("id"))
                .col(binary_uniq("jti_hash"))
                .col(timestamp_with_time_zone("expires_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_seen", "oauth_seen_expiry", &["expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("oauth_requests")
                .col(big_pk_auto("id"))
                .col(text("kind"))
                .col(binary_uniq("handle_hash"))
                .col(big_integer("application_id"))
                .col(big_integer_null("session_id"))
                .col(json("parameters"))
                .col(text_null("user_code").unique_key().to_owned())
                .col(timestamp_with_time_zone_null("polled_at"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(&mut belongs_to("oauth_requests", "application_id", "oauth_applications"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_requests", "oauth_requests_application", &["application_id"])).await?;
        m.create_index(index("oauth_requests", "oauth_requests_expiry", &["expires_at"])).await
    }
}

/// What binds codes and tokens to keys of their clients (RFC 9449).
struct Keys;

impl MigrationName for Keys {
    fn name(&self) -> &str {
        "m0092_oauth_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Keys {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = |table: &'static str, column: ColumnDef| Table::alter().table(table).add_column(column).to_owned();
        let bound = boolean("dpop_bound_access_tokens").default(false).to_owned();
        m.alter_table(column("oauth_applications", bound)).await?;
        m.alter_table(column("oauth_grants", text_null("dpop_jkt"))).await
    }
}

/// Programs that register themselves (RFC 7591), or tell of themselves in a document.
struct Registration;

impl MigrationName for Registration {
    fn name(&self) -> &str {
        "m0093_oauth_registration"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Registration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = |table: &'static str, column: ColumnDef| Table::alter().table(table).add_column(column).to_owned();
        let applications = |definition: ColumnDef| column("oauth_applications", definition);
        m.alter_table(applications(text("origin").default("administrator").to_owned())).await?;
        m.alter_table(applications(text_null("jwks_uri"))).await?;
        m.alter_table(applications(binary_null("registration_token_hash"))).await?;
        m.alter_table(applications(timestamp_with_time_zone_null("verified_at"))).await?;
        m.alter_table(column("oauth_policies", text("registration").default("off").to_owned())).await?;
        m.alter_table(column("oauth_policies", boolean("client_documents").default(false).to_owned())).await?;
        let by_token = ["registration_token_hash"];
        let by_token = index("oauth_applications", "oauth_applications_registration", &by_token).unique().to_owned();
        m.create_index(by_token).await?;
        let unused = ["origin", "created_at"];
        m.create_index(index("oauth_applications", "oauth_applications_unused", &unused)).await
    }
}

/// Pictures of applications, and how much they are used.
struct Usage;

impl MigrationName for Usage {
    fn name(&self) -> &str {
        "m0094_oauth_usage"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Usage {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("oauth_logos")
                .col(big_integer("application_id").primary_key())
                .col(text("data_url"))
                .foreign_key(&mut belongs_to("oauth_logos", "application_id", "oauth_applications"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("oauth_token_days")
                .col(big_integer("application_id"))
                .col(date("day"))
                .col(big_integer("issued"))
                .primary_key(Index::create().col("application_id").col("day"))
                .foreign_key(&mut belongs_to("oauth_token_days", "application_id", "oauth_applications"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("oauth_token_days", "oauth_token_days_day", &["day"])).await
    }
}

/// With what an application wants its ID tokens signed, and how the person proved who they are, which these tokens say.
struct IdTokens;

impl MigrationName for IdTokens {
    fn name(&self) -> &str {
        "m0116_oauth_id_tokens"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for IdTokens {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = |table: &'static str, column: ColumnDef| Table::alter().table(table).add_column(column).to_owned();
        m.alter_table(column("oauth_applications", text_null("id_token_signed_response_alg"))).await?;
        // Of a grant of before nothing is said.
        m.alter_table(column("oauth_grants", text("amr").default("").to_owned())).await?;
        m.alter_table(column("oauth_grants", text_null("acr"))).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
