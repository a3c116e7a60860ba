//! `POST /api/v1/users/bulk-import` and `GET /api/v1/users/bulk-import/{import_id}`: many people from a CSV or SCIM file.
//!
//! The file is read when it comes and worked off by a job, some hundred rows a transaction: a server that is killed goes on
//! with the next. Each row is an invitation by the rules of the single one, and one that fails stops no other. A dry run
//! does the same and takes every batch back, and remembers whom it has invited. An import whose job is given up has failed,
//! and says so.
//!
//! | file | |
//! | --- | --- |
//! | this one | the two operations, and what is kept of an import |
//! | `file` | the file, and what it says |
//! | `job` | its rows are worked off |

mod file;
mod job;

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result, Token};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin, SignedIn},
    jobs::JobOptions,
    limits::Rule,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::Tenancy;
use file::{fetch, read, unreadable};

pub use job::register;

/// Imports of one organization, tried out or not: each keeps its file until it is worked off.
const IMPORTS: Rule = Rule::new("bulk_imports", 30, Duration::from_secs(3600));
const MAX_BYTES: usize = 5 * 1024 * 1024;
/// Of the request around the file, whose line ends and quotes JSON escapes.
pub(super) const MAX_BODY_BYTES: usize = 2 * MAX_BYTES;
/// Row errors of one answer.
const SHOWN_ERRORS: u64 = 1000;

/// Imports, one row each.
pub mod run {
    use rivergen_kernel::{OrganizationId, SessionId, UserId};
    use rivergen_platform::db::TenantOwned;
    use sea_orm::entity::prelude::*;
    use serde::{Deserialize, Serialize};
    use utoipa::ToSchema;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    #[serde(rename_all = "snake_case")]
    #[schema(as = ImportFormat)]
    pub enum Format {
        /// With a header: email, display_name, role, external_id.
        #[sea_orm(string_value = "csv")]
        Csv,
        /// A SCIM list of users (RFC 7644, section 3.4.2), or an array of them.
        #[sea_orm(string_value = "scim")]
        Scim,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, ToSchema)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    #[serde(rename_all = "snake_case")]
    #[schema(as = ImportStatus)]
    pub enum Status {
        #[sea_orm(string_value = "processing")]
        Processing,
        #[sea_orm(string_value = "completed")]
        Completed,
        #[sea_orm(string_value = "completed_with_errors")]
        CompletedWithErrors,
        /// It could not go on; `failure` says why.
        #[sea_orm(string_value = "failed")]
        Failed,
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_imports")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        /// Random; what the API calls it.
        pub public_id: String,
        pub organization_id: OrganizationId,
        pub started_by_user_id: UserId,
        pub session_id: SessionId,
        pub format: Format,
        pub is_dry_run: bool,
        pub status: Status,
        /// The file; empty once it is worked off.
        pub content: String,
        pub total_rows: i64,
        pub processed: i64,
        pub created: i64,
        pub failed: i64,
        pub created_at: DateTimeUtc,
        pub finished_at: Option<DateTimeUtc>,
        /// Why it failed as a whole, in words for people.
        pub failure: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}

/// Rows that failed.
pub mod row_error {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_import_errors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub import_id: i64,
        /// From 1, without the header.
        #[sea_orm(primary_key, auto_increment = false)]
        pub row_number: i64,
        pub field: Option<String>,
        pub code: String,
        pub message: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use run::{Format, Status};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"organization_id": 42, "format": "csv", "content": "email,display_name,role\nada@acme.example,Ada,Developer\n"}))]
pub struct BulkImportRequest {
    pub organization_id: OrganizationId,
    #[schema(inline)]
    pub format: Format,
    /// The file itself, up to 5 MiB and 100,000 rows; or
    pub content: Option<String>,
    /// where it can be fetched: an address that begins with https://.
    #[garde(inner(length(max = 2048)))]
    pub file_url: Option<String>,
    /// Only checks.
    #[schema(default = false)]
    pub dry_run: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImportStarted {
    #[schema(examples("imp_3mK9…"))]
    pub import_id: String,
    #[schema(examples(100))]
    pub total_rows: i64,
    #[schema(examples(0))]
    pub processed: i64,
    #[schema(inline)]
    pub status: Status,
    pub message: &'static str,
}

/// How an import stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportProgress {
    pub import_id: String,
    pub organization_id: OrganizationId,
    #[schema(inline)]
    pub status: Status,
    pub total_rows: i64,
    pub processed: i64,
    /// Who was invited, or would be.
    pub created: i64,
    /// Always 0: existing members are left as they are.
    pub updated: i64,
    pub failed: i64,
    /// Rows that failed, in order and at most a thousand; get the following ones with `errors_after`.
    pub errors: Vec<ImportRowError>,
    /// Why an import failed as a whole; the rows it had finished stay imported.
    #[schema(examples("The person who started the import may no longer add people."))]
    pub failure: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportErrorsQuery {
    /// Only the errors of rows after this one: the last one of the previous answer.
    #[garde(inner(range(min = 0)))]
    #[param(minimum = 0)]
    pub errors_after: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImportRowError {
    /// From 1, without the header.
    #[schema(examples(3))]
    pub row: i64,
    #[schema(examples("email"))]
    pub field: Option<String>,
    #[schema(examples("VALIDATION_ERROR"))]
    pub code: String,
    pub message: String,
}

errors! {
    pub BulkImportErrors: InvalidRequest, InvalidImportFile, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError, RateLimited;
    pub GetImportErrors: Unauthorized, Forbidden, EmailNotVerified, ImportNotFound, ValidationError;
}

/// Import many users from a CSV or SCIM file
#[utoipa::path(post, path = "/api/v1/users/bulk-import", tag = "users", request_body = BulkImportRequest,
    responses((status = 200, description = "Started; follow it by its id", body = Envelope<ImportStarted>), BulkImportErrors))]
pub async fn bulk_import(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<BulkImportRequest>,
) -> Result<Reply<ImportStarted>> {
    let platform = &tenancy.identity.platform;
    let session_id = caller.session()?;
    let caller = tenancy.enter(&caller, request.organization_id).await?;
    let tenant = caller.require(Permission::UserCreate)?;
    let content = match (request.content, request.file_url) {
        (Some(content), None) if content.len() > MAX_BYTES => return Err(unreadable("The file is larger than 5 MiB.")),
        (Some(content), None) => content,
        (None, Some(url)) => fetch(&tenancy, &url).await?,
        _ => return Err(Error::invalid_field("content", "give the file itself, or its file_url")),
    };
    let total_rows = i64::try_from(read(request.format, &content)?.len()).map_err(Error::internal)?;
    let uses = platform.check_limits(&[(&IMPORTS, &tenant.organization_id().to_string())]).await?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    let row = run::ActiveModel {
        public_id: Set(format!("imp_{}", &Token::random(&mut rand::rng()).expose()[..22])),
        organization_id: Set(tenant.organization_id()),
        started_by_user_id: Set(caller.user_id),
        session_id: Set(session_id),
        format: Set(request.format),
        is_dry_run: Set(request.dry_run.unwrap_or(false)),
        status: Set(Status::Processing),
        content: Set(content),
        total_rows: Set(total_rows),
        processed: Set(0),
        created: Set(0),
        failed: Set(0),
        created_at: Set(now),
        finished_at: Set(None),
        failure: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    let options = JobOptions { organization_id: Some(tenant.organization_id()), ..JobOptions::default() };
    platform.jobs.enqueue(&tx, job::JOB, &row.id, options).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "user.import")
        .target("user_import", &row.public_id)
        .details(json!({"rows": total_rows, "dry_run": row.is_dry_run}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The import has begun.";
    let started =
        ImportStarted { import_id: row.public_id, total_rows, processed: 0, status: Status::Processing, message };
    Ok(Reply::ok(started, message))
}

/// Read the progress and the row errors of an import
#[utoipa::path(get, path = "/api/v1/users/bulk-import/{import_id}", tag = "users",
    params(("import_id" = String, Path, description = "As the import was answered; known for thirty days"), ImportErrorsQuery),
    responses((status = 200, description = "Its progress", body = Envelope<ImportProgress>), GetImportErrors))]
pub async fn get_bulk_import(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(import_id): Path<String>,
    Query(query): Query<ImportErrorsQuery>,
) -> Result<Reply<ImportProgress>> {
    let db = tenancy.identity.platform.db.read();
    let row = Stand::of(db, import_id).await?.ok_or(ErrorCode::ImportNotFound)?;
    let caller = tenancy
        .enter(&caller, row.organization_id)
        .await
        .map_err(|error| error.renamed(ErrorCode::OrgNotFound, ErrorCode::ImportNotFound))?;
    caller.require(Permission::UserCreate)?;
    let errors = row_error::Entity::find()
        .filter(row_error::Column::ImportId.eq(row.id))
        .filter(row_error::Column::RowNumber.gt(query.errors_after.unwrap_or(0)))
        .order_by_asc(row_error::Column::RowNumber)
        .limit(SHOWN_ERRORS)
        .all(db)
        .await?;
    let shown = |error: row_error::Model| ImportRowError {
        row: error.row_number,
        field: error.field,
        code: error.code,
        message: error.message,
    };
    let progress = ImportProgress {
        import_id: row.public_id,
        organization_id: row.organization_id,
        status: row.status,
        total_rows: row.total_rows,
        processed: row.processed,
        created: row.created,
        updated: 0,
        failed: row.failed,
        errors: errors.into_iter().map(shown).collect(),
        failure: row.failure,
        created_at: row.created_at,
        finished_at: row.finished_at,
    };
    Ok(Reply::ok(progress, "How the import stands."))
}

/// How an import stands, without its file, which may have megabytes and is asked for by nobody who follows it.
#[derive(FromQueryResult)]
struct Stand {
    id: i64,
    public_id: String,
    organization_id: OrganizationId,
    status: Status,
    total_rows: i64,
    processed: i64,
    created: i64,
    failed: i64,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    failure: Option<String>,
}

impl Stand {
    /// Index: user_imports(public_id), unique.
    async fn of(db: &impl ConnectionTrait, public_id: String) -> Result<Option<Self>> {
        use run::Column;
        let found = run::Entity::find()
            .select_only()
            .columns([Column::Id, Column::PublicId, Column::OrganizationId, Column::Status, Column::TotalRows])
            .columns([Column::Processed, Column::Created, Column::Failed, Column::CreatedAt, Column::FinishedAt])
            .column(Column::Failure)
            .filter(Column::PublicId.eq(public_id));
        Ok(found.into_model().one(db).await?)
    }
}
