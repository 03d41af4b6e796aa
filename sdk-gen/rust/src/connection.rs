//! One connection to a server, and the credential that goes with every call.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error as TransportError, channel::ResponseFuture},
};
use tower::Service;

use crate::{Error, RateLimit, Result, tls::Tls};

const USER_AGENT: &str = concat!("sluice-rust/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that is gone without a word is noticed after twice this time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What a download may have under way; uploads go by the server's windows.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Downloads arrive in HTTP/2 frames of at most this size: fewer of them cost
/// less.
const HTTP2_FRAME: u32 = 1024 * 1024;

/// A transport for the generated stubs. It connects when it is used, connects
/// again after a break, and adds the credential to each call. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    authorization: Option<HeaderValue>,
    /// How fast content may go.
    rate_limit: Option<RateLimit>,
    /// For those who look at what happens: which of a client's connections.
    number: usize,
    endpoint: Arc<str>,
}

impl Connection {
    pub(crate) fn new(
        endpoint: &str,
        tls: &Tls,
        authorization: Option<HeaderValue>,
    ) -> Result<Self> {
        let channel = prepare(endpoint, tls)?.connect_lazy();
        let endpoint = endpoint.into();
        Ok(Self { channel, authorization, rate_limit: None, number: 0, endpoint })
    }

    pub(crate) fn numbered(self, number: usize) -> Self {
        Self { number, ..self }
    }

    /// The same connection, on which content goes no faster than that.
    pub(crate) fn limited(self, rate_limit: Option<RateLimit>) -> Self {
        Self { rate_limit, ..self }
    }

    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit.clone()
    }

    /// The same connection with another credential; an empty one changes
    /// nothing.
    pub(crate) fn with_credential(&self, token: &str) -> Result<Self> {
        let mut this = self.clone();
        if !token.is_empty() {
            this.authorization = Some(bearer(token)?);
        }
        Ok(this)
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let (server, connection) = (&*self.endpoint, self.number);
        tracing::debug!(server, connection, call = request.uri().path(), "calling");
        self.channel.call(request)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The header of a key or token.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Error::usage("the API key has characters that no key has; was it copied whole?")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn prepare(endpoint: &str, tls: &Tls) -> Result<Endpoint> {
    let wrong = || {
        Error::usage(format!("{endpoint:?} is no server address; it must be like http://host:7070"))
    };
    let prepared = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| wrong())?;
    let secure = match prepared.uri().scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let prepared = prepared
        .user_agent(USER_AGENT)
        .map_err(|_| wrong())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    if secure { tls.apply(prepared) } else { Ok(prepared) }
}
