//! A service that reads write streams and answers how many bytes came.

use std::{convert::Infallible, sync::LazyLock};

use axum::{Router, middleware};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{StreamExt, executor::block_on, future::BoxFuture};
use http::{Request, Version, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use sluice_proto::v1::{Upload, WriteUploadRequest, WriteUploadResponse};
use sluice_server::api::{
    fuzzing::{self, MAX_WRITE_MESSAGE},
    layer,
};
use tonic::{
    Response, Status, Streaming,
    server::{ClientStreamingService, Grpc},
};
use tonic_prost::ProstCodec;
use tonic_web::GrpcWebLayer;
use tower::{ServiceExt, service_fn};

use super::read_answer;
use crate::input::body;

/// The layers as the server has them.
static SERVER: LazyLock<Router> = LazyLock::new(|| {
    let rpc = service_fn(|request: Request<axum::body::Body>| async {
        let mut grpc = Grpc::new(ProstCodec::default())
            .apply_max_message_size_config(Some(MAX_WRITE_MESSAGE), None);
        Ok::<_, Infallible>(grpc.client_streaming(Reader, request).await)
    });
    Router::new()
        .fallback_service(rpc)
        .layer(middleware::from_fn(layer::whole_messages::check))
        .layer(middleware::from_fn(layer::plain_status::check))
        .layer(GrpcWebLayer::new())
});

/// Counts what comes.
struct Reader;

impl ClientStreamingService<WriteUploadRequest> for Reader {
    type Response = WriteUploadResponse;
    type Future = BoxFuture<'static, Result<Response<WriteUploadResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<WriteUploadRequest>>) -> Self::Future {
        Box::pin(async {
            let read = count(request.into_inner()).await;
            let (messages, bytes) = read.map_err(fuzzing::status)?;
            let upload = Upload { size: Some(bytes), part_size: messages, ..Default::default() };
            Ok(Response::new(WriteUploadResponse { upload: Some(upload), file: None }))
        })
    }
}

async fn count(incoming: Streaming<WriteUploadRequest>) -> sluice_domain::Result<(i64, i64)> {
    let (_, first, mut messages) = fuzzing::write_messages(incoming).await?;
    let mut read = (1, first.data.len() as i64);
    while let Some(message) = messages.next().await {
        read = (read.0 + 1, read.1 + message?.data.len() as i64);
    }
    Ok(read)
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) messages: Vec<Bytes>,
    pub(super) status: Status,
}

/// Sends a body of this type.
pub(super) fn call(content_type: &'static str, chunks: Vec<Bytes>) -> Answer {
    let mut request = Request::post("/sluice.v1.UploadService/WriteUpload")
        .version(Version::HTTP_2)
        .header(CONTENT_TYPE, content_type)
        .body(axum::body::Body::new(body(chunks)))
        .expect("a request");
    if content_type.starts_with("application/grpc-web") {
        request.headers_mut().insert("accept", http::HeaderValue::from_static(content_type));
    }
    block_on(async {
        let Ok(response) = SERVER.clone().oneshot(request).await;
        assert_eq!(response.status(), http::StatusCode::OK);
        let (head, body) = response.into_parts();
        let collected = body.collect().await.expect("an answer's body does not fail");
        let trailers = collected.trailers().and_then(Status::from_header_map);
        let body = collected.to_bytes();
        let (messages, web_trailers) = if content_type.starts_with("application/grpc-web-text") {
            // Each piece of an answer is encoded, and padded, by itself.
            let decoded = body.chunks(4).flat_map(|four| STANDARD.decode(four).expect("base64"));
            read_answer(&decoded.collect::<Vec<_>>())
        } else {
            read_answer(&body)
        };
        let status = web_trailers.or(trailers).or(Status::from_header_map(&head.headers));
        Answer { messages, status: status.expect("an answer has a status") }
    })
}
