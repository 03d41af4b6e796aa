//! A request's body that is read to its end, even when nobody wants it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Version, header::EXPECT};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::tasks::Tasks;

/// How much is read without being wanted, at least.
const LEAST: u64 = 16 * 1024 * 1024;

/// What a part's body has beside the part.
const OVERHEAD: u64 = 64 * 1024;

/// How long an HTTP/1.1 client may be silent while nobody listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same over HTTP/2, where the answer waits for it.
const PATIENCE_HTTP2: Duration = Duration::from_millis(250);

/// How much of a body is read at most when nobody wants it.
#[derive(Debug, Clone)]
pub struct DrainLimit(Arc<AtomicU64>);

impl Default for DrainLimit {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(LEAST + OVERHEAD)))
    }
}

impl DrainLimit {
    /// The body is one part of this size.
    pub fn allow_part(&self, part_size: u64) {
        self.0.fetch_max(part_size.saturating_add(OVERHEAD), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Web clients read an answer only after they have sent their whole request: an
/// early refusal of an upload would reach them as a broken connection. So what
/// is left of the body when it is dropped is read and forgotten, up to a limit.
pub struct DrainedBody {
    body: Option<Body>,
    read: u64,
    limit: DrainLimit,
    tasks: Tasks,
    draining: TaskTracker,
    patience: Duration,
    /// The caller sends nothing before it is asked to.
    waits: bool,
}

impl DrainedBody {
    /// Wraps the body of a request. Whether it is being drained can be told by
    /// `draining`.
    pub fn wrap(
        request: Request<Body>,
        limit: DrainLimit,
        tasks: Tasks,
        draining: TaskTracker,
    ) -> Request<Body> {
        let patience = match request.version() {
            Version::HTTP_2 => PATIENCE_HTTP2,
            _ => PATIENCE,
        };
        let waits = request.headers().contains_key(EXPECT);
        request.map(|body| {
            Body::new(Self { body: Some(body), read: 0, limit, tasks, draining, patience, waits })
        })
    }
}

impl http_body::Body for DrainedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.read += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Poll::Ready(Some(Err(_)) | None) => self.body = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), |body| body.size_hint())
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
            && !self.waits
        {
            let limit = self.limit.clone();
            let drain = drain(body, self.read, limit, self.patience);
            self.tasks.spawn(self.draining.track_future(drain));
        }
    }
}

async fn drain(mut body: Body, mut read: u64, limit: DrainLimit, patience: Duration) {
    while read <= limit.get()
        && let Ok(Some(Ok(frame))) = timeout(patience, body.frame()).await
    {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}
