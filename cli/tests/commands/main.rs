//! The command as people and scripts use it, against a real server.

mod exits;
mod resume;
mod round_trips;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use sluice_tests::{Content, Server};
use tempfile::TempDir;

/// A person at a terminal: a folder to work in, and a server.
struct Person {
    server: Server,
    folder: TempDir,
}

/// What a command has said.
struct Said {
    code: i32,
    output: String,
    messages: String,
}

impl Person {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        Self { server: Server::start().await, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file with content of its own.
    fn write(&self, name: &str, size: u64) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("can be made");
        let seed = name.bytes().map(u64::from).sum();
        fs::write(&path, Content::new(seed, size).all()).expect("can be written");
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("SLUICE_SERVER", self.server.url())
            .env("SLUICE_DATA_DIR", self.server.data_dir())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::from(self.command(arguments).output().expect("the command starts"))
    }

    /// How many uploads are remembered.
    fn remembered(&self) -> usize {
        fs::read_dir(self.path("state/sluice/uploads")).map_or(0, Iterator::count)
    }
}

impl Said {
    /// The lines of `--json`.
    fn events(&self) -> Vec<Value> {
        self.output.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.output, self.messages);
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            messages: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Whether two files or folders are equal.
fn same(left: &Path, right: &Path) -> bool {
    if left.is_dir() {
        let names = |folder: &Path| {
            let entries = fs::read_dir(folder).expect("a folder");
            let mut names: Vec<_> =
                entries.map(|entry| entry.expect("a name").file_name()).collect();
            names.sort();
            names
        };
        return names(left) == names(right)
            && names(left).iter().all(|name| same(&left.join(name), &right.join(name)));
    }
    fs::read(left).expect("a file") == fs::read(right).expect("a file")
}
