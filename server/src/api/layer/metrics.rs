//! Counts calls, how long they take and how they end.

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
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use sluice_domain::Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::metrics::Call;

/// Follows a call to the end of its answer.
pub async fn record(request: Request, next: Next) -> Response {
    let call = Call::begin(request.uri().path());
    let response = next.run(request).await;
    let mut body = MeteredBody { body: Body::empty(), call };
    // An answer without a message has its status where others have headers.
    body.take(response.headers());
    response.map(|inner| {
        body.body = inner;
        Body::new(body)
    })
}

/// A response's body, whose trailers say how the call ended.
struct MeteredBody {
    body: Body,
    call: Call,
}

impl MeteredBody {
    fn take(&mut self, headers: &HeaderMap) {
        let Some(status) = Status::from_header_map(headers) else { return };
        let code = status.code();
        let info = (code != Code::Ok).then(|| status.get_details_error_info()).flatten();
        self.call.end(code, info.and_then(|info| Reason::parse(&info.reason)));
    }
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.take(trailers);
                }
            }
            // Every answer of gRPC ends with a status.
            Some(Err(_)) | None => self.call.end(Code::Unknown, None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
