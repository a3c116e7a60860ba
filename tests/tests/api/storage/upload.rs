//! `POST /api/v1/storage/upload`

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use rivergen_tests::{Answer, Person, Server, eventually, on_both_databases};

on_both_databases! {
    a_file_is_stored_sealed;
    nothing_is_overwritten;
    a_folder_stays_inside_ones_own;
    a_viewer_may_not;
    what_is_not_valid_is_named;
    the_quota_holds with "[storage]\nquota_bytes = 1000";
    what_arrives_is_reserved_until_it_is_stored_or_cut_off with "[storage]\nquota_bytes = 1000";
    what_a_kill_leaves_reserved_is_given_back;
    the_limit_of_one_upload_holds with "[storage]\nmax_upload_bytes = 1000";
    a_cut_upload_leaves_nothing_visible;
    a_part_after_the_file_is_refused;
    a_part_that_is_no_file_is_short;
}

const PATH: &str = "/api/v1/storage/upload";

async fn send(person: &Person, form: Form) -> Answer {
    person.client.send(person.client.request(Method::POST, PATH).multipart(form)).await
}

fn file(name: &str, bytes: &[u8]) -> Part {
    Part::bytes(bytes.to_vec()).file_name(name.to_owned())
}

async fn a_file_is_stored_sealed(server: &Server) {
    let acme = server.organization("Acme").await;
    let secret = b"sku,product\nP1,a very recognisable lamp\n";
    let data = acme.developer.client.upload("pro ducts.CSV", secret.to_vec()).await.created();
    assert_eq!(data["file_name"], "pro ducts.CSV");
    assert_eq!(data["size"], secret.len());
    assert_eq!(data["content_type"], "text/csv");
    let path = data["file_path"].as_str().unwrap();
    assert!(path.starts_with(&format!("organizations/{}/files/{}/pro_ducts_", acme.id, acme.developer.id)), "{path}");
    assert!(path.ends_with(data["unique_file_name"].as_str().unwrap()), "{data}");
    assert_eq!(data["s3_uri"], format!("s3://rivergen/{path}"));
    assert!(data["storage_file_id"].is_i64());
    assert_eq!(server.audited("file.upload", "success").await, 1);

    let sealed = std::fs::read(server.folder().join("files").join(path)).unwrap();
    assert!(!sealed.windows(12).any(|window| window == b"recognisable"), "the file lies in the clear");
    let usage = format!("SELECT used_bytes FROM storage_usage WHERE organization_id = {}", acme.id);
    assert_eq!(server.count(&usage).await, i64::try_from(secret.len()).unwrap());
}

async fn nothing_is_overwritten(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = acme.admin.upload("a.csv", b"a\n1\n".to_vec()).await;
    let second = acme.admin.upload("a.csv", b"a\n2\n".to_vec()).await;
    assert_ne!(first, second);
}

async fn a_folder_stays_inside_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let with = |folder: &str| Form::new().text("path", folder.to_owned()).part("file", file("a.csv", b"a\n1\n"));
    let data = send(&acme.admin, with("reports/2026")).await.created();
    let path = data["file_path"].as_str().unwrap();
    assert!(path.starts_with(&format!("organizations/{}/files/{}/reports/2026/a_", acme.id, acme.admin.id)), "{path}");
    for folder in ["../other", "a/../../b", "", "a b", "a\\b"] {
        send(&acme.admin, with(folder)).await.invalid("path");
    }
    let named = Form::new().part("file", file("../../x/../a.csv", b"a\n1\n"));
    let data = send(&acme.admin, named).await.created();
    assert_eq!(data["file_name"], "a.csv");
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.upload("a.csv", b"a\n1\n".to_vec()).await.error(403, "FORBIDDEN");
    server.anonymous().upload("a.csv", b"a\n1\n".to_vec()).await.error(401, "UNAUTHORIZED");
    assert_eq!(server.count("SELECT count(*) FROM storage_files").await, 0);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let admin = server.organization("Acme").await.admin;
    admin.client.upload("empty.csv", Vec::new()).await.invalid("file");
    send(&admin, Form::new().text("path", "reports")).await.invalid("file");
    let category = Form::new().text("file_category", "secret").part("file", file("a.csv", b"a\n1\n"));
    send(&admin, category).await.invalid("file_category");
    admin.client.post(PATH, serde_json::json!({})).await.error(415, "UNSUPPORTED_MEDIA_TYPE");
    let listed = admin.client.get("/api/v1/storage/files").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 0);
}

async fn the_quota_holds(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.client.upload("a.csv", vec![b'x'; 600]).await.created();
    acme.developer.client.upload("b.csv", vec![b'x'; 600]).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    acme.developer.client.upload("c.csv", vec![b'x'; 400]).await.created();
    // Another organization has its own.
    server.organization("Globex").await.admin.client.upload("a.csv", vec![b'x'; 900]).await.created();
    let stored = format!("SELECT count(*) FROM storage_files WHERE organization_id = {} AND state = 'stored'", acme.id);
    assert_eq!(server.count(&stored).await, 2);
}

/// The head of a form with a file.
const HEAD: &str = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n";

async fn what_arrives_is_reserved_until_it_is_stored_or_cut_off(server: &Server) {
    let acme = server.organization("Acme").await;
    let reserved = async || acme.admin.client.get("/api/v1/storage/usage").await.ok()["reserved_bytes"].clone();
    for is_whole in [false, true] {
        let (bytes, body) = futures::channel::mpsc::unbounded::<std::io::Result<String>>();
        bytes.unbounded_send(Ok(format!("{HEAD}{}", "x".repeat(600)))).unwrap();
        let form = "multipart/form-data; boundary=b";
        let slow = acme.admin.client.post_raw(PATH, form, reqwest::Body::wrap_stream(body));
        let meanwhile = async {
            eventually("what arrived to be reserved", async || reserved().await.as_i64().filter(|bytes| *bytes > 500))
                .await;
            let second = acme.developer.client.upload("b.csv", vec![b'x'; 600]).await;
            second.error(413, "REQUEST_ENTITY_TOO_LARGE");
            let end = if is_whole { Ok("\r\n--b--\r\n".to_owned()) } else { Ok("\r\n--".to_owned()) };
            bytes.unbounded_send(end).unwrap();
            bytes.close_channel();
        };
        let (first, ()) = futures::future::join(slow, meanwhile).await;
        match is_whole {
            true => drop(first.created()),
            false => drop(first.error(400, "INVALID_REQUEST")),
        }
        assert_eq!(reserved().await, 0);
    }
    acme.developer.client.upload("c.csv", vec![b'x'; 400]).await.created();
    assert_eq!(server.count("SELECT count(*) FROM storage_files WHERE state <> 'stored'").await, 0);
}

async fn what_a_kill_leaves_reserved_is_given_back(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.upload("a.csv", b"a\n1\n".to_vec()).await;
    // As it stands while 600 bytes of a second file arrive.
    server.execute("UPDATE storage_usage SET reserved_bytes = 600").await;
    let columns = "organization_id, uploaded_by_user_id, file_name, content_type, category, created_at";
    let cut_off = format!(
        "INSERT INTO storage_files ({columns}, object_name, size_bytes, state) \
         SELECT {columns}, object_name || '2', 600, 'arriving' FROM storage_files"
    );
    server.execute(&cut_off).await;
    server.clock().advance(chrono::Duration::hours(25));
    server.storage.sweep().await.unwrap();
    assert_eq!(server.count("SELECT reserved_bytes FROM storage_usage").await, 0);
    assert_eq!(server.count("SELECT count(*) FROM storage_files").await, 1);
}

async fn the_limit_of_one_upload_holds(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.client.upload("a.csv", vec![b'x'; 1001]).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    acme.admin.client.upload("a.csv", vec![b'x'; 1000]).await.created();
}

async fn a_cut_upload_leaves_nothing_visible(server: &Server) {
    let acme = server.organization("Acme").await;
    let head = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\na,b\n1,2\n";
    let answer = acme.admin.client.post_raw(PATH, "multipart/form-data; boundary=b", head).await;
    answer.error(400, "INVALID_REQUEST");
    let listed = acme.admin.client.get("/api/v1/storage/files").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 0);
    assert_eq!(server.count("SELECT count(*) FROM storage_files WHERE state = 'stored'").await, 0);
}

async fn a_part_after_the_file_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    for late in ["path", "file_category", "file"] {
        let form = Form::new().part("file", file("a.csv", b"a\n1\n")).text(late, "reports");
        send(&acme.admin, form).await.invalid("form");
    }
    assert_eq!(server.count("SELECT count(*) FROM storage_files WHERE state = 'stored'").await, 0);
    let usage = format!(
        "SELECT CAST(coalesce(sum(used_bytes), 0) AS bigint) FROM storage_usage WHERE organization_id = {}",
        acme.id
    );
    assert_eq!(server.count(&usage).await, 0);
}

/// Nothing of it is awaited beyond what is too long: the rest never comes.
async fn a_part_that_is_no_file_is_short(server: &Server) {
    let acme = server.organization("Acme").await;
    for part in ["path", "file_category"] {
        let (bytes, body) = futures::channel::mpsc::unbounded::<std::io::Result<String>>();
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"{part}\"\r\n\r\n");
        bytes.unbounded_send(Ok(format!("{head}{}", "x".repeat(2000)))).unwrap();
        let body = reqwest::Body::wrap_stream(body);
        let answer = acme.admin.client.post_raw(PATH, "multipart/form-data; boundary=b", body).await;
        answer.invalid(part);
        drop(bytes);
    }
}
