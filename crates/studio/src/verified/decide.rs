//! `POST /api/v1/prompts/verified-pairs/{verified_pair_id}/verify`, and `DELETE` of one.

use axum::extract::State;
use rivergen_kernel::{Caller, Error, ErrorCode, Result, Tenant, VerifiedPairId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, NoContent, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, ModelTrait, QueryFilter};

use super::{Column, Model, Status, VerifiedPair};
use crate::Studio;

errors! { pub DecideErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound; }

async fn find(studio: &Studio, caller: &Caller, id: VerifiedPairId) -> Result<(Tenant, Model)> {
    let (tenant, pairs) = super::reached(studio, caller).await?;
    let found = pairs.filter(Column::Id.eq(id)).one(studio.engine.platform.db.read()).await?;
    Ok((tenant, found.ok_or(ErrorCode::NotFound)?))
}

/// Confirm that SQL answers a question
#[utoipa::path(post, path = "/api/v1/prompts/verified-pairs/{verified_pair_id}/verify", tag = "prompt_studio",
    params(("verified_pair_id" = VerifiedPairId, Path, description = "The pair")),
    responses((status = 200, description = "From now on, the question is answered this way", body = Envelope<VerifiedPair>), DecideErrors))]
pub async fn verify_pair(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<VerifiedPairId>,
) -> Result<Reply<VerifiedPair>> {
    let (tenant, row) = find(&studio, &caller, id).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let mut row = row.into_active_model();
    row.status = Set(Status::Verified);
    row.verified_by_user_id = Set(Some(caller.user_id));
    row.verified_at = Set(Some(platform.clock.now()));
    let row = row.update(tx.conn()).await?;
    let actor = origin.actor(caller.user_id);
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.verify_pair").target("verified_pair", id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let pair = super::told(&studio, &caller, tenant, vec![row]).await?.pop();
    let pair = pair.ok_or_else(|| Error::internal("a pair that was verified is not there"))?;
    Ok(Reply::ok(pair, "The pair is verified."))
}

/// Delete a confirmed question, so that it is planned again
#[utoipa::path(delete, path = "/api/v1/prompts/verified-pairs/{verified_pair_id}", tag = "prompt_studio",
    params(("verified_pair_id" = VerifiedPairId, Path, description = "The pair")),
    responses((status = 204, description = "It is deleted"), DecideErrors))]
pub async fn delete_pair(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<VerifiedPairId>,
) -> Result<NoContent> {
    let (tenant, row) = find(&studio, &caller, id).await?;
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    row.delete(tx.conn()).await?;
    let actor = origin.actor(caller.user_id);
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.delete_pair").target("verified_pair", id);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(NoContent)
}
