//! What this room asks the room above it: whether a person sees all that a data source holds.
//!
//! Policies name tables and columns, and are assigned to a source. Whoever changes what a source reads, or takes it away,
//! could lead themselves and others round them: a table gets another name, a schema beside it is read with credentials that
//! an administrator left, a file lies there without the source that governed it. So only those do from whom no policy keeps
//! anything of it ([`Sources::check_whole`]). The room that knows the policies' decisions lies above; it answers through
//! [`SourceSight`], which is handed in at assembly.

use async_trait::async_trait;
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, Result};

use crate::{Sources, source};

/// The answer of the room above.
#[async_trait]
pub trait SourceSight: Send + Sync {
    /// Whether no policy keeps anything of the source from the caller, deleted though it may be. Of a source that was never
    /// discovered nothing is known: then any policy does.
    async fn sees_all_of(&self, caller: &Caller, source: &source::Model) -> Result<bool>;
}

impl Sources {
    /// `POLICY_DENIED` where a policy keeps something of the source from the caller, and they do not have it anyway. Whoever
    /// may change the policies is kept from nothing here: else a typing error in the host of a source could be mended by nobody.
    pub(crate) async fn check_whole(&self, caller: &Caller, source: &source::Model) -> Result<()> {
        if caller.may(Permission::PolicyWrite)
            || is_unread_of(caller, source)
            || self.owns_the_file(caller, source).await?
            || self.sight.sees_all_of(caller, source).await?
        {
            return Ok(());
        }
        Err(Error::new(ErrorCode::PolicyDenied).with_message(
            "A policy hides part of this data source from you; only someone who sees all of it can change what it \
             reads or how it signs in, or delete it.",
        ))
    }

    /// The owner of a file has its bytes, whatever policies say of the source that reads it.
    async fn owns_the_file(&self, caller: &Caller, source: &source::Model) -> Result<bool> {
        let Some(path) = source.stored_file() else { return Ok(false) };
        let file = self.storage.find(caller.tenant()?, path).await?;
        Ok(file.is_some_and(|file| file.uploaded_by_user_id == caller.user_id))
    }
}

/// Whether it is the caller's own, which nobody else has changed and through which nothing was ever read: they may mend it
/// until it can be reached.
fn is_unread_of(caller: &Caller, source: &source::Model) -> bool {
    source.created_by_user_id == caller.user_id
        && source.updated_by_user_id.is_none_or(|user| user == caller.user_id)
        && source.last_successful_connection_at.is_none()
}
