//! `GET|DELETE /api/v1/storage/objects/{object_name}` and `GET …/metadata`

use std::io::{Seek, SeekFrom, Write};

use reqwest::{Method, StatusCode};
use rivergen_tests::{Answer, Client, Server, fixtures, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    metadata_of_ones_own;
    the_bytes_of_ones_own;
    a_part_of_it;
    what_the_caller_has_is_not_sent_again;
    nothing_that_runs_comes_as_what_it_is;
    others_folders_are_closed;
    an_escaped_name_is_the_same_name;
    a_deleted_file_gives_its_quota_back;
    a_file_that_a_source_reads_is_deleted_when_forced;
    files_of_people_who_left;
    a_damaged_file_is_said_to_be_damaged;
    a_large_file_comes_whole;
}

fn path(name: &str) -> String {
    format!("/api/v1/storage/objects/{name}")
}

async fn get_with(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request =
        headers.iter().fold(client.request(Method::GET, path), |request, (name, value)| request.header(*name, *value));
    client.send(request).await
}

async fn metadata_of_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("Größe.csv", b"a,b\n1,2\n".to_vec()).await;
    let data = acme.developer.client.get(&format!("{}/metadata", path(&name))).await.ok();
    assert_eq!((data["name"].as_str(), data["size"].as_i64()), (Some(name.as_str()), Some(8)));
    assert_eq!((&data["content_type"], &data["file_name"]), (&json!("text/csv"), &json!("Größe.csv")));
    assert!(data["last_modified"].is_string() && data["etag"].as_str().unwrap().starts_with('"'), "{data}");
    let missing = name.replace("Gr", "Xr");
    acme.developer.client.get(&format!("{}/metadata", path(&missing))).await.error(404, "NOT_FOUND");
    server.anonymous().get(&format!("{}/metadata", path(&name))).await.error(401, "UNAUTHORIZED");
}

async fn the_bytes_of_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a \"file\".csv", b"a,b\n1,2\n".to_vec()).await;
    let answer = acme.developer.client.get(&path(&name)).await;
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &json!("a,b\n1,2\n")));
    let header = |name: &str| answer.headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), "text/csv");
    assert_eq!(header("content-length"), "8");
    assert_eq!(header("accept-ranges"), "bytes");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"a _file_.csv\"; filename*=UTF-8''a%20%22file%22.csv"
    );
    assert!(header("content-security-policy").contains("sandbox"));
    let metadata = acme.developer.client.get(&format!("{}/metadata", path(&name))).await.ok();
    assert_eq!(header("etag"), metadata["etag"].as_str().unwrap());
    assert_eq!(server.audited("file.download", "success").await, 1);

    let request = acme.developer.client.request(Method::HEAD, &path(&name));
    let answer = acme.developer.client.send(request).await;
    assert_eq!((answer.status, answer.number("content-length")), (StatusCode::OK, 8));
    // Nothing went out.
    assert_eq!(server.audited("file.download", "success").await, 1);
    server.anonymous().get(&path(&name)).await.error(401, "UNAUTHORIZED");
}

async fn a_part_of_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let bytes: Vec<u8> = (0..200_000u32).map(|n| b'a' + (n % 23) as u8).collect();
    let name = acme.admin.upload("letters.txt", bytes.clone()).await;
    for (range, expected) in [
        ("bytes=0-9", 0..10),
        ("bytes=65530-65545", 65530..65546),
        ("bytes=199990-", 199_990..200_000),
        ("bytes=-5", 199_995..200_000),
    ] {
        let answer = get_with(client, &path(&name), &[("range", range)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(
            answer.headers["content-range"].to_str().unwrap(),
            format!("bytes {}-{}/200000", expected.start, expected.end - 1)
        );
        assert_eq!(answer.body.as_str().unwrap().as_bytes(), &bytes[expected]);
    }
    let answer = get_with(client, &path(&name), &[("range", "bytes=200000-")]).await;
    assert_eq!(answer.headers["content-range"], "bytes */200000");
    answer.error(416, "RANGE_NOT_SATISFIABLE");
    let answer = get_with(client, &path(&name), &[("range", "bytes=0-1,5-6")]).await;
    assert_eq!((answer.status, answer.number("content-length")), (StatusCode::OK, 200_000));
}

async fn what_the_caller_has_is_not_sent_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let name = acme.admin.upload("a.csv", b"a,b\n1,2\n".to_vec()).await;
    let etag = client.get(&path(&name)).await.headers["etag"].to_str().unwrap().to_owned();
    let answer = get_with(client, &path(&name), &[("if-none-match", &etag)]).await;
    assert_eq!(
        (answer.status, answer.body, answer.headers["etag"].to_str().unwrap()),
        (StatusCode::NOT_MODIFIED, Value::Null, etag.as_str())
    );
    let answer = get_with(client, &path(&name), &[("if-range", &etag), ("range", "bytes=0-0")]).await;
    assert_eq!((answer.status, answer.body), (StatusCode::PARTIAL_CONTENT, json!("a")));
    let answer = get_with(client, &path(&name), &[("if-range", "\"other\""), ("range", "bytes=0-0")]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

async fn nothing_that_runs_comes_as_what_it_is(server: &Server) {
    let acme = server.organization("Acme").await;
    let page = b"<!DOCTYPE html><script>alert(1)</script>".to_vec();
    let picture = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec();
    for (file_name, bytes) in [
        ("page.html", page.clone()),
        ("data.csv", page),
        ("picture.svg", picture),
        ("code.js", b"alert(1)".to_vec()),
        ("x.xml", b"<?xml version=\"1.0\"?><a/>".to_vec()),
    ] {
        let name = acme.admin.upload(file_name, bytes).await;
        let answer = acme.admin.client.get(&path(&name)).await;
        assert_eq!(answer.headers["content-type"], "application/octet-stream", "{file_name}");
        assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment;"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    // A name does not make a picture, and a profile picture is one.
    let name = acme.admin.upload("picture.png", b"not a picture".to_vec()).await;
    let data = acme.admin.client.get(&format!("{}/metadata", path(&name))).await.ok();
    assert_eq!(data["content_type"], "application/octet-stream");
    let part = reqwest::multipart::Part::bytes(b"not a picture".to_vec()).file_name("me.png");
    let form = reqwest::multipart::Form::new().text("file_category", "profile_image").part("file", part);
    let request = acme.admin.client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
    acme.admin.client.send(request).await.invalid("file");
}

async fn others_folders_are_closed(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let own = acme.developer.upload("a.csv", b"a\n".to_vec()).await;
    let colleagues = acme.owner.upload("b.csv", b"b\n".to_vec()).await;
    let foreign = globex.owner.upload("c.csv", b"c\n".to_vec()).await;
    let traversal = own.replace(
        &format!("/files/{}/", acme.developer.id),
        &format!("/files/{}/%2E%2E/{}/", acme.developer.id, acme.owner.id),
    );
    let escaped = own.replace(
        &format!("/files/{}/", acme.developer.id),
        &format!("/files/{}/..%2F{}/", acme.developer.id, acme.owner.id),
    );
    for tail in ["", "/metadata", "/presigned-url"] {
        let client = &acme.developer.client;
        client.get(&format!("{}{tail}", path(&colleagues))).await.error(403, "FORBIDDEN");
        // Whether there is such a file in a colleague's folder is not told.
        client.get(&format!("{}{tail}", path(&colleagues.replace("/b_", "/x_")))).await.error(403, "FORBIDDEN");
        client.get(&format!("{}{tail}", path(&foreign))).await.error(404, "NOT_FOUND");
        client.get(&format!("{}{tail}", path(&own.replace("/a_", "/x_")))).await.error(404, "NOT_FOUND");
        // The client resolves what it can see; what is escaped arrives.
        client.get(&format!("{}{tail}", path(&escaped))).await.error(403, "FORBIDDEN");
        let answer = client.get(&format!("{}{tail}", path(&traversal))).await;
        assert!([403, 404].contains(&answer.status.as_u16()), "{answer:?}");
        client.get(&format!("{}{tail}", path("etc/passwd"))).await.error(403, "FORBIDDEN");
        client.get(&format!("{}{tail}", path("a%00b"))).await.error(404, "NOT_FOUND");
    }
    acme.developer.client.delete(&path(&colleagues)).await.error(403, "FORBIDDEN");
    acme.developer.client.delete(&path(&foreign)).await.error(404, "NOT_FOUND");
    // An Admin is no member of the other organization either.
    acme.owner.client.delete(&path(&foreign)).await.error(404, "NOT_FOUND");
    assert_eq!(server.count("SELECT count(*) FROM storage_files WHERE state = 'stored'").await, 3);
}

async fn an_escaped_name_is_the_same_name(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.admin.upload("a.csv", b"a\n".to_vec()).await;
    let escaped = name.replace('/', "%2F");
    let data = acme.admin.client.get(&format!("{}/metadata", path(&escaped))).await.ok();
    assert_eq!(data["name"], name.as_str());
    acme.admin.client.delete(&path(&escaped)).await.ok();
}

async fn a_deleted_file_gives_its_quota_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let developer = &acme.developer.client;
    let name = acme.developer.upload("a.csv", vec![b'x'; 1000]).await;
    let stored = server.folder().join("files").join(&name);
    assert!(stored.exists());
    let data = developer.delete(&path(&name)).await.ok();
    assert_eq!(data, json!({"object_name": name}));
    assert!(!stored.exists());
    let usage = developer.get("/api/v1/storage/usage").await.ok();
    assert_eq!((&usage["used_bytes"], &usage["file_count"]), (&json!(0), &json!(0)));
    // The row stays, as a record.
    assert_eq!(server.count("SELECT count(*) FROM storage_files WHERE state = 'deleted'").await, 1);
    assert_eq!(server.audited("file.delete", "success").await, 1);
    developer.delete(&path(&name)).await.error(404, "NOT_FOUND");
    developer.get(&path(&name)).await.error(404, "NOT_FOUND");
    server.anonymous().delete(&path(&name)).await.error(401, "UNAUTHORIZED");
    let viewer = acme.viewer.client.delete(&path(&name)).await;
    viewer.error(403, "FORBIDDEN");
}

async fn a_file_that_a_source_reads_is_deleted_when_forced(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Products", "csv", "products.csv", fixtures::products_csv()).await;
    let listed = acme.admin.client.get("/api/v1/storage/files").await.ok();
    assert_eq!(listed["items"][0]["data_source_id"], source);
    let name = listed["items"][0]["object_name"].as_str().unwrap();
    acme.admin.client.delete(&path(name)).await.error(409, "CONFLICT");
    acme.admin.client.get(&path(name)).await;
    acme.admin.client.delete(&format!("{}?force=maybe", path(name))).await.invalid("force");
    acme.admin.query(source, "SELECT count(*) FROM products").await;
    acme.admin.client.delete(&format!("{}?force=true", path(name))).await.ok();
    let answer = acme.admin.query_with(source, json!({"query": "SELECT count(*) FROM products"})).await;
    assert!(!answer.status.is_success(), "{answer:?}");
}

async fn files_of_people_who_left(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = acme.developer.upload("a.csv", vec![b'x'; 500]).await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    let removed = acme.owner.client.delete(&member).await;
    assert!(removed.status.is_success(), "{removed:?}");
    let people = acme.admin.client.get("/api/v1/storage/usage/people").await.ok();
    assert_eq!(
        people["items"],
        json!([{"user_id": acme.developer.id, "is_member": false, "used_bytes": 500, "file_count": 1}])
    );
    let listed = acme
        .admin
        .client
        .get(&format!("/api/v1/storage/files?scope=all&uploaded_by_user_id={}", acme.developer.id))
        .await
        .ok();
    assert_eq!(listed["items"][0]["object_name"], name.as_str());
    // What it says is not the administrator's.
    acme.admin.client.get(&path(&name)).await.error(403, "FORBIDDEN");
    acme.admin.client.get(&format!("{}/presigned-url", path(&name))).await.error(403, "FORBIDDEN");
    acme.admin.client.get(&format!("{}/metadata", path(&name))).await.ok();
    acme.admin.client.delete(&path(&name)).await.ok();
    acme.viewer.client.get("/api/v1/storage/usage/people").await.error(403, "FORBIDDEN");
    acme.viewer.client.get("/api/v1/storage/files?scope=all").await.error(403, "FORBIDDEN");
}

async fn a_damaged_file_is_said_to_be_damaged(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let files = server.folder().join("files");
    let name = acme.admin.upload("a.csv", vec![b'x'; 100_000]).await;
    let sealed = std::fs::File::options().write(true).open(files.join(&name)).unwrap();
    // In the first chunk, past the header.
    (&sealed).seek(SeekFrom::Start(1000)).unwrap();
    (&sealed).write_all(b"!").unwrap();
    drop(sealed);
    let error = client.get(&path(&name)).await.error(500, "FILE_DAMAGED");
    assert!(!error.to_string().contains("SealedStore"), "{error}");
    // Cut at its end.
    let cut = acme.admin.upload("b.csv", vec![b'x'; 100_000]).await;
    let length = std::fs::metadata(files.join(&cut)).unwrap().len();
    std::fs::File::options().write(true).open(files.join(&cut)).unwrap().set_len(length - 7).unwrap();
    client.get(&format!("{}/metadata", path(&cut))).await.error(500, "FILE_DAMAGED");
    // Another's ciphertext under its name, and none at all.
    let (one, other) =
        (acme.admin.upload("c.csv", b"one".to_vec()).await, acme.admin.upload("d.csv", b"two".to_vec()).await);
    std::fs::copy(files.join(&one), files.join(&other)).unwrap();
    client.get(&path(&other)).await.error(500, "FILE_DAMAGED");
    std::fs::remove_file(files.join(&one)).unwrap();
    client.get(&path(&one)).await.error(500, "FILE_DAMAGED");
    assert_eq!(server.audited("file.download", "success").await, 0);
}

async fn a_large_file_comes_whole(server: &Server) {
    let acme = server.organization("Acme").await;
    let bytes: Vec<u8> = (0..12_345_678u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let name = acme.admin.upload("large.bin", bytes.clone()).await;
    let request = acme.admin.client.request(Method::GET, &path(&name));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.bytes().await.unwrap(), bytes);
}
