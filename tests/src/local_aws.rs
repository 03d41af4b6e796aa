//! Local AWSs, shared by the tests of a binary.

use std::{
    io::{BufRead, BufReader},
    mem,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task};

/// Those of this process: each of them uses one core at most, so there are several. They
/// live until the process ends at most: they read from a pipe that nobody else holds.
static SHARED: Mutex<Vec<Place>> = Mutex::const_new(Vec::new());

/// Most of them that are used at a time, on machines with many cores.
const MOST: usize = 4;

/// What an account leaves behind stays in memory, some megabytes, so there is a new local AWS
/// after so many. The last one stays as long as it takes to use up another.
const MOST_ACCOUNTS: usize = 100;

/// The number of the next account.
static ACCOUNTS: AtomicUsize = AtomicUsize::new(1);

/// How long it may take to listen; installing it at the first start comes on top.
const START_LIMIT: Duration = Duration::from_secs(60);

/// S3, DynamoDB, SQS, IAM and STS on this machine, from `tests/local_aws`.
pub struct LocalAws {
    endpoint: String,
    /// Holds the pipe.
    process: Child,
}

/// One local AWS after the other.
struct Place {
    current: LocalAws,
    accounts: usize,
    /// Has accounts that may be in use.
    _last: Option<LocalAws>,
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
    /// An account for one test; the first ones start everything.
    pub async fn account() -> AwsAccount {
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        AwsAccount {
            endpoint: Self::endpoint(number).await,
            access_key: format!("{number:012}"),
            secret_key: "test".to_owned(),
            region: "us-east-1",
            bucket: format!("sluice-{number}"),
        }
    }

    /// Where this account is. They start one after the other, because the first may have to
    /// install what all need.
    async fn endpoint(account: usize) -> String {
        let mut places = SHARED.lock().await;
        let count = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST));
        let number = account % count;
        while places.len() <= number {
            places.push(Place { current: Self::start().await, accounts: 0, _last: None });
        }
        let place = &mut places[number];
        if place.accounts == MOST_ACCOUNTS {
            let last = mem::replace(&mut place.current, Self::start().await);
            place._last = Some(last);
            place.accounts = 0;
        }
        place.accounts += 1;
        place.current.endpoint.clone()
    }

    #[expect(clippy::disallowed_methods, reason = "blocks while packages are installed")]
    async fn start() -> Self {
        let started = task::spawn_blocking(spawn).await;
        let (process, port) = started.expect("a local AWS starts");
        Self { endpoint: format!("http://127.0.0.1:{port}"), process }
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        // It ends with the pipe.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
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
