//! The harness of the black-box tests: a whole server in one line, on either database.
//!
//! ```text
//! Server ─ its clock, its mailbox, its database (to read what an operation left behind)
//!   └ organization() ─ Person of each role, signed in ─ Client ─ Answer: ok(), created(), error(status, code)
//!                    └ shop() ─ three small sources, and the policies over them
//! Binary ─ the program itself, to be killed, stopped and asked on its command line
//! Siem ─ a receiver of audit streams; Hook ─ one of webhooks
//! ```
//!
//! Tests stand in `tests/api/`, at the path of the operation that they test, and run on SQLite and on
//! PostgreSQL through [`on_both_databases!`]. No test waits for luck: the clock is moved, and what
//! happens in the background is polled with a deadline ([`eventually`]).

mod account;
mod bastion;
mod binary;
pub mod chromium;
mod client;
pub mod crooked;
mod factor;
pub mod fixtures;
pub mod foreign;
mod hook;
mod mailbox;
pub mod missing;
pub mod mmdb;
mod name_server;
mod organization;
mod passkey;
mod port;
mod postgres;
pub mod provider;
pub mod saml;
pub mod schema;
mod server;
mod shop;
mod siem;
mod sqlite;
pub mod tpch;

pub use bastion::Bastion;
pub use binary::Binary;
pub use client::{Answer, Client};
pub use factor::AuthenticatorApp;
pub use hook::{Call, Hook};
pub use mailbox::{Mail, Mailbox};
pub use name_server::NameServer;
pub use organization::{Organization, PASSWORD, Person};
pub use passkey::Passkey;
pub use port::ClosedPort;
pub use postgres::Database as PostgresDatabase;
pub use server::{Backend, Server};
pub use shop::Shop;
pub use siem::Siem;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// The folder of this crate. Asked of the runner, not of the compiler: a target directory may serve several checkouts.
pub fn manifest_dir() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("a runner that is cargo"))
}

/// Generates `sqlite::<test>` and `postgres::<test>` of each named test: an `async fn(&Server)` of the same
/// module. `with` adds settings, as TOML.
///
/// ```ignore
/// on_both_databases! {
///     the_good_way;
///     too_many_are_refused with "[limits]\nenabled = true";
/// }
/// ```
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident $(with $settings:expr)?;)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = $crate::Server::start($crate::Backend::Sqlite, concat!("", $($settings)?)).await;
                super::$name(&server).await;
                server.stop().await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = $crate::Server::start($crate::Backend::Postgres, concat!("", $($settings)?)).await;
                super::$name(&server).await;
                server.stop().await;
            })+
        }
    };
}

/// As [`on_both_databases!`] for tests that start their server themselves, because its settings are known only at run
/// time (the port of something that the server talks to): an `async fn(Backend)` each.
#[macro_export]
macro_rules! on_both_backends {
    ($($name:ident;)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::Backend::Sqlite).await })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::Backend::Postgres).await })+
        }
    };
}

/// How long something that happens in the background may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is there; panics, saying what was waited for, when it does not come.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
