//! What can be chosen about a download.

use std::{fmt, sync::Arc, time::SystemTime};

use tokio_util::sync::CancellationToken;

use crate::{Progress, progress::OnProgress};

/// Streams that fetch a large file in parallel unless the caller says
/// otherwise.
const DEFAULT_STREAMS: usize = 4;

/// Choices about one download.
#[derive(Clone)]
#[must_use]
pub struct DownloadOptions {
    pub(super) streams: usize,
    pub(super) modified: Option<SystemTime>,
    pub(super) on_progress: Option<OnProgress>,
    pub(super) cancel: CancellationToken,
}

impl DownloadOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            streams: DEFAULT_STREAMS,
            modified: None,
            on_progress: None,
            cancel: CancellationToken::new(),
        }
    }

    /// Streams that fetch a large file in parallel; 4 unless set. Each may hold
    /// 4 MiB in memory.
    pub fn streams(mut self, count: usize) -> Self {
        self.streams = count.max(1);
        self
    }

    /// When the file shall say that it was changed, if the file system keeps
    /// such times; unless set, it is when it was written here.
    pub fn modified(mut self, time: SystemTime) -> Self {
        self.modified = Some(time);
        self
    }

    /// Called about ten times a second while the download is under way. Must
    /// not block.
    pub fn on_progress(mut self, call: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(call));
        self
    }

    /// Stops the download when the token is cancelled. What has arrived is
    /// kept, and the next call goes on from there.
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DownloadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadOptions").finish_non_exhaustive()
    }
}
