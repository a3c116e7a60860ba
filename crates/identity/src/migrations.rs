//! The tables of this room.

use sea_orm_migration::{prelude::*, schema::*};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Accounts),
        Box::new(Proofs),
        Box::new(SignIns),
        Box::new(Federated),
        Box::new(FederatedUntil),
        Box::new(OrganizationLists),
    ]
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

/// What proves a person besides the password, and what remembers that they did.
struct Proofs;

impl MigrationName for Proofs {
    fn name(&self) -> &str {
        "m0011_identity_proofs"
    }
}

/// A table of a person's things, which go with the account.
fn of_user(table: &'static str) -> TableCreateStatement {
    Table::create()
        .table(table)
        .col(big_pk_auto("id"))
        .col(big_integer("user_id"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(ForeignKey::create().from(table, "user_id").to("users", "id").on_delete(ForeignKeyAction::Cascade))
        .to_owned()
}

fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

#[async_trait::async_trait]
impl MigrationTrait for Proofs {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let users = |column: ColumnDef| Table::alter().table("users").add_column(column).to_owned();
        // Random, so that an authenticator keeps nothing that tells who it is (WebAuthn level 2, section 14.6.1).
        m.alter_table(users(binary_null("webauthn_handle"))).await?;
        m.alter_table(users(timestamp_with_time_zone_null("password_changed_at"))).await?;
        m.alter_table(users(timestamp_with_time_zone_null("deletion_requested_at"))).await?;
        m.create_index(index("users", "users_webauthn_handle", &["webauthn_handle"]).unique().to_owned()).await?;
        m.create_index(index("users", "users_deletion", &["deletion_requested_at"])).await?;
        let emails = |column: ColumnDef| Table::alter().table("user_emails").add_column(column).to_owned();
        m.alter_table(emails(boolean("becomes_primary").default(false).to_owned())).await?;
        m.alter_table(emails(timestamp_with_time_zone_null("change_approved_at"))).await?;
        let tokens = |column: ColumnDef| Table::alter().table("one_time_tokens").add_column(column).to_owned();
        m.alter_table(tokens(text_null("subject"))).await?;
        let sessions = |column: ColumnDef| Table::alter().table("sessions").add_column(column).to_owned();
        m.alter_table(sessions(big_integer_null("trusted_device_id"))).await?;
        m.create_index(index("sessions", "sessions_expiry", &["expires_at"])).await?;
        m.create_index(index("one_time_tokens", "one_time_tokens_expiry", &["expires_at"])).await?;
        m.create_index(index("sessions", "sessions_user_agent", &["user_id", "user_agent"])).await?;
        m.create_index(index("sessions", "sessions_organization", &["organization_id", "user_id", "ended_at"])).await?;

        m.create_table(of_user("password_history").col(text("password_hash")).to_owned()).await?;
        m.create_index(index("password_history", "password_history_user", &["user_id", "id"])).await?;

        m.create_table(
            of_user("mfa_methods")
                .col(text("kind"))
                .col(text_null("device_name"))
                .col(binary_null("sealed_secret"))
                .col(boolean("is_primary"))
                .col(timestamp_with_time_zone_null("verified_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .col(big_integer_null("last_step"))
                .col(integer("wrong_codes").default(0).to_owned())
                .to_owned(),
        )
        .await?;
        m.create_index(index("mfa_methods", "mfa_methods_user", &["user_id", "kind"])).await?;
        m.create_table(
            of_user("mfa_backup_codes")
                .col(binary("code_hash"))
                .col(timestamp_with_time_zone_null("used_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("mfa_backup_codes", "mfa_backup_codes_user", &["user_id", "used_at"])).await?;
        m.create_table(
            Table::create()
                .table("mfa_lockouts")
                .col(big_integer("user_id"))
                .col(text("factor"))
                .col(integer("wrong_codes"))
                .col(integer("locks"))
                .col(timestamp_with_time_zone_null("locked_until"))
                .col(timestamp_with_time_zone("updated_at"))
                .primary_key(Index::create().col("user_id").col("factor"))
                .foreign_key(
                    ForeignKey::create()
                        .from("mfa_lockouts", "user_id")
                        .to("users", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;

        m.create_table(
            of_user("pending_logins")
                .col(binary("token_hash"))
                .col(text("first_factor"))
                .col(text_null("method"))
                .col(binary_null("sealed_code"))
                .col(integer("wrong_codes"))
                .col(integer("mails"))
                .col(big_integer_null("workspace_id"))
                .col(big_integer("lifetime_seconds"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("ended_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(index("pending_logins", "pending_logins_hash", &["token_hash"]).unique().to_owned()).await?;
        m.create_index(index("pending_logins", "pending_logins_user", &["user_id"])).await?;
        m.create_index(index("pending_logins", "pending_logins_expiry", &["expires_at"])).await?;

        m.create_table(
            of_user("webauthn_credentials")
                .col(text("device_name"))
                .col(text("credential_id"))
                .col(json("passkey"))
                .col(json("transports"))
                .col(boolean("backup_eligible"))
                .col(boolean("backed_up"))
                .col(big_integer("sign_count"))
                .col(big_integer("usage_count"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            index("webauthn_credentials", "webauthn_credentials_id", &["credential_id"]).unique().to_owned(),
        )
        .await?;
        m.create_index(index("webauthn_credentials", "webauthn_credentials_user", &["user_id"])).await?;
        m.create_table(
            Table::create()
                .table("webauthn_challenges")
                .col(big_pk_auto("id"))
                .col(binary("challenge_hash"))
                .col(text("purpose"))
                .col(big_integer_null("user_id"))
                .col(text_null("device_name"))
                .col(json("state"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("webauthn_challenges", "user_id")
                        .to("users", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(
            index("webauthn_challenges", "webauthn_challenges_hash", &["challenge_hash"]).unique().to_owned(),
        )
        .await?;
        m.create_index(index("webauthn_challenges", "webauthn_challenges_expiry", &["expires_at"])).await?;

        m.create_table(
            Table::create()
                .table("webauthn_decoy_key")
                .col(big_integer("id").primary_key())
                .col(binary("sealed_key"))
                .col(timestamp_with_time_zone("created_at"))
                .to_owned(),
        )
        .await?;

        m.create_table(
            of_user("trusted_devices")
                .col(text("device_name"))
                .col(binary_null("fingerprint_hash"))
                .col(text_null("user_agent"))
                .col(text_null("ip"))
                .col(big_integer_null("organization_id"))
                .col(binary_null("activation_hash"))
                .col(big_integer("activating_session_id"))
                .col(timestamp_with_time_zone("activation_expires_at"))
                .col(binary_null("secret_hash"))
                .col(timestamp_with_time_zone_null("activated_at"))
                .col(timestamp_with_time_zone_null("trusted_until"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            ("trusted_devices_activation", ["activation_hash"].as_slice()),
            ("trusted_devices_secret", ["secret_hash"].as_slice()),
        ] {
            m.create_index(index("trusted_devices", name, columns).unique().to_owned()).await?;
        }
        m.create_index(index("trusted_devices", "trusted_devices_user", &["user_id", "activated_at"])).await?;

        m.create_table(
            of_user("social_accounts")
                .col(text("provider"))
                .col(text("subject"))
                .col(text_null("email"))
                .col(text_null("display_name"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .to_owned(),
        )
        .await?;
        for (name, columns) in
            [("social_accounts_subject", ["provider", "subject"]), ("social_accounts_user", ["user_id", "provider"])]
        {
            m.create_index(index("social_accounts", name, &columns).unique().to_owned()).await?;
        }
        m.create_table(
            Table::create()
                .table("social_states")
                .col(big_pk_auto("id"))
                .col(binary("state_hash"))
                .col(text("provider"))
                .col(binary("browser_hash"))
                .col(binary("sealed_secrets"))
                .col(text_null("client_state"))
                .col(text_null("redirect_to"))
                .col(boolean("delivers_code"))
                .col(text_null("accepted_terms"))
                .col(big_integer_null("user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .foreign_key(
                    ForeignKey::create()
                        .from("social_states", "user_id")
                        .to("users", "id")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        m.create_index(index("social_states", "social_states_hash", &["state_hash"]).unique().to_owned()).await?;
        m.create_index(index("social_states", "social_states_expiry", &["expires_at"])).await?;

        m.create_table(
            of_user("personal_access_tokens")
                .col(big_integer_null("organization_id"))
                .col(text("name"))
                .col(text("prefix"))
                .col(binary("token_hash"))
                .col(json("scopes"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .col(timestamp_with_time_zone_null("revoked_at"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            index("personal_access_tokens", "personal_access_tokens_hash", &["token_hash"]).unique().to_owned(),
        )
        .await?;
        m.create_index(index("personal_access_tokens", "personal_access_tokens_user", &["user_id", "revoked_at"])).await
    }
}

/// Where sign-ins came from, and how many there were.
struct SignIns;

impl MigrationName for SignIns {
    fn name(&self) -> &str {
        "m0012_identity_sign_ins"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SignIns {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let country = Table::alter().table("sessions").add_column(text_null("country")).to_owned();
        m.alter_table(country).await?;
        m.create_index(index("sessions", "sessions_country", &["user_id", "country"])).await?;
        m.create_index(index("trusted_devices", "trusted_devices_organization", &["organization_id"])).await?;
        let of_organization = ["organization_id", "id"];
        m.create_index(index("personal_access_tokens", "personal_access_tokens_organization", &of_organization))
            .await?;
        let login_count = big_integer("login_count").default(0).to_owned();
        m.alter_table(Table::alter().table("users").add_column(login_count).to_owned()).await?;
        // What the audit log has of each person so far. Index: audit_log(target_kind, target_id, id).
        m.get_connection()
            .execute_unprepared(
                "UPDATE users SET login_count = (SELECT count(*) FROM audit_log WHERE target_kind = 'user' \
                 AND target_id = CAST(users.id AS VARCHAR) AND action = 'auth.login')",
            )
            .await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Which organization's identity provider vouched for a person.
struct Federated;

impl MigrationName for Federated {
    fn name(&self) -> &str {
        "m0013_identity_federated"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Federated {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sessions", "pending_logins"] {
            let organization = big_integer_null("federated_by_organization_id");
            m.alter_table(Table::alter().table(table).add_column(organization).to_owned()).await?;
            let login = big_integer_null("federated_login_id");
            m.alter_table(Table::alter().table(table).add_column(login).to_owned()).await?;
        }
        // Those of before stand for whatever was asked for then.
        for proof in ["made_with_second_factor", "made_with_passkey"] {
            let proof = boolean(proof).default(true).to_owned();
            m.alter_table(Table::alter().table("personal_access_tokens").add_column(proof).to_owned()).await?;
        }
        let organization = big_integer_null("federated_by_organization_id");
        m.alter_table(Table::alter().table("personal_access_tokens").add_column(organization).to_owned()).await?;
        // What an identity provider ends.
        m.create_index(index("sessions", "sessions_federated", &["federated_login_id"])).await?;
        m.create_index(index("pending_logins", "pending_logins_federated", &["federated_login_id"])).await
    }
}

/// Until when an identity provider lets a session live.
struct FederatedUntil;

impl MigrationName for FederatedUntil {
    fn name(&self) -> &str {
        "m0014_identity_federated_until"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for FederatedUntil {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sessions", "pending_logins"] {
            let until = timestamp_with_time_zone_null("federated_until");
            m.alter_table(Table::alter().table(table).add_column(until).to_owned()).await?;
        }
        Ok(())
    }
}

/// The devices and tokens of an organization, listed and counted without a look at those that are not shown.
struct OrganizationLists;

impl MigrationName for OrganizationLists {
    fn name(&self) -> &str {
        "m0127_identity_organization_lists"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OrganizationLists {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (table, name, columns) in [
            (
                "trusted_devices",
                "trusted_devices_organization",
                ["organization_id", "id", "activated_at", "trusted_until"].as_slice(),
            ),
            (
                "personal_access_tokens",
                "personal_access_tokens_organization",
                ["organization_id", "id", "revoked_at", "expires_at", "created_at"].as_slice(),
            ),
        ] {
            m.get_connection().execute_unprepared(&format!("DROP INDEX {name}")).await?;
            m.create_index(index(table, name, columns)).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use rivergen_platform::{Database, db::DatabaseConfig};
    use sea_orm::{ConnectionTrait, EntityTrait};

    use super::*;
    use crate::user::account;

    #[tokio::test]
    async fn logins_of_before_the_count_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
        let db = Database::connect(&DatabaseConfig { url, max_connections: 2 }).await.unwrap();
        db.migrate(|| {
            let mut former = rivergen_platform::migrations::migrations();
            former.extend([Box::new(Accounts) as Box<dyn MigrationTrait>, Box::new(Proofs)]);
            former
        })
        .await
        .unwrap();
        let tx = db.begin().await.unwrap();
        for id in [1, 11] {
            let user = format!(
                "INSERT INTO users (id, display_name, profile, user_metadata, is_system_admin, created_at, updated_at) \
                 VALUES ({id}, '', '{{}}', '{{}}', FALSE, '2025-01-01 00:00:00+00:00', '2025-01-01 00:00:00+00:00')"
            );
            tx.conn().execute_unprepared(&user).await.unwrap();
        }
        let (login, logout) = ("auth.login", "auth.logout");
        let records = [("user", 11, login), ("user", 11, login), ("user", 1, logout), ("session", 1, login)];
        for (sequence, (kind, id, action)) in records.iter().enumerate() {
            let record = format!(
                "INSERT INTO audit_log (chain, sequence, occurred_at, actor_kind, action, target_kind, target_id, \
                 outcome, details, previous_hash, hash) VALUES (0, {sequence}, '2025-01-01 00:00:00+00:00', 'user', \
                 '{action}', '{kind}', '{id}', 'success', '{{}}', x'00', x'00')"
            );
            tx.conn().execute_unprepared(&record).await.unwrap();
        }
        tx.commit().await.unwrap();
        db.migrate(|| {
            let mut all = rivergen_platform::migrations::migrations();
            all.extend(migrations());
            all
        })
        .await
        .unwrap();
        let users = account::Entity::find().all(db.read()).await.unwrap();
        let counts: Vec<(i64, i64)> = users.iter().map(|user| (user.id.0, user.login_count)).collect();
        assert_eq!(counts, [(1, 0), (11, 2)]);
    }
}
