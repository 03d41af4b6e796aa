//! Upload servers that others use: tusd, @tus/server and rustus, driven by
//! tus-js-client or tuspy. Each runs as its documentation starts it, on the disk that is
//! measured.

mod client;
mod server;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

pub(crate) use client::{ClientOfTus, TusClient, Work};
pub(crate) use server::{TusServer, free_address};

/// Installs what is missing.
const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/setup");

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The reference server, in Go.
    Tusd,
    /// The one for Node.
    TusNode,
    /// The one in Rust.
    Rustus,
}

/// What is installed, and where.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    tusd: PathBuf,
    /// The folder with the servers' and the client's scripts.
    node: PathBuf,
    /// The virtual environment with tuspy.
    python: PathBuf,
    /// None where it does not build.
    rustus: Option<PathBuf>,
}

impl Peer {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tusd => "tusd",
            Self::TusNode => "@tus/server",
            Self::Rustus => "rustus",
        }
    }
}

impl Peers {
    /// Installs what is missing.
    pub(crate) fn install() -> Result<Self> {
        let output = Command::new(SETUP).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the other upload servers cannot be installed");
        let said = String::from_utf8(output.stdout)?;
        let place = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.map(PathBuf::from)
        };
        Ok(Self {
            tusd: place("tusd").context("no tusd")?,
            node: place("node").context("no Node servers")?,
            python: place("python").context("no tuspy")?,
            rustus: place("rustus"),
        })
    }

    /// The servers that are there.
    pub(crate) fn all(&self) -> Vec<Peer> {
        let rustus = self.rustus.is_some().then_some(Peer::Rustus);
        [Peer::Tusd, Peer::TusNode].into_iter().chain(rustus).collect()
    }

    /// What is in the folder of scripts and modules for Node.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        self.node.join(name)
    }

    fn rustus(&self) -> Result<&Path> {
        self.rustus.as_deref().context("rustus is not installed")
    }
}
