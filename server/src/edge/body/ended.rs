//! A response's body that can be ended from outside.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use sluice_domain::Error;

/// Gives what a body gives, until a future says why it must end.
pub struct EndedBody {
    body: Body,
    end: BoxFuture<'static, Error>,
    ended: bool,
    last_words: fn(&Error) -> Option<HeaderMap>,
}

impl EndedBody {
    /// Ends `body` when `end` returns, with the trailers of `last_words`, or as a
    /// broken connection if there are none.
    pub fn new(
        body: Body,
        end: impl Future<Output = Error> + Send + 'static,
        last_words: fn(&Error) -> Option<HeaderMap>,
    ) -> Self {
        Self { body, end: Box::pin(end), ended: false, last_words }
    }
}

impl http_body::Body for EndedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(error) = this.end.as_mut().poll(context) {
            this.ended = true;
            this.body = Body::empty();
            return Poll::Ready(Some(match (this.last_words)(&error) {
                Some(trailers) => Ok(Frame::trailers(trailers)),
                None => Err(axum::Error::new(error)),
            }));
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
