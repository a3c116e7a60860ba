//! Numbers: of one saved question ([`question`]), and of all queries ([`queries`]).
//!
//! They are counts and times, added up by the database; no row of data is in them.

pub mod queries;
pub mod question;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, Permission, Result};
use rivergen_sources::{access::Access, source};
use sea_orm::QuerySelect;

use crate::Studio;

/// Entries of a "most used" list.
const MOST_USED: usize = 10;

/// A source as numbers name it.
struct KnownSource {
    name: String,
    kind: String,
    status: source::Status,
}

/// The sources that the caller reaches; none without the permission.
async fn known_sources(studio: &Studio, caller: &Caller) -> Result<BTreeMap<DataSourceId, KnownSource>> {
    if !caller.may(Permission::DataSourceRead) {
        return Ok(BTreeMap::new());
    }
    let db = studio.engine.platform.db.read();
    let access = Access::of(caller, Permission::DataSourceRead)?;
    let shown = access.shown(db, access.sources()).await?;
    let rows = shown
        .select_only()
        .columns([source::Column::Id, source::Column::Name, source::Column::Kind, source::Column::Status])
        .into_tuple::<(DataSourceId, String, String, source::Status)>()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(id, name, kind, status)| (id, KnownSource { name, kind, status })).collect())
}

/// A moment of ISO 8601, or a day of it, which is its midnight in UTC.
fn moment(name: &'static str, text: Option<&str>) -> Result<Option<DateTime<Utc>>> {
    let Some(text) = text else { return Ok(None) };
    let moment = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc()).ok();
    let moment = moment.or_else(|| Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc()));
    // Years that a database can hold.
    let moment = moment.filter(|moment| (1900..=9999).contains(&chrono::Datelike::year(moment)));
    let reason = || Error::new(ErrorCode::BadRequest).with_message(format!("{name} is not an ISO 8601 date."));
    moment.map(Some).ok_or_else(reason)
}

/// 0 of nothing.
fn mean(sum: i64, count: u64) -> i64 {
    i64::try_from(count).ok().and_then(|count| sum.checked_div(count)).unwrap_or_default()
}

fn fraction(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 / whole as f64) }
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
