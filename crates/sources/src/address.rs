//! Connectors reach out through the platform's one guarded way.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use rivergen_connectors::{AddressGuard, Blocked};
use rivergen_platform::net::{self, Outbound};

/// The platform's address policy, as connectors ask for it.
pub struct OutboundGuard(pub Arc<Outbound>);

impl std::fmt::Debug for OutboundGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OutboundGuard")
    }
}

#[async_trait]
impl AddressGuard for OutboundGuard {
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        self.0.resolve(host, port).await.map_err(|blocked| {
            tracing::info!(host, port, %blocked, "a data source's address was refused");
            match blocked {
                net::Blocked::NotFound { .. } => Blocked::Unresolvable,
                _ => Blocked::NotPermitted,
            }
        })
    }
}
