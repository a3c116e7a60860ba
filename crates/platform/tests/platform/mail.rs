//! Mails are written with the change, lie sealed, and come out whole.

use std::{path::Path, sync::Arc};

use rivergen_kernel::{ErrorCode, Secret};
use rivergen_platform::{
    jobs::{Jobs, job},
    mail::{Delivery, Mail, MailConfig, MailTemplate, Outbox, Security, Transport},
};
use sea_orm::EntityTrait;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::database::TestDatabase;

on_both_databases!(
    a_mail_comes_out_after_the_commit_and_its_text_is_gone,
    a_subject_cannot_add_headers,
    an_address_that_is_none_is_refused,
    a_refused_recipient_ends_the_mail_and_a_busy_server_delays_it,
);

fn outbox(test: &TestDatabase, transport: Transport) -> (Jobs, Outbox) {
    let jobs = Jobs::new(test.db.clone(), test.clock.clone());
    let config = MailConfig { from: "RiverGen <no-reply@example.com>".to_owned(), reply_to: None, transport };
    Delivery::new(&config, test.vault(), test.clock.clone()).unwrap().register(&jobs);
    (jobs.clone(), Outbox::new(jobs, test.vault()))
}

fn folder(test: &TestDatabase) -> Transport {
    Transport::File { directory: test.folder.path().join("mails") }
}

fn template() -> MailTemplate {
    MailTemplate::new("Confirm your address")
        .paragraph("Welcome, Zoë.")
        .action("Confirm", "https://rivergen.example/verify?token=tok-SECRET-123")
        .footer("You did not sign up? Ignore this mail.")
}

async fn send(test: &TestDatabase, outbox: &Outbox, mail: Mail) {
    let tx = test.db.begin().await.unwrap();
    outbox.send(&tx, mail).await.unwrap();
    tx.commit().await.unwrap();
}

/// Header lines and the decoded body parts of the only mail in the folder.
fn only_mail(folder: &Path) -> String {
    let files: Vec<_> = std::fs::read_dir(folder.join("mails")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0].extension().unwrap(), "eml");
    std::fs::read_to_string(&files[0]).unwrap()
}

/// Quoted-printable, as much as these mails use of it.
fn decoded(eml: &str) -> String {
    let joined = eml.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn a_mail_comes_out_after_the_commit_and_its_text_is_gone(test: &TestDatabase) {
    let (jobs, outbox) = outbox(test, folder(test));
    let tx = test.db.begin().await.unwrap();
    outbox.send(&tx, template().into_mail("verify_email", "undone@example.com")).await.unwrap();
    drop(tx);
    send(test, &outbox, template().into_mail("verify_email", "Zoë <zoe@example.com>")).await;

    let waiting = job::Entity::find().all(test.db.read()).await.unwrap();
    let waiting: Vec<_> = waiting.iter().filter(|job| job.kind == "mail.send").collect();
    assert_eq!(waiting.len(), 1);
    assert!(!waiting[0].payload.contains("SECRET") && !waiting[0].payload.contains("zoe@"), "it lies sealed");

    jobs.run_due().await.unwrap();
    let eml = only_mail(test.folder.path());
    assert!(eml.contains("From: RiverGen <no-reply@example.com>\r\n"), "{eml}");
    assert!(eml.contains("<zoe@example.com>\r\n") && eml.contains("Subject: Confirm your address\r\n"), "{eml}");
    assert!(eml.contains(&format!("Message-ID: <job-{}@example.com>\r\n", waiting[0].id)), "{eml}");
    assert!(eml.contains("text/plain") && eml.contains("text/html"), "{eml}");
    let text = decoded(&eml);
    assert!(text.contains("Welcome, Zoë."), "{text}");
    assert_eq!(text.matches("https://rivergen.example/verify?token=tok-SECRET-123").count(), 3, "{text}");

    let sent = job::Entity::find_by_id(waiting[0].id).one(test.db.read()).await.unwrap().unwrap();
    assert_eq!((sent.state, sent.payload.as_str()), (job::State::Done, "null"));
}

async fn a_subject_cannot_add_headers(test: &TestDatabase) {
    let (jobs, outbox) = outbox(test, folder(test));
    let mut mail = template().into_mail("invitation", "zoe@example.com");
    mail.subject = "Join Acme\r\nBcc: everybody@example.com\r\n\r\n<b>hello</b>".to_owned();
    send(test, &outbox, mail).await;
    jobs.run_due().await.unwrap();
    let eml = only_mail(test.folder.path());
    let headers = eml.split("\r\n\r\n").next().unwrap();
    assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    assert!(headers.contains("Subject: Join Acme Bcc: everybody@example.com"), "{headers}");
}

async fn an_address_that_is_none_is_refused(test: &TestDatabase) {
    let (_, outbox) = outbox(test, folder(test));
    let tx = test.db.begin().await.unwrap();
    for address in ["", "zoe", "zoe@", "zoe@example.com\r\nBcc: x@example.com", "a@example.com, b@example.com"] {
        let error = outbox.send(&tx, template().into_mail("x", address)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ValidationError, "{address:?}");
    }
}

/// A mail server that answers RCPT with the given lines in turn.
async fn mail_server(answers: &'static [&'static str]) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers = Arc::new(std::sync::Mutex::new(answers.iter()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"220 test\r\n").await.unwrap();
                let mut in_data = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match line.split([' ', ':']).next().unwrap() {
                        "." => {
                            in_data = false;
                            "250 taken"
                        }
                        _ if in_data => continue,
                        "RCPT" => answers.lock().unwrap().next().copied().unwrap_or("250 ok"),
                        "DATA" => {
                            in_data = true;
                            "354 go on"
                        }
                        "QUIT" => "221 bye",
                        _ => "250 ok",
                    };
                    if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn a_refused_recipient_ends_the_mail_and_a_busy_server_delays_it(test: &TestDatabase) {
    let port = mail_server(&["450 try later", "250 ok", "550 no such person"]).await;
    let transport = Transport::Smtp {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        security: Security::None,
        username: None,
        password: None,
    };
    let (jobs, outbox) = outbox(test, transport);
    send(test, &outbox, template().into_mail("x", "zoe@example.com")).await;
    let state = async || {
        let rows = job::Entity::find().all(test.db.read()).await.unwrap();
        let row = rows.into_iter().rfind(|row| row.kind == "mail.send").unwrap();
        (row.state, row.last_error.unwrap_or_default())
    };
    jobs.run_due().await.unwrap();
    let (first, error) = state().await;
    assert_eq!(first, job::State::Queued, "{error}");
    assert!(error.contains("try later") && !error.contains("SECRET"), "{error}");
    test.time.advance(chrono::Duration::seconds(6));
    jobs.run_due().await.unwrap();
    assert_eq!(state().await.0, job::State::Done);

    send(test, &outbox, template().into_mail("x", "nobody@example.com")).await;
    jobs.run_due().await.unwrap();
    let (last, error) = state().await;
    assert_eq!(last, job::State::Dead);
    assert!(error.contains("no such person"), "{error}");
}

#[tokio::test]
async fn a_password_never_travels_in_the_clear() {
    let test = TestDatabase::sqlite().await;
    let config = |security, password: Option<&str>| MailConfig {
        from: "no-reply@example.com".to_owned(),
        reply_to: None,
        transport: Transport::Smtp {
            host: "mail.example.com".to_owned(),
            port: None,
            security,
            username: Some("rivergen".to_owned()),
            password: password.map(Secret::new),
        },
    };
    let made = |config: MailConfig| Delivery::new(&config, test.vault(), test.clock.clone()).map(drop);
    assert!(made(config(Security::StartTls, Some("x"))).is_ok());
    assert!(made(config(Security::Tls, Some("x"))).is_ok());
    assert!(made(config(Security::None, Some("x"))).is_err());
    assert!(made(config(Security::Tls, None)).is_err());
}

#[test]
fn the_configuration_says_where_mails_go() {
    let read = serde_json::from_value::<MailConfig>;
    let smtp = read(json!({
        "from": "no-reply@example.com",
        "transport": {"kind": "smtp", "host": "mail.example.com", "username": "rivergen", "password": "hunter2"},
    }))
    .unwrap();
    assert!(matches!(smtp.transport, Transport::Smtp { security: Security::StartTls, port: None, .. }));
    assert!(!format!("{smtp:?}").contains("hunter2"));
    let file = read(json!({"from": "a@example.com", "transport": {"kind": "file", "directory": "mails"}})).unwrap();
    assert!(matches!(file.transport, Transport::File { .. }));
    assert!(read(json!({"from": "a@example.com", "transport": {"kind": "smtp", "hots": "x"}})).is_err());
}
