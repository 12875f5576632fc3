//! Random strings, and the server secret.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE64, BASE64URL_NOPAD, Encoding, HEXLOWER, Specification};
use hkdf::Hkdf;
use muniment_domain::ApiKeyId;
use muniment_domain::api_key::{ApiKeyKind, ApiKeyOwner};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::Sha256;
use uuid::Uuid;

/// Crockford's base 32 in lower case: no i, l, o or u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits and letters.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 45 characters of 5 bits: 225 random bits.
const TOKEN_LENGTH: usize = 45;
/// What tells an API key of a user or a team from other strings.
const API_KEY_MARKER: &str = "574ck4u7h";
const REQUEST_ID_LENGTH: usize = 16;
/// The shortest server secret, in bytes.
const SECRET_BYTES: usize = 32;

/// A source of ids and secrets. A seeded one repeats itself, for tests.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

/// What kind of project key a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPrefix {
    /// `pck_`
    PublishableClient,
    /// `ssk_`
    SecretServer,
    /// `sak_`
    SuperSecretAdmin,
}

impl KeyPrefix {
    fn as_str(self) -> &'static str {
        match self {
            Self::PublishableClient => "pck_",
            Self::SecretServer => "ssk_",
            Self::SuperSecretAdmin => "sak_",
        }
    }
}

impl Random {
    /// Cryptographically secure randomness.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same sequence every time. For tests only.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(
            seed,
        )))))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the randomness that is handed in"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => rand::rng().fill_bytes(bytes),
            Source::Seeded(rng) => {
                rng.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .fill_bytes(bytes);
            }
        }
    }

    /// A number from 0 to 1, excluding 1: the jitter of pauses.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    /// So many random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A UUID of version 4.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A secret of 225 random bits in 45 characters: refresh tokens, codes.
    #[must_use]
    pub fn token(&self) -> String {
        self.text(TOKEN_LENGTH)
    }

    /// A project key.
    #[must_use]
    pub fn key(&self, prefix: KeyPrefix) -> String {
        format!("{}{}", prefix.as_str(), self.token())
    }

    /// An API key of a user or a team, with the marker and the checksum that scanners look for.
    #[must_use]
    pub fn api_key(&self, id: ApiKeyId, owner: ApiKeyOwner, kind: ApiKeyKind) -> String {
        let (prefix, flag) = match kind {
            ApiKeyKind::Secret => ("sk", '1'),
            ApiKeyKind::Public => ("pk", '3'),
        };
        let owner = match owner {
            ApiKeyOwner::User { .. } => "user",
            ApiKeyOwner::Team { .. } => "team",
        };
        let (token, id) = (self.token(), id.0.as_simple());
        let key = format!("{prefix}_{token}{id}{owner}{flag}{API_KEY_MARKER}");
        let checksum = crc32fast::hash(key.as_bytes());
        format!("{key}{checksum:08x}")
    }

    /// So many random characters of base 62: ids of webhook endpoints and attempts.
    #[must_use]
    pub fn base62(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        // Slightly uneven, which an id may be.
        bytes
            .into_iter()
            .map(|byte| char::from(BASE62[usize::from(byte % 62)]))
            .collect()
    }

    /// So many random bytes in base 64: signing secrets of webhooks.
    #[must_use]
    pub fn base64(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        BASE64.encode(&bytes)
    }

    /// The id of a request.
    #[must_use]
    pub fn request_id(&self) -> String {
        self.text(REQUEST_ID_LENGTH)
    }

    fn text(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        crockford(&bytes)
    }
}

/// A character for every byte. 256 is a multiple of 32, so every character is equally likely.
fn crockford(bytes: &[u8]) -> String {
    let letters = bytes.iter().map(|byte| ALPHABET[usize::from(byte % 32)]);
    letters.map(char::from).collect()
}

/// The secret from which signing keys and seals derive.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerSecret(Vec<u8>);

/// Why a text is no server secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerSecretError {
    /// It is not base64url.
    #[error(
        "the server secret must be base64url (RFC 4648 §5); make one with: openssl rand -base64 32 | tr '+/' '-_'"
    )]
    NotBase64Url,
    /// It is too short to be safe.
    #[error(
        "the server secret must have at least 32 bytes; make one with: openssl rand -base64 32 | tr '+/' '-_'"
    )]
    TooShort,
}

impl ServerSecret {
    /// Generates a secret.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        let mut bytes = vec![0; SECRET_BYTES];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// The secret in the form in which it is configured.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// A password for another system, the same on every node: 256 bits, in hexadecimal.
    #[must_use]
    pub fn derive_password(&self, purpose: &str) -> String {
        let mut password = [0; 32];
        let derived = Hkdf::<Sha256>::new(None, &self.0).expand(purpose.as_bytes(), &mut password);
        debug_assert!(derived.is_ok(), "32 bytes are not too many for HKDF");
        HEXLOWER.encode(&password)
    }

    /// A project key that follows from what it is for (HKDF-SHA-256, RFC 5869): it can be handed
    /// over later, by any node, without having been kept anywhere.
    #[must_use]
    pub fn derive_key(&self, prefix: KeyPrefix, purpose: &str) -> String {
        let root = Hkdf::<Sha256>::new(Some(b"muniment derived project keys v1"), &self.0);
        let mut bytes = [0; TOKEN_LENGTH];
        // Cannot fail: the limit is 255 times the hash's length.
        let _ = root.expand(purpose.as_bytes(), &mut bytes);
        format!("{}{}", prefix.as_str(), crockford(&bytes))
    }

    /// The secret itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for ServerSecret {
    type Err = ServerSecretError;

    fn from_str(text: &str) -> Result<Self, ServerSecretError> {
        let text = text.trim().trim_end_matches('=');
        let bytes = lenient_base64url()
            .decode(text.as_bytes())
            .map_err(|_| ServerSecretError::NotBase64Url)?;
        if bytes.len() < SECRET_BYTES {
            return Err(ServerSecretError::TooShort);
        }
        Ok(Self(bytes))
    }
}

/// Secrets made by hand may have stray bits in the last character.
fn lenient_base64url() -> Encoding {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    specification.check_trailing_bits = false;
    specification.encoding().unwrap_or(BASE64URL_NOPAD)
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_contracts_form() {
        let token = Random::system().token();
        assert_eq!(token.len(), 45);
        assert!(token.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(
            Random::system()
                .key(KeyPrefix::SecretServer)
                .starts_with("ssk_")
        );
    }

    #[test]
    fn api_keys_have_the_contracts_form() {
        let id = ApiKeyId(Uuid::from_u128(7));
        let owner = ApiKeyOwner::User {
            user_id: muniment_domain::UserId(Uuid::from_u128(8)),
        };
        let key = Random::seeded(7).api_key(id, owner, ApiKeyKind::Public);
        assert_eq!(key.len(), 102);
        let (body, checksum) = key.split_at(94);
        assert!(body.starts_with("pk_"));
        assert!(body.ends_with("00000000000000000000000000000007user3574ck4u7h"));
        assert_eq!(
            u32::from_str_radix(checksum, 16),
            Ok(crc32fast::hash(body.as_bytes()))
        );
        // The check value of CRC-32 (IEEE), so that the right polynomial is used.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn seeded_randomness_repeats_itself() {
        assert_eq!(Random::seeded(7).token(), Random::seeded(7).token());
        assert_ne!(Random::seeded(7).token(), Random::seeded(8).token());
    }

    #[test]
    fn derived_keys_follow_from_secret_and_purpose() {
        let secret = |seed| ServerSecret::generate(&Random::seeded(seed));
        let key = |seed, purpose| secret(seed).derive_key(KeyPrefix::SuperSecretAdmin, purpose);
        assert_eq!(key(1, "a"), key(1, "a"));
        assert_ne!(key(1, "a"), key(1, "b"));
        assert_ne!(key(1, "a"), key(2, "a"));
        assert!(key(1, "a").starts_with("sak_"));
        assert_eq!(key(1, "a").len(), 4 + TOKEN_LENGTH);
    }

    #[test]
    fn a_server_secret_has_thirty_two_bytes() {
        let secret = ServerSecret::generate(&Random::seeded(1));
        assert_eq!(secret.to_base64url().parse(), Ok(secret.clone()));
        assert_eq!(format!("{}=", secret.to_base64url()).parse(), Ok(secret));
        assert_eq!(
            "c2hvcnQ".parse::<ServerSecret>(),
            Err(ServerSecretError::TooShort)
        );
        assert_eq!(
            "not base64!".parse::<ServerSecret>(),
            Err(ServerSecretError::NotBase64Url)
        );
    }
}
