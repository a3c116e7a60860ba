//! Tokens: what stands in a value's place so that the value can be had back, by those who may.
//!
//! A token is the value itself, sealed with AES-256-GCM-SIV under a key of the organization. The nonce is always the same,
//! which this mode is made for (RFC 8452): equal values have equal tokens, so tokens join and group like the values, and
//! equality is all that they tell. Values are padded to whole blocks, so not even their lengths are told exactly.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What every token begins with.
pub const PREFIX: &str = "tok_";
/// Values are padded to a multiple of it.
const BLOCK: usize = 16;

/// The key that an organization's tokens are made with.
#[derive(Clone)]
pub(crate) struct TokenKey(Option<Arc<LessSafeKey>>);

impl TokenKey {
    /// From 32 bytes that nobody sees.
    pub fn new(bytes: &[u8; 32]) -> Self {
        // The key has the algorithm's length: there is always one.
        Self(UnboundKey::new(&AES_256_GCM_SIV, bytes).ok().map(|key| Arc::new(LessSafeKey::new(key))))
    }

    /// The value's token; nothing for a value that is too long to be sealed.
    pub fn seal(&self, value: &str) -> Option<String> {
        let mut sealed = value.as_bytes().to_vec();
        sealed.push(0x80);
        sealed.resize(sealed.len().next_multiple_of(BLOCK), 0);
        self.0.as_ref()?.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).ok()?;
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// The value of a token; nothing for what is no token of this key.
    pub fn open(&self, token: &str) -> Option<String> {
        let mut sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let padded = self.0.as_ref()?.open_in_place(nonce(), Aad::empty(), &mut sealed).ok()?;
        let end = padded.iter().rposition(|byte| *byte != 0)?;
        if padded[end] != 0x80 {
            return None;
        }
        String::from_utf8(padded[..end].to_vec()).ok()
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_opens_under_its_key_alone(value in ".{0,80}", other in ".{0,80}") {
            let (key, strange) = (TokenKey::new(&[1; 32]), TokenKey::new(&[2; 32]));
            let token = key.seal(&value).unwrap();
            prop_assert_eq!(key.open(&token), Some(value.clone()));
            prop_assert_eq!(key.seal(&value), Some(token.clone()));
            prop_assert_eq!(strange.open(&token), None);
            prop_assert_eq!(key.seal(&other) == Some(token), value == other);
        }

        #[test]
        fn what_is_no_token_does_not_open(text in ".{0,80}") {
            let key = TokenKey::new(&[1; 32]);
            prop_assert_eq!(key.open(&text), None);
            prop_assert_eq!(key.open(&format!("{PREFIX}{text}")), None);
        }
    }
}
