//! `POST /api/v1/sso/scim/sync`: brings memberships, accounts and roles back to what the identity provider said.
//!
//! SCIM is pushed, so nothing is fetched: what is stored of users and groups is applied again, some hundred users a
//! transaction, and a server that is killed goes on with the next. What administrators have decided stands: whom they have
//! suspended stays so, and the organization keeps its last owner. Both are told as conflicts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::user::{User, account};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result, RoleId, SsoProviderId, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, Actor, AuditRecord},
    db::{TenantOwned, TenantScope},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
    jobs::{Handler, JobContext, JobError, JobOptions},
};
use rivergen_tenancy::{
    member::{self, Status as MemberStatus},
    organization,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, Condition, ConnectionTrait, QueryOrder, QuerySelect, QueryTrait,
    entity::prelude::*, sea_query::ExprTrait,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{config, group, roles, user};
use crate::Federation;

const JOB: &str = "federation.scim_sync";
/// Users of one transaction.
const BATCH: u64 = 200;
/// Conflicts that are kept; the rest shows at the next run.
const MOST_CONFLICTS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ScimSyncType)]
pub enum Type {
    /// Every user.
    #[sea_orm(string_value = "full")]
    Full,
    /// Those of whom something changed since the last one that was completed: every user, where there was none.
    #[sea_orm(string_value = "incremental")]
    Incremental,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ScimSyncStatus)]
pub enum Status {
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    #[sea_orm(string_value = "completed")]
    Completed,
    #[sea_orm(string_value = "failed")]
    Failed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scim_syncs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub config_id: i64,
    pub sync_type: Type,
    pub status: Status,
    /// The last user that was worked off.
    pub after_id: i64,
    /// Of an incremental one.
    pub changed_since: Option<DateTime<Utc>>,
    pub users_changed: i64,
    pub conflicts: Value,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"provider_id": 7, "sync_type": "full"}))]
pub struct TriggerScimSyncRequest {
    pub provider_id: SsoProviderId,
    #[schema(inline, default = "incremental")]
    pub sync_type: Option<Type>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ScimSyncStarted {
    #[schema(examples("sync_12"))]
    pub sync_id: String,
    #[schema(inline)]
    pub status: Status,
    pub message: &'static str,
}

/// How a reconciliation stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScimSync {
    #[schema(examples("sync_12"))]
    pub sync_id: String,
    #[schema(inline)]
    pub sync_type: Type,
    #[schema(inline)]
    pub status: Status,
    /// People whose membership, account or roles differed from what the provider sent.
    pub users_changed: i64,
    /// What was left as it is, and why.
    pub conflicts: Vec<ScimConflict>,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// Something that the provider wants and is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScimConflict {
    pub user_id: Option<UserId>,
    #[schema(inline)]
    pub kind: ConflictKind,
    #[schema(examples("An administrator has suspended the member."))]
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    SuspendedByAdministrator,
    LastOwner,
    AddressDiffers,
    AddressTaken,
    RoleNotGiven,
}

errors! { pub SyncErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ScimNotConfigured, SyncInProgress, ValidationError; }

/// Start a reconciliation of SCIM users and groups
#[utoipa::path(post, path = "/api/v1/sso/scim/sync", tag = "sso", request_body = TriggerScimSyncRequest,
    responses((status = 200, description = "Started; the configuration shows its progress", body = Envelope<ScimSyncStarted>), SyncErrors))]
pub async fn trigger_scim_sync(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<TriggerScimSyncRequest>,
) -> Result<Reply<ScimSyncStarted>> {
    let platform = federation.platform();
    let tenant = caller.require(Permission::ScimManage)?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let config = config::find(tx.conn(), tenant, Some(request.provider_id)).await?;
    if running(tx.conn(), &config).await?.is_some() {
        return Err(ErrorCode::SyncInProgress.into());
    }
    let row = start(&federation, &tx, &config, request.sync_type.unwrap_or(Type::Incremental)).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "scim.sync")
        .target("scim_config", config.id)
        .details(json!({"sync_id": row.id, "sync_type": row.sync_type}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The reconciliation has started; the provisioning settings show its progress.";
    let started = ScimSyncStarted { sync_id: public_id(row.id), status: row.status, message };
    Ok(Reply::ok(started, message))
}

fn public_id(id: i64) -> String {
    format!("sync_{id}")
}

/// Index: scim_syncs(config_id, id).
fn of(config: &config::Model) -> Select<Entity> {
    Entity::find().filter(Column::ConfigId.eq(config.id))
}

async fn running(db: &impl ConnectionTrait, config: &config::Model) -> Result<Option<Model>> {
    Ok(of(config).filter(Column::Status.eq(Status::InProgress)).one(db).await?)
}

/// The newest.
pub async fn last(db: &impl ConnectionTrait, config: &config::Model) -> Result<Option<ScimSync>> {
    let found = of(config).order_by_desc(Column::Id).limit(1).one(db).await?;
    let shown = |row: Model| ScimSync {
        sync_id: public_id(row.id),
        sync_type: row.sync_type,
        status: row.status,
        users_changed: row.users_changed,
        conflicts: serde_json::from_value(row.conflicts).unwrap_or_default(),
        started_at: row.started_at,
        finished_at: row.finished_at,
    };
    Ok(found.map(shown))
}

async fn start(federation: &Federation, tx: &Transaction, config: &config::Model, sync_type: Type) -> Result<Model> {
    let platform = federation.platform();
    let completed = of(config).filter(Column::Status.eq(Status::Completed)).order_by_desc(Column::Id).limit(1);
    let changed_since = match sync_type {
        Type::Full => None,
        Type::Incremental => completed.one(tx.conn()).await?.map(|row| row.started_at),
    };
    let row = ActiveModel {
        organization_id: Set(config.organization_id),
        config_id: Set(config.id),
        sync_type: Set(sync_type),
        status: Set(Status::InProgress),
        after_id: Set(0),
        changed_since: Set(changed_since),
        users_changed: Set(0),
        conflicts: Set(json!([])),
        started_at: Set(platform.clock.now()),
        finished_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    let options = JobOptions { organization_id: Some(config.organization_id), ..JobOptions::default() };
    platform.jobs.enqueue(tx, JOB, &row.id, options).await?;
    Ok(row)
}

/// For everybody, since groups mean something else now; one that runs begins again.
pub async fn start_again(federation: &Federation, tx: &Transaction, config: &config::Model) -> Result<()> {
    match running(tx.conn(), config).await? {
        None => start(federation, tx, config, Type::Full).await.map(drop),
        Some(row) => {
            Entity::update_many()
                .col_expr(Column::AfterId, Expr::value(0_i64))
                .col_expr(Column::SyncType, Type::Full.into())
                .col_expr(Column::ChangedSince, Expr::value(Option::<DateTime<Utc>>::None))
                .filter(Column::Id.eq(row.id))
                .exec(tx.conn())
                .await?;
            Ok(())
        }
    }
}

/// Registers the job.
pub fn register(federation: &Federation) {
    federation.platform().jobs.register(JOB, Arc::new(Worker(federation.clone())));
}

struct Worker(Federation);

#[async_trait]
impl Handler for Worker {
    async fn run(&self, payload: Value, _: JobContext) -> Result<(), JobError> {
        let id: i64 = serde_json::from_value(payload).map_err(|error| JobError::fatal(Error::internal(error)))?;
        while self.work_off_batch(id).await? {}
        Ok(())
    }

    async fn given_up(&self, tx: &Transaction, payload: Value, _: &str) -> Result<()> {
        let Ok(id) = serde_json::from_value::<i64>(payload) else { return Ok(()) };
        self.finish(tx, id, Status::Failed).await
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn takes_long(&self) -> bool {
        true
    }
}

/// What became of some users.
#[derive(Default)]
struct Outcome {
    changed: i64,
    conflicts: Vec<ScimConflict>,
    records: Vec<AuditRecord>,
}

impl Worker {
    /// Answers whether there is more to do.
    async fn work_off_batch(&self, id: i64) -> Result<bool> {
        let platform = self.0.platform();
        let tx = platform.db.begin().await?;
        let found = Entity::find_by_id(id).one(tx.conn()).await?;
        let Some(row) = found.filter(|row| row.status == Status::InProgress) else { return Ok(false) };
        let tenant = Tenant::on_behalf_of(row.organization_id);
        organization::lock(&tx, tenant).await?;
        // As it is now: it may have begun anew meanwhile.
        let found = Entity::find_by_id(id).one(tx.conn()).await?;
        let Some(row) = found.filter(|row| row.status == Status::InProgress) else { return Ok(false) };
        let config = config::Entity::find_by_id(row.config_id).one(tx.conn()).await?;
        let Some(config) = config else { return Ok(false) };
        let given = roles::givable(tx.conn(), tenant, config.mapping().into_values()).await?;
        let users = due(&row, &config, &given).limit(BATCH).all(tx.conn()).await?;
        let mut outcome = Outcome::default();
        let Some(last) = users.last().map(|user| user.id) else {
            outcome.conflicts = unmapped(tx.conn(), &row).await?;
            self.note(&tx, &row, row.after_id, &outcome).await?;
            self.finish(&tx, id, Status::Completed).await?;
            tx.commit().await?;
            return Ok(false);
        };
        let people: Vec<UserId> = users.iter().map(|user| user.user_id).collect();
        // Index: memberships(organization_id, user_id), unique.
        let members = tenant.find::<member::Entity>().filter(member::Column::UserId.is_in(people.iter().copied()));
        let members = members.all(tx.conn()).await?;
        let members: BTreeMap<UserId, member::Model> = members.into_iter().map(|row| (row.user_id, row)).collect();
        let accounts = User::find_all(tx.conn(), &people).await?;
        for user in &users {
            let Some(member) = members.get(&user.user_id) else { continue };
            self.reconcile(&tx, &config, user, member, accounts.get(&user.user_id), &mut outcome).await?;
        }
        let settled = roles::settle(&tx, tenant, &people, &Actor::system(), platform.clock.now()).await?;
        outcome.changed += i64::try_from(settled.len()).unwrap_or(i64::MAX);
        outcome.records.extend(settled);
        self.note(&tx, &row, last, &outcome).await?;
        audit::record_all(&tx, &platform.clock, outcome.records).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// One user's membership and account.
    async fn reconcile(
        &self,
        tx: &Transaction,
        config: &config::Model,
        row: &user::Model,
        member: &member::Model,
        account: Option<&User>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let tenant = Tenant::on_behalf_of(config.organization_id);
        let now = self.0.platform().clock.now();
        let conflict = |kind: ConflictKind, detail: &str| ScimConflict {
            user_id: Some(row.user_id),
            kind,
            detail: detail.to_owned(),
        };
        let mut changed = false;
        if row.active && member.status == MemberStatus::Suspended {
            let detail = "An administrator has suspended the member, whom the provider lists as active.";
            outcome.conflicts.push(conflict(ConflictKind::SuspendedByAdministrator, detail));
        } else if !row.active
            && member.status == MemberStatus::Active
            && !(member::is_owned(tx, tenant, Some(row.user_id)).await?
                && member::keeps_a_way_in(tx, tenant, row.user_id, Some(row.user_id)).await?)
        {
            let detail = "The member is the last owner, whom the provider lists as inactive.";
            outcome.conflicts.push(conflict(ConflictKind::LastOwner, detail));
        } else {
            changed |= user::follow(tx, tenant, member, row.active, now).await.map_err(inner)?;
        }
        let facts = user::Facts::of(&row.document()).map_err(inner)?;
        // Most are what the provider says, and are not held for it.
        let agrees = |user: &User| {
            let is_named_so = facts.display_name.as_ref().is_none_or(|name| *name == user.account.display_name);
            is_named_so && user.email.email == facts.address
        };
        if account.is_some_and(|user| !agrees(user))
            && let Some(person) = User::lock(tx, row.user_id).await?
        {
            let other = User::find_by_email(tx.conn(), &facts.address).await?;
            match other.is_some_and(|other| other.id() != row.user_id) {
                true => {
                    let detail = "The address that the provider sends belongs to another account.";
                    outcome.conflicts.push(conflict(ConflictKind::AddressTaken, detail));
                }
                false => {
                    changed |= user::rename(tx, config, &person, None, &facts, now).await.map_err(inner)?;
                    let is_so = User::find(tx.conn(), row.user_id).await?;
                    if is_so.is_some_and(|user| user.email.email != facts.address) {
                        let detail = "The account has a different address: the organization has not verified its \
                                      domain, or whoever was given the token has fewer permissions than the person.";
                        outcome.conflicts.push(conflict(ConflictKind::AddressDiffers, detail));
                    }
                }
            }
        }
        if changed {
            outcome.changed += 1;
            let record = AuditRecord::new(Some(tenant.organization_id()), Actor::system(), "scim.user.reconcile")
                .target("user", row.user_id.0)
                .details(json!({"active": row.active}));
            outcome.records.push(record);
        }
        Ok(())
    }

    /// Writes down how far it is; of two workers, one of which lost its lease, one alone gets this batch done.
    async fn note(&self, tx: &Transaction, row: &Model, last: i64, outcome: &Outcome) -> Result<()> {
        let mut conflicts: Vec<ScimConflict> = serde_json::from_value(row.conflicts.clone()).unwrap_or_default();
        conflicts.extend(outcome.conflicts.iter().cloned());
        conflicts.truncate(MOST_CONFLICTS);
        let conflicts = serde_json::to_value(conflicts).map_err(Error::internal)?;
        let noted = Entity::update_many()
            .col_expr(Column::AfterId, Expr::value(last))
            .col_expr(Column::UsersChanged, Expr::value(row.users_changed + outcome.changed))
            .col_expr(Column::Conflicts, Expr::value(conflicts))
            .filter(Column::Id.eq(row.id))
            .filter(Column::AfterId.eq(row.after_id))
            .exec(tx.conn())
            .await?;
        match noted.rows_affected {
            0 => Err(Error::internal("the reconciliation is worked off by somebody else, or began again")),
            _ => Ok(()),
        }
    }

    async fn finish(&self, tx: &Transaction, id: i64, status: Status) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Status, status.into())
            .col_expr(Column::FinishedAt, Expr::value(self.0.platform().clock.now()))
            .filter(Column::Id.eq(id))
            .filter(Column::Status.eq(Status::InProgress))
            .exec(tx.conn())
            .await?;
        Ok(())
    }
}

/// What a fault of SCIM is to a job.
fn inner(error: super::error::ScimError) -> Error {
    error.cause.map_or_else(|| Error::internal(error.detail.into_owned()), |cause| *cause)
}

/// The users that are still to be worked off; `given` are the roles that groups give. Indexes: scim_users(config_id, id),
/// memberships(organization_id, status_updated_at), and the primary key of accounts.
fn due(row: &Model, config: &config::Model, given: &BTreeSet<RoleId>) -> Select<user::Entity> {
    let due = user::Entity::find()
        .filter(user::Column::ConfigId.eq(row.config_id))
        .filter(user::Column::Id.gt(row.after_id))
        .order_by_asc(user::Column::Id);
    let Some(since) = row.changed_since else { return due };
    let moved = member::Entity::find()
        .select_only()
        .column(member::Column::Id)
        .filter(member::Column::OrganizationId.eq(row.organization_id))
        .filter(member::Column::StatusUpdatedAt.gte(since))
        .into_query();
    let regrouped = group::member::Entity::find()
        .select_only()
        .column(group::member::Column::ScimUserId)
        .join(sea_orm::JoinType::InnerJoin, group::member::to_group())
        .filter(group::Column::ConfigId.eq(row.config_id))
        .filter(group::Column::UpdatedAt.gte(since))
        .into_query();
    let renamed = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(Expr::col((account::Entity, account::Column::Id)).equals((user::Entity, user::Column::UserId)))
        .filter(account::Column::UpdatedAt.gte(since))
        .into_query();
    due.filter(
        Condition::any()
            .add(user::Column::UpdatedAt.gte(since))
            .add(user::Column::MembershipId.in_subquery(moved))
            .add(user::Column::Id.in_subquery(regrouped))
            .add(Expr::exists(renamed))
            .add_option(roles::lacks_a_role(config, given)),
    )
}

/// Groups whose role is gone, or runs the organization by now.
async fn unmapped(db: &impl ConnectionTrait, row: &Model) -> Result<Vec<ScimConflict>> {
    let Some(config) = config::Entity::find_by_id(row.config_id).one(db).await? else { return Ok(Vec::new()) };
    let mapping = config.mapping();
    let tenant = Tenant::on_behalf_of(row.organization_id);
    let good = roles::givable(db, tenant, mapping.values().copied()).await?;
    let lost = mapping.into_iter().filter(|(_, role)| !good.contains(role));
    let conflict = |(name, role): (String, RoleId)| ScimConflict {
        user_id: None,
        kind: ConflictKind::RoleNotGiven,
        detail: format!(
            "The group {name:?} is mapped to the role {role}, which no longer exists or manages the organization."
        ),
    };
    Ok(lost.map(conflict).collect())
}
