//! `POST /api/v1/policies/detokenize`: the values that tokens stand for. Each use is on record, with its reason.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::Engine;

/// Tokens of one request.
const MAX_TOKENS: usize = 100;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tokens": ["tok_Bc8hNf0yq3nTzqjSfoEJ9mX1m3YJtR2Zl1pXyq0vGvY"], "reason": "Refund 4711"}))]
pub struct DetokenizeRequest {
    #[garde(length(min = 1, max = MAX_TOKENS), inner(length(max = 20_000)))]
    pub tokens: Vec<String>,
    /// Why the values are needed; it is kept in the audit log.
    #[garde(length(chars, min = 3, max = 500))]
    pub reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Detokenized {
    /// In the order of the tokens.
    pub values: Vec<DetokenizedValue>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DetokenizedValue {
    pub token: String,
    /// Null if it is not a token of this organization.
    #[schema(examples("anna@example.com"))]
    pub value: Option<String>,
}

errors! { pub DetokenizeErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// Reveal the values behind masked tokens
#[utoipa::path(post, path = "/api/v1/policies/detokenize", tag = "policies", request_body = DetokenizeRequest,
    responses((status = 200, description = "The values; the request is recorded in the audit log", body = Envelope<Detokenized>), DetokenizeErrors))]
pub async fn detokenize(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<DetokenizeRequest>,
) -> Result<Reply<Detokenized>> {
    let tenant = caller.require(Permission::PolicyDetokenize)?;
    let key = engine.hash_keys.of(tenant).await?;
    let values: Vec<DetokenizedValue> =
        request.tokens.into_iter().map(|token| DetokenizedValue { value: key.detokenize(&token), token }).collect();
    let opened = values.iter().filter(|value| value.value.is_some()).count();
    let tx = engine.platform.db.begin().await?;
    let organization = tenant.organization_id();
    let record = AuditRecord::new(Some(organization), origin.actor(caller.user_id), "policy.detokenize")
        .target("organization", organization.0)
        .details(json!({"reason": request.reason, "tokens": values.len(), "opened": opened}));
    audit::record(&tx, &engine.platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(Detokenized { values }, "The values; this is on record."))
}
