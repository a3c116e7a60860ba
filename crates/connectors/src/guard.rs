//! Which addresses a source may have.
//!
//! The host of a source is the caller's choice, so without a guard the server is a door into its own network. A
//! connector hands every host to the guard, and connects to the very addresses that the guard answers: a name
//! that resolves to something else a moment later gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use async_trait::async_trait;

/// Why an address may not be used. The two are told apart in the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("the address is not permitted")]
    NotPermitted,
    #[error("the name does not resolve")]
    Unresolvable,
}

/// Resolves a host and lets through what may be connected to.
#[async_trait]
pub trait AddressGuard: fmt::Debug + Send + Sync + 'static {
    /// The permitted addresses of the host; an error where there is none.
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked>;
}

/// Lets through public addresses, and private ones where the operator says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublicAddresses {
    /// Also private, loopback and link-local ones, save those where clouds keep their instances' credentials.
    pub allow_private: bool,
}

#[async_trait]
impl AddressGuard for PublicAddresses {
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let resolved = tokio::net::lookup_host((host, port)).await.map_err(|_| Blocked::Unresolvable)?;
        let permitted: Vec<_> = resolved
            .filter(|address| is_public(address.ip()) || (self.allow_private && !is_metadata_service(address.ip())))
            .collect();
        if permitted.is_empty() { Err(Blocked::NotPermitted) } else { Ok(permitted) }
    }
}

fn is_metadata_service(ip: IpAddr) -> bool {
    match unmapped(ip) {
        IpAddr::V4(ip) => ip == Ipv4Addr::new(169, 254, 169, 254),
        IpAddr::V6(ip) => ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    }
}

/// The IANA special-purpose registries, as far as they are not globally reachable.
fn is_public(ip: IpAddr) -> bool {
    match unmapped(ip) {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            (0x2000..0x4000).contains(&first)
                && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
                && first != 0x2002
                && first != 0x3fff
        }
    }
}

/// An IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2, RFC 6052) is judged as what it is.
fn unmapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_told_from_public_ones() {
        for inner in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "172.31.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "2001:db8::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn private_ranges_open_by_configuration_only() {
        let closed = PublicAddresses::default();
        assert_eq!(closed.check("localhost", 5432).await, Err(Blocked::NotPermitted));
        let open = PublicAddresses { allow_private: true };
        assert!(!open.check("127.0.0.1", 5432).await.unwrap().is_empty());
        assert_eq!(open.check("169.254.169.254", 80).await, Err(Blocked::NotPermitted));
    }
}
