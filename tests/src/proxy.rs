//! A network that fails when a test wants it to.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// Most bytes that the proxy itself holds in each direction.
const BUFFER: usize = 16 * 1024;

/// A TCP proxy within the test: it counts what it passes on, and cuts, stalls
/// or slows down connections on demand.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// What the proxy's connections share.
struct State {
    upstream: Mutex<SocketAddr>,
    /// Bytes passed on from clients to the server.
    sent: AtomicU64,
    /// Bytes passed on from the server to clients.
    received: AtomicU64,
    /// Connections are cut once `sent` is this.
    cut_at: AtomicU64,
    /// What to damage in the next request that has it.
    target: Mutex<Option<Vec<u8>>>,
    /// How often something was damaged.
    damages: AtomicU64,
    /// Bytes per second and direction of each connection; 0 is no limit.
    rate: AtomicU64,
    /// Counts cuts; each one ends every connection of then.
    cuts: watch::Sender<u64>,
    /// Whether requests are held back.
    requests_stalled: watch::Sender<bool>,
    /// Whether replies are held back.
    replies_stalled: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy in front of this address.
    pub async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            upstream: Mutex::new(upstream),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            cut_at: AtomicU64::new(u64::MAX),
            target: Mutex::default(),
            damages: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
            requests_stalled: watch::Sender::new(false),
            replies_stalled: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients connect, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends new connections to another address.
    pub fn switch(&self, upstream: SocketAddr) {
        *self.state.upstream.lock().expect("no holder panics") = upstream;
    }

    /// Bytes that clients have sent through it.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Relaxed)
    }

    /// Bytes that the server has sent through it.
    pub fn received(&self) -> u64 {
        self.state.received.load(Relaxed)
    }

    /// How often it has cut its connections.
    pub fn cuts(&self) -> u64 {
        *self.state.cuts.borrow()
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Cuts every connection as soon as clients have sent `bytes` more.
    pub fn cut_after(&self, bytes: u64) {
        self.state.cut_at.store(self.sent() + bytes, Relaxed);
    }

    /// Flips a bit of these bytes where clients send them next. They must be
    /// content that repeats itself, because what lies across two reads or two
    /// HTTP/2 frames is not recognised.
    pub fn damage(&self, bytes: &[u8]) {
        *self.state.target.lock().expect("no holder panics") = Some(bytes.to_vec());
    }

    /// How often it has damaged something.
    pub fn damages(&self) -> u64 {
        self.state.damages.load(Relaxed)
    }

    /// Passes on nothing more until `resume`, without closing anything.
    pub fn stall(&self) {
        self.state.requests_stalled.send_replace(true);
        self.stall_replies();
    }

    /// Passes on nothing more from the server until `resume`; what clients send
    /// still arrives.
    pub fn stall_replies(&self) {
        self.state.replies_stalled.send_replace(true);
    }

    /// Ends a stall.
    pub fn resume(&self) {
        self.state.requests_stalled.send_replace(false);
        self.state.replies_stalled.send_replace(false);
    }

    /// Passes on at most so many bytes per second in each direction of each
    /// connection; 0 lifts the limit.
    pub fn slow_down(&self, bytes_per_second: u64) {
        self.state.rate.store(bytes_per_second, Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.cut();
    }
}

impl State {
    /// Bytes that clients may still send until their connections are cut.
    fn left_until_cut(&self) -> u64 {
        let cut_at = self.cut_at.load(Relaxed);
        cut_at.saturating_sub(self.sent.load(Relaxed))
    }

    /// Damages what shall be damaged, if it is in there.
    fn damage(&self, bytes: &mut [u8]) {
        let mut target = self.target.lock().expect("no holder panics");
        let Some(wanted) = target.as_deref() else { return };
        let found = bytes.windows(wanted.len()).position(|window| window == wanted);
        if let Some(position) = found {
            bytes[position] ^= 1;
            *target = None;
            self.damages.fetch_add(1, Relaxed);
        }
    }

    fn cut(&self) {
        self.cut_at.store(u64::MAX, Relaxed);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let mut cuts = state.cuts.subscribe();
            let upstream = *state.upstream.lock().expect("no holder panics");
            tokio::select! {
                _ = cuts.changed() => {}
                () = connect(client, upstream, &state) => {}
            }
        });
    }
}

/// Passes bytes both ways until either side closes. Both sockets close with a
/// reset, as they do when a process dies or a network gives up.
async fn connect(mut client: TcpStream, upstream: SocketAddr, state: &State) {
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
        let _ = socket.set_zero_linger();
    }
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    tokio::select! {
        () = pass(client_reads, server_writes, state, Direction::Requests) => {}
        () = pass(server_reads, client_writes, state, Direction::Replies) => {}
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Requests,
    Replies,
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
    direction: Direction,
) {
    let (stalled, passed) = match direction {
        Direction::Requests => (&state.requests_stalled, &state.sent),
        Direction::Replies => (&state.replies_stalled, &state.received),
    };
    let mut stalled = stalled.subscribe();
    let mut buffer = vec![0; BUFFER];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 || stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        let left = match direction {
            Direction::Requests => state.left_until_cut(),
            Direction::Replies => u64::MAX,
        };
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        if direction == Direction::Requests {
            state.damage(&mut buffer[..length]);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        passed.fetch_add(length as u64, Relaxed);
        if left <= length as u64 {
            return state.cut();
        }
        let rate = state.rate.load(Relaxed);
        if rate > 0 {
            sleep(Duration::from_secs_f64(length as f64 / rate as f64)).await;
        }
    }
}
