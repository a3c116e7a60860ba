//! Brings mails out: over SMTP, or into a folder for development and tests.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::{self, authentication::Credentials},
};
use rivergen_kernel::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::{CONTEXT, JOB, Letter, Mail, recipient};
use crate::{
    Clock,
    jobs::{Handler, JobContext, JobError, Jobs},
    vault::{Owner, Vault},
};

/// What the configuration says: `[mail]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// `RiverGen <no-reply@example.com>`
    pub from: String,
    #[serde(default)]
    pub reply_to: Option<String>,
    pub transport: Transport,
}

/// Where mails go.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "kind")]
pub enum Transport {
    Smtp {
        host: String,
        /// The usual one of the kind of security where it is not given: 587, 465 or 25.
        #[serde(default)]
        port: Option<u16>,
        #[serde(default)]
        security: Security,
        #[serde(default)]
        username: Option<String>,
        #[serde(default)]
        password: Option<Secret>,
    },
    /// One `.eml` file for each mail, named by its time and job: `20260314T150926.535897Z-42.eml`.
    File { directory: PathBuf },
}

/// How the connection to the mail server is protected. Certificates are always verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Begins in the clear and must change to TLS before anything is said.
    #[default]
    StartTls,
    Tls,
    /// For a relay on the same machine.
    None,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    #[error("mail.{field} is not an e-mail address: {source}")]
    Address { field: &'static str, source: lettre::address::AddressError },
    #[error("mail.transport: a username needs a password, and a password a username")]
    HalfCredentials,
    #[error("mail.transport: a password is not sent over an unprotected connection; use security = \"starttls\"")]
    PasswordInTheClear,
    #[error("mail.transport: {0}")]
    Smtp(#[from] smtp::Error),
}

/// The handler of the outbox's jobs.
pub struct Delivery {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    way: Way,
    vault: Vault,
    clock: Clock,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

impl Delivery {
    pub fn new(config: &MailConfig, vault: Vault, clock: Clock) -> Result<Self, MailConfigError> {
        let address = |field, text: &str| text.parse().map_err(|source| MailConfigError::Address { field, source });
        let way = match &config.transport {
            Transport::File { directory } => Way::Folder(directory.clone()),
            Transport::Smtp { host, port, security, username, password } => {
                Way::Smtp(connect(host, *port, *security, username.as_deref(), password.as_ref())?)
            }
        };
        Ok(Self {
            from: address("from", &config.from)?,
            reply_to: config.reply_to.as_deref().map(|text| address("reply_to", text)).transpose()?,
            way,
            vault,
            clock,
        })
    }

    /// Takes the outbox's jobs on this node.
    pub fn register(self, jobs: &Jobs) {
        jobs.register(JOB, std::sync::Arc::new(self));
    }

    /// Builds the message. Header values are typed and encoded, so no line break in a subject or a name
    /// makes a header of its own.
    fn message(&self, mail: &Mail, job: &JobContext) -> Result<Message, JobError> {
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(recipient(&mail.to).map_err(|_| JobError::fatal("the recipient is not an e-mail address"))?)
            .subject(single_line(&mail.subject))
            .date(std::time::SystemTime::from(self.clock.now()))
            // The same in each attempt: a mail that was sent twice is recognised as one.
            .message_id(Some(format!("<job-{}@{}>", job.job_id, self.from.email.domain())));
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        message
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|_| JobError::fatal("the message cannot be built"))
    }

    async fn deliver(&self, message: Message, job: &JobContext) -> Result<(), JobError> {
        match &self.way {
            Way::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                // 5xx: it will be refused tomorrow too.
                Err(error) if error.is_permanent() => Err(JobError::Fatal(said(&error))),
                Err(error) => Err(JobError::Retry(said(&error))),
            },
            Way::Folder(folder) => {
                let name = format!("{}-{}.eml", self.clock.now().format("%Y%m%dT%H%M%S%.6fZ"), job.job_id);
                write(folder, &name, &message.formatted()).await.map_err(|error| {
                    JobError::Retry(format!("cannot write into the mail folder {}: {error}", folder.display()))
                })
            }
        }
    }
}

#[async_trait]
impl Handler for Delivery {
    async fn run(&self, payload: Value, job: JobContext) -> Result<(), JobError> {
        let letter: Letter = serde_json::from_value(payload).map_err(|_| JobError::fatal("not a letter"))?;
        let sealed = letter.sealed().ok_or_else(|| JobError::fatal("not a letter"))?;
        let plain = self.vault.open(Owner::System, CONTEXT, &sealed).await.map_err(JobError::retry)?;
        let mail: Mail = serde_json::from_slice(&plain).map_err(|_| JobError::fatal("not a mail"))?;
        let message = self.message(&mail, &job)?;
        self.deliver(message, &job).await?;
        tracing::info!(job = %job.job_id, mail = mail.kind, "a mail was sent");
        Ok(())
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(120)
    }
}

fn connect(
    host: &str,
    port: Option<u16>,
    security: Security,
    username: Option<&str>,
    password: Option<&Secret>,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailConfigError> {
    let mut builder = match security {
        Security::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host)?,
        Security::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(host)?,
        Security::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host),
    };
    if let Some(port) = port {
        builder = builder.port(port);
    }
    match (username, password) {
        (None, None) => {}
        (Some(_), Some(_)) if security == Security::None => return Err(MailConfigError::PasswordInTheClear),
        (Some(username), Some(password)) => {
            builder = builder.credentials(Credentials::new(username.to_owned(), password.expose().to_owned()));
        }
        _ => return Err(MailConfigError::HalfCredentials),
    }
    Ok(builder.timeout(Some(Duration::from_secs(30))).build())
}

/// What the mail server said, with the cause; never the message itself.
fn said(error: &smtp::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// A subject is one line, whatever it was made from.
fn single_line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Under its name only when it is whole: whoever watches the folder never reads half a mail.
async fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let draft = folder.join(format!(".{name}.part"));
    tokio::fs::write(&draft, content).await?;
    tokio::fs::rename(&draft, folder.join(name)).await
}
