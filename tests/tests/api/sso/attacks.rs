//! What somebody tries who wants to be somebody else. Each of these fails at the defence that its name tells of.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{http::header::LOCATION, response::IntoResponse};

use super::*;
use rivergen_tests::{crooked::Signed, on_both_backends};

on_both_backends! {
    a_state_works_once_and_in_its_own_browser;
    mix_up_a_code_of_one_provider_is_not_brought_to_another;
    mix_up_an_answer_names_its_issuer;
    code_injection_another_sign_ins_code_is_refused;
    downgrade_a_token_is_signed_with_the_providers_key_or_refused;
    claims_for_somebody_else_are_refused;
    userinfo_of_another_subject_is_refused;
    one_subject_at_two_providers_is_two_people;
    domain_take_over_a_provider_speaks_for_its_organizations_domains_alone;
    an_account_elsewhere_is_not_taken_over;
    another_tenants_provider_cannot_be_seen_or_changed;
    ssrf_an_issuer_inside_is_not_asked;
    ssrf_no_spelling_of_an_address_inside_is_taken;
    ssrf_a_redirect_leads_nobody_inside;
    ssrf_a_document_leads_nobody_inside;
    a_document_does_not_lead_to_open_lines;
    an_issuer_that_calls_itself_another_is_refused;
    nobody_gives_by_groups_what_they_do_not_hold;
    nobody_becomes_by_a_provider_of_their_own_what_they_are_not;
    a_link_of_before_opens_no_account_that_is_elsewhere_by_now;
    one_organizations_provider_opens_nothing_of_another;
    mix_up_two_providers_of_one_organization_have_two_addresses;
    what_one_provider_was_given_is_not_shown_to_another;
    a_proof_of_one_address_is_none_of_another;
}

async fn a_state_works_once_and_in_its_own_browser(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({})).await;
    let (mallory, victim) = (world.browser(), world.browser());
    let query = format!("provider_id={provider}");
    let address = world.begin(&mallory, &query).await;
    let back = mallory.visit(&address, "m~developer@acme.example").await;
    // A link that signs the victim in as somebody else.
    victim.callback(&back).await.error(400, "SSO_STATE_INVALID");
    // The cookie of another sign-in is none for this one.
    world.begin(&victim, &query).await;
    victim.callback(&back).await.error(400, "SSO_STATE_INVALID");
    // It was not used up by that; but by its own return it is.
    code_of(mallory.callback(&back).await);
    mallory.callback(&back).await.error(400, "SSO_STATE_INVALID");

    let late = world.begin(&mallory, &query).await;
    let back = mallory.visit(&late, "m~developer@acme.example").await;
    world.server.clock().advance(chrono::Duration::minutes(11));
    mallory.callback(&back).await.error(400, "SSO_STATE_INVALID");
    let made_up = "/api/v1/sso/oidc/callback?code=x&state=never-made";
    mallory.client().get(made_up).await.error(400, "SSO_STATE_INVALID");
    world.stop().await;
}

/// The providers of two organizations, of which Globex's is an attacker's.
async fn two_providers(world: &World) -> (Organization, Crooked, i64, Crooked, i64) {
    let globex = world.server.organization("Globex").await;
    let (honest, evil) = (Crooked::start().await, Crooked::start().await);
    let at_honest = world.register(&world.acme, honest.registration("Honest"), json!({})).await;
    let at_evil = world.register(&globex, evil.registration("Evil"), json!({})).await;
    honest.says().claims = json!({"email": "viewer@acme.example"});
    (globex, honest, at_honest, evil, at_evil)
}

/// Where the victim comes back to who began at the one provider, and was led on to the other under the state of that sign-in.
async fn led_on(world: &World, victim: &Browser, from: i64, to: i64, other: &Crooked) -> Url {
    let begun = world.begin(victim, &format!("provider_id={from}")).await;
    let request = world.begin(&world.browser(), &format!("provider_id={to}")).await;
    let state = value(&begun.parse().unwrap(), "state").unwrap();
    other.says().answer = json!({"state": state});
    other.send_back(&request)
}

async fn mix_up_a_code_of_one_provider_is_not_brought_to_another(backend: Backend) {
    let world = World::start(backend).await;
    let (globex, honest, at_honest, evil, at_evil) = two_providers(&world).await;
    let victim = world.browser();
    // The victim begins at the attacker's, which leads them on to the honest one under the attacker's state.
    let back = led_on(&world, &victim, at_evil, at_honest, &honest).await;
    assert_eq!(back.path(), format!("/api/v1/sso/oidc/callback/{}", world.acme.id));
    victim.client().get(&path_of(&back)).await.error(401, "OIDC_TOKEN_REJECTED");
    assert!(world.refusal().await.contains("a different address"));
    assert!(evil.says().codes.is_empty() && honest.says().codes.is_empty());
    // Nor is the other's address, or that for all, of use to it.
    for path in [format!("/api/v1/sso/oidc/callback/{}", world.acme.id), "/api/v1/sso/oidc/callback".to_owned()] {
        let begun = world.begin(&victim, &format!("provider_id={at_evil}")).await;
        let state = value(&begun.parse().unwrap(), "state").unwrap();
        victim.client().get(&format!("{path}?code=x&state={state}")).await.error(401, "OIDC_TOKEN_REJECTED");
    }
    assert!(evil.says().codes.is_empty());
    assert_ne!(globex.id, world.acme.id);
    world.stop().await;
}

async fn mix_up_an_answer_names_its_issuer(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().document = json!({"authorization_response_iss_parameter_supported": true});
    crooked.says().claims = json!({"email": "viewer@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    for (iss, good) in [(json!(crooked.issuer), true), (json!("https://honest.example"), false), (Value::Null, false)] {
        crooked.says().answer = json!({"iss": iss});
        crooked.says().codes.clear();
        let answer = world.lied(provider, &crooked).await;
        match good {
            true => drop(code_of(answer)),
            false => drop(answer.error(401, "OIDC_TOKEN_REJECTED")),
        }
        assert_eq!(crooked.says().codes.is_empty(), !good, "{iss}");
    }
    world.stop().await;
}

async fn code_injection_another_sign_ins_code_is_refused(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({})).await;
    let query = format!("provider_id={provider}");
    // The victim's code, stolen on its way, under the thief's own state: the verifier is not its own.
    let (victim, thief) = (world.browser(), world.browser());
    let stolen = victim.visit(&world.begin(&victim, &query).await, "v~viewer@acme.example").await;
    let mut own = thief.visit(&world.begin(&thief, &query).await, "m~developer@acme.example").await;
    let pairs: Vec<(String, String)> = own.url.query_pairs().into_owned().collect();
    own.url.query_pairs_mut().clear().extend_pairs(pairs.into_iter().map(|(key, value)| match key.as_str() {
        "code" => (key, stolen.value("code")),
        _ => (key, value),
    }));
    thief.callback(&own).await.error(401, "OIDC_TOKEN_REJECTED");
    // By the provider, which compares the verifier: the nonce was not even looked at.
    assert!(world.refusal().await.contains("invalid_grant"), "{}", world.refusal().await);

    // A provider that would take any verifier: the nonce is not its own.
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"email": "viewer@acme.example", "nonce": "of-another-sign-in"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    world.lied(provider, &crooked).await.error(401, "OIDC_TOKEN_REJECTED");
    assert!(world.refusal().await.contains("Invalid nonce"), "{}", world.refusal().await);
    world.stop().await;
}

async fn downgrade_a_token_is_signed_with_the_providers_key_or_refused(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"email": "viewer@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    for signed in [Signed::NotAtAll, Signed::WithThePublicKey, Signed::WithTheSecret, Signed::WithAnotherKey] {
        crooked.says().signed = signed;
        let answer = world.lied(provider, &crooked).await;
        assert_eq!(answer.status, 401, "{signed:?}: {}", answer.body);
        answer.error(401, "OIDC_TOKEN_REJECTED");
    }
    crooked.says().signed = Signed::Honestly;
    code_of(world.lied(provider, &crooked).await);
    world.stop().await;
}

async fn claims_for_somebody_else_are_refused(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let now = chrono::Utc::now().timestamp();
    for claims in [
        json!({"iss": "https://honest.example"}),
        json!({"aud": "another-client"}),
        json!({"aud": [rivergen_tests::crooked::CLIENT_ID, "another-client"]}),
        json!({"azp": "another-client"}),
        json!({"exp": now - 10}),
        json!({"iat": now + 600, "exp": now + 900}),
        json!({"nonce": null}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": "x".repeat(300)}),
        json!({"exp": null}),
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ] {
        let mut all = json!({"email": "viewer@acme.example"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        crooked.says().claims = all;
        let answer = world.lied(provider, &crooked).await;
        assert_eq!(answer.status, 401, "{claims}: {}", answer.body);
        answer.error(401, "OIDC_TOKEN_REJECTED");
    }
    assert_eq!(world.server.count("SELECT count(*) FROM sso_identities").await, 0);
    // Each of them fails by what it says, and by nothing else: without it they come in.
    crooked.says().claims = json!({"email": "viewer@acme.example"});
    code_of(world.lied(provider, &crooked).await);
    world.stop().await;
}

async fn userinfo_of_another_subject_is_refused(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    crooked.says().claims = json!({"sub": "mallory", "email": null, "email_verified": null});
    crooked.says().user_info = json!({"sub": "viewer", "email": "viewer@acme.example", "email_verified": true});
    world.lied(provider, &crooked).await.error(401, "OIDC_TOKEN_REJECTED");
    crooked.says().user_info = json!({"sub": "mallory", "email": "viewer@acme.example", "email_verified": true});
    code_of(world.lied(provider, &crooked).await);
    // What the signed token says stands over what the userinfo says.
    crooked.says().claims =
        json!({"sub": "other", "email": "developer@acme.example", "email_verified": false, "name": null});
    crooked.says().user_info = json!({"sub": "other", "email": "viewer@acme.example", "email_verified": true});
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    world.stop().await;
}

async fn one_subject_at_two_providers_is_two_people(backend: Backend) {
    let world = World::start(backend).await;
    let (_, honest, at_honest, evil, at_evil) = two_providers(&world).await;
    honest.says().claims = json!({"sub": "1", "email": "viewer@acme.example"});
    code_of(world.lied(at_honest, &honest).await);
    // The same number elsewhere opens nothing, whatever address comes with it.
    evil.says().claims = json!({"sub": "1", "email": "viewer@acme.example"});
    world.lied(at_evil, &evil).await.error(403, "SSO_USER_NOT_ALLOWED");
    let own = Crooked::start().await;
    own.says().claims = json!({"sub": "1", "email": "developer@acme.example"});
    let second = world.register(&world.acme, own.registration("Second"), json!({})).await;
    let data = world.enter(world.lied(second, &own).await).await;
    assert_eq!(data["user"]["id"], world.acme.developer.id);
    world.stop().await;
}

async fn domain_take_over_a_provider_speaks_for_its_organizations_domains_alone(backend: Backend) {
    let world = World::start(backend).await;
    let (globex, _, _, evil, at_evil) = two_providers(&world).await;
    let over = json!({"jit_provisioning": true});
    let path = format!("/api/v1/sso/providers/{at_evil}");
    globex.owner.client.put(&path, over).await.ok();
    for address in ["viewer@acme.example", "new@acme.example", "owner@globex.example", "ada@sub.acme.example"] {
        evil.says().claims = json!({"sub": address, "email": address});
        world.lied(at_evil, &evil).await.error(403, "SSO_USER_NOT_ALLOWED");
        assert!(world.refusal().await.contains("has not verified the domain"), "{address}");
    }
    // A claimed domain is not a proved one, and another's cannot be routed.
    let claim = json!({"domain": "acme.example"});
    globex.owner.client.post(&format!("/api/v1/organizations/{}/domains", globex.id), claim).await.created();
    globex.owner.client.put(&path, json!({"domains": ["acme.example"]})).await.invalid("domains[0]");
    evil.says().claims = json!({"sub": "x", "email": "viewer@acme.example"});
    world.lied(at_evil, &evil).await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("has not verified the domain"));
    world.stop().await;
}

async fn an_account_elsewhere_is_not_taken_over(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({"jit_provisioning": true})).await;
    // Of a domain that nobody has proved, and of a mail provider.
    for address in ["ada@private.example", "ada@gmail.com"] {
        let person = world.server.newcomer(address).await;
        crooked.says().claims = json!({"sub": address, "email": address});
        world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
        person.client.get("/api/v1/auth/me").await.ok();
    }
    // A further address that somebody added and never proved is nobody's yet.
    let mallory = world.server.newcomer("mallory@private2.example").await;
    mallory
        .client
        .post("/api/v1/auth/me/emails", json!({"email": "boss@acme.example", "password": rivergen_tests::PASSWORD}))
        .await;
    crooked.says().claims = json!({"sub": "boss", "email": "boss@acme.example"});
    let data = world.enter(world.lied(provider, &crooked).await).await;
    assert_ne!(data["user"]["id"], mallory.id);
    world.stop().await;
}

async fn another_tenants_provider_cannot_be_seen_or_changed(backend: Backend) {
    let world = World::start(backend).await;
    let (globex, _, at_honest, ..) = two_providers(&world).await;
    let path = format!("/api/v1/sso/providers/{at_honest}");
    let stranger = &globex.owner.client;
    stranger.get(&path).await.error(404, "PROVIDER_NOT_FOUND");
    stranger.put(&path, json!({"issuer": "https://evil.example"})).await.error(404, "PROVIDER_NOT_FOUND");
    stranger.post_empty(&format!("{path}/test")).await.error(404, "PROVIDER_NOT_FOUND");
    stranger.delete(&path).await.error(404, "PROVIDER_NOT_FOUND");
    stranger.get(&format!("/api/v1/sso/metadata?provider_id={at_honest}")).await.error(404, "PROVIDER_NOT_FOUND");
    assert_eq!(stranger.get("/api/v1/sso/providers").await.ok()["total"], 1);
    // Nor are roles of another organization given through one's own.
    let role = json!({"default_role_id": world.acme.roles["Viewer"]});
    let own = stranger.get("/api/v1/sso/providers").await.ok()["providers"][0]["id"].clone();
    stranger.put(&format!("/api/v1/sso/providers/{own}"), role).await.error(404, "ROLE_NOT_FOUND");
    world.stop().await;
}

async fn ssrf_an_issuer_inside_is_not_asked(backend: Backend) {
    let crooked = Crooked::start().await;
    let world = World::with(backend, "[outbound.policy]\nallow_private = false\n").await;
    let owner = &world.acme.owner.client;
    let body = |issuer: &str| json!({"provider_type": "oidc", "name": "x", "issuer": issuer, "client_id": "x"});
    for inside in [
        "https://169.254.169.254/latest",
        "https://127.0.0.1:8443",
        "https://[::1]",
        "https://10.0.0.1",
        "https://2130706433",
    ] {
        owner.post("/api/v1/sso/providers", body(inside)).await.invalid("issuer");
    }
    owner.post("/api/v1/sso/providers", body(&crooked.issuer)).await.invalid("issuer");
    // A name is looked at when it is asked.
    let provider = world.register(&world.acme, body("https://localhost:9"), json!({})).await;
    let results =
        owner.post_empty(&format!("/api/v1/sso/providers/{provider}/test")).await.ok()["test_results"].clone();
    assert_eq!(results["connection"], "failed");
    assert!(results["errors"][0].as_str().unwrap().contains("loopback"), "{results}");
    let start = format!("/api/v1/sso/login?provider_id={provider}");
    world.server.anonymous().get(&start).await.error(502, "IDP_UNAVAILABLE");
    world.stop().await;
}

async fn ssrf_no_spelling_of_an_address_inside_is_taken(backend: Backend) {
    let world = World::with(backend, "[outbound.policy]\nallow_private = false\n").await;
    let owner = &world.acme.owner.client;
    let oidc = |address: &str| json!({"provider_type": "oidc", "name": "x", "issuer": address, "client_id": "x"});
    let saml = |address: &str| json!({"provider_type": "saml", "name": "x", "metadata_url": address});
    for (inside, why) in [
        ("https://127.0.0.1:8443/x", "a loopback address"),
        ("https://2130706433/x", "a loopback address"),
        ("https://[::1]/x", "a loopback address"),
        ("https://[::ffff:127.0.0.1]/x", "an IPv4 address written as IPv6"),
        ("https://169.254.169.254/latest", "an address of cloud metadata"),
        ("https://10.0.0.1/x", "a private address"),
    ] {
        for (field, body) in [("issuer", oidc(inside)), ("metadata_url", saml(inside))] {
            let error = owner.post("/api/v1/sso/providers", body).await.invalid(field).to_string();
            assert!(error.contains(why), "{inside} as {field}: {error}");
        }
    }
    // A name that leads there; of an issuer the test above tells.
    let named = owner.post("/api/v1/sso/providers", saml("https://localhost:9/metadata")).await;
    let error = named.invalid("metadata_url").to_string();
    assert!(error.contains("a loopback address"), "{error}");
    world.stop().await;
}

/// A server that counts who came, and sends everybody on where it is told to.
struct Place {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Place {
    async fn open(ip: &str, onward: Option<String>) -> Self {
        let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let visits = Arc::<AtomicUsize>::default();
        let counted = visits.clone();
        let answer = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let onward = onward.clone();
            async move {
                match onward {
                    Some(onward) => (StatusCode::FOUND, [(LOCATION, onward)]).into_response(),
                    None => StatusCode::NO_CONTENT.into_response(),
                }
            }
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, visits }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

/// A place that the configuration closes, and each address that leads there or to what is always closed, with why.
async fn inside() -> (Place, [(String, &'static str); 3]) {
    let place = Place::open("127.0.0.2", None).await;
    let addresses = [
        (place.url(), "which the configuration denies"),
        (format!("http://[::ffff:127.0.0.2]:{}", place.address.port()), "an IPv4 address written as IPv6"),
        ("http://169.254.169.254".to_owned(), "an address of cloud metadata"),
    ];
    (place, addresses)
}

const ALL_BUT_INSIDE: &str = "[outbound.policy]\nallow_private = true\ndeny = [\"127.0.0.2/32\"]\n";

async fn ssrf_a_redirect_leads_nobody_inside(backend: Backend) {
    let (place, addresses) = inside().await;
    let world = World::with(backend, ALL_BUT_INSIDE).await;
    for (onward, _) in addresses {
        let outside = Place::open("127.0.0.1", Some(format!("{onward}/secret"))).await;
        let saml = json!({"provider_type": "saml", "name": "x", "metadata_url": format!("{}/metadata", outside.url())});
        let refused = world.acme.owner.client.post("/api/v1/sso/providers", saml).await;
        let error = refused.invalid("metadata_url").to_string();
        assert!(error.contains("redirects to another host"), "{onward}: {error}");
        let oidc = json!({"provider_type": "oidc", "name": onward, "issuer": outside.url(), "client_id": "x"});
        let provider = world.register(&world.acme, oidc, json!({})).await;
        let start = format!("/api/v1/sso/login?provider_id={provider}");
        world.server.anonymous().get(&start).await.error(502, "IDP_UNAVAILABLE");
        assert_eq!(outside.visits(), 2, "{onward}");
    }
    assert_eq!(place.visits(), 0);
    world.stop().await;
}

async fn ssrf_a_document_leads_nobody_inside(backend: Backend) {
    let (place, addresses) = inside().await;
    let world = World::with(backend, ALL_BUT_INSIDE).await;
    for (address, why) in &addresses {
        for endpoint in ["jwks_uri", "token_endpoint", "userinfo_endpoint"] {
            let crooked = Crooked::start().await;
            crooked.says().document = json!({endpoint: format!("{address}/secret")});
            // What the token does not say is asked for at the last one.
            crooked.says().claims = json!({"email": "viewer@acme.example", "email_verified": null});
            let registration = crooked.registration(&format!("{endpoint} at {address}"));
            let provider = world.register(&world.acme, registration, json!({})).await;
            let told = if endpoint == "jwks_uri" {
                let start = format!("/api/v1/sso/login?provider_id={provider}");
                world.server.anonymous().get(&start).await.error(502, "IDP_UNAVAILABLE");
                let test = format!("/api/v1/sso/providers/{provider}/test");
                world.acme.owner.client.post_empty(&test).await.ok()["test_results"]["errors"].to_string()
            } else {
                world.lied(provider, &crooked).await.error(502, "IDP_UNAVAILABLE");
                world.refusal().await
            };
            assert!(told.contains(why), "{endpoint} at {address}: {told}");
        }
    }
    assert_eq!(place.visits(), 0);
    world.stop().await;
}

async fn a_document_does_not_lead_to_open_lines(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    crooked.says().document = json!({"token_endpoint": "ftp://127.0.0.1/token"});
    let start = format!("/api/v1/sso/login?provider_id={provider}");
    world.server.anonymous().get(&start).await.error(502, "IDP_UNAVAILABLE");
    // A sign-in begins once it leads to none.
    let honest = world.register(&world.acme, Crooked::start().await.registration("Two"), json!({})).await;
    world.begin(&world.browser(), &format!("provider_id={honest}")).await;
    world.stop().await;
}

async fn an_issuer_that_calls_itself_another_is_refused(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().document = json!({"issuer": "https://accounts.google.com"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    world
        .server
        .anonymous()
        .get(&format!("/api/v1/sso/login?provider_id={provider}"))
        .await
        .error(502, "IDP_UNAVAILABLE");
    let path = format!("/api/v1/sso/providers/{provider}/test");
    let results = world.acme.owner.client.post_empty(&path).await.ok()["test_results"].clone();
    assert_eq!((&results["connection"], &results["authentication_flow"]), (&json!("failed"), &json!("skipped")));
    world.stop().await;
}

async fn nobody_gives_by_groups_what_they_do_not_hold(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let owner = &world.acme.owner.client;
    // Somebody who may set up single sign-on, and nothing else.
    let role = json!({"name": "SSO", "permissions": ["sso.read", "sso.manage"], "organization_id": world.acme.id});
    let role = owner.post("/api/v1/roles", role).await.created()["role"]["id"].as_i64().unwrap();
    let give = json!({"user_id": world.acme.viewer.id});
    owner.post(&format!("/api/v1/roles/{role}/assignments"), give).await.created();
    let viewer = &world.acme.viewer.client;
    let with = |over: Value| {
        let mut body = crooked.registration("One");
        body.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        body
    };
    let developer = world.acme.roles["Developer"];
    for over in [json!({"default_role_id": developer}), json!({"group_role_mapping": {"x": developer}})] {
        viewer.post("/api/v1/sso/providers", with(over)).await.error(403, "FORBIDDEN");
    }
    // Nobody at all gives such roles by groups.
    for name in ["Owner", "Admin"] {
        let role = world.acme.roles[name];
        owner.post("/api/v1/sso/providers", with(json!({"default_role_id": role}))).await.invalid("default_role_id");
        let mapped = with(json!({"group_role_mapping": {"x": role}}));
        owner.post("/api/v1/sso/providers", mapped).await.invalid("group_role_mapping.x");
    }
    let own = with(json!({"group_role_mapping": {"x": role}}));
    owner.post("/api/v1/sso/providers", own).await.invalid("group_role_mapping.x");
    world.stop().await;
}

async fn nobody_becomes_by_a_provider_of_their_own_what_they_are_not(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let acme = &world.acme;
    let made = acme.admin.client.post("/api/v1/sso/providers", crooked.registration("Mine")).await.created();
    let provider = made["provider"]["id"].as_i64().unwrap();
    let as_owner = json!({"sub": "boss", "email": acme.owner.email, "amr": ["pwd", "mfa"]});
    crooked.says().claims = as_owner.clone();
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("has more permissions"));
    // Others come in, and the owner too once an owner has vouched for it; no more when somebody else has changed it.
    crooked.says().claims = json!({"sub": "dev", "email": acme.developer.email});
    world.enter(world.lied(provider, &crooked).await).await;
    let path = format!("/api/v1/sso/providers/{provider}");
    let issuer = json!({"issuer": crooked.issuer});
    acme.owner.client.put(&path, issuer.clone()).await.ok();
    crooked.says().claims = as_owner;
    assert_eq!(world.enter(world.lied(provider, &crooked).await).await["user"]["id"], acme.owner.id);
    acme.admin.client.put(&path, issuer.clone()).await.ok();
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    // Nor when whoever vouched for it has left, which the test of the provider says, until somebody else does.
    let test = format!("{path}/test");
    let faults = async || acme.owner.client.post_empty(&test).await.ok()["test_results"]["errors"].to_string();
    let gone = "no longer an active member";
    assert!(!faults().await.contains(gone));
    acme.owner.client.delete(&format!("/api/v1/organizations/{}/members/{}", acme.id, acme.admin.id)).await.ok();
    assert!(faults().await.contains(gone));
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    acme.owner.client.put(&path, issuer).await.ok();
    assert!(!faults().await.contains(gone));
    world.enter(world.lied(provider, &crooked).await).await;
    world.stop().await;
}

async fn a_link_of_before_opens_no_account_that_is_elsewhere_by_now(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let (acme, owner) = (&world.acme, &world.acme.owner.client);
    let provider = world.register(acme, crooked.registration("One"), json!({"jit_provisioning": true})).await;
    crooked.says().claims = json!({"sub": "v", "email": acme.viewer.email});
    world.enter(world.lied(provider, &crooked).await).await;
    // They leave, and take another address.
    owner.delete(&format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id)).await.ok();
    let moved = format!("UPDATE user_emails SET email = 'v@private.example' WHERE user_id = {}", acme.viewer.id);
    world.server.execute(&moved).await;
    world.server.forget().await;
    for email in [acme.viewer.email.as_str(), acme.developer.email.as_str()] {
        crooked.says().claims = json!({"sub": "v", "email": email});
        world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    }
    world.stop().await;
}

async fn one_organizations_provider_opens_nothing_of_another(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    // Somebody who belongs to another organization as well.
    let globex = world.server.organization("Globex").await;
    let invited = json!({"email": world.acme.viewer.email, "workspace_id": globex.workspace_id,
        "role_id": globex.roles["Viewer"]});
    let at = format!("/api/v1/organizations/{}/members/invite", globex.id);
    globex.admin.client.post(&at, invited).await.created();
    let token = crate::invitations::token(&world.server, &world.acme.viewer.email, 1).await;
    crate::invitations::accept(&world.acme.viewer.client, &token).await.ok();
    crooked.says().claims = json!({"sub": "v", "email": world.acme.viewer.email});
    let session = world.person(&world.enter(world.lied(provider, &crooked).await).await);
    session.get(&format!("/api/v1/organizations/{}", world.acme.id)).await.ok();
    session.get(&format!("/api/v1/organizations/{}", globex.id)).await.error(403, "FORBIDDEN");
    let there = json!({"workspace_id": globex.workspace_id});
    session.post("/api/v1/auth/switch-workspace", there).await.error(403, "FORBIDDEN");
    // Nor does a token that it makes, and what is the account's own needs a proof of the person's own.
    let token = session.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["read"]})).await.created();
    let program = world.server.anonymous().with_token(token["token"].as_str().unwrap());
    program.get(&format!("/api/v1/organizations/{}", globex.id)).await.error(403, "FORBIDDEN");
    let admin = json!({"name": "t", "scopes": ["admin"]});
    session.post("/api/v1/auth/tokens", admin).await.error(403, "REAUTHENTICATION_REQUIRED");
    world.stop().await;
}

async fn mix_up_two_providers_of_one_organization_have_two_addresses(backend: Backend) {
    let world = World::start(backend).await;
    let (honest, evil) = (Crooked::start().await, Crooked::start().await);
    let at_honest = world.register(&world.acme, honest.registration("Honest"), json!({})).await;
    let at_evil = world.register(&world.acme, evil.registration("Contractors"), json!({})).await;
    let victim = world.browser();
    let back = led_on(&world, &victim, at_evil, at_honest, &honest).await;
    victim.client().get(&path_of(&back)).await.error(401, "OIDC_TOKEN_REJECTED");
    assert!(world.refusal().await.contains("a different address"));
    assert!(evil.says().codes.is_empty() && honest.says().codes.is_empty());
    // Both work, each by its own.
    for (provider, crooked) in [(at_honest, &honest), (at_evil, &evil)] {
        crooked.says().answer = json!({});
        crooked.says().claims = json!({"email": world.acme.viewer.email});
        world.enter(world.lied(provider, crooked).await).await;
    }
    world.stop().await;
}

async fn what_one_provider_was_given_is_not_shown_to_another(backend: Backend) {
    let world = World::start(backend).await;
    let (one, other) = (Crooked::start().await, Crooked::start().await);
    let provider = world.register(&world.acme, one.registration("One"), json!({})).await;
    assert_eq!(world.change(provider, json!({"issuer": one.issuer})).await["has_client_secret"], true);
    assert_eq!(world.change(provider, json!({"issuer": other.issuer})).await["has_client_secret"], false);
    world.stop().await;
}

async fn a_proof_of_one_address_is_none_of_another(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let over = json!({"attribute_mapping": {"email": "preferred_username"}});
    let provider = world.register(&world.acme, crooked.registration("One"), over).await;
    // A verified address of their own, and a name that they chose.
    crooked.says().claims = json!({"sub": "m", "email": "m@mallory.example", "email_verified": true,
        "preferred_username": world.acme.developer.email});
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("verified"));
    // The other half comes from the userinfo endpoint, and speaks of another address.
    world.change(provider, json!({"attribute_mapping": {}})).await;
    crooked.says().claims = json!({"sub": "m", "email": world.acme.developer.email, "email_verified": null});
    crooked.says().user_info = json!({"email": "m@mallory.example", "email_verified": true});
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    assert!(world.refusal().await.contains("verified"));
    // And the other way round: the token proves an address that it does not name, and the endpoint names one unproved.
    crooked.says().claims = json!({"sub": "m", "email": null, "email_verified": true});
    for unproved in [json!(false), Value::Null] {
        crooked.says().user_info = json!({"email": world.acme.developer.email, "email_verified": unproved});
        world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
        assert!(world.refusal().await.contains("verified"));
    }
    crooked.says().user_info = json!({"email": world.acme.developer.email, "email_verified": true});
    world.enter(world.lied(provider, &crooked).await).await;
    world.stop().await;
}
