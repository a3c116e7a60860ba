//! A list of passwords that are known from breaches elsewhere, as a file.
//!
//! The format is that of Have I Been Pwned's downloads: a line for each, the SHA-1 of the password in upper-case
//! hexadecimal, perhaps with a colon and a count, sorted. A look-up is a binary search in the file, so the whole
//! list of some forty gigabytes needs no memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use rivergen_kernel::{Error, Result};
use sha1::{Digest, Sha1};

const HASH_LENGTH: usize = 40;

/// A sorted list of hashes.
#[derive(Debug)]
pub struct BreachedList {
    path: PathBuf,
}

impl BreachedList {
    /// Fails where the file cannot be read or does not begin with a hash.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut first = String::new();
        BufReader::new(File::open(path)?).read_line(&mut first)?;
        match hash_of(&first) {
            Some(_) => Ok(Self { path: path.to_owned() }),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "does not begin with a SHA-1 in hexadecimal")),
        }
    }

    /// Whether the password is on the list. Reads the file some thirty times, so not on an async thread.
    pub fn contains(&self, password: &str) -> Result<bool> {
        let wanted = hex::encode_upper(Sha1::digest(password.as_bytes()));
        self.search(&wanted).map_err(Error::internal)
    }

    fn search(&self, wanted: &str) -> io::Result<bool> {
        let mut file = BufReader::with_capacity(256, File::open(&self.path)?);
        let (mut low, mut high) = (0, file.get_ref().metadata()?.len());
        // The line that begins at or after `low` and before `high` may be it.
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((begin, line)) = line_from(&mut file, middle)?.filter(|(begin, _)| *begin < high) else {
                high = middle;
                continue;
            };
            let found = hash_of(&line)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a line of the list is no hash"))?
                .to_ascii_uppercase();
            match wanted.cmp(found.as_str()) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => high = middle,
                std::cmp::Ordering::Greater => low = begin + line.len() as u64,
            }
        }
        Ok(false)
    }
}

/// The first line that begins at `position` or after it, with where it begins.
fn line_from(file: &mut BufReader<File>, position: u64) -> io::Result<Option<(u64, String)>> {
    let mut begin = position;
    // From the byte before, so that a line that begins exactly here is found.
    file.seek(SeekFrom::Start(position.saturating_sub(1)))?;
    if position > 0 {
        let mut rest = Vec::new();
        begin = position - 1 + file.read_until(b'\n', &mut rest)? as u64;
    }
    let mut line = String::new();
    let read = file.read_line(&mut line)?;
    Ok((read > 0).then_some((begin, line)))
}

fn hash_of(line: &str) -> Option<&str> {
    let hash = line.get(..HASH_LENGTH)?;
    let ends = line[HASH_LENGTH..].trim_end();
    (hash.bytes().all(|b| b.is_ascii_hexdigit()) && (ends.is_empty() || ends.starts_with(':'))).then_some(hash)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn list(passwords: &[String]) -> (tempfile::NamedTempFile, BreachedList) {
        let mut lines: Vec<String> = passwords
            .iter()
            .enumerate()
            .map(|(n, p)| format!("{}:{}\r\n", hex::encode_upper(Sha1::digest(p.as_bytes())), n * n * n))
            .collect();
        lines.sort();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.concat().as_bytes()).unwrap();
        let opened = BreachedList::open(file.path()).unwrap();
        (file, opened)
    }

    #[test]
    fn every_line_is_found_and_nothing_else() {
        for count in [1, 2, 3, 100] {
            let passwords: Vec<String> = (0..count).map(|n| format!("Password{n}")).collect();
            let (_file, list) = list(&passwords);
            for password in &passwords {
                assert!(list.contains(password).unwrap(), "{password} of {count}");
            }
            for n in 0..200 {
                assert!(!list.contains(&format!("Other{n}")).unwrap());
            }
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hunter2\n").unwrap();
        assert!(BreachedList::open(file.path()).is_err());
    }
}
