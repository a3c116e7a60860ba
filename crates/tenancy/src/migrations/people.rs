//! Members, invitations and imports, and the words by which members are found.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::ConnectionTrait};

use super::belongs_to;

/// What an organization with many people needs: settings, invitations, roles on loan, and people found by name.
pub(super) struct People;

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
        write_words(db, None, false).await
    }
}

/// When each member last signed in to the organization, where a list can be ordered by it.
pub(super) struct LastLogins;

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

/// Why an import of people failed as a whole.
pub(super) struct ImportFailures;

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

/// Beside each word stands the name of who bears it, so that those who are found are put in order without a look at
/// each.
pub(super) struct NamesBesideWords;

impl MigrationName for NamesBesideWords {
    fn name(&self) -> &str {
        "m0121_tenancy_names_beside_words"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NamesBesideWords {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let db = m.get_connection();
        // The whole row is its key. On PostgreSQL words are found by a range of bytes, and names are ordered as those
        // of members.
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

/// Of a member's words, 24 were kept; the others of those who have more come beside them.
pub(super) struct AllWords;

impl MigrationName for AllWords {
    fn name(&self) -> &str {
        "m0134_tenancy_all_words"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AllWords {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // More than 23 words and what stands between them take as many letters.
        let long = Expr::cust("length(name_key) + length(email) > 45");
        write_words(m.get_connection(), Some(long), true).await
    }

    // Found as they were until all are there.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Writes down the words of those who are members already, or of those for whom a condition holds, but for what is there;
/// with their names beside them, where the table has those by now.
async fn write_words(db: &impl ConnectionTrait, whose: Option<Expr>, named: bool) -> Result<(), DbErr> {
    const ROWS: usize = 5_000;
    let mut columns = vec!["organization_id", "word", "user_id"];
    columns.extend(named.then_some("name_key"));
    let mut after = 0_i64;
    loop {
        let page = Query::select()
            .columns(["id", "organization_id", "user_id", "name_key", "email"])
            .from("memberships")
            .and_where(Expr::col("id").gt(after))
            .and_where_option(whose.clone())
            .order_by("id", Order::Asc)
            .limit(500)
            .to_owned();
        let members = db.query_all(&page).await?;
        let Some(last) = members.last() else { return Ok(()) };
        after = last.try_get("", "id")?;
        let mut words: Vec<Vec<Expr>> = Vec::new();
        for row in &members {
            let (organization, user): (i64, i64) = (row.try_get("", "organization_id")?, row.try_get("", "user_id")?);
            let (name, email): (String, String) = (row.try_get("", "name_key")?, row.try_get("", "email")?);
            for word in crate::member::word::words_of(&name, &email) {
                let mut values: Vec<Expr> = vec![organization.into(), word.into(), user.into()];
                values.extend(named.then(|| name.as_str().into()));
                words.push(values);
            }
        }
        for some in words.chunks(ROWS) {
            let mut insert = Query::insert();
            insert.into_table("member_words").columns(columns.iter().copied());
            insert.on_conflict(OnConflict::new().do_nothing().to_owned());
            for values in some {
                insert.values_panic(values.iter().cloned());
            }
            db.execute(&insert).await?;
        }
    }
}
