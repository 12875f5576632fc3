//! A software authenticator (WebAuthn Level 2 §6): real keys, real signatures, no hardware.

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// User present, user verified, credential data included.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const WITH_CREDENTIAL: u8 = 0x40;

pub(crate) struct Authenticator {
    key: SigningKey,
    pub credential_id: Vec<u8>,
    pub counter: u32,
    pub origin: String,
    pub flags: u8,
}

impl Authenticator {
    pub(crate) fn new(origin: &str) -> Self {
        Self {
            key: SigningKey::generate(),
            credential_id: uuid::Uuid::new_v4().as_bytes().to_vec(),
            counter: 0,
            origin: origin.to_owned(),
            flags: PRESENT | VERIFIED,
        }
    }

    pub(crate) fn without_verification(mut self) -> Self {
        self.flags = PRESENT;
        self
    }

    pub(crate) fn id(&self) -> String {
        BASE64URL_NOPAD.encode(&self.credential_id)
    }

    /// Answers `navigator.credentials.create()`.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.data(self.flags | WITH_CREDENTIAL);
        data.extend([0; 16]);
        let length = u16::try_from(self.credential_id.len()).unwrap();
        data.extend(length.to_be_bytes());
        data.extend(&self.credential_id);
        data.extend(serde_cbor_2::to_vec(&self.public_key()).unwrap());
        let attestation = Cbor::Map(BTreeMap::from([
            (text("fmt"), text("none")),
            (text("attStmt"), Cbor::Map(BTreeMap::new())),
            (text("authData"), Cbor::Bytes(data)),
        ]));
        let attestation = serde_cbor_2::to_vec(&attestation).unwrap();
        json!({
            "id": self.id(),
            "rawId": self.id(),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": BASE64URL_NOPAD.encode(&client_data),
                "attestationObject": BASE64URL_NOPAD.encode(&attestation),
                "transports": ["internal"],
            },
        })
    }

    /// Answers `navigator.credentials.get()`.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(self.flags);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client_data));
        let signature: Signature = self.key.sign(&signed);
        json!({
            "id": self.id(),
            "rawId": self.id(),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": BASE64URL_NOPAD.encode(&client_data),
                "authenticatorData": BASE64URL_NOPAD.encode(&data),
                "signature": BASE64URL_NOPAD.encode(signature.to_der().as_bytes()),
                "userHandle": self.id(),
            },
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        });
        serde_json::to_vec(&data).unwrap()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let host = url::Url::parse(&self.origin).unwrap();
        let mut data = Sha256::digest(host.host_str().unwrap().as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// `COSE_Key` (RFC 9052 §7): an ES256 key on P-256.
    fn public_key(&self) -> Cbor {
        let point = self.key.verifying_key().to_sec1_point(false);
        let integer = |value: i128| Cbor::Integer(value);
        Cbor::Map(BTreeMap::from([
            (integer(1), integer(2)),
            (integer(3), integer(-7)),
            (integer(-1), integer(1)),
            (integer(-2), Cbor::Bytes(point.x().unwrap().to_vec())),
            (integer(-3), Cbor::Bytes(point.y().unwrap().to_vec())),
        ]))
    }
}

fn text(value: &str) -> Cbor {
    Cbor::Text(value.to_owned())
}
