//! The signing keys, as this process knows them.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::SecretBox;
use sluice_domain::{Error, Result, Timestamp};
use tokio::sync::Mutex;

use crate::ports::{Clock, KeyPurpose, SigningKey, SigningKeyId, SigningKeyStore};

/// How much longer than needed a key is kept: the clocks of several processes
/// may differ, and a link may be good for the rest of its last second.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// The keys of the store, kept in memory, and the newest replaced in time.
pub(crate) struct Keyring {
    store: Arc<dyn SigningKeyStore>,
    clock: Arc<dyn Clock>,
    purpose: KeyPurpose,
    /// How long a key signs.
    rotation: Duration,
    /// The longest life of what a key signs.
    longest: Duration,
    known: RwLock<Arc<[SigningKey]>>,
    /// How many times the keys were read; the lock is held while they are.
    reads: Mutex<u64>,
}

impl Keyring {
    pub(crate) fn new(
        store: Arc<dyn SigningKeyStore>,
        clock: Arc<dyn Clock>,
        purpose: KeyPurpose,
        rotation: Duration,
        longest: Duration,
    ) -> Self {
        let known = RwLock::new(Arc::from([]));
        Self { store, clock, purpose, rotation, longest, known, reads: Mutex::new(0) }
    }

    /// The key to sign with now.
    pub(crate) async fn current(&self) -> Result<SigningKey> {
        let now = self.clock.now();
        let due = now.minus(self.rotation);
        if let Some(newest) = self.known().first().filter(|key| key.create_time > due) {
            return Ok(newest.clone());
        }
        let new = new_key(now)?;
        let superseded = now.minus(self.longest + MARGIN);
        let keys = self.store.rotate_signing_key(self.purpose, new, due, superseded).await?;
        self.know(keys);
        let newest = self.known().first().cloned();
        newest.ok_or_else(|| Error::storage_io("there is no key to sign with"))
    }

    /// The key with this id, if there is one. Another process may have made it,
    /// so the store is asked before the answer is no. Whoever invents ids makes
    /// one look-up at a time.
    pub(crate) async fn find(&self, id: SigningKeyId) -> Result<Option<SigningKey>> {
        let found = || self.known().iter().find(|key| key.id == id).cloned();
        if let Some(key) = found() {
            return Ok(Some(key));
        }
        let before = *self.reads.lock().await;
        let mut reads = self.reads.lock().await;
        // A read that began after this call knows as much as one of its own.
        if *reads == before {
            *reads += 1;
            self.know(self.store.signing_keys(self.purpose).await?);
        }
        Ok(found())
    }

    /// All keys that are known, the newest first.
    pub(crate) fn all(&self) -> Arc<[SigningKey]> {
        self.known()
    }

    fn known(&self) -> Arc<[SigningKey]> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn know(&self, keys: Vec<SigningKey>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
    }
}

fn new_key(create_time: Timestamp) -> Result<SigningKey> {
    let mut id = [0; 8];
    let mut secret = Box::new([0; 32]);
    getrandom::fill(&mut id)
        .and_then(|()| getrandom::fill(secret.as_mut_slice()))
        .map_err(|_| Error::storage_io("the system gives no randomness"))?;
    let secret = Arc::new(SecretBox::new(secret));
    Ok(SigningKey { id: SigningKeyId(id), secret, create_time })
}
