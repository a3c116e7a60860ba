//! Queries that go on after their request, and their results: kept for a while, for who asked.
//!
//! ```text
//! begin ─ record: waiting ─▶ the client has its id
//!   └ a place: planning ─ rows: reading ─▶ an Arrow IPC stream in the organization's sealed storage ─ record: succeeded
//! ```
//!
//! The row is there before the file, so that whatever is left behind is found and removed. A result is read by the person who
//! ran the query, as long as the policies let them see just what they let them see then, and what row filters look up
//! in other tables is as it was. While it is kept its bytes count to the organization's quota.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, buffered::BufWriter, path::Path};
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, OrganizationId, Permission, QueryId, Result, Tenant};
use rivergen_platform::{
    db::{TenantOwned, TenantScope},
    http::RequestOrigin,
    jobs::{Handler, JobContext, JobError},
};
use rivergen_policies::{
    decision::AppliedPolicy,
    evaluation::{NewRun, Outcome, RunKind, RunStage, RunStatus, run},
    facts::SessionFact,
    rule::TableName,
};
use rivergen_query::{ArrowReader, Encoder, Encoding, QueryColumn, statement};
use rivergen_sources::{access::Access, source};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};
use tokio::{io::AsyncWriteExt, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Engine,
    batches::Batches,
    catalogue::governance,
    engine::{Form, Plan, Record, Run, failed},
    lookups::changed,
    running::Cancellable,
    told::Told,
};

/// How often the progress of a run is written down.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// Results that the purge looks for at a time.
const BATCH: u64 = 100;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "query_results")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub query_id: QueryId,
    pub organization_id: OrganizationId,
    pub object_name: String,
    /// What governed the person on the tables that were read, and behind it what the row filters looked up. Empty until
    /// all rows are there, and where what they looked up changed while the query ran.
    pub governance: Vec<u8>,
    /// The tables that were read, as `[source, schema, table]`.
    pub tables: Json,
    pub columns: Json,
    pub policies: Json,
    pub truncated: bool,
    pub expires_at: DateTime<Utc>,
    /// Where its batches lie; null until all are there.
    pub batches: Option<Json>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A query whose result is kept.
#[derive(Debug)]
pub struct Errand {
    pub kind: RunKind,
    pub sources: Vec<source::Model>,
    pub sql: String,
    pub parameters: serde_json::Map<String, serde_json::Value>,
    pub default_schema: Option<String>,
    pub max_rows: Option<u64>,
    pub timeout: Option<Duration>,
}

impl Errand {
    fn run(&self) -> Run<'_> {
        Run {
            kind: self.kind,
            sources: self.sources.clone(),
            sql: &self.sql,
            parameters: &self.parameters,
            default_schema: self.default_schema.as_deref(),
            form: Form::Download,
            max_rows: self.max_rows,
            timeout: self.timeout,
            max_age: None,
        }
    }
}

/// One that is on record and under way.
struct Going {
    tenant: Tenant,
    errand: Errand,
    /// It is sent for its rows and nothing else.
    for_rows: bool,
    record: Record,
    cancellable: Cancellable,
}

/// A result of which the file is written.
struct Arrived {
    truncated: bool,
    batches: Batches,
    /// Under which it may be read.
    governance: Vec<u8>,
}

/// What became of an errand that somebody waited for.
#[derive(Debug)]
pub struct CarriedOut {
    /// Its record, however it ended.
    pub query_id: QueryId,
    pub outcome: Result<()>,
}

/// A result that is there and may be read.
pub struct Kept {
    pub columns: Vec<QueryColumn>,
    pub policies: Vec<AppliedPolicy>,
    pub truncated: bool,
    /// The row that the reader begins with.
    pub first_row: u64,
    pub reader: ArrowReader<BoxStream<'static, std::result::Result<Bytes, object_store::Error>>>,
}

impl Engine {
    /// Writes the query down and lets it go on by itself; its record tells how it stands. A query fails with
    /// `RESULT_NOT_KEPT` whose result could never be read, since what the person sees is another thing each second.
    pub async fn send(&self, caller: &Caller, origin: &RequestOrigin, errand: Errand) -> Result<QueryId> {
        let going = self.set_out(caller, origin, errand, true, CancellationToken::new()).await?;
        let query_id = going.record.query_id;
        let (engine, caller) = (self.clone(), caller.clone());
        tokio::spawn(async move {
            if let Err(error) = engine.go(&caller, going).await {
                tracing::debug!(%error, %query_id, "a query that goes on by itself failed");
            }
        });
        Ok(query_id)
    }

    /// As [`Engine::send`], for something that goes on by itself and waits for the result. The token cancels the query,
    /// down to the sources, and what was kept of its result is taken back; a future that is dropped could not do that.
    pub fn carry_out<'a>(
        &'a self,
        caller: &'a Caller,
        origin: &'a RequestOrigin,
        errand: Errand,
        cancelled: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<CarriedOut>> {
        Box::pin(async move {
            let going = self.set_out(caller, origin, errand, false, cancelled.child_token()).await?;
            let query_id = going.record.query_id;
            let outcome = self.go(caller, going).await;
            Ok(CarriedOut { query_id, outcome })
        })
    }

    /// Writes the query down.
    async fn set_out(
        &self,
        caller: &Caller,
        origin: &RequestOrigin,
        errand: Errand,
        for_rows: bool,
        cancelled: CancellationToken,
    ) -> Result<Going> {
        let tenant = caller.require(Permission::DataSourceQuery)?;
        statement::accept(&errand.sql)?;
        let ids: Vec<DataSourceId> = errand.sources.iter().map(|source| source.id).collect();
        let new = NewRun {
            tenant,
            user_id: caller.user_id,
            kind: errand.kind,
            sql: &errand.sql,
            data_source_ids: &ids,
            ip: origin.ip,
            stage: Some(RunStage::Waiting),
        };
        let record = Record::begin(&self.platform, new).await?;
        let cancellable = self.running.enter(record.query_id, cancelled);
        Ok(Going { tenant, errand, for_rows, record, cancellable })
    }

    async fn go(&self, caller: &Caller, mut going: Going) -> Result<()> {
        let query_id = going.record.query_id;
        let answered = self.answer(caller, &mut going).await;
        let Going { record, .. } = going;
        let outcome = match &answered {
            Ok(()) => Outcome::succeeded(record.rows),
            Err(error) => failed(error),
        };
        if let Err(error) = record.end(outcome).await {
            tracing::error!(%error, %query_id, "the end of a query could not be recorded");
        }
        answered
    }

    async fn answer(&self, caller: &Caller, going: &mut Going) -> Result<()> {
        let Going { tenant, errand, for_rows, record, cancellable } = going;
        let tenant = *tenant;
        let plan = cancellable.unless_cancelled(self.plan(caller, tenant, errand.run(), record)).await?;
        if *for_rows && is_another_each_second(&plan) {
            return Err(ErrorCode::ResultNotKept.into());
        }
        record.reach(RunStage::Reading).await?;
        let found = cancellable.unless_cancelled(self.looked_up(&plan.lookups)).await?;
        let name = self.expect(tenant, record.query_id, &plan).await?;
        let store: Arc<dyn ObjectStore> = Arc::new(self.sources.storage.store(tenant).await?);
        let mut file = BufWriter::new(store, Path::from(name));
        let room = self.sources.storage.room(tenant).await?;
        let told = Told::of(plan.read.iter());
        let Plan { planned, governance, lookups, place: _place, .. } = plan;
        let threads = &self.threads;
        let written = async {
            let opening = async { planned.run().await.map_err(|error| told.answerable(error)) };
            let mut answer = cancellable.unless_cancelled(opening).await?;
            let mut encoder = Encoder::new(Encoding::ArrowStream, &answer.schema())?;
            let head = encoder.take();
            let mut written = head.len() as u64;
            let mut batches = Batches::after(written);
            file.put(head).await.map_err(Error::internal)?;
            let mut noted = Instant::now();
            loop {
                let next = async { answer.next().await.transpose().map_err(|error| told.answerable(error)) };
                let Some(batch) = cancellable.unless_cancelled(next).await? else { break };
                let so_far = answer.outcome();
                batches.begins(so_far.row_count - batch.num_rows() as u64, written);
                let appending = async { Ok(encoder.append(batch, threads).await?) };
                let bytes;
                (encoder, bytes) = cancellable.unless_cancelled(appending).await?;
                written += bytes.len() as u64;
                if written > room {
                    return Err(no_room());
                }
                file.put(bytes).await.map_err(Error::internal)?;
                (record.rows, record.bytes) = (so_far.row_count, so_far.byte_count);
                if noted.elapsed() >= PROGRESS_EVERY {
                    record.reach(RunStage::Reading).await?;
                    noted = Instant::now();
                }
            }
            let end = encoder.end(threads).await?;
            batches.bytes = written + end.len() as u64;
            file.put(end).await.map_err(Error::internal)?;
            let is_unchanged = cancellable.unless_cancelled(self.looked_up(&lookups)).await? == found;
            let governance = if is_unchanged { [governance, found].concat() } else { Vec::new() };
            Ok(Arrived { truncated: answer.outcome().truncated, batches, governance })
        };
        let kept = match written.await {
            Ok(arrived) => match file.shutdown().await {
                Ok(()) => self.arrived(tenant, record.query_id, arrived).await,
                Err(error) => Err(Error::internal(error)),
            },
            Err(error) => {
                if let Err(left) = file.abort().await {
                    tracing::warn!(error = %left, "a result that broke off could not be taken back");
                }
                Err(error)
            }
        };
        // What is left of it is purged when its time is over.
        if kept.is_err()
            && let Err(left) = self.forget(tenant, record.query_id).await
        {
            tracing::warn!(error = %left, "what is known of a result that broke off stays for now");
        }
        kept
    }

    /// Writes down that a result is on its way; answers where it goes.
    async fn expect(&self, tenant: Tenant, query_id: QueryId, plan: &Plan) -> Result<String> {
        let organization_id = tenant.organization_id();
        let name = place_of(tenant, query_id);
        let tables: Vec<_> =
            plan.read.iter().map(|table| (table.source_id, &table.name.schema, &table.name.table)).collect();
        let kept = chrono::Duration::from_std(self.settings.results_kept).map_err(Error::internal)?;
        let row = ActiveModel {
            query_id: Set(query_id),
            organization_id: Set(organization_id),
            object_name: Set(name.clone()),
            governance: Set(Vec::new()),
            tables: Set(serde_json::to_value(tables).map_err(Error::internal)?),
            columns: Set(serde_json::to_value(plan.planned.columns()).map_err(Error::internal)?),
            policies: Set(serde_json::to_value(plan.planned.applied_policies()).map_err(Error::internal)?),
            truncated: Set(false),
            expires_at: Set(self.platform.clock.now() + kept),
            batches: Set(None),
        };
        let tx = self.platform.db.begin().await?;
        Entity::insert(row).exec_without_returning(tx.conn()).await?;
        tx.commit().await?;
        Ok(name)
    }

    /// Writes down that all of a result is there, and takes its bytes from the quota.
    async fn arrived(&self, tenant: Tenant, query_id: QueryId, arrived: Arrived) -> Result<()> {
        let Arrived { truncated, batches, governance } = arrived;
        let size = i64::try_from(batches.bytes).map_err(Error::internal)?;
        let batches = serde_json::to_value(batches).map_err(Error::internal)?;
        let tx = self.platform.db.begin().await?;
        let kept = Entity::update_many()
            .col_expr(Column::Truncated, Expr::value(truncated))
            .col_expr(Column::Batches, Expr::value(batches))
            .col_expr(Column::Governance, Expr::value(governance))
            .filter(Column::QueryId.eq(query_id))
            .exec(tx.conn())
            .await?;
        if kept.rows_affected == 0 {
            return Err(Error::new(ErrorCode::QueryTimeout)
                .with_message("The query took longer than the time for which results are kept."));
        }
        if !self.sources.storage.reserve(&tx, tenant, size).await? {
            return Err(no_room());
        }
        tx.commit().await
    }

    /// Removes a result: the file, then what is known of it, and gives its bytes back.
    async fn forget(&self, tenant: Tenant, query_id: QueryId) -> Result<()> {
        match self.sources.storage.store(tenant).await?.delete(&Path::from(place_of(tenant, query_id))).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(Error::internal(error)),
        }
        let tx = self.platform.db.begin().await?;
        let found =
            tenant.find::<Entity>().filter(Column::QueryId.eq(query_id)).lock_exclusive().one(tx.conn()).await?;
        let Some(row) = found else { return Ok(()) };
        let batches = row.batches.map(serde_json::from_value::<Batches>).transpose().map_err(Error::internal)?;
        let size = i64::try_from(batches.map_or(0, |batches| batches.bytes)).map_err(Error::internal)?;
        Entity::delete_by_id(query_id).exec(tx.conn()).await?;
        self.sources.storage.give_back(&tx, tenant, size).await?;
        tx.commit().await
    }

    /// When the results of some runs expire, of those that are there.
    pub(crate) async fn kept_until(
        &self,
        tenant: Tenant,
        runs: impl IntoIterator<Item = QueryId>,
    ) -> Result<std::collections::BTreeMap<QueryId, DateTime<Utc>>> {
        let known = tenant
            .find::<Entity>()
            .select_only()
            .columns([Column::QueryId, Column::ExpiresAt])
            .filter(Column::QueryId.is_in(runs))
            .filter(Column::ExpiresAt.gt(self.platform.clock.now()))
            .into_tuple::<(QueryId, DateTime<Utc>)>()
            .all(self.platform.db.read())
            .await?;
        Ok(known.into_iter().collect())
    }

    /// The result of one's own run. `NOT_FOUND` where none is kept, `CONFLICT` where the query runs still or did not end well,
    /// or where the person may now see something else than when it ran.
    pub async fn result(&self, caller: &Caller, run: &run::Model) -> Result<Kept> {
        self.result_from(caller, run, 0).await
    }

    /// The same for somebody who wants the rows from this one on: what lies before the batch that it is in is not read.
    pub async fn result_from(&self, caller: &Caller, run: &run::Model, row_wanted: u64) -> Result<Kept> {
        let access = Access::of(caller, Permission::DataSourceQuery)?;
        let tenant = access.tenant();
        let conflict = |reason: String| Error::new(ErrorCode::Conflict).with_message(reason);
        match run.status {
            RunStatus::Succeeded => {}
            RunStatus::Running => return Err(conflict("The query is still running.".to_owned())),
            _ => {
                let reason = run.error_message.as_deref().unwrap_or("It was cut off.");
                return Err(conflict(format!("The query did not succeed: {reason}")));
            }
        }
        let found = tenant.find::<Entity>().filter(Column::QueryId.eq(run.id)).one(self.platform.db.read()).await?;
        let found = found.filter(|row| row.expires_at > self.platform.clock.now());
        let row = found.ok_or_else(|| {
            Error::new(ErrorCode::NotFound).with_message(
                "No result of this query is kept. Results are kept for a while for queries sent with Prefer: \
                 respond-async.",
            )
        })?;
        let ids: Vec<DataSourceId> = serde_json::from_value(run.data_source_ids.clone()).map_err(Error::internal)?;
        let sources = self.sources.find_all(&access, &ids).await?;
        for source in &sources {
            source.check_enabled()?;
        }
        let read: Vec<(DataSourceId, String, String)> = serde_json::from_value(row.tables).map_err(Error::internal)?;
        let catalogue = self.known(caller, tenant, sources).await?;
        let was_read = |source: DataSourceId, name: &TableName| {
            read.iter().any(|(id, schema, table)| (*id, schema, table) == (source, &name.schema, &name.table))
        };
        let tables = || catalogue.tables.iter().filter(|table| was_read(table.source_id, &table.name));
        let found_then = row.governance.strip_prefix(governance(tables()).as_slice()).ok_or_else(changed)?;
        let lookups = self.lookups(&catalogue, tables())?;
        let _place = match lookups.is_empty() {
            true => None,
            false => Some(self.places.take(tenant.organization_id(), caller.user_id).await?),
        };
        if self.looked_up(&lookups).await? != found_then {
            return Err(changed());
        }
        let store = self.sources.storage.store(tenant).await?;
        let path = Path::from(row.object_name);
        let batches = row.batches.map(serde_json::from_value::<Batches>).transpose().map_err(Error::internal)?;
        let mark = batches.and_then(|batches| Some((batches.head, batches.before(row_wanted)?)));
        let (first_row, bytes) = match mark {
            Some((head, (first_row, at))) if first_row > 0 => {
                let head = store.get_range(&path, 0..head).await.map_err(Error::internal)?;
                let rest = GetOptions { range: Some(GetRange::Offset(at)), ..GetOptions::default() };
                let rest = store.get_opts(&path, rest).await.map_err(Error::internal)?;
                (first_row, stream::iter([Ok(head)]).chain(rest.into_stream()).boxed())
            }
            _ => (0, store.get(&path).await.map_err(Error::internal)?.into_stream()),
        };
        Ok(Kept {
            columns: serde_json::from_value(row.columns).map_err(Error::internal)?,
            policies: serde_json::from_value(row.policies).map_err(Error::internal)?,
            truncated: row.truncated,
            first_row,
            reader: ArrowReader::new(bytes),
        })
    }

    /// Removes the results whose time is over; one that cannot be removed keeps no other one waiting.
    /// Index: query_results(expires_at).
    async fn purge_results(&self) -> Result<()> {
        let now = self.platform.clock.now();
        let (mut purged, mut left) = (Ok(()), 0_u64);
        loop {
            let expired = Entity::find()
                .filter(Column::ExpiresAt.lte(now))
                .order_by_asc(Column::ExpiresAt)
                .order_by_asc(Column::QueryId)
                .offset(left)
                .limit(BATCH)
                .all(self.platform.db.read())
                .await?;
            let are_all = (expired.len() as u64) < BATCH;
            for row in expired {
                let forgotten = self.forget(Tenant::on_behalf_of(row.organization_id), row.query_id).await;
                left += u64::from(forgotten.is_err());
                purged = purged.and(forgotten);
            }
            if are_all {
                return purged;
            }
        }
    }
}

/// Whether what the person sees depends on the time of the day, to the second.
fn is_another_each_second(plan: &Plan) -> bool {
    plan.read.iter().flat_map(|table| table.decision.session_facts()).any(SessionFact::is_momentary)
}

/// Where a result lies.
fn place_of(tenant: Tenant, query_id: QueryId) -> String {
    format!("organizations/{}/results/{query_id}.arrows", tenant.organization_id())
}

fn no_room() -> Error {
    Error::new(ErrorCode::QueryLimitExceeded).with_message(
        "The result is larger than what is left of your organization's storage quota, and kept results count towards \
         it. Ask for fewer rows, or for a download, which is not kept.",
    )
}

struct Purge(Engine);

/// Registers the job that removes results; it runs every hour on one node.
pub fn register_jobs(engine: &Engine) {
    let every = Duration::from_secs(3600);
    engine.platform.jobs.every("queries.purge_results", every, Arc::new(Purge(engine.clone())));
}

#[async_trait::async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> std::result::Result<(), JobError> {
        self.0.purge_results().await.map_err(JobError::retry)
    }
}
