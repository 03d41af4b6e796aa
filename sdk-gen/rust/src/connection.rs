//! One connection to a server, and the credential that goes with every call.

use std::{
    error, fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use sluice_domain::Reason;
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service;

use crate::{
    Error, RateLimit, Result,
    error::{Renewable, reason_of},
    session::LiveSession,
    tls::Tls,
};

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
    credential: Credential,
    /// How fast content may go.
    rate_limit: Option<RateLimit>,
    /// For those who look at what happens: which of a client's connections.
    number: usize,
    endpoint: Arc<str>,
}

/// What goes with calls.
#[derive(Clone, Default)]
pub(crate) enum Credential {
    #[default]
    Nothing,
    /// An API key, or the token of an upload.
    Fixed(HeaderValue),
    /// The access token of the moment.
    Session(Arc<LiveSession>),
}

impl Connection {
    pub(crate) fn new(endpoint: &str, tls: &Tls, credential: Credential) -> Result<Self> {
        let channel = prepare(endpoint, tls)?.connect_lazy();
        let endpoint = endpoint.into();
        Ok(Self { channel, credential, rate_limit: None, number: 0, endpoint })
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

    /// The same connection with a token; an empty one changes nothing.
    pub(crate) fn with_token(&self, token: &str) -> Result<Self> {
        match token.is_empty() {
            true => Ok(self.clone()),
            false => Ok(self.with_credential(Credential::Fixed(bearer(token)?))),
        }
    }

    /// The same connection with another credential.
    pub(crate) fn with_credential(&self, credential: Credential) -> Self {
        Self { credential, ..self.clone() }
    }

    /// The session whose tokens go with calls, if there is one.
    pub(crate) fn session(&self) -> Option<&Arc<LiveSession>> {
        match &self.credential {
            Credential::Session(session) => Some(session),
            _ => None,
        }
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    /// What the transport says, or a [`Status`].
    type Error = Box<dyn error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (server, connection) = (&*self.endpoint, self.number);
        tracing::debug!(server, connection, call = request.uri().path(), "calling");
        match &self.credential {
            Credential::Nothing => {}
            Credential::Fixed(authorization) => {
                request.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            Credential::Session(session) => {
                // Only this one was made ready.
                let clone = self.channel.clone();
                let channel = std::mem::replace(&mut self.channel, clone);
                return call_in_session(Arc::clone(session), channel, request).boxed();
            }
        }
        self.channel.call(request).map_err(Into::into).boxed()
    }
}

/// Calls with the access token of the moment. Calls that the server refuses
/// because it has expired end with a status that says so to the SDK.
async fn call_in_session(
    session: Arc<LiveSession>,
    mut channel: Channel,
    mut request: Request<Body>,
) -> Result<Response<Body>, Box<dyn error::Error + Send + Sync>> {
    let pass = session.pass().await?;
    request.headers_mut().insert(AUTHORIZATION, pass.authorization.clone());
    let response = channel.call(request).await?;
    // A refusal of the whole call comes with the headers.
    if let Some(mut status) = Status::from_header_map(response.headers())
        && status.code() == Code::Unauthenticated
        && reason_of(&status) == Some(Reason::TokenExpired)
        && session.expired(&pass)
    {
        status.set_source(Arc::new(Renewable));
        return Err(status.into());
    }
    Ok(response)
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
