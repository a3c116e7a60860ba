//! The mails that a server sent, read from the folder of its file transport.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::eventually;

/// All mails of one server.
pub struct Mailbox {
    folder: PathBuf,
}

/// One mail, as its reader sees it.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    /// The plain-text part.
    pub text: String,
}

impl Mailbox {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Everything that was sent to the address so far, oldest first.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        files.sort();
        let mails = files.into_iter().map(|path| Mail::read(&std::fs::read_to_string(path).unwrap()));
        mails.filter(|mail| mail.to.contains(address)).collect()
    }

    /// The `count`th mail to the address, when it has come.
    pub async fn nth_to(&self, address: &str, count: usize) -> Mail {
        let what = format!("mail {count} to {address}");
        eventually(&what, async || self.to(address).into_iter().nth(count - 1)).await
    }

    /// The `count`th code of six digits that was mailed to the address.
    pub async fn code(&self, address: &str, count: usize) -> String {
        let code = |mail: &Mail| {
            let rest = mail.text.split_once("Your code is ")?.1;
            Some(rest[..6].to_owned())
        };
        let what = format!("code {count} to {address}");
        eventually(&what, async || self.to(address).iter().filter_map(code).nth(count - 1)).await
    }

    /// The mail with this in its subject, when it has come.
    pub async fn titled(&self, address: &str, subject: &str) -> Mail {
        let what = format!("a mail to {address} about {subject}");
        eventually(&what, async || self.to(address).into_iter().find(|mail| mail.subject.contains(subject))).await
    }

    /// The token in the link of the `count`th mail to the address.
    pub async fn token(&self, address: &str, count: usize) -> String {
        let mail = self.nth_to(address, count).await;
        let link = mail.links().into_iter().find(|link| link.contains("token=")).expect("a link with a token");
        link.split_once("token=").unwrap().1.to_owned()
    }
}

impl Mail {
    fn read(message: &str) -> Self {
        let message = message.replace("\r\n", "\n");
        let (head, body) = message.split_once("\n\n").expect("a head and a body");
        let kind = header(head, "content-type");
        let boundary = kind.split_once("boundary=\"").and_then(|(_, rest)| rest.split('"').next());
        let boundary = boundary.expect("a mail in parts");
        let plain = body
            .split(&format!("--{boundary}"))
            .filter_map(|part| part.trim_start().split_once("\n\n"))
            .find(|(head, _)| header(head, "content-type").starts_with("text/plain"))
            .expect("a part in plain text");
        let text = match header(plain.0, "content-transfer-encoding").as_str() {
            "quoted-printable" => from_quoted_printable(plain.1),
            "base64" => String::from_utf8(STANDARD.decode(plain.1.replace('\n', "")).unwrap()).unwrap(),
            _ => plain.1.to_owned(),
        };
        Self { to: header(head, "to"), subject: header(head, "subject"), text }
    }

    /// The addresses in the text.
    pub fn links(&self) -> Vec<String> {
        let words = self.text.split_whitespace();
        words.filter(|word| word.starts_with("http://") || word.starts_with("https://")).map(str::to_owned).collect()
    }
}

/// The value of a header, continued lines joined.
fn header(head: &str, name: &str) -> String {
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let found = unfolded.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    found.unwrap_or_default()
}

/// RFC 2045, section 6.7.
fn from_quoted_printable(text: &str) -> String {
    let joined = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'=').then(|| after.get(..2)).flatten();
        let decoded = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap()
}
