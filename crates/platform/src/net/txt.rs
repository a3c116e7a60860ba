//! What a domain says of itself in its TXT records.
//!
//! Asked are the servers of `[outbound] dns_servers`, or those of the system; nobody but the operator names them, so a
//! lookup connects to no address that a user chose. Nothing is kept: who has just published a record is not told for
//! hours that it is missing.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData},
};

/// A server that says nothing is asked again after this time.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is asked again.
const ATTEMPTS: usize = 1;
/// A whole lookup, with every server and every alias on the way.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records of one name that are looked at.
const MOST_RECORDS: usize = 100;

/// No server gave an answer, so nothing is known: neither that there is a record nor that there is none.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no name server gave an answer: {0}")]
pub struct NoAnswer(String);

/// The servers to ask.
pub(super) struct NameServers {
    resolver: Result<TokioResolver, NoAnswer>,
}

impl NameServers {
    /// Without servers, those of the system. Where they cannot be read every lookup fails, and the server starts all the
    /// same: few need it.
    pub fn new(servers: &[SocketAddr]) -> Self {
        let builder = match servers {
            [] => TokioResolver::builder_tokio(),
            servers => {
                let servers = servers.iter().map(name_server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
        };
        let resolver = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = TIMEOUT;
            options.attempts = ATTEMPTS;
            options.cache_size = 0;
            options.try_tcp_on_error = true;
            builder.build()
        });
        Self { resolver: resolver.map_err(|error| NoAnswer(error.to_string())) }
    }

    /// The texts at a name, aliases followed; of a record in several strings, the strings as one. Empty where there is none.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, NoAnswer> {
        let resolver = self.resolver.as_ref().map_err(Clone::clone)?;
        let mut name = Name::from_ascii(name).map_err(|error| NoAnswer(error.to_string()))?;
        // The name itself, not one below the domain of this machine.
        name.set_fqdn(true);
        let lookup = tokio::time::timeout(PATIENCE, resolver.txt_lookup(name)).await;
        let found = match lookup.map_err(|_| NoAnswer("in time".to_owned()))? {
            Ok(found) => found,
            Err(NetError::Dns(DnsError::NoRecordsFound(_))) => return Ok(Vec::new()),
            Err(error) => return Err(NoAnswer(error.to_string())),
        };
        let texts = found.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.take(MOST_RECORDS).collect())
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
