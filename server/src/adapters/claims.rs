//! Who is writing which part: one writer at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sluice_domain::{Epoch, Error, PartNumber, Reason, Result, UploadId};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard},
    time::{Instant, timeout, timeout_at},
};

/// How long a second writer waits for the first one to end.
const WAIT: Duration = Duration::from_secs(5);

/// A claim that was silent for so long is taken over: its stream is most likely
/// the dead half of a connection that was cut.
const SILENCE: Duration = Duration::from_secs(1);

type Key = (UploadId, PartNumber);

/// All claims of this process, which is the only one that writes here.
#[derive(Default)]
pub(super) struct Claims {
    held: Mutex<HashMap<Key, Arc<Claim>>>,
}

/// One writer's right to a part.
struct Claim {
    epoch: Epoch,
    /// Locked while bytes are being written or made durable, so whoever ends
    /// the claim waits for that.
    gate: Arc<AsyncMutex<Gate>>,
    last_sign: Mutex<Instant>,
    ended: Notify,
}

/// Whether a claim may still write.
pub(super) struct Gate {
    ended_by: Option<Epoch>,
}

/// A claim in use. It ends when the last clone is dropped; the writer has one,
/// and so has every write under way.
pub(super) struct Hold {
    claims: Arc<Claims>,
    key: Key,
    claim: Arc<Claim>,
}

impl Claims {
    /// Claims a part; see `BlobStore::claim_part`.
    pub(super) async fn claim(
        self: &Arc<Self>,
        upload: UploadId,
        part: PartNumber,
        epoch: Epoch,
    ) -> Result<Hold> {
        let key = (upload, part);
        let deadline = Instant::now() + WAIT;
        let busy = || {
            Error::new(
                Reason::PartBusy,
                format!("another stream is sending part {part}; try again when it has ended"),
            )
            .retry_after(SILENCE)
        };
        loop {
            let current = match self.claim_if_free(key, epoch) {
                Ok(hold) => return Ok(hold),
                Err(current) => current,
            };
            if current.epoch > epoch {
                return Err(stale(current.epoch));
            }
            let silent_at = *lock(&current.last_sign) + SILENCE;
            if current.epoch < epoch || silent_at <= Instant::now() {
                timeout_at(deadline, self.end(key, &current, epoch)).await.map_err(|_| busy())?;
                continue;
            }
            let ended = current.ended.notified();
            if !self.is_current(key, &current) {
                continue;
            }
            let _ = timeout_at(deadline.min(silent_at), ended).await;
            if deadline <= Instant::now() {
                return Err(busy());
            }
        }
    }

    /// Ends all claims on an upload that are older than `epoch`.
    pub(super) async fn fence(&self, upload: UploadId, epoch: Epoch) {
        let older: Vec<_> = lock(&self.held)
            .iter()
            .filter(|((of, _), claim)| *of == upload && claim.epoch < epoch)
            .map(|(key, claim)| (*key, Arc::clone(claim)))
            .collect();
        for (key, claim) in older {
            self.end(key, &claim, epoch).await;
        }
    }

    fn claim_if_free(self: &Arc<Self>, key: Key, epoch: Epoch) -> Result<Hold, Arc<Claim>> {
        let mut held = lock(&self.held);
        if let Some(current) = held.get(&key) {
            return Err(Arc::clone(current));
        }
        let claim = Arc::new(Claim {
            epoch,
            gate: Arc::new(AsyncMutex::new(Gate { ended_by: None })),
            last_sign: Mutex::new(Instant::now()),
            ended: Notify::new(),
        });
        held.insert(key, Arc::clone(&claim));
        Ok(Hold { claims: Arc::clone(self), key, claim })
    }

    async fn end(&self, key: Key, claim: &Arc<Claim>, by: Epoch) {
        claim.gate.lock().await.ended_by = Some(by);
        self.release(key, claim);
    }

    fn release(&self, key: Key, claim: &Arc<Claim>) {
        let mut held = lock(&self.held);
        if held.get(&key).is_some_and(|current| Arc::ptr_eq(current, claim)) {
            held.remove(&key);
        }
        drop(held);
        claim.ended.notify_waiters();
    }

    fn is_current(&self, key: Key, claim: &Arc<Claim>) -> bool {
        lock(&self.held).get(&key).is_some_and(|current| Arc::ptr_eq(current, claim))
    }
}

impl Hold {
    /// Says that the writer is alive.
    pub(super) fn sign(&self) {
        *lock(&self.claim.last_sign) = Instant::now();
    }

    /// Waits for the right to touch the part's bytes; nobody can end the claim
    /// while the answer lives.
    pub(super) async fn enter(&self) -> Result<OwnedMutexGuard<Gate>> {
        let gate = Arc::clone(&self.claim.gate).lock_owned().await;
        match gate.ended_by {
            None => Ok(gate),
            Some(epoch) if epoch > self.claim.epoch => Err(stale(epoch)),
            Some(_) => Err(Error::new(
                Reason::PartBusy,
                format!("another stream has taken over part {}", self.key.1),
            )
            .retry_after(SILENCE)),
        }
    }

    /// Waits until no write of this claim is under way.
    pub(super) async fn settle(&self) {
        let _ = timeout(WAIT, self.claim.gate.lock()).await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.claims.release(self.key, &self.claim);
    }
}

fn stale(epoch: Epoch) -> Error {
    Error::new(Reason::StaleWriter, "another writer has resumed this upload")
        .with("writer_epoch", epoch.0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
