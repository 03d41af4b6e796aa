//! Local AWSs, shared by the tests of a binary.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::OnceCell, task};

/// Those of this process: each of them uses one core at most, so there are several. They
/// live until the process ends, and not longer: they read from a pipe that nobody else holds.
static SHARED: OnceCell<Vec<LocalAws>> = OnceCell::const_new();

/// Most of them, on machines with many cores.
const MOST: usize = 4;

/// The number of the next account.
static ACCOUNTS: AtomicUsize = AtomicUsize::new(1);

/// How long it may take to listen; installing it at the first start comes on top.
const START_LIMIT: Duration = Duration::from_secs(60);

/// S3, DynamoDB, SQS, IAM and STS on this machine, from `tests/local_aws`.
pub struct LocalAws {
    endpoint: String,
    /// Holds the pipe.
    _process: Child,
}

/// An AWS account of its own: nobody else sees its buckets and tables.
#[derive(Debug, Clone)]
pub struct AwsAccount {
    /// Where S3 and DynamoDB are, without TLS.
    pub endpoint: String,
    /// The account's number, which is its access key as well.
    pub access_key: String,
    /// What goes with the access key.
    pub secret_key: String,
    /// The region of everything.
    pub region: &'static str,
    /// A name for its bucket; all accounts share the names of buckets.
    pub bucket: String,
}

impl AwsAccount {
    /// What leads a server there: variables of its environment.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SLUICE__STORAGE__ENGINE", "aws".to_owned()),
            ("SLUICE__AWS__BUCKET", self.bucket.clone()),
            ("SLUICE__AWS__REGION", self.region.to_owned()),
            ("SLUICE__AWS__S3_ENDPOINT", self.endpoint.clone()),
            ("SLUICE__AWS__DYNAMODB_ENDPOINT", self.endpoint.clone()),
            ("SLUICE__AWS__PATH_STYLE", "true".to_owned()),
            // The local AWS takes parts of any size.
            ("SLUICE__AWS__MIN_PART_SIZE", "1MiB".to_owned()),
            // What tests say of signed URLs holds on both engines; what clients do at
            // storage has tests of its own.
            ("SLUICE__AWS__DIRECT_TRANSFERS", "false".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
        ]
    }
}

impl LocalAws {
    /// An account for one test; the first one starts everything.
    pub async fn account() -> AwsAccount {
        let all = SHARED.get_or_init(Self::start_all).await;
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        AwsAccount {
            endpoint: all[number % all.len()].endpoint.clone(),
            access_key: format!("{number:012}"),
            secret_key: "test".to_owned(),
            region: "us-east-1",
            bucket: format!("sluice-{number}"),
        }
    }

    /// One after the other, because the first may have to install what all need.
    #[expect(clippy::disallowed_methods, reason = "blocks while packages are installed")]
    async fn start_all() -> Vec<Self> {
        let count = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST));
        let started = task::spawn_blocking(move || (0..count).map(|_| Self::start()).collect());
        started.await.expect("the local AWSs start")
    }

    fn start() -> Self {
        let (process, port) = spawn();
        Self { endpoint: format!("http://127.0.0.1:{port}"), _process: process }
    }
}

/// Starts the process and answers its port.
fn spawn() -> (Child, u16) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("local_aws/run");
    let mut process = Command::new(&program)
        // Parts of the port's conformance are small; S3's own limit has tests of
        // its own.
        .env("MINISTACK_MIN_PART_BYTES", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
    let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
    let port = lines
        .by_ref()
        .map(|line| line.expect("the local AWS prints UTF-8"))
        .find_map(|line| line.strip_prefix("port ")?.parse().ok())
        .expect("the local AWS says its port before it ends");
    // Whatever else it prints must not block it.
    thread::spawn(move || lines.for_each(drop));
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < START_LIMIT, "it does not listen within {START_LIMIT:?}");
        thread::sleep(Duration::from_millis(10));
    }
    (process, port)
}
