//! grpc-web by hand: one POST of many messages, as browsers send it.

use std::net::SocketAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Buf, Bytes};
use futures::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tonic::Status;

use crate::{Server, grpc_frame};

/// Which HTTP carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Sends requests as a browser does, each on a connection of its own.
#[derive(Debug, Clone)]
pub struct Web {
    address: SocketAddr,
    http: Http,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub struct WebAnswer {
    /// Of HTTP.
    pub http_status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The messages, as far as the body has any.
    pub messages: Vec<Bytes>,
    /// The gRPC status, from the headers or from the frame of trailers.
    pub status: Option<Status>,
}

impl Web {
    /// With the operator's credential.
    pub fn new(server: &Server, http: Http) -> Self {
        Self::anonymous(server, http).header("authorization", &format!("Bearer {}", server.key()))
    }

    /// Without a credential.
    pub fn anonymous(server: &Server, http: Http) -> Self {
        let headers = vec![("content-type".to_owned(), "application/grpc-web+proto".to_owned())];
        Self { address: server.address(), http, headers }
    }

    /// Sets a header of every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Calls a method with these messages in one body.
    pub async fn call<M: Message>(
        &self,
        path: &str,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<WebAnswer, String> {
        self.send(Method::POST, path, messages.into_iter().map(|it| framed(&it)).collect()).await
    }

    /// Sends a request whose body is these pieces, with its length.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        pieces: Vec<Bytes>,
    ) -> Result<WebAnswer, String> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let pieces = futures::stream::iter(pieces.into_iter().map(Ok));
        self.send_stream(method, path, length, pieces).await
    }

    /// Sends a request whose body comes as the stream gives it; an error of the
    /// stream cuts the connection.
    pub async fn send_stream(
        &self,
        method: Method,
        path: &str,
        length: usize,
        pieces: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    ) -> Result<WebAnswer, String> {
        let socket = TcpStream::connect(self.address).await.map_err(text)?;
        let body = StreamBody::new(futures::StreamExt::map(pieces, |piece| piece.map(Frame::data)));
        let uri = match self.http {
            Http::One => path.to_owned(),
            Http::Two => format!("http://{}{path}", self.address),
        };
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.http == Http::One {
            request = request.header("host", self.address.to_string());
        }
        let request = request.header("content-length", length).body(Box::pin(body));
        let request = request.map_err(text)?;
        let response = match self.http {
            Http::One => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(socket))
                        .await
                        .map_err(text)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(text)?
            }
            Http::Two => {
                let executor = TokioExecutor::new();
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(executor, TokioIo::new(socket))
                        .await
                        .map_err(text)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(text)?
            }
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(text)?.to_bytes();
        Ok(WebAnswer::read(head.status, head.headers, body))
    }
}

impl WebAnswer {
    fn read(http_status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let content_type = headers.get("content-type").map_or(&b""[..], HeaderValue::as_bytes);
        let mut rest = match content_type.starts_with(b"application/grpc-web-text") {
            true => decode_text(&body),
            false => body.clone(),
        };
        let mut status = Status::from_header_map(&headers);
        let mut messages = Vec::new();
        while content_type.starts_with(b"application/grpc-web") && rest.len() >= 5 {
            let flag = rest.get_u8();
            let length = rest.get_u32() as usize;
            assert!(length <= rest.len(), "a frame is cut short");
            let frame = rest.split_to(length);
            match flag & 0x80 {
                0 => messages.push(frame),
                _ => status = Status::from_header_map(&trailers(&frame)),
            }
        }
        Self { http_status, headers, body, messages, status }
    }

    /// The only message of an answer that is OK.
    pub fn message<M: Message + Default>(&self) -> Result<M, Status> {
        let status = self.status.clone().unwrap_or_else(|| Status::unknown("no grpc-status"));
        if status.code() != tonic::Code::Ok {
            return Err(status);
        }
        assert_eq!(self.messages.len(), 1, "one message");
        Ok(M::decode(self.messages[0].clone()).expect("the message of the contract"))
    }

    /// A header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A message with its prefix.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    grpc_frame(0, u32::try_from(message.len()).expect("a few MiB"), &message)
}

fn trailers(frame: &[u8]) -> HeaderMap {
    let text = std::str::from_utf8(frame).expect("trailers are text");
    let mut map = HeaderMap::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("a name and a value");
        map.insert(
            HeaderName::try_from(name).expect("a name"),
            HeaderValue::from_str(value.trim()).expect("a value"),
        );
    }
    map
}

/// Several pieces of base64 in a row, each with its own padding.
fn decode_text(body: &[u8]) -> Bytes {
    let mut decoded = Vec::new();
    for four in body.chunks(4) {
        decoded.extend(BASE64_STANDARD.decode(four).expect("base64"));
    }
    decoded.into()
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
