//! gRPC by hand over HTTP/2, for requests that no client library would send.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tonic::Status;

/// A bare HTTP/2 connection.
pub struct Wire {
    requests: SendRequest<Bytes>,
    authority: String,
    key: String,
}

/// What a request sends after its headers.
#[derive(Debug, Clone)]
pub enum Body {
    /// These pieces, and the end of the stream.
    Whole(Vec<Bytes>),
    /// These pieces, and then a reset.
    Reset(Vec<Bytes>),
}

impl Wire {
    /// Connects to a server.
    pub async fn connect(address: SocketAddr, key: &str) -> Self {
        let socket = TcpStream::connect(address).await.expect("the server listens");
        let (requests, connection) =
            h2::client::handshake(socket).await.expect("the server speaks HTTP/2");
        tokio::spawn(connection);
        Self { requests, authority: address.to_string(), key: key.to_owned() }
    }

    /// Sends a request with further headers. Answers the status with which the
    /// server ended it, OK included; none if the request itself was a reset.
    /// An answer that is no gRPC answer is an error with what is wrong.
    pub async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Option<Status>, String> {
        let mut requests = self.requests.clone().ready().await.map_err(text)?;
        let mut request = Request::post(format!("http://{}{path}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("the headers are well-formed");
        let (response, mut stream) = requests.send_request(request, false).map_err(text)?;
        let (pieces, reset) = match body {
            Body::Whole(pieces) => (pieces, false),
            Body::Reset(pieces) => (pieces, true),
        };
        for piece in pieces {
            // A server that has answered already need not take the rest.
            if stream.send_data(piece, false).is_err() {
                break;
            }
        }
        if reset {
            stream.send_reset(h2::Reason::CANCEL);
            return Ok(None);
        }
        let _ = stream.send_data(Bytes::new(), true);

        let (head, mut body) = response.await.map_err(text)?.into_parts();
        if !head.status.is_success() {
            return Err(format!("HTTP status {}", head.status));
        }
        if let Some(status) = status_of(&head.headers) {
            return Ok(Some(status));
        }
        while let Some(data) = body.data().await {
            let data = data.map_err(text)?;
            body.flow_control().release_capacity(data.len()).map_err(text)?;
        }
        let trailers = body.trailers().await.map_err(text)?.unwrap_or_default();
        status_of(&trailers).map(Some).ok_or_else(|| "an answer without grpc-status".to_owned())
    }
}

/// A gRPC frame with whatever flag and length it claims to have.
pub fn grpc_frame(flag: u8, claimed_length: u32, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(flag);
    frame.put_u32(claimed_length);
    frame.put_slice(message);
    frame.freeze()
}

fn status_of(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
