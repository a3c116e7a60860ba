//! What is asked of a database: the bodies of calls.
//!
//! Only what a source needs is ever put: no values are bound, no options come back, and what the fields of later versions would
//! hold is left empty. Which fields there are, the server has said when it was negotiated with.

use super::message::Message;
use super::{Connection, Query, ROWS};
use crate::oracle::negotiation::{FIELDS_OF_12_2, FIELDS_OF_12_2_EXTENDED, UTF_8};

/// Kinds of messages.
const FUNCTION: u8 = 3;
const PIGGYBACK: u8 = 17;

/// Functions.
pub(super) const FETCH: u8 = 5;
pub(super) const LOGOFF: u8 = 9;
const EXECUTE: u8 = 94;
pub(super) const ROLLBACK: u8 = 15;
const CLOSE_CURSORS: u8 = 105;
pub(super) const SIGN_IN: u8 = 115;
pub(super) const BEGIN_SIGN_IN: u8 = 118;

/// What is to be done with a statement.
const PARSE: u32 = 0x01;
const DEFINE: u32 = 0x10;
const RUN: u32 = 0x20;
const FETCH_AT_ONCE: u32 = 0x40;
const NO_PROCEDURE: u32 = 0x8000;
const IMPLICIT_RESULTS: u32 = 0x8000;

impl Connection {
    fn header(&mut self, message: &mut Message, kind: u8, function: u8) {
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        message.bytes(&[kind, function, self.sequence]);
    }

    /// A call's beginning; it takes with it what is left to be told.
    pub(super) fn function(&mut self, function: u8) -> Message {
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

    pub(super) fn statement(&mut self, sql: &str, is_query: bool) -> Message {
        let options = PARSE | RUN | NO_PROCEDURE | if is_query { FETCH_AT_ONCE } else { 0 };
        let rows = if is_query { ROWS } else { 0 };
        let mut message = self.execution(options, 0, sql.len(), rows, 0);
        message.value(sql.as_bytes());
        message.integer(1);
        self.execution_ends(&mut message, u32::from(!is_query), is_query, IMPLICIT_RESULTS);
        message
    }

    /// Says how the columns of a query are wanted.
    pub(super) fn definition(&mut self, query: &Query) -> Message {
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
}
