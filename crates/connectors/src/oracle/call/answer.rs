//! What a database answers: messages, until one of them ends the call.
//!
//! Much of an answer is nobody's here, and is read over; what it is stands beside it, since nothing in the answer says where it
//! ends.

use super::{Column, Connection, Expected, Heard, Outcome, Query, Value};
use crate::oracle::fault::Fault;
use crate::oracle::login::Session;
use crate::oracle::negotiation::FIELDS_OF_12_2;
use crate::oracle::value::Kind;

/// All of a row.
const LARGEST_ROW: usize = 128 * 1024 * 1024;
/// Of a statement, as Oracle has it.
const MOST_COLUMNS: u64 = 4_096;
const UTF_16: u16 = 2_000;

/// Kinds of messages.
const ERROR: u8 = 4;
const ROW_HEADER: u8 = 6;
const ROW: u8 = 7;
const PARAMETERS: u8 = 8;
const STATUS: u8 = 9;
const WARNING: u8 = 15;
const DESCRIPTION: u8 = 16;
const BIT_VECTOR: u8 = 21;
const SERVER_PIGGYBACK: u8 = 23;

impl Connection {
    pub(super) async fn message(&mut self, expected: &mut Expected<'_>) -> Result<Heard, Fault> {
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
}
