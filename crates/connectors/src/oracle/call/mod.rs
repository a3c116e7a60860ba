//! Calls to a database, and what it answers: the layer above packets, which Oracle calls TTC.
//!
//! A call is one message, an answer is several: descriptions of columns, rows, at last an error or its absence. Where an
//! answer ends shows only in reading it, so it is read as it comes, value by value, and never held as a whole. Integers
//! have their length before them; longer values come in chunks. Everything that the server says is checked: no length,
//! number or order of messages that it may choose makes more of this than an error.
//!
//! | file | |
//! | --- | --- |
//! | this one | the calls: sign in, query, fetch, stop |
//! | `message` | a message in the making |
//! | `request` | what is asked |
//! | `answer` | what is answered |
//! | `read` | the bytes of an answer, as they come |

mod answer;
mod message;
mod read;
mod request;

use bytes::Bytes;

use super::fault::Fault;
use super::login::{Answer, Session};
use super::negotiation::{self, FIELDS, FIELDS_AT, FIELDS_OF_18, UTF_8};
use super::net::{MARKER, Net, Target};
use super::value::Kind;
use request::{BEGIN_SIGN_IN, FETCH, LOGOFF, ROLLBACK, SIGN_IN};

pub(super) use message::Message;

/// Rows that are asked for at a time; of those with large objects fewer.
const ROWS: u32 = 2_000;
const LARGE_ROWS: u32 = 100;

/// 0.1, as Oracle counts the versions of clients.
const VERSION: &str = "1048576";
const NO_MORE_ROWS: u32 = 1_403;

/// Who signs in.
pub(super) struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
}

/// A session of a database.
pub(super) struct Connection {
    net: Net,
    /// What has come of the answer and is unread.
    unread: Bytes,
    sequence: u8,
    fields: u8,
    /// The database's characters, and the national ones.
    characters: u16,
    national: u16,
    version: u32,
    /// Cursors that are closed with the next call.
    done_with: Vec<u16>,
}

/// A statement that is read.
pub(super) struct Query {
    columns: Vec<Column>,
    /// The row that was read last.
    row: Vec<Value>,
    cursor: u16,
    rows: u32,
    /// Which columns of the next row are not as in the last one.
    changed: Option<Vec<u8>>,
    /// The server is answering.
    answering: bool,
    /// A row has been read that nobody has asked for yet.
    read_ahead: bool,
    ended: bool,
}

struct Column {
    kind: Kind,
    /// As the protocol has it, and as it is asked for.
    number: u8,
    form: u8,
    size: u32,
    /// The server says beforehand that there is nothing in it.
    empty: bool,
}

impl Column {
    fn is_long(&self) -> bool {
        matches!(self.number, 8 | 24)
    }
}

#[derive(Default)]
struct Value {
    given: bool,
    bytes: Vec<u8>,
}

impl Query {
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The raw value of a column of the row that was read last, and how to read it.
    pub fn value(&self, index: usize) -> Option<(Kind, &[u8])> {
        let (column, value) = (self.columns.get(index)?, self.row.get(index)?);
        value.given.then_some((column.kind, value.bytes.as_slice()))
    }

    fn has_large(&self) -> bool {
        self.columns.iter().any(|column| column.kind == Kind::Large)
    }
}

/// What an answer is expected to hold.
enum Expected<'a> {
    Nothing,
    Session(&'a mut Session),
    Rows(&'a mut Query),
}

enum Heard {
    Something,
    Row,
    End(Outcome),
}

/// How a call ended.
#[derive(Default)]
struct Outcome {
    code: u32,
    message: String,
    cursor: u16,
}

impl Connection {
    /// Connects and signs in.
    pub async fn open(target: &Target<'_>, login: &Login<'_>) -> Result<Self, Fault> {
        let net = Net::open(target).await?;
        let (unread, done_with) = (Bytes::new(), Vec::new());
        let mut connection =
            Self { net, unread, sequence: 0, fields: FIELDS, characters: 0, national: 0, version: 0, done_with };
        connection.negotiate().await?;
        connection.sign_in(login).await?;
        Ok(connection)
    }

    /// Whether the database's texts are in UTF-8 as the engine's are: with all characters, and in their order.
    pub fn is_utf8(&self) -> bool {
        self.characters == UTF_8
    }

    /// `19.3.0.0.0`.
    pub fn version(&self) -> String {
        let part = |shift: u32, bits: u32| (self.version >> shift) & ((1 << bits) - 1);
        let parts = match self.fields >= FIELDS_OF_18 {
            true => [part(24, 8), part(16, 8), part(12, 4), part(4, 8), part(0, 4)],
            false => [part(24, 8), part(20, 4), part(12, 4), part(8, 4), part(0, 4)],
        };
        parts.map(|part| part.to_string()).join(".")
    }

    async fn negotiate(&mut self) -> Result<(), Fault> {
        self.net.send(&negotiation::protocol()).await?;
        if self.byte().await? != 1 {
            return Err(Fault::Garbled("an answer to the protocol's version that is none"));
        }
        // Versions of the protocol, and the server's name.
        for _ in 0..2 {
            while self.byte().await? != 0 {}
        }
        self.characters = u16::from_le_bytes(self.raw().await?);
        self.skip(1).await?;
        let graph = u16::from_le_bytes(self.raw().await?);
        self.skip(usize::from(graph) * 5).await?;
        let length = u16::from_be_bytes(self.raw().await?);
        let mut description = Vec::new();
        self.take(usize::from(length), &mut description).await?;
        let national = match description.get(5..7) {
            Some(&[first, second]) => {
                let at = 9 + usize::from(first) + usize::from(second);
                description.get(at..at + 2).and_then(|number| number.first_chunk())
            }
            _ => None,
        };
        self.national = u16::from_be_bytes(*national.ok_or(Fault::Garbled("no national characters"))?);
        let abilities = self.owned().await?;
        self.owned().await?;
        self.fields = self.fields.min(abilities.get(FIELDS_AT).copied().unwrap_or(FIELDS));

        self.net.send(&negotiation::data_types(self.fields)).await?;
        if self.byte().await? != 2 {
            return Err(Fault::Garbled("an answer to the types that is none"));
        }
        while u16::from_be_bytes(self.raw().await?) != 0 {
            if u16::from_be_bytes(self.raw().await?) != 0 {
                self.skip(4).await?;
            }
        }
        Ok(())
    }

    async fn sign_in(&mut self, login: &Login<'_>) -> Result<(), Fault> {
        let mut session = Session::new();
        let process = std::process::id().to_string();
        let pairs = [
            ("AUTH_TERMINAL", "unknown", 0),
            ("AUTH_PROGRAM_NM", "rivergen", 0),
            ("AUTH_MACHINE", "rivergen", 0),
            ("AUTH_PID", &process, 0),
            ("AUTH_SID", "rivergen", 0),
        ];
        self.show(login, BEGIN_SIGN_IN, 1, &pairs).await?;
        self.heard(&mut Expected::Session(&mut session)).await?;
        let answer = Answer::new(login.password, &session)?;
        let characters = UTF_8.to_string();
        let pairs = [
            ("AUTH_SESSKEY", answer.session_key.as_str(), 1),
            ("AUTH_PBKDF2_SPEEDY_KEY", &answer.speedy_key, 0),
            ("AUTH_PASSWORD", &answer.password, 0),
            ("SESSION_CLIENT_CHARSET", &characters, 0),
            ("SESSION_CLIENT_DRIVER_NAME", "rivergen", 0),
            ("SESSION_CLIENT_VERSION", VERSION, 0),
            ("AUTH_ALTER_SESSION", "ALTER SESSION SET TIME_ZONE='+00:00'\0", 1),
        ];
        self.show(login, SIGN_IN, 0x101, &pairs).await?;
        self.heard(&mut Expected::Session(&mut session)).await?;
        answer.proves(&session)?;
        self.version = session.get("AUTH_VERSION_NO").and_then(|(text, _)| text.parse().ok()).unwrap_or_default();
        Ok(())
    }

    async fn show(
        &mut self,
        login: &Login<'_>,
        function: u8,
        mode: u32,
        pairs: &[(&str, &str, u32)],
    ) -> Result<(), Fault> {
        let mut message = self.function(function);
        message.byte(1);
        message.length(login.user.len());
        message.integer(mode);
        message.byte(1);
        message.length(pairs.len());
        message.bytes(&[1, 1]);
        message.value(login.user.as_bytes());
        for (name, value, flags) in pairs {
            message.pair(name, value, *flags);
        }
        self.net.send(&message.0).await
    }

    /// Runs a statement that has no rows.
    pub async fn run(&mut self, sql: &str) -> Result<(), Fault> {
        let message = self.statement(sql, false);
        self.net.send(&message.0).await?;
        let outcome = self.heard(&mut Expected::Nothing).await?;
        self.done_with.extend((outcome.cursor != 0).then_some(outcome.cursor));
        Ok(())
    }

    /// Ends the transaction, and so tells whether the session is still there.
    pub async fn roll_back(&mut self) -> Result<(), Fault> {
        let message = self.function(ROLLBACK);
        self.net.send(&message.0).await?;
        self.heard(&mut Expected::Nothing).await.map(drop)
    }

    /// Begins a query; its rows are what [`Connection::next`] reads.
    pub async fn query(&mut self, sql: &str) -> Result<Query, Fault> {
        let (columns, row) = (Vec::new(), Vec::new());
        let mut query = Query {
            columns,
            row,
            cursor: 0,
            rows: ROWS,
            changed: None,
            answering: true,
            read_ahead: false,
            ended: false,
        };
        let message = self.statement(sql, true);
        self.net.send(&message.0).await?;
        self.read_ahead(&mut query).await?;
        if query.has_large() {
            // Their rows come once it is said how they are wanted: as texts and bytes, not as places to read from.
            for column in query.columns.iter_mut().filter(|column| column.kind == Kind::Large) {
                // A long text, or long bytes.
                column.number = if column.number == 112 { 8 } else { 24 };
                column.kind = Kind::of(column.number, column.form).unwrap_or(Kind::Large);
            }
            if query.read_ahead || query.answering {
                return Err(Fault::Garbled("rows that nobody has said how to read"));
            }
            (query.rows, query.answering, query.ended) = (LARGE_ROWS, true, false);
            let message = self.definition(&query);
            self.net.send(&message.0).await?;
            self.read_ahead(&mut query).await?;
        }
        Ok(query)
    }

    async fn read_ahead(&mut self, query: &mut Query) -> Result<(), Fault> {
        query.read_ahead = self.row(query).await?;
        Ok(())
    }

    /// Reads the next row; `false` where there is none.
    pub async fn next(&mut self, query: &mut Query) -> Result<bool, Fault> {
        if std::mem::take(&mut query.read_ahead) {
            return Ok(true);
        }
        loop {
            if query.answering && self.row(query).await? {
                return Ok(true);
            }
            if query.ended {
                self.done_with.extend((query.cursor != 0).then_some(query.cursor));
                query.cursor = 0;
                return Ok(false);
            }
            let mut message = self.function(FETCH);
            message.integer(u32::from(query.cursor));
            message.integer(query.rows);
            self.net.send(&message.0).await?;
            query.answering = true;
        }
    }

    /// Reads the answer up to its next row; `false` where it has no more.
    async fn row(&mut self, query: &mut Query) -> Result<bool, Fault> {
        loop {
            match self.message(&mut Expected::Rows(query)).await {
                Ok(Heard::Something) | Err(Fault::Anew) => {}
                Ok(Heard::Row) => return Ok(true),
                Ok(Heard::End(outcome)) => {
                    query.answering = false;
                    if outcome.cursor != 0 {
                        query.cursor = outcome.cursor;
                    }
                    match outcome.code {
                        0 => query.ended = query.cursor == 0,
                        NO_MORE_ROWS => query.ended = true,
                        code => return Err(Fault::Database { code, message: outcome.message }),
                    }
                    return Ok(false);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Reads an answer to its end.
    async fn heard(&mut self, expected: &mut Expected<'_>) -> Result<Outcome, Fault> {
        loop {
            match self.message(expected).await {
                Ok(Heard::Something) | Err(Fault::Anew) => {}
                Ok(Heard::Row) => return Err(Fault::Garbled("a row where none is expected")),
                Ok(Heard::End(Outcome { code: 0, message: _, cursor })) => {
                    return Ok(Outcome { cursor, ..Outcome::default() });
                }
                Ok(Heard::End(Outcome { code, message, .. })) => return Err(Fault::Database { code, message }),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Has the server stop what it is doing. The session is of no use after it.
    pub async fn stop(&mut self) -> Result<(), Fault> {
        if self.net.interrupt().await? {
            self.net.reset().await?;
            // It answers that it has stopped; what it says is nobody's any more.
            while self.net.receive().await?.kind != MARKER {}
        }
        Ok(())
    }

    /// Takes leave.
    pub async fn close(&mut self) -> Result<(), Fault> {
        let message = self.function(LOGOFF);
        self.net.send(&message.0).await?;
        self.heard(&mut Expected::Nothing).await?;
        self.net.end().await
    }
}
