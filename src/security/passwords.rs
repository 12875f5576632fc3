//! Passwords: argon2id (RFC 9106), and bcrypt for imported hashes.
//!
//! Hashing takes a processor for tens of milliseconds, so it runs on threads of its own, and on no
//! more of them than leave a processor for everything else: a flood of sign-ins queues here and
//! starves nobody.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;
use tokio::sync::Semaphore;

use super::secrets::Random;

/// The shortest password, in UTF-16 code units.
const MIN_LENGTH: usize = 8;
/// The longest password, in UTF-16 code units.
const MAX_LENGTH: usize = 70;
/// The longest password, in UTF-8 bytes: bcrypt, as which a hash may be imported, reads no more.
const MAX_BYTES: usize = 71;
/// The highest cost of an imported bcrypt hash; each step doubles the time.
const MAX_BCRYPT_COST: u32 = 16;

/// How hard a hash is to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// 19 MiB, two passes: OWASP's recommendation for argon2id.
    Standard,
    /// As little as argon2id allows. For tests only.
    Minimal,
}

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash offered is not one that can be imported.
    #[error(
        "password_hash must be a bcrypt hash in modular crypt format ($2a$, $2b$ or $2y$) of cost 4 to 16"
    )]
    NotImportable,
    /// The hashing itself failed.
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
}

/// Whether a password is the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is the password.
    Match,
    /// It is the password, and its hash is of a kind that should be replaced.
    MatchNeedsRehash,
    /// It is not.
    Mismatch,
}

/// Whether a password may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// It may.
    Fine,
    /// It has too few characters.
    TooShort,
    /// It has too many.
    TooLong,
}

/// Judges a password by its length alone.
#[must_use]
pub fn strength(password: &str) -> Strength {
    let length = password.encode_utf16().count();
    if length < MIN_LENGTH {
        Strength::TooShort
    } else if length > MAX_LENGTH || password.len() > MAX_BYTES {
        Strength::TooLong
    } else {
        Strength::Fine
    }
}

/// Hashes and checks passwords. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    hasher: Argon2<'static>,
    /// Compared with when there is no account, so that the answer takes as long.
    decoy: Arc<str>,
    threads: Arc<Semaphore>,
}

impl Passwords {
    /// A hasher of that cost.
    pub fn new(cost: Cost, random: &Random) -> Result<Self, PasswordError> {
        let params = match cost {
            Cost::Standard => Params::new(19 * 1024, 2, 1, None),
            Cost::Minimal => Params::new(Params::MIN_M_COST, 1, 1, None),
        };
        let params = params.map_err(|error| PasswordError::Hashing(error.to_string()))?;
        let decoy = decoy(&params, random).into();
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let threads = available_parallelism().map_or(1, |all| all.get().saturating_sub(1).max(1));
        Ok(Self {
            hasher,
            decoy,
            threads: Arc::new(Semaphore::new(threads)),
        })
    }

    /// Hashes a password, into PHC format.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let (hasher, password) = (self.hasher.clone(), password.to_owned());
        self.run(move || hash(&hasher, &password)).await?
    }

    /// Checks a password against a stored hash. Without one it takes as long and never matches.
    pub async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<PasswordCheck, PasswordError> {
        let stored = stored.filter(|hash| is_bcrypt(hash) || PasswordHash::new(hash).is_ok());
        let is_real = stored.is_some();
        let stored = stored.unwrap_or(&self.decoy).to_owned();
        let (hasher, password) = (self.hasher.clone(), password.to_owned());
        let verdict = self
            .run(move || verify(&hasher, &password, &stored))
            .await?;
        Ok(if is_real {
            verdict
        } else {
            PasswordCheck::Mismatch
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let failed = |error: &dyn std::error::Error| PasswordError::Hashing(error.to_string());
        // The permit goes into the thread: a caller who hangs up must not free it early.
        let permit = Arc::clone(&self.threads)
            .acquire_owned()
            .await
            .map_err(|e| failed(&e))?;
        let thread = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        thread.await.map_err(|e| failed(&e))
    }
}

/// A hash that takes as long to check as any other, of no password that is known: salt and output
/// are random, not computed, so that a start costs neither the time nor the memory of hashing.
fn decoy(params: &Params, random: &Random) -> String {
    let salt = BASE64_NOPAD.encode(&random.bytes::<16>());
    let output = BASE64_NOPAD.encode(&random.bytes::<{ Params::DEFAULT_OUTPUT_LEN }>());
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}")
}

fn hash(hasher: &Argon2<'_>, password: &str) -> Result<String, PasswordError> {
    let hash = hasher.hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Hashing(error.to_string()))
}

fn verify(hasher: &Argon2<'_>, password: &str, stored: &str) -> PasswordCheck {
    if is_bcrypt(stored) {
        return match bcrypt::verify(password, stored) {
            Ok(true) => PasswordCheck::MatchNeedsRehash,
            _ => PasswordCheck::Mismatch,
        };
    }
    let Ok(parsed) = PasswordHash::new(stored) else {
        return PasswordCheck::Mismatch;
    };
    match hasher.verify_password(password.as_bytes(), &parsed) {
        Ok(()) => PasswordCheck::Match,
        Err(_) => PasswordCheck::Mismatch,
    }
}

fn is_bcrypt(hash: &str) -> bool {
    check_imported_hash(hash).is_ok()
}

/// Whether a hash can be imported: bcrypt in modular crypt format.
///
/// # Errors
/// [`PasswordError::NotImportable`].
pub fn check_imported_hash(hash: &str) -> Result<(), PasswordError> {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "2a" | "2b" | "2y", cost, rest] = parts[..] else {
        return Err(PasswordError::NotImportable);
    };
    let is_cost = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let in_range = cost
        .parse()
        .is_ok_and(|cost: u32| (4..=MAX_BCRYPT_COST).contains(&cost));
    let is_radix64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    if is_cost && in_range && rest.len() == 53 && rest.bytes().all(is_radix64) {
        Ok(())
    } else {
        Err(PasswordError::NotImportable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "correct horse battery staple", cost 4.
    fn bcrypt_hash() -> String {
        bcrypt::hash("correct horse battery staple", 4).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(Cost::Minimal, &Random::system()).unwrap();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert_eq!(
            passwords
                .verify("correct horse", Some(&hash))
                .await
                .unwrap(),
            PasswordCheck::Match
        );
        assert_eq!(
            passwords.verify("wrong", Some(&hash)).await.unwrap(),
            PasswordCheck::Mismatch
        );
        assert_eq!(
            passwords.verify("correct horse", None).await.unwrap(),
            PasswordCheck::Mismatch
        );
    }

    #[tokio::test]
    async fn imported_hashes_match_and_want_to_be_replaced() {
        let passwords = Passwords::new(Cost::Minimal, &Random::system()).unwrap();
        let hash = bcrypt_hash();
        let verdict = passwords
            .verify("correct horse battery staple", Some(&hash))
            .await
            .unwrap();
        assert_eq!(verdict, PasswordCheck::MatchNeedsRehash);
        assert_eq!(
            passwords.verify("wrong", Some(&hash)).await.unwrap(),
            PasswordCheck::Mismatch
        );
    }

    /// Were it not read, or weaker, then its check would be over sooner than that of a real one.
    #[tokio::test]
    async fn the_decoy_is_as_hard_to_check_as_a_real_hash() {
        let passwords = Passwords::new(Cost::Minimal, &Random::system()).unwrap();
        let real = passwords.hash("correct horse").await.unwrap();
        assert!(PasswordHash::new(&passwords.decoy).is_ok());
        assert_eq!(passwords.decoy.len(), real.len());
        let costs = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(costs(&passwords.decoy), costs(&real));
    }

    #[test]
    fn only_bcrypt_of_a_bearable_cost_is_imported() {
        let hash = bcrypt_hash();
        assert!(check_imported_hash(&hash).is_ok());
        for bad in [
            hash.replacen("$04$", "$17$", 1),
            hash.replacen("$2b$", "$2x$", 1),
            hash[..59].to_owned(),
            String::new(),
            "$argon2id$v=19$m=8,t=1,p=1$abc$def".to_owned(),
        ] {
            assert!(check_imported_hash(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn length_decides() {
        assert_eq!(strength("1234567"), Strength::TooShort);
        assert_eq!(strength("12345678"), Strength::Fine);
        assert_eq!(strength(&"x".repeat(71)), Strength::TooLong);
        assert_eq!(strength(&"ä".repeat(36)), Strength::TooLong);
    }
}
