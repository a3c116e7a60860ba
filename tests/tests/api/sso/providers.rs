//! `/api/v1/sso/providers…`, `/api/v1/sso/metadata` and `/api/v1/sso/setup/{vendor}`: how providers are set up and tried out.

use super::*;
use rivergen_tests::on_both_backends;

on_both_backends! {
    a_provider_is_registered_shown_changed_and_removed;
    what_does_not_fit_is_refused;
    names_and_issuers_are_taken_once_in_an_organization;
    certificates_are_rotated_with_an_overlap;
    a_certificate_that_has_ended_is_named;
    only_who_may_manage_single_sign_on_does;
    only_who_has_just_proved_who_they_are_changes_a_provider;
    a_test_says_what_is_wrong_in_words;
    metadata_tells_the_provider_what_to_enter;
    the_assistant_knows_each_vendor;
    another_issuer_knows_nobody_of_before;
    what_names_people_otherwise_knows_nobody_of_before;
    there_is_a_bound_to_providers;
}

const ONE: &str = include_str!("certificates/one.pem");
const OTHER: &str = include_str!("certificates/other.pem");
const EXPIRED: &str = include_str!("certificates/expired.pem");
const WEAK: &str = include_str!("certificates/weak.pem");
const PROVIDERS: &str = "/api/v1/sso/providers";

fn oidc(name: &str) -> Value {
    json!({"provider_type": "oidc", "name": name, "issuer": format!("https://{name}.example"), "client_id": "id",
        "client_secret": "hush"})
}

fn saml(name: &str) -> Value {
    json!({"provider_type": "saml", "name": name, "entity_id": format!("urn:{name}"),
        "sso_url": "https://idp.example/sso", "certificate": ONE})
}

fn with(mut body: Value, over: Value) -> Value {
    for (key, value) in over.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(key)),
            value => body[key] = value.clone(),
        }
    }
    body
}

async fn a_provider_is_registered_shown_changed_and_removed(backend: Backend) {
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    let body = with(
        oidc("okta"),
        json!({"domains": ["ACME.example."], "jit_provisioning": true,
        "default_role_id": world.acme.roles["Viewer"], "group_role_mapping": {"Eng": world.acme.roles["Developer"]},
        "attribute_mapping": {"email": "mail", "department": "dept"}, "scopes": ["groups", "email"]}),
    );
    let created = owner.post(PROVIDERS, body).await.created();
    let provider = &created["provider"];
    let id = provider["id"].as_i64().unwrap();
    assert!(created["message"].is_string());
    assert_eq!((&provider["status"], &provider["provider_type"]), (&json!("active"), &json!("oidc")));
    assert_eq!(provider["scopes"], json!(["openid", "groups", "email"]));
    assert_eq!((&provider["domains"], &provider["has_client_secret"]), (&json!(["acme.example"]), &json!(true)));
    assert!(!created.to_string().contains("hush"));
    let sealed = "SELECT count(*) FROM sso_providers WHERE CAST(sealed_client_secret AS TEXT) LIKE '%hush%'";
    assert_eq!(world.server.count(sealed).await, 0);

    let path = format!("{PROVIDERS}/{id}");
    assert_eq!(owner.get(&path).await.ok()["provider"], *provider);
    owner.post(PROVIDERS, saml("other")).await.created();
    let listed = owner.get(PROVIDERS).await.ok();
    assert_eq!((&listed["total"], &listed["providers"][0]), (&json!(2), provider));
    for (query, total) in [("provider_type=saml", 1), ("status=inactive", 0), ("limit=1&offset=1", 2)] {
        let listed = owner.get(&format!("{PROVIDERS}?{query}")).await.ok();
        assert_eq!(listed["total"], total, "{query}");
    }
    owner.get(&format!("{PROVIDERS}?limit=101")).await.invalid("limit");
    owner.get(&format!("{PROVIDERS}?status=asleep")).await.invalid("status");

    // What is not named stays.
    let changed = world.change(id, json!({"name": "Okta", "status": "inactive", "default_role_id": null})).await;
    assert_eq!(
        (&changed["name"], &changed["status"], &changed["default_role_id"]),
        (&json!("Okta"), &json!("inactive"), &Value::Null)
    );
    assert_eq!(
        (&changed["attribute_mapping"], &changed["has_client_secret"]),
        (&provider["attribute_mapping"], &json!(true))
    );
    assert_eq!(world.change(id, json!({"client_secret": "", "domains": []})).await["has_client_secret"], false);
    let record = "SELECT details FROM audit_log WHERE action = 'sso_provider.update' ORDER BY id DESC LIMIT 1";
    assert_eq!(world.server.rows(record).await[0]["details"], "{\"changed\":[\"client_secret\",\"domains\"]}");

    assert!(owner.delete(&path).await.ok()["message"].is_string());
    owner.get(&path).await.error(404, "PROVIDER_NOT_FOUND");
    owner.delete(&path).await.error(404, "PROVIDER_NOT_FOUND");
    for action in ["sso_provider.create", "sso_provider.delete"] {
        assert!(world.server.audited(action, "success").await > 0, "{action}");
    }
    world.stop().await;
}

async fn what_does_not_fit_is_refused(backend: Backend) {
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    for (body, field) in [
        (with(oidc("a"), json!({"issuer": null})), "issuer"),
        (with(oidc("a"), json!({"client_id": null})), "client_id"),
        (with(oidc("a"), json!({"issuer": "ftp://idp.example"})), "issuer"),
        (with(oidc("a"), json!({"issuer": "https://idp.example?x=1"})), "issuer"),
        (with(oidc("a"), json!({"issuer": "https://me@idp.example"})), "issuer"),
        (with(oidc("a"), json!({"issuer": "https://169.254.169.254"})), "issuer"),
        (with(oidc("a"), json!({"certificate": ONE})), "certificate"),
        (with(oidc("a"), json!({"sso_url": "https://idp.example"})), "sso_url"),
        (with(oidc("a"), json!({"name": " "})), "name"),
        (with(oidc("a"), json!({"name": "x".repeat(256)})), "name"),
        (with(oidc("a"), json!({"scopes": ["open id"]})), "scopes[0]"),
        (with(oidc("a"), json!({"attribute_mapping": {"Department": "x"}})), "attribute_mapping.Department"),
        (with(oidc("a"), json!({"attribute_mapping": {"roles": "x"}})), "attribute_mapping.roles"),
        (with(oidc("a"), json!({"domains": ["globex.example"]})), "domains[0]"),
        (with(oidc("a"), json!({"domains": ["acme.example", "acme.example"]})), "domains[1]"),
        (with(oidc("a"), json!({"provider_type": "ldap"})), "provider_type"),
        (with(oidc("a"), json!({"unknown": 1})), "unknown"),
        (with(saml("a"), json!({"entity_id": null})), "entity_id"),
        (with(saml("a"), json!({"sso_url": null})), "sso_url"),
        (with(saml("a"), json!({"certificate": null})), "certificate"),
        (with(saml("a"), json!({"certificate": "nonsense"})), "certificate"),
        (with(saml("a"), json!({"certificate": EXPIRED})), "certificate"),
        (with(saml("a"), json!({"certificate": WEAK})), "certificate"),
        (with(saml("a"), json!({"client_secret": "x"})), "client_secret"),
    ] {
        owner.post(PROVIDERS, body).await.invalid(field);
    }
    let role = json!({"default_role_id": 4711});
    owner.post(PROVIDERS, with(oidc("a"), role)).await.error(404, "ROLE_NOT_FOUND");
    assert_eq!(owner.get(PROVIDERS).await.ok()["total"], 0);
    // A domain has one provider.
    world.register(&world.acme, oidc("one"), json!({"domains": ["acme.example"]})).await;
    owner.post(PROVIDERS, with(oidc("two"), json!({"domains": ["acme.example"]}))).await.invalid("domains[0]");
    let id = world.register(&world.acme, oidc("three"), json!({})).await;
    owner.put(&format!("{PROVIDERS}/{id}"), json!({"provider_type": "saml"})).await.invalid("provider_type");
    world.stop().await;
}

async fn names_and_issuers_are_taken_once_in_an_organization(backend: Backend) {
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    world.register(&world.acme, oidc("okta"), json!({})).await;
    world.register(&world.acme, saml("adfs"), json!({})).await;
    for body in [
        with(oidc("x"), json!({"name": "OKTA"})),
        with(oidc("x"), json!({"issuer": "https://okta.example"})),
        with(saml("x"), json!({"entity_id": "urn:adfs"})),
    ] {
        owner.post(PROVIDERS, body).await.error(409, "PROVIDER_EXISTS");
    }
    let id = world.register(&world.acme, oidc("x"), json!({})).await;
    owner.put(&format!("{PROVIDERS}/{id}"), json!({"name": "okta"})).await.error(409, "PROVIDER_EXISTS");
    // In another organization they are free.
    let globex = world.server.organization("Globex").await;
    world.register(&globex, oidc("okta"), json!({})).await;
    world.stop().await;
}

async fn certificates_are_rotated_with_an_overlap(backend: Backend) {
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    let id = world.register(&world.acme, saml("adfs"), json!({})).await;
    let path = format!("{PROVIDERS}/{id}");
    let first = owner.get(&path).await.ok()["provider"]["certificate_fingerprint"].clone();
    // As base64 of DER alone, too.
    let der: String = OTHER.lines().filter(|line| !line.starts_with('-')).collect();
    let changed = world.change(id, json!({"certificate": der})).await;
    let fingerprints: Vec<&Value> =
        changed["certificates"].as_array().unwrap().iter().map(|one| &one["fingerprint"]).collect();
    assert_eq!((fingerprints.len(), fingerprints[1]), (2, &first));
    assert_eq!(changed["certificates"][0]["subject"], "CN=other.example");
    assert_eq!(&changed["certificate_fingerprint"], fingerprints[0]);
    // The same again changes nothing.
    assert_eq!(world.change(id, json!({"certificate": OTHER})).await["certificates"].as_array().unwrap().len(), 2);
    owner.put(&path, json!({"remove_certificates": ["00"]})).await.invalid("remove_certificates");
    let left = world.change(id, json!({"remove_certificates": [first]})).await;
    assert_eq!(left["certificates"].as_array().unwrap().len(), 1);
    let last = left["certificate_fingerprint"].clone();
    owner.put(&path, json!({"remove_certificates": [last]})).await.invalid("remove_certificates");
    // One goes and another comes in one change.
    world.change(id, json!({"remove_certificates": [last], "certificate": ONE})).await;
    world.stop().await;
}

async fn a_certificate_that_has_ended_is_named(backend: Backend) {
    let world = World::start(backend).await;
    let id = world.register(&world.acme, saml("adfs"), json!({})).await;
    let der = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let kept = async |certificates: Value| {
        world
            .server
            .execute(&format!("UPDATE sso_providers SET certificates = '{certificates}' WHERE id = {id}"))
            .await;
        let path = format!("{PROVIDERS}/{id}/test");
        world.acme.owner.client.post_empty(&path).await.ok()["test_results"]["errors"].to_string()
    };
    let start = format!("/api/v1/sso/login?provider_id={id}");
    // Its time came since it was registered: whoever tests the provider reads when, and nobody is sent there in vain.
    let told = kept(json!([der(EXPIRED)])).await;
    assert!(told.contains("The certificate of this provider expired on 2021-01-01."), "{told}");
    world.server.anonymous().get(&start).await.error(502, "IDP_UNAVAILABLE");
    // Beside one that is good it is no fault.
    let told = kept(json!([der(ONE), der(EXPIRED)])).await;
    assert!(!told.contains("expired"), "{told}");
    let began = world.server.anonymous().get(&start).await;
    assert_eq!(began.status, StatusCode::FOUND, "{}", began.body);
    world.stop().await;
}

async fn only_who_may_manage_single_sign_on_does(backend: Backend) {
    let world = World::start(backend).await;
    let id = world.register(&world.acme, oidc("okta"), json!({})).await;
    let path = format!("{PROVIDERS}/{id}");
    world.acme.admin.client.get(&path).await.ok();
    for person in [&world.acme.developer.client, &world.acme.viewer.client] {
        person.get(PROVIDERS).await.error(403, "FORBIDDEN");
        person.get(&path).await.error(403, "FORBIDDEN");
        person.post(PROVIDERS, oidc("x")).await.error(403, "FORBIDDEN");
        person.put(&path, json!({"name": "x"})).await.error(403, "FORBIDDEN");
        person.delete(&path).await.error(403, "FORBIDDEN");
        person.post_empty(&format!("{path}/test")).await.error(403, "FORBIDDEN");
        person.get("/api/v1/sso/setup/okta").await.error(403, "FORBIDDEN");
    }
    world.server.anonymous().get(PROVIDERS).await.error(401, "UNAUTHORIZED");
    world.stop().await;
}

async fn only_who_has_just_proved_who_they_are_changes_a_provider(backend: Backend) {
    let world = World::start(backend).await;
    let id = world.register(&world.acme, oidc("okta"), json!({})).await;
    let path = format!("{PROVIDERS}/{id}");
    let owner = &world.acme.owner.client;
    let everything = json!({"name": "t", "scopes": ["admin"]});
    let token = owner.post("/api/v1/auth/tokens", everything).await.created()["token"].clone();
    let program = world.server.anonymous().with_token(token.as_str().unwrap());
    world.server.clock().advance(chrono::Duration::minutes(11));
    // Nor does a program, whatever it may do besides.
    for (client, code) in [(owner, "REAUTHENTICATION_REQUIRED"), (&program, "FORBIDDEN")] {
        client.get(&path).await.ok();
        client.post(PROVIDERS, oidc("x")).await.error(403, code);
        client.put(&path, json!({"status": "inactive"})).await.error(403, code);
        client.delete(&path).await.error(403, code);
    }
    let listed = owner.get(PROVIDERS).await.ok();
    assert_eq!((&listed["total"], &listed["providers"][0]["status"]), (&json!(1), &json!("active")));
    let owner = world.server.sign_in(&world.acme.owner.email).await.client;
    owner.put(&path, json!({"status": "inactive"})).await.ok();
    owner.post(PROVIDERS, oidc("x")).await.created();
    owner.delete(&path).await.ok();
    world.stop().await;
}

async fn a_test_says_what_is_wrong_in_words(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let owner = &world.acme.owner.client;
    let id = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let path = format!("{PROVIDERS}/{id}");
    let test = async || owner.post_empty(&format!("{path}/test")).await.ok()["test_results"].clone();
    let good = json!({"connection": "success", "authentication_flow": "success", "errors": [], "claims": []});
    assert_eq!(test().await, good);
    let shown = owner.get(&path).await.ok()["provider"].clone();
    assert_eq!(shown["last_test_succeeded"], true);
    assert!(shown["last_tested_at"].is_string());
    for (document, words) in [
        (json!({"id_token_signing_alg_values_supported": ["HS256"]}), "does not publish the public half"),
        (json!({"token_endpoint": null}), "no token endpoint"),
        (json!({"token_endpoint": "ftp://x.example/token"}), "is not https"),
        (json!({"scopes_supported": ["openid"]}), "does not support the scopes profile, email"),
    ] {
        crooked.says().document = document;
        let results = test().await;
        assert_eq!((&results["connection"], &results["authentication_flow"]), (&json!("success"), &json!("failed")));
        assert!(results["errors"].to_string().contains(words), "{results}");
    }
    // What it can say of people is told; `iss` says nothing of them.
    crooked.says().document = json!({"claims_supported": ["iss", "email", "realm_access"]});
    assert_eq!(test().await["claims"], json!(["email", "realm_access"]));
    crooked.says().document = json!({"issuer": "https://elsewhere.example"});
    assert_eq!(test().await["connection"], "failed");
    assert_eq!(owner.get(&path).await.ok()["provider"]["last_test_succeeded"], false);
    crooked.says().document = json!({});
    assert_eq!(test().await, good);
    // Settings that were changed are not those that were tested.
    assert_eq!(world.change(id, json!({"client_id": "another"})).await["last_test_succeeded"], false);

    let over = json!({"sso_url": format!("{}/authorize", crooked.issuer)});
    let id = world.register(&world.acme, saml("adfs"), over).await;
    let saml_test = async || owner.post_empty(&format!("{PROVIDERS}/{id}/test")).await.ok()["test_results"].clone();
    assert_eq!(saml_test().await["connection"], "success");
    world.change(id, json!({"sso_url": "http://127.0.0.1:9/sso"})).await;
    let results = saml_test().await;
    assert!(results["errors"][0].as_str().unwrap().contains("cannot be reached"), "{results}");
    assert_eq!(world.server.audited("sso_provider.test", "success").await, 4);
    world.stop().await;
}

async fn metadata_tells_the_provider_what_to_enter(backend: Backend) {
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    let id = world.register(&world.acme, oidc("okta"), json!({})).await;
    let path = format!("/api/v1/sso/metadata?provider_id={id}");
    let data = owner.get(&path).await.ok();
    assert_eq!(data["format"], "json");
    assert!(data["generated_at"].is_string());
    let metadata: Value = serde_json::from_str(data["metadata"].as_str().unwrap()).unwrap();
    let base = world.server.url();
    let redirects = json!([
        format!("{base}/api/v1/sso/oidc/callback"),
        format!("{base}/api/v1/sso/oidc/callback/{}", world.acme.id)
    ]);
    assert_eq!(metadata["redirect_uris"], redirects);
    assert_eq!(metadata["response_types"], json!(["code"]));
    owner.get(&format!("{path}&format=xml")).await.invalid("format");
    owner.get(&format!("{path}&format=yaml")).await.invalid("format");
    owner.get("/api/v1/sso/metadata").await.invalid("provider_id");
    owner.get("/api/v1/sso/metadata?provider_id=4711").await.error(404, "PROVIDER_NOT_FOUND");
    let id = world.register(&world.acme, saml("adfs"), json!({})).await;
    let data = owner.get(&format!("/api/v1/sso/metadata?provider_id={id}&format=json")).await.ok();
    assert!(data["metadata"].as_str().unwrap().contains(&format!("/api/v1/sso/saml/acs/{id}")));
    world.stop().await;
}

async fn the_assistant_knows_each_vendor(backend: Backend) {
    let world = World::start(backend).await;
    let owner = &world.acme.owner.client;
    for (vendor, kind) in [
        ("okta", "oidc"),
        ("entra", "oidc"),
        ("google", "oidc"),
        ("keycloak", "oidc"),
        ("generic-oidc", "oidc"),
        ("generic-saml", "saml"),
    ] {
        let data = owner.get(&format!("/api/v1/sso/setup/{vendor}")).await.ok();
        assert_eq!((&data["vendor"], &data["provider_type"]), (&json!(vendor), &json!(kind)));
        let steps = data["steps"].as_array().unwrap();
        assert!(steps.len() >= 6, "{vendor}");
        // They are for people, of whom most never call an operation.
        let of_programs = steps.iter().find(|step| step.as_str().unwrap().contains("/api/"));
        assert_eq!(of_programs, None, "{vendor}");
        // What it says to send is what the operation takes, with the vendor's own values in it.
        let mut body = data["provider"].clone();
        let over = json!({"name": vendor, "issuer": format!("https://{vendor}.example"), "client_id": "id"});
        let saml_values = json!({"name": vendor, "metadata_url": null, "entity_id": "https://idp.example/metadata",
            "sso_url": "https://idp.example", "certificate": ONE});
        let over = if kind == "oidc" { over } else { saml_values };
        body.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        owner.post(PROVIDERS, body).await.created();
    }
    let entra = owner.get("/api/v1/sso/setup/entra").await.ok();
    assert_eq!(entra["provider"]["attribute_mapping"]["email_verified"], "xms_edov");
    owner.get("/api/v1/sso/setup/nobody").await.error(404, "NOT_FOUND");
    world.stop().await;
}

async fn another_issuer_knows_nobody_of_before(backend: Backend) {
    let world = World::start(backend).await;
    let (one, other) = (Crooked::start().await, Crooked::start().await);
    let provider = world.register(&world.acme, one.registration("One"), json!({})).await;
    one.says().claims = json!({"sub": "1", "email": "viewer@acme.example"});
    world.enter(world.lied(provider, &one).await).await;
    world.change(provider, json!({"issuer": other.issuer})).await;
    // The same subject is somebody else there.
    other.says().claims = json!({"sub": "1", "email": "developer@acme.example"});
    let data = world.enter(world.lied(provider, &other).await).await;
    assert_eq!(data["user"]["id"], world.acme.developer.id);
    world.stop().await;
}

async fn what_names_people_otherwise_knows_nobody_of_before(backend: Backend) {
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, saml("adfs"), json!({})).await;
    let insert = format!(
        "INSERT INTO sso_identities (organization_id, provider_id, subject, user_id, attributes, groups, created_at) \
         VALUES ({}, {provider}, '1001', {}, '{{}}', '[]', CURRENT_TIMESTAMP)",
        world.acme.id, world.acme.viewer.id
    );
    world.server.execute(&insert).await;
    let known = format!("SELECT count(*) FROM sso_identities WHERE provider_id = {provider}");
    world.change(provider, json!({"attribute_mapping": {"email": "mail"}})).await;
    assert_eq!(world.server.count(&known).await, 1);
    // The number of an employee is not the NameID that somebody else had.
    let numbers = json!({"email": "mail", "subject": "employeeNumber"});
    world.change(provider, json!({"attribute_mapping": numbers})).await;
    assert_eq!(world.server.count(&known).await, 0);
    world.server.execute(&insert).await;
    world.change(provider, json!({"attribute_mapping": {"subject": "employeeNumber"}})).await;
    assert_eq!(world.server.count(&known).await, 1);
    world.change(provider, json!({"attribute_mapping": {}})).await;
    assert_eq!(world.server.count(&known).await, 0);
    world.stop().await;
}

async fn there_is_a_bound_to_providers(backend: Backend) {
    let world = World::start(backend).await;
    for number in 0..20 {
        world.register(&world.acme, oidc(&format!("p{number}")), json!({})).await;
    }
    world.acme.owner.client.post(PROVIDERS, oidc("more")).await.error(409, "CONFLICT");
    world.stop().await;
}
