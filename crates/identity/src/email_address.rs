//! E-mail addresses as accounts know them: valid by RFC 5322, lower-cased.

use rivergen_kernel::{Error, Result};

/// Lower-cases and checks the address; 422 naming `field` where it is none.
pub fn normalise(address: &str, field: &str) -> Result<String> {
    let address = address.trim().to_lowercase();
    let valid = address.len() <= 254 && garde::rules::email::parse_email(&address).is_ok();
    if valid { Ok(address) } else { Err(Error::invalid_field(field, "is not an e-mail address")) }
}
