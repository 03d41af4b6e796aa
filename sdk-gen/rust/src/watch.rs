//! Events of uploads and files as a stream that survives broken connections.

use std::{fmt, time::Duration};

use futures::{Stream, stream};
use sluice_domain::Reason;
use sluice_proto::v1::{WatchEventsRequest, WatchEventsResponse, watch_events_response};
use tokio::time;
use tonic::Streaming;

use crate::{Client, Error, File, Result, Upload, client::answer, error::Kind, retry::Attempts};

/// A server says something every 15 s. A stream that brings nothing for this
/// long is opened again.
const STALL: Duration = Duration::from_secs(45);

/// What to watch; everything of the caller unless something is named.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct WatchQuery {
    upload_ids: Vec<String>,
    file_ids: Vec<String>,
    resume_token: String,
}

impl WatchQuery {
    /// Everything of the caller.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Adds an upload, and the file that it becomes.
    pub fn upload(mut self, upload_id: impl Into<String>) -> Self {
        self.upload_ids.push(upload_id.into());
        self
    }

    /// Adds a file. At most 1,000 ids can be named in all.
    pub fn file(mut self, file_id: impl Into<String>) -> Self {
        self.file_ids.push(file_id.into());
        self
    }

    /// Goes on where another [`Watcher`] of the same ids was, also in another
    /// process.
    pub fn after(mut self, resume_token: impl Into<String>) -> Self {
        self.resume_token = resume_token.into();
        self
    }
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A snapshot begins, at the start or because the server does not remember
    /// where this stream was: forget what was seen before, the snapshot has all
    /// that counts.
    SnapshotBegin,
    /// The snapshot is whole; what follows are changes.
    SnapshotEnd,
    /// The upload is like this now, without `persisted_ranges`.
    Upload(Box<Upload>),
    /// The file is like this now.
    File(Box<File>),
    /// The file was deleted or replaced.
    FileDeleted {
        /// Its id.
        file_id: String,
    },
}

/// Sees uploads and files change. Made by [`Client::watch`].
pub struct Watcher {
    client: Client,
    query: WatchQuery,
    stream: Option<Streaming<WatchEventsResponse>>,
    attempts: Attempts,
}

impl Client {
    /// Watches uploads and files: first a snapshot of what is under way, or of
    /// what was named, then every change, made by whomever.
    ///
    /// Broken connections and restarts of the server are ridden out, and what
    /// changed meanwhile is told afterwards. Of quick changes only the newest
    /// may be told, and progress of an upload at most once a second.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use sluice_sdk::{Client, Event, WatchQuery};
    ///
    /// # async fn example(client: Client, upload_id: &str) -> sluice_sdk::Result<()> {
    /// let mut events = client.watch(WatchQuery::everything().upload(upload_id)).into_stream();
    /// while let Some(event) = events.try_next().await? {
    ///     match event {
    ///         Event::Upload(upload) => println!("{} bytes are there", upload.persisted_bytes),
    ///         Event::File(file) => println!("{} is {:?}", file.name, file.state()),
    ///         Event::FileDeleted { .. } => break,
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, query: WatchQuery) -> Watcher {
        Watcher { client: self.clone(), query, stream: None, attempts: self.attempts() }
    }
}

impl Watcher {
    /// The next event. Waits until there is one, or an error that lasts.
    pub async fn event(&mut self) -> Result<Event> {
        loop {
            match self.try_event().await {
                Ok(event) => return Ok(event),
                Err(error) if self.is_forgotten(&error) => {
                    self.stream = None;
                    self.query.resume_token.clear();
                }
                Err(error) => {
                    self.stream = None;
                    self.attempts.wait_after(error).await?;
                }
            }
        }
    }

    /// Where another watcher goes on after the last event, at least for an
    /// hour; empty before the first snapshot is whole.
    pub fn resume_token(&self) -> &str {
        &self.query.resume_token
    }

    /// All events as a stream, which ends with an error that lasts or when it
    /// is dropped.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event>> + Send + Unpin {
        Box::pin(stream::try_unfold(self, async |mut watcher| {
            Ok(Some((watcher.event().await?, watcher)))
        }))
    }

    fn is_forgotten(&self, error: &Error) -> bool {
        error.reason() == Some(Reason::ResumeTokenInvalid) && !self.query.resume_token.is_empty()
    }

    async fn try_event(&mut self) -> Result<Event> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let WatchQuery { upload_ids, file_ids, resume_token } = self.query.clone();
                let begins = resume_token.is_empty();
                let request = WatchEventsRequest { upload_ids, file_ids, resume_token };
                let mut events = self.client.raw_events();
                let stream = Box::pin(answer(events.watch_events(request))).await?;
                let stream = self.stream.insert(stream);
                if begins {
                    return Ok(Event::SnapshotBegin);
                }
                stream
            }
        };
        loop {
            let message = time::timeout(STALL, stream.message())
                .await
                .map_err(|_| Error::timed_out(STALL))??;
            let Some(message) = message else {
                return Err(Error::new(Kind::Transport, "the server has ended the stream"));
            };
            // Only now: a stream that opens and breaks at once is no progress.
            self.attempts.progressed();
            if !message.resume_token.is_empty() {
                self.query.resume_token = message.resume_token;
            }
            if let Some(event) = message.event.map(Event::from) {
                return Ok(event);
            }
        }
    }
}

impl From<watch_events_response::Event> for Event {
    fn from(event: watch_events_response::Event) -> Self {
        use watch_events_response::Event as Told;
        match event {
            Told::Upload(upload) => Self::Upload(Box::new(upload)),
            Told::File(file) => Self::File(Box::new(file)),
            Told::FileDeleted(deleted) => Self::FileDeleted { file_id: deleted.file_id },
            Told::SnapshotEnd(_) => Self::SnapshotEnd,
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("query", &self.query).finish_non_exhaustive()
    }
}
