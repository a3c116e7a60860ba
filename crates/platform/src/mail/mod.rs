//! The mail outbox: a mail is written in the transaction of what it tells, and sent by a job after the
//! commit. So nobody is told of what was rolled back, and no mail is lost with a mail server.
//!
//! Mails carry links that open accounts. Until it is sent, a mail lies sealed in the jobs table; once it
//! is sent its text is gone; nothing of it but its kind is ever logged.

mod deliver;
mod template;

use lettre::message::Mailbox;
use rivergen_kernel::{Error, JobId, Result};
use serde::{Deserialize, Serialize};

pub use deliver::{Delivery, MailConfig, MailConfigError, Security, Transport};
pub use template::{Action, MailTemplate, Table, escape};

use crate::{
    Platform, Transaction,
    jobs::{JobOptions, Jobs},
    vault::{Owner, Sealed, Vault},
};

/// The kind of the outbox's jobs.
pub const JOB: &str = "mail.send";

/// What a sealed mail in the outbox is sealed for.
const CONTEXT: &str = "jobs.mail";

/// One mail to one person.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    /// `person@example.com` or `Name <person@example.com>`.
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// What it is, for the log and for statistics: `"verify_email"`.
    pub kind: String,
}

/// The body never prints.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Writes mails into the outbox; cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    jobs: Jobs,
    vault: Vault,
}

impl Outbox {
    pub fn new(jobs: Jobs, vault: Vault) -> Self {
        Self { jobs, vault }
    }

    /// Sends the mail if and when the transaction commits. An address that no mail can go to is refused here,
    /// as an error of the field `email`.
    pub async fn send(&self, tx: &Transaction, mail: Mail) -> Result<JobId> {
        let letter = self.seal(tx, mail).await?;
        self.jobs.enqueue(tx, JOB, &letter, JobOptions::default()).await
    }

    /// The same for many, with few statements; one address that no mail can go to fails them all.
    pub async fn send_all(&self, tx: &Transaction, mails: Vec<Mail>) -> Result<()> {
        let mut letters = Vec::new();
        for mail in mails {
            letters.push(self.seal(tx, mail).await?);
        }
        self.jobs.enqueue_all(tx, JOB, letters).await
    }

    async fn seal(&self, tx: &Transaction, mail: Mail) -> Result<Letter> {
        check_recipient(&mail.to)?;
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&mail).map_err(Error::internal)?);
        let sealed = self.vault.seal(tx, Owner::System, CONTEXT, &plain).await?;
        Ok(Letter { kind: mail.kind, sealed: hex::encode(sealed.0) })
    }
}

/// [`Outbox::send`] for whoever has the platform at hand.
pub async fn send(platform: &Platform, tx: &Transaction, mail: Mail) -> Result<JobId> {
    Outbox::new(platform.jobs.clone(), platform.vault.clone()).send(tx, mail).await
}

/// [`Outbox::send_all`] for whoever has the platform at hand.
pub async fn send_all(platform: &Platform, tx: &Transaction, mails: Vec<Mail>) -> Result<()> {
    Outbox::new(platform.jobs.clone(), platform.vault.clone()).send_all(tx, mails).await
}

/// A mail as it lies in the jobs table.
#[derive(Serialize, Deserialize)]
struct Letter {
    kind: String,
    sealed: String,
}

impl Letter {
    /// Opens the mail; `None` where the letter is not one.
    fn sealed(&self) -> Option<Sealed> {
        hex::decode(&self.sealed).ok().map(Sealed)
    }
}

/// Refuses an address that no mail can go to, as an error of the field `email`.
pub fn check_recipient(address: &str) -> Result<()> {
    let checked = recipient(address).map(drop);
    checked.map_err(|_| Error::invalid_field("email", "is not an e-mail address"))
}

fn recipient(address: &str) -> Result<Mailbox, lettre::address::AddressError> {
    address.parse()
}
