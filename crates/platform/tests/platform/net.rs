//! The guard of the way out: a table of addresses, and clients that try to get around it.

use axum::{Router, http::header, response::Redirect, routing::get};
use rivergen_platform::net::{AddressPolicy, Blocked, Outbound, OutboundConfig, ReadError, blocked, read_bounded};

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "2001:4860:4860::8888",
];

const PRIVATE: &[&str] = &[
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "0.1.2.3",
    "::1",
    "fc00::1",
    "fdff::1",
];

const NEVER: &[&str] = &[
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "2001:10::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "64:ff9b:1::1",
    // IPv4 in the clothes of IPv6: mapped, compatible, translated, NAT64, 6to4. Public ones too.
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "2002:7f00:1::1",
    "2002:808:808::1",
];

fn passes(policy: &AddressPolicy, address: &str) -> bool {
    policy.check(address.parse().unwrap()).is_ok()
}

#[test]
fn by_default_only_public_addresses_pass() {
    let policy = AddressPolicy::default();
    for address in PUBLIC {
        assert!(passes(&policy, address), "{address}");
    }
    for address in PRIVATE.iter().chain(NEVER) {
        assert!(!passes(&policy, address), "{address}");
    }
}

#[test]
fn private_addresses_can_be_let_through_but_not_the_rest() {
    let policy = AddressPolicy { allow_private: true, ..Default::default() };
    for address in PUBLIC.iter().chain(PRIVATE) {
        assert!(passes(&policy, address), "{address}");
    }
    for address in NEVER {
        assert!(!passes(&policy, address), "{address}");
    }
}

#[test]
fn a_range_can_be_allowed_or_denied() {
    let nets = |text: &[&str]| text.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>();
    let policy = AddressPolicy {
        allow: nets(&["10.1.0.0/16", "169.254.0.0/16"]),
        deny: nets(&["10.1.2.0/24", "8.8.8.8/32"]),
        ..Default::default()
    };
    assert!(passes(&policy, "10.1.1.1") && passes(&policy, "169.254.169.254"));
    assert!(!passes(&policy, "10.2.0.1"), "only what was named");
    assert!(!passes(&policy, "10.1.2.3") && !passes(&policy, "8.8.8.8"), "deny wins");

    let nat64 = AddressPolicy { allow: nets(&["64:ff9b::/96"]), deny: nets(&["9.9.9.9/32"]), ..Default::default() };
    assert!(passes(&nat64, "64:ff9b::808:808"));
    assert!(!passes(&nat64, "64:ff9b::7f00:1"), "the address inside counts as well");
    assert!(!passes(&nat64, "64:ff9b::909:909"), "and is denied as well");
}

/// A server on this machine, which the default policy must not reach.
async fn server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = |target: &'static str| get(move || async move { Redirect::temporary(target) });
    let app =
        Router::new()
            .route(
                "/",
                get(|headers: axum::http::HeaderMap| async move {
                    headers[header::USER_AGENT].to_str().unwrap().to_owned()
                }),
            )
            .route("/large", get(|| async { "x".repeat(100_000) }))
            .route("/metadata", to("http://169.254.169.254/latest/meta-data/"))
            .route("/spelled", to("http://0xa9fea9fe/"))
            .route("/mapped", to("http://[::ffff:169.254.169.254]/"))
            .route("/file", to("file:///etc/passwd"))
            .route("/loop", to("/loop"))
            .route("/home", to("/"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

fn outbound(policy: AddressPolicy) -> Outbound {
    Outbound::new(&OutboundConfig { policy, ..Default::default() }).unwrap()
}

async fn refusal(outbound: &Outbound, url: &str) -> Blocked {
    let error = outbound.http().get(url).send().await.expect_err(url);
    blocked(&error).unwrap_or_else(|| panic!("{url} failed for another reason: {error:?}")).clone()
}

#[tokio::test]
async fn names_and_literals_lead_nowhere_private() {
    let port = server().await;
    let guarded = outbound(AddressPolicy::default());
    for host in
        ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "[::ffff:127.0.0.1]", "[::1]"]
    {
        let blocked = refusal(&guarded, &format!("http://{host}:{port}/")).await;
        assert!(matches!(blocked, Blocked::Address { .. }), "{host}: {blocked}");
    }
    assert!(matches!(refusal(&guarded, &format!("https://127.0.0.1:{port}/")).await, Blocked::Address { .. }));
    // The name that refused literals are led to is no way in.
    let forged = refusal(&guarded, "http://7f000001.refused-address.invalid/").await;
    assert!(matches!(forged, Blocked::Address { .. }), "{forged}");
    let public = refusal(&guarded, "http://08080808.refused-address.invalid/").await;
    assert!(matches!(public, Blocked::NotFound { .. }), "{public}");
}

#[tokio::test]
async fn redirects_are_checked_and_counted() {
    let port = server().await;
    // This machine is allowed, so that the redirects begin; where they lead is not.
    let here = outbound(AddressPolicy { allow_private: true, ..Default::default() });
    let base = format!("http://127.0.0.1:{port}");
    for path in ["/metadata", "/spelled", "/mapped"] {
        let blocked = refusal(&here, &format!("{base}{path}")).await;
        assert!(matches!(blocked, Blocked::Address { .. }), "{path}: {blocked}");
    }
    assert!(matches!(refusal(&here, &format!("{base}/loop")).await, Blocked::TooManyRedirects));
    let file = here.http().get(format!("{base}/file")).send().await;
    assert!(file.is_err() || file.unwrap().status().is_redirection(), "no file is read");
    let home = here.http().get(format!("{base}/home")).send().await.unwrap();
    assert_eq!(home.text().await.unwrap(), concat!("rivergen/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_response_is_read_only_so_far() {
    let port = server().await;
    let here = outbound(AddressPolicy { allow_private: true, ..Default::default() });
    let large = async || here.http().get(format!("http://127.0.0.1:{port}/large")).send().await.unwrap();
    assert_eq!(read_bounded(large().await, 100_000).await.unwrap().len(), 100_000);
    assert!(matches!(read_bounded(large().await, 99_999).await, Err(ReadError::TooLarge { limit: 99_999 })));
}

#[tokio::test]
async fn other_protocols_get_checked_addresses() {
    let guarded = outbound(AddressPolicy::default());
    for host in ["localhost", "127.0.0.1", "::1", "[::1]", "169.254.169.254"] {
        assert!(matches!(guarded.resolve(host, 5432).await, Err(Blocked::Address { .. })), "{host}");
    }
    assert!(matches!(guarded.resolve("does-not-exist.invalid", 5432).await, Err(Blocked::NotFound { .. })));
    assert_eq!(guarded.resolve("8.8.8.8", 53).await.unwrap(), ["8.8.8.8:53".parse().unwrap()]);
    let here = outbound(AddressPolicy { allow_private: true, ..Default::default() });
    let found = here.resolve("localhost", 5432).await.unwrap();
    assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback() && address.port() == 5432));
}

#[test]
fn forms_can_ask_before() {
    let guarded = outbound(AddressPolicy::default());
    let check = |url: &str| guarded.check_url(&url.parse().unwrap());
    assert!(check("https://api.example.com/v1").is_ok());
    assert!(matches!(check("http://10.0.0.1/"), Err(Blocked::Address { .. })));
    assert!(matches!(check("file:///etc/passwd"), Err(Blocked::NotHttp)));
    assert!(matches!(check("gopher://8.8.8.8/"), Err(Blocked::NotHttp)));
}
