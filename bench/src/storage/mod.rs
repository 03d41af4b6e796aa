//! A store with S3's API on this machine: s3s-fs, on the disk that is measured.

mod direct;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command as Setup, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::{net::TcpStream, process::Command, time::sleep};

use crate::{bench::Bench, peers::free_address, process::Process, usage::Usage};

pub(crate) use direct::{Manner, upload};

/// Installs what is missing.
const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/storage/setup");

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// Who may use a store.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
}

/// A running store on a new folder.
pub(crate) struct Storage {
    process: Process,
    address: SocketAddr,
    keys: Keys,
    data: TempDir,
}

/// Installs s3s-fs if it is missing; answers where it is.
pub(crate) fn install() -> Result<PathBuf> {
    let output = Setup::new(SETUP).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "s3s-fs cannot be installed");
    let said = String::from_utf8(output.stdout)?;
    let place = said.lines().find_map(|line| line.strip_prefix("s3s-fs "));
    Ok(Path::new(place.context("no s3s-fs")?).to_owned())
}

impl Storage {
    /// Starts it and waits until it takes connections.
    pub(crate) async fn start(bench: &Bench, keys: Keys) -> Result<Self> {
        let data = TempDir::with_prefix_in("s3-data-", bench.path(""))?;
        let address = free_address()?;
        let mut command = Command::new(bench.storage().context("no store with S3's API")?);
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--access-key", &keys.access, "--secret-key", &keys.secret]);
        command.arg(data.path()).env_remove("RUST_LOG");
        let process = Process::start_silent(&mut command)?;
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            ensure!(started.elapsed() < START, "s3s-fs did not start");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Self { process, address, keys, data })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who may use it.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
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
