//! `POST|GET /api/v1/storage/shares`, `DELETE /api/v1/storage/shares/{share_id}`, and what they open

use std::sync::Arc;

use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use rivergen_kernel::{
    BuiltInRole, Caller, Credential, DataSourceId, ErrorCode, Federation, OrganizationId, Proofs, RoleId, SessionId,
    UserId, WorkspaceId, caller::Membership,
};
use rivergen_platform::http::RequestOrigin;
use rivergen_storage::link::{Ground, LinkRequest};
use rivergen_tests::{Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    members_of_the_workspace_read_the_folder;
    only_the_folder_is_shared;
    a_share_is_taken_back;
    who_is_removed_from_the_workspace_reads_nothing_of_it;
    what_cannot_be_shared;
    a_governed_file_is_read_by_those_who_see_all_of_it;
    the_file_of_a_deleted_source_is_governed_until_the_purge;
    a_link_to_a_governed_file_dies_when_a_policy_comes;
    a_source_gives_a_link_to_those_who_see_all_of_it;
    who_takes_files_over_takes_the_shares_over;
    of_two_at_once_one_is_the_last_that_there_is_room_for;
}

const PATH: &str = "/api/v1/storage/shares";

async fn upload_to(person: &Person, folder: &str, name: &str, bytes: &[u8]) -> String {
    let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let form = Form::new().text("path", folder.to_owned()).part("file", part);
    let request = person.client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
    person.client.send(request).await.created()["file_path"].as_str().unwrap().to_owned()
}

async fn share(person: &Person, folder: Option<&str>, workspace: i64) -> Value {
    let mut body = json!({"workspace_id": workspace});
    if let Some(folder) = folder {
        body["folder"] = folder.into();
    }
    person.client.post(PATH, body).await.created()
}

fn object(name: &str) -> String {
    format!("/api/v1/storage/objects/{name}")
}

async fn members_of_the_workspace_read_the_folder(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = upload_to(&acme.developer, "reports", "a.csv", b"a\n").await;
    acme.viewer.client.get(&object(&name)).await.error(403, "FORBIDDEN");
    let shared = share(&acme.developer, Some("reports"), acme.workspace_id).await;
    assert_eq!(shared["prefix"], format!("organizations/{}/files/{}/reports/", acme.id, acme.developer.id));
    assert_eq!(server.audited("folder.share", "success").await, 1);

    let answer = acme.viewer.client.get(&object(&name)).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!("a\n")));
    acme.viewer.client.get(&format!("{}/metadata", object(&name))).await.ok();
    acme.viewer.client.get(&format!("{}/presigned-url", object(&name))).await.ok();
    let listed = acme.viewer.client.get("/api/v1/storage/files?scope=shared").await.ok();
    assert_eq!((&listed["pagination"]["total_count"], &listed["items"][0]["object_name"]), (&json!(1), &json!(name)));
    assert_eq!(acme.viewer.client.get("/api/v1/storage/files").await.ok()["pagination"]["total_count"], 0);
    assert_eq!(acme.viewer.client.get(PATH).await.ok()["items"][0]["share_id"], shared["share_id"]);
    // Its owner has it among their own.
    assert_eq!(
        acme.developer.client.get("/api/v1/storage/files?scope=shared").await.ok()["pagination"]["total_count"],
        0
    );

    // They delete nothing, and another workspace and another organization see nothing.
    acme.viewer.client.delete(&object(&name)).await.error(403, "FORBIDDEN");
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    let elsewhere = acme.viewer.stand_in(lab).await;
    elsewhere.client.get(&object(&name)).await.error(403, "FORBIDDEN");
    elsewhere.client.delete(&object(&name)).await.error(403, "FORBIDDEN");
    assert_eq!(elsewhere.client.get("/api/v1/storage/files?scope=shared").await.ok()["pagination"]["total_count"], 0);
    server.organization("Globex").await.owner.client.get(&object(&name)).await.error(404, "NOT_FOUND");
}

async fn only_the_folder_is_shared(server: &Server) {
    let acme = server.organization("Acme").await;
    share(&acme.developer, Some("re_orts"), acme.workspace_id).await;
    let inside = upload_to(&acme.developer, "re_orts/2026", "a.csv", b"a\n").await;
    // Not that folder, though the sign means any in a pattern, and it begins like it.
    let like = upload_to(&acme.developer, "reports", "b.csv", b"b\n").await;
    let longer = upload_to(&acme.developer, "re_orts2", "c.csv", b"c\n").await;
    let top = acme.developer.upload("d.csv", b"d\n".to_vec()).await;
    assert_eq!(acme.viewer.client.get(&object(&inside)).await.status, StatusCode::OK);
    for name in [like, longer, top] {
        acme.viewer.client.get(&object(&name)).await.error(403, "FORBIDDEN");
    }
    let listed = acme.viewer.client.get("/api/v1/storage/files?scope=shared").await.ok();
    assert_eq!((&listed["pagination"]["total_count"], &listed["items"][0]["object_name"]), (&json!(1), &json!(inside)));
}

async fn a_share_is_taken_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let shared = share(&acme.developer, None, acme.workspace_id).await;
    let link = acme.viewer.client.get(&format!("{}/presigned-url", object(&name))).await.ok();
    let link = link["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    assert_eq!(server.anonymous().get(&link).await.status, StatusCode::OK);
    let path = format!("{PATH}/{}", shared["share_id"]);
    acme.viewer.client.delete(&path).await.error(403, "FORBIDDEN");
    server.organization("Globex").await.owner.client.delete(&path).await.error(404, "NOT_FOUND");
    acme.developer.client.delete(&path).await.no_content();
    acme.developer.client.delete(&path).await.error(404, "NOT_FOUND");
    acme.viewer.client.get(&object(&name)).await.error(403, "FORBIDDEN");
    // What somebody else made of it is dead with it.
    server.anonymous().get(&link).await.error(410, "LINK_EXPIRED");
    assert_eq!(server.audited("folder.unshare", "success").await, 1);
    server.anonymous().delete(&path).await.error(401, "UNAUTHORIZED");
}

async fn who_is_removed_from_the_workspace_reads_nothing_of_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.developer, "Viewer").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    let name = upload_to(&acme.developer, "reports", "a.csv", b"a\n").await;
    share(&acme.developer, Some("reports"), lab).await;
    let inside = acme.viewer.stand_in(lab).await.client;
    assert_eq!(inside.get(&object(&name)).await.status, StatusCode::OK);
    let link = inside.get(&format!("{}/presigned-url", object(&name))).await.ok();
    let link = link["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    assert_eq!(server.anonymous().get(&link).await.status, StatusCode::OK);

    let member = format!("/api/v1/organizations/{}/workspaces/{lab}/members/{}", acme.id, acme.viewer.id);
    acme.owner.client.delete(&member).await.ok();
    // Their session stood there; now it stands in the default workspace.
    inside.get(&object(&name)).await.error(403, "FORBIDDEN");
    inside.get(&format!("{}/presigned-url", object(&name))).await.error(403, "FORBIDDEN");
    let listed = inside.get("/api/v1/storage/files?scope=shared").await.ok();
    assert_eq!(listed["pagination"]["total_count"], 0);
    assert_eq!(inside.get(PATH).await.ok()["pagination"]["total_items"], 0);
    server.anonymous().get(&link).await.error(410, "LINK_EXPIRED");

    acme.let_in(lab, &acme.viewer, "Developer").await;
    assert_eq!(inside.get(&object(&name)).await.status, StatusCode::OK);
    assert_eq!(server.anonymous().get(&link).await.status, StatusCode::OK);
}

async fn what_cannot_be_shared(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let developer = &acme.developer.client;
    for folder in ["..", "../x", "a//b", "", "a b"] {
        developer.post(PATH, json!({"folder": folder, "workspace_id": acme.workspace_id})).await.invalid("folder");
    }
    developer.post(PATH, json!({"workspace_id": globex.workspace_id})).await.error(404, "WORKSPACE_NOT_FOUND");
    developer.post(PATH, json!({})).await.invalid("workspace_id");
    acme.viewer.client.post(PATH, json!({"workspace_id": acme.workspace_id})).await.error(403, "FORBIDDEN");
    server.anonymous().post(PATH, json!({"workspace_id": acme.workspace_id})).await.error(401, "UNAUTHORIZED");
    share(&acme.developer, Some("a"), acme.workspace_id).await;
    developer.post(PATH, json!({"folder": "/a/", "workspace_id": acme.workspace_id})).await.error(409, "CONFLICT");
}

/// A file is what a data source reads, with a policy that keeps rows from Developers.
async fn a_governed_file_is_read_by_those_who_see_all_of_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    share(&acme.admin, None, acme.workspace_id).await;
    let listed = acme.admin.client.get("/api/v1/storage/files").await.ok();
    let file_of = |source: i64| {
        let item = listed["items"].as_array().unwrap().iter().find(|item| item["data_source_id"] == source);
        item.unwrap()["object_name"].as_str().unwrap().to_owned()
    };
    let (orders, crm, products) = (file_of(shop.orders), file_of(shop.crm), file_of(shop.products));
    for name in [&orders, &crm] {
        for person in [&acme.developer, &acme.viewer] {
            person.client.get(&object(name)).await.error(403, "POLICY_DENIED");
            person.client.get(&format!("{}/presigned-url", object(name))).await.error(403, "POLICY_DENIED");
            // That it is there and how large is no secret.
            person.client.get(&format!("{}/metadata", object(name))).await.ok();
        }
        // No policy is over the Owner, and the file is the Admin's.
        assert_eq!(acme.owner.client.get(&object(name)).await.status, StatusCode::OK);
        assert_eq!(acme.admin.client.get(&object(name)).await.status, StatusCode::OK);
        acme.owner.client.get(&format!("{}/presigned-url", object(name))).await.ok();
    }
    // Nobody is kept from anything of it.
    assert_eq!(acme.viewer.client.get(&object(&products)).await.status, StatusCode::OK);
    assert_eq!(server.audited("file.download", "success").await, 5);
}

async fn the_file_of_a_deleted_source_is_governed_until_the_purge(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    share(&acme.admin, None, acme.workspace_id).await;
    let listed = acme.admin.client.get("/api/v1/storage/files").await.ok();
    let orders = listed["items"].as_array().unwrap().iter().find(|item| item["data_source_id"] == shop.orders);
    let name = orders.unwrap()["object_name"].as_str().unwrap().to_owned();
    let source = format!("/api/v1/data-sources/{}", shop.orders);
    acme.admin.client.delete(&source).await.ok();
    for person in [&acme.developer, &acme.viewer] {
        person.client.get(&object(&name)).await.error(403, "POLICY_DENIED");
        person.client.get(&format!("{}/presigned-url", object(&name))).await.error(403, "POLICY_DENIED");
    }
    assert_eq!(acme.owner.client.get(&object(&name)).await.status, StatusCode::OK);
    // For good, by the hand of somebody who sees all of it.
    acme.admin.client.delete(&format!("{source}?force=true")).await.ok();
    assert_eq!(acme.viewer.client.get(&object(&name)).await.status, StatusCode::OK);
}

async fn a_link_to_a_governed_file_dies_when_a_policy_comes(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    share(&acme.admin, None, acme.workspace_id).await;
    let listed = acme.admin.client.get("/api/v1/storage/files").await.ok();
    let crm = listed["items"].as_array().unwrap().iter().find(|item| item["data_source_id"] == shop.crm).unwrap();
    let path = format!("{}/presigned-url", object(crm["object_name"].as_str().unwrap()));
    let link_of = |made: Value| made["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    let (viewers, admins) =
        (link_of(acme.viewer.client.get(&path).await.ok()), link_of(acme.admin.client.get(&path).await.ok()));
    assert_eq!(server.anonymous().get(&viewers).await.status, StatusCode::OK);
    acme.govern(&shop).await;
    server.anonymous().get(&viewers).await.error(410, "LINK_EXPIRED");
    // The owner's is as good as the owner.
    assert_eq!(server.anonymous().get(&admins).await.status, StatusCode::OK);
}

async fn who_takes_files_over_takes_the_shares_over(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    share(&acme.developer, None, acme.workspace_id).await;
    let removal =
        format!("/api/v1/organizations/{}/members/{}?transfer_to={}", acme.id, acme.developer.id, acme.admin.id);
    let removed = acme.owner.client.delete(&removal).await;
    assert!(removed.status.is_success(), "{removed:?}");
    assert_eq!(acme.admin.client.get(&object(&name)).await.status, StatusCode::OK);
    assert_eq!(acme.viewer.client.get(&object(&name)).await.status, StatusCode::OK);
    assert_eq!(acme.admin.client.get(PATH).await.ok()["items"][0]["owner_user_id"], acme.admin.id);
}

/// What the room above makes of it: a member who may read data sources has the file through one, in no other way.
async fn a_source_gives_a_link_to_those_who_see_all_of_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let listed = acme.admin.client.get("/api/v1/storage/files").await.ok();
    let file_of = |source: i64| {
        let item = listed["items"].as_array().unwrap().iter().find(|item| item["data_source_id"] == source);
        item.unwrap()["object_name"].as_str().unwrap().to_owned()
    };
    let (crm, products) = (file_of(shop.crm), file_of(shop.products));
    let viewer = caller(&acme, &acme.viewer);
    let origin = RequestOrigin { ip: None, user_agent: None };
    let link = async |path: &str, source: i64| {
        let ground = Ground::DataSource(DataSourceId(source));
        server.storage.link(&viewer, &origin, LinkRequest { path, ground, expires_seconds: Some(60) }).await
    };
    let of_crm = link(&crm, shop.crm).await.unwrap();
    let path = of_crm.url.strip_prefix(server.url()).unwrap().to_owned();
    assert_eq!((of_crm.expires_in_seconds, server.anonymous().get(&path).await.status), (60, StatusCode::OK));
    // Through a source that does not read it, or as a file of one's own, there is none.
    assert_eq!(link(&crm, shop.products).await.err().unwrap().code, ErrorCode::NotFound);
    let own = LinkRequest { path: &crm, ground: Ground::Folder, expires_seconds: None };
    assert_eq!(server.storage.link(&viewer, &origin, own).await.err().unwrap().code, ErrorCode::Forbidden);
    acme.govern(&shop).await;
    assert_eq!(link(&crm, shop.crm).await.err().unwrap().code, ErrorCode::PolicyDenied);
    server.anonymous().get(&path).await.error(410, "LINK_EXPIRED");
    link(&products, shop.products).await.unwrap();
}

/// The Viewer as the server knows them.
fn caller(acme: &Organization, person: &Person) -> Caller {
    let membership = Membership {
        organization_id: OrganizationId(acme.id),
        workspace_id: Some(WorkspaceId(acme.workspace_id)),
        role_ids: vec![RoleId(acme.roles["Viewer"])],
        role_names: vec!["Viewer".to_owned()],
        roles_elsewhere: Vec::new(),
        permissions: BuiltInRole::Viewer.permissions(),
        organization_permissions: BuiltInRole::Viewer.permissions(),
        attributes: [("region".to_owned(), json!("US"))].into(),
        valid_until: None,
        policies: None,
    };
    Caller {
        user_id: UserId(person.id),
        credential: Credential::Session(SessionId(1)),
        email: person.email.as_str().into(),
        email_verified: true,
        authenticated_at: chrono::Utc::now(),
        membership: Some(Arc::new(membership)),
        proofs: Proofs {
            second_factor: false,
            passkey: false,
            trusted_device: false,
            ip: None,
            federation: Federation::No,
        },
        closed: None,
    }
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let acme = server.organization("Acme").await;
    share(&acme.developer, Some("first"), acme.workspace_id).await;
    server
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 198) \
             INSERT INTO storage_shares (organization_id, workspace_id, owner_user_id, prefix, created_at) \
             SELECT organization_id, workspace_id, owner_user_id, prefix || i || '/', created_at FROM storage_shares, n",
        )
        .await;
    let developer = &acme.developer.client;
    let body = |n: usize| json!({"folder": format!("last{n}"), "workspace_id": acme.workspace_id});
    let (made, refused) = server.two_at_once(&acme.held(), |n| developer.post(PATH, body(n))).await;
    made.created();
    refused.error(409, "CONFLICT");
    assert_eq!(server.count("SELECT count(*) FROM storage_shares").await, 200);
}
