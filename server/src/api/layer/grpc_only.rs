//! Whoever is not speaking gRPC gets a plain answer.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};

/// Answers 404 to anything that is not a gRPC request.
pub async fn check(request: Request, next: Next) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|value| value.starts_with("application/grpc")) {
        return next.run(request).await;
    }
    let hint = "nothing here: this port speaks gRPC (service sluice.v1.UploadService and others)\n";
    (StatusCode::NOT_FOUND, hint).into_response()
}
