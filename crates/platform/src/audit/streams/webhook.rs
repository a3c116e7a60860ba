//! Delivery by HTTP, signed: see [`crate::webhook`]. The body has a line for each record.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::format::Format;
use crate::{
    audit::log,
    webhook::{Message, Webhook},
};

pub(super) async fn send(
    webhook: &Webhook,
    rows: &[log::Model],
    format: Format,
    now: DateTime<Utc>,
) -> Result<(), String> {
    let body = rows.iter().map(|row| format.event(row) + "\n").collect();
    webhook.send(Message { id: id(rows), media_type: format.media_type(), body }, now).await
}

/// Made of the records, so that a second attempt is known for one.
fn id(rows: &[log::Model]) -> String {
    let mut sha = Sha256::new();
    for row in rows {
        sha.update(&row.hash);
    }
    format!("msg_{}", hex::encode(&sha.finalize()[..16]))
}
