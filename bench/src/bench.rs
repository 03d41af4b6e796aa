//! What every row works with: a folder on the disk to measure, and files to send.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    choices::{Choices, Section},
    peers::Peers,
    rows::sdks,
    storage,
};

/// The place of the measurements; everything in it is removed at the end.
pub(crate) struct Bench {
    folder: TempDir,
    sluice: PathBuf,
    /// None: they are left out.
    peers: Option<Peers>,
    /// The s3s-fs binary, if it is needed.
    storage: Option<PathBuf>,
}

impl Bench {
    /// Makes the folder, and installs what is missing.
    pub(crate) fn new(choices: &Choices) -> Result<Self> {
        let base = choices.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = TempDir::with_prefix_in("sluice-bench-", &base)
            .with_context(|| format!("cannot use {}", base.display()))?;
        let sluice = match &choices.sluice {
            Some(sluice) => sluice.clone(),
            None => std::env::current_exe()?.with_file_name("sluice"),
        };
        ensure!(
            sluice.is_file(),
            "there is no sluice binary at {}; build it with make build",
            sluice.display()
        );
        let peers = choices.with_peers().then(Peers::install).transpose()?;
        let storage = choices.with_storage().then(storage::install).transpose()?;
        if choices.sections().contains(&Section::Sdks) {
            sdks::install(choices.with_peers())?;
        }
        Ok(Self { folder, sluice, peers, storage })
    }

    /// Other upload servers, if they are measured.
    pub(crate) fn peers(&self) -> Option<&Peers> {
        self.peers.as_ref()
    }

    /// The s3s-fs binary, if it is measured.
    pub(crate) fn storage(&self) -> Option<&Path> {
        self.storage.as_deref()
    }

    /// The sluice binary.
    pub(crate) fn sluice(&self) -> &Path {
        &self.sluice
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of so many bytes that no layer can compress or share. Made when it
    /// is asked for the first time, and kept.
    pub(crate) fn source(&self, bytes: u64) -> Result<PathBuf> {
        let path = self.path(&format!("source-{bytes}"));
        if path.exists() {
            return Ok(path);
        }
        let random = File::open("/dev/urandom").context("no random numbers")?;
        let mut file = File::create(&path)?;
        let copied = io::copy(&mut random.take(bytes), &mut file)?;
        ensure!(copied == bytes, "the source file is too short");
        file.sync_all()?;
        Ok(path)
    }

    /// Removes a file or folder of an earlier measurement.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Waits until the disk has nothing to do that an earlier measurement has
    /// left behind.
    pub(crate) fn settle(&self) {
        rustix::fs::sync();
    }
}
