//! A disk that is small enough to fill.

use std::{path::PathBuf, process::Stdio};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A tmpfs of limited size in a mount namespace of its own. A helper process
/// holds the namespace, so the disk outlives the servers that run on it and is
/// gone with the test, however that ends.
pub struct SmallDisk {
    holder: Child,
    mount_point: TempDir,
    /// Whether a user namespace was needed to be allowed to mount.
    user_namespace: bool,
}

impl SmallDisk {
    /// A disk of `mib` MiB.
    pub async fn new(mib: u64) -> Self {
        let mount_point = TempDir::new().expect("a temporary folder can be made");
        for user_namespace in [false, true] {
            if let Some(holder) = hold(&mount_point, mib, user_namespace).await {
                return Self { holder, mount_point, user_namespace };
            }
        }
        panic!("a tmpfs can be mounted neither as root nor in a user namespace (unshare -rm)");
    }

    /// The disk's root as programs inside its namespace see it.
    pub(crate) fn inside(&self) -> PathBuf {
        self.mount_point.path().to_owned()
    }

    /// The disk's root as this process reaches it.
    pub(crate) fn outside(&self) -> PathBuf {
        let path = self.mount_point.path();
        PathBuf::from(format!("/proc/{}/root", self.pid()))
            .join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The start of a command line that runs a program inside the namespace.
    pub(crate) fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.pid().to_string()]);
        if self.user_namespace {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--");
        command
    }

    fn pid(&self) -> u32 {
        self.holder.id().expect("the holder runs until it is dropped")
    }
}

/// Starts the process that mounts the disk and keeps it; `None` where that is
/// not allowed.
async fn hold(mount_point: &TempDir, mib: u64, user_namespace: bool) -> Option<Child> {
    let mut command = Command::new("unshare");
    if user_namespace {
        command.arg("--map-root-user");
    }
    // `cat` ends when this process does, since its input ends then.
    let script = r#"mount -t tmpfs -o size="$1"m tmpfs "$2" && echo mounted && exec cat"#;
    let mut holder = command
        .args(["--mount", "sh", "-c", script, "sh", &mib.to_string()])
        .arg(mount_point.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let output = holder.stdout.take().expect("stdout is piped");
    let line = BufReader::new(output).lines().next_line().await.ok()?;
    (line.as_deref() == Some("mounted")).then_some(holder)
}
