//! Calls to a database, and what it answers: the layer above packets, which Oracle calls TTC.
//!
//! A call is one message, an answer is several: descriptions of columns, rows, at last an error or its absence. Where an
//! answer ends shows only in reading it, so it is read as it comes, value by value, and never held as a whole. Integers
//! have their length before them; longer values come in chunks. Everything that the server says is checked: no length,
//! number or order of messages that it may choose makes more of this than an error.

use bytes::{Buf, Bytes};

use super::fault::Fault;
use super::login::{Answer, Session};
use super::negotiation::{self, FIELDS, FIELDS_AT, FIELDS_OF_12_2, FIELDS_OF_12_2_EXTENDED, FIELDS_OF_18, UTF_8};
use super::net::{CONTROL, DATA, MARKER, Net, RESET, Target};
use super::value::Kind;

/// One value, and all of a row.
const LARGEST_VALUE: usize = 64 * 1024 * 1024;
const LARGEST_ROW: usize = 128 * 1024 * 1024;
/// Of a statement, as Oracle has it.
const MOST_COLUMNS: u64 = 4_096;
/// Rows that are asked for at a time; of those with large objects fewer.
const ROWS: u32 = 2_000;
const LARGE_ROWS: u32 = 100;
/// Chunks that longer values are sent in.
const CHUNK: usize = 32_767;
/// Shorter values have their length in one byte before them.
const LONGEST_SHORT: usize = 252;
const LONG: u8 = 254;
const NULL: u8 = 255;

/// 0.1, as Oracle counts the versions of clients.
const VERSION: &str = "1048576";
const UTF_16: u16 = 2_000;
const NO_MORE_ROWS: u32 = 1_403;

/// Kinds of messages.
const FUNCTION: u8 = 3;
const PIGGYBACK: u8 = 17;
const ERROR: u8 = 4;
const ROW_HEADER: u8 = 6;
const ROW: u8 = 7;
const PARAMETERS: u8 = 8;
const STATUS: u8 = 9;
const WARNING: u8 = 15;
const DESCRIPTION: u8 = 16;
const BIT_VECTOR: u8 = 21;
const SERVER_PIGGYBACK: u8 = 23;

/// Functions.
const FETCH: u8 = 5;
const LOGOFF: u8 = 9;
const EXECUTE: u8 = 94;
const ROLLBACK: u8 = 15;
const CLOSE_CURSORS: u8 = 105;
const SIGN_IN: u8 = 115;
const BEGIN_SIGN_IN: u8 = 118;

/// What is to be done with a statement.
const PARSE: u32 = 0x01;
const DEFINE: u32 = 0x10;
const RUN: u32 = 0x20;
const FETCH_AT_ONCE: u32 = 0x40;
const NO_PROCEDURE: u32 = 0x8000;
const IMPLICIT_RESULTS: u32 = 0x8000;

/// A message in the making.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn integer(&mut self, value: u32) {
        let bytes = value.to_be_bytes();
        let bytes = match value {
            0 => &[],
            1..=0xff => &bytes[3..],
            0x100..=0xffff => &bytes[2..],
            _ => &bytes[..],
        };
        self.byte(bytes.len() as u8);
        self.bytes(bytes);
    }

    fn length(&mut self, length: usize) {
        self.integer(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// A value with its length before it.
    pub fn value(&mut self, value: &[u8]) {
        if value.len() <= LONGEST_SHORT {
            self.byte(value.len() as u8);
            return self.bytes(value);
        }
        self.byte(LONG);
        for chunk in value.chunks(CHUNK) {
            self.length(chunk.len());
            self.bytes(chunk);
        }
        self.integer(0);
    }

    /// A name, what it stands for, and a number beside it.
    fn pair(&mut self, name: &str, value: &str, flags: u32) {
        self.length(name.len());
        self.value(name.as_bytes());
        self.length(value.len());
        if !value.is_empty() {
            self.value(value.as_bytes());
        }
        self.integer(flags);
    }
}

impl From<Message> for Vec<u8> {
    fn from(message: Message) -> Self {
        message.0
    }
}

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

    fn header(&mut self, message: &mut Message, kind: u8, function: u8) {
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        message.bytes(&[kind, function, self.sequence]);
    }

    /// A call's beginning; it takes with it what is left to be told.
    fn function(&mut self, function: u8) -> Message {
        let mut message = Message::default();
        if !self.done_with.is_empty() && function != LOGOFF {
            self.header(&mut message, PIGGYBACK, CLOSE_CURSORS);
            message.byte(1);
            let cursors = std::mem::take(&mut self.done_with);
            message.length(cursors.len());
            for cursor in cursors {
                message.integer(u32::from(cursor));
            }
        }
        self.header(&mut message, FUNCTION, function);
        message
    }

    fn statement(&mut self, sql: &str, is_query: bool) -> Message {
        let options = PARSE | RUN | NO_PROCEDURE | if is_query { FETCH_AT_ONCE } else { 0 };
        let rows = if is_query { ROWS } else { 0 };
        let mut message = self.execution(options, 0, sql.len(), rows, 0);
        message.value(sql.as_bytes());
        message.integer(1);
        self.execution_ends(&mut message, u32::from(!is_query), is_query, IMPLICIT_RESULTS);
        message
    }

    /// Says how the columns of a query are wanted.
    fn definition(&mut self, query: &Query) -> Message {
        let mut message = self.execution(DEFINE | NO_PROCEDURE, query.cursor, 0, query.rows, query.columns.len());
        message.integer(0);
        self.execution_ends(&mut message, query.rows, true, 0);
        for column in &query.columns {
            message.bytes(&[column.number, 1, 0, 0]);
            message.integer(if column.is_long() { 0x7fff_ffff } else { column.size });
            // Elements, flags, the object's type and its version.
            message.bytes(&[0; 4]);
            message.integer(if column.form == 0 { 0 } else { u32::from(UTF_8) });
            message.byte(column.form);
            message.integer(0);
            if self.fields >= FIELDS_OF_12_2 {
                message.integer(0);
            }
        }
        message
    }

    /// The part of an execution before its statement.
    fn execution(&mut self, options: u32, cursor: u16, length: usize, rows: u32, defined: usize) -> Message {
        let mut message = self.function(EXECUTE);
        message.integer(options);
        message.integer(u32::from(cursor));
        message.byte(u8::from(length > 0));
        message.length(length);
        message.byte(1);
        message.integer(13);
        // No options come back; no limit of bytes for the rows.
        message.bytes(&[0; 3]);
        message.integer(rows);
        message.integer(0x7fff_ffff);
        // No values are bound, nor anything else.
        message.bytes(&[0; 7]);
        message.byte(u8::from(defined > 0));
        message.length(defined);
        // A registration, lists of objects, names, counts of rows.
        message.bytes(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        if self.fields >= FIELDS_OF_12_2 {
            message.bytes(&[0; 5]);
        }
        if self.fields >= FIELDS_OF_12_2_EXTENDED {
            message.bytes(&[0; 2]);
        }
        message
    }

    /// The numbers at an execution's end.
    fn execution_ends(&self, message: &mut Message, times: u32, is_query: bool, flags: u32) {
        message.integer(times);
        message.bytes(&[0; 5]);
        message.integer(u32::from(is_query));
        message.byte(0);
        message.integer(flags);
        message.bytes(&[0; 3]);
    }

    async fn message(&mut self, expected: &mut Expected<'_>) -> Result<Heard, Fault> {
        match self.byte().await? {
            ERROR => return self.outcome().await.map(Heard::End),
            STATUS => {
                self.integers(2).await?;
                return Ok(Heard::End(Outcome::default()));
            }
            PARAMETERS => match expected {
                Expected::Session(session) => self.session(session).await?,
                _ => self.parameters().await?,
            },
            WARNING => {
                let code = self.integer().await?;
                let length = self.integer().await?;
                self.integer().await?;
                if code != 0 && length > 0 {
                    self.owned().await?;
                }
            }
            SERVER_PIGGYBACK => self.server_piggyback().await?,
            kind => {
                let Expected::Rows(query) = expected else {
                    return Err(Fault::Garbled("a message that is not expected"));
                };
                match kind {
                    DESCRIPTION => self.description(query).await?,
                    ROW_HEADER => self.row_header(query).await?,
                    BIT_VECTOR => {
                        self.integer().await?;
                        let mut changed = Vec::new();
                        self.take(query.columns.len().div_ceil(8), &mut changed).await?;
                        query.changed = Some(changed);
                    }
                    ROW => {
                        self.values(query).await?;
                        return Ok(Heard::Row);
                    }
                    _ => return Err(Fault::Garbled("a message of a kind that is not known")),
                }
            }
        }
        Ok(Heard::Something)
    }

    async fn outcome(&mut self) -> Result<Outcome, Fault> {
        // The call's status and number, the row, the error once more, its place among several.
        self.integers(6).await?;
        let cursor = self.integer().await? as u16;
        self.integer().await?;
        self.skip(6).await?;
        // A row's address.
        self.integers(2).await?;
        self.skip(1).await?;
        self.integers(2).await?;
        self.integer().await?;
        self.skip(2).await?;
        self.integers(2).await?;
        if self.integer().await? > 0 {
            self.owned().await?;
        }
        for _ in 0..3 {
            if self.integer().await? > 0 {
                return Err(Fault::Garbled("errors of several statements"));
            }
        }
        let code = u32::try_from(self.integer().await?).unwrap_or(u32::MAX);
        self.integer().await?;
        let message = if code == 0 { Vec::new() } else { self.owned().await? };
        let message = String::from_utf8_lossy(&message).trim_end().to_owned();
        Ok(Outcome { code, message, cursor })
    }

    async fn session(&mut self, session: &mut Session) -> Result<(), Fault> {
        for _ in 0..self.integer().await? {
            let name = self.announced().await?;
            let value = self.announced().await?;
            let flags = u32::try_from(self.integer().await?).unwrap_or(u32::MAX);
            if session.len() > 1_000 {
                return Err(Fault::Garbled("words without end"));
            }
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            session.insert(text(name), (text(value), flags));
        }
        Ok(())
    }

    /// What comes back of an execution, of which nothing is needed.
    async fn parameters(&mut self) -> Result<(), Fault> {
        for _ in 0..self.integer().await? {
            self.integer().await?;
        }
        let length = self.integer().await?;
        self.skip(length as usize).await?;
        let pairs = self.integer().await?;
        self.pairs(pairs).await?;
        let length = self.integer().await?;
        self.skip(length as usize).await
    }

    async fn pairs(&mut self, pairs: u64) -> Result<(), Fault> {
        for _ in 0..pairs {
            self.announced().await?;
            self.announced().await?;
            self.integer().await?;
        }
        Ok(())
    }

    /// What the server tells of by the way.
    async fn server_piggyback(&mut self) -> Result<(), Fault> {
        match self.byte().await? {
            // A result's cache, a trace.
            1 | 3 => {}
            // The server's process.
            2 => {
                self.integer().await?;
                self.owned().await?;
            }
            // What another session returns.
            4 => {
                self.integer().await?;
                self.skip(1).await?;
                let elements = self.integer().await?;
                if elements > 0 {
                    self.skip(1).await?;
                }
                for _ in 0..elements {
                    self.announced().await?;
                    self.announced().await?;
                    self.integer().await?;
                }
                self.integers(3).await?;
            }
            // The session's state.
            5 => {
                self.integer().await?;
                self.skip(1).await?;
                let pairs = self.integer().await?;
                self.skip(1).await?;
                self.pairs(pairs).await?;
                self.integer().await?;
            }
            // The transaction's name.
            7 => drop(self.announced().await?),
            // What a replay would need.
            8 => {
                self.integer().await?;
                self.skip(1).await?;
                self.integers(2).await?;
                self.skip(1).await?;
                self.announced().await?;
            }
            9 => {
                self.integer().await?;
                self.skip(1).await?;
            }
            10 => {
                self.integer().await?;
                self.skip(1).await?;
                self.integers(3).await?;
            }
            _ => return Err(Fault::Garbled("words by the way that are not known")),
        }
        Ok(())
    }

    async fn description(&mut self, query: &mut Query) -> Result<(), Fault> {
        self.owned().await?;
        self.integer().await?;
        let count = self.integer().await?;
        if count > MOST_COLUMNS {
            return Err(Fault::Garbled("columns without end"));
        }
        if count > 0 {
            self.skip(1).await?;
        }
        query.columns.clear();
        for _ in 0..count {
            let column = self.column().await?;
            query.columns.push(column);
        }
        query.row.clear();
        query.row.resize_with(query.columns.len(), Value::default);
        query.changed = None;
        self.announced().await?;
        self.integers(4).await?;
        self.announced().await?;
        Ok(())
    }

    async fn column(&mut self) -> Result<Column, Fault> {
        let [number, _flags, _precision, _scale] = self.raw().await?;
        let size = self.integer().await?;
        // Elements, flags.
        self.integers(2).await?;
        // The object's type, its version, the characters.
        self.announced().await?;
        self.integers(2).await?;
        let form = self.byte().await?;
        self.integer().await?;
        if self.fields >= FIELDS_OF_12_2 {
            self.integer().await?;
        }
        // Whether it takes NULL, and the length of its name.
        self.skip(2).await?;
        // Its name, and that of its object's type with its schema.
        for _ in 0..3 {
            self.announced().await?;
        }
        // Its place, and flags.
        self.integers(2).await?;
        let kind =
            Kind::of(number, form).ok_or(Fault::Unsupported("a column of the result is of a type that is not read"))?;
        let national = kind == Kind::NationalText || kind == Kind::Large && form == 2;
        if national && self.national != UTF_16 {
            return Err(Fault::Unsupported(
                "the database's national character set is not AL16UTF16; leave NCHAR columns out",
            ));
        }
        // Long values have no size.
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let empty = size == 0 && !matches!(number, 8 | 24);
        Ok(Column { kind, number, form, size, empty })
    }

    async fn row_header(&mut self, query: &mut Query) -> Result<(), Fault> {
        self.skip(1).await?;
        self.integers(4).await?;
        query.changed = match self.integer().await? {
            0 => None,
            _ => Some(self.owned().await?),
        };
        self.announced().await?;
        Ok(())
    }

    async fn values(&mut self, query: &mut Query) -> Result<(), Fault> {
        let changed = query.changed.take();
        let mut size = 0;
        for (index, (column, value)) in query.columns.iter().zip(&mut query.row).enumerate() {
            if column.empty {
                value.given = false;
                continue;
            }
            let is_changed = |bits: &Vec<u8>| bits.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1);
            if !changed.as_ref().is_none_or(is_changed) {
                continue;
            }
            self.value(&mut value.bytes).await?;
            value.given = !value.bytes.is_empty();
            if column.is_long() {
                // Whether it is NULL, and a code.
                self.integers(2).await?;
            }
            size += value.bytes.len();
            if size > LARGEST_ROW {
                return Err(Fault::Unsupported("a row is larger than 128 MB; leave columns out"));
            }
        }
        Ok(())
    }

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

    async fn byte(&mut self) -> Result<u8, Fault> {
        while self.unread.is_empty() {
            self.fill().await?;
        }
        Ok(self.unread.get_u8())
    }

    async fn raw<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte().await?;
        }
        Ok(bytes)
    }

    async fn skip(&mut self, mut count: usize) -> Result<(), Fault> {
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
    async fn take(&mut self, mut count: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
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

    async fn integer(&mut self) -> Result<u64, Fault> {
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

    async fn integers(&mut self, count: usize) -> Result<(), Fault> {
        for _ in 0..count {
            self.integer().await?;
        }
        Ok(())
    }

    /// A value with its length before it, and nothing where it is NULL.
    async fn value(&mut self, into: &mut Vec<u8>) -> Result<(), Fault> {
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

    async fn owned(&mut self) -> Result<Vec<u8>, Fault> {
        let mut value = Vec::new();
        self.value(&mut value).await?;
        Ok(value)
    }

    /// A value that comes only where a length before it says that it is there.
    async fn announced(&mut self) -> Result<Vec<u8>, Fault> {
        match self.integer().await? {
            0 => Ok(Vec::new()),
            _ => self.owned().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_values_have_their_length_before_them() {
        let mut message = Message::default();
        for value in [0, 1, 255, 256, 70_000] {
            message.integer(value);
        }
        assert_eq!(message.0, [0, 1, 1, 1, 255, 2, 1, 0, 4, 0, 1, 0x11, 0x70]);
        let mut message = Message::default();
        message.value(b"ab");
        assert_eq!(message.0, [2, b'a', b'b']);
        let mut message = Message::default();
        message.value(&[7; 40_000]);
        assert_eq!(message.0[..4], [254, 2, 0x7f, 0xff]);
        assert_eq!((message.0.len(), message.0.last()), (1 + 3 + 32_767 + 3 + 7_233 + 1, Some(&0)));
    }
}
