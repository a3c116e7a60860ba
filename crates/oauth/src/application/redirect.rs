//! Where browsers are sent back to: registered word for word, and matched so (RFC 9700, section 2.1).
//!
//! The one freedom is a loopback address's port, which a native program does not know beforehand (RFC 8252, section 7.3). Of
//! `localhost` it is free where none was registered (RFC 9700, section 2.1): programs that speak MCP say so in their documents.

use rivergen_kernel::{Error, Result};
use url::{Host, Url};

const LONGEST: usize = 2000;

/// Whether an address may be registered; the reason where not.
fn fault(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else { return Some("is not an absolute address") };
    if text.len() > LONGEST {
        return Some("is longer than 2000 characters");
    }
    if url.fragment().is_some() {
        return Some("must not have a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not contain a user name");
    }
    if text.contains('*') || text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Some("must be one address, without wildcards or spaces");
    }
    match url.scheme() {
        "https" if url.has_host() => None,
        "http" if is_loopback(&url) => None,
        "http" => Some("must be https, except on loopback"),
        // A program's own scheme is a domain of its maker's, turned around (RFC 8252, section 7.1).
        scheme if scheme.contains('.') => None,
        _ => Some("must be https, a loopback address, or a scheme such as com.example.app:/callback"),
    }
}

/// Checks addresses before they are registered.
pub fn check(field: &str, uris: &[String]) -> Result<()> {
    match uris.iter().enumerate().find_map(|(at, uri)| fault(uri).map(|reason| (at, reason))) {
        Some((at, reason)) => Err(Error::invalid_field(format!("{field}[{at}]"), reason)),
        None => Ok(()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether the address that a request names is one of the registered.
pub fn matches(registered: &[String], asked: &str) -> bool {
    registered.iter().any(|uri| uri == asked || differs_in_loopback_port_alone(uri, asked))
}

fn differs_in_loopback_port_alone(registered: &str, asked: &str) -> bool {
    let (Ok(mut registered), Ok(mut url)) = (Url::parse(registered), Url::parse(asked)) else { return false };
    let is_free = matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_))) || registered.port().is_none();
    // And no other spelling of it.
    if registered.scheme() != "http" || !is_free || !is_loopback(&url) || url.as_str() != asked {
        return false;
    }
    registered.set_port(None).is_ok() && url.set_port(None).is_ok() && registered == url
}

/// Whether nobody else can answer at the address: of loopback ports and schemes that is never known, so there the person is
/// asked each time (RFC 8252, section 8.6).
pub fn is_owned(uri: &str) -> bool {
    uri.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example/cb?tenant=1",
            "http://127.0.0.1/cb",
            "http://localhost:8080/cb",
            "http://[::1]:1234/cb",
            "com.example.app:/cb",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "https://app.example/cb#x",
            "https://*.app.example/cb",
            "https://user@app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "app:/cb",
            "/cb",
            "https://app.example/a b",
            "",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn word_for_word_but_for_a_loopback_port() {
        let registered =
            ["https://app.example/cb", "http://127.0.0.1/native", "http://localhost:1/x", "http://localhost/native"]
                .map(str::to_owned);
        for good in [
            "https://app.example/cb",
            "http://127.0.0.1/native",
            "http://127.0.0.1:50123/native",
            "http://localhost/native",
            "http://localhost:50123/native",
        ] {
            assert!(matches(&registered, good), "{good}");
        }
        for bad in [
            "https://app.example/cb/",
            "https://app.example/cb?x=1",
            "https://app.example/CB",
            "https://app.example/cb/../evil",
            "https://app.example:443/cb",
            "https://app.example.evil/cb",
            "https://app.example@evil/cb",
            "http://127.0.0.1:50123/native/x",
            "http://127.0.0.1:50123/native#x",
            "http://127.1:50123/native",
            "http://localhost:2/x",
            "http://localhost/x",
            "http://localhost:50123/native/x",
            "http://localhost.evil:50123/native",
            "http://LOCALHOST:50123/native",
            "https://127.0.0.1:50123/native",
            "http://evil:80/native",
        ] {
            assert!(!matches(&registered, bad), "{bad}");
        }
    }
}
