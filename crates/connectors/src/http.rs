//! Addresses of sources that speak HTTP.
//!
//! TLS is on unless `metadata.sslmode` is `disable`.

use rivergen_kernel::error::FieldError;
use url::Url;

use crate::SourceConfig;

/// `https://host:port/`, or `http` where TLS is off.
pub(crate) fn base_url(config: &SourceConfig) -> Result<Url, FieldError> {
    let scheme = match config.metadata_text("sslmode") {
        None | Some("verify-full" | "require") => "https",
        Some("disable") => "http",
        Some(_) => return Err(FieldError::new("metadata.sslmode", "must be verify-full or disable")),
    };
    let host = config.host.as_deref().unwrap_or_default();
    let invalid = || FieldError::new("host", "must be a host name or an address, without scheme or path");
    // An IPv6 address stands in brackets.
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    if host.is_empty() || host.contains(['/', '@', '?', '#', '\\']) {
        return Err(invalid());
    }
    let port = config.port.or(config.kind.default_port()).unwrap_or(443);
    Url::parse(&format!("{scheme}://{host}:{port}/")).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataSourceType;

    #[test]
    fn a_host_is_a_host_and_nothing_more() {
        let mut config = SourceConfig::new(DataSourceType::Elasticsearch);
        for host in ["", "https://search", "search/x", "a@b", "a b", "search?x"] {
            config.host = Some(host.to_owned());
            assert!(base_url(&config).is_err(), "{host}");
        }
        config.host = Some("::1".to_owned());
        assert_eq!(base_url(&config).unwrap().as_str(), "https://[::1]:9200/");
        config.host = Some("search.acme.example".to_owned());
        config.port = Some(443);
        assert_eq!(base_url(&config).unwrap().as_str(), "https://search.acme.example/");
        config.metadata.insert("sslmode".into(), "disable".into());
        assert_eq!(base_url(&config).unwrap().as_str(), "http://search.acme.example:443/");
    }
}
