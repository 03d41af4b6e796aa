//! Lets files into flight, as many at a time as helps.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sluice_domain::{Sample, Tempo};
use sluice_sdk::Client;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// A sample is at least so long.
const SAMPLE: Duration = Duration::from_millis(250);
/// Files in flight at first.
const FIRST_FILES: usize = 8;
/// What a file costs beside its bytes, as bytes.
const COST_OF_A_FILE: u64 = 64 * 1024;

/// Shared by all files of a command.
pub(crate) struct Gate {
    /// Never closed.
    slots: Semaphore,
    state: Mutex<State>,
    /// Counts how often the server has asked to slow down.
    slowdowns: Box<dyn Fn() -> u64 + Send + Sync>,
}

struct State {
    tempo: Tempo,
    /// Slots that are to go as soon as they are free.
    surplus: usize,
    /// Since the present sample began.
    began: Instant,
    files: usize,
    work: u64,
    was_full: bool,
    slowdowns: u64,
}

/// The right of one file to be in flight.
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    slot: Option<SemaphorePermit<'a>>,
    work: u64,
}

impl Gate {
    /// A gate for `most` files at a time and no more.
    pub(crate) fn new(client: &Client, most: usize) -> Self {
        let client = client.clone();
        Self::with(most, move || client.slowdowns())
    }

    fn with(most: usize, slowdowns: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let tempo = Tempo::new(FIRST_FILES, most);
        Self {
            slots: Semaphore::new(tempo.limit()),
            state: Mutex::new(State {
                tempo,
                surplus: 0,
                began: Instant::now(),
                files: 0,
                work: 0,
                was_full: false,
                slowdowns: slowdowns(),
            }),
            slowdowns: Box::new(slowdowns),
        }
    }

    /// Waits for a place in flight.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        let slot = match self.slots.try_acquire() {
            Ok(slot) => Some(slot),
            Err(_) => {
                self.lock().was_full = true;
                self.slots.acquire().await.ok()
            }
        };
        Pass { gate: self, slot, work: 0 }
    }

    /// A place became free; answers whether it shall be gone for good.
    fn leave(&self, work: u64) -> bool {
        let mut state = self.lock();
        state.files += 1;
        state.work += work;
        let elapsed = state.began.elapsed();
        let limit = state.tempo.limit();
        if elapsed >= SAMPLE && state.files >= limit {
            let slowdowns = (self.slowdowns)();
            #[expect(clippy::cast_precision_loss, reason = "compared by percents")]
            let rate = state.work as f64 / elapsed.as_secs_f64();
            let was_slowed = slowdowns > state.slowdowns;
            let was_full = state.was_full;
            state.tempo.observe(Sample { rate, was_full, was_slowed });
            (state.began, state.files, state.work) = (Instant::now(), 0, 0);
            (state.was_full, state.slowdowns) = (false, slowdowns);
            let now = state.tempo.limit();
            if now < limit {
                state.surplus += limit - now;
            } else {
                let kept = state.surplus.min(now - limit);
                state.surplus -= kept;
                self.slots.add_permits(now - limit - kept);
            }
        }
        let gone = state.surplus > 0;
        state.surplus -= usize::from(gone);
        gone
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// So many bytes were moved by this file.
    pub(crate) fn moved(&mut self, bytes: u64) {
        self.work = bytes + COST_OF_A_FILE;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take()
            && self.gate.leave(self.work)
        {
            slot.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    };

    use futures::{StreamExt, stream};
    use tokio::time::sleep;

    use super::*;

    /// Sends files to a server that works on `lanes` of them at a time; answers
    /// the most that were in flight at the end.
    async fn most_in_flight(gate: &Gate, files: usize, lanes: usize) -> usize {
        let (lanes, inside) = (Semaphore::new(lanes), AtomicUsize::new(0));
        let most = AtomicUsize::new(0);
        let work = stream::iter(0..files).map(|number| {
            let (gate, lanes, inside, most) = (gate, &lanes, &inside, &most);
            async move {
                let mut pass = gate.enter().await;
                let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                if number > files * 9 / 10 {
                    most.fetch_max(now, Ordering::Relaxed);
                }
                let _lane = lanes.acquire().await.unwrap();
                sleep(Duration::from_millis(10)).await;
                pass.moved(1000);
                inside.fetch_sub(1, Ordering::Relaxed);
            }
        });
        work.buffer_unordered(1000).collect::<()>().await;
        most.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_are_in_flight_as_the_server_works_on() {
        let many = most_in_flight(&Gate::with(256, || 0), 50_000, 100).await;
        assert!((64..=160).contains(&many), "{many} in flight, of which 100 are worked on");
        let few = most_in_flight(&Gate::with(256, || 0), 5_000, 4).await;
        assert!(few <= 12, "{few} in flight, of which 4 are worked on");
        let bounded = most_in_flight(&Gate::with(20, || 0), 5_000, 100).await;
        assert!(bounded <= 20, "{bounded} in flight, of which 20 may be");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_to_slow_down_are_followed() {
        let asked = Arc::new(AtomicU64::new(0));
        let server = asked.clone();
        // Asks each time that somebody looks.
        let gate = Gate::with(64, move || server.fetch_add(1, Ordering::Relaxed));
        let one = most_in_flight(&gate, 5_000, 100).await;
        assert!(one <= 2, "{one} in flight");
    }
}
