//! tus-js-client or tuspy, as a process of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::Peers;
use crate::process::Process;

/// What drives tuspy.
const TUSPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/python/upload.py");

/// What to upload, and how.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Work {
    /// By whom.
    #[serde(skip)]
    pub(crate) client: ClientOfTus,
    /// Where to.
    pub(crate) endpoint: String,
    /// The file.
    pub(crate) file: PathBuf,
    /// How often.
    pub(crate) count: usize,
    /// How many at a time.
    pub(crate) parallel: usize,
    /// Bytes of each request; unless set, one request carries the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chunk_size: Option<u64>,
    /// Whether the file is small: read once, and sent with the request that
    /// creates the upload.
    pub(crate) memory: bool,
    /// Where the client remembers uploads, to go on with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) urls: Option<PathBuf>,
}

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientOfTus {
    /// tus-js-client.
    Node,
    /// tuspy.
    Python,
}

/// A running client.
pub(crate) struct TusClient(Process);

/// What it says at its end.
#[derive(Debug, Deserialize)]
struct Done {
    seconds: f64,
    cpu_seconds: f64,
}

impl Work {
    /// A file once, in one request.
    pub(crate) fn of(address: SocketAddr, file: &Path) -> Self {
        Self {
            client: ClientOfTus::Node,
            endpoint: format!("http://{address}/files/"),
            file: file.to_owned(),
            count: 1,
            parallel: 1,
            chunk_size: None,
            memory: false,
            urls: None,
        }
    }
}

impl TusClient {
    /// Starts it.
    pub(crate) fn start(peers: &Peers, work: &Work) -> Result<Self> {
        let mut command = match work.client {
            ClientOfTus::Node => {
                let mut command = Command::new("node");
                command.arg(peers.script("upload.mjs"));
                command
            }
            ClientOfTus::Python => {
                let mut command = Command::new(peers.python.join("bin/python"));
                command.arg(TUSPY);
                command
            }
        };
        command.arg(serde_json::to_string(work)?);
        Ok(Self(Process::start(&mut command)?))
    }

    /// Waits until everything is uploaded. Answers how long it took, without
    /// the start of the process, and the CPU time of the client.
    pub(crate) async fn finish(mut self) -> Result<(Duration, Duration)> {
        let done: Done = serde_json::from_str(&self.0.said("done ").await?)?;
        self.0.stop().await?;
        Ok((Duration::from_secs_f64(done.seconds), Duration::from_secs_f64(done.cpu_seconds)))
    }

    /// Kills it.
    pub(crate) async fn kill(self) -> Result<()> {
        self.0.stop().await
    }
}
