//! What an operator sets: `[[audit.streams]]`.

use std::{collections::BTreeSet, path::PathBuf};

use rivergen_kernel::{OrganizationId, Secret};
use serde::Deserialize;
use url::Url;

use super::format::Format;
use crate::webhook::Key;

/// `[audit]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    #[serde(default)]
    pub streams: Vec<StreamConfig>,
}

/// `[[audit.streams]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Stays: how far the stream is, is kept under it.
    pub name: String,
    pub kind: Kind,
    #[serde(default)]
    pub format: Format,
    #[serde(default)]
    pub start: Start,
    /// The chains of these alone; without it, those of all organizations and that of the system.
    #[serde(default)]
    pub organizations: Option<BTreeSet<OrganizationId>>,
    /// For `webhook`.
    #[serde(default)]
    pub url: Option<Endpoint>,
    /// For `webhook`: `whsec_` and 24 to 64 bytes in base64.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// For `syslog`: host and port.
    #[serde(default)]
    pub address: Option<String>,
    /// For `syslog`.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// For `syslog` over TLS: a file with the certificates that may vouch for the receiver, in PEM form. Without it, those
    /// of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// What the receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Webhook,
    Syslog,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Webhook => "webhook",
            Self::Syslog => "syslog",
        })
    }
}

/// What a stream begins with when its name is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With what is recorded from then on.
    #[default]
    Now,
    /// With the first record of each chain.
    Beginning,
}

/// What carries the messages of syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// The address of a webhook. Its path and its query may be secret, so only the rest is shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Endpoint(pub(super) Url);

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/…", self.0.origin().ascii_serialization())
    }
}

/// Where a stream leads, once the settings were found to fit together.
pub(super) enum Destination {
    Webhook { url: Url, key: Key },
    Syslog { host: String, port: u16, transport: Transport, ca_file: Option<PathBuf> },
}

impl AuditConfig {
    /// What is wrong with the settings: the stream, and why.
    pub fn check(&self) -> Result<(), (String, String)> {
        let mut names = BTreeSet::new();
        for stream in &self.streams {
            let fault = |reason: String| Err((stream.name.clone(), reason));
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            if stream.name.is_empty() || stream.name.len() > 50 || !stream.name.chars().all(word) {
                return fault("names have up to 50 of a-z, 0-9, - and _".to_owned());
            }
            if !names.insert(&stream.name) {
                return fault("there are two of this name".to_owned());
            }
            if let Err(reason) = stream.destination() {
                return fault(reason);
            }
        }
        Ok(())
    }
}

impl StreamConfig {
    pub(super) fn destination(&self) -> Result<Destination, String> {
        let given = [
            ("url", Kind::Webhook, self.url.is_some()),
            ("secret", Kind::Webhook, self.secret.is_some()),
            ("address", Kind::Syslog, self.address.is_some()),
            ("transport", Kind::Syslog, self.transport.is_some()),
            ("ca_file", Kind::Syslog, self.ca_file.is_some()),
        ];
        if let Some((setting, kind, _)) = given.iter().find(|(_, kind, given)| *given && *kind != self.kind) {
            return Err(format!("{setting} goes with kind \"{kind}\""));
        }
        match (self.kind, &self.url, &self.secret, &self.address, self.transport) {
            (Kind::Webhook, Some(Endpoint(url)), Some(secret), ..) => {
                if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
                    return Err("url must be an http or https address".to_owned());
                }
                Ok(Destination::Webhook { url: url.clone(), key: signing_key(secret)? })
            }
            (Kind::Webhook, ..) => Err("kind \"webhook\" needs url and secret".to_owned()),
            (Kind::Syslog, _, _, Some(address), Some(transport)) => {
                if self.ca_file.is_some() && transport != Transport::Tls {
                    return Err("ca_file goes with transport \"tls\"".to_owned());
                }
                let (host, port) = host_and_port(address).ok_or("address must be a host and a port")?;
                Ok(Destination::Syslog { host, port, transport, ca_file: self.ca_file.clone() })
            }
            (Kind::Syslog, ..) => Err("kind \"syslog\" needs address and transport".to_owned()),
        }
    }
}

fn signing_key(secret: &Secret) -> Result<Key, String> {
    Key::of(secret).ok_or_else(|| {
        "secret must be whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"
            .to_owned()
    })
}

/// `siem.example.com:6514`, `[2001:db8::1]:6514`
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        // An IPv6 address without brackets has no end.
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!bare.is_empty()).then(|| (bare.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (address, expected) in [
            ("siem.example.com:6514", Some(("siem.example.com", 6514))),
            ("10.0.0.1:514", Some(("10.0.0.1", 514))),
            ("[::1]:514", Some(("::1", 514))),
            ("::1:514", None),
            ("siem.example.com", None),
            (":514", None),
            ("siem:0", None),
            ("siem:70000", None),
        ] {
            assert_eq!(host_and_port(address), expected.map(|(host, port)| (host.to_owned(), port)), "{address}");
        }
    }
}
