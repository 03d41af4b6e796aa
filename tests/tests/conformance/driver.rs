//! The program beside each SDK that does what it is told.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::timeout,
};

/// The first run builds the driver.
const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// No command takes longer, unless something hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// A language, and how its client is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Go,
    Python,
    /// With `asyncio`.
    PythonAsync,
    TypeScript,
}

/// What is known of a driver while it runs.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    persisted: AtomicU64,
    upload_id: std::sync::Mutex<Option<String>>,
}

impl Progress {
    pub(crate) fn persisted(&self) -> u64 {
        self.persisted.load(Relaxed)
    }

    pub(crate) fn upload_id(&self) -> Option<String> {
        self.upload_id.lock().expect("no holder panics").clone()
    }
}

impl Language {
    fn command(self) -> Command {
        let sdks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk-gen");
        let run = |language: &str| {
            let mut command = Command::new(sdks.join(language).join("run"));
            command.arg("driver");
            command
        };
        match self {
            Self::Rust => Command::new(rust_driver()),
            Self::Go => run("go"),
            Self::Python => run("python"),
            Self::PythonAsync => {
                let mut command = run("python");
                command.env("SLUICE_DRIVER_ASYNC", "1");
                command
            }
            Self::TypeScript => run("typescript"),
        }
    }

    /// Builds the driver, so that it starts at once afterwards.
    pub(crate) async fn build(self) {
        let mut command = self.command();
        command.arg("{}").stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(BUILD_LIMIT, command.output()).await.expect("it is built in time");
        let output = output.unwrap_or_else(|error| panic!("{self:?} cannot be run: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{self:?} takes an empty command");
        assert!(output.stdout.is_empty(), "{self:?} answers an empty command: {said}");
    }

    /// Runs one command; answers the last event.
    pub(crate) async fn run(
        self,
        command: &Value,
        progress: &Arc<Progress>,
    ) -> Result<Value, String> {
        let mut child = self
            .command()
            .arg(command.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the driver cannot be started: {error}"))?;
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let complaints = tokio::spawn(async move {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said).await;
            said
        });
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let work = async {
            let mut last = None;
            let mut reached = 0;
            while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
                if last.is_some() {
                    return Err(format!("something comes after the last event: {line}"));
                }
                let event: Value = serde_json::from_str(&line)
                    .map_err(|error| format!("{line:?} is no event: {error}"))?;
                match event["event"].as_str() {
                    Some("progress") => reached = progress.heard(&event, reached)?,
                    Some("done" | "error") => last = Some(event),
                    _ => return Err(format!("{line} is no event of the protocol")),
                }
            }
            let status = child.wait().await.map_err(|error| error.to_string())?;
            last.filter(|_| status.success())
                .ok_or_else(|| format!("the driver ended with {status}"))
        };
        let outcome = timeout(LIMIT, work)
            .await
            .unwrap_or_else(|_| Err(format!("the driver has not ended within {LIMIT:?}")));
        match outcome {
            Ok(event) => Ok(event),
            Err(error) => {
                // Whoever is stuck is ended first, or nobody would close the pipe.
                let _ = child.kill().await;
                let said = complaints.await.unwrap_or_default();
                let lines: Vec<_> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(15)..].join("\n");
                Err(format!("{error}\n{last}"))
            }
        }
    }
}

impl Progress {
    /// Takes an event of progress, which may not go back.
    fn heard(&self, event: &Value, before: u64) -> Result<u64, String> {
        let persisted = event["persisted"].as_u64().ok_or(format!("no number in {event}"))?;
        let total = event["total"].as_u64().unwrap_or(u64::MAX);
        if persisted < before || persisted > total {
            return Err(format!("{event} after {before} bytes"));
        }
        if let Some(id) = event["upload_id"].as_str() {
            *self.upload_id.lock().expect("no holder panics") = Some(id.to_owned());
        }
        self.persisted.store(persisted, Relaxed);
        Ok(persisted)
    }
}

/// The example of the Rust SDK, which Cargo builds with the tests.
fn rust_driver() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let profile = test.ancestors().nth(2).expect("test executables are in <profile>/deps");
    let driver = profile.join("examples/driver");
    assert!(driver.is_file(), "{} is missing: cargo build --release --examples", driver.display());
    driver
}
