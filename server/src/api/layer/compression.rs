//! Content of files is not compressed on its way.

use axum::{extract::Request, middleware::Next, response::Response};
use http::HeaderName;

/// RPCs whose answers are content, or wait for a disk and are small.
const PLAIN: [&str; 3] = [
    "/sluice.v1.UploadService/WriteUpload",
    "/sluice.v1.UploadService/BidiWriteUpload",
    "/sluice.v1.FileService/ReadFile",
];

/// Which compressions a caller can read.
const ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Forgets that the caller reads compressed answers where none would gain by
/// it: most files are compressed already.
pub async fn check(mut request: Request, next: Next) -> Response {
    if PLAIN.contains(&request.uri().path()) {
        request.headers_mut().remove(ACCEPT);
    }
    next.run(request).await
}
