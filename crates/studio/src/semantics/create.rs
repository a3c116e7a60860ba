//! `POST /api/v1/prompts/semantic-layer`.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Definition, Known, Origin, Said, SemanticEntry, Status};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"definition": {"kind": "metric", "name": "revenue", "table": "orders.files.orders",
    "formula": "sum(amount) where status = 'paid'"}}))]
pub struct SemanticRequest {
    pub definition: Definition,
}

errors! { pub CreateSemanticsErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, Conflict, ValidationError; }

/// Add an entry to the semantic layer: a join, a metric, a description or a synonym
#[utoipa::path(post, path = "/api/v1/prompts/semantic-layer", tag = "prompt_studio", request_body = SemanticRequest,
    responses((status = 201, description = "It is in use immediately; it replaces a proposal with the same name", body = Envelope<SemanticEntry>),
        CreateSemanticsErrors))]
pub async fn create_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<SemanticRequest>,
) -> Result<Reply<SemanticEntry>> {
    let tenant = caller.require(Permission::PromptWrite)?;
    super::check(&studio, &caller, tenant, &request.definition).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let said = Said {
        workspace: caller.membership()?.workspace_id,
        of: None,
        by: caller.user_id,
        definition: &request.definition,
        status: Status::Confirmed,
        origin: Origin::Person,
    };
    let row = super::store(&tx, platform, tenant, said, Known::Refuse).await?;
    let row = row.ok_or_else(|| Error::internal("an entry that was to be written is not there"))?;
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.semantics_create")
        .target("semantic_entry", row.id)
        .details(serde_json::json!({"definition": request.definition}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::created(SemanticEntry::new(row)?, "It is now part of the semantic layer."))
}
