//! One connection, from its first byte to its last.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;

use super::{
    Edge, PeerAddress,
    body::HeldBody,
    busy::{Busy, BusyMark},
    guarded_io::GuardedIo,
};

/// How long a peer may take for the TLS handshake, and then for the bytes that
/// tell HTTP/1.1 from HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The same when the server is stopping.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How long an HTTP/1.1 client may take for the headers of a request, also of
/// the next one on a connection that is kept.
const HEADERS: Duration = Duration::from_secs(30);

/// After this long without a request an HTTP/2 connection is ended.
const IDLE: Duration = Duration::from_secs(300);

/// Receive window of one stream. Together with a message it bounds what a
/// stream holds in memory, and what a cut connection costs beside its part.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Receive window of one connection: four streams at full speed.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// Largest HTTP/2 frame: fewer, larger frames cost less time for each byte. But
/// a frame counts as progress only when it is whole, and over a slow link a
/// larger one would take longer than a stream may be silent.
const MAX_HTTP2_FRAME: u32 = 256 * 1024;

/// Most that one stream holds for a peer that does not read.
const MAX_SEND_BUFFER: usize = 1024 * 1024;

const MAX_CONCURRENT_STREAMS: u32 = 128;

/// Most bytes of all headers of a request.
const MAX_HEADERS: u32 = 16 * 1024;

/// Malformed streams of one connection after which it is closed.
const MAX_LOCAL_RESETS: usize = 1024;

/// Read buffer of an HTTP/1.1 connection.
const HTTP1_BUFFER: usize = 256 * 1024;

const KEEPALIVE: Duration = Duration::from_secs(20);

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves connections of an edge.
pub(super) struct Connections(pub(super) Edge);

impl Connections {
    /// Serves a connection until it ends. What goes wrong is the peer's affair.
    pub(super) async fn serve(&self, stream: TcpStream) {
        // Without it, small frames such as window updates wait for the peer's
        // delayed acknowledgement: 40 ms for each part.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let Ok(peer) = stream.peer_addr() else { return };
        let peer = PeerAddress(peer.ip());
        match &self.0.tls {
            None => self.sniff(stream, peer).await,
            Some(tls) => {
                let handshake = timeout(HANDSHAKE, tls.acceptor().accept(stream));
                tokio::select! {
                    done = handshake => match done {
                        Ok(Ok(stream)) => self.sniff(stream, peer).await,
                        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                        Err(_) => tracing::debug!("a peer was too slow with its TLS handshake"),
                    },
                    () = self.last_call() => {}
                }
            }
        }
    }

    /// Reads as much as it takes to know the protocol.
    async fn sniff(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: PeerAddress,
    ) {
        let mut begun = Vec::with_capacity(PREFACE.len());
        let known = timeout(HANDSHAKE, is_http2(&mut stream, &mut begun));
        let known = tokio::select! {
            known = known => known,
            () = self.last_call() => return,
        };
        match known {
            Ok(Some(true)) => self.serve_http2(GuardedIo::http2(stream, begun), peer).await,
            Ok(Some(false)) => self.serve_http1(GuardedIo::http1(stream, begun), peer).await,
            Ok(None) => {}
            Err(_) => tracing::debug!("a peer said nothing"),
        }
    }

    /// Returns when a peer that has said nothing yet has had its chance.
    async fn last_call(&self) {
        self.0.draining.cancelled().await;
        sleep(LAST_CALL).await;
    }

    /// Returns once the server is stopping and the peer has asked something or
    /// has had its chance: a connection without a request would be closed at
    /// once, and a probe would not learn why.
    async fn asked_while_draining(&self, busy: &Busy) {
        self.0.draining.cancelled().await;
        let until = Instant::now() + LAST_CALL;
        while !busy.was_asked() && Instant::now() < until {
            sleep(LAST_CALL / 100).await;
        }
    }

    async fn serve_http2(
        &self,
        io: GuardedIo<impl AsyncRead + AsyncWrite + Send + Unpin + 'static>,
        peer: PeerAddress,
    ) {
        let busy = Busy::default();
        let mut builder = http2::Builder::new(self.0.tasks.clone());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_HTTP2_FRAME)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .max_header_list_size(MAX_HEADERS)
            .max_local_error_reset_streams(MAX_LOCAL_RESETS)
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        let service =
            service_fn(|request| answer(self.0.router.clone(), busy.begin(), peer, request));
        let connection = builder.serve_connection(TokioIo::new(io), service);
        let last_request = async {
            tokio::select! {
                () = self.0.draining.cancelled() => {}
                () = busy.idle_for(IDLE) => {}
            }
        };
        self.drive(connection, last_request).await;
    }

    async fn serve_http1(
        &self,
        io: GuardedIo<impl AsyncRead + AsyncWrite + Send + Unpin + 'static>,
        peer: PeerAddress,
    ) {
        let busy = Busy::default();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_header_size(MAX_HEADERS as usize)
            .max_buf_size(HTTP1_BUFFER);
        let service =
            service_fn(|request| answer(self.0.router.clone(), busy.begin(), peer, request));
        let connection = builder.serve_connection(TokioIo::new(io), service);
        self.drive(connection, self.asked_while_draining(&busy)).await;
    }

    /// Serves until the connection ends. It takes no further request after
    /// `last_request`.
    async fn drive<C: GracefulConnection<Error = hyper::Error>>(
        &self,
        connection: C,
        last_request: impl Future<Output = ()>,
    ) {
        let (mut connection, mut last_request) = (pin!(connection), pin!(last_request));
        let mut ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection failed");
                    }
                    return;
                }
                () = self.0.cut.cancelled() => return,
                () = last_request.as_mut(), if !ending => {
                    connection.as_mut().graceful_shutdown();
                    ending = true;
                }
            }
        }
    }
}

async fn answer(
    router: Router,
    busy: BusyMark,
    peer: PeerAddress,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(peer);
    let response = router.oneshot(request.map(Body::new)).await?;
    Ok(response.map(|body| Body::new(HeldBody::new(body, busy))))
}

/// Whether the peer begins with the HTTP/2 preface; nothing if it went away.
async fn is_http2(stream: &mut (impl AsyncRead + Unpin), begun: &mut Vec<u8>) -> Option<bool> {
    while begun.len() < PREFACE.len() {
        let rest = (PREFACE.len() - begun.len()) as u64;
        if stream.take(rest).read_buf(begun).await.ok()? == 0 {
            return None;
        }
        if !PREFACE.starts_with(begun) {
            return Some(false);
        }
    }
    Some(true)
}
