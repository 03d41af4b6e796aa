//! The edge: sockets, and everything that a peer can do to them.
//!
//! A connection is taken when there is room (`accept`), secured (`tls`),
//! told apart and served with the limits of `connection`, and watched for
//! floods and stalls (`guarded_io`, `frame_budget`). What may be asked over
//! it is none of its business: that is one router.

mod accept;
pub mod body;
mod busy;
mod connection;
mod frame_budget;
mod guarded_io;

pub mod tls;

use std::{net::IpAddr, sync::Arc};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{metrics, tasks::Tasks};
use accept::Acceptor;
use connection::Connections;
pub use tls::Tls;

/// Who is at the other end of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// The sockets of a server.
pub struct Edge {
    /// What answers requests.
    pub router: Router,
    /// What connections are secured with, if they are.
    pub tls: Option<Tls>,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Where requests run.
    pub tasks: Tasks,
    /// Once cancelled, connections end when their requests have.
    pub draining: CancellationToken,
    /// Once cancelled, every connection ends at once.
    pub cut: CancellationToken,
}

impl Edge {
    /// Takes and serves connections until `draining` is cancelled and all have
    /// ended. New ones are taken until then, so that those who probe the server
    /// get an answer.
    pub async fn serve(self, listener: TcpListener) {
        let acceptor = Acceptor::new(listener, self.max_connections);
        let (draining, cut) = (self.draining.clone(), self.cut.clone());
        let connections = Arc::new(Connections(self));
        let open = TaskTracker::new();
        loop {
            tokio::select! {
                (stream, place) = acceptor.next() => {
                    let connections = Arc::clone(&connections);
                    open.spawn(async move {
                        let _counted = metrics::Connection::taken();
                        connections.serve(stream).await;
                        drop(place);
                    });
                }
                () = all_ended(&open, &draining) => break,
                () = cut.cancelled() => break,
            }
        }
        open.close();
        open.wait().await;
    }
}

async fn all_ended(open: &TaskTracker, draining: &CancellationToken) {
    draining.cancelled().await;
    open.close();
    open.wait().await;
}
