//! The layout of a sealed object: header, chunks, and what turns the one form into the other.

use aead_stream::aead::{self, Buffer};
use aead_stream::{NewStream, Nonce, StreamBE32, StreamPrimitive};
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::{BufMut, BytesMut};

use super::SealedError;

const MAGIC: &[u8; 8] = b"RGSEALED";
const VERSION: u8 = 1;
/// Bytes before the first chunk: fixed, so that a plaintext size follows from a stored size alone.
pub(super) const HEADER: usize = 512;
pub(super) const CHUNK: usize = 64 * 1024;
pub(super) const TAG: usize = 16;
pub(super) const SEALED_CHUNK: usize = CHUNK + TAG;
pub(super) const PREFIX: usize = 7;

pub(super) type Stream = StreamBE32<Aes256Gcm>;

/// The most bytes that a sealed file key may have.
pub const MAX_SEALED_KEY: usize = HEADER - MAGIC.len() - 1 - 4 - PREFIX - 2;

/// What lies before the chunks. Nothing in it needs to be secret; a header that was changed opens no chunk.
pub(super) struct Header<'a> {
    pub(super) prefix: [u8; PREFIX],
    pub(super) sealed_key: &'a [u8],
}

impl<'a> Header<'a> {
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        if self.sealed_key.len() > MAX_SEALED_KEY {
            return None;
        }
        let mut header = BytesMut::with_capacity(HEADER);
        header.put_slice(MAGIC);
        header.put_u8(VERSION);
        header.put_u32(CHUNK as u32);
        header.put_slice(&self.prefix);
        header.put_u16(u16::try_from(self.sealed_key.len()).ok()?);
        header.put_slice(self.sealed_key);
        header.resize(HEADER, 0);
        Some(header.into())
    }

    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
        let rest = rest.strip_prefix(&(CHUNK as u32).to_be_bytes())?;
        let (prefix, rest) = rest.split_first_chunk::<PREFIX>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        Some(Self { prefix: *prefix, sealed_key: rest.get(..usize::from(u16::from_be_bytes(*length)))? })
    }
}

/// The end of a vector as the buffer that a cipher works on, so that a chunk is copied once and never moved.
pub(super) struct Tail<'a> {
    whole: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Tail<'a> {
    pub(super) fn of(whole: &'a mut Vec<u8>) -> Self {
        let start = whole.len();
        Self { whole, start }
    }
}

impl AsRef<[u8]> for Tail<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.whole[self.start..]
    }
}

impl AsMut<[u8]> for Tail<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.whole[self.start..]
    }
}

impl Buffer for Tail<'_> {
    fn extend_from_slice(&mut self, other: &[u8]) -> aead::Result<()> {
        self.whole.extend_from_slice(other);
        Ok(())
    }

    fn truncate(&mut self, length: usize) {
        self.whole.truncate(self.start + length);
    }
}

/// A chunk as the buffer that a cipher opens, where it lies among others.
pub(super) struct Chunk<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl<'a> Chunk<'a> {
    pub(super) fn of(bytes: &'a mut [u8]) -> Self {
        let length = bytes.len();
        Self { bytes, length }
    }
}

impl AsRef<[u8]> for Chunk<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsMut<[u8]> for Chunk<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Buffer for Chunk<'_> {
    /// It is opened, which makes it shorter; there is no room for more.
    fn extend_from_slice(&mut self, _: &[u8]) -> aead::Result<()> {
        Err(aead::Error)
    }

    fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

pub(super) fn stream(key: &[u8; 32], prefix: &[u8; PREFIX]) -> Stream {
    let nonce: &Nonce<Aes256Gcm, Stream> = prefix.into();
    Stream::from_aead(Aes256Gcm::new(key.into()), nonce)
}

/// The plaintext's size of an object with `stored` bytes; `None` where no sealed object has that size.
pub(super) fn plain_len(stored: u64) -> Option<u64> {
    let body = stored.checked_sub(HEADER as u64)?;
    let (full, rest) = (body / SEALED_CHUNK as u64, body % SEALED_CHUNK as u64);
    match (full, rest) {
        (0, rest) => rest.checked_sub(TAG as u64),
        (full, 0) => Some(full * CHUNK as u64),
        // Only an empty file has an empty last chunk.
        (full, rest) if rest > TAG as u64 => Some(full * CHUNK as u64 + rest - TAG as u64),
        _ => None,
    }
}

/// Turns plaintext into sealed chunks, in order.
pub(super) struct Sealer {
    stream: Stream,
    path: String,
    position: u32,
    /// The start of a chunk; sealed only when more follows or the file ends, since the last chunk is marked.
    carry: Vec<u8>,
}

impl Sealer {
    pub(super) fn new(stream: Stream, path: String) -> Self {
        Self { stream, path, position: 0, carry: Vec::new() }
    }

    pub(super) fn push(&mut self, mut data: &[u8], out: &mut Vec<u8>) -> Result<(), SealedError> {
        while !data.is_empty() {
            if self.carry.is_empty() && data.len() > CHUNK {
                let (chunk, rest) = data.split_at(CHUNK);
                self.seal(chunk, false, out)?;
                data = rest;
                continue;
            }
            if self.carry.len() == CHUNK {
                let chunk = std::mem::take(&mut self.carry);
                self.seal(&chunk, false, out)?;
                continue;
            }
            let (taken, rest) = data.split_at(data.len().min(CHUNK - self.carry.len()));
            self.carry.extend_from_slice(taken);
            data = rest;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), SealedError> {
        let chunk = std::mem::take(&mut self.carry);
        self.seal(&chunk, true, out)
    }

    fn seal(&mut self, chunk: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), SealedError> {
        let too_large = || SealedError::TooLarge { path: self.path.clone() };
        let mut tail = Tail::of(out);
        tail.extend_from_slice(chunk).map_err(|_| too_large())?;
        self.stream.encrypt_in_place(self.position, last, self.path.as_bytes(), &mut tail).map_err(|_| too_large())?;
        self.position = self.position.checked_add(1).ok_or_else(too_large)?;
        Ok(())
    }
}
