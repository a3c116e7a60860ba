//! O5LOGON with the verifier of Oracle 12: how a client and a server show each other that they know a password.
//!
//! The server sends its half of a key, encrypted with what it keeps of the password; who knows the password reads it, and
//! answers with the other half. From both halves comes the key that encrypts the password itself on its way, and with
//! which the server at last shows that it has read the client's half. AES in CBC mode with an empty vector, SHA-512 and
//! PBKDF2 are the protocol's choice.

use std::collections::HashMap;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, pbkdf2};
use rand::Rng;

use super::fault::Fault;

/// What a server says of itself and of a session, each with a number.
pub(super) type Session = HashMap<String, (String, u32)>;

/// The number of the verifier in the server's words.
const VERIFIER_OF_12C: u32 = 0x4815;
const MOST_ITERATIONS: u32 = 100_000;
const BLOCK: usize = 16;

/// What is answered to a server's challenge.
pub(super) struct Answer {
    /// In hexadecimal digits, as the others.
    pub session_key: String,
    pub speedy_key: String,
    pub password: String,
    key: [u8; 32],
}

impl Answer {
    pub fn new(password: &str, challenge: &Session) -> Result<Self, Fault> {
        let (verifier, kind) = challenge.get("AUTH_VFR_DATA").ok_or(UNREADABLE)?;
        if *kind != VERIFIER_OF_12C {
            return Err(Fault::Unsupported(
                "the server keeps the user's password in a form older than Oracle 12c's, which is not supported; set \
                 the password again while SQLNET.ALLOWED_LOGON_VERSION_SERVER is 12a",
            ));
        }
        let verifier = hex::decode(verifier).map_err(|_| UNREADABLE)?;
        let salt = [verifier.as_slice(), b"AUTH_PBKDF2_SPEEDY_KEY"].concat();
        let mut password_key = [0; 64];
        derive(password.as_bytes(), &salt, number(challenge, "AUTH_PBKDF2_VGEN_COUNT")?, &mut password_key);
        let hash = digest::digest(&digest::SHA512, &[&password_key[..], &verifier].concat());
        let hash: [u8; 32] = *hash.as_ref().first_chunk().ok_or(UNREADABLE)?;

        let mut theirs = binary(challenge, "AUTH_SESSKEY")?;
        decrypt(&hash, &mut theirs)?;
        let theirs: [u8; 32] = theirs.try_into().map_err(|_| UNREADABLE)?;
        let ours: [u8; 32] = random();
        let halves = hex::encode_upper([ours, theirs].concat());
        let mut key = [0; 32];
        let salt = binary(challenge, "AUTH_PBKDF2_CSK_SALT")?;
        derive(halves.as_bytes(), &salt, number(challenge, "AUTH_PBKDF2_SDER_COUNT")?, &mut key);

        let salt: [u8; BLOCK] = random();
        Ok(Self {
            session_key: sealed(&hash, ours.to_vec())?,
            speedy_key: sealed(&key, [&salt[..], &password_key].concat())?,
            password: sealed(&key, padded(&random(), password.as_bytes()))?,
            key,
        })
    }

    /// Whether the server has read our half of the key, too. One that never says so is not asked.
    pub fn proves(&self, session: &Session) -> Result<(), Fault> {
        if !session.contains_key("AUTH_SVR_RESPONSE") {
            return Ok(());
        }
        let mut response = binary(session, "AUTH_SVR_RESPONSE")?;
        decrypt(&self.key, &mut response)?;
        match response.get(BLOCK..2 * BLOCK) {
            Some(b"SERVER_TO_CLIENT") => Ok(()),
            _ => Err(Fault::Garbled("the server does not know the password that it took")),
        }
    }
}

const UNREADABLE: Fault = Fault::Garbled("a challenge that is none");

fn number(session: &Session, name: &str) -> Result<NonZeroU32, Fault> {
    let number = session.get(name).and_then(|(text, _)| text.parse().ok());
    number.filter(|number: &NonZeroU32| number.get() <= MOST_ITERATIONS).ok_or(UNREADABLE)
}

fn binary(session: &Session, name: &str) -> Result<Vec<u8>, Fault> {
    session.get(name).and_then(|(text, _)| hex::decode(text).ok()).ok_or(UNREADABLE)
}

fn derive(secret: &[u8], salt: &[u8], iterations: NonZeroU32, key: &mut [u8]) {
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt, secret, key);
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A text behind a block that nobody has seen before, filled up to whole blocks with the number of bytes that it takes.
fn padded(salt: &[u8; BLOCK], text: &[u8]) -> Vec<u8> {
    let filling = BLOCK - text.len() % BLOCK;
    let mut padded = [&salt[..], text].concat();
    padded.resize(padded.len() + filling, filling as u8);
    padded
}

fn sealed(key: &[u8; 32], mut text: Vec<u8>) -> Result<String, Fault> {
    let key = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::cbc).map_err(|_| UNREADABLE)?;
    let empty = EncryptionContext::Iv128(FixedLength::from([0; BLOCK]));
    key.less_safe_encrypt(&mut text, empty).map_err(|_| UNREADABLE)?;
    Ok(hex::encode_upper(text))
}

fn decrypt(key: &[u8; 32], text: &mut [u8]) -> Result<(), Fault> {
    let key = UnboundCipherKey::new(&AES_256, key).and_then(DecryptingKey::cbc).map_err(|_| UNREADABLE)?;
    let empty = DecryptionContext::Iv128(FixedLength::from([0; BLOCK]));
    key.decrypt(text, empty).map_err(|_| UNREADABLE)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server says that keeps the verifier of a password.
    fn challenge(password: &str) -> (Session, [u8; 32], [u8; 32]) {
        let verifier = [7_u8; 16];
        let mut password_key = [0; 64];
        let salt = [&verifier[..], b"AUTH_PBKDF2_SPEEDY_KEY"].concat();
        derive(password.as_bytes(), &salt, NonZeroU32::new(4_096).unwrap(), &mut password_key);
        let hash = digest::digest(&digest::SHA512, &[&password_key[..], &verifier].concat());
        let hash: [u8; 32] = *hash.as_ref().first_chunk().unwrap();
        let half = [9_u8; 32];
        let entries = [
            ("AUTH_VFR_DATA", hex::encode_upper(verifier), VERIFIER_OF_12C),
            ("AUTH_SESSKEY", sealed(&hash, half.to_vec()).unwrap(), 0),
            ("AUTH_PBKDF2_CSK_SALT", hex::encode_upper([3; 16]), 0),
            ("AUTH_PBKDF2_VGEN_COUNT", "4096".to_owned(), 0),
            ("AUTH_PBKDF2_SDER_COUNT", "3".to_owned(), 0),
        ];
        let session = entries.into_iter().map(|(name, text, flags)| (name.to_owned(), (text, flags)));
        (session.collect(), hash, half)
    }

    #[test]
    fn a_server_that_keeps_the_verifier_reads_the_password() {
        let (session, hash, theirs) = challenge("s3cret; 'x");
        let answer = Answer::new("s3cret; 'x", &session).unwrap();
        let mut ours = hex::decode(&answer.session_key).unwrap();
        decrypt(&hash, &mut ours).unwrap();
        let mut key = [0; 32];
        let halves = hex::encode_upper([&ours[..], &theirs].concat());
        derive(halves.as_bytes(), &[3; 16], NonZeroU32::new(3).unwrap(), &mut key);
        let mut password = hex::decode(&answer.password).unwrap();
        decrypt(&key, &mut password).unwrap();
        assert_eq!(password[BLOCK..], [b"s3cret; 'x".as_slice(), &[6; 6]].concat());
        assert_eq!(answer.speedy_key.len(), 160);

        // Who cannot show the key is not the server.
        let said = |text: &[u8]| {
            let response = sealed(&key, [&[1; BLOCK][..], text].concat()).unwrap();
            Session::from([("AUTH_SVR_RESPONSE".to_owned(), (response, 0))])
        };
        assert!(answer.proves(&said(b"SERVER_TO_CLIENT")).is_ok());
        assert!(answer.proves(&said(b"CLIENT_TO_SERVER")).is_err());
    }

    #[test]
    fn challenges_that_are_none_are_refused() {
        let (mut session, ..) = challenge("x");
        session.insert("AUTH_PBKDF2_VGEN_COUNT".into(), ("4000000000".into(), 0));
        assert!(matches!(Answer::new("x", &session), Err(Fault::Garbled(_))), "it would keep us busy");
        let (mut session, ..) = challenge("x");
        session.insert("AUTH_SESSKEY".into(), ("00".into(), 0));
        assert!(matches!(Answer::new("x", &session), Err(Fault::Garbled(_))));
        let (mut session, ..) = challenge("x");
        session.insert("AUTH_VFR_DATA".into(), ("00".into(), 0x1b25));
        assert!(matches!(Answer::new("x", &session), Err(Fault::Unsupported(_))));
        assert!(Answer::new("x", &Session::new()).is_err());
    }

    #[test]
    fn a_whole_block_more_is_filled_up_where_the_text_ends_with_one() {
        assert_eq!(padded(&[0; BLOCK], &[1; BLOCK]).len(), 3 * BLOCK);
        assert_eq!(padded(&[0; BLOCK], b"").len(), 2 * BLOCK);
    }
}
