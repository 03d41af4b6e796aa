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
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use sluice_domain::{Error, Reason};

use crate::api::status::status;

/// Flag and length, in front of each message.
const HEADER: usize = 5;

/// Makes a body that ends in the middle of a message fail.
pub async fn check(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(WholeMessages::new(body)))).await
}

/// Follows the gRPC messages of a body.
pub struct WholeMessages {
    body: Body,
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    header_length: usize,
    /// Bytes that the message lacks.
    missing: usize,
}

impl WholeMessages {
    /// Follows this body from its first byte on.
    pub fn new(body: Body) -> Self {
        Self { body, header: [0; HEADER], header_length: 0, missing: 0 }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while bytes.has_remaining() {
            if self.missing > 0 {
                let taken = self.missing.min(bytes.len());
                self.missing -= taken;
                bytes.advance(taken);
                continue;
            }
            let taken = (HEADER - self.header_length).min(bytes.len());
            bytes.copy_to_slice(&mut self.header[self.header_length..][..taken]);
            self.header_length += taken;
            if self.header_length == HEADER {
                let [_, length @ ..] = self.header;
                self.missing = u32::from_be_bytes(length) as usize;
                self.header_length = 0;
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.missing == 0 && self.header_length == 0
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
                    self.take(data);
                }
            }
            Some(Err(_)) => {}
            None if self.is_whole() => {}
            None => {
                // Said once.
                (self.missing, self.header_length) = (0, 0);
                let cut = Error::new(Reason::MalformedMessage, "it ends before it is whole");
                return Poll::Ready(Some(Err(axum::Error::new(status(cut)))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_whole() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
