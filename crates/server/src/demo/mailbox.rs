//! `GET /demo/mails`: what a demo has mailed, for the console's page of it.
//!
//! Mails carry links that open accounts. Only a demo shows them, where the password of everybody stands on the sign-in page.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use axum::{Json, Router, extract::State, http::header, response::IntoResponse, routing::get};
use rivergen_kernel::{Error, Result};
use rivergen_platform::mail::Transport;
use serde::Serialize;

/// How many are told, the newest.
const MOST: usize = 100;

/// A mail as it was sent.
#[derive(Serialize)]
struct Sent {
    /// Of its file: its time and its job.
    name: String,
    /// Its headers and its parts (RFC 5322).
    message: String,
}

/// The route, where mails lie in a folder; what a mail server took is with its readers.
pub fn routes(transport: &Transport) -> Router {
    match transport {
        Transport::File { directory } => Router::new().route("/demo/mails", get(list)).with_state(directory.clone()),
        Transport::Smtp { .. } => Router::new(),
    }
}

async fn list(State(folder): State<PathBuf>) -> Result<impl IntoResponse> {
    let mails = newest(&folder).await.map_err(Error::internal)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(mails)))
}

/// The newest first; none where the folder is made with the first that is sent.
async fn newest(folder: &Path) -> io::Result<Vec<Sent>> {
    let mut names = Vec::new();
    match tokio::fs::read_dir(folder).await {
        Ok(mut entries) => {
            while let Some(entry) = entries.next_entry().await? {
                // What is still being written has another ending.
                names.extend(entry.file_name().into_string().ok().filter(|name| name.ends_with(".eml")));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Their names begin with their times.
    names.sort_unstable();
    let mut mails = Vec::new();
    for name in names.into_iter().rev().take(MOST) {
        match tokio::fs::read_to_string(folder.join(&name)).await {
            Ok(message) => mails.push(Sent { name, message }),
            // Taken away since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(mails)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_that_vanishes_while_they_are_read_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1.eml"), "Subject: Here").unwrap();
        // It is listed, and there is nothing to read.
        std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("2.eml")).unwrap();
        let mails = newest(folder.path()).await.unwrap();
        assert_eq!(mails.iter().map(|mail| mail.name.as_str()).collect::<Vec<_>>(), ["1.eml"]);
    }
}
