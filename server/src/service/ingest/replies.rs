//! What a stream says while it is open, to callers who listen.

use sluice_domain::{ByteRange, Error, Reason, Result};
use tokio::sync::mpsc;

use crate::service::uploads::UploadStatus;

/// Something said on an open stream.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The upload as it is now.
    State(Box<UploadStatus>),
    /// These bytes are persisted: a whole part.
    Persisted(ByteRange),
    /// A frame arrived damaged, and its part was dropped.
    Damaged {
        /// Offset of the frame.
        offset: u64,
        /// Offset of the part, where to begin again.
        part_offset: u64,
    },
}

/// Where replies go: nowhere, on a stream with one answer at its end.
#[derive(Debug, Clone, Default)]
pub struct Replies(Option<mpsc::Sender<Reply>>);

impl Replies {
    /// Nobody listens.
    pub fn none() -> Self {
        Self(None)
    }

    /// Replies go to this channel. A caller who does not take them stops the
    /// stream, so that they cannot pile up.
    pub fn to(channel: mpsc::Sender<Reply>) -> Self {
        Self(Some(channel))
    }

    /// Whether anybody listens.
    pub(super) fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Says something.
    pub(super) async fn send(&self, reply: Reply) -> Result<()> {
        let Some(channel) = &self.0 else { return Ok(()) };
        channel
            .send(reply)
            .await
            .map_err(|_| Error::new(Reason::MalformedMessage, "the caller has closed the stream"))
    }
}
