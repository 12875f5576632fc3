//! Limits against abuse: how often an account, an address or a caller may try something.
//!
//! Each [`Limit`] has a [`Quota`]: a bucket of so many tries, which fills up again evenly. A bucket
//! belongs to a key (the account, the address the mail goes to, the caller's IP) and is kept in
//! the memory of one process: with several nodes each grants the quota.
//!
//! - What costs something every time (a mail, an account) is [`spent`](Limits::spend):
//!
//!   ```ignore
//!   app.limits.spend(Limit::CodeSending, &format!("{project} {email}"), app.now())?;
//!   ```
//!
//! - Where only failures count (passwords, codes), a try is [`begun`](Limits::begin) before the
//!   secret is looked at, and given back once it turned out to be right. Begun tries count until
//!   then, so guessing in parallel gains nothing:
//!
//!   ```ignore
//!   let attempt = app.limits.begin(Limit::PasswordGuess, &account, &app.clock).await?;
//!   if !right { return Err(mismatch) }  // dropped: it counts
//!   attempt.succeeded();
//!   ```
//!
//! - Limits per caller take the caller's IP: see `Caller::limit` in `http/request/caller.rs`.
//!
//! A try over the limit fails with [`TooMany`], on the wire 429 with `Retry-After`.

mod quotas;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muniment_domain::Millis;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::clock::Clock;
use crate::error::ApiError;

pub use quotas::{Limit, Quota, Quotas};

/// How many buckets are kept before full ones are looked for and dropped. One takes some 50 bytes.
const SWEEP_AT: usize = 100_000;

/// Too many tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; the next one may be made in {retry_after_seconds} seconds")]
pub struct TooMany {
    /// In how many seconds the next try may be made; at least 1.
    pub retry_after_seconds: u64,
}

impl From<TooMany> for ApiError {
    fn from(error: TooMany) -> Self {
        Self::TooMany(format!("There were {error}."), error.retry_after_seconds)
    }
}

/// The buckets. Cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Parts>);

struct Parts {
    quotas: Quotas,
    hasher: RandomState,
    buckets: Mutex<Buckets>,
}

/// Keys are hashed with a secret of the process: a bucket has a small, fixed size, and nobody can
/// choose one that collides.
type Key = u64;

struct Buckets {
    known: HashMap<Key, Bucket>,
    /// For buckets that somebody waits for: told when a begun try has ended.
    awaited: HashMap<Key, Arc<Notify>>,
    sweep_at: usize,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// When it will be full again, in microseconds since the Unix epoch (the GCRA algorithm).
    full_at: i64,
    /// Tries that have begun and not ended.
    running: u32,
}

impl Bucket {
    /// What is missing from it, in microseconds of filling.
    fn missing(self, now: i64) -> i64 {
        (self.full_at - now).max(0)
    }

    fn take(&mut self, quota: Quota, now: i64) {
        self.full_at = now + self.missing(now) + quota.one();
    }
}

/// What a bucket says to a try that wants to begin.
enum Answer {
    Granted,
    /// Others have begun that may be given back. Ends when one of them has ended.
    Wait(OwnedNotified),
    Refused(TooMany),
}

impl Limits {
    /// All buckets are full.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self(Arc::new(Parts {
            quotas,
            hasher: RandomState::new(),
            buckets: Mutex::new(Buckets {
                known: HashMap::new(),
                awaited: HashMap::new(),
                sweep_at: SWEEP_AT,
            }),
        }))
    }

    /// Takes a try, for good.
    ///
    /// # Errors
    /// When there is none left.
    pub fn spend<K: Hash + ?Sized>(
        &self,
        limit: Limit,
        key: &K,
        now: Millis,
    ) -> Result<(), TooMany> {
        let Some(quota) = self.0.quotas.quota(limit) else {
            return Ok(());
        };
        let (key, now) = (self.key(limit, key), micros(now));
        let mut buckets = self.buckets();
        let bucket = buckets.bucket(key, now);
        let left = quota.burst() - bucket.missing(now);
        if left < quota.one() {
            return Err(too_many(quota.one() - left));
        }
        bucket.take(quota, now);
        Ok(())
    }

    /// Takes a try that is given back if it [succeeds](Attempt::succeeded). While others that have
    /// begun may still be given back, it waits for them.
    ///
    /// # Errors
    /// When there is none left.
    pub async fn begin<K: Hash + ?Sized>(
        &self,
        limit: Limit,
        key: &K,
        clock: &Clock,
    ) -> Result<Attempt, TooMany> {
        let Some(quota) = self.0.quotas.quota(limit) else {
            return Ok(Attempt(None));
        };
        let key = self.key(limit, key);
        loop {
            match self.ask(key, quota, micros(clock.now())) {
                Answer::Granted => {
                    return Ok(Attempt(Some(Begun {
                        limits: self.clone(),
                        clock: clock.clone(),
                        key,
                        quota,
                        failed: true,
                    })));
                }
                Answer::Wait(ended) => ended.await,
                Answer::Refused(error) => return Err(error),
            }
        }
    }

    fn ask(&self, key: Key, quota: Quota, now: i64) -> Answer {
        let mut buckets = self.buckets();
        let bucket = buckets.bucket(key, now);
        let left = quota.burst() - bucket.missing(now);
        if left < quota.one() {
            return Answer::Refused(too_many(quota.one() - left));
        }
        if left < quota.one() * (i64::from(bucket.running) + 1) {
            let awaited = buckets.awaited.entry(key).or_default();
            return Answer::Wait(Arc::clone(awaited).notified_owned());
        }
        bucket.running += 1;
        Answer::Granted
    }

    fn key<K: Hash + ?Sized>(&self, limit: Limit, key: &K) -> Key {
        self.0.hasher.hash_one((limit, key))
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn bucket(&mut self, key: Key, now: i64) -> &mut Bucket {
        if self.known.len() >= self.sweep_at {
            self.known
                .retain(|_, bucket| bucket.running > 0 || bucket.missing(now) > 0);
            // Sweeping takes time in proportion, so it waits until it can be worth it.
            self.sweep_at = SWEEP_AT.max(self.known.len() * 2);
        }
        self.known.entry(key).or_default()
    }
}

fn micros(now: Millis) -> i64 {
    now.0.saturating_mul(1_000)
}

fn too_many(wait_micros: i64) -> TooMany {
    let seconds = u64::try_from(wait_micros)
        .unwrap_or_default()
        .div_ceil(1_000_000);
    TooMany {
        retry_after_seconds: seconds.max(1),
    }
}

/// A try that has begun. It counts as failed unless it is said to have [succeeded](Self::succeeded):
/// also when the caller hangs up, which must not be a way to guess for free.
#[must_use = "dropped at once, it counts as failed"]
pub struct Attempt(Option<Begun>);

struct Begun {
    limits: Limits,
    clock: Clock,
    key: Key,
    quota: Quota,
    failed: bool,
}

impl Attempt {
    /// Gives the try back.
    pub fn succeeded(mut self) {
        if let Some(begun) = &mut self.0 {
            begun.failed = false;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let now = micros(self.clock.now());
        let mut buckets = self.limits.buckets();
        let bucket = buckets.bucket(self.key, now);
        bucket.running = bucket.running.saturating_sub(1);
        if self.failed {
            bucket.take(self.quota, now);
        }
        let last = bucket.running == 0;
        // A try given back is one for somebody who waits. A lost one may leave none for all of them.
        if last || self.failed {
            if let Some(awaited) = buckets.awaited.remove(&self.key) {
                awaited.notify_waiters();
            }
        } else if let Some(awaited) = buckets.awaited.get(&self.key) {
            awaited.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        Limits::new(text.parse().unwrap())
    }

    #[test]
    fn a_bucket_empties_and_fills_evenly() {
        let limits = limits("code-sending=3/30s");
        let spend = |key: &str, millis: i64| limits.spend(Limit::CodeSending, key, Millis(millis));
        for _ in 0..3 {
            assert_eq!(spend("a", 0), Ok(()));
        }
        let retry = |seconds| {
            Err(TooMany {
                retry_after_seconds: seconds,
            })
        };
        assert_eq!(spend("a", 0), retry(10));
        assert_eq!(spend("b", 0), Ok(()));
        assert_eq!(spend("a", 9_999), retry(1));
        assert_eq!(spend("a", 10_000), Ok(()));
        assert_eq!(spend("a", 10_000), retry(10));
        assert_eq!(limits.spend(Limit::CodeGuess, "a", Millis(0)), Ok(()));
    }

    #[tokio::test]
    async fn only_failures_count() {
        let limits = limits("password-guess=2/20s");
        let clock = Clock::fixed(Millis(0));
        let begin = || limits.begin(Limit::PasswordGuess, "ada", &clock);
        for _ in 0..10 {
            begin().await.unwrap().succeeded();
        }
        drop(begin().await.unwrap());
        drop(begin().await.unwrap());
        assert_eq!(
            begin().await.err(),
            Some(TooMany {
                retry_after_seconds: 10
            })
        );
        clock.advance(10_000);
        begin().await.unwrap().succeeded();
        begin().await.unwrap().succeeded();
    }

    #[tokio::test]
    async fn guessing_in_parallel_gains_nothing() {
        let limits = limits("password-guess=3/1h");
        let clock = Clock::fixed(Millis(0));
        let guess = |right: bool| {
            let (limits, clock) = (limits.clone(), clock.clone());
            tokio::spawn(async move {
                let attempt = limits.begin(Limit::PasswordGuess, "ada", &clock).await?;
                tokio::task::yield_now().await;
                if right {
                    attempt.succeeded();
                }
                Ok::<_, TooMany>(())
            })
        };
        let right: Vec<_> = (0..50).map(|_| guess(true)).collect();
        for attempt in right {
            attempt.await.unwrap().unwrap();
        }
        let wrong: Vec<_> = (0..50).map(|_| guess(false)).collect();
        let mut let_through = 0;
        for attempt in wrong {
            let_through += usize::from(attempt.await.unwrap().is_ok());
        }
        assert_eq!(let_through, 3);
    }

    #[test]
    fn full_buckets_are_dropped() {
        let limits = limits("code-sending=1/1s");
        for key in 0..=SWEEP_AT {
            let at = i64::try_from(key).unwrap() * 1_000;
            limits.spend(Limit::CodeSending, &key, Millis(at)).unwrap();
        }
        assert!(limits.buckets().known.len() < 10);
    }
}
