//! `GET /api/v1/prompts/{prompt_id}/versions` and `POST …/versions/{version}/restore`: what a saved question was, who made
//! what of it, and the way back.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, OrganizationId, Page, PromptId, Result, UserId};
use rivergen_platform::{
    Platform, Transaction,
    audit::{self, AuditRecord},
    db::TenantOwned,
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveValue::Set, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::read;
use crate::{Studio, sight::Reader};

/// What made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptChange)]
pub enum Change {
    #[sea_orm(string_value = "saved")]
    Saved,
    /// Its name, tags or metadata.
    #[sea_orm(string_value = "changed")]
    Changed,
    /// It became other SQL, when its author asked it again.
    #[sea_orm(string_value = "asked_again")]
    AskedAgain,
    #[sea_orm(string_value = "restored")]
    Restored,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_versions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub prompt_id: PromptId,
    /// From 1, without gaps.
    pub version: i64,
    pub change: Change,
    /// A [`PromptDefinition`].
    pub definition: Json,
    pub changed_at: DateTime<Utc>,
    pub changed_by_user_id: UserId,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What a saved question was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromptDefinition {
    pub name: Option<String>,
    pub prompt_text: String,
    pub tags: Vec<String>,
    #[schema(value_type = Object)]
    pub metadata: serde_json::Value,
    /// Its SQL at that time, as the question itself shows it; it is generated again whenever it is asked.
    pub generated_query_text: Option<String>,
}

impl PromptDefinition {
    fn of(row: &super::Model) -> Result<Self> {
        Ok(Self {
            name: row.name.clone(),
            prompt_text: row.prompt_text.clone(),
            tags: read(&row.tags)?,
            metadata: row.metadata.clone().unwrap_or_else(|| serde_json::json!({})),
            generated_query_text: row.generated_query_text.clone(),
        })
    }

    /// One that was kept, as the reader reads it.
    fn told(row: &Model, reader: &Reader) -> Result<Self> {
        let mut definition: Self = read(&row.definition)?;
        definition.generated_query_text = definition.generated_query_text.and_then(|sql| reader.told(&sql));
        Ok(definition)
    }

    /// What is not as it was before.
    fn changes(&self, before: &Self) -> Vec<PromptFieldChange> {
        let mut found = Vec::new();
        let mut compare = |field: &str, before: serde_json::Value, after: serde_json::Value| {
            if before != after {
                found.push(PromptFieldChange { field: field.to_owned(), before, after });
            }
        };
        compare("name", serde_json::json!(before.name), serde_json::json!(self.name));
        compare("prompt_text", serde_json::json!(before.prompt_text), serde_json::json!(self.prompt_text));
        compare("tags", serde_json::json!(before.tags), serde_json::json!(self.tags));
        compare("metadata", before.metadata.clone(), self.metadata.clone());
        compare(
            "generated_query_text",
            serde_json::json!(before.generated_query_text),
            serde_json::json!(self.generated_query_text),
        );
        found
    }
}

/// One field that is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PromptFieldChange {
    #[schema(examples("name"))]
    pub field: String,
    /// Null if it did not exist.
    #[schema(value_type = Option<Object>, example = json!("Orders"))]
    pub before: serde_json::Value,
    /// Null if it was removed.
    #[schema(value_type = Option<Object>, example = json!("Orders by region"))]
    pub after: serde_json::Value,
}

/// One version of a saved question.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromptVersion {
    pub prompt_id: PromptId,
    /// From 1.
    #[schema(examples(3))]
    pub version: i64,
    pub change: Change,
    pub changed_at: DateTime<Utc>,
    pub changed_by_user_id: UserId,
    /// What changed from the previous version; nothing in the first.
    pub changes: Vec<PromptFieldChange>,
    pub definition: PromptDefinition,
}

impl PromptVersion {
    fn new(row: &Model, before: Option<&Model>, reader: &Reader) -> Result<Self> {
        let definition = PromptDefinition::told(row, reader)?;
        let before = before.map(|row| PromptDefinition::told(row, reader)).transpose()?;
        Ok(Self {
            prompt_id: row.prompt_id,
            version: row.version,
            change: row.change,
            changed_at: row.changed_at,
            changed_by_user_id: row.changed_by_user_id,
            changes: before.map(|before| definition.changes(&before)).unwrap_or_default(),
            definition,
        })
    }
}

/// Writes down what a saved question is now, where that is not what it was. One that is older than its versions begins with
/// what it was. The question's own row is written before, so that of two who change it the second waits for the first.
pub(crate) async fn record(
    tx: &Transaction,
    platform: &Platform,
    before: Option<&super::Model>,
    after: &super::Model,
    change: Change,
    by: UserId,
) -> Result<Option<Model>> {
    let definition = PromptDefinition::of(after)?;
    let known = match before {
        Some(before) => {
            let known = PromptDefinition::of(before)?;
            if known == definition {
                return Ok(None);
            }
            Some((known, before))
        }
        None => None,
    };
    // Index: prompt_versions(prompt_id, version), unique.
    let last = Entity::find()
        .select_only()
        .column(Column::Version)
        .filter(Column::PromptId.eq(after.id))
        .order_by_desc(Column::Version)
        .into_tuple::<i64>()
        .one(tx.conn())
        .await?;
    let written =
        |version: i64, change: Change, definition: &PromptDefinition, at: DateTime<Utc>, by: UserId| ActiveModel {
            organization_id: Set(after.organization_id),
            prompt_id: Set(after.id),
            version: Set(version),
            change: Set(change),
            definition: Set(serde_json::json!(definition)),
            changed_at: Set(at),
            changed_by_user_id: Set(by),
            ..Default::default()
        };
    let last = match (last, known) {
        (Some(last), _) => last,
        (None, Some((known, before))) => {
            let first = written(1, Change::Saved, &known, before.created_at, before.created_by_user_id);
            first.insert(tx.conn()).await?.version
        }
        (None, None) => 0,
    };
    Ok(Some(written(last + 1, change, &definition, platform.clock.now(), by).insert(tx.conn()).await?))
}

/// Whether all that a saved question became was made of what this person may see: one that was left to them was asked
/// by somebody else before. Index: prompt_versions(prompt_id, version), unique.
pub(crate) async fn are_made_by(db: &impl ConnectionTrait, prompt: PromptId, person: UserId) -> Result<bool> {
    let of_another = Entity::find()
        .filter(Column::PromptId.eq(prompt))
        .filter(Column::Change.is_in([Change::Saved, Change::AskedAgain]))
        .filter(Column::ChangedByUserId.ne(person))
        .one(db)
        .await?;
    Ok(of_another.is_none())
}

errors! {
    pub ListPromptVersionsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
    pub RestorePromptVersionErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, InternalError;
}

/// List the versions of a saved question, with what changed
#[utoipa::path(get, path = "/api/v1/prompts/{prompt_id}/versions", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question"), PageQuery),
    responses((status = 200, description = "The latest first", body = Envelope<Page<PromptVersion>>), ListPromptVersionsErrors))]
pub async fn list_prompt_versions(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    Path(id): Path<PromptId>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PromptVersion>>> {
    let page = page.request()?;
    let prompt = super::find(&studio, &caller, id).await?;
    let db = studio.engine.platform.db.read();
    // Index: prompt_versions(prompt_id, version), unique.
    let kept = Entity::find().filter(Column::PromptId.eq(prompt.id));
    let total = kept.clone().count(db).await?;
    // One more, for what the last of them changed.
    let rows = kept.order_by_desc(Column::Version).offset(page.offset()).limit(page.limit() + 1).all(db).await?;
    let shown = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let reader = Reader::of(&studio, &caller, &prompt).await?;
    let items = rows.iter().enumerate().take(shown).map(|(at, row)| PromptVersion::new(row, rows.get(at + 1), &reader));
    let items = items.collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The versions."))
}

/// Restore the name, tags and metadata of a saved question's earlier version
#[utoipa::path(post, path = "/api/v1/prompts/{prompt_id}/versions/{version}/restore", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question"),
        ("version" = i64, Path, description = "The version to restore")),
    responses((status = 200, description = "The current version: the next one, or the last if nothing is different", body = Envelope<PromptVersion>),
        RestorePromptVersionErrors))]
pub async fn restore_prompt_version(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((id, version)): Path<(PromptId, i64)>,
) -> Result<Reply<PromptVersion>> {
    let before = super::find(&studio, &caller, id).await?;
    super::check_may_change(&caller, &before)?;
    let platform = &studio.engine.platform;
    let of_prompt = || Entity::find().filter(Column::PromptId.eq(id));
    let found = of_prompt().filter(Column::Version.eq(version)).one(platform.db.read()).await?;
    let earlier: PromptDefinition = read(&found.ok_or(ErrorCode::NotFound)?.definition)?;
    let tx = platform.db.begin().await?;
    let mut row = before.clone().into_active_model();
    row.name = Set(earlier.name);
    row.tags = Set(serde_json::json!(earlier.tags));
    row.metadata = Set(Some(earlier.metadata));
    row.updated_at = Set(platform.clock.now());
    let after = row.update(tx.conn()).await?;
    let new = record(&tx, platform, Some(&before), &after, Change::Restored, caller.user_id).await?;
    if new.is_some() {
        let actor = origin.actor(caller.user_id);
        let record = AuditRecord::new(Some(after.organization_id), actor, "prompt.restore_version")
            .target("prompt", id)
            .details(serde_json::json!({"version": version}));
        audit::record(&tx, &platform.clock, record).await?;
    }
    let latest = of_prompt().order_by_desc(Column::Version).limit(2).all(tx.conn()).await?;
    tx.commit().await?;
    let now = latest.first().ok_or(ErrorCode::NotFound)?;
    let reader = Reader::of(&studio, &caller, &before).await?;
    Ok(Reply::ok(PromptVersion::new(now, latest.get(1), &reader)?, "The version was restored."))
}
