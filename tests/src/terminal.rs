//! Somebody at a terminal who types `sluice …`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

use crate::{Content, Server, binary};

/// No command of a test takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// A user with a home folder of their own, and nothing in their environment
/// but the address of a server and its key.
pub struct Terminal {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command has left.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// What it printed for programs.
    pub stdout: Vec<u8>,
    /// What it printed for people.
    pub stderr: String,
}

impl Terminal {
    /// A user of a server, which is reached at this address.
    pub fn of(server: &Server, url: &str) -> Self {
        let home = TempDir::with_prefix("sluice-home-").expect("a temporary folder can be made");
        let key_file = argument(&server.data_dir().join("api-key"));
        let variables = [("SLUICE_SERVER", url), ("SLUICE_API_KEY_FILE", &key_file)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { home, variables }
    }

    /// A user with nothing in their environment that says where a server is.
    pub fn without_server() -> Self {
        let home = TempDir::with_prefix("sluice-home-").expect("a temporary folder can be made");
        Self { home, variables: Vec::new() }
    }

    /// The same user with one more variable in their environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(there, _)| there != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the user's home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file in the user's home, with the folders that it is in.
    pub fn write(&self, name: &str, content: &Content) {
        let path = self.path(name);
        let folder = path.parent().expect("the home, at least");
        fs::create_dir_all(folder).expect("folders can be made");
        content.write_to(&path);
    }

    /// Starts a command and does not wait for it.
    pub fn start<S: AsRef<str>>(&self, arguments: &[S]) -> Child {
        self.command(arguments).spawn().expect("the program can be started")
    }

    /// Starts a command that reads what is written to its standard input.
    pub fn start_piped<S: AsRef<str>>(&self, arguments: &[S]) -> Child {
        self.command(arguments).stdin(Stdio::piped()).spawn().expect("the program can be started")
    }

    /// Starts a command with something else as standard input and standard error.
    pub fn start_at<S: AsRef<str>>(
        &self,
        arguments: &[S],
        stdin: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Child {
        let mut command = self.command(arguments);
        command.stdin(stdin).stderr(stderr).spawn().expect("the program can be started")
    }

    /// Runs a command to its end.
    pub async fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Ended {
        ended(self.start(arguments)).await
    }

    /// Runs a command with something to read on standard input.
    pub async fn pipe<S: AsRef<str>>(&self, arguments: &[S], input: &[u8]) -> Ended {
        let mut child = self.start_piped(arguments);
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let write = async move {
            // A command that ends early does not read all.
            let _ = stdin.write_all(input).await;
        };
        tokio::join!(write, ended(child)).1
    }

    fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Ended {
    /// The events of `--json`.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let event = |line| serde_json::from_str(line).expect("a line is JSON");
        self.text().lines().map(event).collect()
    }

    /// What it printed for programs, or to be read as it is.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout).expect("the output is UTF-8")
    }

    /// The same line by line.
    pub fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }

    /// The names in all events of this kind, sorted.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let events = self.events().into_iter().filter(|event| event["event"] == kind);
        let name = |event: serde_json::Value| event["name"].as_str().map(ToOwned::to_owned);
        let mut names: Vec<_> = events.map(|it| name(it).expect("it has a name")).collect();
        names.sort();
        names
    }

    /// The first event of this kind.
    pub fn event(&self, kind: &str) -> serde_json::Value {
        let found = self.events().into_iter().find(|event| event["event"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} event: {self:?}"))
    }

    /// Asserts that it ended with this exit code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }
}

/// Waits for a command to end.
pub async fn ended(child: Child) -> Ended {
    let output = timeout(LIMIT, child.wait_with_output())
        .await
        .expect("the command ends")
        .expect("its output can be read");
    Ended {
        code: ExitStatus::code(&output.status),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal such as `INT` to a process.
pub async fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().await;
    assert!(status.is_ok_and(|status| status.success()), "{name} cannot be sent to {pid}");
}

/// A path as an argument.
pub fn argument(path: &Path) -> String {
    path.to_str().expect("paths of tests are UTF-8").to_owned()
}
