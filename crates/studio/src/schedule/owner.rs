//! Whom a schedule runs for, with what they may do at that moment.

use std::sync::Arc;

use rivergen_kernel::{Caller, ErrorCode, Permission, Result};

use super::{Model, PausedReason, delivery};
use crate::{Studio, prompt};

/// The owner and the question; or why it cannot be asked for them any more.
pub(super) async fn ready(
    studio: &Studio,
    schedule: &Model,
) -> Result<std::result::Result<(Arc<Caller>, prompt::Model), PausedReason>> {
    let Some(user) = delivery::person(studio.engine.platform.db.read(), schedule.owner_user_id).await? else {
        return Ok(Err(PausedReason::AccessLost));
    };
    if let Some(workspace) = schedule.workspace_id
        && studio.directory.reach(user.id(), workspace).await?.is_none()
    {
        return Ok(Err(PausedReason::AccessLost));
    }
    let at = (schedule.organization_id, schedule.workspace_id);
    let Some(caller) = delivery::caller_for(studio, &user, at.0, at.1).await? else {
        return Ok(Err(PausedReason::AccessLost));
    };
    let mut needed = vec![Permission::PromptRead, Permission::PromptExecute, Permission::DataSourceQuery];
    needed.extend(schedule.webhook.is_some().then_some(Permission::PromptWrite));
    if !needed.iter().all(|permission| caller.may(*permission)) {
        return Ok(Err(PausedReason::PermissionLost));
    }
    match prompt::find(studio, &caller, schedule.prompt_id).await {
        Ok(prompt) => Ok(Ok((Arc::new(caller), prompt))),
        Err(error) if error.code == ErrorCode::NotFound => Ok(Err(PausedReason::QuestionGone)),
        Err(error) => Err(error),
    }
}
