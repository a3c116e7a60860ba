//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// By default only the public internet. `deny` wins over everything, `allow` over the built-in ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddressPolicy {
    /// Lets through loopback and the private ranges (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7): for
    /// a server inside the network whose sources it serves. Link-local addresses, where clouds keep their
    /// credentials, stay closed; name them in `allow` if they are meant.
    pub allow_private: bool,
    pub allow: Vec<IpNet>,
    pub deny: Vec<IpNet>,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("which the configuration denies")]
    Denied,
    #[error("a loopback address")]
    Loopback,
    #[error("a private address")]
    Private,
    #[error("a link-local address")]
    LinkLocal,
    #[error("an address of cloud metadata")]
    Metadata,
    #[error("a multicast or broadcast address")]
    Multicast,
    #[error("the unspecified address")]
    Unspecified,
    #[error("an address that is reserved for documentation, tests or protocols")]
    Reserved,
    #[error("an IPv4 address written as IPv6")]
    Embedded,
}

impl Refusal {
    /// What `allow_private` lets through.
    fn is_private(self) -> bool {
        matches!(self, Self::Loopback | Self::Private)
    }
}

impl AddressPolicy {
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        if contains(&self.deny, address) {
            return Err(Refusal::Denied);
        }
        if let IpAddr::V6(v6) = address
            && let Some(inner) = embedded(v6)
        {
            // The network may carry it to the IPv4 address inside, so both forms must be allowed.
            return if contains(&self.allow, address) { self.check(inner.into()) } else { Err(Refusal::Embedded) };
        }
        if contains(&self.allow, address) {
            return Ok(());
        }
        let refusal = match address {
            IpAddr::V4(v4) => refusal_v4(v4),
            IpAddr::V6(v6) => refusal_v6(v6),
        };
        match refusal {
            Some(refusal) if self.allow_private && refusal.is_private() => Ok(()),
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}

fn contains(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// IANA's registry of special IPv4 addresses, and multicast.
fn refusal_v4(v4: Ipv4Addr) -> Option<Refusal> {
    let refusal = match v4.octets() {
        [0, 0, 0, 0] => Refusal::Unspecified,
        // "This network": some stacks take it for the machine itself.
        [0, ..] => Refusal::Loopback,
        [127, ..] => Refusal::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Refusal::Private,
        // Carrier-grade NAT; Alibaba Cloud has its metadata in it.
        [100, 100, 100, 200] => Refusal::Metadata,
        [100, 64..=127, ..] => Refusal::Private,
        [169, 254, 169, 254] | [169, 254, 170, 2] => Refusal::Metadata,
        [169, 254, ..] => Refusal::LinkLocal,
        // Oracle Cloud's metadata.
        [192, 0, 0, 192] => Refusal::Metadata,
        [192, 0, 0, _] | [192, 0, 2, _] | [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Refusal::Reserved
        }
        // The relays of 6to4.
        [192, 88, 99, _] => Refusal::Reserved,
        [224..=239, ..] | [255, 255, 255, 255] => Refusal::Multicast,
        [240..=255, ..] => Refusal::Reserved,
        _ => return None,
    };
    Some(refusal)
}

/// Only global unicast (2000::/3) is open, without the ranges in it that are not for connections.
fn refusal_v6(v6: Ipv6Addr) -> Option<Refusal> {
    let refusal = match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Refusal::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Refusal::Loopback,
        // The metadata of AWS and of Google Cloud.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Refusal::Metadata,
        [0xfc00..=0xfdff, ..] => Refusal::Private,
        [0xfe80..=0xfeff, ..] => Refusal::LinkLocal,
        [0xff00..=0xffff, ..] => Refusal::Multicast,
        [0x2001, 0x0db8, ..] => Refusal::Reserved,
        // Protocol assignments, Teredo and ORCHID among them.
        [0x2001, 0x0000..=0x01ff, ..] => Refusal::Reserved,
        [0x3fff, 0x0000..=0x0fff, ..] => Refusal::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => Refusal::Reserved,
    };
    Some(refusal)
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, translated, NAT64 and 6to4.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        // :: and ::1 are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}
