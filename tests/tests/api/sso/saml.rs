//! `/api/v1/sso/saml/…`: sign-in and sign-out through a foreign SAML identity provider.

use super::{anew::change, *};
use base64::{Engine, engine::general_purpose::STANDARD};
use rivergen_tests::{on_both_backends, saml::SamlProvider};
use sea_orm::ConnectionTrait;

use crate::scim::somebody_waits;

on_both_backends! {
    a_member_signs_in_through_a_saml_provider;
    encrypted_assertions_are_read;
    what_the_provider_says_becomes_the_member;
    a_response_is_good_once_in_its_browser_and_for_its_request;
    a_provider_begins_a_sign_in_only_where_it_may;
    a_response_of_a_provider_that_is_removed_meanwhile_signs_nobody_in;
    relay_state_is_no_address_to_go_to;
    what_is_not_believed_is_told_to_administrators_alone;
    another_organizations_provider_is_another_audience;
    metadata_is_exchanged_both_ways_and_followed;
    our_keys_are_renewed_with_overlap;
    the_provider_ends_what_it_opened;
    a_forged_logout_request_ends_no_session;
    a_session_lives_no_longer_than_the_provider_says;
    a_sign_out_here_ends_the_providers_session;
    a_provider_is_tried_out_before_it_is_active;
    a_provider_asks_somebody_anew;
}

/// A running foreign provider; a test without it passes by.
macro_rules! idp {
    () => {
        match SamlProvider::start() {
            Some(provider) => provider,
            None => return,
        }
    };
}

/// Registers the foreign provider by its metadata, and makes both know each other.
async fn connect(world: &World, of: &Organization, idp: &SamlProvider, over: Value) -> i64 {
    let registration = json!({"provider_type": "saml", "name": "Corp", "metadata_xml": idp.metadata().await});
    let provider = world.register(of, registration, over).await;
    idp.meet(service(world, provider).await).await;
    provider
}

/// Our metadata, as anybody can read it.
async fn service(world: &World, provider: i64) -> String {
    let answer = world.server.anonymous().get(&format!("/api/v1/sso/saml/metadata/{provider}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/samlmetadata+xml");
    answer.body.as_str().unwrap().to_owned()
}

/// Begins a sign-in in the browser and signs in at the provider: the form that its page would post.
async fn at_provider(world: &World, browser: &Browser, provider: i64, idp: &SamlProvider, how: &str) -> Value {
    let address = world.begin(browser, &format!("provider_id={provider}")).await;
    idp.visit(&address, how).await
}

/// Posts the form, in the browser.
async fn post(browser: &Browser, form: &Value) -> Answer {
    let action: Url = form["action"].as_str().unwrap().parse().unwrap();
    let names = ["SAMLResponse", "RelayState"];
    let fields = names.into_iter().filter_map(|name| Some((name, form[name].as_str()?)));
    browser.client().post_raw(action.path(), FORM, encoded(fields)).await
}

const FORM: &str = "application/x-www-form-urlencoded";

fn encoded<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

async fn through(world: &World, provider: i64, idp: &SamlProvider, how: &str) -> Answer {
    let browser = world.browser();
    let form = at_provider(world, &browser, provider, idp, how).await;
    post(&browser, &form).await
}

async fn a_member_signs_in_through_a_saml_provider(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let browser = world.browser();
    let form = at_provider(&world, &browser, provider, &idp, "user=ada&email=Viewer@acme.example").await;
    // The provider has verified the request with our certificate.
    assert_eq!(form["sig_alg"], "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
    let answer = post(&browser, &form).await;
    assert!(answer.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let data = world.enter(answer).await;
    assert_eq!(data["user"]["email"], "viewer@acme.example");
    let session =
        "SELECT organization_id, federated_by_organization_id AS by, amr FROM sessions ORDER BY id DESC LIMIT 1";
    let session = &world.server.rows(session).await[0];
    assert_eq!((&session["organization_id"], &session["by"]), (&json!(world.acme.id), &json!(world.acme.id)));
    assert_eq!(session["amr"], "fed");
    assert_eq!(world.server.audited("sso.sign_in", "success").await, 1);
    // Linked now; and a response that is signed as a whole, or twice, is as good.
    for sign in ["response", "both"] {
        let how = format!("user=ada&email=somebody@elsewhere.example&sign={sign}&context=mfa");
        let data = world.enter(through(&world, provider, &idp, &how).await).await;
        assert_eq!(data["user"]["id"], world.acme.viewer.id);
    }
    let second = "SELECT amr FROM sessions ORDER BY id DESC LIMIT 1";
    assert_eq!(world.server.rows(second).await[0]["amr"], "fed mfa");
    world.stop().await;
}

async fn encrypted_assertions_are_read(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    for sign in ["assertion", "response", "both"] {
        let browser = world.browser();
        let how = format!("user=ada&email=viewer@acme.example&encrypt=true&sign={sign}");
        let form = at_provider(&world, &browser, provider, &idp, &how).await;
        let xml = STANDARD.decode(form["SAMLResponse"].as_str().unwrap()).unwrap();
        let xml = String::from_utf8(xml).unwrap();
        assert!(xml.contains("EncryptedAssertion") && !xml.contains("viewer@"), "{sign}: {xml}");
        let data = world.enter(post(&browser, &form).await).await;
        assert_eq!(data["user"]["email"], "viewer@acme.example", "{sign}");
    }
    // The private key lies sealed.
    let keys = world.server.rows("SELECT certificate FROM saml_keys").await;
    assert_eq!(keys.len(), 1);
    assert_eq!(world.server.audited("saml.key.create", "success").await, 1);
    world.stop().await;
}

async fn what_the_provider_says_becomes_the_member(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let developer = world.acme.roles["Developer"];
    let over = json!({"jit_provisioning": true, "group_role_mapping": {"engineers": developer},
        "attribute_mapping": {"family": "sn"}});
    let provider = connect(&world, &world.acme, &idp, over).await;
    let how = "user=new&email=new@acme.example&groups=engineers,others";
    let data = world.enter(through(&world, provider, &idp, how).await).await;
    assert_eq!((&data["user"]["email"], &data["user"]["name"]), (&json!("new@acme.example"), &json!("Ada Lovelace")));
    assert!(world.roles("new@acme.example").await.contains(&"Developer".to_owned()));
    let said = "SELECT attributes FROM memberships ORDER BY id DESC LIMIT 1";
    assert!(world.server.rows(said).await[0]["attributes"].to_string().contains("Lovelace"));
    // A transient name is nobody's.
    through(&world, provider, &idp, "user=x&format=transient").await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("transient"));
    world.stop().await;
}

async fn a_response_is_good_once_in_its_browser_and_for_its_request(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let over = json!({"allow_idp_initiated": true});
    let provider = connect(&world, &world.acme, &idp, over).await;
    let how = "user=ada&email=viewer@acme.example";
    let browser = world.browser();
    let form = at_provider(&world, &browser, provider, &idp, how).await;
    // In another browser it is worth nothing, whoever brings it.
    post(&world.browser(), &form).await.error(400, "SSO_STATE_INVALID");
    // Under the state of another sign-in of the same browser neither.
    let other = at_provider(&world, &browser, provider, &idp, how).await;
    let mut swapped = form.clone();
    swapped["RelayState"] = other["RelayState"].clone();
    post(&browser, &swapped).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("a different request"));
    // Without its state it is not one that nobody asked for.
    let mut without = form.clone();
    without["RelayState"] = Value::Null;
    post(&browser, &without).await.error(400, "SSO_STATE_INVALID");
    code_of(post(&browser, &form).await);
    post(&browser, &form).await.error(400, "SSO_STATE_INVALID");

    // One that nobody asked for has no state to be used up: its id is remembered.
    let (sp, acs) = addresses(&world, provider);
    let unasked = idp.ask("unasked", &format!("sp={sp}&acs={acs}&{how}")).await;
    code_of(post(&world.browser(), &unasked).await);
    post(&world.browser(), &unasked).await.error(401, "SAML_ASSERTION_REJECTED");
    assert_eq!(world.refusal().await, "the assertion was already used");
    // When it is over, it is forgotten, and refused for its time.
    world.server.clock().advance(chrono::Duration::hours(2));
    post(&world.browser(), &unasked).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("clocks of both servers"), "{}", world.refusal().await);
    world.server.run_due_jobs().await;
    assert_eq!(world.server.count("SELECT COUNT(*) AS count FROM sso_messages_seen").await, 0);
    world.stop().await;
}

fn addresses(world: &World, provider: i64) -> (String, String) {
    let at = |what: &str| format!("{}/api/v1/sso/saml/{what}/{provider}", world.server.url());
    (at("metadata"), at("acs"))
}

async fn a_provider_begins_a_sign_in_only_where_it_may(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let (sp, acs) = addresses(&world, provider);
    let how = format!("sp={sp}&acs={acs}&user=ada&email=viewer@acme.example");
    post(&world.browser(), &idp.ask("unasked", &how).await).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("allow_idp_initiated"));
    world.change(provider, json!({"allow_idp_initiated": true})).await;
    let data = world.enter(post(&world.browser(), &idp.ask("unasked", &how).await).await).await;
    assert_eq!(data["user"]["email"], "viewer@acme.example");
    world.stop().await;
}

async fn a_response_of_a_provider_that_is_removed_meanwhile_signs_nobody_in(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({"allow_idp_initiated": true})).await;
    let (sp, acs) = addresses(&world, provider);
    let how = format!("sp={sp}&acs={acs}&user=ada&email=viewer@acme.example");
    let (form, browser) = (idp.ask("unasked", &how).await, world.browser());
    let tx = world.server.platform.db.begin().await.unwrap();
    let sql = format!("DELETE FROM sso_providers WHERE id = {provider}");
    tx.conn().execute_unprepared(&sql).await.unwrap();
    // What takes the response has found the provider before it waits for its end.
    let removed = async {
        somebody_waits(&world.server).await;
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(post(&browser, &form), removed);
    answer.error(404, "PROVIDER_NOT_FOUND");
    world.stop().await;
}

async fn relay_state_is_no_address_to_go_to(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({"allow_idp_initiated": true})).await;
    let (sp, acs) = addresses(&world, provider);
    for relay_state in ["https://evil.example/", "//evil.example", "javascript:alert(1)"] {
        let how = format!("sp={sp}&acs={acs}&user=ada&email=viewer@acme.example");
        let mut form = idp.ask("unasked", &how).await;
        form["RelayState"] = relay_state.into();
        let went = location(&post(&world.browser(), &form).await);
        assert!(went.as_str().starts_with(FRONT_END), "{went}");
        // And where a sign-in was begun, it is not that sign-in.
        let browser = world.browser();
        let mut form = at_provider(&world, &browser, provider, &idp, "user=ada&email=viewer@acme.example").await;
        form["RelayState"] = relay_state.into();
        post(&browser, &form).await.error(400, "SSO_STATE_INVALID");
    }
    world.stop().await;
}

async fn what_is_not_believed_is_told_to_administrators_alone(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({"allow_idp_initiated": true})).await;
    let acs = format!("/api/v1/sso/saml/acs/{provider}");
    let anonymous = world.server.anonymous();
    for body in ["", "x=1", "SAMLResponse=%25%25", "SAMLResponse=PHg%2BPC94Pg%3D%3D"] {
        let error = anonymous.post_raw(&acs, FORM, body).await.error(400, "SAML_RESPONSE_INVALID");
        assert_eq!(error["message"], "This is not a readable SAML response.", "{body}");
    }
    let bomb = STANDARD.encode(r#"<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>"#);
    anonymous
        .post_raw(&acs, FORM, encoded([("SAMLResponse", bomb.as_str())]))
        .await
        .error(400, "SAML_RESPONSE_INVALID");
    assert!(world.refusal().await.contains("DOCTYPE"), "{}", world.refusal().await);

    // Signed by the provider, and too weakly.
    let weak = "user=ada&email=viewer@acme.example&weak=true";
    through(&world, provider, &idp, weak).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("a method that is not trusted"), "{}", world.refusal().await);

    // Changed on the way: one message for whoever posts it, the reason in the audit log.
    let browser = world.browser();
    let mut changed = at_provider(&world, &browser, provider, &idp, "user=ada&email=viewer@acme.example").await;
    let xml = String::from_utf8(STANDARD.decode(changed["SAMLResponse"].as_str().unwrap()).unwrap()).unwrap();
    changed["SAMLResponse"] = STANDARD.encode(xml.replace("viewer@", "owner@")).into();
    let error = post(&browser, &changed).await.error(401, "SAML_ASSERTION_REJECTED");
    assert_eq!(error["message"], "The identity provider's answer could not be trusted; start the sign-in again.");
    assert!(world.refusal().await.contains("signature does not match"), "{}", world.refusal().await);

    anonymous.post_raw("/api/v1/sso/saml/acs/4711", FORM, "SAMLResponse=x").await.error(404, "PROVIDER_NOT_FOUND");
    anonymous.get("/api/v1/sso/saml/metadata/4711").await.error(404, "PROVIDER_NOT_FOUND");
    anonymous.get("/api/v1/sso/saml/slo/4711").await.error(404, "PROVIDER_NOT_FOUND");
    world.change(provider, json!({"status": "inactive"})).await;
    anonymous.post_raw(&acs, FORM, "SAMLResponse=x").await.error(404, "PROVIDER_NOT_FOUND");
    world.stop().await;
}

async fn another_organizations_provider_is_another_audience(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let globex = world.server.organization("Globex").await;
    let over = json!({"allow_idp_initiated": true});
    // Both trust the same directory, as tenants of one big provider do.
    let ours = connect(&world, &world.acme, &idp, over.clone()).await;
    let theirs = connect(&world, &globex, &idp, over).await;
    let (sp, acs) = addresses(&world, theirs);
    let mut form = idp.ask("unasked", &format!("sp={sp}&acs={acs}&user=ada&email=viewer@acme.example")).await;
    // What was said for the one is brought to the other.
    form["action"] = addresses(&world, ours).1.into();
    post(&world.browser(), &form).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("it is addressed to"), "{}", world.refusal().await);
    // Nor where it is addressed to the other, for the one's ears.
    let acs = addresses(&world, ours).1;
    let form = idp.ask("unasked", &format!("sp={sp}&acs={acs}&user=ada&email=viewer@acme.example")).await;
    post(&world.browser(), &form).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(world.refusal().await.contains("the response is for the audience"), "{}", world.refusal().await);
    // A sign-in that was begun for the one ends nowhere else.
    let browser = world.browser();
    let mut form = at_provider(&world, &browser, theirs, &idp, "user=ada&email=viewer@acme.example").await;
    form["action"] = addresses(&world, ours).1.into();
    post(&browser, &form).await.error(400, "SSO_STATE_INVALID");
    world.stop().await;
}

async fn metadata_is_exchanged_both_ways_and_followed(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    for (wrong, reason) in
        [("<x/>", "an EntityDescriptor was expected"), ("<!DOCTYPE x><x/>", "DOCTYPE"), ("nonsense", "not well-formed")]
    {
        let body = json!({"provider_type": "saml", "name": "Corp", "metadata_xml": wrong});
        let error = owner.post("/api/v1/sso/providers", body).await.invalid("metadata_xml").to_string();
        assert!(error.contains(reason), "{error}");
    }
    // One that says itself that it is of the past.
    let late = idp.metadata().await.replacen("entityID=", "validUntil=\"2021-01-01T00:00:00Z\" entityID=", 1);
    let body = json!({"provider_type": "saml", "name": "Corp", "metadata_xml": late});
    let error = owner.post("/api/v1/sso/providers", body).await.invalid("metadata_xml").to_string();
    assert!(error.contains("it expired on 2021-01-01"), "{error}");
    let body = json!({"provider_type": "saml", "name": "Corp", "metadata_url": format!("{}/nowhere", idp.base)});
    owner.post("/api/v1/sso/providers", body).await.invalid("metadata_url");
    let body = json!({"provider_type": "saml", "name": "Corp", "metadata_url": "http://169.254.169.254/latest"});
    owner.post("/api/v1/sso/providers", body).await.invalid("metadata_url");

    let body = json!({"provider_type": "saml", "name": "Corp", "metadata_url": format!("{}/metadata", idp.base)});
    let made = owner.post("/api/v1/sso/providers", body).await.created()["provider"].clone();
    assert_eq!(made["entity_id"], format!("{}/metadata", idp.base));
    assert_eq!(made["sso_url"], format!("{}/sso", idp.base));
    let provider = made["id"].as_i64().unwrap();
    idp.meet(service(&world, provider).await).await;
    let how = "user=ada&email=viewer@acme.example";
    code_of(through(&world, provider, &idp, how).await);

    // Others, whose documents are nowhere, stand in nobody's way.
    let others = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO sso_providers \
         (organization_id, name, name_key, kind, status, entity_id, sso_url, metadata_url, certificates, \
         allow_idp_initiated, scopes, attribute_mapping, jit_provisioning, group_role_mapping, last_test_succeeded, \
         login_count, own_callback, vouched_by_user_id, created_by_user_id, created_at, updated_at) SELECT \
         organization_id, name, name_key || i, kind, 'inactive', entity_id || i, sso_url, '{}/nowhere', certificates, \
         FALSE, scopes, attribute_mapping, FALSE, group_role_mapping, FALSE, 0, FALSE, vouched_by_user_id, created_by_user_id, \
         created_at, updated_at FROM sso_providers CROSS JOIN n",
        idp.base
    );
    world.server.execute(&others).await;

    // The provider takes another key; a day later it is trusted beside the old one.
    idp.change_key().await;
    through(&world, provider, &idp, how).await.error(401, "SAML_ASSERTION_REJECTED");
    world.server.later(chrono::Duration::hours(25)).await;
    world.server.clock().advance(chrono::Duration::hours(-25));
    code_of(through(&world, provider, &idp, how).await);
    assert_eq!(world.server.audited("sso_provider.rotate_certificates", "success").await, 1);
    let own = format!("SELECT certificates FROM sso_providers WHERE id = {provider}");
    let certificates = world.server.rows(&own).await[0]["certificates"].to_string();
    assert_eq!(certificates.matches("\"MII").count(), 2, "{certificates}");
    // Each was looked at, however many there are.
    assert_eq!(world.server.count("SELECT count(*) FROM saml_metadata_checks").await, 31);
    world.stop().await;
}

async fn our_keys_are_renewed_with_overlap(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let published = async || service(&world, provider).await.matches("use=\"signing\"").count();
    assert_eq!(published().await, 1);
    // 59 days before its end the next one is published, and signs 30 days later.
    world.server.later(chrono::Duration::days(3 * 365 - 59)).await;
    assert_eq!(published().await, 2);
    let keys = world.server.rows("SELECT signs_from, expires_at FROM saml_keys ORDER BY id").await;
    assert!(keys[1]["signs_from"].as_str() < keys[0]["expires_at"].as_str(), "{keys:?}");
    // Again is not once more; and after its end the old one is gone.
    world.server.later(chrono::Duration::days(1)).await;
    assert_eq!(published().await, 2);
    world.server.later(chrono::Duration::days(60)).await;
    assert_eq!(published().await, 1);
    assert_eq!(world.server.count("SELECT COUNT(*) AS count FROM saml_keys").await, 1);
    world.stop().await;
}

async fn the_provider_ends_what_it_opened(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let (sp, acs) = addresses(&world, provider);
    let slo = acs.replace("/acs/", "/slo/");
    for binding in ["redirect", "post"] {
        let data = world.enter(through(&world, provider, &idp, "user=ada&email=viewer@acme.example").await).await;
        let person = world.person(&data);
        person.get("/api/v1/auth/me").await.ok();
        let asked = idp.ask("logout", &format!("sp={sp}&slo={slo}&binding={binding}")).await;
        let send = async || match asked["location"].as_str() {
            Some(location) => world.browser().client().get(location.strip_prefix(world.server.url()).unwrap()).await,
            None => {
                let body = encoded([("SAMLRequest", asked["SAMLRequest"].as_str().unwrap())]);
                world.server.anonymous().post_raw(&format!("/api/v1/sso/saml/slo/{provider}"), FORM, body).await
            }
        };
        let answer = send().await;
        assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.body);
        person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
        // The provider reads our answer, and that it is signed.
        let read = idp.visit(answer.headers["location"].to_str().unwrap(), "").await;
        assert_eq!((&read["ok"], &read["in_response_to"], &read["issuer"]), (&json!(true), &asked["id"], &json!(sp)));
        send().await.error(401, "SAML_ASSERTION_REJECTED");
    }
    // What is not signed ends nothing.
    let data = world.enter(through(&world, provider, &idp, "user=ada&email=viewer@acme.example").await).await;
    let asked = idp.ask("logout", &format!("sp={sp}&slo={slo}")).await;
    let unsigned = asked["location"].as_str().unwrap().split("&SigAlg").next().unwrap().to_owned();
    let path = unsigned.strip_prefix(world.server.url()).unwrap();
    world.server.anonymous().get(path).await.error(401, "SAML_ASSERTION_REJECTED");
    world.person(&data).get("/api/v1/auth/me").await.ok();
    world.server.anonymous().get(&format!("/api/v1/sso/saml/slo/{provider}")).await.error(400, "SAML_RESPONSE_INVALID");
    world.stop().await;
}

async fn a_sign_out_here_ends_the_providers_session(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let data = world.enter(through(&world, provider, &idp, "user=ada&email=viewer@acme.example").await).await;
    let person = world.person(&data);
    let out = person.post("/api/v1/sso/logout", json!({"redirect_uri": FRONT_END})).await.ok();
    person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let address = out["logout_url"].as_str().unwrap();
    assert!(address.starts_with(&format!("{}/slo?", idp.base)), "{address}");
    // The provider verifies our request, finds the name that it gave, and answers.
    let answered = idp.visit(address, "").await;
    let back = answered["location"].as_str().unwrap().strip_prefix(world.server.url()).unwrap().to_owned();
    let forged = back.replace("RelayState=", "RelayState=x");
    world.server.anonymous().get(&forged).await.error(400, "SSO_STATE_INVALID");
    let went = world.server.anonymous().get(&back).await;
    assert_eq!(went.headers["location"], FRONT_END);
    world.server.anonymous().get(&back).await.error(400, "SSO_STATE_INVALID");
    world.stop().await;
}

async fn a_provider_is_tried_out_before_it_is_active(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({"status": "inactive"})).await;
    let owner = &world.acme.owner.client;
    let tested = owner.post_empty(&format!("/api/v1/sso/providers/{provider}/test")).await.ok();
    assert_eq!(tested["test_results"]["errors"], json!([]), "{tested}");

    let browser = world.browser();
    let client = browser.client().with_token(owner.token());
    let begin = format!("/api/v1/sso/login?response_mode=json&provider_id={provider}&test=true");
    let address = client.get(&begin).await.ok()["authorization_url"].as_str().unwrap().to_owned();
    let form = idp.visit(&address, "user=ada&email=viewer@acme.example").await;
    let shown = post(&browser, &form).await.ok();
    assert_eq!((&shown["decision"], &shown["mapped"]["email"]), (&json!("link"), &json!("viewer@acme.example")));
    // What is wrong is told to whoever tries it out, in words.
    let address = client.get(&begin).await.ok()["authorization_url"].as_str().unwrap().to_owned();
    let form = idp.visit(&address, "user=ada&format=transient").await;
    let error = post(&browser, &form).await.error(401, "SAML_ASSERTION_REJECTED");
    assert!(error["message"].as_str().unwrap().contains("transient"), "{error}");
    world.stop().await;
}

/// The text of a message without the signature in it.
fn unsigned(xml: &str) -> String {
    let open = xml.find(":Signature").unwrap();
    let start = xml[..open].rfind('<').unwrap();
    let end = xml.rfind(":Signature>").unwrap() + ":Signature>".len();
    format!("{}{}", &xml[..start], &xml[end..])
}

async fn a_forged_logout_request_ends_no_session(backend: Backend) {
    let (idp, another) = (idp!(), idp!());
    let world = World::start(backend).await;
    let globex = world.server.organization("Globex").await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let of_globex = connect(&world, &globex, &another, json!({})).await;
    let how = "user=ada&email=viewer@acme.example";
    // Both providers know somebody by this name.
    through(&world, of_globex, &another, how).await.error(403, "SSO_USER_NOT_ALLOWED");
    let sign_in = async || world.person(&world.enter(through(&world, provider, &idp, how).await).await);
    let person = sign_in().await;

    let (sp, acs) = addresses(&world, provider);
    another.meet(service(&world, provider).await).await;
    let asked = async |by: &SamlProvider, slo: &str| {
        let asked = by.ask("logout", &format!("sp={sp}&slo={slo}&binding=post")).await;
        asked["SAMLRequest"].as_str().unwrap().to_owned()
    };
    let send = async |request: &str| {
        let path = format!("/api/v1/sso/saml/slo/{provider}");
        world.server.anonymous().post_raw(&path, FORM, encoded([("SAMLRequest", request)])).await
    };
    let refused = async |request: &str, reason: &str| {
        send(request).await.error(401, "SAML_ASSERTION_REJECTED");
        let rows = "SELECT details FROM audit_log WHERE action = 'sso.logout' AND outcome = 'failure' ORDER BY id DESC";
        let details = world.server.rows(&format!("{rows} LIMIT 1")).await[0]["details"].as_str().unwrap().to_owned();
        assert!(details.contains(reason), "refused because {details}, and not because {reason}");
    };
    let slo = acs.replace("/acs/", "/slo/");
    let honest = asked(&idp, &slo).await;
    let xml = String::from_utf8(STANDARD.decode(&honest).unwrap()).unwrap();
    refused(&STANDARD.encode(unsigned(&xml)), "is not signed").await;
    refused(&STANDARD.encode(xml.replace(">ada<", ">ada <")), "signature does not match").await;
    refused(&asked(&another, &slo).await, "a certificate that is not among those of this provider").await;
    refused(&asked(&idp, "https://other.example/slo").await, "it is addressed to https://other.example/slo").await;
    // Kept for a quarter of an hour.
    world.server.clock().advance(chrono::Duration::minutes(15));
    refused(&honest, "too old").await;
    world.server.clock().advance(chrono::Duration::minutes(-15));
    person.get("/api/v1/auth/me").await.ok();

    // As it came it ends the session; and a second time not the one that was opened since.
    assert_eq!(send(&honest).await.status, StatusCode::FOUND);
    person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let later = sign_in().await;
    refused(&honest, "the LogoutRequest was already used").await;
    later.get("/api/v1/auth/me").await.ok();
    // Nor does the provider itself by a key that it has not published.
    idp.change_key().await;
    refused(&asked(&idp, &slo).await, "a certificate that is not among those of this provider").await;
    later.get("/api/v1/auth/me").await.ok();
    world.stop().await;
}

async fn a_session_lives_no_longer_than_the_provider_says(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let bounded = async || world.server.count("SELECT count(*) FROM sessions WHERE expires_at = federated_until").await;
    let how = "user=ada&email=viewer@acme.example&session_seconds=1800";
    let data = world.enter(through(&world, provider, &idp, how).await).await;
    assert!((1..=1800).contains(&data["expires_in"].as_i64().unwrap()), "{data}");
    assert_eq!(bounded().await, 1);
    // Where a second factor is asked for in between, as well.
    let app = world.acme.developer.authenticator_app(&world.server).await;
    let how = "user=dev&email=developer@acme.example&session_seconds=1800";
    let pending = world.enter(through(&world, provider, &idp, how).await).await;
    let body = json!({"temporary_token": pending["temporary_token"], "code": app.next_code(&world.server)});
    world.server.anonymous().post("/api/v1/auth/mfa/verify", body).await.ok();
    assert_eq!(bounded().await, 2);

    // Use does not slide it on, nor do fresh tokens.
    world.server.clock().advance(chrono::Duration::minutes(20));
    world.person(&data).get("/api/v1/auth/me").await.ok();
    let refresh = async |data: &Value| {
        let body = json!({"refresh_token": data["refresh_token"]});
        world.server.anonymous().post("/api/v1/auth/refresh", body).await
    };
    let fresh = refresh(&data).await.ok();
    assert!((1..=600).contains(&fresh["expires_in"].as_i64().unwrap()), "{fresh}");
    world.person(&fresh).get("/api/v1/auth/me").await.ok();
    assert_eq!(bounded().await, 2);
    world.server.clock().advance(chrono::Duration::minutes(11));
    assert_eq!(world.person(&fresh).get("/api/v1/auth/me").await.status, 401);
    refresh(&fresh).await.error(401, "INVALID_REFRESH_TOKEN");
    world.stop().await;
}

async fn a_provider_asks_somebody_anew(backend: Backend) {
    let idp = idp!();
    let world = World::start(backend).await;
    let provider = connect(&world, &world.acme, &idp, json!({})).await;
    let ada = "user=ada&email=viewer@acme.example";
    let browser = world.browser();
    let form = at_provider(&world, &browser, provider, &idp, ada).await;
    assert_eq!(form["anew"], false);
    let person = world.person(&world.enter(post(&browser, &form).await).await);
    change(&person).await.created();
    // Who was asked an hour ago comes in as well, with no fresh proof.
    let data = world.enter(through(&world, provider, &idp, &format!("{ada}&signed_in_ago=3600")).await).await;
    let person = world.person(&data);
    change(&person).await.error(403, "REAUTHENTICATION_REQUIRED");

    let ask = async |how: &str| {
        let address = world.ask_anew(&browser, provider, &person).await;
        let form = idp.visit(&address, how).await;
        assert_eq!(form["anew"], true);
        post(&browser, &form).await
    };
    let proved = world.enter(ask(ada).await).await;
    assert_eq!(proved["user"]["id"], world.acme.viewer.id);
    change(&world.person(&proved)).await.created();
    // It knew them still, and asked nobody.
    ask(&format!("{ada}&signed_in_ago=3600")).await.error(403, "NOT_ASKED_ANEW");
    ask("user=grace&email=viewer@acme.example").await.error(403, "ANOTHER_PERSON");
    world.stop().await;
}
