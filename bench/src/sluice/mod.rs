//! A Sluice server of its own process.

pub(crate) mod checked;
pub(crate) mod discarding;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use sluice_sdk::Client;
use sluice_tests::AwsAccount;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{bench::Bench, process::Process, storage::Storage, usage::Usage};

/// A file system in memory, where Linux has one.
const MEMORY: &str = "/dev/shm";

/// Where the server leaves its API key, in the data folder.
const KEY_FILE: &str = "api-key";

/// What the server says beside its address, in the data folder.
const LOG_FILE: &str = "bench.log";

/// A running server on a new data folder.
pub(crate) struct Sluice {
    process: Process,
    url: String,
    data: TempDir,
}

impl Sluice {
    /// Starts `sluice serve`.
    pub(crate) async fn start(bench: &Bench) -> Result<Self> {
        let data = TempDir::with_prefix_in("sluice-data-", bench.path(""))?;
        Self::run(&mut Self::serve(bench, data.path()), data).await
    }

    /// The same, for pages of another origin.
    pub(crate) async fn start_for_pages_of(bench: &Bench, origin: &str) -> Result<Self> {
        let data = TempDir::with_prefix_in("sluice-data-", bench.path(""))?;
        let mut command = Self::serve(bench, data.path());
        command.env("SLUICE__SERVER__ALLOWED_ORIGINS", format!("[\"{origin}\"]"));
        Self::run(&mut command, data).await
    }

    fn serve(bench: &Bench, data: &Path) -> Command {
        let mut command = Command::new(bench.sluice());
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"]);
        command.arg(data);
        command
    }

    /// Starts `sluice serve` on a store with S3's API, which has the account's
    /// keys, and on the account's database.
    pub(crate) async fn start_on(
        bench: &Bench,
        storage: &Storage,
        account: &AwsAccount,
    ) -> Result<Self> {
        let data = TempDir::with_prefix_in("sluice-data-", bench.path(""))?;
        let settings = [
            ("SLUICE__AWS__S3_ENDPOINT", storage.url().as_str()),
            // It keeps no checksums, and takes no parts that S3 would not take.
            ("SLUICE__AWS__CHECKSUMS", "off"),
            ("SLUICE__AWS__MIN_PART_SIZE", "5MiB"),
            // Nobody is between the processes of a machine.
            ("SLUICE__AWS__SIGN_PAYLOADS", "never"),
        ]
        .map(|(key, value)| (key, value.to_owned()));
        let settings: Vec<_> = account.settings().into_iter().chain(settings).collect();
        let mut command = Command::new(bench.sluice());
        command.args(["admin", "bootstrap", "--data-dir"]).arg(data.path());
        let done = command.envs(settings.clone()).kill_on_drop(true).output().await?;
        let told = String::from_utf8_lossy(&done.stdout);
        ensure!(done.status.success(), "sluice admin bootstrap has failed: {told}");
        Self::run(Self::serve(bench, data.path()).envs(settings), data).await
    }

    /// Starts the whole server without a disk: bytes are thrown away once they
    /// are checked and hashed, and records are in memory.
    pub(crate) async fn start_discarding(bench: &Bench) -> Result<Self> {
        let memory = Path::new(MEMORY);
        let base = if memory.is_dir() { memory.to_owned() } else { bench.path("") };
        let data = TempDir::with_prefix_in("sluice-bench-", base)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "discarding"]).arg(data.path());
        Self::run(&mut command, data).await
    }

    /// Starts a server that takes frames and checks their CRC32C, and no more.
    pub(crate) async fn start_checked(bench: &Bench) -> Result<Self> {
        let data = TempDir::with_prefix_in("sluice-data-", bench.path(""))?;
        fs::write(data.path().join(KEY_FILE), "nobody asks for it")?;
        let mut command = Command::new(std::env::current_exe()?);
        Self::run(command.args(["serve", "checked"]), data).await
    }

    async fn run(command: &mut Command, data: TempDir) -> Result<Self> {
        // What it says there at its first start is for people.
        let log = data.path().join(LOG_FILE);
        let mut process = Process::start(command.stderr(fs::File::create(&log)?))?;
        let url = process.said("listening on ").await.with_context(|| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("the Sluice server did not start: {log}")
        })?;
        Ok(Self { process, url, data })
    }

    /// A client with so many connections.
    pub(crate) fn client(&self, connections: usize) -> Result<Client> {
        self.client_of(&self.url, connections)
    }

    /// The same, by way of another address.
    pub(crate) fn client_of(&self, url: &str, connections: usize) -> Result<Client> {
        let key = fs::read_to_string(self.key_file())?;
        Ok(Client::builder(url).api_key(key.trim()).connections(connections).build()?)
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let address = self.url.strip_prefix("http://").context("a URL without http://")?;
        Ok(address.parse()?)
    }

    /// The file with the API key.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.data.path().join(KEY_FILE)
    }

    /// What the server has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Ends the server and removes its data.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        Ok(self.data.close()?)
    }
}
