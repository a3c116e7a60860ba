//! A load generator: one thread, some connections that are kept alive, one request after the other on each.
//!
//! It writes prepared bytes and reads no more of an answer than it needs, so that it takes as little as possible of
//! the cores that it shares with the server.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::error::{BenchError, Result};

/// The requests, and where they go.
#[derive(Debug, Clone)]
pub struct Load {
    pub address: SocketAddr,
    /// One request, head and body, as it goes over the wire.
    pub request: Vec<u8>,
    pub connections: usize,
}

impl Load {
    /// `GET` with a token.
    pub fn get(address: SocketAddr, path: &str, token: &str, connections: usize) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
        Self { address, request: request.into_bytes(), connections }
    }

    /// `DELETE` with a token.
    pub fn delete(address: SocketAddr, path: &str, token: &str) -> Self {
        let request = format!("DELETE {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
        Self { address, request: request.into_bytes(), connections: 1 }
    }

    /// `POST` with a body of JSON, and a token where there is one.
    pub fn post(
        address: SocketAddr,
        path: &str,
        body: &serde_json::Value,
        token: Option<&str>,
        connections: usize,
    ) -> Self {
        let body = body.to_string();
        let length = body.len();
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\n{authorization}content-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        Self { address, request: request.into_bytes(), connections }
    }

    /// `POST` with a form.
    pub fn form(address: SocketAddr, path: &str, form: &str, connections: usize) -> Self {
        let length = form.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {length}\r\n\r\n{form}"
        );
        Self { address, request: request.into_bytes(), connections }
    }

    /// One request alone; the body of its answer.
    pub fn once(&self) -> Result<Vec<u8>> {
        runtime()?.block_on(async {
            let mut connection = Connection::open(self.address).await?;
            connection.exchange(&self.request).await?;
            Ok(connection.body().to_vec())
        })
    }

    /// Answered requests per second, over this time, after a while of warming up.
    pub fn per_second(&self, warm_up: Duration, time: Duration) -> Result<f64> {
        runtime()?.block_on(async {
            let begin = Instant::now() + warm_up;
            let end = begin + time;
            let tasks: Vec<_> = (0..self.connections).map(|_| tokio::spawn(self.clone().drive(begin, end))).collect();
            let mut answered = 0;
            for task in tasks {
                answered += task.await.map_err(io::Error::other)??;
            }
            Ok(answered as f64 / time.as_secs_f64())
        })
    }

    /// One request on each connection, all at once.
    pub fn burst(&self) -> Result<()> {
        runtime()?.block_on(async {
            let one = || async { Connection::open(self.address).await?.exchange(&self.request).await };
            futures::future::try_join_all((0..self.connections).map(|_| one())).await.map(drop)
        })
    }

    /// [`latencies`] of this request alone.
    pub fn latencies(&self, pace: Duration, requests: usize) -> Result<Vec<Duration>> {
        latencies(self.address, pace, std::iter::repeat_n(self.request.as_slice(), requests))
    }

    /// Requests of one connection that were answered between the two moments.
    async fn drive(self, begin: Instant, end: Instant) -> Result<u64> {
        let mut connection = Connection::open(self.address).await?;
        let mut answered = 0;
        loop {
            connection.exchange(&self.request).await?;
            let now = Instant::now();
            if now >= end {
                return Ok(answered);
            }
            if now >= begin {
                answered += 1;
            }
        }
    }
}

/// How long each of these requests took, one after the other on one connection. One is due every `pace`; the time of one
/// that was kept waiting by the one before it counts from when it was due.
pub fn latencies<'a>(
    address: SocketAddr,
    pace: Duration,
    requests: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Duration>> {
    runtime()?.block_on(async {
        let mut connection = Connection::open(address).await?;
        let mut due = Instant::now();
        let mut taken = Vec::new();
        for request in requests {
            let from = match due.checked_duration_since(Instant::now()) {
                Some(early) => {
                    std::thread::sleep(early);
                    Instant::now()
                }
                None => due,
            };
            connection.exchange(request).await?;
            taken.push(from.elapsed());
            due += pace;
        }
        Ok(taken)
    })
}

/// How many of these requests, each sent once, were answered in a second, spread over some connections.
pub fn all_per_second(address: SocketAddr, requests: Vec<Vec<u8>>, connections: usize) -> Result<f64> {
    let all = requests.len();
    let begin = Instant::now();
    runtime()?.block_on(async {
        let share = all.div_ceil(connections);
        let drive = |requests: &[Vec<u8>]| {
            let requests = requests.to_vec();
            async move {
                let mut connection = Connection::open(address).await?;
                for request in &requests {
                    connection.exchange(request).await?;
                }
                Ok::<(), BenchError>(())
            }
        };
        futures::future::try_join_all(requests.chunks(share).map(drive)).await
    })?;
    Ok(all as f64 / begin.elapsed().as_secs_f64())
}

pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A connection, and the answer that was read last.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    body_at: usize,
}

/// What an answer must be.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Success,
    Redirect,
    Anything,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), body_at: 0 })
    }

    pub fn body(&self) -> &[u8] {
        self.buffer.get(self.body_at..).unwrap_or_default()
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(std::str::from_utf8(self.buffer.get(..self.body_at)?).ok()?, name)
    }

    /// Sends the request and reads its answer, which must be a success with a length.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.answered(request, Wanted::Success).await
    }

    /// Sends the request and reads its answer, which must be a redirect; where to.
    pub async fn redirected(&mut self, request: &[u8]) -> Result<String> {
        self.answered(request, Wanted::Redirect).await?;
        let location = self.header("location");
        location.map(str::to_owned).ok_or_else(|| BenchError::Answer("a redirect to nowhere".into()))
    }

    /// Sends the request and reads its answer, whatever it is; its status.
    pub async fn status(&mut self, request: &[u8]) -> Result<u16> {
        self.answered(request, Wanted::Anything).await?;
        let digits = self.buffer.get(VERSION.len()..VERSION.len() + 3).unwrap_or_default();
        let status = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        status.ok_or_else(|| BenchError::Answer("an answer without a status".into()))
    }

    async fn answered(&mut self, request: &[u8], wanted: Wanted) -> Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let length = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(BenchError::Answer("the server closed the connection".into()));
            }
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                self.body_at = end + 4;
                break content_length(&self.buffer[..end], wanted)?;
            }
        };
        while self.buffer.len() < self.body_at + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(BenchError::Answer("the server closed the connection within an answer".into()));
            }
        }
        Ok(())
    }
}

/// Before the status of an answer.
const VERSION: &str = "HTTP/1.1 ";

fn content_length(head: &[u8], wanted: Wanted) -> Result<usize> {
    let head = String::from_utf8_lossy(head);
    let refused = || BenchError::Answer(head.lines().next().unwrap_or_default().to_owned());
    let expected = match wanted {
        Wanted::Success => "20",
        Wanted::Redirect => "30",
        Wanted::Anything => "",
    };
    if !head.strip_prefix(VERSION).is_some_and(|status| status.starts_with(expected)) {
        return Err(refused());
    }
    header(&head, "content-length").and_then(|length| length.parse().ok()).ok_or_else(refused)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
