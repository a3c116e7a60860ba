//! Which country an address is in, by a database that the operator gives: any of MaxMind's format that has
//! `country.iso_code`, such as GeoLite2-Country.
//!
//! The answer is a hint and never a reason to refuse somebody: addresses move, and people travel. What a database does
//! not know, private addresses among it, is in no country.

use std::{io, net::IpAddr, path::Path, sync::Arc};

use maxminddb::{LookupResult, Reader, path};
use serde_json::Value;

/// The database, in memory; cheap to clone. Without one no country is known.
#[derive(Clone, Default)]
pub struct Countries(Option<Arc<Reader<Vec<u8>>>>);

impl Countries {
    /// Fails where the file cannot be read, is no such database or names no country at all.
    pub fn open(path: &Path) -> io::Result<Self> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let reader = Reader::from_source(std::fs::read(path)?).map_err(invalid)?;
        // The first network with a country ends the search, so only a database of something else is read to its end.
        let mut networks = reader.networks(Default::default()).map_err(invalid)?;
        if !networks.any(|network| network.is_ok_and(|network| code(&network).is_some())) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "names no country (country.iso_code)"));
        }
        Ok(Self(Some(Arc::new(reader))))
    }

    /// The country's code of two letters (ISO 3166-1).
    pub fn of(&self, ip: Option<IpAddr>) -> Option<String> {
        // An IPv4 client of a socket for both kinds has an address of IPv6.
        let ip = ip?.to_canonical();
        // A database of IPv4 alone refuses the others: they are not known to it.
        let found = self.0.as_ref()?.lookup(ip).ok()?;
        code(&found).map(str::to_owned)
    }

    /// Details of an audit record, with the country of the address beside them where it is known.
    pub fn add_to(&self, mut details: Value, ip: Option<IpAddr>) -> Value {
        if let Some(country) = self.of(ip) {
            details["country"] = country.into();
        }
        details
    }
}

/// What else may stand in the field is no code that could be shown to anybody.
fn code<'a>(found: &LookupResult<'a, Vec<u8>>) -> Option<&'a str> {
    let code: &str = found.decode_path(&path!["country", "iso_code"]).ok()??;
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

/// Written as the black-box tests write it.
#[cfg(test)]
#[path = "../../../tests/src/mmdb.rs"]
mod mmdb;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn opened(bytes: &[u8]) -> io::Result<Countries> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Countries::open(file.path())
    }

    #[test]
    fn addresses_are_in_the_countries_of_their_networks() {
        let countries = opened(&mmdb::of_countries(&[(1, "AU"), (2, "FR"), (255, "XK"), (3, "nowhere")])).unwrap();
        for (ip, country) in [
            ("1.2.3.4", Some("AU")),
            ("1.255.255.255", Some("AU")),
            ("::ffff:2.0.0.1", Some("FR")),
            ("255.1.1.1", Some("XK")),
            ("3.1.1.1", None),
            ("10.0.0.1", None),
            ("127.0.0.1", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(countries.of(Some(ip.parse().unwrap())).as_deref(), country, "{ip}");
        }
        assert_eq!(countries.of(None), None);
        assert_eq!(Countries::default().of(Some("1.2.3.4".parse().unwrap())), None);
    }

    #[test]
    fn details_name_the_country_where_it_is_known() {
        let countries = opened(&mmdb::of_countries(&[(1, "AU")])).unwrap();
        let details = |ip: &str| countries.add_to(json!({"method": "password"}), Some(ip.parse().unwrap()));
        assert_eq!(details("1.2.3.4"), json!({"method": "password", "country": "AU"}));
        assert_eq!(details("10.0.0.1"), json!({"method": "password"}));
    }

    #[test]
    fn what_is_no_database_of_countries_is_refused() {
        let whole = mmdb::of_countries(&[(1, "AU")]);
        for (bytes, reason) in [
            (b"nonsense".as_slice(), "MaxMind"),
            (&whole[..whole.len() / 2], "MaxMind"),
            (&mmdb::of_countries(&[]), "names no country"),
        ] {
            let error = opened(bytes).err().expect("refused").to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(Countries::open(Path::new("missing.mmdb")).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }
}
