//! The tables of this room, in the order in which they came to be; `indexes` has what only makes lists of them quick.

mod indexes;

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Organizations),
        Box::new(Security),
        Box::new(People),
        Box::new(Domains),
        Box::new(PublicWorkspaces),
        Box::new(indexes::Lookups),
        Box::new(LastLogins),
        Box::new(PublicAccess),
        Box::new(ImportFailures),
        Box::new(InvitationExpiry),
        Box::new(SentByPeople),
        Box::new(Enforcements),
        Box::new(NamesBesideWords),
        Box::new(Logos),
        Box::new(indexes::WorkspacePeople),
        Box::new(indexes::InvitationPages),
        Box::new(indexes::StatusChanges),
        Box::new(DomainMails),
    ]
}

struct Organizations;

impl MigrationName for Organizations {
    fn name(&self) -> &str {
        "m0020_tenancy_organizations"
    }
}

fn belongs_to(table: &'static str, column: &'static str, parent: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(parent, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Organizations {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("organizations")
                .col(big_pk_auto("id"))
                .col(text("name"))
                .col(text_uniq("name_key"))
                .col(text_null("domain"))
                .col(text("plan"))
                .col(boolean("is_personal"))
                .col(big_integer("created_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("workspaces")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text("name_key"))
                .col(text("slug"))
                .col(boolean("is_default"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(&mut belongs_to("workspaces", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        for (name, column) in [("workspaces_name", "name_key"), ("workspaces_slug", "slug")] {
            m.create_index(
                Index::create().unique().name(name).table("workspaces").col("organization_id").col(column).to_owned(),
            )
            .await?;
        }
        m.create_table(
            Table::create()
                .table("roles")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(text("name"))
                .col(text("description"))
                .col(boolean("is_built_in"))
                .col(json("permissions"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(&mut belongs_to("roles", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().unique().name("roles_name").table("roles").col("organization_id").col("name").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("memberships")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("user_id"))
                .col(text("status"))
                .col(text("source"))
                .col(json("attributes"))
                .col(timestamp_with_time_zone("joined_at"))
                .foreign_key(&mut belongs_to("memberships", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("memberships", "user_id", "users"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .unique()
                .name("memberships_member")
                .table("memberships")
                .col("organization_id")
                .col("user_id")
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("memberships_user").table("memberships").col("user_id").col("status").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("role_assignments")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("user_id"))
                .col(big_integer("role_id"))
                .col(big_integer_null("workspace_id"))
                .col(timestamp_with_time_zone("assigned_at"))
                .foreign_key(&mut belongs_to("role_assignments", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("role_assignments", "user_id", "users"))
                .foreign_key(&mut belongs_to("role_assignments", "role_id", "roles"))
                .foreign_key(&mut belongs_to("role_assignments", "workspace_id", "workspaces"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("role_assignments_user")
                .table("role_assignments")
                .col("user_id")
                .col("organization_id")
                .to_owned(),
        )
        .await
    }
}

/// What organizations ask of their members' sign-ins.
struct Security;

impl MigrationName for Security {
    fn name(&self) -> &str {
        "m0021_tenancy_security"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Security {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.alter_table(Table::alter().table("organizations").add_column(json_null("security")).to_owned()).await
    }
}

/// What an organization with many people needs: settings, invitations, roles on loan, and people found by name.
struct People;

impl MigrationName for People {
    fn name(&self) -> &str {
        "m0022_tenancy_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for People {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let add = |table: &'static str, column: ColumnDef| Table::alter().table(table).add_column(column).to_owned();
        m.alter_table(add("organizations", json_null("settings"))).await?;
        m.alter_table(add("organizations", big_integer("settings_version").default(0).to_owned())).await?;
        m.alter_table(add("organizations", timestamp_with_time_zone_null("settings_updated_at"))).await?;
        m.alter_table(add("organizations", big_integer_null("settings_updated_by"))).await?;
        m.create_index(
            Index::create().name("organizations_deleted").table("organizations").col("deleted_at").to_owned(),
        )
        .await?;

        m.alter_table(add("workspaces", text_null("description"))).await?;
        m.alter_table(add("workspaces", json_null("settings"))).await?;
        m.alter_table(add("workspaces", big_integer_null("source_workspace_id"))).await?;
        m.alter_table(add("workspaces", text_null("external_key"))).await?;

        m.alter_table(add("roles", text("name_key").default("").to_owned())).await?;
        m.alter_table(add("roles", timestamp_with_time_zone_null("updated_at"))).await?;

        m.alter_table(add("role_assignments", big_integer_null("assigned_by_user_id"))).await?;
        m.alter_table(add("role_assignments", timestamp_with_time_zone_null("expires_at"))).await?;

        m.alter_table(add("memberships", text("name_key").default("").to_owned())).await?;
        m.alter_table(add("memberships", text("email").default("").to_owned())).await?;
        m.alter_table(add("memberships", timestamp_with_time_zone_null("status_updated_at"))).await?;

        // One word that a member is found by: of the name, or of the address.
        m.create_table(
            Table::create()
                .table("member_words")
                .col(big_integer("organization_id"))
                .col(text("word"))
                .col(big_integer("user_id"))
                .primary_key(Index::create().col("organization_id").col("word").col("user_id"))
                .foreign_key(&mut belongs_to("member_words", "organization_id", "organizations"))
                .foreign_key(&mut belongs_to("member_words", "user_id", "users"))
                .to_owned(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("invitations")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer("workspace_id"))
                .col(big_integer("role_id"))
                .col(text("email"))
                .col(binary("token_hash"))
                .col(text("status"))
                .col(text_null("message"))
                .col(big_integer("invited_by_user_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("ended_at"))
                .col(big_integer_null("accepted_by_user_id"))
                .foreign_key(&mut belongs_to("invitations", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;

        m.create_table(
            Table::create()
                .table("user_imports")
                .col(big_pk_auto("id"))
                .col(text_uniq("public_id"))
                .col(big_integer("organization_id"))
                .col(big_integer("started_by_user_id"))
                .col(big_integer("session_id"))
                .col(text("format"))
                .col(boolean("is_dry_run"))
                .col(text("status"))
                .col(text("content"))
                .col(big_integer("total_rows"))
                .col(big_integer("processed"))
                .col(big_integer("created"))
                .col(big_integer("failed"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .foreign_key(&mut belongs_to("user_imports", "organization_id", "organizations"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("user_import_errors")
                .col(big_integer("import_id"))
                .col(big_integer("row_number"))
                .col(text_null("field"))
                .col(text("code"))
                .col(text("message"))
                .primary_key(Index::create().col("import_id").col("row_number"))
                .foreign_key(&mut belongs_to("user_import_errors", "import_id", "user_imports"))
                .to_owned(),
        )
        .await?;

        let db = m.get_connection();
        if db.get_database_backend() == sea_orm_migration::sea_orm::DbBackend::Postgres {
            // Words are found by a range of bytes.
            db.execute_unprepared("ALTER TABLE member_words ALTER COLUMN word TYPE text COLLATE \"C\"").await?;
        }
        for statement in [
            "UPDATE roles SET name_key = lower(name)",
            "CREATE UNIQUE INDEX roles_name_key ON roles (organization_id, name_key)",
            "CREATE UNIQUE INDEX workspaces_external_key ON workspaces (organization_id, external_key)",
            // Of several assignments of one role in one place, the oldest stays.
            "DELETE FROM role_assignments WHERE EXISTS (SELECT 1 FROM role_assignments older \
             WHERE older.user_id = role_assignments.user_id AND older.role_id = role_assignments.role_id \
             AND COALESCE(older.workspace_id, 0) = COALESCE(role_assignments.workspace_id, 0) \
             AND older.id < role_assignments.id)",
            "CREATE UNIQUE INDEX role_assignments_once ON role_assignments (user_id, role_id) \
             WHERE workspace_id IS NULL",
            "CREATE UNIQUE INDEX role_assignments_once_in_workspace ON role_assignments (user_id, role_id, workspace_id) \
             WHERE workspace_id IS NOT NULL",
            "CREATE INDEX role_assignments_role ON role_assignments (role_id, id)",
            "CREATE INDEX role_assignments_workspace ON role_assignments (workspace_id, id)",
            "UPDATE memberships SET \
             name_key = (SELECT lower(users.display_name) FROM users WHERE users.id = memberships.user_id), \
             email = COALESCE((SELECT user_emails.email FROM user_emails WHERE user_emails.user_id = memberships.user_id \
             AND user_emails.is_primary = TRUE), '')",
            "CREATE INDEX memberships_name ON memberships (organization_id, name_key, user_id)",
            "CREATE INDEX memberships_email ON memberships (organization_id, email, user_id)",
            "CREATE INDEX memberships_joined ON memberships (organization_id, joined_at, user_id)",
            "CREATE INDEX memberships_status ON memberships (organization_id, status, name_key, user_id)",
            "CREATE UNIQUE INDEX invitations_token ON invitations (token_hash)",
            "CREATE UNIQUE INDEX invitations_pending ON invitations (organization_id, email) WHERE status = 'pending'",
            "CREATE INDEX invitations_organization ON invitations (organization_id, status, id)",
            "CREATE INDEX invitations_role ON invitations (role_id, status)",
            "CREATE INDEX invitations_workspace ON invitations (workspace_id, status)",
            "CREATE INDEX role_assignments_loans ON role_assignments (role_id, expires_at) WHERE expires_at IS NOT NULL",
            "CREATE INDEX invitations_newest ON invitations (organization_id, id)",
            "CREATE INDEX invitations_email ON invitations (email, id)",
            "CREATE INDEX user_imports_age ON user_imports (created_at)",
            "CREATE INDEX user_imports_organization ON user_imports (organization_id)",
            "CREATE UNIQUE INDEX workspaces_default ON workspaces (organization_id) WHERE is_default = TRUE",
            "CREATE INDEX workspaces_deleted ON workspaces (deleted_at)",
            "CREATE INDEX role_assignments_people ON role_assignments (organization_id, workspace_id, user_id, expires_at) \
             WHERE workspace_id IS NOT NULL",
        ] {
            db.execute_unprepared(statement).await?;
        }
        write_words(db).await
    }
}

/// The mail domains that organizations claim and prove.
struct Domains;

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

/// Which workspaces are open to every member of their organization, where lists can ask for it.
struct PublicWorkspaces;

impl MigrationName for PublicWorkspaces {
    fn name(&self) -> &str {
        "m0024_tenancy_public_workspaces"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PublicWorkspaces {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("is_public").default(false).to_owned();
        m.alter_table(Table::alter().table("workspaces").add_column(column).to_owned()).await?;
        let db = m.get_connection();
        let is_set = match db.get_database_backend() {
            sea_orm_migration::sea_orm::DbBackend::Postgres => "settings ->> 'allow_public_access' = 'true'",
            _ => "json_extract(settings, '$.allow_public_access') = 1",
        };
        db.execute_unprepared(&format!("UPDATE workspaces SET is_public = TRUE WHERE {is_set}")).await?;
        let index = "CREATE INDEX workspaces_public ON workspaces (organization_id, id) WHERE is_public = TRUE";
        db.execute_unprepared(index).await.map(drop)
    }
}

/// When each member last signed in to the organization, where a list can be ordered by it.
struct LastLogins;

impl MigrationName for LastLogins {
    fn name(&self) -> &str {
        "m0026_tenancy_last_logins"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LastLogins {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = timestamp_with_time_zone_null("last_login_at");
        m.alter_table(Table::alter().table("memberships").add_column(column).to_owned()).await?;
        let db = m.get_connection();
        // Who never signed in comes first, as SQLite has it by itself.
        let nulls = match db.get_database_backend() {
            sea_orm_migration::sea_orm::DbBackend::Postgres => " NULLS FIRST",
            _ => "",
        };
        for statement in [
            "UPDATE memberships SET last_login_at = (SELECT max(sessions.created_at) FROM sessions \
             WHERE sessions.organization_id = memberships.organization_id AND sessions.user_id = memberships.user_id)",
            &format!(
                "CREATE INDEX memberships_last_login ON memberships (organization_id, last_login_at{nulls}, user_id)"
            ),
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// Whether an organization lets workspaces be open to all of its members.
struct PublicAccess;

impl MigrationName for PublicAccess {
    fn name(&self) -> &str {
        "m0027_tenancy_public_access"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PublicAccess {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("allows_public_workspaces").default(true).to_owned();
        m.alter_table(Table::alter().table("organizations").add_column(column).to_owned()).await
    }
}

/// Why an import of people failed as a whole.
struct ImportFailures;

impl MigrationName for ImportFailures {
    fn name(&self) -> &str {
        "m0028_tenancy_import_failures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ImportFailures {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = text_null("failure");
        m.alter_table(Table::alter().table("user_imports").add_column(column).to_owned()).await?;
        // Those whose job died before it told of it.
        let given_up = "UPDATE user_imports SET status = 'failed', content = '', finished_at = CURRENT_TIMESTAMP, \
                        failure = 'The server gave the import up. Rows that it had worked off stay done.' \
                        WHERE status = 'processing' AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.finished_at IS NULL \
                        AND jobs.kind = 'tenancy.import_users' AND jobs.payload = CAST(user_imports.id AS TEXT))";
        m.get_connection().execute_unprepared(given_up).await.map(drop)
    }
}

/// Which invitations are long over.
struct InvitationExpiry;

impl MigrationName for InvitationExpiry {
    fn name(&self) -> &str {
        "m0029_tenancy_invitation_expiry"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for InvitationExpiry {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX invitations_expiry ON invitations (expires_at)";
        m.get_connection().execute_unprepared(index).await.map(drop)
    }
}

/// What somebody sent: access requests ask for it.
struct SentByPeople;

impl MigrationName for SentByPeople {
    fn name(&self) -> &str {
        "m0029_tenancy_sent_by_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SentByPeople {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            "CREATE INDEX invitations_inviter ON invitations (invited_by_user_id, id)",
            "CREATE INDEX user_imports_starter ON user_imports (started_by_user_id, id)",
        ] {
            m.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}

/// What organizations enforce of single sign-on.
struct Enforcements;

impl MigrationName for Enforcements {
    fn name(&self) -> &str {
        "m0084_tenancy_enforcement"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Enforcements {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = json_null("enforcement");
        m.alter_table(Table::alter().table("organizations").add_column(column).to_owned()).await
    }
}

/// Beside each word stands the name of who bears it, so that those who are found are put in order without a look at each.
struct NamesBesideWords;

impl MigrationName for NamesBesideWords {
    fn name(&self) -> &str {
        "m0121_tenancy_names_beside_words"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NamesBesideWords {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let db = m.get_connection();
        // The whole row is its key. On PostgreSQL words are found by a range of bytes, and names are ordered as those of members.
        let (collation, clustered) = match db.get_database_backend() {
            sea_orm_migration::sea_orm::DbBackend::Postgres => (" COLLATE \"C\"", ""),
            _ => ("", " WITHOUT ROWID"),
        };
        let create = format!(
            "CREATE TABLE member_words_named (organization_id bigint NOT NULL REFERENCES organizations (id) ON DELETE CASCADE, \
             word text{collation} NOT NULL, name_key text NOT NULL, \
             user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE, \
             PRIMARY KEY (organization_id, word, name_key, user_id)){clustered}"
        );
        for statement in [
            create.as_str(),
            "INSERT INTO member_words_named (organization_id, word, name_key, user_id) \
             SELECT one.organization_id, one.word, member.name_key, one.user_id FROM member_words AS one \
             JOIN memberships AS member ON member.organization_id = one.organization_id AND member.user_id = one.user_id",
            "DROP TABLE member_words",
            "ALTER TABLE member_words_named RENAME TO member_words",
            "CREATE INDEX member_words_member ON member_words (user_id, organization_id, word)",
            // Pages of a role's holders pass over those before them without a look at the table.
            "DROP INDEX role_assignments_role",
            "CREATE INDEX role_assignments_role ON role_assignments (role_id, id, expires_at, organization_id)",
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    // A server that is killed between two statements must find the words again.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Pictures of organizations.
struct Logos;

impl MigrationName for Logos {
    fn name(&self) -> &str {
        "m0125_tenancy_logos"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Logos {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("organization_logos")
                .col(big_integer("organization_id").primary_key())
                .col(text("data_url"))
                .foreign_key(&mut belongs_to("organization_logos", "organization_id", "organizations"))
                .to_owned(),
        )
        .await
    }
}

/// Domains that are proved by a code which is mailed to them.
struct DomainMails;

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

/// The words of those who are members already.
async fn write_words(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut after = 0_i64;
    loop {
        let page = Query::select()
            .columns(["id", "organization_id", "user_id", "name_key", "email"])
            .from("memberships")
            .and_where(Expr::col("id").gt(after))
            .order_by("id", Order::Asc)
            .limit(500)
            .to_owned();
        let rows = db.query_all(&page).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("", "id")?;
        let mut insert = Query::insert();
        insert.into_table("member_words").columns(["organization_id", "word", "user_id"]);
        for row in &rows {
            let (organization, user): (i64, i64) = (row.try_get("", "organization_id")?, row.try_get("", "user_id")?);
            let (name, email): (String, String) = (row.try_get("", "name_key")?, row.try_get("", "email")?);
            for word in crate::member::word::words_of(&name, &email) {
                insert.values_panic([organization.into(), word.into(), user.into()]);
            }
        }
        db.execute(&insert).await?;
    }
}
