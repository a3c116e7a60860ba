//! `PUT /api/v1/prompts/glossary`: the whole of it, as it was read and edited.

use std::collections::BTreeSet;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{
    ActiveValue::Set,
    EntityTrait,
    sea_query::{Expr, OnConflict},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ActiveModel, Column, Entity, Glossary, GlossaryTerm};
use crate::Studio;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"terms": [{"term": "clients", "means": "customers"},
    {"term": "revenue", "means": "total amount of orders with status paid"}]}))]
pub struct GlossaryRequest {
    /// Each term once, whatever its case.
    #[garde(length(max = 500), dive)]
    pub terms: Vec<GlossaryTerm>,
}

errors! { pub ReplaceGlossaryErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, ValidationError; }

/// Replace the glossary of the session's workspace
#[utoipa::path(put, path = "/api/v1/prompts/glossary", tag = "prompt_studio", request_body = GlossaryRequest,
    responses((status = 200, description = "Its words", body = Envelope<Glossary>), ReplaceGlossaryErrors))]
pub async fn replace_glossary(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<GlossaryRequest>,
) -> Result<Reply<Glossary>> {
    let tenant = caller.require(Permission::PromptWrite)?;
    let workspace = caller.membership()?.workspace_id;
    let mut seen = BTreeSet::new();
    for (index, term) in request.terms.iter().enumerate() {
        if !seen.insert(term.term.trim().to_lowercase()) {
            return Err(Error::invalid_field(format!("terms[{index}].term"), "appears twice"));
        }
    }
    let platform = &studio.engine.platform;
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        workspace_id: Set(workspace),
        terms: Set(serde_json::json!(request.terms)),
        updated_by_user_id: Set(caller.user_id),
        updated_at: Set(platform.clock.now()),
        ..Default::default()
    };
    // As its unique index has it, so that of two who write at once the later one stands.
    let same = OnConflict::column(Column::OrganizationId)
        .expr(Expr::cust("coalesce(workspace_id, 0)"))
        .update_columns([Column::Terms, Column::UpdatedByUserId, Column::UpdatedAt])
        .to_owned();
    let tx = platform.db.begin().await?;
    let row = Entity::insert(row).on_conflict(same).exec_with_returning(tx.conn()).await?;
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.glossary")
        .target("glossary", row.id)
        .details(serde_json::json!({"terms": request.terms.len()}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Glossary::new(workspace, Some(row))?, "The glossary was written."))
}
