//! Passwords: what is accepted, and how it is kept.
//!
//! argon2id with m = 19 MiB, t = 2, p = 1 (OWASP Password Storage Cheat Sheet).
//! One check takes tens of milliseconds of a core, so a few run at a time and a
//! few more wait; who comes then is asked to come back.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{Output, ParamsString, PasswordHash as Parsed, Salt, SaltString},
};
use secrecy::{ExposeSecret, SecretString};
use sluice_domain::{Error, Reason, Result};
use tokio::sync::Semaphore;

use super::common_passwords::is_common;
use crate::{ports::PasswordHash, tasks::Tasks};

/// Shortest and longest password, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1024;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Checks that may wait for their turn, for each that runs.
const WAITING: usize = 16;

/// What a password is compared with when there is no such account: it takes as
/// long, and no password fits.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCBhY2NvdW50IQ\
                      $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords, off the async threads.
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    memory: Arc<Memory>,
    tasks: Tasks,
}

/// What hashing works in. It is used again and again: the allocator would keep
/// as much for every thread that has ever hashed.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Passwords {
    /// Uses at most all cores but one.
    pub fn new(tasks: Tasks) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let permits = cores.saturating_sub(1).max(1);
        Self {
            running: Arc::new(Semaphore::new(permits)),
            waiting: Arc::new(Semaphore::new(permits * WAITING)),
            memory: Arc::default(),
            tasks,
        }
    }

    /// The hash of a new password, in PHC string format.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash> {
        self.run(move |memory| {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt)
                .map_err(|_| Error::storage_io("the system gives no randomness"))?;
            let salt = SaltString::encode_b64(&salt).map_err(|_| broken())?;
            let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| broken())?;
            let hash = Parsed {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params).map_err(|_| broken())?,
                salt: Some(salt.as_salt()),
                hash: Some(memory.hash(&password, salt.as_salt(), params)?),
            };
            Ok(PasswordHash(hash.to_string()))
        })
        .await
    }

    /// Whether a password is the one of the hash. Takes as long if there is none.
    pub async fn verify(&self, password: SecretString, hash: Option<PasswordHash>) -> Result<bool> {
        self.run(move |memory| {
            let text = hash.as_ref().map_or(NOBODY, |hash| &hash.0);
            let parsed = Parsed::new(text).map_err(|_| broken())?;
            let params = Params::try_from(&parsed).map_err(|_| broken())?;
            let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else {
                return Err(broken());
            };
            // Takes the same time, wherever the first difference is.
            Ok(memory.hash(&password, salt, params)? == expected && hash.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Ok(_place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            let message = "too many are signing in at this moment; try again soon";
            return Err(Error::new(Reason::Overloaded, message).retry_after(Duration::from_secs(2)));
        };
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| broken())?;
        let memory = Arc::clone(&self.memory);
        self.tasks
            .blocking(move || {
                let outcome = work(&memory);
                // It lasts as long as the work, also if nobody waits any more.
                drop(turn);
                outcome
            })
            .await
    }
}

/// Refuses a password that would be no protection; `field` names the request's
/// field in the error.
pub fn check_new(password: &SecretString, field: &str) -> Result<()> {
    let length = password.expose_secret().chars().count();
    if !LENGTHS.contains(&length) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        let description = format!("must have {least} to {most} characters, has {length}");
        return Err(Error::invalid_field(field, description));
    }
    if is_common(password.expose_secret()) {
        let description = "is one of the most common passwords; choose another one";
        return Err(Error::invalid_field(field, description));
    }
    Ok(())
}

/// Refuses to check what cannot be a password.
pub fn check_length(password: &SecretString, field: &str) -> Result<()> {
    let most = *LENGTHS.end();
    if password.expose_secret().chars().count() <= most {
        return Ok(());
    }
    Err(Error::invalid_field(field, format!("must have at most {most} characters")))
}

impl Memory {
    fn hash(&self, password: &SecretString, salt: Salt<'_>, params: Params) -> Result<Output> {
        let mut buffer = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut buffer).map_err(|_| broken())?;
        let mut blocks = self.idle().pop().unwrap_or_default();
        blocks.resize(params.block_count(), Block::default());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let output = Output::init_with(Params::DEFAULT_OUTPUT_LEN, |output| {
            let password = password.expose_secret().as_bytes();
            Ok(argon2.hash_password_into_with_memory(password, salt, output, &mut blocks)?)
        });
        self.idle().push(blocks);
        output.map_err(|_| broken())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken() -> Error {
    Error::storage_io("a password cannot be checked at this moment")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn only_the_password_fits_its_hash() {
        let passwords = Passwords::new(Tasks::new());
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(passwords.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horsf"), Some(hash.clone())).await.unwrap());
        assert_ne!(passwords.hash(secret("correct horse")).await.unwrap(), hash);
    }

    #[tokio::test]
    async fn nothing_fits_an_account_that_is_not_there() {
        let passwords = Passwords::new(Tasks::new());
        assert!(!passwords.verify(secret("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn those_who_would_wait_too_long_are_sent_away() {
        let passwords = Arc::new(Passwords::new(Tasks::new()));
        let most = passwords.waiting.available_permits();
        let tries = (0..most + 20).map(|_| {
            let passwords = Arc::clone(&passwords);
            tokio::spawn(async move { passwords.verify(secret("x"), None).await })
        });
        let outcomes = futures::future::join_all(tries).await;
        let refused = outcomes.into_iter().filter_map(|outcome| outcome.unwrap().err());
        let refused: Vec<_> = refused.collect();
        assert!(!refused.is_empty());
        for error in refused {
            assert_eq!(error.reason, Reason::Overloaded);
            assert!(error.retry_after.is_some());
        }
    }

    #[test]
    fn short_long_and_common_passwords_are_refused() {
        for wrong in ["", "1234567", "password", "Password1", "qwertyuiop", &"x".repeat(1025)] {
            let error = check_new(&secret(wrong), "password").unwrap_err();
            assert_eq!(error.violations[0].field, "password");
        }
        check_new(&secret("twelve tired tortoises"), "password").unwrap();
    }
}
