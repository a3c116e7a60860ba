//! A file goes in and out with the memory of a few pieces: seven times the length takes no more of it.

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{
    Body, Method, StatusCode,
    multipart::{Form, Part},
};
use rivergen_tests::{Binary, Client};

const MIB: u64 = 1024 * 1024;
/// All that the server holds of one file at a time, in the clear and sealed, is filled by so much.
const SHORT_MIB: u64 = 16;
const LONG_MIB: u64 = 112;
/// Who held the file as a whole would take all that the long one is longer; half of it is left to the allocator.
const MOST_MIB: u64 = (LONG_MIB - SHORT_MIB) / 2;

/// The same bytes again and again, made when they are sent.
fn bytes(mib: u64) -> Body {
    let block = Bytes::from((0..MIB).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>());
    Body::wrap_stream(stream::iter(0..mib).map(move |_| Ok::<_, std::io::Error>(block.clone())))
}

/// Sends a file in one request, reads it, and sends it once more by tus; answers the server's peaks after each.
async fn in_and_out(server: &Binary, client: &Client, url: &str, mib: u64) -> [u64; 3] {
    let size = mib * MIB;
    let form = Form::new().part("file", Part::stream_with_length(bytes(mib), size).file_name("file.bin"));
    let request = client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
    let stored = client.send(request).await.created();
    let name = stored["file_path"].as_str().unwrap();
    let uploaded = server.peak_mib();

    let answer = client.request(Method::GET, &format!("/api/v1/storage/objects/{name}")).send().await.unwrap();
    let mut chunks = answer.bytes_stream();
    let mut read = 0;
    while let Some(chunk) = chunks.next().await {
        read += chunk.unwrap().len() as u64;
    }
    assert_eq!(read, size);
    let downloaded = server.peak_mib();

    let begun = super::tus::begin(client, usize::try_from(size).unwrap(), "file.bin").await;
    let at = begun.headers["location"].to_str().unwrap().strip_prefix(url).unwrap().to_owned();
    let request = client.request(Method::PATCH, &at).header("tus-resumable", "1.0.0").header("upload-offset", 0);
    let request = request.header("content-type", "application/offset+octet-stream").body(bytes(mib));
    assert_eq!(client.send(request).await.status, StatusCode::NO_CONTENT);
    [uploaded, downloaded, server.peak_mib()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_file_takes_no_more_memory_than_a_short_one() {
    let folder = tempfile::Builder::new().prefix("rivergen-memory-").tempdir().unwrap();
    let url = Binary::configure(folder.path());
    Binary::provision_acme(folder.path());
    let server = Binary::serve(folder.path(), &url).await;
    let client = Binary::acme_owner(&url).await;

    let short = in_and_out(&server, &client, &url, SHORT_MIB).await;
    let long = in_and_out(&server, &client, &url, LONG_MIB).await;
    assert!(
        long[2] - short[2] <= MOST_MIB,
        "MiB at most after the upload, the download and the pieces: {short:?} with {SHORT_MIB} MiB, {long:?} with {LONG_MIB}"
    );
    server.kill().await;
}
