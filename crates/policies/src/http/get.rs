//! `GET /api/v1/policies/{policy_id}`.

use axum::extract::State;
use rivergen_kernel::{Permission, PolicyId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};

use super::{Policy, role_names};
use crate::{
    Policies,
    store::{self, Whole},
};

errors! { pub GetErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, InternalError; }

/// Read one policy with its rules and assignments
#[utoipa::path(get, path = "/api/v1/policies/{policy_id}", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy")),
    responses((status = 200, description = "The policy", body = Envelope<Policy>), GetErrors))]
pub async fn get_policy(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Path(policy_id): Path<PolicyId>,
) -> Result<Reply<Policy>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let db = policies.platform.db.read();
    let policy = store::find(db, tenant, policy_id).await?;
    let whole = Whole::of(db, policy).await?;
    let names = role_names(&policies, tenant, &whole.assignments).await?;
    Ok(Reply::ok(Policy::new(whole, &names)?, "The policy."))
}
