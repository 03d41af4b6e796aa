//! A Sluice server of its own process.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use sluice_sdk::Client;
use tokio::process::Command;

use crate::{bench::Bench, process::Process, usage::Usage};

/// A running server on a new data folder.
pub(crate) struct Sluice {
    process: Process,
    url: String,
    data: PathBuf,
}

impl Sluice {
    /// Starts it.
    pub(crate) async fn start(bench: &Bench) -> Result<Self> {
        let data = bench.path("sluice-data");
        let mut command = Command::new(bench.sluice());
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"]);
        let mut process = Process::start(command.arg(&data))?;
        let url = process.said("listening on ").await.context("the Sluice server did not start")?;
        Ok(Self { process, url, data })
    }

    /// A client with so many connections.
    pub(crate) fn client(&self, connections: usize) -> Result<Client> {
        let key = fs::read_to_string(self.data.join("api-key"))?;
        Ok(Client::builder(&self.url).api_key(key.trim()).connections(connections).build()?)
    }

    /// What the server has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Ends the server and removes its data.
    pub(crate) async fn stop(self, bench: &Bench) -> Result<()> {
        self.process.stop().await?;
        bench.remove(&self.data)
    }
}
