//! Somebody who watches.

use std::time::Duration;

use sluice_proto::v1::{
    File, Upload, WatchEventsRequest, WatchEventsResponse, watch_events_response::Event,
};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::Client;

/// No event of a test takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// An open stream of events.
pub struct Watcher {
    stream: Streaming<WatchEventsResponse>,
    /// The last resume token.
    pub token: String,
    /// How many messages have come.
    pub count: usize,
}

impl Client {
    /// Watches everything of the caller, from a snapshot on.
    pub async fn watch(&self) -> Watcher {
        self.watch_with(WatchEventsRequest::default()).await.expect("the stream opens")
    }

    /// Watches everything of the caller, from this token on.
    pub async fn watch_from(&self, token: &str) -> Result<Watcher, Status> {
        let resume_token = token.to_owned();
        self.watch_with(WatchEventsRequest { resume_token, ..Default::default() }).await
    }

    /// Watches what the request says.
    pub async fn watch_with(&self, request: WatchEventsRequest) -> Result<Watcher, Status> {
        let token = request.resume_token.clone();
        let stream = self.events.clone().watch_events(request).await?.into_inner();
        Ok(Watcher { stream, token, count: 0 })
    }
}

impl Watcher {
    /// The next message, or how the stream ended.
    pub async fn message(&mut self) -> Result<WatchEventsResponse, Status> {
        let message = timeout(LIMIT, self.stream.message()).await;
        let message = message.unwrap_or_else(|_| panic!("no message within {LIMIT:?}"))?;
        let message = message.expect("a watch does not end without a status");
        if !message.resume_token.is_empty() {
            self.token.clone_from(&message.resume_token);
        }
        self.count += 1;
        Ok(message)
    }

    /// The next event.
    pub async fn event(&mut self) -> Event {
        loop {
            let message = self.message().await.expect("the stream is open");
            if let Some(event) = message.event {
                return event;
            }
        }
    }

    /// Whether nothing comes within this time.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.event()).await.is_err()
    }

    /// The snapshot: its uploads and files.
    pub async fn snapshot(&mut self) -> (Vec<Upload>, Vec<File>) {
        let (mut uploads, mut files) = (Vec::new(), Vec::new());
        loop {
            let message = self.message().await.expect("the stream is open");
            let ended = matches!(message.event, Some(Event::SnapshotEnd(_)));
            assert_eq!(message.resume_token.is_empty(), !ended, "a token in the snapshot");
            match message.event.expect("a snapshot is dense") {
                Event::Upload(upload) => uploads.push(upload),
                Event::File(file) => files.push(file),
                Event::SnapshotEnd(_) => return (uploads, files),
                Event::FileDeleted(deleted) => panic!("{deleted:?} in a snapshot"),
            }
        }
    }

    /// Events up to one that fulfils the condition, which comes last.
    pub async fn until(&mut self, mut condition: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let last = condition(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }

    /// Events up to the file of this name, as it is when it can be read.
    pub async fn until_ready(&mut self, name: &str) -> Vec<Event> {
        use sluice_proto::v1::file::State;
        self.until(|event| match event {
            Event::File(file) => file.name == name && file.state() == State::Ready,
            _ => false,
        })
        .await
    }
}
