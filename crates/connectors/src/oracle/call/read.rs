//! What has come, byte by byte: as much as is there, and then the server's next packet.

use bytes::Buf;

use super::Connection;
use super::message::LONG;
use crate::oracle::fault::Fault;
use crate::oracle::net::{CONTROL, DATA, MARKER, RESET};

/// Of one value.
const LARGEST_VALUE: usize = 64 * 1024 * 1024;
/// In the place of a length.
const NULL: u8 = 255;

impl Connection {
    /// The server's next packet.
    async fn fill(&mut self) -> Result<(), Fault> {
        loop {
            let packet = self.net.receive().await?;
            match packet.kind {
                DATA => {
                    self.unread = packet.body;
                    return Ok(());
                }
                CONTROL => {}
                MARKER => {
                    self.begin_anew().await?;
                    return Err(Fault::Anew);
                }
                _ => return Err(Fault::Garbled("a packet that is not expected")),
            }
        }
    }

    /// Both sides say that they have broken off; then comes an answer.
    async fn begin_anew(&mut self) -> Result<(), Fault> {
        self.net.reset().await?;
        let mut agreed = false;
        loop {
            let packet = self.net.receive().await?;
            match packet.kind {
                MARKER => agreed |= packet.body.get(2) == Some(&RESET),
                DATA if agreed => {
                    self.unread = packet.body;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    pub(super) async fn byte(&mut self) -> Result<u8, Fault> {
        while self.unread.is_empty() {
            self.fill().await?;
        }
        Ok(self.unread.get_u8())
    }

    pub(super) async fn raw<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte().await?;
        }
        Ok(bytes)
    }

    pub(super) async fn skip(&mut self, mut count: usize) -> Result<(), Fault> {
        while count > 0 {
            while self.unread.is_empty() {
                self.fill().await?;
            }
            let part = count.min(self.unread.len());
            self.unread.advance(part);
            count -= part;
        }
        Ok(())
    }

    /// Puts so many bytes behind those that are there.
    pub(super) async fn take(&mut self, mut count: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
        if into.len().saturating_add(count) > LARGEST_VALUE {
            return Err(Fault::Unsupported("a value is larger than 64 MB; leave its column out"));
        }
        while count > 0 {
            while self.unread.is_empty() {
                self.fill().await?;
            }
            let part = self.unread.split_to(count.min(self.unread.len()));
            into.extend_from_slice(&part);
            count -= part.len();
        }
        Ok(())
    }

    pub(super) async fn integer(&mut self) -> Result<u64, Fault> {
        // The first bit is a sign, of numbers that mean nothing here.
        let length = self.byte().await? & 0x7f;
        if length > 8 {
            return Err(Fault::Garbled("an integer without end"));
        }
        let mut value = 0;
        for _ in 0..length {
            value = value << 8 | u64::from(self.byte().await?);
        }
        Ok(value)
    }

    pub(super) async fn integers(&mut self, count: usize) -> Result<(), Fault> {
        for _ in 0..count {
            self.integer().await?;
        }
        Ok(())
    }

    /// A value with its length before it, and nothing where it is NULL.
    pub(super) async fn value(&mut self, into: &mut Vec<u8>) -> Result<(), Fault> {
        into.clear();
        match self.byte().await? {
            NULL => Ok(()),
            LONG => loop {
                let length = self.integer().await?;
                if length == 0 {
                    return Ok(());
                }
                self.take(usize::try_from(length).unwrap_or(usize::MAX), into).await?;
            },
            length => self.take(usize::from(length), into).await,
        }
    }

    pub(super) async fn owned(&mut self) -> Result<Vec<u8>, Fault> {
        let mut value = Vec::new();
        self.value(&mut value).await?;
        Ok(value)
    }

    /// A value that comes only where a length before it says that it is there.
    pub(super) async fn announced(&mut self) -> Result<Vec<u8>, Fault> {
        match self.integer().await? {
            0 => Ok(Vec::new()),
            _ => self.owned().await,
        }
    }
}
