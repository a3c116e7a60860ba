//! What this room asks the rooms above it: which data sources read a file, and whether a person sees all that they read.
//!
//! A file that a data source reads is governed twice: by its folder, and by the policies over the source. Whoever gets the
//! bytes gets around the policies, so nobody but the file's owner does from whom a policy keeps something
//! ([`Sight::sees_whole`]). The rooms that know sources and policies lie above; they answer through this trait, which is
//! handed in at assembly.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_kernel::{Caller, DataSourceId, Result, Tenant, UserId, caller::Membership};

/// Somebody who wants to read, and what they hold where they stand.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub tenant: Tenant,
    pub user_id: UserId,
    pub membership: &'a Membership,
}

impl<'a> Reader<'a> {
    pub fn of(caller: &'a Caller) -> Result<Self> {
        Ok(Self { tenant: caller.tenant()?, user_id: caller.user_id, membership: caller.membership()? })
    }
}

/// The answers of the rooms above.
#[async_trait]
pub trait Sight: Send + Sync {
    /// The data sources that read the files, for each path that one reads.
    async fn sources_of(&self, tenant: Tenant, paths: &BTreeSet<String>)
    -> Result<BTreeMap<String, Vec<DataSourceId>>>;

    /// Of these data sources those that the caller may know of, where they stand.
    async fn sources_shown(
        &self,
        caller: &Caller,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<DataSourceId>>>;

    /// Whether the data source gives the caller the file: it reads it, is not switched off, and they may query it where they
    /// stand.
    async fn gives(&self, caller: &Caller, source: DataSourceId, path: &str) -> Result<bool>;

    /// Whether no policy keeps anything from the person of what data sources read from the file. True of a file that none
    /// reads.
    async fn sees_whole(&self, reader: Reader<'_>, path: &str) -> Result<bool>;
}
