//! `POST /api/v1/users/bulk-import` and `GET /api/v1/users/bulk-import/{import_id}`: many people from a CSV or SCIM file.
//!
//! The file is read when it comes and worked off by a job, some hundred rows a transaction: a server that is killed goes on
//! with the next. Each row is an invitation by the rules of the single one, and one that fails stops no other. A dry run
//! does the same and takes every batch back, and remembers whom it has invited. An import whose job is given up has failed,
//! and says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::email_address;
use rivergen_kernel::{
    Caller, Credential, Error, ErrorCode, OrganizationId, Permission, Proofs, Result, RoleId, Tenant, Token,
};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin, SignedIn},
    jobs::{Handler, JobContext, JobError, JobOptions},
    net,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Tenancy,
    invitation::{
        invite::{Field, Invitations, Wanted},
        table,
    },
    role, workspace,
};

const JOB: &str = "tenancy.import_users";
const SWEEP: &str = "tenancy.forget_imports";
/// Rows of one transaction.
const BATCH: usize = 250;
/// What a row names of the fields of an invitation.
const COLUMNS: [&str; 3] = ["email", "workspace", "role"];
const MAX_ROWS: usize = 100_000;
const MAX_BYTES: usize = 5 * 1024 * 1024;
/// Of the request around the file, whose line ends and quotes JSON escapes.
pub(super) const MAX_BODY_BYTES: usize = 2 * MAX_BYTES;
const MAX_FETCHED_BYTES: usize = 20 * 1024 * 1024;
const FETCH_TIME: Duration = Duration::from_secs(10);
/// Row errors of one answer.
const SHOWN_ERRORS: u64 = 1000;
/// How long an import can be asked for.
const KEPT: chrono::Duration = chrono::Duration::days(30);

/// What is told of an import that failed as a whole.
const NOT_ALLOWED: &str = "Whoever started the import may not add people any more.";
const GIVEN_UP: &str = "The server could not finish the import, and has stopped trying. Rows that it had worked off stay \
                        done; send the file again for the rest.";

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
    /// Always 0: who belongs to the organization is left as they are.
    pub updated: i64,
    pub failed: i64,
    /// Rows that failed, in their order and at most a thousand; those behind them are asked for with `errors_after`.
    pub errors: Vec<ImportRowError>,
    /// Why an import failed as a whole; what it had worked off stays done.
    #[schema(examples("Whoever started the import may not add people any more."))]
    pub failure: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportErrorsQuery {
    /// Only the errors of rows behind this one: the last that the answer before had.
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
    pub BulkImportErrors: InvalidRequest, InvalidImportFile, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError;
    pub GetImportErrors: Unauthorized, Forbidden, EmailNotVerified, ImportNotFound, ValidationError;
}

/// Import many users from a CSV or SCIM file
#[utoipa::path(post, path = "/api/v1/users/bulk-import", tag = "users", request_body = BulkImportRequest,
    responses((status = 200, description = "Begun; follow it by its id", body = Envelope<ImportStarted>), BulkImportErrors))]
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
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
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
    platform.jobs.enqueue(&tx, JOB, &row.id, options).await?;
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

/// Follow the progress of an import and read its row errors
#[utoipa::path(get, path = "/api/v1/users/bulk-import/{import_id}", tag = "users",
    params(("import_id" = String, Path, description = "As the import was answered; known for thirty days"), ImportErrorsQuery),
    responses((status = 200, description = "How it stands", body = Envelope<ImportProgress>), GetImportErrors))]
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

fn unreadable(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::InvalidImportFile).with_message(message)
}

/// Through the guarded client, which checks every address and every redirect.
async fn fetch(tenancy: &Tenancy, url: &str) -> Result<String> {
    if !url.starts_with("https://") {
        return Err(Error::invalid_field("file_url", "must begin with https://"));
    }
    let request = tenancy.identity.platform.outbound.http().get(url).timeout(FETCH_TIME);
    let response = request.send().await.and_then(reqwest::Response::error_for_status);
    let response = response.map_err(|error| unreadable("The file cannot be fetched.").with_source(error))?;
    let bytes = net::read_bounded(response, MAX_FETCHED_BYTES).await;
    let bytes = bytes.map_err(|error| unreadable("The file cannot be fetched, or is too large.").with_source(error))?;
    String::from_utf8(bytes.into()).map_err(|_| unreadable("The file is not UTF-8."))
}

/// A person of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    email: String,
    /// By name; that of who is let into the default workspace without one, if absent.
    role: Option<String>,
}

fn read(format: Format, content: &str) -> Result<Vec<Row>> {
    let rows = match format {
        Format::Csv => read_csv(content)?,
        Format::Scim => read_scim(content)?,
    };
    match rows.len() {
        0 => Err(unreadable("The file names nobody.")),
        1..=MAX_ROWS => Ok(rows),
        _ => Err(unreadable("The file has more than 100,000 rows.")),
    }
}

fn read_csv(content: &str) -> Result<Vec<Row>> {
    let columns = ["email", "display_name", "role", "external_id"];
    let rows = table::read(content.as_bytes(), columns, MAX_ROWS + 1).map_err(unreadable)?;
    let row = |[email, _, role, _]: [Option<String>; 4]| Row { email: email.unwrap_or_default(), role };
    Ok(rows.into_iter().map(row).collect())
}

fn read_scim(content: &str) -> Result<Vec<Row>> {
    let document: Value = serde_json::from_str(content).map_err(|error| unreadable(format!("{error}.")))?;
    let users = document.as_array().or_else(|| document["Resources"].as_array());
    let users = users.ok_or_else(|| unreadable("This is no SCIM list of users."))?;
    let row = |user: &Value| {
        let emails = user["emails"].as_array();
        let primary = emails.and_then(|all| all.iter().find(|one| one["primary"] == true).or(all.first()));
        let email = primary.and_then(|one| one["value"].as_str()).or(user["userName"].as_str());
        let role = user["roles"].as_array().and_then(|all| all.first()).and_then(|role| role["value"].as_str());
        Row { email: email.unwrap_or_default().to_owned(), role: role.map(str::to_owned) }
    };
    Ok(users.iter().map(row).collect())
}

/// Registers the jobs of imports.
pub fn register(tenancy: &Tenancy) {
    let jobs = &tenancy.identity.platform.jobs;
    jobs.register(JOB, Arc::new(Worker(tenancy.clone())));
    jobs.every(SWEEP, Duration::from_secs(3600), Arc::new(Sweep(tenancy.clone())));
}

struct Worker(Tenancy);

#[async_trait]
impl Handler for Worker {
    async fn run(&self, payload: Value, _: JobContext) -> Result<(), JobError> {
        let id: i64 = serde_json::from_value(payload).map_err(|error| JobError::fatal(Error::internal(error)))?;
        self.work_off(id).await.map_err(JobError::from)
    }

    /// What is wrong is in the log; people are told what they can do.
    async fn given_up(&self, tx: &Transaction, payload: Value, _: &str) -> Result<()> {
        let Ok(id) = serde_json::from_value::<i64>(payload) else { return Ok(()) };
        self.finish(tx, id, Status::Failed, Some(GIVEN_UP)).await
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(3600)
    }
}

impl Worker {
    async fn work_off(&self, id: i64) -> Result<()> {
        let platform = &self.0.identity.platform;
        let found = run::Entity::find_by_id(id).one(platform.db.read()).await?;
        let Some(mut row) = found.filter(|row| row.status == Status::Processing) else { return Ok(()) };
        let rows = read(row.format, &row.content)?;
        let mut earlier = self.invited_in_vain(&row, &rows).await?;
        while let Some(batch) = rows.get(usize::try_from(row.processed).unwrap_or(usize::MAX)..)
            && !batch.is_empty()
        {
            let batch = batch.get(..BATCH).unwrap_or(batch);
            match self.starter(&row).await? {
                Some(caller) => self.work_off_batch(&mut row, batch, &caller, &mut earlier).await?,
                None => return self.end(row.id, Status::Failed, Some(NOT_ALLOWED)).await,
            }
        }
        self.end(row.id, if row.failed == 0 { Status::Completed } else { Status::CompletedWithErrors }, None).await
    }

    /// Whom a dry run that goes on has invited in the batches before, which were taken back.
    async fn invited_in_vain(&self, row: &run::Model, rows: &[Row]) -> Result<BTreeSet<String>> {
        if !row.is_dry_run || row.processed == 0 {
            return Ok(BTreeSet::new());
        }
        let failed: Vec<i64> = row_error::Entity::find()
            .select_only()
            .column(row_error::Column::RowNumber)
            .filter(row_error::Column::ImportId.eq(row.id))
            .into_tuple()
            .all(self.0.identity.platform.db.read())
            .await?;
        let failed: BTreeSet<i64> = failed.into_iter().collect();
        let invited = (1..=row.processed).zip(rows).filter(|(number, _)| !failed.contains(number));
        Ok(invited.filter_map(|(_, row)| email_address::normalise(&row.email, "email").ok()).collect())
    }

    /// Who started it, with what they may do now; `None` where they may not add people any more.
    async fn starter(&self, row: &run::Model) -> Result<Option<Caller>> {
        let now = self.0.identity.platform.clock.now();
        let standing = self.0.standings.of(row.organization_id, row.started_by_user_id).await?;
        let membership = standing.and_then(|standing| standing.membership(None, now));
        let caller = membership.map(|membership| Caller {
            user_id: row.started_by_user_id,
            credential: Credential::Session(row.session_id),
            email: "".into(),
            email_verified: true,
            authenticated_at: row.created_at,
            membership: Some(Arc::new(membership)),
            proofs: Proofs::of_what_goes_on(None),
            closed: None,
        });
        Ok(caller.filter(|caller| caller.may(Permission::UserCreate)))
    }

    async fn work_off_batch(
        &self,
        row: &mut run::Model,
        batch: &[Row],
        caller: &Caller,
        earlier: &mut BTreeSet<String>,
    ) -> Result<()> {
        let platform = &self.0.identity.platform;
        let tenant = caller.tenant()?;
        let tx = platform.db.begin().await?;
        let outcomes = self.invite(&tx, caller, tenant, batch, row.is_dry_run, earlier).await?;
        let tx = match row.is_dry_run {
            true => {
                drop(tx);
                platform.db.begin().await?
            }
            false => tx,
        };
        let failed: Vec<row_error::ActiveModel> = (row.processed + 1..)
            .zip(&outcomes)
            .filter_map(|(number, outcome)| Some((number, outcome.as_ref().err()?)))
            .map(|(number, error)| row_error::ActiveModel {
                import_id: Set(row.id),
                row_number: Set(number),
                field: Set(Field::of(error).map(|field| COLUMNS[field as usize].to_owned())),
                code: Set(error.code.as_str().to_owned()),
                message: Set(error.details.first().map_or(error.message.to_string(), |detail| detail.reason.clone())),
            })
            .collect();
        let count = |length: usize| i64::try_from(length).map_err(Error::internal);
        let (all, lost) = (count(outcomes.len())?, count(failed.len())?);
        if !failed.is_empty() {
            row_error::Entity::insert_many(failed).exec_without_returning(tx.conn()).await?;
        }
        row.processed += all;
        row.created += all - lost;
        row.failed += lost;
        // Without the file, which is large. Of two workers, one of which lost its lease, one alone gets this batch done.
        let worked_off = run::Entity::update_many()
            .col_expr(run::Column::Processed, row.processed.into())
            .col_expr(run::Column::Created, row.created.into())
            .col_expr(run::Column::Failed, row.failed.into())
            .filter(run::Column::Id.eq(row.id))
            .filter(run::Column::Status.eq(Status::Processing))
            .filter(run::Column::Processed.eq(row.processed - all))
            .exec(tx.conn())
            .await?;
        if worked_off.rows_affected == 0 {
            return Err(Error::internal("the import is worked off by somebody else, or has ended"));
        }
        tx.commit().await
    }

    /// The outcome of each row, in their order.
    async fn invite(
        &self,
        tx: &Transaction,
        caller: &Caller,
        tenant: Tenant,
        batch: &[Row],
        is_dry_run: bool,
        earlier: &mut BTreeSet<String>,
    ) -> Result<Vec<Result<()>>> {
        let default = workspace::default_of(tx.conn(), tenant.organization_id()).await?;
        let workspace_id = default.ok_or_else(|| Error::internal("an organization without a default workspace"))?.id;
        let names = batch.iter().filter_map(|row| row.role.as_deref()).map(str::to_lowercase);
        // Index: roles(organization_id, name_key), unique.
        let roles = tenant.find::<role::Entity>().filter(role::Column::NameKey.is_in(names)).all(tx.conn()).await?;
        let roles: BTreeMap<String, RoleId> = roles.into_iter().map(|role| (role.name_key, role.id)).collect();
        let role_of = |row: &Row| match &row.role {
            Some(name) => roles.get(&name.to_lowercase()).copied().map(Some),
            None => Some(None),
        };
        let wanted: Vec<Option<Wanted>> = batch
            .iter()
            .map(|row| role_of(row).map(|role_id| Wanted { email: row.email.clone(), workspace_id, role_id }))
            .collect();
        let known: Vec<bool> = wanted.iter().map(Option::is_some).collect();
        let origin = RequestOrigin { ip: None, user_agent: None };
        let (tenancy, origin) = (&self.0, &origin);
        let invitations =
            Invitations { tenancy, caller, tenant, origin, message: None, is_dry_run, earlier: &*earlier };
        let wanted: Vec<Wanted> = wanted.into_iter().flatten().collect();
        let made = invitations.make(tx, &wanted).await?;
        if is_dry_run {
            earlier.extend(made.iter().flatten().map(|invitation| invitation.email.clone()));
        }
        let mut made = made.into_iter();
        let outcome = |is_known: bool| match is_known {
            false => Err(ErrorCode::RoleNotFound.into()),
            true => made.next().map_or(Ok(()), |outcome| outcome.map(drop)),
        };
        Ok(known.into_iter().map(outcome).collect())
    }

    async fn end(&self, id: i64, status: Status, failure: Option<&str>) -> Result<()> {
        let tx = self.0.identity.platform.db.begin().await?;
        self.finish(&tx, id, status, failure).await?;
        tx.commit().await
    }

    /// Ends one that has not ended. The file is not needed any more.
    async fn finish(&self, tx: &Transaction, id: i64, status: Status, failure: Option<&str>) -> Result<()> {
        run::Entity::update_many()
            .col_expr(run::Column::Status, status.into())
            .col_expr(run::Column::Content, "".into())
            .col_expr(run::Column::FinishedAt, self.0.identity.platform.clock.now().into())
            .col_expr(run::Column::Failure, failure.map(str::to_owned).into())
            .filter(run::Column::Id.eq(id))
            .filter(run::Column::Status.eq(Status::Processing))
            .exec(tx.conn())
            .await?;
        Ok(())
    }
}

/// Forgets imports that nobody asks for any more.
struct Sweep(Tenancy);

#[async_trait]
impl Handler for Sweep {
    async fn run(&self, _: Value, _: JobContext) -> Result<(), JobError> {
        let platform = &self.0.identity.platform;
        let forget = async {
            let tx = platform.db.begin().await?;
            // Index: user_imports(created_at). The errors hang on the row.
            run::Entity::delete_many()
                .filter(run::Column::CreatedAt.lt(platform.clock.now() - KEPT))
                .exec(tx.conn())
                .await?;
            tx.commit().await
        };
        forget.await.map_err(JobError::retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_is_read_by_its_header() {
        let rows =
            read(Format::Csv, "display_name,email,role\n\"Love, Ada\", ada@acme.example ,\nB,b@acme.example,Admin\n");
        let row = |email: &str, role: Option<&str>| Row { email: email.to_owned(), role: role.map(str::to_owned) };
        assert_eq!(rows.unwrap(), [row("ada@acme.example", None), row("b@acme.example", Some("Admin"))]);
        for bad in ["", "email\n", "name\nAda\n", "email,password\na@b.example,x\n", "email,role\na@b.example\n"] {
            assert_eq!(read(Format::Csv, bad).unwrap_err().code, ErrorCode::InvalidImportFile, "{bad:?}");
        }
    }

    #[test]
    fn a_scim_list_is_read() {
        let list = r#"{"Resources": [{"userName": "ada", "emails": [{"value": "x@acme.example"},
            {"value": "ada@acme.example", "primary": true}], "roles": [{"value": "Admin"}]}, {"userName": "b@acme.example"}]}"#;
        let rows = read(Format::Scim, list).unwrap();
        assert_eq!((rows[0].email.as_str(), rows[0].role.as_deref()), ("ada@acme.example", Some("Admin")));
        assert_eq!((rows[1].email.as_str(), &rows[1].role), ("b@acme.example", &None));
        assert!(read(Format::Scim, "{}").is_err() && read(Format::Scim, "nonsense").is_err());
    }
}
