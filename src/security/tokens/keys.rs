//! Key pairs on P-256, derived from the server secret and an audience (HKDF-SHA-256, RFC 5869).

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use jsonwebtoken::{DecodingKey, EncodingKey};
use moka::sync::Cache;
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::TokenError;
use crate::security::secrets::ServerSecret;

/// Audiences whose keys are kept at hand.
const REMEMBERED: u64 = 10_000;
/// The length of a key id, in characters.
const KID_LENGTH: usize = 12;

/// A key pair of an audience.
pub(super) struct KeyPair {
    pub(super) kid: String,
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    pub(super) jwk: Value,
}

/// The key pairs of all audiences: for each, the one that signs and the one that may sign next.
#[derive(Clone)]
pub(super) struct KeyPairs {
    root: Hkdf<Sha256>,
    derived: Cache<String, Arc<[KeyPair; 2]>>,
}

impl KeyPairs {
    pub(super) fn new(secret: &ServerSecret) -> Self {
        Self {
            root: Hkdf::new(Some(b"muniment access tokens v1"), secret.as_bytes()),
            derived: Cache::builder().max_capacity(REMEMBERED).build(),
        }
    }

    pub(super) fn of(&self, audience: &str) -> Result<Arc<[KeyPair; 2]>, TokenError> {
        if let Some(pairs) = self.derived.get(audience) {
            return Ok(pairs);
        }
        let pairs = Arc::new([self.derive(audience, 0)?, self.derive(audience, 1)?]);
        self.derived.insert(audience.to_owned(), Arc::clone(&pairs));
        Ok(pairs)
    }

    fn derive(&self, audience: &str, generation: u8) -> Result<KeyPair, TokenError> {
        let secret = self.scalar(audience, generation)?;
        let kid = BASE64URL_NOPAD.encode(&self.expand(audience, generation, "kid", 0)?);
        let kid = BASE64URL_NOPAD.encode(&Sha256::digest(kid))[..KID_LENGTH].to_owned();
        let pkcs8 = secret
            .to_pkcs8_der()
            .map_err(|error| TokenError::Key(error.to_string()))?;
        let point = secret.public_key().to_sec1_point(false);
        let bytes = point.as_bytes();
        // An uncompressed point: 4, then 32 bytes each of x and y (SEC 1 §2.3.3).
        let (x, y) = (
            BASE64URL_NOPAD.encode(&bytes[1..33]),
            BASE64URL_NOPAD.encode(&bytes[33..]),
        );
        Ok(KeyPair {
            signing: EncodingKey::from_ec_der(pkcs8.as_bytes()),
            verifying: DecodingKey::from_ec_components(&x, &y)?,
            jwk: json!({"kty": "EC", "alg": "ES256", "crv": "P-256", "x": x, "y": y, "kid": kid}),
            kid,
        })
    }

    /// A scalar in the curve's range: 32 bytes, drawn again in the one case in 2^32 that is not.
    fn scalar(&self, audience: &str, generation: u8) -> Result<SecretKey, TokenError> {
        for attempt in 0..=u8::MAX {
            let bytes = self.expand(audience, generation, "key", attempt)?;
            if let Ok(secret) = SecretKey::from_slice(&bytes) {
                return Ok(secret);
            }
        }
        Err(TokenError::Key("no scalar in range".to_owned()))
    }

    fn expand(
        &self,
        audience: &str,
        generation: u8,
        purpose: &str,
        attempt: u8,
    ) -> Result<[u8; 32], TokenError> {
        let mut bytes = [0; 32];
        // The audience comes last: whatever it contains, it cannot pass for another field.
        let info = [
            purpose.as_bytes(),
            &[0, generation, attempt],
            audience.as_bytes(),
        ];
        self.root
            .expand_multi_info(&info, &mut bytes)
            .map_err(|error| TokenError::Key(error.to_string()))?;
        Ok(bytes)
    }
}
