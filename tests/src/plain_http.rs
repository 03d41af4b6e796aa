//! Plain HTTP, as browsers and download tools speak it.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// The body of a request.
pub type HttpBody = UnsyncBoxBody<Bytes, io::Error>;

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as far as it came.
    pub body: Bytes,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

impl Answer {
    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers are ASCII"))
    }

    /// The reason of a refusal; empty if it is none.
    pub fn reason(&self) -> String {
        let body: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let reason = body.as_ref().and_then(|body| body["reason"].as_str());
        reason.unwrap_or_default().to_owned()
    }
}

/// One request on a connection of its own. The URL names the server and the
/// path; what it says is sent as it is.
pub async fn http(
    protocol: Protocol,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: HttpBody,
) -> Result<Answer, hyper::Error> {
    let (head, mut body) = http_open(protocol, method, url, headers, body).await?;
    let (mut bytes, mut is_whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(_)) => {}
            Err(_) => {
                is_whole = false;
                break;
            }
        }
    }
    Ok(Answer { status: head.status, headers: head.headers, body: bytes.into(), is_whole })
}

/// The same, up to the answer's headers; the body is still to be read.
pub async fn http_open(
    protocol: Protocol,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: HttpBody,
) -> Result<(http::response::Parts, Incoming), hyper::Error> {
    let (authority, path) = split(url);
    let address: SocketAddr = authority.parse().expect("the URL names an address");
    let socket = TcpStream::connect(address).await.expect("the server listens");
    socket.set_nodelay(true).expect("a socket has options");
    let mut request = Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let io = TokioIo::new(socket);
    let response = match protocol {
        Protocol::Http1 => {
            let request = request.uri(path).header("host", authority).body(body);
            let (mut sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection);
            sender.send_request(request.expect("a well-formed request")).await?
        }
        Protocol::Http2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            sender.send_request(request.uri(url).body(body).expect("a well-formed request")).await?
        }
    };
    Ok(response.into_parts())
}

/// GET over HTTP/1.1.
pub async fn http_get(url: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = http(Protocol::Http1, Method::GET, url, headers, http_body(Bytes::new())).await;
    answer.expect("the server answers")
}

/// A body of these bytes.
pub fn http_body(bytes: Bytes) -> HttpBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A body of pieces as they come, without a length of its own.
pub fn http_stream(
    pieces: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
) -> HttpBody {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

/// Host and port of a URL, and what follows.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").expect("a URL");
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}
