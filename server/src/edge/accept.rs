//! Taking connections, as many as there is room for.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// Pause after the system had nothing left for another connection, so that the
/// loop does not spin until it has.
const PAUSE: Duration = Duration::from_millis(100);

/// File descriptors of each connection: its socket, and the file of a part that
/// it writes or reads.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// Takes connections one after the other. Those above the limit wait in the
/// system's queue until another one ends.
pub(super) struct Acceptor {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, max_connections: usize) -> Self {
        let possible = usize::try_from(raise_descriptor_limit() / DESCRIPTORS_PER_CONNECTION)
            .unwrap_or(usize::MAX);
        if possible < max_connections {
            tracing::warn!(
                max_connections,
                possible,
                "the system's limit of open files (ulimit -n) allows fewer connections"
            );
        }
        let room = max_connections.min(possible).clamp(1, Semaphore::MAX_PERMITS);
        Self { listener, room: Arc::new(Semaphore::new(room)) }
    }

    /// The next connection, and its place among those that are allowed.
    pub(super) async fn next(&self) -> (TcpStream, OwnedSemaphorePermit) {
        let mut failed = false;
        loop {
            let Ok(place) = Arc::clone(&self.room).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    if !failed {
                        tracing::error!(%error, "cannot take connections; trying again");
                    }
                    failed = true;
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether a peer went away before it was taken.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Lets this process open as many files as the system allows it at most, and
/// answers how many those are.
fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
        }
    }
    limit.current.unwrap_or(u64::MAX)
}
