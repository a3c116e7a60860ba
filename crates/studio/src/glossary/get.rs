//! `GET /api/v1/prompts/glossary`.

use axum::extract::State;
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};

use super::Glossary;
use crate::Studio;

errors! { pub GetGlossaryErrors: Unauthorized, Forbidden, EmailNotVerified; }

/// Read the glossary of the session's workspace
#[utoipa::path(get, path = "/api/v1/prompts/glossary", tag = "prompt_studio",
    responses((status = 200, description = "Its words", body = Envelope<Glossary>), GetGlossaryErrors))]
pub async fn get_glossary(State(studio): State<Studio>, SignedIn(caller): SignedIn) -> Result<Reply<Glossary>> {
    let tenant = caller.require(Permission::PromptRead)?;
    let workspace = caller.membership()?.workspace_id;
    let row = super::find(&studio.engine.platform, tenant, workspace).await?;
    Ok(Reply::ok(Glossary::new(workspace, row)?, "The glossary."))
}
