//! A body that ends in the middle of a message was cut off.
//!
//! tonic notices that unless the cut is right behind a message's header: then
//! it takes the stream for one that ended in good order, without the message.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use sluice_domain::{Error, Reason};

use crate::{api::status::status, edge::body::MessageProgress};

/// Makes a body that ends in the middle of a message fail.
pub async fn check(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(WholeMessages::new(body)))).await
}

/// Follows the gRPC messages of a body.
pub struct WholeMessages {
    body: Body,
    messages: MessageProgress,
}

impl WholeMessages {
    /// Follows this body from its first byte on.
    pub fn new(body: Body) -> Self {
        Self { body, messages: MessageProgress::default() }
    }
}

impl HttpBody for WholeMessages {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.messages.follow(data);
                }
            }
            Some(Err(_)) => {}
            None if self.messages.begun() == 0 => {}
            None => {
                // Said once.
                self.messages = MessageProgress::default();
                let cut = Error::new(Reason::MalformedMessage, "it ends before it is whole");
                return Poll::Ready(Some(Err(axum::Error::new(status(cut)))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.messages.begun() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
