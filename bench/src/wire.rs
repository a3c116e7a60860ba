//! A relay that counts what comes back through it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BUFFER: usize = 256 * 1024;

/// A relay before one server.
pub struct Meter {
    pub address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Meter {
    pub async fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let received = Arc::new(AtomicU64::new(0));
        let counted = received.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    // Whoever has the other end sees that it broke, and says so.
                    let _ = relay(client, server, &counted).await;
                });
            }
        });
        Ok(Self { address, received })
    }

    /// Bytes from the server since the last call.
    pub fn take(&self) -> u64 {
        self.received.swap(0, Ordering::Relaxed)
    }
}

/// Until either side ends.
async fn relay(client: TcpStream, server: SocketAddr, counted: &AtomicU64) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let back = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return Ok::<(), io::Error>(());
            }
            counted.fetch_add(read as u64, Ordering::Relaxed);
            to_client.write_all(buffer.get(..read).unwrap_or_default()).await?;
        }
    };
    tokio::select! {
        ended = there => ended,
        ended = back => ended,
    }
}
