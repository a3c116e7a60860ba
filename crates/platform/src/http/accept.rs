//! Which form of an answer a client wants, by its `Accept` header (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// The offered media type that the client likes best; of equals the earlier one. Where the client wants none of them, or
/// does not say, the first: an answer in another form is of more use than none.
pub fn preferred<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let wanted: Vec<(String, f32)> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(ranges).collect();
    let first = offered.first().copied();
    let liked = offered.iter().rev().map(|offer| (*offer, quality(offer, &wanted)));
    // The last of equals in reverse order is the first.
    let best = liked.max_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, quality)| *quality > 0.0);
    best.map(|(offer, _)| offer).or(first)
}

/// The media ranges of a header's value with their weights.
fn ranges(value: &str) -> impl Iterator<Item = (String, f32)> + '_ {
    value.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        Some((name, weight.clamp(0.0, 1.0)))
    })
}

/// The weight of the most specific range that holds the media type.
fn quality(offer: &str, wanted: &[(String, f32)]) -> f32 {
    let kind = offer.split('/').next().unwrap_or_default();
    let specific = |range: &str| match range {
        _ if range == offer => Some(2),
        _ if range.strip_suffix("/*") == Some(kind) => Some(1),
        "*/*" => Some(0),
        _ => None,
    };
    let holding = wanted.iter().filter_map(|(range, weight)| Some((specific(range)?, *weight)));
    holding.max_by_key(|(specific, _)| *specific).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses() {
        let offered = ["application/json", "text/csv", "application/vnd.apache.parquet"];
        for (accept, chosen) in [
            ("", 0),
            ("*/*", 0),
            ("text/html,application/xhtml+xml,*/*;q=0.8", 0),
            ("text/csv", 1),
            ("TEXT/CSV; header=present", 1),
            ("text/*", 1),
            ("application/json;q=0.5, text/csv", 1),
            ("*/*;q=0.1, application/vnd.apache.parquet;q=0.2", 2),
            ("application/*, text/csv", 0),
            ("application/json;q=0, */*", 1),
            ("image/png", 0),
            ("text/csv;q=nonsense", 1),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(preferred(&headers, &offered), Some(offered[chosen]), "{accept}");
        }
        assert_eq!(preferred(&HeaderMap::new(), &offered), Some("application/json"));
    }
}
