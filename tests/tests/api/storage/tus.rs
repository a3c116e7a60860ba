//! `/api/v1/storage/tus`: resumable uploads by tus 1.0, told apart from what the protocol says, and with clients of others

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Duration;
use reqwest::{Method, StatusCode};
use rivergen_tests::{Answer, Binary, Client, Server, eventually, foreign, on_both_databases};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;

on_both_databases! {
    what_the_server_speaks;
    an_upload_in_pieces_becomes_a_file;
    a_first_piece_may_come_along;
    pieces_go_where_the_upload_stands;
    a_wrong_checksum_counts_nothing;
    what_cannot_be_begun with "[storage]\nquota_bytes = 1000\nmax_upload_bytes = 2000";
    the_quota_is_kept_free with "[storage]\nquota_bytes = 1000";
    an_upload_is_given_up;
    an_upload_waits_a_day;
    an_upload_that_is_all_there_outlives_a_store_that_fails;
    an_upload_is_its_own_persons_alone;
    a_cut_piece_counts_as_far_as_it_came;
    of_two_requests_the_newer_goes_on;
    another_version_is_refused;
    a_picture_is_one;
    tuspy_goes_on_after_a_cut;
    tus_js_client_goes_on_after_a_cut;
}

const PATH: &str = "/api/v1/storage/tus";

fn metadata(file_name: &str) -> String {
    format!("filename {}", STANDARD.encode(file_name))
}

/// Begins an upload.
pub(super) async fn begin(client: &Client, size: usize, file_name: &str) -> Answer {
    let request = client.request(Method::POST, PATH).header("tus-resumable", "1.0.0");
    let request = request.header("upload-length", size).header("upload-metadata", metadata(file_name));
    client.send(request).await
}

/// The next bytes.
pub(super) async fn send(client: &Client, at: &str, offset: usize, bytes: Vec<u8>, headers: &[(&str, &str)]) -> Answer {
    let request = client.request(Method::PATCH, at).header("tus-resumable", "1.0.0");
    let request = request.header("content-type", "application/offset+octet-stream").header("upload-offset", offset);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    client.send(request.body(bytes)).await
}

pub(super) async fn ask(client: &Client, at: &str) -> Answer {
    client.send(client.request(Method::HEAD, at).header("tus-resumable", "1.0.0")).await
}

/// Where a begun upload goes on, as a path of this server.
fn place(server: &Server, begun: &Answer) -> String {
    assert_eq!(begun.status, StatusCode::CREATED, "{begun:?}");
    begun.headers["location"].to_str().unwrap().strip_prefix(server.url()).unwrap().to_owned()
}

async fn reserved(client: &Client) -> Value {
    client.get("/api/v1/storage/usage").await.ok()["reserved_bytes"].clone()
}

/// The pieces that lie beside the files.
fn pieces(server: &Server) -> usize {
    fn count(folder: &std::path::Path, inside: bool) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
        entries
            .map(|entry| match entry.path().is_dir() {
                true => count(&entry.path(), inside || entry.file_name() == "uploads"),
                false => usize::from(inside),
            })
            .sum()
    }
    count(&server.folder().join("files"), false)
}

async fn what_the_server_speaks(server: &Server) {
    let client = server.anonymous();
    let answer = client.send(client.request(Method::OPTIONS, PATH)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let header = |name: &str| answer.headers[name].to_str().unwrap();
    assert_eq!((header("tus-resumable"), header("tus-version")), ("1.0.0", "1.0.0"));
    assert_eq!(header("tus-extension"), "creation,creation-with-upload,termination,checksum,expiration");
    assert_eq!((header("tus-max-size"), header("tus-checksum-algorithm")), ("34359738368", "sha1,sha256"));
}

async fn an_upload_in_pieces_becomes_a_file(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    // Pieces of every relation to those that the server makes of them.
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let begun = begin(client, bytes.len(), "Große Datei.bin").await;
    let at = place(server, &begun);
    assert!(begun.headers.contains_key("upload-expires"));
    assert_eq!((begun.number("upload-offset"), reserved(client).await), (0, json!(bytes.len())));
    let mut offset = 0;
    for size in [1, 100_000, 8 * 1024 * 1024, 9_000_001, 0] {
        let answer = send(client, &at, offset, bytes[offset..offset + size].to_vec(), &[]).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        offset += size;
        assert_eq!(answer.number("upload-offset"), i64::try_from(offset).unwrap());
        assert_eq!(answer.headers["tus-resumable"], "1.0.0");
        let asked = ask(client, &at).await;
        assert_eq!((asked.status, asked.number("upload-offset")), (StatusCode::OK, i64::try_from(offset).unwrap()));
        assert_eq!(asked.number("upload-length"), 20_000_000);
        assert_eq!(asked.headers["upload-metadata"].to_str().unwrap(), metadata("Große Datei.bin"));
        assert_eq!(asked.headers["cache-control"], "no-store");
    }
    // Nothing is visible before the end, and nothing lies there in the clear.
    assert_eq!(client.get("/api/v1/storage/files").await.ok()["pagination"]["total_count"], 0);
    assert!(pieces(server) > 0);
    let answer = send(client, &at, offset, bytes[offset..].to_vec(), &[]).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    let asked = ask(client, &at).await;
    let name = asked.headers["storage-object-name"].to_str().unwrap();
    let listed = client.get("/api/v1/storage/files").await.ok();
    let item = &listed["items"][0];
    assert_eq!((&item["object_name"], &item["size_bytes"]), (&json!(name), &json!(bytes.len())));
    assert_eq!(
        (&item["file_name"], &item["storage_file_id"]),
        (&json!("Große Datei.bin"), &json!(asked.number("storage-file-id")))
    );
    let downloaded = client.request(Method::GET, &format!("/api/v1/storage/objects/{name}")).send().await.unwrap();
    assert_eq!(downloaded.bytes().await.unwrap(), bytes);
    let usage = client.get("/api/v1/storage/usage").await.ok();
    assert_eq!(
        (&usage["used_bytes"], &usage["reserved_bytes"], &usage["file_count"]),
        (&json!(bytes.len()), &json!(0), &json!(1))
    );
    assert_eq!(pieces(server), 0);
    assert_eq!(
        (server.audited("file.begin_upload", "success").await, server.audited("file.upload", "success").await),
        (1, 1)
    );
    // It is a file now.
    let request = client.request(Method::DELETE, &at).header("tus-resumable", "1.0.0");
    client.send(request).await.error(409, "CONFLICT");
}

async fn a_first_piece_may_come_along(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let metadata = format!(
        "{},path {},file_category {}",
        metadata("a.csv"),
        STANDARD.encode("reports/2026"),
        STANDARD.encode("general")
    );
    let request = client.request(Method::POST, PATH).header("tus-resumable", "1.0.0").header("upload-length", 8);
    let request = request.header("upload-metadata", metadata).header("content-type", "application/offset+octet-stream");
    let begun = client.send(request.body("a,b\n1,2\n")).await;
    assert_eq!((begun.status, begun.number("upload-offset")), (StatusCode::CREATED, 8));
    let listed = client.get("/api/v1/storage/files").await.ok();
    let item = &listed["items"][0];
    assert_eq!(
        (&item["file_category"], &item["content_type"], &item["size_bytes"]),
        (&json!("general"), &json!("text/csv"), &json!(8))
    );
    assert!(item["object_name"].as_str().unwrap().contains(&format!("/files/{}/reports/2026/a_", acme.developer.id)));
}

async fn pieces_go_where_the_upload_stands(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 10, "a.txt").await);
    send(client, &at, 3, b"x".to_vec(), &[]).await.error(409, "CONFLICT");
    assert_eq!(send(client, &at, 0, b"0123".to_vec(), &[]).await.status, StatusCode::NO_CONTENT);
    // The same again, as after an answer that was lost.
    send(client, &at, 0, b"0123".to_vec(), &[]).await.error(409, "CONFLICT");
    send(client, &at, 4, b"4567890".to_vec(), &[]).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    assert_eq!(ask(client, &at).await.number("upload-offset"), 4);
    let request = client.request(Method::PATCH, &at).header("tus-resumable", "1.0.0").header("upload-offset", 4);
    client.send(request.header("content-type", "text/plain").body("x")).await.error(415, "UNSUPPORTED_MEDIA_TYPE");
    let request = client.request(Method::PATCH, &at).header("tus-resumable", "1.0.0");
    client
        .send(request.header("content-type", "application/offset+octet-stream").body("x"))
        .await
        .invalid("Upload-Offset");
    // A proxy lets no PATCH through.
    let request =
        client.request(Method::POST, &at).header("x-http-method-override", "PATCH").header("tus-resumable", "1.0.0");
    let request = request.header("content-type", "application/offset+octet-stream").header("upload-offset", 4);
    assert_eq!(client.send(request.body("456789")).await.status, StatusCode::NO_CONTENT);
    client.post_empty(&at).await.error(405, "METHOD_NOT_ALLOWED");
    let name = ask(client, &at).await.headers["storage-object-name"].to_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/api/v1/storage/objects/{name}")).await.body, json!("0123456789"));
    assert_eq!(server.count("SELECT count(*) FROM storage_files WHERE state = 'stored'").await, 1);
}

async fn a_wrong_checksum_counts_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 8, "a.txt").await);
    let sha1 = |bytes: &[u8]| format!("sha1 {}", STANDARD.encode(Sha1::digest(bytes)));
    let sha256 = |bytes: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(bytes)));
    send(client, &at, 0, b"0123".to_vec(), &[("upload-checksum", &sha1(b"0124"))])
        .await
        .error(460, "CHECKSUM_MISMATCH");
    send(client, &at, 0, b"0123".to_vec(), &[("upload-checksum", &sha256(b""))]).await.error(460, "CHECKSUM_MISMATCH");
    send(client, &at, 0, b"0123".to_vec(), &[("upload-checksum", "crc32 AAAA")]).await.error(400, "BAD_REQUEST");
    send(client, &at, 0, b"0123".to_vec(), &[("upload-checksum", "sha1 !!!")]).await.error(400, "BAD_REQUEST");
    assert_eq!((ask(client, &at).await.number("upload-offset"), pieces(server)), (0, 0));
    let answer = send(client, &at, 0, b"0123".to_vec(), &[("upload-checksum", &sha1(b"0123"))]).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let answer = send(client, &at, 4, b"4567".to_vec(), &[("upload-checksum", &sha256(b"4567"))]).await;
    assert_eq!((answer.status, answer.number("upload-offset")), (StatusCode::NO_CONTENT, 8));
}

async fn what_cannot_be_begun(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    begin(client, 0, "a.txt").await.invalid("Upload-Length");
    begin(client, 1001, "a.txt").await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    begin(client, 2001, "a.txt").await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    let with = async |length: Option<&str>, metadata: &str| {
        let request =
            client.request(Method::POST, PATH).header("tus-resumable", "1.0.0").header("upload-metadata", metadata);
        let request = length.into_iter().fold(request, |request, length| request.header("upload-length", length));
        client.send(request).await
    };
    with(None, &metadata("a")).await.invalid("Upload-Length");
    with(Some("-1"), &metadata("a")).await.invalid("Upload-Length");
    with(Some("99999999999999999999"), &metadata("a")).await.invalid("Upload-Length");
    for bad in [
        "",
        "filename",
        "filename !!!",
        "filetype dGV4dA==",
        &format!("{},path {}", metadata("a"), STANDARD.encode("../x")),
        &format!("{},file_category {}", metadata("a"), STANDARD.encode("secret")),
    ] {
        with(Some("10"), bad).await.invalid("Upload-Metadata");
    }
    begin(&acme.viewer.client, 10, "a.txt").await.error(403, "FORBIDDEN");
    begin(&server.anonymous(), 10, "a.txt").await.error(401, "UNAUTHORIZED");
}

async fn the_quota_is_kept_free(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 600, "a.txt").await);
    begin(&acme.admin.client, 600, "b.txt").await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    acme.admin.client.upload("c.csv", vec![b'x'; 600]).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    acme.admin.client.upload("d.csv", vec![b'x'; 400]).await.created();
    let usage = client.get("/api/v1/storage/usage").await.ok();
    assert_eq!(
        (&usage["available_bytes"], &usage["reserved_bytes"], &usage["used_bytes"]),
        (&json!(0), &json!(600), &json!(400))
    );
    assert_eq!(send(client, &at, 0, vec![b'x'; 600], &[]).await.status, StatusCode::NO_CONTENT);
    let usage = client.get("/api/v1/storage/usage").await.ok();
    assert_eq!(
        (&usage["reserved_bytes"], &usage["used_bytes"], &usage["file_count"]),
        (&json!(0), &json!(1000), &json!(2))
    );
}

async fn an_upload_is_given_up(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 10, "a.txt").await);
    send(client, &at, 0, b"0123".to_vec(), &[]).await;
    assert_eq!(pieces(server), 1);
    let request = || client.request(Method::DELETE, &at).header("tus-resumable", "1.0.0");
    client.send(request()).await.no_content();
    assert_eq!((pieces(server), reserved(client).await), (0, json!(0)));
    client.send(request()).await.error(404, "NOT_FOUND");
    send(client, &at, 4, b"x".to_vec(), &[]).await.error(404, "NOT_FOUND");
    assert_eq!(ask(client, &at).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.audited("file.end_upload", "success").await, 1);
}

async fn an_upload_waits_a_day(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 10, "a.txt").await);
    // Each piece lets it wait again. The session is used meanwhile, or it would end too.
    for _ in 0..2 {
        server.clock().advance(Duration::hours(20));
        let again = server.sign_in(&acme.developer.email).await.client;
        assert_eq!(ask(&again, &at).await.status, StatusCode::OK);
        let offset = usize::try_from(ask(&again, &at).await.number("upload-offset")).unwrap();
        assert_eq!(send(&again, &at, offset, b"x".to_vec(), &[]).await.status, StatusCode::NO_CONTENT);
    }
    server.clock().advance(Duration::hours(25));
    let again = server.sign_in(&acme.developer.email).await.client;
    // The hourly sweep may have been quicker than the question.
    let answer = send(&again, &at, 2, b"x".to_vec(), &[]).await;
    assert!([StatusCode::GONE, StatusCode::NOT_FOUND].contains(&answer.status), "{answer:?}");
    server.storage.sweep().await.unwrap();
    assert_eq!((pieces(server), reserved(&again).await), (0, json!(0)));
    assert_eq!(ask(&again, &at).await.status, StatusCode::NOT_FOUND);
}

async fn an_upload_that_is_all_there_outlives_a_store_that_fails(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 6, "a.txt").await);
    assert_eq!(send(client, &at, 0, b"abc".to_vec(), &[]).await.status, StatusCode::NO_CONTENT);
    let folder = server.folder().join(format!("files/organizations/{}/uploads", acme.id));
    let folder = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let piece = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let aside = server.folder().join("aside");
    std::fs::rename(&piece, &aside).unwrap();
    // All of it counts, and cannot be read.
    assert!(send(client, &at, 3, b"def".to_vec(), &[]).await.status.is_server_error());
    server.clock().advance(Duration::hours(25));
    server.storage.sweep().await.unwrap();
    let again = server.sign_in(&acme.developer.email).await.client;
    assert_eq!((pieces(server), reserved(&again).await), (1, json!(6)));
    std::fs::rename(&aside, &piece).unwrap();
    server.storage.sweep().await.unwrap();
    let name = eventually("the file", async || {
        let files = again.get("/api/v1/storage/files").await.ok();
        files["items"][0]["object_name"].as_str().filter(|_| pieces(server) == 0).map(str::to_owned)
    })
    .await;
    let request = again.request(Method::GET, &format!("/api/v1/storage/objects/{name}"));
    assert_eq!(request.send().await.unwrap().bytes().await.unwrap(), b"abcdef"[..]);
    assert_eq!(reserved(&again).await, json!(0));
}

async fn an_upload_is_its_own_persons_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let at = place(server, &begin(&acme.developer.client, 10, "a.txt").await);
    for client in [&acme.owner.client, &globex.owner.client] {
        assert_eq!(ask(client, &at).await.status, StatusCode::NOT_FOUND);
        send(client, &at, 0, b"x".to_vec(), &[]).await.error(404, "NOT_FOUND");
        let request = client.request(Method::DELETE, &at).header("tus-resumable", "1.0.0");
        client.send(request).await.error(404, "NOT_FOUND");
    }
    send(&server.anonymous(), &at, 0, b"x".to_vec(), &[]).await.error(401, "UNAUTHORIZED");
    assert_eq!(ask(&server.anonymous(), &at).await.status, StatusCode::UNAUTHORIZED);
}

/// A request that says that it sends a million bytes, with the first 300,000 of them.
fn begun_to_send(server: &Server, client: &Client, at: &str, header: &str) -> std::net::TcpStream {
    use std::io::Write;
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "PATCH {at} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: 1000000\r\n{header}\r\n",
        client.token()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&vec![b'x'; 300_000]).unwrap();
    connection
}

/// The client goes away in the middle of a body.
async fn a_cut_piece_counts_as_far_as_it_came(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 1_000_000, "a.txt").await);
    drop(begun_to_send(server, client, &at, ""));
    let offset = rivergen_tests::eventually("what came to count", async || {
        let offset = ask(client, &at).await.number("upload-offset");
        (offset == 300_000).then_some(300_000)
    })
    .await;
    assert_eq!(send(client, &at, offset, vec![b'x'; 700_000], &[]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(client.get("/api/v1/storage/usage").await.ok()["used_bytes"], 1_000_000);
}

/// The connection of the older one stays open, and nothing more comes of it.
async fn of_two_requests_the_newer_goes_on(server: &Server) {
    use std::io::Read;
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let at = place(server, &begin(client, 1_000_000, "a.txt").await);
    let digest = Sha1::digest(vec![b'x'; 1_000_000]);
    let proved = format!("upload-checksum: sha1 {}\r\n", STANDARD.encode(digest));
    let mut older = begun_to_send(server, client, &at, &proved);
    // Where the server hears of the newer one first, that one is ended, and goes on.
    eventually("the newer request", async || {
        let offset = ask(client, &at).await.number("upload-offset");
        let rest = vec![b'x'; 1_000_000 - usize::try_from(offset).unwrap()];
        let sent = send(client, &at, usize::try_from(offset).unwrap(), rest, &[]).await;
        (sent.status == StatusCode::NO_CONTENT).then_some(())
    })
    .await;
    // The server lets go of it: with an answer, if all that was sent had been read.
    let ended = tokio::task::spawn_blocking(move || {
        let mut answer = Vec::new();
        let _ = older.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answer = ended.await.unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 409"), "{answer}");
    assert_eq!(pieces(server), 0);
    assert_eq!(only_file(client).await.len(), 1_000_000);
}

async fn another_version_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    for version in [None, Some("0.2.2")] {
        let request =
            client.request(Method::POST, PATH).header("upload-length", 1).header("upload-metadata", metadata("a"));
        let request = version.into_iter().fold(request, |request, version| request.header("tus-resumable", version));
        let answer = client.send(request).await;
        assert_eq!(
            (&answer.headers["tus-version"], &answer.headers["tus-resumable"]),
            (&"1.0.0".parse().unwrap(), &"1.0.0".parse().unwrap())
        );
        answer.error(412, "PRECONDITION_FAILED");
    }
}

async fn a_picture_is_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let metadata = format!("{},file_category {}", metadata("me.png"), STANDARD.encode("profile_image"));
    let request = client.request(Method::POST, PATH).header("tus-resumable", "1.0.0").header("upload-length", 4);
    let at = place(server, &client.send(request.header("upload-metadata", metadata)).await);
    send(client, &at, 0, b"text".to_vec(), &[]).await.invalid("file");
    assert_eq!(reserved(client).await, json!(0));
    assert_eq!(ask(client, &at).await.status, StatusCode::NOT_FOUND);
}

/// A file in a folder of its own, and what is in it.
fn letters(size: u32) -> (tempfile::TempDir, String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..size).map(|n| b'a' + u8::try_from(n.wrapping_mul(2_654_435_761) % 26).unwrap()).collect();
    let path = folder.path().join("letters.txt");
    std::fs::write(&path, &bytes).unwrap();
    (folder, path.display().to_string(), bytes)
}

async fn only_file(client: &Client) -> Vec<u8> {
    let listed = client.get("/api/v1/storage/files").await.ok();
    assert_eq!(listed["pagination"]["total_count"], 1, "{listed}");
    let name = listed["items"][0]["object_name"].as_str().unwrap();
    let answer = client.request(Method::GET, &format!("/api/v1/storage/objects/{name}")).send().await.unwrap();
    answer.bytes().await.unwrap().to_vec()
}

async fn tuspy_goes_on_after_a_cut(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let (_folder, path, bytes) = letters(3_000_000);
    let collection = format!("{}{PATH}", server.url());
    // It sends a checksum with each piece.
    let first = foreign::tus_client("upload.py", &[&collection, client.token(), &path, "700000", "1400000", ""]).await;
    let Some(first) = first else { return };
    assert_eq!(first["offset"], 1_400_000);
    let arguments = [&collection, client.token(), &path, "700000", "0", first["url"].as_str().unwrap()];
    let second = foreign::tus_client("upload.py", &arguments).await.unwrap();
    assert_eq!((&second["found"], &second["offset"]), (&json!(1_400_000), &json!(3_000_000)));
    assert_eq!(only_file(client).await, bytes);
}

async fn tus_js_client_goes_on_after_a_cut(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.developer.client;
    let (_folder, path, bytes) = letters(3_000_000);
    let collection = format!("{}{PATH}", server.url());
    let arguments = [&collection, client.token(), &path, "700000", "1400000", "", "yes"];
    let Some(first) = foreign::tus_client("upload.mjs", &arguments).await else { return };
    let arguments = [&collection, client.token(), &path, "700000", "0", first["url"].as_str().unwrap(), "no"];
    let second = foreign::tus_client("upload.mjs", &arguments).await.unwrap();
    assert_eq!(second["offset"], 3_000_000);
    assert_eq!(only_file(client).await, bytes);
}

/// What was acknowledged is there after a `kill -9`, and the upload goes on from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_survives_a_kill() {
    let folder = tempfile::Builder::new().prefix("rivergen-tus-").tempdir().unwrap();
    let url = Binary::configure(folder.path());
    Binary::provision_acme(folder.path());
    let sign_in = async || Binary::acme_owner(&url).await;
    let bytes: Vec<u8> = (0..24_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut server = Binary::serve(folder.path(), &url).await;
    let begun = begin(&sign_in().await, bytes.len(), "large.bin").await;
    let at = begun.headers["location"].to_str().unwrap().strip_prefix(&url).unwrap().to_owned();
    let mut acknowledged = 0;
    for cut in 0..4 {
        let client = sign_in().await;
        let offset = usize::try_from(ask(&client, &at).await.number("upload-offset")).unwrap();
        assert!(offset >= acknowledged, "{offset} is less than what was acknowledged, {acknowledged}");
        let end = (offset + 3_000_000).min(bytes.len());
        let answer = send(&client, &at, offset, bytes[offset..end].to_vec(), &[]).await;
        acknowledged = usize::try_from(answer.number("upload-offset")).unwrap();
        // The rest is on its way when the server dies; what it had of it may count or not. The last time the pieces may
        // just be becoming a file.
        let (sender, place, rest) = (client.clone(), at.clone(), bytes[acknowledged..].to_vec());
        let sending = tokio::spawn(async move {
            let request = sender.request(Method::PATCH, &place).header("tus-resumable", "1.0.0");
            let request = request.header("content-type", "application/offset+octet-stream");
            let _ = sender.try_send(request.header("upload-offset", acknowledged).body(rest)).await;
        });
        tokio::time::sleep(std::time::Duration::from_millis(40 * cut)).await;
        server.kill().await;
        sending.await.unwrap();
        server = Binary::serve(folder.path(), &url).await;
    }
    let client = sign_in().await;
    let offset = usize::try_from(ask(&client, &at).await.number("upload-offset")).unwrap();
    assert!(offset >= acknowledged);
    send(&client, &at, offset, bytes[offset..].to_vec(), &[]).await;
    let asked = ask(&client, &at).await;
    let name = asked.headers["storage-object-name"].to_str().unwrap();
    let downloaded = client.request(Method::GET, &format!("/api/v1/storage/objects/{name}")).send().await.unwrap();
    assert_eq!(downloaded.bytes().await.unwrap(), bytes);
    let usage = client.get("/api/v1/storage/usage").await.ok();
    assert_eq!(
        (&usage["used_bytes"], &usage["reserved_bytes"], &usage["file_count"]),
        (&json!(bytes.len()), &json!(0), &json!(1))
    );
    server.kill().await;
}
