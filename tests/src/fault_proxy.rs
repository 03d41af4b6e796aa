//! A proxy for HTTP that does to requests what a test wants: refuses them, never
//! answers, or loses the answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1 as client, server::conn::http1 as server};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestFate {
    /// It is passed on, and its answer back.
    Passed,
    /// It is answered with this status and this error code of S3.
    Refused(u16, &'static str),
    /// It is refused as DynamoDB does where too much is asked of it.
    Throttled,
    /// It is passed on, and the answer is lost with the connection.
    AnswerLost,
    /// Nothing is passed on and nothing answered, for as long as the caller waits.
    Swallowed,
}

type Decision = Arc<dyn Fn(&Parts) -> RequestFate + Send + Sync>;

/// A proxy in front of one server.
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: String,
    decision: Mutex<Decision>,
    requests: AtomicU64,
    passed: AtomicU64,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream`, such as `127.0.0.1:4566`. It passes
    /// everything on until it is told otherwise.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            decision: Mutex::new(Arc::new(|_| RequestFate::Passed)),
            requests: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(|request| state.handle(request));
                    // A lost answer ends the connection.
                    let _ = server::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { address, state }
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Decides about all requests from now on.
    pub fn decide(&self, decision: impl Fn(&Parts) -> RequestFate + Send + Sync + 'static) {
        *self.state.decision.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(decision);
    }

    /// How many requests have come, and how many of them were answered as they
    /// should be.
    pub fn counted(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.state.requests), count(&self.state.passed))
    }
}

/// The connection ends without an answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for Lost {}

impl State {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let decision = Arc::clone(&*self.decision.lock().unwrap_or_else(PoisonError::into_inner));
        match decision(&parts) {
            RequestFate::Passed => {
                let answer = self.forward(parts, body).await.ok_or(Lost)?;
                self.passed.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            }
            RequestFate::Refused(status, code) => {
                // Else the caller sees a broken pipe and not the answer.
                let _ = body.collect().await;
                let xml = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                     <Message>injected</Message></Error>"
                );
                let answer = Response::builder().status(status);
                let answer = answer.header("content-type", "application/xml");
                Ok(answer.body(Full::from(xml)).expect("a valid answer"))
            }
            RequestFate::Throttled => {
                let _ = body.collect().await;
                let json = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#\
                            ProvisionedThroughputExceededException\",\"message\":\"injected\"}";
                let answer = Response::builder().status(400);
                let answer = answer.header("content-type", "application/x-amz-json-1.0");
                Ok(answer.body(Full::from(json)).expect("a valid answer"))
            }
            RequestFate::AnswerLost => {
                self.forward(parts, body).await;
                Err(Lost)
            }
            RequestFate::Swallowed => std::future::pending().await,
        }
    }

    async fn forward(&self, parts: Parts, body: Incoming) -> Option<Response<Full<Bytes>>> {
        let body = body.collect().await.ok()?.to_bytes();
        let socket = TcpStream::connect(&self.upstream).await.ok()?;
        let (mut sender, connection) = client::handshake(TokioIo::new(socket)).await.ok()?;
        tokio::spawn(connection);
        let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await.ok()?;
        let (mut parts, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        // The body is in one piece by now.
        parts.headers.remove("transfer-encoding");
        Some(Response::from_parts(parts, Full::new(body)))
    }
}
