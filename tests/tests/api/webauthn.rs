//! `/api/v1/webauthn/…`: passkeys, with a software authenticator.

use chrono::Duration;
use futures::future::join_all;
use rivergen_tests::{Answer, Passkey, Person, Server, chromium, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_passkey_is_registered_and_opens;
    a_passkey_opens_without_an_address_and_past_the_second_factor;
    a_browser_registers_a_passkey_and_signs_in_with_it;
    registering_needs_a_fresh_proof;
    a_registration_belongs_to_its_person_and_name;
    a_passkey_is_registered_once;
    a_person_has_twenty_passkeys_at_most;
    an_empty_display_name_is_no_obstacle;
    wrong_origin_is_refused;
    wrong_rp_id_is_refused;
    a_replayed_challenge_is_refused;
    an_old_challenge_is_refused;
    counter_rollback_is_refused;
    missing_user_verification_is_refused;
    unknown_and_known_addresses_look_alike;
    anothers_passkey_opens_nothing;
    a_disabled_or_unverified_person_is_refused;
    passkeys_are_listed_and_deleted;
    of_two_deletions_at_once_one_passkey_stays;
    what_is_not_valid_is_named;
}

const REGISTER: &str = "/api/v1/webauthn/register";
const AUTHENTICATE: &str = "/api/v1/webauthn/authenticate";
const CREDENTIALS: &str = "/api/v1/webauthn/credentials";

async fn start(server: &Server, body: Value) -> Value {
    server.anonymous().post(&format!("{AUTHENTICATE}/start"), body).await.ok()
}

async fn complete(server: &Server, body: Value) -> Answer {
    server.anonymous().post(&format!("{AUTHENTICATE}/complete"), body).await
}

/// A whole sign-in with an address.
async fn sign_in(server: &Server, person: &Person, passkey: &Passkey) -> Answer {
    let options = start(server, json!({"email": person.email})).await;
    complete(server, json!({"email": person.email, "credential": passkey.get(&options)})).await
}

async fn a_passkey_is_registered_and_opens(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let options = viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "laptop"})).await.created();
    assert_eq!(options["rp"], json!({"name": "RiverGen", "id": "localhost"}));
    assert_eq!(options["user"]["name"], "viewer@acme.example");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "preferred");
    assert_eq!((options["timeout"].as_i64(), options["attestation"].as_str()), (Some(60_000), Some("none")));
    let algorithms: Vec<i64> =
        options["pubKeyCredParams"].as_array().unwrap().iter().map(|one| one["alg"].as_i64().unwrap()).collect();
    assert!(algorithms.contains(&-7) && algorithms.contains(&-257), "{algorithms:?}");

    let mut passkey = Passkey::new(server);
    let body = json!({"device_name": "laptop", "credential": passkey.create(&options)});
    let data = viewer.client.post(&format!("{REGISTER}/complete"), body).await.ok();
    assert!(data["credential_id"].is_i64() && data["created_at"].is_string(), "{data}");
    server.mailbox().titled(&viewer.email, "passkey was added").await;
    assert_eq!(server.audited("webauthn.register", "success").await, 1);

    let options = start(server, json!({"email": viewer.email})).await;
    assert_eq!(options["allowCredentials"][0]["id"], passkey.id());
    assert_eq!(options["allowCredentials"][0]["transports"], json!(["internal"]));
    assert_eq!((options["rpId"].as_str(), options["userVerification"].as_str()), (Some("localhost"), Some("required")));
    let body = json!({"email": viewer.email, "credential": passkey.get(&options)});
    let data = complete(server, body).await.ok();
    assert_eq!((data["user_id"].as_i64(), data["token_type"].as_str()), (Some(viewer.id), Some("bearer")));
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    client.get("/api/v1/auth/me").await.ok();
    let session = server.rows("SELECT amr FROM sessions ORDER BY id DESC LIMIT 1").await;
    assert_eq!(session[0]["amr"], "pop user mfa");
    // The next start of a registration names it.
    let again = viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "other"})).await.created();
    assert_eq!(again["excludeCredentials"][0]["id"], passkey.id());
}

async fn a_passkey_opens_without_an_address_and_past_the_second_factor(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let passkey = viewer.passkey(server).await;
    viewer.authenticator_app(server).await;
    let options = start(server, json!({})).await;
    assert_eq!(options["allowCredentials"], json!([]));
    let data = complete(server, json!({"credential": passkey.get(&options)})).await.ok();
    assert_eq!(data["email"], "viewer@acme.example");
    assert!(data["access_token"].is_string());
}

/// Chromium, with the authenticator that it simulates (CTAP2, resident keys, user verification).
async fn a_browser_registers_a_passkey_and_signs_in_with_it(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let origin = server.url().replace("127.0.0.1", "localhost");
    let arguments = [origin.as_str(), &viewer.email, viewer.client.token()];
    let Some(seen) = chromium::run("passkey-browser/run.mjs", &arguments).await else { return };
    assert_eq!(seen["registered"]["status"], 200, "{seen}");
    assert_eq!(seen["registeredAgain"], "InvalidStateError", "{seen}");
    for way in ["byAddress", "discovered", "conditional"] {
        let data = &seen[way]["data"];
        assert_eq!((seen[way]["status"].as_i64(), data["user_id"].as_i64()), (Some(200), Some(viewer.id)), "{seen}");
        let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
        client.get("/api/v1/auth/me").await.ok();
    }
    assert_eq!(seen["credentials"].as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!(seen["credentials"][0]["isResidentCredential"], true, "{seen}");
    let kept = server.rows("SELECT sign_count, usage_count FROM webauthn_credentials").await;
    assert_eq!((kept.len(), kept[0]["usage_count"].as_i64()), (1, Some(3)));
    assert_eq!(kept[0]["sign_count"], seen["credentials"][0]["signCount"], "{seen}");
}

async fn registering_needs_a_fresh_proof(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    server.clock().advance(Duration::minutes(11));
    let body = json!({"device_name": "laptop"});
    viewer.client.post(&format!("{REGISTER}/start"), body.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    server.anonymous().post(&format!("{REGISTER}/start"), body).await.error(401, "UNAUTHORIZED");
}

async fn a_registration_belongs_to_its_person_and_name(server: &Server) {
    let acme = server.organization("Acme").await;
    let begin = async || {
        let options = acme.viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "laptop"})).await;
        options.created()
    };
    let path = format!("{REGISTER}/complete");
    let options = begin().await;
    let body = json!({"device_name": "phone", "credential": Passkey::new(server).create(&options)});
    acme.viewer.client.post(&path, body).await.error(400, "REGISTRATION_COMPLETION_FAILED");
    assert_eq!(server.count("SELECT count(*) FROM webauthn_credentials").await, 0);
    // Nobody else uses the challenge up, neither to register with it nor to sign in.
    let options = begin().await;
    let body = json!({"device_name": "laptop", "credential": Passkey::new(server).create(&options)});
    acme.owner.client.post(&path, body.clone()).await.error(404, "CHALLENGE_NOT_FOUND");
    complete(server, json!({"credential": Passkey::new(server).get(&options)})).await.error(404, "CHALLENGE_NOT_FOUND");
    acme.viewer.client.post(&path, body.clone()).await.ok();
    acme.viewer.client.post(&path, body).await.error(404, "CHALLENGE_NOT_FOUND");
    // Nor does a registration use up what was given out for a sign-in.
    let passkey = acme.viewer.passkey(server).await;
    let options = start(server, json!({"email": acme.viewer.email})).await;
    let credential = passkey.get(&options);
    let body = json!({"device_name": "laptop", "credential": credential});
    acme.viewer.client.post(&path, body).await.error(404, "CHALLENGE_NOT_FOUND");
    complete(server, json!({"credential": credential})).await.ok();
}

async fn a_passkey_is_registered_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut passkey = acme.viewer.passkey(server).await;
    let options = acme.owner.client.post(&format!("{REGISTER}/start"), json!({"device_name": "x"})).await.created();
    let body = json!({"device_name": "x", "credential": passkey.create(&options)});
    let answer = acme.owner.client.post(&format!("{REGISTER}/complete"), body).await;
    answer.error(400, "REGISTRATION_COMPLETION_FAILED");
}

async fn a_person_has_twenty_passkeys_at_most(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    for _ in 0..18 {
        viewer.passkey(server).await;
    }
    // Begun while there was room for two more; of three that are finished at once two are kept.
    let (begin, path) = (format!("{REGISTER}/start"), format!("{REGISTER}/complete"));
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let options = viewer.client.post(&begin, json!({"device_name": "laptop"})).await.created();
        bodies.push(json!({"device_name": "laptop", "credential": Passkey::new(server).create(&options)}));
    }
    let answers = join_all(bodies.into_iter().map(|body| viewer.client.post(&path, body))).await;
    let (kept, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|one| one.status.is_success());
    assert_eq!((kept.len(), refused.len()), (2, 1), "{refused:?}");
    for answer in refused {
        let error = answer.error(400, "REGISTRATION_COMPLETION_FAILED");
        assert!(error["message"].as_str().unwrap().contains("remove one first"), "{error}");
    }
    assert_eq!(server.count("SELECT count(*) FROM webauthn_credentials").await, 20);
    let refused = viewer.client.post(&begin, json!({"device_name": "laptop"})).await;
    let error = refused.error(400, "REGISTRATION_START_FAILED");
    assert!(error["message"].as_str().unwrap().contains("remove one first"), "{error}");
    let listed = viewer.client.get(CREDENTIALS).await.ok();
    viewer.client.delete(&format!("{CREDENTIALS}/{}", listed["credentials"][0]["id"])).await.ok();
    viewer.passkey(server).await;
}

async fn an_empty_display_name_is_no_obstacle(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    server.execute(&format!("UPDATE users SET display_name = '' WHERE id = {}", viewer.id)).await;
    let options = viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "laptop"})).await.created();
    assert_eq!(options["user"]["displayName"].as_str(), Some(viewer.email.as_str()));
    let body = json!({"device_name": "laptop", "credential": Passkey::new(server).create(&options)});
    viewer.client.post(&format!("{REGISTER}/complete"), body).await.ok();
}

async fn wrong_origin_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let mut passkey = viewer.passkey(server).await;
    for origin in ["https://localhost.evil.example", "http://localhost:1", "http://evil.localhost"] {
        passkey.origin = origin.to_owned();
        sign_in(server, &viewer, &passkey).await.error(401, "INVALID_ASSERTION");
        let options = viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "x"})).await.created();
        let mut other = Passkey::new(server);
        other.origin = origin.to_owned();
        let body = json!({"device_name": "x", "credential": other.create(&options)});
        viewer.client.post(&format!("{REGISTER}/complete"), body).await.error(400, "INVALID_ATTESTATION");
    }
    assert_eq!(server.audited("auth.login", "failure").await, 3);
}

async fn wrong_rp_id_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let mut passkey = viewer.passkey(server).await;
    passkey.rp_id = "evil.example".to_owned();
    sign_in(server, &viewer, &passkey).await.error(401, "INVALID_ASSERTION");
}

async fn a_replayed_challenge_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let passkey = viewer.passkey(server).await;
    let options = start(server, json!({"email": viewer.email})).await;
    let body = json!({"email": viewer.email, "credential": passkey.get(&options)});
    complete(server, body.clone()).await.ok();
    complete(server, body).await.error(404, "CHALLENGE_NOT_FOUND");
    // A wrong answer uses it up as well.
    let options = start(server, json!({"email": viewer.email})).await;
    let mut liar = viewer.passkey(server).await;
    liar.verifies_user = false;
    complete(server, json!({"credential": liar.get(&options)})).await.error(401, "INVALID_ASSERTION");
    complete(server, json!({"credential": passkey.get(&options)})).await.error(404, "CHALLENGE_NOT_FOUND");
    // One that the server never gave.
    let forged = json!({"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
    complete(server, json!({"credential": passkey.get(&forged)})).await.error(404, "CHALLENGE_NOT_FOUND");
}

async fn an_old_challenge_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let passkey = viewer.passkey(server).await;
    let options = start(server, json!({"email": viewer.email})).await;
    server.clock().advance(Duration::minutes(5));
    complete(server, json!({"credential": passkey.get(&options)})).await.error(404, "CHALLENGE_NOT_FOUND");
}

async fn counter_rollback_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let mut passkey = viewer.passkey(server).await;
    passkey.counter = 7;
    sign_in(server, &viewer, &passkey).await.ok();
    for counter in [7, 6, 0] {
        passkey.counter = counter;
        sign_in(server, &viewer, &passkey).await.error(401, "INVALID_ASSERTION");
    }
    passkey.counter = 8;
    sign_in(server, &viewer, &passkey).await.ok();
    let told = "SELECT count(*) FROM audit_log WHERE outcome = 'failure' AND details LIKE '%passkey%'";
    assert_eq!(server.count(told).await, 3);
    let listed = viewer.client.get(CREDENTIALS).await.ok();
    assert_eq!(listed["credentials"][0]["usage_count"], 2);
}

async fn missing_user_verification_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let mut passkey = viewer.passkey(server).await;
    passkey.verifies_user = false;
    sign_in(server, &viewer, &passkey).await.error(401, "INVALID_ASSERTION");
    let options = start(server, json!({})).await;
    complete(server, json!({"credential": passkey.get(&options)})).await.error(401, "INVALID_ASSERTION");
    let options = viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "x"})).await.created();
    let mut other = Passkey::new(server);
    other.verifies_user = false;
    let body = json!({"device_name": "x", "credential": other.create(&options)});
    viewer.client.post(&format!("{REGISTER}/complete"), body).await.error(400, "INVALID_ATTESTATION");
}

async fn unknown_and_known_addresses_look_alike(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.passkey(server).await;
    // With a passkey, without one, without an account.
    let mut shapes = Vec::new();
    for email in [acme.viewer.email.as_str(), &acme.owner.email, "nobody@acme.example"] {
        let first = start(server, json!({"email": email})).await;
        let second = start(server, json!({"email": email})).await;
        assert_eq!(first["allowCredentials"].as_array().unwrap().len(), 1, "{email}");
        assert_eq!(first["allowCredentials"][0]["id"], second["allowCredentials"][0]["id"], "{email}");
        assert_ne!(first["challenge"], second["challenge"]);
        let length = |value: &Value| value.as_str().unwrap().len();
        shapes.push((length(&first["challenge"]), length(&first["allowCredentials"][0]["id"]), first["rpId"].clone()));
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[1], shapes[2]);
    let options = start(server, json!({"email": "nobody@acme.example"})).await;
    let stranger = Passkey::new(server);
    let body = json!({"email": "nobody@acme.example", "credential": stranger.get(&options)});
    complete(server, body).await.error(401, "INVALID_ASSERTION");
}

async fn anothers_passkey_opens_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let passkey = acme.viewer.passkey(server).await;
    acme.owner.passkey(server).await;
    sign_in(server, &acme.owner, &passkey).await.error(401, "INVALID_ASSERTION");
    let options = start(server, json!({})).await;
    let body = json!({"email": acme.owner.email, "credential": passkey.get(&options)});
    complete(server, body).await.error(401, "INVALID_ASSERTION");
    // Nor does one that the challenge of a registration was given to.
    let options = acme.viewer.client.post(&format!("{REGISTER}/start"), json!({"device_name": "x"})).await.created();
    complete(server, json!({"credential": passkey.get(&options)})).await.error(404, "CHALLENGE_NOT_FOUND");
}

async fn a_disabled_or_unverified_person_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let passkey = viewer.passkey(server).await;
    let reasons = async || {
        let sql = format!(
            "SELECT details FROM audit_log WHERE action = 'auth.login' AND outcome = 'failure' AND target_id = '{}' \
             ORDER BY id",
            viewer.id
        );
        let rows = server.rows(&sql).await;
        let details = rows.iter().map(|row| serde_json::from_str::<Value>(row["details"].as_str().unwrap()).unwrap());
        details.map(|details| details["reason"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    let disable = |value: &str| format!("UPDATE users SET disabled_at = {value} WHERE id = {}", viewer.id);
    server.execute(&disable("created_at")).await;
    sign_in(server, &viewer, &passkey).await.error(403, "USER_DISABLED");
    assert_eq!(reasons().await, ["disabled"]);
    server.execute(&disable("NULL")).await;
    server.execute(&format!("UPDATE user_emails SET verified_at = NULL WHERE user_id = {}", viewer.id)).await;
    sign_in(server, &viewer, &passkey).await.error(403, "EMAIL_NOT_VERIFIED");
    assert_eq!(reasons().await, ["disabled", "address not verified"]);
}

async fn passkeys_are_listed_and_deleted(server: &Server) {
    let acme = server.organization("Acme").await;
    let passkey = acme.viewer.passkey(server).await;
    let listed = acme.viewer.client.get(CREDENTIALS).await.ok();
    assert_eq!(listed["total_count"], 1);
    let row = &listed["credentials"][0];
    assert_eq!(
        (row["device_name"].as_str(), row["credential_id"].as_str()),
        (Some("laptop"), Some(passkey.id().as_str()))
    );
    assert!(row["last_used_at"].is_null());
    assert_eq!(acme.owner.client.get(CREDENTIALS).await.ok()["total_count"], 0);
    let path = format!("{CREDENTIALS}/{}", row["id"]);
    acme.owner.client.delete(&path).await.error(404, "CREDENTIAL_NOT_FOUND");
    // Not where it is the only way in.
    let sql = |set: &str| format!("UPDATE users SET password_hash = {set} WHERE id = {}", acme.viewer.id);
    let hash = server.rows("SELECT password_hash FROM users LIMIT 1").await;
    server.execute(&sql("NULL")).await;
    acme.viewer.client.delete(&path).await.error(409, "LAST_LOGIN_METHOD");
    server.execute(&sql(&format!("'{}'", hash[0]["password_hash"].as_str().unwrap()))).await;
    assert_eq!(acme.viewer.client.delete(&path).await.ok()["success"], true);
    acme.viewer.client.delete(&path).await.error(404, "CREDENTIAL_NOT_FOUND");
    sign_in(server, &acme.viewer, &passkey).await.error(401, "INVALID_ASSERTION");
    assert_eq!(server.audited("webauthn.delete", "success").await, 1);
    server.mailbox().titled(&acme.viewer.email, "passkey was deleted").await;
    acme.owner.passkey(server).await;
    server.clock().advance(Duration::minutes(11));
    acme.owner.client.delete(&format!("{CREDENTIALS}/1")).await.error(403, "REAUTHENTICATION_REQUIRED");
}

async fn of_two_deletions_at_once_one_passkey_stays(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.passkey(server).await;
    server.execute(&format!("UPDATE users SET password_hash = NULL WHERE id = {}", viewer.id)).await;
    for _ in 0..5 {
        viewer.passkey(server).await;
        let listed = viewer.client.get(CREDENTIALS).await.ok();
        let paths: Vec<String> = listed["credentials"]
            .as_array()
            .unwrap()
            .iter()
            .map(|credential| format!("{CREDENTIALS}/{}", credential["id"]))
            .collect();
        assert_eq!(paths.len(), 2);
        let answers = join_all(paths.iter().map(|path| viewer.client.delete(path))).await;
        let (deleted, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|one| one.status == 200);
        assert_eq!((deleted.len(), refused.len()), (1, 1), "{refused:?}");
        for answer in refused {
            answer.error(409, "LAST_LOGIN_METHOD");
        }
        assert_eq!(server.count("SELECT count(*) FROM webauthn_credentials").await, 1);
    }
}

async fn what_is_not_valid_is_named(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post(&format!("{REGISTER}/start"), json!({})).await.invalid("device_name");
    viewer.client.post(&format!("{REGISTER}/complete"), json!({"device_name": "x"})).await.invalid("credential");
    let body = json!({"device_name": "x", "credential": {"id": "x"}});
    viewer.client.post(&format!("{REGISTER}/complete"), body).await.error(404, "CHALLENGE_NOT_FOUND");
    server.anonymous().post(&format!("{AUTHENTICATE}/start"), json!({"email": "no address"})).await.invalid("email");
    complete(server, json!({})).await.invalid("credential");
    let options = start(server, json!({})).await;
    let mut credential = Passkey::new(server).get(&options);
    credential["response"].as_object_mut().unwrap().remove("signature");
    complete(server, json!({"credential": credential})).await.error(400, "AUTHENTICATION_COMPLETION_FAILED");
}
