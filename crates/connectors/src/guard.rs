//! Which addresses a source may have.
//!
//! The host of a source is the caller's choice, so without a guard the server is a door into its own network. A
//! connector hands every host to the guard, and connects to the very addresses that the guard answers: a name
//! that resolves to something else a moment later gains nothing.

use std::{fmt, net::SocketAddr};

use async_trait::async_trait;
use rivergen_platform::net::{self, HttpOptions, Outbound};

use crate::error::Cause;
use crate::tunnel::{self, TunnelFault};

/// Why an address may not be used. The first two are told apart in the log only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("the address is not permitted")]
    NotPermitted,
    #[error("the name does not resolve")]
    Unresolvable,
    /// It lies behind a tunnel that does not stand.
    #[error(transparent)]
    Tunnel(#[from] TunnelFault),
}

/// Resolves a host and lets through what may be connected to.
#[async_trait]
pub trait AddressGuard: fmt::Debug + Send + Sync + 'static {
    /// The permitted addresses of the host; an error where there is none.
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked>;

    /// An HTTP client that connects to permitted addresses only and follows no redirect; for one source.
    fn http(&self, options: &HttpOptions) -> Result<reqwest::Client, Cause>;
}

/// The platform's one guarded way out, with the operator's policy.
#[async_trait]
impl AddressGuard for Outbound {
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        let addresses = self.resolve(host, port).await.map_err(|blocked| {
            tracing::info!(host, port, %blocked, "a data source's address was refused");
            match blocked {
                net::Blocked::NotFound { .. } => Blocked::Unresolvable,
                _ => Blocked::NotPermitted,
            }
        })?;
        if addresses.iter().any(tunnel::leads_through) {
            tracing::info!(host, port, "a data source's address is the end of another one's tunnel");
            return Err(Blocked::NotPermitted);
        }
        Ok(addresses)
    }

    fn http(&self, options: &HttpOptions) -> Result<reqwest::Client, Cause> {
        self.http_with(options).map_err(Cause::from)
    }
}
