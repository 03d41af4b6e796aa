//! Whoever is not speaking gRPC gets a plain answer.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, Version, header::CONTENT_TYPE};

use super::is_grpc;

/// Answers 404 to anything that is not a gRPC request, and 400 to gRPC over a
/// protocol that cannot carry it.
pub async fn check(request: Request, next: Next) -> Response {
    if !is_grpc(request.headers()) {
        let hint = "nothing here: this port speaks gRPC and grpc-web (service \
                    sluice.v1.UploadService and others)\n";
        return (StatusCode::NOT_FOUND, hint).into_response();
    }
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |it| it.as_bytes());
    let is_web = content_type.starts_with(b"application/grpc-web");
    if request.version() != Version::HTTP_2 && !is_web {
        let hint = "gRPC needs HTTP/2; over HTTP/1.1 send application/grpc-web+proto\n";
        return (StatusCode::BAD_REQUEST, hint).into_response();
    }
    next.run(request).await
}
