//! A file of many times the memory that the server may take for it goes in and out.

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{
    Body, Method, StatusCode,
    multipart::{Form, Part},
};
use rivergen_tests::{Binary, Client, PASSWORD};
use serde_json::json;

const SIZE: u64 = 256 * 1024 * 1024;
const BLOCK: usize = 1024 * 1024;
/// What it may take: a few pieces of 8 MiB, in the clear and sealed, and what the allocator keeps.
const MOST_MIB: u64 = 128;

/// The same bytes again and again, made when they are sent.
fn large() -> Body {
    let block = Bytes::from((0..BLOCK).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>());
    let blocks = stream::iter(0..SIZE / BLOCK as u64).map(move |_| Ok::<_, std::io::Error>(block.clone()));
    Body::wrap_stream(blocks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute in a debug build; the benchmark measures a gigabyte"]
async fn a_large_file_takes_little_memory() {
    let folder = tempfile::Builder::new().prefix("rivergen-memory-").tempdir().unwrap();
    let url = Binary::configure(folder.path());
    let acme = format!(
        "name = \"Acme\"\n[[people]]\nemail = \"owner@acme.example\"\npassword = \"{PASSWORD}\"\nrole = \"Owner\"\n"
    );
    std::fs::write(folder.path().join("acme.toml"), acme).unwrap();
    let output = Binary::run(folder.path(), &["provision", "acme.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let server = Binary::serve(folder.path(), &url).await;
    let login = json!({"email": "owner@acme.example", "password": PASSWORD});
    let data = Client::new(&url).post("/api/v1/auth/login", login).await.ok();
    let client = Client::new(&url).with_token(data["access_token"].as_str().unwrap());
    // What a first file brings into memory for good.
    client.upload("small.csv", b"a\n".to_vec()).await.created();
    let before = server.peak_mib();

    let form = Form::new().part("file", Part::stream_with_length(large(), SIZE).file_name("large.bin"));
    let request = client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
    let stored = client.send(request).await.created();
    let name = stored["file_path"].as_str().unwrap();
    let after_upload = server.peak_mib();

    let answer = client.request(Method::GET, &format!("/api/v1/storage/objects/{name}")).send().await.unwrap();
    let mut bytes = answer.bytes_stream();
    let mut size = 0;
    while let Some(chunk) = bytes.next().await {
        size += chunk.unwrap().len() as u64;
    }
    assert_eq!(size, SIZE);
    let after_download = server.peak_mib();

    let begun = super::tus::begin(&client, usize::try_from(SIZE).unwrap(), "large.bin").await;
    let at = begun.headers["location"].to_str().unwrap().strip_prefix(&url).unwrap().to_owned();
    let request = client.request(Method::PATCH, &at).header("tus-resumable", "1.0.0").header("upload-offset", 0);
    let request = request.header("content-type", "application/offset+octet-stream").body(large());
    assert_eq!(client.send(request).await.status, StatusCode::NO_CONTENT);
    let after_pieces = server.peak_mib();
    println!(
        "{before} MiB before, {after_upload} after the upload, {after_download} after the download, {after_pieces} after the pieces"
    );
    assert!(after_pieces - before <= MOST_MIB, "{before} MiB before, {after_pieces} MiB at the end");
    server.kill().await;
}
