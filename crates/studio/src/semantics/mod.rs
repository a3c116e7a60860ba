//! The semantic layer of a workspace: how its tables belong together, what they measure, what they are called.
//!
//! ```text
//! said by somebody with prompt.write ────────────────────────▶ confirmed ─▶ planners: the embedded one, a model's context
//! found in the schema, in queries, in answers ─▶ proposed ─ somebody confirms ─▶┘
//! an answer to a question of the planner's ──▶ that person's own, at once
//! ```
//!
//! An entry is words about names. What it names must exist for whoever asks: of a table or column that they may not see
//! there is no join, no metric, no description and no synonym, in lists as little as in plans.

pub mod change;
pub mod confirm;
pub mod create;
pub mod definition;
pub mod delete;
pub mod exchange;
pub mod list;
pub mod propose;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, Error, ErrorCode, OrganizationId, Permission, Result, SemanticEntryId, Tenant, UserId, WorkspaceId,
};
use rivergen_platform::{
    Platform, Transaction,
    db::{TenantOwned, TenantScope, duplicate_is},
};
use rivergen_sources::{access::Access, source};
use sea_orm::{
    ActiveValue::Set, Condition, IntoActiveModel, PaginatorTrait, QueryOrder, QuerySelect, entity::prelude::*,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use definition::{Definition, Kind};

use crate::{
    Studio, context,
    planner::Context,
    prompt::read,
    semantics::definition::{Resolved, SynonymDefinition},
};

/// Entries of one workspace at most, those of its people among them.
const MOST_ENTRIES: u64 = 2_000;

/// Whether an entry is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = SemanticStatus)]
pub enum Status {
    #[sea_orm(string_value = "proposed")]
    Proposed,
    #[sea_orm(string_value = "confirmed")]
    Confirmed,
}

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = SemanticOrigin)]
pub enum Origin {
    /// Somebody wrote it.
    #[sea_orm(string_value = "person")]
    Person,
    /// Of the schema: a foreign key, or names that tell one.
    #[sea_orm(string_value = "discovery")]
    Discovery,
    /// Of queries that ran.
    #[sea_orm(string_value = "usage")]
    Usage,
    /// Of what somebody answered to a planner.
    #[sea_orm(string_value = "clarification")]
    Clarification,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_semantics")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SemanticEntryId,
    pub organization_id: OrganizationId,
    /// `None`: of sessions that stand in no workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Whose alone it is; `None`: everybody's.
    pub user_id: Option<UserId>,
    pub kind: Kind,
    /// The definition's [`Definition::identity`].
    pub name: String,
    /// A [`Definition`].
    pub definition: Json,
    pub status: Status,
    pub origin: Origin,
    pub created_by_user_id: UserId,
    pub confirmed_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// An entry of the semantic layer.
#[derive(Debug, Serialize, ToSchema)]
pub struct SemanticEntry {
    pub id: SemanticEntryId,
    pub workspace_id: Option<WorkspaceId>,
    /// It is only your own; others do not have it.
    pub is_own: bool,
    pub definition: Definition,
    pub status: Status,
    pub origin: Origin,
    pub created_by_user_id: UserId,
    pub confirmed_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl SemanticEntry {
    fn new(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            is_own: row.user_id.is_some(),
            definition: read(&row.definition)?,
            status: row.status,
            origin: row.origin,
            created_by_user_id: row.created_by_user_id,
            confirmed_by_user_id: row.confirmed_by_user_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The entries of the workspace in which the caller stands: everybody's, then their own. Index: prompt_semantics
/// (organization_id, …).
fn here(tenant: Tenant, caller: &Caller) -> Result<Select<Entity>> {
    let theirs = Condition::any().add(Column::UserId.is_null()).add(Column::UserId.eq(caller.user_id));
    let workspace = caller.membership()?.workspace_id;
    // Where they stand in none, those of none: nothing is compared by IS NULL.
    let found = tenant.find::<Entity>().filter(Column::WorkspaceId.eq(workspace)).filter(theirs);
    Ok(found.order_by_asc(Column::Id).limit(MOST_ENTRIES))
}

/// What the caller sees of the sources that are named, with no value of them.
async fn outline(studio: &Studio, caller: &Caller, tenant: Tenant, catalogs: Vec<String>) -> Result<Context> {
    let engine = &studio.engine;
    let db = engine.platform.db.read();
    let access = Access::of(caller, Permission::DataSourceQuery)?;
    let named = access.sources().filter(source::Column::Slug.is_in(catalogs));
    let shown = access.shown(db, named.filter(source::Column::DeletedAt.is_null())).await?;
    let catalogue = engine.known(caller, tenant, shown.all(db).await?).await?;
    Ok(context::outline(engine, &catalogue))
}

/// What the definition means to the caller; 422 where it names what does not exist for them.
async fn check(studio: &Studio, caller: &Caller, tenant: Tenant, definition: &Definition) -> Result<()> {
    definition.check()?;
    let catalogs = definition.catalogs().into_iter().map(str::to_owned).collect();
    let context = outline(studio, caller, tenant, catalogs).await?;
    definition.resolve(&context).map(drop)
}

/// Those of the rows that exist for the caller.
async fn existing(studio: &Studio, caller: &Caller, tenant: Tenant, rows: Vec<Model>) -> Result<Vec<Model>> {
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let definition: Definition = read(&row.definition)?;
        known.push((row, definition));
    }
    let mut catalogs: Vec<String> =
        known.iter().flat_map(|(_, definition)| definition.catalogs()).map(str::to_owned).collect();
    catalogs.sort_unstable();
    catalogs.dedup();
    let context = outline(studio, caller, tenant, catalogs).await?;
    Ok(known.into_iter().filter(|(_, definition)| definition.resolve(&context).is_ok()).map(|(row, _)| row).collect())
}

/// An entry that the caller may change: everybody's with `prompt.write`, one's own as one's own.
async fn find(studio: &Studio, caller: &Caller, id: SemanticEntryId) -> Result<(Tenant, Model)> {
    let tenant = caller.require(Permission::PromptRead)?;
    let found = here(tenant, caller)?.filter(Column::Id.eq(id)).all(studio.engine.platform.db.read()).await?;
    let row = existing(studio, caller, tenant, found).await?.pop().ok_or(ErrorCode::NotFound)?;
    match row.user_id {
        Some(_) => crate::prompt::check_may_change_own(caller)?,
        None => {
            caller.require(Permission::PromptWrite)?;
        }
    }
    Ok((tenant, row))
}

/// What is to be written down.
pub(crate) struct Said<'a> {
    pub workspace: Option<WorkspaceId>,
    /// Whose alone it is.
    pub of: Option<UserId>,
    pub by: UserId,
    pub definition: &'a Definition,
    pub status: Status,
    pub origin: Origin,
}

/// What is done where there is one of the same identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It takes its place.
    Replace,
    /// It takes the place of a proposal; 409 for what is confirmed.
    Refuse,
    /// It stays as it is.
    Keep,
}

/// Writes an entry down; `None` where one stays as it is. The caller has locked the organization at the start of the
/// transaction: of two at once the second counts what the first has written.
pub(crate) async fn store(
    tx: &Transaction,
    platform: &Platform,
    tenant: Tenant,
    said: Said<'_>,
    known: Known,
) -> Result<Option<Model>> {
    let now = platform.clock.now();
    let (kind, name) = (said.definition.kind(), said.definition.identity());
    // Nothing is compared by IS NULL: without a person it is everybody's.
    let of = Column::UserId.eq(said.of);
    let workspace = tenant.find::<Entity>().filter(Column::WorkspaceId.eq(said.workspace));
    // Index: prompt_semantics(organization_id, workspace, person, kind, name), unique.
    let same = workspace.clone().filter(of).filter(Column::Kind.eq(kind)).filter(Column::Name.eq(&name));
    let same = same.one(tx.conn()).await?;
    match &same {
        Some(_) if known == Known::Keep => return Ok(None),
        Some(row) if known == Known::Refuse && row.status == Status::Confirmed => return Err(taken()),
        Some(_) => {}
        None => {
            if workspace.count(tx.conn()).await? >= MOST_ENTRIES {
                let message = format!("A workspace can have at most {MOST_ENTRIES} entries; delete one first.");
                return Err(Error::new(ErrorCode::Conflict).with_message(message));
            }
        }
    }
    let is_new = same.is_none();
    let mut row = match same {
        Some(row) => row.into_active_model(),
        None => ActiveModel {
            organization_id: Set(tenant.organization_id()),
            workspace_id: Set(said.workspace),
            user_id: Set(said.of),
            kind: Set(kind),
            name: Set(name),
            created_by_user_id: Set(said.by),
            created_at: Set(now),
            ..Default::default()
        },
    };
    row.definition = Set(serde_json::json!(said.definition));
    row.status = Set(said.status);
    row.origin = Set(said.origin);
    row.confirmed_by_user_id = Set((said.status == Status::Confirmed).then_some(said.by));
    row.updated_at = Set(now);
    let written = if is_new { row.insert(tx.conn()).await } else { row.update(tx.conn()).await };
    written.map(Some).map_err(duplicate_is(taken()))
}

fn taken() -> Error {
    Error::new(ErrorCode::Conflict).with_message("There is already one with that name; change it, or delete it first.")
}

/// Adds to the context what is confirmed where the caller asks, as far as it exists for them. What they chose for themselves
/// goes before what everybody has.
pub(crate) async fn apply(
    platform: &Platform,
    tenant: Tenant,
    caller: &Caller,
    chosen: &[SynonymDefinition],
    context: &mut Context,
) -> Result<()> {
    let confirmed = here(tenant, caller)?.filter(Column::Status.eq(Status::Confirmed));
    let mut rows = confirmed.all(platform.db.read()).await?;
    rows.sort_by_key(|row| row.user_id.is_some());
    let mut definitions = rows.iter().map(|row| read(&row.definition)).collect::<Result<Vec<Definition>>>()?;
    // What they chose for this question alone goes before all.
    definitions.extend(chosen.iter().cloned().map(Definition::Synonym));
    for definition in definitions {
        let Ok(resolved) = definition.resolve(context) else { continue };
        match resolved {
            Resolved::Join(join) => context.layer.joins.push(join),
            Resolved::Metric(metric) => context.layer.metrics.push(metric),
            Resolved::TableDescription(table, text) => {
                if let Some(table) = context.tables.get_mut(table) {
                    table.comment = Some(text);
                }
            }
            Resolved::ColumnDescription(place, text) => {
                let table = context.tables.get_mut(place.table);
                if let Some(column) = table.and_then(|table| table.columns.get_mut(place.column)) {
                    column.comment = Some(text);
                }
            }
            Resolved::Synonym(synonym) => {
                let synonyms = &mut context.layer.synonyms;
                synonyms.retain(|known| known.phrase.to_lowercase() != synonym.phrase.to_lowercase());
                synonyms.push(synonym);
            }
        }
    }
    Ok(())
}
