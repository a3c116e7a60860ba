//! `GET …/objects/{object_name}/presigned-url`, `GET …/download/{token}`, `GET …/links`, `DELETE …/links/{link_id}`

use chrono::Duration;
use reqwest::{Method, StatusCode};
use rivergen_tests::{Answer, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    whoever_has_the_link_downloads_the_file;
    a_link_ends_in_time;
    the_organization_and_the_server_bound_its_life with "[storage]\nmax_link_seconds = 7200";
    a_bound_that_is_lowered_holds_for_the_links_that_there_are;
    a_link_is_listed_and_revoked;
    a_link_dies_with_the_file;
    a_link_dies_with_its_makers_membership;
    a_link_dies_with_the_organization;
    a_link_holds_to_the_organizations_networks;
    what_is_not_a_link;
    parts_and_conditions;
}

async fn link(person: &Person, name: &str) -> Value {
    person.client.get(&format!("/api/v1/storage/objects/{name}/presigned-url")).await.ok()
}

/// Follows a link without any token.
async fn follow(server: &Server, link: &Value) -> Answer {
    let url = link["url"].as_str().unwrap();
    server.anonymous().get(url.strip_prefix(server.url()).expect("a link to this server")).await
}

async fn whoever_has_the_link_downloads_the_file(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a,b\n1,2\n".to_vec()).await;
    let made = link(&acme.developer, &name).await;
    assert_eq!(made["expires_in_seconds"], 3600);
    let answer = follow(server, &made).await;
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &json!("a,b\n1,2\n")));
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(
        (server.audited("file.link", "success").await, server.audited("file.download", "success").await),
        (1, 1)
    );
    // The database knows its hash alone, and so does the log.
    let token = made["url"].as_str().unwrap().rsplit('/').next().unwrap();
    let rows = server.rows("SELECT details FROM audit_log").await;
    assert!(!format!("{rows:?}").contains(token));
    server.anonymous().get(&format!("/api/v1/storage/objects/{name}/presigned-url")).await.error(401, "UNAUTHORIZED");
    for expires in ["0", "604801", "-1", "x"] {
        let path = format!("/api/v1/storage/objects/{name}/presigned-url?expires_seconds={expires}");
        acme.developer.client.get(&path).await.invalid("expires_seconds");
    }
}

async fn a_link_ends_in_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let path = format!("/api/v1/storage/objects/{name}/presigned-url?expires_seconds=60");
    let made = acme.developer.client.get(&path).await.ok();
    assert_eq!(follow(server, &made).await.status, StatusCode::OK);
    server.clock().advance(Duration::seconds(61));
    follow(server, &made).await.error(410, "LINK_EXPIRED");
}

async fn the_organization_and_the_server_bound_its_life(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.owner.upload("a.csv", b"a\n".to_vec()).await;
    let path = format!("/api/v1/storage/objects/{name}/presigned-url?expires_seconds=604800");
    assert_eq!(acme.owner.client.get(&path).await.ok()["expires_in_seconds"], 7200);
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    let set = |minutes: Value| json!({"settings": {"max_file_link_minutes": minutes}});
    acme.owner.client.patch(&settings, set(json!(10))).await.ok();
    let made = acme.owner.client.get(&path).await.ok();
    assert_eq!(made["expires_in_seconds"], 600);
    server.clock().advance(Duration::seconds(601));
    follow(server, &made).await.error(410, "LINK_EXPIRED");
    acme.owner.client.patch(&settings, set(json!(0))).await.invalid("settings.max_file_link_minutes");
    acme.owner.client.patch(&settings, set(json!(null))).await.ok();
    assert_eq!(acme.owner.client.get(&path).await.ok()["expires_in_seconds"], 7200);
}

async fn a_bound_that_is_lowered_holds_for_the_links_that_there_are(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let path = format!("/api/v1/storage/objects/{name}/presigned-url?expires_seconds=604800");
    let made = acme.developer.client.get(&path).await.ok();
    server.clock().advance(Duration::seconds(601));
    assert_eq!(follow(server, &made).await.status, StatusCode::OK);
    let listed = async || acme.developer.client.get("/api/v1/storage/links").await.ok();
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    let set = |minutes: Value| json!({"settings": {"max_file_link_minutes": minutes}});
    acme.owner.client.patch(&settings, set(json!(10))).await.ok();
    follow(server, &made).await.error(410, "LINK_EXPIRED");
    assert_eq!(listed().await["pagination"]["total_items"], 0);
    // One that is not so old ends earlier than was said.
    acme.owner.client.patch(&settings, set(json!(20))).await.ok();
    assert_eq!(follow(server, &made).await.status, StatusCode::OK);
    assert!(listed().await["items"][0]["expires_at"].as_str() < made["expires_at"].as_str());
    acme.owner.client.patch(&settings, set(json!(null))).await.ok();
    assert_eq!(listed().await["items"][0]["expires_at"], made["expires_at"]);
}

async fn a_link_is_listed_and_revoked(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let (first, second) = (link(&acme.developer, &name).await, link(&acme.developer, &name).await);
    follow(server, &second).await;
    let listed = acme.developer.client.get("/api/v1/storage/links").await.ok();
    assert_eq!(listed["pagination"]["total_items"], 2);
    let newest = &listed["items"][0];
    assert_eq!(
        (&newest["link_id"], &newest["use_count"], &newest["object_name"]),
        (&second["link_id"], &json!(1), &json!(name))
    );
    assert!(!listed.to_string().contains("download/"), "a list hands no link out");
    let of_file = acme.developer.client.get(&format!("/api/v1/storage/links?object_name={name}")).await.ok();
    assert_eq!(of_file["pagination"]["total_items"], 2);

    let path = format!("/api/v1/storage/links/{}", second["link_id"]);
    acme.viewer.client.delete(&path).await.error(404, "NOT_FOUND");
    server.organization("Globex").await.owner.client.delete(&path).await.error(404, "NOT_FOUND");
    acme.developer.client.delete(&path).await.no_content();
    acme.developer.client.delete(&path).await.error(404, "NOT_FOUND");
    follow(server, &second).await.error(410, "LINK_EXPIRED");
    assert_eq!(follow(server, &first).await.status, StatusCode::OK);
    assert_eq!(server.audited("file.revoke_link", "success").await, 1);
    let listed = acme.developer.client.get("/api/v1/storage/links").await.ok();
    assert_eq!(listed["pagination"]["total_items"], 1);

    // Whoever manages the storage sees and revokes all.
    assert_eq!(acme.admin.client.get("/api/v1/storage/links").await.ok()["pagination"]["total_items"], 0);
    assert_eq!(acme.admin.client.get("/api/v1/storage/links?all=true").await.ok()["pagination"]["total_items"], 1);
    acme.viewer.client.get("/api/v1/storage/links?all=true").await.error(403, "FORBIDDEN");
    acme.admin.client.delete(&format!("/api/v1/storage/links/{}", first["link_id"])).await.no_content();
    follow(server, &first).await.error(410, "LINK_EXPIRED");
    server.anonymous().get("/api/v1/storage/links").await.error(401, "UNAUTHORIZED");
}

async fn a_link_dies_with_the_file(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let made = link(&acme.developer, &name).await;
    acme.developer.client.delete(&format!("/api/v1/storage/objects/{name}")).await.ok();
    follow(server, &made).await.error(410, "LINK_EXPIRED");
}

async fn a_link_dies_with_its_makers_membership(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let made = link(&acme.developer, &name).await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    acme.owner.client.patch(&member, json!({"status": "suspended"})).await.ok();
    follow(server, &made).await.error(410, "LINK_EXPIRED");
    acme.owner.client.patch(&member, json!({"status": "active"})).await.ok();
    assert_eq!(follow(server, &made).await.status, StatusCode::OK);
    // An account that the operator has closed.
    server.execute(&format!("UPDATE users SET disabled_at = created_at WHERE id = {}", acme.developer.id)).await;
    follow(server, &made).await.error(410, "LINK_EXPIRED");
    server.execute(&format!("UPDATE users SET disabled_at = NULL WHERE id = {}", acme.developer.id)).await;
    let removed = acme.owner.client.delete(&member).await;
    assert!(removed.status.is_success(), "{removed:?}");
    follow(server, &made).await.error(410, "LINK_EXPIRED");
}

async fn a_link_dies_with_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let made = link(&acme.developer, &name).await;
    let path = format!("/api/v1/organizations/{}", acme.id);
    let request = acme.owner.client.request(Method::DELETE, &path).json(&json!({"confirm_name": "Acme"}));
    let deleted = acme.owner.client.send(request).await;
    assert!(deleted.status.is_success(), "{deleted:?}");
    follow(server, &made).await.error(410, "LINK_EXPIRED");
}

async fn a_link_holds_to_the_organizations_networks(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let made = link(&acme.developer, &name).await;
    server.secure("Acme", json!({"allowed_networks": ["127.0.0.0/8"]})).await;
    assert_eq!(follow(server, &made).await.status, StatusCode::OK);
    server.secure("Acme", json!({"allowed_networks": ["192.0.2.0/24"]})).await;
    follow(server, &made).await.error(410, "LINK_EXPIRED");
}

async fn what_is_not_a_link(server: &Server) {
    for token in ["x", "q3Jw0000000000000000000000000000000000000000", "%00", "..%2f..%2fetc"] {
        server.anonymous().get(&format!("/api/v1/storage/download/{token}")).await.error(404, "NOT_FOUND");
    }
}

async fn parts_and_conditions(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.txt", b"0123456789".to_vec()).await;
    let made = link(&acme.developer, &name).await;
    let path = made["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    let client = server.anonymous();
    let answer = client.send(client.request(Method::GET, &path).header("range", "bytes=2-4")).await;
    assert_eq!((answer.status, answer.body), (StatusCode::PARTIAL_CONTENT, json!(234)));
    let etag = answer.headers["etag"].clone();
    let answer = client.send(client.request(Method::GET, &path).header("if-none-match", etag)).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    let answer = client.send(client.request(Method::HEAD, &path)).await;
    assert_eq!((answer.status, answer.number("content-length")), (StatusCode::OK, 10));
    let use_count = "SELECT use_count FROM storage_links";
    assert_eq!(server.count(use_count).await, 1);
}
