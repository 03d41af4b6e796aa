//! A response's body whose reader must keep a pace.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use sluice_domain::Error;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{Pace, rate::RateWatch};
use crate::tasks::Tasks;

/// Bytes that a reader gets before anybody looks at its pace: small answers
/// need no watching.
const UNWATCHED: u64 = 256 * 1024;

/// Lets go of what the response reads from once its reader takes nothing, or
/// too little, for too long. The reader finds out when it reads on.
pub struct PacedBody {
    shared: Arc<Mutex<Shared>>,
    given: u64,
    tasks: Tasks,
    watchdog: Option<AbortOnDropHandle<()>>,
    last_words: fn(&Error) -> Option<HeaderMap>,
}

struct Shared {
    body: Body,
    rate: RateWatch,
    /// Since when the reader has a frame and has not asked for the next.
    given_since: Option<Instant>,
    slow: Option<Error>,
}

impl PacedBody {
    /// Watches the reader of `body`. A reader that is cut off gets the trailers
    /// of `last_words`, or a broken connection if there are none.
    pub fn new(
        body: Body,
        pace: Pace,
        tasks: Tasks,
        last_words: fn(&Error) -> Option<HeaderMap>,
    ) -> Self {
        let rate = RateWatch::new(pace);
        let shared = Shared { body, rate, given_since: None, slow: None };
        let shared = Arc::new(Mutex::new(shared));
        Self { shared, given: 0, tasks, watchdog: None, last_words }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Takes note of the time that the reader was waited for until now.
    fn account(&mut self) {
        let Some(since) = self.given_since else { return };
        let now = Instant::now();
        self.given_since = Some(now);
        if let Err(error) = self.rate.waited(now - since) {
            self.slow = Some(error);
            self.body = Body::empty();
        }
    }
}

/// Looks at the reader's pace while it reads nothing and so says nothing.
async fn watch(shared: Weak<Mutex<Shared>>) {
    loop {
        let patience = {
            let Some(shared) = shared.upgrade() else { return };
            let mut shared = lock(&shared);
            shared.account();
            if shared.slow.is_some() {
                return;
            }
            shared.rate.patience()
        };
        sleep(patience).await;
    }
}

impl http_body::Body for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let mut shared = lock(&this.shared);
        shared.account();
        shared.given_since = None;
        if let Some(error) = shared.slow.take() {
            return Poll::Ready(Some(match (this.last_words)(&error) {
                Some(trailers) => Ok(Frame::trailers(trailers)),
                None => Err(axum::Error::new(error)),
            }));
        }
        let frame = Pin::new(&mut shared.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            shared.rate.moved(data.len());
            shared.given_since = Some(Instant::now());
            this.given += data.len() as u64;
            if this.given > UNWATCHED && this.watchdog.is_none() {
                let watchdog = this.tasks.spawn(watch(Arc::downgrade(&this.shared)));
                this.watchdog = Some(AbortOnDropHandle::new(watchdog));
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        let shared = lock(&self.shared);
        shared.slow.is_none() && shared.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.shared).body.size_hint()
    }
}
