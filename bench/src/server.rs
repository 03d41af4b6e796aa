//! A Sluice server of its own process, and what it uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use sluice_sdk::Client;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Clock ticks per second in `/proc` (`USER_HZ`, 100 on every Linux platform
/// that Rust supports).
const TICKS: u64 = 100;

/// A running server.
pub(crate) struct Server {
    process: Child,
    url: String,
    data: PathBuf,
}

/// What a process has used so far.
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_memory: u64,
}

impl Server {
    /// Starts a server on a new data folder.
    pub(crate) async fn start(binary: &Path, data: &Path) -> Result<Self> {
        let mut process = Command::new(binary)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let output = process.stdout.take().context("no output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let line = line.context("the server did not start")?;
        let url = line.strip_prefix("listening on ").context("an unexpected line")?.to_owned();
        Ok(Self { process, url, data: data.to_owned() })
    }

    /// A client with so many connections.
    pub(crate) fn client(&self, connections: usize) -> Result<Client> {
        let key = fs::read_to_string(self.data.join("api-key"))?;
        Ok(Client::builder(&self.url).api_key(key.trim()).connections(connections).build()?)
    }

    /// What the server has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let pid = self.process.id().context("the server has ended")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may hold spaces; fields 14 and 15 (user and system time) are
        // the 12th and 13th after its closing bracket.
        let fields = stat.rsplit_once(')').context("an unexpected format")?.1;
        let mut ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let mut next = || ticks.next().context("an unexpected format")?.context("not a number");
        let cpu = Duration::from_millis((next()? + next()?) * 1000 / TICKS);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.split_whitespace().next()).context("no VmHWM")?;
        Ok(Usage { cpu, peak_memory: peak.parse::<u64>()? * 1024 })
    }

    /// Ends the server and removes its data.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.kill().await?;
        fs::remove_dir_all(&self.data)?;
        Ok(())
    }
}
