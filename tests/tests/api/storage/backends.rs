//! Files in a bucket instead of a directory: the same operations against an S3 server and an Azure of others, and against
//! the former by Google's interface.

use reqwest::StatusCode;
use rivergen_tests::{
    Backend, Server,
    foreign::{AZURITE_ACCOUNT, AZURITE_KEY, ObjectServer},
    on_both_backends,
};
use serde_json::json;

on_both_backends! {
    files_lie_sealed_in_s3;
    files_lie_sealed_in_azure;
    files_lie_sealed_in_gcs;
}

async fn files_lie_sealed_in_s3(backend: Backend) {
    let Some(store) = ObjectServer::s3().await else { return };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bucket = format!("{}/the-bucket", store.endpoint);
    assert!(http.put(&bucket).send().await.unwrap().status().is_success());
    let settings = format!(
        "[storage]\nbackend = \"s3\"\n[storage.s3]\nbucket = \"the-bucket\"\nendpoint = \"{}\"\nprefix = \"in/here\"\n\
         access_key_id = \"key-id\"\nsecret_access_key = \"secret\"\n",
        store.endpoint
    );
    files_lie_sealed_in(&bucket, &http, Server::start(backend, &settings).await).await;
}

/// What lies in the bucket is where the prefix says, and is not what was uploaded.
async fn files_lie_sealed_in(bucket: &str, http: &reqwest::Client, server: Server) {
    let name = files_come_and_go(&server).await;
    let sealed = http.get(format!("{bucket}/in/here/{name}")).send().await.unwrap();
    assert_eq!(sealed.status(), StatusCode::OK);
    let sealed = sealed.bytes().await.unwrap();
    assert!(sealed.starts_with(b"RGSEALED") && !sealed.windows(12).any(|window| window == b"recognisable"));
    assert!(!server.folder().join("files").exists(), "a directory was made that nothing lies in");
    server.stop().await;
}

async fn files_lie_sealed_in_azure(backend: Backend) {
    let Some(store) = ObjectServer::azure().await else { return };
    let endpoint = format!("{}/{AZURITE_ACCOUNT}", store.endpoint);
    make_container(&endpoint).await;
    let settings = format!(
        "[storage]\nbackend = \"azure\"\n[storage.azure]\naccount = \"{AZURITE_ACCOUNT}\"\ncontainer = \"the-container\"\n\
         endpoint = \"{endpoint}\"\naccess_key = \"{AZURITE_KEY}\"\n",
    );
    let server = Server::start(backend, &settings).await;
    files_come_and_go(&server).await;
    server.stop().await;
}

/// Google's XML interface is S3's, uploads in parts included, so the same server answers it. Its sign-in is
/// another: a token that the key of a service account signs, which this server takes unseen.
async fn files_lie_sealed_in_gcs(backend: Backend) {
    let Some(store) = ObjectServer::s3().await else { return };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bucket = format!("{}/thebucket", store.endpoint);
    assert!(http.put(&bucket).send().await.unwrap().status().is_success());
    let settings = format!(
        "[storage]\nbackend = \"gcs\"\n[storage.gcs]\nbucket = \"thebucket\"\nendpoint = \"{}\"\nprefix = \"in/here\"\n\
         service_account_key = '{}'\n",
        store.endpoint,
        service_account()
    );
    files_lie_sealed_in(&bucket, &http, Server::start(backend, &settings).await).await;
}

/// The key file of a service account, with a key made for the test.
fn service_account() -> serde_json::Value {
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    json!({
        "type": "service_account", "client_email": "rivergen@acme.iam.gserviceaccount.com", "private_key_id": "1",
        "private_key": String::from_utf8(made.stdout).unwrap(),
    })
}

/// Everything that is done with files; answers the name of one that is left.
async fn files_come_and_go(server: &Server) -> String {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let name = acme.admin.upload("small.csv", b"sku,product\nP1,a very recognisable lamp\n".to_vec()).await;
    // Several parts of what the store takes at once.
    let bytes: Vec<u8> = (0..17_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let large = acme.admin.upload("large.bin", bytes.clone()).await;
    let path = |name: &str| format!("/api/v1/storage/objects/{name}");
    let downloaded = client.request(reqwest::Method::GET, &path(&large)).send().await.unwrap();
    assert_eq!(downloaded.status(), StatusCode::OK);
    assert_eq!(downloaded.bytes().await.unwrap(), bytes);
    let part = client.request(reqwest::Method::GET, &path(&large)).header("range", "bytes=16777210-16777225");
    assert_eq!(part.send().await.unwrap().bytes().await.unwrap(), &bytes[16_777_210..16_777_226]);
    client.get(&format!("{}/metadata", path(&large))).await.ok();

    // A source reads it through the same store.
    let source = json!({"name": "Products", "type": "csv", "file_path": name, "metadata": {"table": "products"}});
    let source = acme.admin.register(source).await;
    assert_eq!(acme.admin.checked(source).await["status"], "active");
    assert_eq!(acme.admin.value(source, "SELECT product FROM products").await, "a very recognisable lamp");

    // In pieces.
    let begun = super::tus::begin(client, 10_000_000, "pieces.bin").await;
    let at = begun.headers["location"].to_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    for piece in [0..9_000_000, 9_000_000..10_000_000] {
        let answer = super::tus::send(client, &at, piece.start, bytes[piece].to_vec(), &[]).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    }
    let joined = super::tus::ask(client, &at).await.headers["storage-object-name"].to_str().unwrap().to_owned();
    let downloaded = client.request(reqwest::Method::GET, &path(&joined)).send().await.unwrap();
    assert_eq!(downloaded.bytes().await.unwrap(), &bytes[..10_000_000]);

    client.delete(&path(&large)).await.ok();
    client.get(&path(&large)).await.error(404, "NOT_FOUND");
    name
}

/// By the shared key, as the protocol signs it.
async fn make_container(endpoint: &str) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = "2021-08-06";
    let resource = format!("/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/the-container\nrestype:container");
    let signed = format!("PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n{resource}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &STANDARD.decode(AZURITE_KEY).unwrap());
    let signature = STANDARD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = request
        .put(format!("{endpoint}/the-container?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", version)
        .header("content-length", "0")
        .header("authorization", format!("SharedKey {AZURITE_ACCOUNT}:{signature}"));
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
}
