//! Results that are downloaded as CSV and as an Arrow IPC stream, in rows a second, against Arrow's own writers, in this
//! process and into nothing, on what DataFusion reads of the same file; and what memory a result of a gigabyte takes.

use std::{
    fs::File,
    io::{Read, Write, sink},
    path::Path,
    time::{Duration, Instant},
};

use datafusion::{
    arrow::{csv, ipc::writer::StreamWriter},
    prelude::{ParquetReadOptions, SessionConfig, SessionContext},
};
use futures::TryStreamExt;
use rivergen::demo::data;
use rivergen_query::Encoding;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cores,
    error::{BenchError, Result},
    files,
    load::Load,
    median,
    report::{Goal, Report},
    server::Server,
};

const RUNS: usize = 3;
const GIBIBYTE: usize = 1024 * 1024 * 1024;
/// Times that a table may stand in the query of the large result.
const COPIES: usize = 32;
/// How long a source may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How a body ends whose length was not told.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Downloads of a table of so many rows, and of a gigabyte of them.
pub fn measure(binary: &Path, rows: usize, report: &mut Report) -> Result<()> {
    let directory = TempDir::new()?;
    let path = directory.path().join("orders.parquet");
    let mut file = File::create(&path)?;
    for piece in data::orders_parquet(rows)? {
        file.write_all(&piece?)?;
    }
    let server = Server::provisioned(binary)?;
    let token = server.sign_in()?.access_token;
    let source = register(&server, &token, &path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(cores()));
    runtime.block_on(session.register_parquet("orders", path.to_string_lossy(), ParquetReadOptions::default()))?;
    for (encoding, name) in [(Encoding::Csv, "CSV"), (Encoding::ArrowStream, "Arrow IPC")] {
        let one = Download { server: &server, token: &token, source, encoding, sql: "SELECT * FROM orders".into() };
        // The first run warms both up, and tells how large the result is.
        let (_, size) = one.take()?;
        runtime.block_on(written_here(&session, encoding))?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            ours.push(rows as f64 / one.take()?.0.as_secs_f64());
            theirs.push(rows as f64 / runtime.block_on(written_here(&session, encoding))?.as_secs_f64());
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let (figure, beside) = (format!("{ours:.0} rows/s"), format!("{theirs:.0} rows/s Arrow's writer into nothing"));
        let what = format!("result of {rows} rows, {name}, {} MB", size / 1_000_000);
        report.compare(what, figure, beside, ours / theirs, Goal::AtLeast(0.5));

        let copies = GIBIBYTE.div_ceil(size.max(1));
        if copies > COPIES {
            report
                .note(format!("Memory of a result of 1 GiB as {name}: not measured: {rows} rows are too few for it."));
            continue;
        }
        let all = Download { sql: vec![one.sql.as_str(); copies].join(" UNION ALL "), ..one };
        server.forget_peak()?;
        let (took, size) = all.take()?;
        let what = format!(
            "memory of the server while {} MiB leave as {name}, in {:.1} s",
            size / (1024 * 1024),
            took.as_secs_f64()
        );
        report.bound(what, server.peak_mib()?, "MiB", Goal::AtMost(300.0));
    }
    Ok(())
}

/// Uploads the file and makes it a source, which is then ready.
fn register(server: &Server, token: &str, path: &Path) -> Result<i64> {
    let head = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"orders.parquet\"\r\n\r\n";
    let mut form = head.as_bytes().to_vec();
    File::open(path)?.read_to_end(&mut form)?;
    form.extend_from_slice(b"\r\n--b--\r\n");
    let multipart = "content-type: multipart/form-data; boundary=b\r\n";
    let (_, answer) = files::request(server, "POST /api/v1/storage/upload", token, multipart, &form)?;
    let uploaded: Value = serde_json::from_slice(&answer)?;
    let body = json!({"name": "Orders", "type": "parquet", "file_path": uploaded["data"]["file_path"],
        "metadata": {"table": "orders"}});
    let answer = server.post("/api/v1/data-sources", &body, Some(token))?;
    let id = answer["data"]["id"].as_i64();
    let id = id.ok_or_else(|| BenchError::Answer(format!("no source was made: {answer}")))?;
    let state = Load::get(server.address, &format!("/api/v1/data-sources/{id}"), token, 1);
    let begin = Instant::now();
    loop {
        let source: Value = serde_json::from_slice(&state.once()?)?;
        let source = &source["data"];
        if source["status"] == "active" && !source["schema_discovered_at"].is_null() {
            return Ok(id);
        }
        if begin.elapsed() > PATIENCE {
            return Err(BenchError::Answer(format!("a source is not ready: {source}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A result that is streamed from the server.
struct Download<'a> {
    server: &'a Server,
    token: &'a str,
    source: i64,
    encoding: Encoding,
    sql: String,
}

impl Download<'_> {
    /// How long it took, and how many bytes came.
    fn take(&self) -> Result<(Duration, usize)> {
        let begin = Instant::now();
        let body = json!({"query": self.sql}).to_string();
        let headers = format!(
            "accept: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.encoding.media_type(),
            body.len()
        );
        let what = format!("POST /api/v1/data-sources/{}/query", self.source);
        let mut stream = files::open(self.server, &what, self.token, &headers)?;
        stream.write_all(body.as_bytes())?;
        let mut buffer = vec![0; 1024 * 1024];
        let (mut size, mut first, mut last) = (0, Vec::new(), Vec::new());
        loop {
            let read = stream.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            if size == 0 {
                first = bytes.iter().copied().take(1024).collect();
            }
            size += read;
            last.extend_from_slice(bytes.get(read.saturating_sub(LAST_CHUNK.len())..).unwrap_or_default());
            last.drain(..last.len().saturating_sub(LAST_CHUNK.len()));
        }
        // A stream that broke off has no last chunk.
        match first.starts_with(b"HTTP/1.1 200 ") && last == LAST_CHUNK {
            true => Ok((begin.elapsed(), size)),
            false => {
                let first = String::from_utf8_lossy(&first);
                Err(BenchError::Answer(format!("a download ended after {size} bytes; it begins with {first}")))
            }
        }
    }
}

/// The yardstick: the same rows, read and written batch by batch.
async fn written_here(session: &SessionContext, encoding: Encoding) -> Result<Duration> {
    let begin = Instant::now();
    let mut batches = session.sql("SELECT * FROM orders").await?.execute_stream().await?;
    match encoding {
        Encoding::Csv => {
            let mut writer = csv::Writer::new(sink());
            while let Some(batch) = batches.try_next().await? {
                writer.write(&batch)?;
            }
        }
        _ => {
            let mut writer = StreamWriter::try_new(sink(), &batches.schema())?;
            while let Some(batch) = batches.try_next().await? {
                writer.write(&batch)?;
            }
            writer.finish()?;
        }
    }
    Ok(begin.elapsed())
}
