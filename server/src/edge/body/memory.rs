//! Memory for messages that have not arrived whole.
//!
//! A message is collected before it can be read, so that many slow callers
//! could fill the memory with beginnings. All of them share one budget: a
//! stream that finds it used up is not read from, and flow control makes its
//! caller wait. So that streams which hold beginnings cannot block each other
//! for ever, a few may go on in spite of it until their message is whole; a
//! caller who keeps such a place for too long loses its stream.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::MessageProgress;

/// Streams that may go on when the budget is used up. Each adds one message at
/// most.
const EXTRA_MESSAGES: usize = 8;

/// The budget.
#[derive(Debug)]
pub struct MessageMemory {
    limit: u64,
    used: AtomicU64,
    freed: Notify,
    extra: Arc<Semaphore>,
}

impl MessageMemory {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        let extra = Arc::new(Semaphore::new(EXTRA_MESSAGES));
        Arc::new(Self { limit, used: AtomicU64::new(0), freed: Notify::new(), extra })
    }

    /// How many bytes are in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// How many may be.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn has_room(&self) -> bool {
        self.used() < self.limit
    }

    fn free(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        if before >= self.limit && before - bytes < self.limit {
            self.freed.notify_waiters();
        }
    }

    /// Waits until there is room again, or a place beyond the limit.
    async fn room(self: Arc<Self>) -> Option<OwnedSemaphorePermit> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.has_room() {
                return None;
            }
            tokio::select! {
                () = freed => {}
                place = Arc::clone(&self.extra).acquire_owned() => return place.ok(),
            }
        }
    }
}

type Room = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// What one stream holds of the budget.
pub(super) struct Charge {
    memory: Arc<MessageMemory>,
    held: u64,
    message: MessageProgress,
    waiting: Option<Room>,
    extra: Option<(OwnedSemaphorePermit, Instant)>,
}

impl Charge {
    pub(super) fn new(memory: Arc<MessageMemory>) -> Self {
        let message = MessageProgress::default();
        Self { memory, held: 0, message, waiting: None, extra: None }
    }

    /// Waits until the stream may take more. Whoever asks has done with all
    /// whole messages.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let begun = self.message.begun();
        if self.held > begun {
            self.memory.free(self.held - begun);
            self.held = begun;
        }
        if begun == 0 {
            self.extra = None;
        }
        if self.extra.is_some() {
            return Poll::Ready(());
        }
        if self.waiting.is_none() && self.memory.has_room() {
            return Poll::Ready(());
        }
        let memory = &self.memory;
        let room = self.waiting.get_or_insert_with(|| Box::pin(Arc::clone(memory).room()));
        let place = ready!(room.as_mut().poll(context));
        self.waiting = None;
        self.extra = place.map(|place| (place, Instant::now()));
        Poll::Ready(())
    }

    /// Bytes have come.
    pub(super) fn took(&mut self, bytes: &[u8]) {
        self.memory.used.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.held += bytes.len() as u64;
        self.message.follow(bytes);
    }

    /// Since when the stream goes on beyond the limit.
    pub(super) fn extra_since(&self) -> Option<Instant> {
        self.extra.as_ref().map(|(_, since)| *since)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.free(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(length.to_be_bytes());
        message.resize(5 + length as usize, 1);
        message
    }

    async fn has_room(charge: &mut Charge) -> bool {
        futures::future::poll_fn(|context| Poll::Ready(charge.poll_room(context).is_ready())).await
    }

    #[tokio::test]
    async fn streams_wait_when_it_is_used_up_and_go_on_when_it_is_free() {
        let memory = MessageMemory::new(1000);
        let mut first = Charge::new(Arc::clone(&memory));
        assert!(has_room(&mut first).await);
        first.took(&message(2000)[..1000]);
        let mut extra: Vec<_> =
            (0..EXTRA_MESSAGES).map(|_| Charge::new(Arc::clone(&memory))).collect();
        for charge in &mut extra {
            assert!(has_room(charge).await);
            charge.took(&message(2000)[..10]);
            assert!(charge.extra_since().is_some());
        }
        let mut late = Charge::new(Arc::clone(&memory));
        assert!(!has_room(&mut late).await);
        first.took(&message(2000)[1000..]);
        // One that goes on beyond the limit ends its message: a place is free.
        extra[0].took(&message(2000)[10..]);
        assert!(has_room(&mut extra[0]).await || !memory.has_room());
        assert!(has_room(&mut late).await);
        drop((first, extra, late));
        assert_eq!(memory.used(), 0);
    }
}
