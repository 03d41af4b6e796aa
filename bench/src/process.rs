//! A server or client as a process of its own.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::usage::Usage;

/// A running process. It ends when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// None if nobody wants to know.
    output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    /// Starts a process that says something.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Self::start_with(command.stdout(Stdio::piped()))
    }

    /// Starts a process that says nothing of interest.
    pub(crate) fn start_silent(command: &mut Command) -> Result<Self> {
        Self::start_with(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    fn start_with(command: &mut Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
        let mut child = spawned.with_context(|| format!("cannot start {command:?}"))?;
        let output = child.stdout.take().map(|output| BufReader::new(output).lines());
        Ok(Self { child, output })
    }

    /// What follows `prefix` in the next line that begins with it.
    pub(crate) async fn said(&mut self, prefix: &str) -> Result<String> {
        let output = self.output.as_mut().context("it is silent")?;
        loop {
            let line = output.next_line().await?;
            let line = line.with_context(|| format!("it ended without saying {prefix:?}"))?;
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id().context("the process has ended")?)
    }

    /// Waits until it ends by itself, well or not.
    pub(crate) async fn end(mut self) -> Result<bool> {
        Ok(self.child.wait().await?.success())
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
