//! Ports of this machine. One that was free a moment ago may be somebody else's by now: many tests run at once, and each
//! connection takes a port, too.

use std::net::{Ipv4Addr, SocketAddr};

use rand::RngExt;
use tokio::net::{TcpListener, TcpSocket};

/// A port at which nobody listens; nobody else gets it for as long as this is kept.
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn number(&self) -> u16 {
        self.address().port()
    }

    /// Somebody listens at it from now on.
    pub fn open(self) -> TcpListener {
        self.0.listen(1024).unwrap()
    }
}

/// A port for a program that has to be told one: below those that the system gives to whoever wants any.
pub(crate) fn for_a_program() -> u16 {
    loop {
        let port = rand::rng().random_range(12_000..32_000);
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
