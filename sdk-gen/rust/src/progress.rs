//! What callers are told about an upload or a download that is under way.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::{self, MissedTickBehavior};

/// How often progress is reported.
const INTERVAL: Duration = Duration::from_millis(100);

/// How far an upload or download is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The upload, once the server has opened it: remember it to resume in
    /// another process.
    pub upload_id: Option<String>,
    /// Size of the file, if it is known.
    pub total: Option<u64>,
    /// Bytes that are stored durably. What is certain.
    pub persisted: u64,
    /// Bytes handed to the network that are not known to be stored yet.
    pub in_flight: u64,
    /// All content sent by this call, what was sent again included.
    pub sent: u64,
    /// Content sent by this call that it had sent before.
    pub resent: u64,
    /// Bytes that were stored before this call began.
    pub resumed: u64,
    /// Why nothing moves at the moment: the failure after which it is being
    /// tried again.
    pub trouble: Option<String>,
}

impl Progress {
    /// How many bytes are on their way or there, for a bar. Never more than
    /// `total`; falls back when a connection breaks.
    pub fn position(&self) -> u64 {
        let position = self.persisted.saturating_add(self.in_flight);
        position.min(self.total.unwrap_or(u64::MAX))
    }
}

/// What an upload or download took, known at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Bytes of the file.
    pub size: u64,
    /// Content that was sent or received, what was sent again included.
    pub sent: u64,
    /// Content that was sent again.
    pub resent: u64,
    /// Bytes that were there before the call began.
    pub resumed: u64,
    /// Time from the call to its end.
    pub elapsed: Duration,
}

/// What a caller gives to follow a call.
pub(crate) type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Tells the caller about one upload.
#[derive(Default)]
pub(crate) struct Reporter {
    on_progress: Option<OnProgress>,
    upload_id: OnceLock<String>,
}

impl Reporter {
    pub(crate) fn new(on_progress: Option<OnProgress>) -> Self {
        Self { on_progress, upload_id: OnceLock::new() }
    }

    /// The upload that the call is about, once known.
    pub(crate) fn upload_id(&self) -> Option<&str> {
        self.upload_id.get().map(String::as_str)
    }

    /// The upload exists: tells it at once, before any content is sent.
    pub(crate) fn opened(&self, upload_id: &str, progress: Progress) {
        self.upload_id.get_or_init(|| upload_id.to_owned());
        self.report(progress);
    }

    pub(crate) fn report(&self, mut progress: Progress) {
        if let Some(on_progress) = &self.on_progress {
            progress.upload_id = self.upload_id.get().cloned();
            on_progress(&progress);
        }
    }

    /// Reports again and again until the work is done.
    pub(crate) async fn follow<T>(
        &self,
        progress: impl Fn() -> Progress,
        work: impl Future<Output = T>,
    ) -> T {
        if self.on_progress.is_none() {
            return work.await;
        }
        let mut ticks = time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(work);
        loop {
            tokio::select! {
                value = &mut work => {
                    self.report(progress());
                    return value;
                }
                _ = ticks.tick() => self.report(progress()),
            }
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("upload_id", &self.upload_id).finish_non_exhaustive()
    }
}
