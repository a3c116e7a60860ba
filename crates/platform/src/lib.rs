//! What every domain stands on and no domain is known to: the database and its transactions, the vault
//! for other people's secrets, the audit chain, background jobs and the mail outbox, rate limits, the
//! guarded way out to the network, the clock, and the HTTP envelope with its extractors.
//!
//! [`Platform`] is the handle that the rooms share; it is cheap to clone.

pub mod audit;
pub mod bus;
pub mod clock;
pub mod db;
pub mod http;
pub mod idempotency;
pub mod jobs;
pub mod kept;
pub mod limits;
pub mod mail;
pub mod migrations;
pub mod net;
pub mod personal_data;
pub mod remains;
pub mod removal;
pub mod signing;
pub mod vault;
pub mod webhook;

use std::sync::Arc;

pub use bus::{Bus, Event};
pub use clock::{Clock, Now};
pub use db::{Database, Transaction};
pub use kept::Kept;

/// What every room needs, made once at start.
#[derive(Clone)]
pub struct Platform {
    pub db: Database,
    pub clock: Clock,
    pub vault: vault::Vault,
    pub limits: Arc<limits::Limits>,
    pub outbound: Arc<net::Outbound>,
    pub jobs: jobs::Jobs,
    /// The address under which people reach this server, without a trailing slash: links in mails use it.
    pub public_url: Arc<str>,
}
