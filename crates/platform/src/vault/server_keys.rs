//! The server's own keys, which seal the data keys.
//!
//! They come from a file that only the server can read, made at the first start, or from the
//! configuration as text. There may be several: the first seals, all open. So the key is changed by
//! putting a new one first, restarting, resealing the data keys, and then removing the old one.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use aes_gcm::{Aes256Gcm, KeyInit};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::Rng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{NONCE, Owner, Result, TAG, VaultError, decrypt, encrypt};

const FORMAT: u8 = 1;
const ID: usize = 8;

/// Why the keys could not be had. It stops the start, so it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot {action} the key file {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("server key {position} is not 32 bytes in base64; make one with `openssl rand -base64 32`")]
    NotAKey { position: usize },
    #[error("there is no server key in the text; make one with `openssl rand -base64 32`")]
    Empty,
}

/// The keys, the sealing one first; cheap to clone.
#[derive(Clone)]
pub struct ServerKeys(Arc<[ServerKey]>);

struct ServerKey {
    /// Names the key in what it sealed; tells nothing of it.
    id: [u8; ID],
    cipher: Aes256Gcm,
}

impl ServerKey {
    fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"rivergen server key id\0").chain_update(key).finalize();
        let mut id = [0; ID];
        id.copy_from_slice(&digest[..ID]);
        Self { id, cipher: Aes256Gcm::new(&(*key).into()) }
    }
}

impl std::fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| hex::encode(key.id))).finish()
    }
}

impl ServerKeys {
    /// Reads keys from text: 32 bytes each in base64, separated by commas or line ends; `#` begins a comment.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let entries = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""))
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let mut keys = Vec::new();
        for (index, entry) in entries.enumerate() {
            let bytes = Zeroizing::new(STANDARD.decode(entry).unwrap_or_default());
            let key: &[u8; 32] =
                bytes.as_slice().try_into().map_err(|_| KeyFileError::NotAKey { position: index + 1 })?;
            keys.push(ServerKey::new(key));
        }
        if keys.is_empty() { Err(KeyFileError::Empty) } else { Ok(Self(keys.into())) }
    }

    /// Reads the file, or makes it with one random key where there is none. The file appears whole or not
    /// at all, is readable by its owner only, and one that exists is never overwritten: two servers that
    /// start at once in one folder end with the same key.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |action| move |source| KeyFileError::Io { action, path: path.to_owned(), source };
        match fs::read_to_string(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                warn_if_others_can_read(path);
                Self::parse(&text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(failed("create"))?;
                let text = Zeroizing::new(fs::read_to_string(path).map_err(failed("read"))?);
                Self::parse(&text)
            }
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// Seals a data key under the first key: format (1 byte), id of the server key (8), nonce, ciphertext, tag.
    pub(super) fn seal(&self, owner: Owner, version: i32, data_key: &[u8; 32]) -> Result<Vec<u8>> {
        let first = &self.0[0];
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(&first.id);
        encrypt(&first.cipher, &aad(owner, version), data_key, &mut sealed)?;
        Ok(sealed)
    }

    pub(super) fn open(&self, owner: Owner, version: i32, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let (id, rest) = parts(sealed).ok_or(VaultError::Malformed)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| VaultError::NoServerKey {
            owner,
            version,
            server_key: hex::encode(id),
        })?;
        let opened = decrypt(&key.cipher, &aad(owner, version), rest)?;
        let mut data_key = Zeroizing::new([0; 32]);
        if opened.len() != data_key.len() {
            return Err(VaultError::Malformed);
        }
        data_key.copy_from_slice(&opened);
        Ok(data_key)
    }

    pub(super) fn sealed_with_first(&self, sealed: &[u8]) -> bool {
        parts(sealed).is_some_and(|(id, _)| id == self.0[0].id)
    }
}

fn parts(sealed: &[u8]) -> Option<([u8; ID], &[u8])> {
    let [FORMAT, rest @ ..] = sealed else { return None };
    let (id, rest) = rest.split_first_chunk::<ID>()?;
    (rest.len() >= NONCE + TAG).then_some((*id, rest))
}

/// A data key opens only as what it is: of this owner, in this version.
fn aad(owner: Owner, version: i32) -> Vec<u8> {
    format!("rivergen data key\0{}\0{version}", owner.aad()).into_bytes()
}

/// Writes a new key beside the path and links it there, which fails where something is already.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut key = Zeroizing::new([0u8; 32]);
    rand::rng().fill_bytes(key.as_mut());
    let mut text = STANDARD.encode(*key);
    let draft = folder.join(format!(".{:016x}.key", rand::random::<u64>()));
    let written = write_private(&draft, &text).and_then(|()| match fs::hard_link(&draft, path) {
        // Another server was first: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    });
    text.zeroize();
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    // The name must survive a power cut as well as the content.
    fs::File::open(folder)?.sync_all()
}

fn write_private(path: &Path, key: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "# The key under which this server seals secrets. Without it they cannot be read: keep a copy.")?;
    writeln!(file, "{key}")?;
    file.sync_all()
}

fn warn_if_others_can_read(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "other users of this machine can read the key file; chmod 600");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}
