//! A file on its way out: whole or in part, as an attachment, in the memory of a few chunks.
//!
//! What somebody uploaded is never run by the browser of somebody else: the type is the one that the bytes were found to
//! have, those types that browsers run are said to be plain bytes, and the answer is an attachment in a sandbox. The first
//! bytes are opened before the status is sent, so that a damaged file is an error and not a cut answer; what is found
//! damaged later ends the answer before its length.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, ObjectStore};
use rivergen_kernel::{Error, ErrorCode, FileLinkId, Result, Tenant};
use rivergen_platform::{
    audit::{self, Actor, AuditRecord},
    vault::VaultError,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{Storage, content, file, link, sealed};

/// One file to one person.
pub(crate) struct Delivery<'a> {
    pub storage: &'a Storage,
    pub tenant: Tenant,
    pub file: &'a file::Model,
    pub actor: Actor,
    /// What it was reached by, where that was a link.
    pub link: Option<FileLinkId>,
}

impl Delivery<'_> {
    /// Answers a GET or HEAD. Bytes that go out are recorded before they do.
    pub async fn respond(&self, method: &Method, headers: &HeaderMap) -> Result<Response> {
        let size = u64::try_from(self.file.size_bytes).map_err(Error::internal)?;
        let (status, range) = match wanted(headers, &etag(self.file), size) {
            Wanted::Unchanged => {
                return Ok((StatusCode::NOT_MODIFIED, self.headers()?).into_response());
            }
            Wanted::Nothing => {
                let whole = HeaderValue::try_from(format!("bytes */{size}")).map_err(Error::internal)?;
                let refusal = Error::from(ErrorCode::RangeNotSatisfiable).into_response();
                return Ok(([(header::CONTENT_RANGE, whole)], refusal).into_response());
            }
            Wanted::Whole => (StatusCode::OK, 0..size),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        };
        let mut answer = self.headers()?;
        answer.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
        if status == StatusCode::PARTIAL_CONTENT {
            let part = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            answer.insert(header::CONTENT_RANGE, HeaderValue::try_from(part).map_err(Error::internal)?);
        }
        if *method == Method::HEAD {
            return Ok((status, answer).into_response());
        }
        let body = self.body(range.clone()).await?;
        self.record(range).await?;
        Ok((status, answer, body).into_response())
    }

    async fn body(&self, range: Range<u64>) -> Result<Body> {
        let store = self.storage.store(self.tenant).await?;
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let path = self.file.object_name.as_str().into();
        let found = store.get_opts(&path, options).await.map_err(|error| unreadable(self.file, error))?;
        let mut bytes = found.into_stream();
        let first: Option<Bytes> = bytes.try_next().await.map_err(|error| unreadable(self.file, error))?;
        let file = self.file.id;
        let rest =
            bytes.inspect_err(move |error| tracing::error!(%file, %error, "a file on its way out cannot be read"));
        Ok(Body::from_stream(stream::iter(first.map(Ok)).chain(rest)))
    }

    async fn record(&self, range: Range<u64>) -> Result<()> {
        // Here alone: it gives numbers a second `min`.
        use sea_orm::sea_query::ExprTrait;
        let platform = &self.storage.platform;
        let tx = platform.db.begin().await?;
        if let Some(id) = self.link {
            link::Entity::update_many()
                .col_expr(link::Column::UseCount, Expr::col(link::Column::UseCount).add(1))
                .col_expr(link::Column::LastUsedAt, Expr::value(platform.clock.now()))
                .filter(link::Column::Id.eq(id))
                .exec(tx.conn())
                .await?;
        }
        let details = serde_json::json!({"link_id": self.link, "from": range.start, "to": range.end,
            "size": self.file.size_bytes});
        let record = AuditRecord::new(Some(self.tenant.organization_id()), self.actor.clone(), "file.download")
            .target("file", self.file.id)
            .details(details);
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await
    }

    fn headers(&self) -> Result<HeaderMap> {
        let value = |text: String| HeaderValue::try_from(text).map_err(Error::internal);
        let fixed = [
            (header::ACCEPT_RANGES, "bytes"),
            // Kept by whoever asked, and asked for again each time: access may have been taken away.
            (header::CACHE_CONTROL, "private, no-cache"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        let mut headers: HeaderMap =
            fixed.into_iter().map(|(name, text)| (name, HeaderValue::from_static(text))).collect();
        headers.insert(header::ETAG, value(etag(self.file))?);
        let modified = self.file.created_at.format("%a, %d %b %Y %H:%M:%S GMT");
        headers.insert(header::LAST_MODIFIED, value(modified.to_string())?);
        headers.insert(header::CONTENT_TYPE, value(content::harmless(&self.file.content_type).to_owned())?);
        headers.insert(header::CONTENT_DISPOSITION, value(attachment(&self.file.file_name))?);
        Ok(headers)
    }
}

/// The entity tag, with its quotes. A file is never written a second time under its name, so its id and the time of its
/// arrival tell it from any other.
pub(crate) fn etag(file: &file::Model) -> String {
    format!("\"{:x}-{:x}\"", file.id.0, file.created_at.timestamp_micros())
}

/// What a store's error says of a file that has a row.
pub(crate) fn unreadable(file: &file::Model, error: object_store::Error) -> Error {
    let is_missing = matches!(error, object_store::Error::NotFound { .. });
    let is_damaged = is_missing || sealed::is_altered(&error) || is_foreign_key(&error);
    match is_damaged {
        true => {
            tracing::error!(file = %file.id, %error, "a stored file is not what was uploaded");
            Error::new(ErrorCode::FileDamaged).with_source(error)
        }
        false => Error::internal(error),
    }
}

/// Whether the key in the file's header was changed, or is another file's.
fn is_foreign_key(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| matches!(error.downcast_ref(), Some(VaultError::NotAuthentic | VaultError::Malformed)))
}

/// What a request wants of a file that never changes.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// The caller has it.
    Unchanged,
    Whole,
    Part(Range<u64>),
    /// Bytes that it does not have.
    Nothing,
}

/// RFC 9110: If-None-Match (13.1.2), then If-Range (13.1.5), then Range (14.2).
fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(known) = text(header::IF_NONE_MATCH)
        && known.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    {
        return Wanted::Unchanged;
    }
    // A date is never strong enough here; what was asked for in part on its strength is sent whole.
    if text(header::IF_RANGE).is_some_and(|known| known.trim() != etag) {
        return Wanted::Whole;
    }
    match text(header::RANGE) {
        Some(range) => part(range, size),
        None => Wanted::Whole,
    }
}

/// One range of bytes. Several at once, other units, and what cannot be read are passed over, as RFC 9110, 14.2 lets us.
fn part(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|set| set.split_once('-')) else {
        return Wanted::Whole;
    };
    let range = match (first.trim(), last.trim()) {
        ("", last) => match last.parse::<u64>() {
            Ok(suffix) => size.saturating_sub(suffix)..size,
            Err(_) => return Wanted::Whole,
        },
        (first, "") => match first.parse::<u64>() {
            Ok(first) => first..size,
            Err(_) => return Wanted::Whole,
        },
        (first, last) => match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Wanted::Whole,
        },
    };
    if range.start < range.end { Wanted::Part(range) } else { Wanted::Nothing }
}

/// RFC 6266: the name in what ASCII has of it, and in full (RFC 8187).
fn attachment(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !"\"\\%;".contains(c) || c == ' ' { c } else { '_' }).collect();
    let full: String = name
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-3", Wanted::Part(0..4)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=5-99", Wanted::Part(5..10)),
            ("bytes=9-18446744073709551615", Wanted::Part(9..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=12-15", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-1", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
    }

    #[test]
    fn what_the_caller_has_comes_first() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
        };
        let wanted = |pairs: &[(&'static str, &'static str)]| wanted(&headers(pairs), "\"a\"", 10);
        assert_eq!(wanted(&[("if-none-match", "\"b\", W/\"a\""), ("range", "bytes=0-1")]), Wanted::Unchanged);
        assert_eq!(wanted(&[("if-none-match", "*")]), Wanted::Unchanged);
        assert_eq!(wanted(&[("if-none-match", "\"b\"")]), Wanted::Whole);
        assert_eq!(wanted(&[("if-range", "\"a\""), ("range", "bytes=0-1")]), Wanted::Part(0..2));
        assert_eq!(wanted(&[("if-range", "\"b\""), ("range", "bytes=0-1")]), Wanted::Whole);
    }

    #[test]
    fn a_name_breaks_out_of_no_header() {
        assert_eq!(
            attachment("Grüße \"x\"; y\r\n.csv"),
            "attachment; filename=\"Gr__e _x__ y__.csv\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22x%22%3B%20y%0D%0A.csv"
        );
    }
}
