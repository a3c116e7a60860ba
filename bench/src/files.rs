//! Files in and out, in MB/s, against copies of the same bytes that are sealed in the same way and nothing else; and what
//! memory a file of a gigabyte takes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, WriteMultipart};
use rivergen_storage::sealed::{KeyError, KeyRing, SealedStore};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    error::{BenchError, Result},
    median,
    report::{Goal, Report},
    server::Server,
};

const SIZE: usize = 1024 * 1024 * 1024;
const BLOCK: usize = 1024 * 1024;
const RUNS: usize = 3;

/// Uploads, downloads and resumable uploads of a gigabyte.
pub fn measure(binary: &Path, report: &mut Report) -> Result<()> {
    let server = Server::provisioned(binary)?;
    let token = server.sign_in()?.access_token;
    let block = block();
    let idle = server.resident_mib()?;
    let (mut ins, mut outs, mut sealings, mut openings) = (vec![], vec![], vec![], vec![]);
    for _ in 0..RUNS {
        let (took, name) = upload(&server, &token, &block)?;
        ins.push(rate(took));
        outs.push(rate(download(&server, &token, &name)?));
        request(&server, &format!("DELETE /api/v1/storage/objects/{name}"), &token, "", &[])?;
        let (sealing, opening) = copy(&block)?;
        sealings.push(rate(sealing));
        openings.push(rate(opening));
    }
    let taken = server.peak_mib()? - idle;
    let (ins, outs, sealings, openings) = (median(ins), median(outs), median(sealings), median(openings));
    let figure = |rate: f64| format!("{rate:.0} MB/s");
    let sealed = |rate: f64| format!("{rate:.0} MB/s sealed copy");
    report.compare("upload of 1 GiB", figure(ins), sealed(sealings), ins / sealings, Goal::AtLeast(0.7));
    report.compare("download of 1 GiB", figure(outs), sealed(openings), outs / openings, Goal::AtLeast(0.7));
    report.bound("memory that 1 GiB in and out takes", taken, "MiB", Goal::AtMost(100.0));
    drop(server);

    let server = Server::provisioned(binary)?;
    let (took, taken) = upload_with_a_kill(server, binary, &block)?;
    // Each byte is sealed twice and opened once.
    let resumable = rate(took);
    report.compare(
        "resumable upload of 1 GiB, killed half-way",
        figure(resumable),
        sealed(sealings),
        resumable / sealings,
        Goal::AtLeast(0.3),
    );
    report.bound("memory that its second half takes", taken, "MiB", Goal::AtMost(100.0));
    Ok(())
}

fn rate(took: Duration) -> f64 {
    SIZE as f64 / 1e6 / took.as_secs_f64()
}

/// Bytes that do not repeat within a block.
fn block() -> Vec<u8> {
    (0..u32::try_from(BLOCK).unwrap_or(u32::MAX)).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// As a form. Answers the name of the file, too.
fn upload(server: &Server, token: &str, block: &[u8]) -> Result<(Duration, String)> {
    let head = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"large.bin\"\r\n\r\n";
    let tail = "\r\n--b--\r\n";
    let length = head.len() + SIZE + tail.len();
    let begin = Instant::now();
    let mut stream = open(
        server,
        "POST /api/v1/storage/upload",
        token,
        &format!("content-type: multipart/form-data; boundary=b\r\ncontent-length: {length}\r\n"),
    )?;
    stream.write_all(head.as_bytes())?;
    for _ in 0..SIZE / BLOCK {
        stream.write_all(block)?;
    }
    stream.write_all(tail.as_bytes())?;
    let (_, body) = answer(stream)?;
    let took = begin.elapsed();
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    let name = answer["data"]["file_path"].as_str();
    Ok((took, name.ok_or_else(|| BenchError::Answer(format!("the upload answered {answer}")))?.to_owned()))
}

fn download(server: &Server, token: &str, name: &str) -> Result<Duration> {
    let begin = Instant::now();
    let mut stream = open(server, &format!("GET /api/v1/storage/objects/{name}"), token, "")?;
    let mut buffer = vec![0; BLOCK];
    let mut read = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => read += count,
        }
    }
    match read > SIZE {
        true => Ok(begin.elapsed()),
        false => Err(BenchError::Answer(format!("a download ended after {read} bytes"))),
    }
}

/// By tus: half of it, `kill -9`, a new start, the rest. The time is that of both halves.
fn upload_with_a_kill(server: Server, binary: &Path, block: &[u8]) -> Result<(Duration, f64)> {
    let token = server.sign_in()?.access_token;
    let begun = format!("tus-resumable: 1.0.0\r\nupload-length: {SIZE}\r\nupload-metadata: filename bGFyZ2UuYmlu\r\n");
    let (head, _) = request(&server, "POST /api/v1/storage/tus", &token, &begun, &[])?;
    let location = header(&head, "location")?;
    let at = location.find("/api/").map(|at| location[at..].to_owned());
    let at = at.ok_or_else(|| BenchError::Answer(format!("an upload begins at {location}")))?;
    let half = SIZE / 2;
    let first = send(&server, &token, &at, 0, half, block)?;
    let server = server.killed_and_restarted(binary)?;
    let token = server.sign_in()?.access_token;
    let (head, _) = request(&server, &format!("HEAD {at}"), &token, "tus-resumable: 1.0.0\r\n", &[])?;
    if header(&head, "upload-offset")? != half.to_string() {
        return Err(BenchError::Answer(format!("half of an upload was sent, and after a kill there is {head}")));
    }
    let idle = server.resident_mib()?;
    let second = send(&server, &token, &at, half, SIZE, block)?;
    Ok((first + second, server.peak_mib()? - idle))
}

fn send(server: &Server, token: &str, at: &str, from: usize, to: usize, block: &[u8]) -> Result<Duration> {
    let begin = Instant::now();
    let mut stream = open(
        server,
        &format!("PATCH {at}"),
        token,
        &format!(
            "tus-resumable: 1.0.0\r\nupload-offset: {from}\r\ncontent-type: application/offset+octet-stream\r\n\
             content-length: {}\r\n",
            to - from
        ),
    )?;
    for _ in 0..(to - from) / BLOCK {
        stream.write_all(block)?;
    }
    let (head, _) = answer(stream)?;
    match header(&head, "upload-offset")? == to.to_string() {
        true => Ok(begin.elapsed()),
        false => Err(BenchError::Answer(format!("an upload stands elsewhere: {head}"))),
    }
}

/// A request whose body is still to be written.
pub fn open(server: &Server, what: &str, token: &str, headers: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address)?;
    let address = server.address;
    let head = format!("host: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    stream.write_all(format!("{what} HTTP/1.1\r\n{head}{headers}\r\n").as_bytes())?;
    Ok(stream)
}

/// A request, and the head and the body of its good answer.
pub fn request(server: &Server, what: &str, token: &str, headers: &str, body: &[u8]) -> Result<(String, Vec<u8>)> {
    let mut stream = open(server, what, token, &format!("{headers}content-length: {}\r\n", body.len()))?;
    stream.write_all(body)?;
    answer(stream)
}

/// The head and the body of a good answer.
fn answer(stream: TcpStream) -> Result<(String, Vec<u8>)> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(BenchError::Answer("an answer was cut off".into()));
        }
    }
    let mut body = Vec::new();
    stream.read_to_end(&mut body)?;
    match head.starts_with("HTTP/1.1 2") {
        true => Ok((head, body)),
        false => Err(BenchError::Answer(format!("{head}{}", String::from_utf8_lossy(&body)))),
    }
}

fn header(head: &str, name: &str) -> Result<String> {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.map(str::to_owned).ok_or_else(|| BenchError::Answer(format!("no {name} in {head}")))
}

/// The yardstick: the same bytes through the same store, into a directory and out of it.
fn copy(block: &[u8]) -> Result<(Duration, Duration)> {
    let runtime = tokio::runtime::Runtime::new()?;
    let directory = TempDir::new()?;
    runtime.block_on(async {
        let store = SealedStore::local(directory.path(), Arc::new(OpenKeys))?;
        let begin = Instant::now();
        let mut writer =
            WriteMultipart::new_with_chunk_size(store.put_multipart(&"large".into()).await?, 5 * 1024 * 1024);
        for _ in 0..SIZE / BLOCK {
            writer.wait_for_capacity(2).await?;
            writer.write(block);
        }
        writer.finish().await?;
        let sealing = begin.elapsed();
        let begin = Instant::now();
        let mut bytes = store.get_opts(&"large".into(), GetOptions::default()).await?.into_stream();
        while bytes.try_next().await?.is_some() {}
        Ok::<_, BenchError>((sealing, begin.elapsed()))
    })
}

/// Keys that lie open: one is sealed for a whole file, so it does not count.
#[derive(Debug)]
struct OpenKeys;

#[async_trait]
impl KeyRing for OpenKeys {
    async fn seal(&self, _: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
        Ok(key.to_vec())
    }

    async fn open(&self, _: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Ok(Zeroizing::new(sealed.try_into()?))
    }
}
