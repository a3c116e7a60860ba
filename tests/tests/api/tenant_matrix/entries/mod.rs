//! The table: each operation with who may call it, by what it is about.

mod applications;
mod data;
mod federation;
mod people;
mod questions;
mod tenancy;

pub use applications::oauth_application;
pub use federation::USER_SCHEMA;
pub use questions::synonym;

use serde_json::Value;

use super::{access::Access, ids::Ids};

/// All of them. A body with a file is sent as the form of an upload.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    [people::ENTRIES, tenancy::ENTRIES, data::ENTRIES, questions::ENTRIES, federation::ENTRIES, applications::ENTRIES]
        .into_iter()
        .flatten()
}

/// One operation: who may call it, and a body that an Owner may send.
pub struct Entry {
    pub operation: &'static str,
    pub access: Access,
    pub body: fn(&Ids) -> Value,
}

const fn entry(operation: &'static str, access: Access, body: fn(&Ids) -> Value) -> Entry {
    Entry { operation, access, body }
}

fn nothing(_: &Ids) -> Value {
    Value::Null
}

pub const PASSWORD: &str = rivergen_tests::PASSWORD;

/// A word that no other call has used.
pub fn unique(suffix: &str) -> String {
    format!("n{:016x}{suffix}", rand::random::<u64>())
}

/// Where nobody answers.
fn unique_issuer() -> String {
    format!("https://{}", unique(".invalid"))
}
