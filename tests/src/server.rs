//! A real server process.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{AwsAccount, Client, LocalAws, SmallDisk, binary::binary, signal};

/// How long a server may take until it says that it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long a server may take to end after it was told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Default)]
pub struct Setup {
    arguments: Vec<String>,
    settings: Vec<(String, String)>,
    disk: Option<SmallDisk>,
    account: Option<AwsAccount>,
    embedded: bool,
}

/// Whether servers that do not say on which engine they are run on S3 and
/// DynamoDB: `SLUICE_TEST_ENGINE=aws`.
pub fn is_on_aws() -> bool {
    match std::env::var("SLUICE_TEST_ENGINE").as_deref() {
        Ok("aws") => true,
        Ok("embedded") | Err(_) => false,
        Ok(other) => panic!("SLUICE_TEST_ENGINE is {other:?}, neither \"aws\" nor \"embedded\""),
    }
}

impl Setup {
    /// Adds arguments to the command line.
    #[must_use]
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Sets a configuration value by its environment variable.
    #[must_use]
    pub fn setting(mut self, variable: &str, value: &str) -> Self {
        self.settings.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Puts the data folder on a disk of limited size.
    #[must_use]
    pub fn disk(mut self, disk: SmallDisk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Runs it on files and SQLite, because the test looks at these.
    #[must_use]
    pub fn embedded(self) -> Self {
        Self { embedded: true, ..self }
    }

    /// Runs it on S3 and DynamoDB, in this account.
    #[must_use]
    pub fn account(self, account: AwsAccount) -> Self {
        let settings = account.settings();
        let setup = settings.into_iter().fold(self, |setup, (variable, value)| {
            // What a test has set itself stays.
            match setup.settings.iter().any(|(set, _)| set == variable) {
                true => setup,
                false => setup.setting(variable, &value),
            }
        });
        Self { account: Some(account), ..setup }
    }

    /// Starts the server and waits until it listens.
    pub async fn start(self) -> Server {
        let is_free = self.account.is_none() && self.disk.is_none() && !self.embedded;
        let setup = match is_free && is_on_aws() {
            true => self.account(LocalAws::account().await),
            false => self,
        };
        setup.start_there().await
    }

    async fn start_there(self) -> Server {
        let home = TempDir::with_prefix("sluice-").expect("a temporary folder can be made");
        let mut server = Server {
            home: Some(home),
            setup: self,
            child: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            scheme: "http",
        };
        if server.setup.account.is_some() {
            server.bootstrap().await;
        }
        server.launch().await;
        server
    }
}

/// A running `sluice serve` with a data folder of its own. It is killed when
/// this is dropped; after a failure its folder and its log stay.
pub struct Server {
    /// Always there but in `drop`.
    home: Option<TempDir>,
    setup: Setup,
    child: Option<Child>,
    address: SocketAddr,
    /// How it is reached there: `http` or `https`.
    scheme: &'static str,
}

impl Server {
    /// Starts a server with nothing but defaults.
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// Starts a server whose files and SQLite the test looks at.
    pub async fn embedded() -> Self {
        Setup::default().embedded().start().await
    }

    /// What to configure before the start.
    pub fn with() -> Setup {
        Setup::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its data folder, as this process reaches it.
    pub fn data_dir(&self) -> PathBuf {
        match &self.setup.disk {
            Some(disk) => disk.outside().join("data"),
            None => self.home().join("data"),
        }
    }

    /// The operator's API key, made at the first start.
    pub fn key(&self) -> String {
        let path = self.data_dir().join("api-key");
        let key = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        key.trim().to_owned()
    }

    /// A client on a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(&self.url(), &self.key())
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> u32 {
        self.running().id().expect("the server runs")
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size in kB") * 1024
    }

    /// How many connections it has.
    pub fn sockets(&self) -> usize {
        let port = format!(":{:04X}", self.address.port());
        let table = fs::read_to_string("/proc/net/tcp").expect("the table of connections");
        let established = |line: &&str| {
            let mut columns = line.split_whitespace().skip(1);
            let local = columns.next().unwrap_or_default();
            local.ends_with(&port) && columns.nth(1) == Some("01")
        };
        table.lines().filter(established).count()
    }

    /// How much processor time it has used, in seconds.
    pub fn processor_seconds(&self) -> f64 {
        // Of every Linux system: sysconf(_SC_CLK_TCK).
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        // The name may hold spaces; what follows it does not. User and system
        // time are columns 14 and 15 (man 5 proc).
        let columns = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: f64 = columns.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
        ticks / TICKS_PER_SECOND
    }

    /// Whether the process has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// What the server has logged so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Kills it at once, with no chance to tidy up.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().await.expect("a running process can be killed");
    }

    /// Tells it to stop, as an operator does, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        signal(self.pid(), "TERM").await;
        let mut child = self.child.take().expect("the server runs");
        timeout(STOP_LIMIT, child.wait())
            .await
            .unwrap_or_else(|_| panic!("it has not ended within {STOP_LIMIT:?}"))
            .expect("an ended process has a status")
    }

    /// Starts it again on the same port and the same data; answers how long it
    /// took until it listened.
    pub async fn restart(&mut self) -> Duration {
        if self.child.is_some() {
            self.kill().await;
        }
        self.launch().await
    }

    /// The account of S3 and DynamoDB that it runs on.
    pub fn account(&self) -> &AwsAccount {
        self.setup.account.as_ref().expect("the server runs on S3 and DynamoDB")
    }

    /// Makes bucket and table, and puts the operator's key into the data folder.
    async fn bootstrap(&self) {
        let ended = Command::new(binary())
            .args(["admin", "bootstrap", "--data-dir"])
            .arg(self.data_dir())
            .envs(self.setup.settings.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .await
            .expect("it can be run");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    }

    async fn launch(&mut self) -> Duration {
        let start = Instant::now();
        // Another process may borrow the port between two starts, for as long
        // as one of its connections lasts.
        for _ in 0..50 {
            let began = Instant::now();
            let (mut child, address) = timeout(START_LIMIT, self.spawn())
                .await
                .unwrap_or_else(|_| panic!("not listening within {START_LIMIT:?}"));
            if let Some((scheme, address)) = address {
                self.scheme = scheme;
                self.address = address;
                self.child = Some(child);
                return began.elapsed();
            }
            let status = child.wait().await.expect("an ended process has a status");
            let log = self.log();
            let last = log.lines().last().unwrap_or_default();
            assert!(
                last.contains("in use") && start.elapsed() < START_LIMIT,
                "the server ended at its start with {status}: {last}"
            );
            sleep(Duration::from_millis(100)).await;
        }
        panic!("port {} stays in use", self.address.port());
    }

    /// Starts the process; answers what its ready line says, or none if
    /// it ended without one.
    async fn spawn(&self) -> (Child, Option<(&'static str, SocketAddr)>) {
        let (mut command, data_dir) = match &self.setup.disk {
            Some(disk) => {
                let mut command = disk.enter();
                command.arg(binary());
                (command, disk.inside().join("data"))
            }
            None => (Command::new(binary()), self.data_dir()),
        };
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log can be opened");
        let mut child = command
            .args(["serve", "--data-dir"])
            .arg(data_dir)
            .args(["--listen", &self.address.to_string()])
            .args(&self.setup.arguments)
            .envs(self.setup.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the server can be started");
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        while let Some(line) = output.next_line().await.expect("the server prints UTF-8") {
            let url = line.strip_prefix("listening on ");
            if let Some((scheme, address)) = url.and_then(|url| url.split_once("://")) {
                let scheme = if scheme == "https" { "https" } else { "http" };
                let address = address.parse().expect("the ready line ends with an address");
                // Whatever else it prints must not block it.
                tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
                return (child, Some((scheme, address)));
            }
        }
        (child, None)
    }

    fn running(&self) -> &Child {
        self.child.as_ref().expect("the server runs")
    }

    fn home(&self) -> &Path {
        self.home.as_ref().expect("the folder is there until the end").path()
    }

    fn log_path(&self) -> PathBuf {
        self.home().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(20)..];
        eprintln!("the server's log is {}; it ends:", self.log_path().display());
        eprintln!("{}", last.join("\n"));
        if let Some(home) = self.home.take() {
            let _kept = home.keep();
        }
    }
}
