//! A server of the others, as a process of its own.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::{net::TcpStream, process::Command, time::sleep};

use super::{Peer, Peers};
use crate::{bench::Bench, process::Process, usage::Usage};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// Most bytes of a request, where a server wants to know.
const MOST: &str = "1099511627776";

/// A running server on a new folder.
pub(crate) struct TusServer {
    process: Process,
    address: SocketAddr,
    data: TempDir,
}

impl TusServer {
    /// Starts it and waits until it takes connections.
    pub(crate) async fn start(bench: &Bench, peers: &Peers, peer: Peer) -> Result<Self> {
        let data = TempDir::with_prefix_in("tus-data-", bench.path(""))?;
        let address = free_address()?;
        let mut command = command(peers, peer, address, data.path())?;
        let process = Process::start_silent(&mut command)?;
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            ensure!(started.elapsed() < START, "{} did not start", peer.name());
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Self { process, address, data })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Ends it and removes its files.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        Ok(self.data.close()?)
    }
}

/// An address that was free a moment ago: not every server tells which port it
/// has got.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn command(peers: &Peers, peer: Peer, address: SocketAddr, data: &Path) -> Result<Command> {
    let port = address.port().to_string();
    let mut command = match peer {
        Peer::Tusd => {
            let mut command = Command::new(&peers.tusd);
            command.args(["-host", "127.0.0.1", "-port", &port, "-verbose=false", "-upload-dir"]);
            command.arg(data);
            command
        }
        Peer::TusNode => {
            let mut command = Command::new("node");
            command.arg(peers.script("server.mjs")).arg(&port).arg(data);
            command
        }
        Peer::Rustus => {
            let mut command = Command::new(peers.rustus()?);
            command.args(["--host", "127.0.0.1", "--port", &port, "--log-level", "WARN"]);
            // Else it refuses what the others take.
            command.args(["--max-body-size", MOST]);
            command.arg("--data-dir").arg(data.join("data"));
            command.arg("--info-dir").arg(data.join("info"));
            command
        }
    };
    command.current_dir(data);
    Ok(command)
}
