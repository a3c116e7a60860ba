//! What a file is, by its first bytes and its name; never by what the client says.

/// How many of the first bytes are looked at.
const LOOKED_AT: usize = 8192;

/// Adds to the first bytes of a file what comes next of it, as long as they are looked at.
pub(crate) fn look(head: &mut Vec<u8>, next: &[u8]) {
    let wanted = LOOKED_AT.saturating_sub(head.len()).min(next.len());
    head.extend_from_slice(&next[..wanted]);
}

/// What the bytes are where they say so; else what the name says, unless the bytes contradict it.
pub(crate) fn type_of(file_name: &str, head: &[u8]) -> String {
    let named = named(file_name);
    // Every text that begins so is a page to somebody's browser.
    if is_markup(head) {
        return if named == "image/svg+xml" { named } else { "text/html".to_owned() };
    }
    // Two letters make a bitmap or a program, and begin many a table.
    if is_text(&named) && is_readable(head) {
        return named;
    }
    match infer::get(head).map(|kind| kind.mime_type()) {
        _ if head.starts_with(b"PAR1") => "application/vnd.apache.parquet".to_owned(),
        // A container says less than the name of what it contains: office documents are archives.
        Some("application/zip") if is_zip_based(&named) => named,
        Some(found) => found.to_owned(),
        None if is_text(&named) || is_known_by_its_bytes(&named) => "application/octet-stream".to_owned(),
        None => named,
    }
}

/// Whether the bytes are an image that browsers show: not SVG, which is a program too.
pub(crate) fn is_picture(head: &[u8]) -> bool {
    let found = infer::get(head).map(|kind| kind.mime_type());
    matches!(found, Some("image/png" | "image/jpeg" | "image/gif" | "image/webp" | "image/avif"))
}

/// The type as it is told to a browser: what browsers run is bytes to them.
pub(crate) fn harmless(content_type: &str) -> &str {
    const HARMLESS: &[&str] = &[
        "application/gzip",
        "application/json",
        "application/pdf",
        "application/vnd.apache.parquet",
        "application/vnd.sqlite3",
        "application/x-ndjson",
        "application/zip",
        "image/avif",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/csv",
        "text/plain",
        "text/tab-separated-values",
    ];
    let is_document = content_type.starts_with("application/vnd.openxmlformats-officedocument.");
    if is_document || HARMLESS.contains(&content_type) { content_type } else { "application/octet-stream" }
}

fn named(file_name: &str) -> String {
    let extension = file_name.rsplit_once('.').map(|(_, e)| e.to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "parquet" => "application/vnd.apache.parquet".to_owned(),
        "jsonl" | "ndjson" => "application/x-ndjson".to_owned(),
        "sqlite" | "sqlite3" | "db" => "application/vnd.sqlite3".to_owned(),
        _ => mime_guess::from_path(file_name).first_or_octet_stream().essence_str().to_owned(),
    }
}

fn is_text(content_type: &str) -> bool {
    content_type.starts_with("text/") || ["application/json", "application/x-ndjson"].contains(&content_type)
}

/// UTF-8 without zero bytes, perhaps cut within a character.
fn is_readable(head: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !head.contains(&0)
}

fn is_zip_based(content_type: &str) -> bool {
    content_type.starts_with("application/vnd.")
        || ["application/epub+zip", "application/java-archive"].contains(&content_type)
}

/// Types whose bytes always say so: a name alone does not make a picture.
fn is_known_by_its_bytes(content_type: &str) -> bool {
    content_type.starts_with("image/") && content_type != "image/svg+xml" || content_type == "application/pdf"
}

fn is_markup(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |tag: &[u8]| head.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<script", b"<svg", b"<iframe"].into_iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_win_over_names() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        for (name, head, expected) in [
            ("a.csv", &b"a,b\n1,2\n"[..], "text/csv"),
            ("a.csv", "BMI,Größ".as_bytes().split_last().map_or(&[][..], |(_, cut)| cut), "text/csv"),
            ("a.csv", b"PAR1\x15\x04\x00", "application/vnd.apache.parquet"),
            ("a.svg", b"<svg xmlns=\"x\"/>", "image/svg+xml"),
            ("a.csv", png, "image/png"),
            ("a.png", b"a,b\n", "application/octet-stream"),
            ("a.txt", b"a\0b", "application/octet-stream"),
            ("a.csv", b"<script>alert(1)</script>", "text/html"),
            ("a.csv", b"\xef\xbb\xbf \n<!DOCTYPE html>", "text/html"),
            ("a.parquet", b"x", "application/vnd.apache.parquet"),
            (
                "a.xlsx",
                b"PK\x03\x04........................",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ),
            ("a.db", b"SQLite format 3\0", "application/vnd.sqlite3"),
        ] {
            assert_eq!(type_of(name, head), expected, "{name}");
        }
        assert!(is_picture(png) && !is_picture(b"<svg xmlns=\"x\">"));
    }

    #[test]
    fn nothing_that_runs_is_told_to_a_browser() {
        for runs in ["text/html", "image/svg+xml", "text/xml", "text/javascript", "application/xhtml+xml", "text/css"] {
            assert_eq!(harmless(runs), "application/octet-stream");
        }
        assert_eq!(harmless("text/csv"), "text/csv");
    }
}
