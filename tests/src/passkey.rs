//! A software authenticator: a passkey as a laptop keeps one, that can also lie.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Person, Server};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

/// One passkey. Its fields may be changed to make it lie.
pub struct Passkey {
    key: EcdsaKeyPair,
    id: [u8; 32],
    handle: String,
    /// The page that asks.
    pub origin: String,
    pub rp_id: String,
    pub counter: u32,
    pub verifies_user: bool,
}

impl Passkey {
    /// A fresh one for a server on this machine.
    pub fn new(server: &Server) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self {
            key,
            id: rand::random(),
            handle: String::new(),
            origin: server.url().replace("127.0.0.1", "localhost"),
            rp_id: "localhost".to_owned(),
            counter: 0,
            verifies_user: true,
        }
    }

    /// The answer to `register/start`.
    pub fn create(&mut self, options: &Value) -> Value {
        self.handle = options["user"]["id"].as_str().unwrap().to_owned();
        let mut data = self.authenticator_data(HAS_CREDENTIAL);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(self.id);
        // A COSE key (RFC 9053): EC2, ES256, P-256, x, y.
        let point = self.key.public_key().as_ref();
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..65]);
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt\x64none\x67attStmt\xa0\x68authData\x59");
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        let client = self.client_data("webauthn.create", options);
        self.credential(json!({"attestationObject": encode(&object), "clientDataJSON": encode(client.as_bytes()),
            "transports": ["internal"]}))
    }

    /// The answer to `authenticate/start`.
    pub fn get(&self, options: &Value) -> Value {
        let data = self.authenticator_data(0);
        let client = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), &Sha256::digest(client.as_bytes())].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        self.credential(json!({"authenticatorData": encode(&data), "clientDataJSON": encode(client.as_bytes()),
            "signature": encode(signature.as_ref()), "userHandle": self.handle}))
    }

    /// In base64url.
    pub fn id(&self) -> String {
        encode(&self.id)
    }

    fn credential(&self, response: Value) -> Value {
        json!({"id": self.id(), "rawId": self.id(), "type": "public-key", "response": response})
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies_user { VERIFIED } else { 0 };
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(flags | PRESENT | verified);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        json!({"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false})
            .to_string()
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Person {
    /// Registers a passkey, as the documentation says to.
    pub async fn passkey(&self, server: &Server) -> Passkey {
        let name = json!({"device_name": "laptop"});
        let options = self.client.post("/api/v1/webauthn/register/start", name).await.created();
        let mut passkey = Passkey::new(server);
        let body = json!({"device_name": "laptop", "credential": passkey.create(&options)});
        self.client.post("/api/v1/webauthn/register/complete", body).await.ok();
        passkey
    }
}
