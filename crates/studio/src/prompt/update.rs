//! `PATCH /api/v1/prompts/{prompt_id}`: its name, tags and metadata. What it asks, and whom, stays.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, PromptId, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::versions;
use crate::Studio;

/// Metadata of one question at most.
const LARGEST_METADATA: usize = 16 * 1024;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "Orders by region", "tags": ["sales"], "metadata": {"dashboard": "sales"}}))]
pub struct UpdatePromptRequest {
    /// `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(chars, min = 1, max = 255))))]
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<String>>,
    #[garde(inner(length(max = 50), inner(length(chars, min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
    /// Takes the place of what was there; 16 KiB at most.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What was changed, as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedPrompt {
    pub id: PromptId,
    pub name: Option<String>,
    pub tags: Vec<String>,
    #[schema(value_type = Object)]
    pub metadata: serde_json::Value,
    pub updated_at: DateTime<Utc>,
}

errors! { pub UpdateErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// Change the name, the tags or the metadata of a saved question
#[utoipa::path(patch, path = "/api/v1/prompts/{prompt_id}", tag = "prompt_studio", request_body = UpdatePromptRequest,
    params(("prompt_id" = PromptId, Path, description = "The saved question")),
    responses((status = 200, description = "Its name, tags and metadata", body = Envelope<UpdatedPrompt>), UpdateErrors))]
pub async fn update_prompt(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<PromptId>,
    Json(request): Json<UpdatePromptRequest>,
) -> Result<Reply<UpdatedPrompt>> {
    let prompt = super::find(&studio, &caller, id).await?;
    super::check_may_change(&caller, &prompt)?;
    let platform = &studio.engine.platform;
    let organization_id = prompt.organization_id;
    let mut changed = Vec::new();
    let before = prompt.clone();
    let mut row = prompt.into_active_model();
    if let Some(name) = request.name {
        row.name = Set(name.map(|name| name.replace('\0', "")));
        changed.push("name");
    }
    if let Some(tags) = request.tags {
        row.tags = Set(serde_json::json!(tags));
        changed.push("tags");
    }
    if let Some(metadata) = request.metadata {
        let metadata = serde_json::Value::Object(metadata);
        let text = metadata.to_string();
        if text.len() > LARGEST_METADATA {
            return Err(Error::invalid_field("metadata", format!("is larger than {LARGEST_METADATA} bytes")));
        }
        if text.contains("\\u0000") {
            return Err(Error::invalid_field("metadata", "contains a zero byte"));
        }
        row.metadata = Set(Some(metadata));
        changed.push("metadata");
    }
    row.updated_at = Set(platform.clock.now());
    let tx = platform.db.begin().await?;
    let row = row.update(tx.conn()).await?;
    versions::record(&tx, platform, Some(&before), &row, versions::Change::Changed, caller.user_id).await?;
    let record = AuditRecord::new(Some(organization_id), origin.actor(caller.user_id), "prompt.update")
        .target("prompt", id)
        .details(serde_json::json!({"changed": changed}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let updated = UpdatedPrompt {
        id,
        name: row.name,
        tags: super::read(&row.tags)?,
        metadata: row.metadata.unwrap_or_else(|| serde_json::json!({})),
        updated_at: row.updated_at,
    };
    Ok(Reply::ok(updated, "The question was changed."))
}
