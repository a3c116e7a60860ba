//! `rivergen people` and `rivergen keys`, beside a server that runs on the same database.

use std::{io::Write, path::Path, process::Stdio};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rivergen_tests::{Answer, AuthenticatorApp, Binary, Client, PASSWORD, eventually};
use serde_json::{Value, json};

use crate::cli::{failed, succeeded};

const ADA: &str = "ada@acme.example";

#[track_caller]
fn said(folder: &Path, arguments: &[&str]) -> String {
    succeeded(Binary::run(folder, arguments))
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    failed(Binary::run(folder, arguments))
}

/// As `rivergen people create-owner` does it with a password.
fn create_ada(folder: &Path) {
    let arguments = ["people", "create-owner", "Ada@Acme.example", "--organization", "Acme", "--password-stdin"];
    let mut command = Binary::command(folder, &arguments);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(running.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let text = succeeded(running.wait_with_output().unwrap());
    assert!(text.contains("ada@acme.example is an owner of Acme") && !text.contains("token="), "{text}");
}

async fn serving(folder: &Path) -> (Binary, Client) {
    let url = Binary::configure(folder);
    create_ada(folder);
    (Binary::serve(folder, &url).await, Client::new(url))
}

async fn sign_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/api/v1/auth/login", json!({"email": email, "password": password})).await
}

async fn signed_in(client: &Client) -> Client {
    let data = sign_in(client, ADA, PASSWORD).await.ok();
    client.with_token(data["access_token"].as_str().expect("a token"))
}

/// Another process's change is heard of within a second or two.
async fn is_signed_out(client: &Client) {
    eventually("the session to end", async || {
        let answer = client.get("/api/v1/auth/me").await;
        (answer.status == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_created_and_sets_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_server, client) = serving(folder).await;
    let ada = signed_in(&client).await;
    let me = ada.get("/api/v1/auth/me").await.ok();
    assert_eq!(
        (me["organizations"][0]["name"].as_str(), me["emails"][0]["verified"].as_bool()),
        (Some("Acme"), Some(true))
    );
    let again = said(folder, &["people", "create-owner", ADA, "--organization", "Acme"]);
    assert!(again.contains("already") && !again.contains("token="), "{again}");

    let made = said(folder, &["people", "create-owner", "grace@acme.example", "--organization", "Acme"]);
    let token = made.trim().split_once("/reset-password?token=").expect("a link").1;
    let body = json!({"token": token, "new_password": "Correct2horse"});
    client.post("/api/v1/auth/reset-password", body.clone()).await.ok();
    sign_in(&client, "grace@acme.example", "Correct2horse").await.ok();
    client.post("/api/v1/auth/reset-password", body).await.error(400, "INVALID_TOKEN");
    let link = said(folder, &["people", "password-link", "grace@acme.example"]);
    assert!(link.contains("/reset-password?token=") && !link.contains(token), "{link}");

    assert!(refused(folder, &["people", "create-owner", "nobody", "--organization", "Acme"]).contains("email"));
    assert!(
        refused(folder, &["people", "password-link", "nobody@acme.example"])
            .contains("Nobody has the address nobody@acme.example")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_factors_are_reset() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_server, client) = serving(folder).await;
    let ada = signed_in(&client).await;
    let setup = ada.post("/api/v1/mfa/totp/setup", json!({"device_name": "phone"})).await.ok();
    let code = AuthenticatorApp::of_secret(setup["secret"].as_str().unwrap()).code_of_now();
    ada.post("/api/v1/mfa/totp/verify", json!({"code": code})).await.ok();
    assert_eq!(sign_in(&client, ADA, PASSWORD).await.ok()["mfa_required"], true);
    let text = said(folder, &["people", "reset-mfa", ADA]);
    assert!(text.contains("had 1 second factors"), "{text}");
    let status = signed_in(&client).await.get("/api/v1/mfa/status").await.ok();
    assert_eq!(status["mfa_enabled"], false, "{status}");
    let verified = said(folder, &["audit", "verify"]);
    assert!(verified.contains("none was changed"), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_ended_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_server, client) = serving(folder).await;
    let (one, other) = (signed_in(&client).await, signed_in(&client).await);
    for client in [&one, &other] {
        client.get("/api/v1/auth/me").await.ok();
    }
    let text = said(folder, &["people", "end-sessions", ADA]);
    assert!(text.contains("2 sessions"), "{text}");
    is_signed_out(&one).await;
    is_signed_out(&other).await;
    let third = signed_in(&client).await;
    third.get("/api/v1/auth/me").await.ok();
    let text = said(folder, &["people", "end-sessions", "--everybody"]);
    assert!(text.contains("1 sessions"), "{text}");
    is_signed_out(&third).await;
    // Somebody must be named.
    refused(folder, &["people", "end-sessions"]);
    refused(folder, &["people", "end-sessions", ADA, "--everybody"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_keys_are_rotated_and_published() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_server, client) = serving(folder).await;
    let kid = |client: &Client| -> String {
        let header = client.token().split('.').next().unwrap();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    let before = signed_in(&client).await;
    let text = said(folder, &["keys", "rotate"]);
    let rotated = eventually("the new key to sign", async || {
        let after = signed_in(&client).await;
        (kid(&after) != kid(&before)).then_some(after)
    })
    .await;
    assert!(text.contains(&kid(&rotated)), "{text}");
    // The former key verifies until its tokens have expired.
    before.get("/api/v1/auth/me").await.ok();
    rotated.get("/api/v1/auth/me").await.ok();
    let published = client.get("/.well-known/jwks.json").await;
    assert_eq!(published.headers["content-type"], "application/jwk-set+json");
    let keys = published.body["keys"].as_array().unwrap();
    let published: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(published.len(), 2, "{keys:?}");
    assert!(published.contains(&kid(&before).as_str()) && published.contains(&kid(&rotated).as_str()), "{keys:?}");
    assert!(keys.iter().all(|key| key.get("d").is_none() && key["use"] == "sig"), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quota_of_an_organization_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_server, client) = serving(folder).await;
    let ada = signed_in(&client).await;
    let limit = async || ada.get("/api/v1/storage/quota").await.ok()["limit_bytes"].clone();
    said(folder, &["organizations", "quota", "Acme", "--bytes", "1000"]);
    assert_eq!(limit().await, 1000);
    ada.upload("a.csv", vec![b'x'; 1001]).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    said(folder, &["organizations", "quota", "acme", "--default"]);
    assert_eq!(limit().await, 10_737_418_240_i64);
    refused(folder, &["organizations", "quota", "Nobody", "--bytes", "1000"]);
    refused(folder, &["organizations", "quota", "Acme", "--bytes", "-1"]);
    refused(folder, &["organizations", "quota", "Acme"]);
}
