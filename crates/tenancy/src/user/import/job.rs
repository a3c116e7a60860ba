//! Works imports off, a batch a transaction, as whoever started them; and forgets them in the end.
//!
//! How far an import is stands in the transaction of its rows, so a server that is killed goes on with the next, and of two
//! workers one alone gets a batch done. What whoever started it may do is read anew before each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rivergen_identity::{email_address, user::User};
use rivergen_kernel::{Caller, Credential, Error, ErrorCode, Permission, Proofs, Result, RoleId, Tenant};
use rivergen_platform::{
    Transaction,
    db::TenantScope,
    http::RequestOrigin,
    jobs::{Handler, JobContext, JobError},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::Value;

use super::{
    file::{Row, read},
    row_error,
    run::{self, Status},
};
use crate::{
    Tenancy,
    invitation::invite::{Field, Invitations, Wanted},
    role, workspace,
};

pub(super) const JOB: &str = "tenancy.import_users";
const SWEEP: &str = "tenancy.forget_imports";
/// Rows of one transaction.
const BATCH: usize = 250;
/// What a row names of the fields of an invitation.
const COLUMNS: [&str; 3] = ["email", "workspace", "role"];
/// How long an import can be asked for.
const KEPT: chrono::Duration = chrono::Duration::days(30);

/// What is told of an import that failed as a whole.
const NOT_ALLOWED: &str = "The person who started the import may no longer add people.";
const GIVEN_UP: &str = "The server could not finish the import and has stopped trying. The rows that it had finished \
                        stay imported; send the file again for the rest.";

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

    fn takes_long(&self) -> bool {
        true
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
        let platform = &self.0.identity.platform;
        let now = platform.clock.now();
        // Whoever closes their account is a member until it is purged.
        let account = User::find(platform.db.read(), row.started_by_user_id).await?;
        if account.is_none_or(|user| user.account.disabled_at.is_some()) {
            return Ok(None);
        }
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
