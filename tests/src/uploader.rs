//! An uploader that gives up on nothing: it shows what a client must do to
//! survive cuts and restarts with nothing but the contract.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use futures::future::join_all;
use sluice_domain::Reason;
use sluice_proto::v1::{CreateUploadRequest, File, Upload, bidi_write_upload_response::Response};
use tokio::time::{Instant, sleep};
use tonic::Status;

use crate::{Client, Content, Frames, Ledger, reason};

/// Pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a call is repeated.
const PATIENCE: Duration = Duration::from_secs(60);

/// Uploads content on several connections at once; each sends the parts of its
/// own lane and, after a break, asks what is persisted and sends the rest at
/// the same epoch. Every second lane is a bidirectional stream
/// where the server offers that.
pub struct Uploader<'a> {
    control: Client,
    lanes: Vec<Client>,
    ledger: &'a Ledger,
    breaks: AtomicU64,
}

impl<'a> Uploader<'a> {
    /// An uploader with so many lanes.
    pub fn new(url: &str, key: &str, lanes: usize, ledger: &'a Ledger) -> Self {
        Self::over(&[url.to_owned()], key, lanes, ledger)
    }

    /// An uploader whose lanes are spread over several servers of one namespace. The
    /// first of them answers all calls but those that write.
    pub fn over(urls: &[String], key: &str, lanes: usize, ledger: &'a Ledger) -> Self {
        let urls_in_turn = urls.iter().cycle().take(lanes);
        Self {
            control: Client::new(&urls[0], key),
            lanes: urls_in_turn.map(|url| Client::new(url, key)).collect(),
            ledger,
            breaks: AtomicU64::new(0),
        }
    }

    /// How many streams have broken so far.
    pub fn breaks(&self) -> u64 {
        self.breaks.load(Relaxed)
    }

    /// Uploads content. The request needs a request id and the size.
    pub async fn upload(&self, request: CreateUploadRequest, content: &Content) -> File {
        let offered = self.insist(|| self.control.capabilities()).await.features;
        let bidi = offered.is_some_and(|features| features.bidi_write_upload);
        let upload = self.insist(|| self.control.create(request.clone())).await;
        let lanes = (0..self.lanes.len())
            .map(|lane| self.fill(lane, bidi && lane % 2 == 1, &upload, content));
        join_all(lanes).await;
        self.insist(|| self.control.complete(&upload.id)).await
    }

    /// Sends what is missing of one lane until nothing is.
    async fn fill(&self, lane: usize, bidi: bool, upload: &Upload, content: &Content) {
        let part_size = upload.part_size as u64;
        loop {
            let before = self.ledger.so_far(&upload.id);
            let state = self.insist(|| self.control.upload(&upload.id)).await;
            self.ledger.check(&before, &state);
            let missing: Vec<u64> = (1..=content.size().div_ceil(part_size))
                .filter(|number| number % self.lanes.len() as u64 == lane as u64)
                .filter(|number| !is_persisted(&state, (number - 1) * part_size))
                .collect();
            if missing.is_empty() {
                return;
            }
            let frames = missing.iter().fold(Frames::to(&state), |frames, number| {
                frames.part(content, state.part_size, *number)
            });
            let outcome = if bidi {
                self.write_bidi(lane, &state, frames).await
            } else {
                self.write(lane, &state, frames).await
            };
            if let Err(status) = outcome {
                assert!(is_passing(&status), "a lane was refused: {status:?}");
                self.breaks.fetch_add(1, Relaxed);
                sleep(PAUSE).await;
            }
        }
    }

    async fn write(&self, lane: usize, upload: &Upload, frames: Frames) -> Result<(), Status> {
        let before = self.ledger.so_far(&upload.id);
        let response = self.lanes[lane].write(frames).await?;
        let upload = response.upload.expect("the response has the upload");
        self.ledger.check(&before, &upload);
        Ok(())
    }

    async fn write_bidi(&self, lane: usize, upload: &Upload, frames: Frames) -> Result<(), Status> {
        let mut stream = self.lanes[lane].open_bidi(frames).await?;
        stream.close();
        while let Some(answer) = stream.next().await? {
            match answer {
                Response::Persisted(range) => self.ledger.acknowledge(&upload.id, &range),
                Response::Upload(_) => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
        Ok(())
    }

    /// Repeats a call until the server answers it.
    async fn insist<T>(&self, call: impl AsyncFn() -> Result<T, Status>) -> T {
        insist(call).await
    }
}

/// Repeats a call until the server answers it; panics when it refuses, or when
/// no answer comes at all.
pub async fn insist<T>(call: impl AsyncFn() -> Result<T, Status>) -> T {
    let start = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(status) => {
                assert!(is_passing(&status) && start.elapsed() < PATIENCE, "refused: {status:?}")
            }
        }
        sleep(PAUSE).await;
    }
}

/// Whether trying again helps: the connection broke, or the server says so.
fn is_passing(status: &Status) -> bool {
    match reason(status) {
        None => true,
        Some(reason) => matches!(
            reason,
            Reason::PartBusy | Reason::ShuttingDown | Reason::Overloaded | Reason::RateLimited
        ),
    }
}

fn is_persisted(upload: &Upload, offset: u64) -> bool {
    upload
        .persisted_ranges
        .iter()
        .any(|range| range.start as u64 <= offset && offset < range.end as u64)
}
