//! Personal data at rest: AES-256-GCM under one data key per subject.
//!
//! A subject is a person, a team or a project. Its data key is random, is stored wrapped by a key
//! that derives from the server secret (HKDF-SHA-256, RFC 5869), and is destroyed when the subject
//! is erased: then nothing that was sealed under it can be read again, in no backup and no copy of
//! the log. Nonces are random; associated data binds a ciphertext to the place it was made for.

pub(crate) mod sealed_event;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use moka::sync::Cache;
use sha2::Sha256;
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::LedgerError;

const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
/// Another node may destroy a key; this is how long this one may go on reading with it.
const CACHE_TIME: Duration = Duration::from_secs(60);
const CACHED_KEYS: u64 = 20_000;

/// The key that wraps all data keys.
#[derive(Clone)]
pub struct MasterKey(Aes256Gcm);

impl MasterKey {
    /// Derives the key from the server secret.
    #[must_use]
    pub fn derive(server_secret: &[u8]) -> Self {
        let mut key = [0u8; KEY_BYTES];
        // Expanding to 32 bytes cannot fail: the limit is 255 times the hash's length.
        let _ =
            Hkdf::<Sha256>::new(None, server_secret).expand(b"muniment subject keys v1", &mut key);
        Self(Aes256Gcm::new(&key.into()))
    }
}

/// A subject's data key.
#[derive(Clone)]
pub struct DataKey(Arc<Aes256Gcm>);

impl DataKey {
    /// A key that is stored nowhere, because it follows from the server secret and what it is for.
    /// For what leaves the server sealed and comes back; it cannot be destroyed.
    #[must_use]
    pub fn derive(server_secret: &[u8], purpose: &str) -> Self {
        let mut key = [0u8; KEY_BYTES];
        let root = Hkdf::<Sha256>::new(Some(b"muniment derived data keys v1"), server_secret);
        // Cannot fail: see `MasterKey::derive`.
        let _ = root.expand(purpose.as_bytes(), &mut key);
        Self(Arc::new(Aes256Gcm::new(&key.into())))
    }

    /// Seals `plain` for the place that `binding` names. Returns the nonce and the ciphertext.
    ///
    /// # Errors
    /// When the text is longer than AES-GCM allows (64 GiB).
    pub fn seal(&self, plain: &[u8], binding: &str) -> Result<Vec<u8>, LedgerError> {
        encrypt(&self.0, plain, binding.as_bytes())
    }

    /// Opens what [`DataKey::seal`] returned for the same place.
    ///
    /// # Errors
    /// When it was sealed with another key, for another place, or was damaged.
    pub fn open(&self, sealed: &[u8], binding: &str) -> Result<Vec<u8>, LedgerError> {
        decrypt(&self.0, sealed, binding.as_bytes())
    }
}

/// Makes, keeps and destroys data keys.
#[derive(Clone)]
pub struct Sealer {
    pool: PgPool,
    master: MasterKey,
    cache: Cache<String, DataKey>,
}

impl Sealer {
    /// A sealer on a database.
    #[must_use]
    pub fn new(pool: PgPool, master: MasterKey) -> Self {
        let cache = Cache::builder()
            .max_capacity(CACHED_KEYS)
            .time_to_live(CACHE_TIME)
            .build();
        Self {
            pool,
            master,
            cache,
        }
    }

    /// The keys of those `subjects` that still have one.
    pub async fn existing_keys(
        &self,
        subjects: HashSet<String>,
    ) -> Result<HashMap<String, DataKey>, LedgerError> {
        let (keys, missing) = self.remembered(subjects);
        let (keys, _destroyed) = self.read(keys, missing, &self.pool).await?;
        Ok(keys)
    }

    /// The keys of all `subjects`; those that never had one get one, and those whose key was destroyed
    /// are left out. Everything happens on `connection`: units of work that waited for a second
    /// connection each could wait for one another forever. Subjects that are `newborn` in this
    /// transaction cannot have a key yet.
    ///
    /// Fresh keys enter the cache only through [`Sealer::remember`], once they are committed.
    pub(crate) async fn keys_for_writing(
        &self,
        connection: &mut PgConnection,
        subjects: HashSet<String>,
        newborn: &HashSet<String>,
    ) -> Result<(HashMap<String, DataKey>, FreshKeys), LedgerError> {
        let (keys, mut missing) = self.remembered(subjects.clone());
        missing.retain(|subject| !newborn.contains(subject));
        let (mut keys, destroyed) = self.read(keys, missing, &mut *connection).await?;
        let mut fresh = FreshKeys::default();
        let (mut names, mut wrapped_keys) = (Vec::new(), Vec::new());
        for subject in subjects {
            if keys.contains_key(&subject) || destroyed.contains(&subject) {
                continue;
            }
            let (key, wrapped) = self.generate(&subject)?;
            names.push(subject.clone());
            wrapped_keys.push(wrapped);
            fresh.0.push((subject.clone(), key.clone()));
            keys.insert(subject, key);
        }
        if !names.is_empty() {
            // A concurrent writer may have made the key, or destroyed it: then this transaction is
            // retried.
            sqlx::query!(
                "INSERT INTO subject_keys (subject, wrapped_key)
                 SELECT * FROM unnest($1::text[], $2::bytea[])",
                &names,
                &wrapped_keys,
            )
            .execute(connection)
            .await?;
        }
        Ok((keys, fresh))
    }

    /// The subject's key; one is made if there never was one. It counts once `connection` has committed.
    ///
    /// # Errors
    /// [`LedgerError::SubjectErased`]
    pub async fn key_for_writing(
        &self,
        connection: &mut PgConnection,
        subject: &str,
    ) -> Result<DataKey, LedgerError> {
        let subjects = HashSet::from([subject.to_owned()]);
        let (mut keys, _) = self
            .keys_for_writing(connection, subjects, &HashSet::new())
            .await?;
        keys.remove(subject)
            .ok_or_else(|| LedgerError::SubjectErased(subject.to_owned()))
    }

    /// The keys at hand, and the subjects whose keys are not.
    fn remembered(&self, subjects: HashSet<String>) -> (HashMap<String, DataKey>, Vec<String>) {
        let mut keys = HashMap::new();
        let mut missing = Vec::new();
        for subject in subjects {
            match self.cache.get(&subject) {
                Some(key) => {
                    keys.insert(subject, key);
                }
                None => missing.push(subject),
            }
        }
        (keys, missing)
    }

    /// Adds the stored keys to those at hand, and says which were destroyed.
    async fn read(
        &self,
        mut keys: HashMap<String, DataKey>,
        missing: Vec<String>,
        executor: impl PgExecutor<'_>,
    ) -> Result<(HashMap<String, DataKey>, HashSet<String>), LedgerError> {
        let mut destroyed = HashSet::new();
        if missing.is_empty() {
            return Ok((keys, destroyed));
        }
        let rows = sqlx::query!(
            "SELECT subject, wrapped_key FROM subject_keys WHERE subject = ANY($1)",
            &missing
        )
        .fetch_all(executor)
        .await?;
        for row in rows {
            let Some(wrapped) = row.wrapped_key else {
                destroyed.insert(row.subject);
                continue;
            };
            let key = self.unwrap(&row.subject, &wrapped)?;
            self.cache.insert(row.subject.clone(), key.clone());
            keys.insert(row.subject, key);
        }
        Ok((keys, destroyed))
    }

    /// Takes keys into the cache whose rows have been committed.
    pub(crate) fn remember(&self, fresh: FreshKeys) {
        for (subject, key) in fresh.0 {
            self.cache.insert(subject, key);
        }
    }

    /// Destroys the keys of `subjects`. What was sealed under them is gone for good, and no key is ever
    /// made for them again: in the key's place stands that it was destroyed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destroy(
        &self,
        connection: &mut PgConnection,
        subjects: &[String],
    ) -> Result<(), LedgerError> {
        sqlx::query!(
            "INSERT INTO subject_keys (subject, destroyed_at)
             SELECT DISTINCT subject, now() FROM unnest($1::text[]) AS erased (subject)
             ON CONFLICT (subject) DO UPDATE SET wrapped_key = NULL, destroyed_at = now()
             WHERE subject_keys.wrapped_key IS NOT NULL",
            subjects
        )
        .execute(connection)
        .await?;
        for subject in subjects {
            self.cache.invalidate(subject);
        }
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "keys must never repeat, in tests either"
    )]
    fn generate(&self, subject: &str) -> Result<(DataKey, Vec<u8>), LedgerError> {
        let raw: [u8; KEY_BYTES] = rand::random();
        let wrapped = encrypt(&self.master.0, &raw, subject.as_bytes())?;
        Ok((DataKey(Arc::new(Aes256Gcm::new(&raw.into()))), wrapped))
    }

    fn unwrap(&self, subject: &str, wrapped: &[u8]) -> Result<DataKey, LedgerError> {
        let raw = decrypt(&self.master.0, wrapped, subject.as_bytes())?;
        let raw: [u8; KEY_BYTES] = raw.try_into().map_err(|_| LedgerError::Unsealing)?;
        Ok(DataKey(Arc::new(Aes256Gcm::new(&raw.into()))))
    }
}

/// Keys whose rows are not committed yet.
#[derive(Default)]
pub(crate) struct FreshKeys(Vec<(String, DataKey)>);

#[expect(
    clippy::disallowed_methods,
    reason = "nonces must never repeat, in tests either"
)]
fn encrypt(cipher: &Aes256Gcm, msg: &[u8], aad: &[u8]) -> Result<Vec<u8>, LedgerError> {
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg, aad })
        .map_err(|_| LedgerError::Unsealing)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn decrypt(cipher: &Aes256Gcm, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, LedgerError> {
    let (nonce, msg) = sealed
        .split_at_checked(NONCE_BYTES)
        .ok_or(LedgerError::Unsealing)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| LedgerError::Unsealing)?;
    cipher
        .decrypt(&Nonce::from(nonce), Payload { msg, aad })
        .map_err(|_| LedgerError::Unsealing)
}
