//! The server's inside on a simulated machine: everything but the sockets.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sluice_domain::{AccountId, PartSizeLimits, Quota, Result, Scopes, Timestamp};
use sluice_server::{
    adapters::embedded::{Database, DatabaseOptions, DiskBlobStore},
    ports::{Backlog, Clock, Delivery, Event, EventQueue, Receipt},
    service::{
        Caller, Context, Credential, Limits,
        identity::{
            Identity, Policy, Registration,
            access::Standings,
            passwords::Passwords,
            throttle::{SignInLimits, SignInThrottle, Tries},
            tokens::Tokens,
        },
        rates::{RateLimits, Rates},
        signing::Signing,
    },
    tasks::Tasks,
    worker::{events, sweeper},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::ManualClock,
    ledger::lock,
    simulation::{Port, SimulatedDisk, VFS},
};

/// The account that owns everything.
pub(crate) const CALLER: Caller = Caller {
    owner: AccountId::from_uuid(Uuid::from_u128(7)),
    scopes: Scopes::ALL,
    credential: Credential::Link,
};

/// Parts are as small as the rules of hashing allow, within reason: little data
/// makes many parts.
pub(crate) const PART_SIZES: PartSizeLimits = PartSizeLimits { min: 4096, max: 4 * 1024 * 1024 };

/// Longer than any pause before an event is offered again.
const LONG: Duration = Duration::from_secs(360);

/// As often as anybody likes.
const NO_LIMITS: RateLimits = RateLimits {
    per_address: NonZeroU32::MAX,
    per_account: NonZeroU32::MAX,
    per_credential: NonZeroU32::MAX,
};

fn identity(database: Arc<Database>, clock: &Arc<dyn Clock>, tasks: &Tasks) -> Identity {
    let tries = Tries { burst: NonZeroU32::MAX, every: Duration::from_nanos(1) };
    Identity {
        accounts: database.clone(),
        credentials: database.clone(),
        tokens: Tokens::new(database, Arc::clone(clock)),
        passwords: Passwords::new(tasks.clone()),
        throttle: SignInThrottle::new(SignInLimits { per_address: tries, per_account: tries }),
        standings: Standings::default(),
        clock: Arc::clone(clock),
        policy: Policy {
            registration: Registration::Open,
            access_ttl: Duration::from_secs(600),
            session_ttl: Duration::from_secs(24 * 60 * 60),
            quota: Quota::default(),
        },
    }
}

/// A booted server.
pub(crate) struct Server {
    pub(crate) context: Context,
    pub(crate) disk: Arc<SimulatedDisk>,
    pub(crate) clock: ManualClock,
    events: Arc<WatchedQueue>,
    fatal: Arc<AtomicBool>,
}

impl Server {
    /// Boots from what is on the disk.
    pub(crate) fn boot(disk: &Arc<SimulatedDisk>, clock: &ManualClock) -> Result<Self, String> {
        let tasks = Tasks::new();
        let fatal = Arc::new(AtomicBool::new(false));
        let options = DatabaseOptions {
            path: disk.database(),
            vfs: Some(VFS.to_owned()),
            on_fatal: {
                let fatal = Arc::clone(&fatal);
                Box::new(move |_| fatal.store(true, Ordering::SeqCst))
            },
        };
        let database = Database::open(options, tasks.clone()).map_err(|error| error.to_string())?;
        let database = Arc::new(database);
        let port = Arc::new(Port(Arc::clone(disk)));
        let blobs = DiskBlobStore::open(port, database.clone(), &disk.blobs(), 0, tasks.clone())
            .map_err(|error| format!("cannot open the blob store: {error}"))?;
        let events = Arc::new(WatchedQueue::new(Arc::clone(&database) as Arc<dyn EventQueue>));
        let limits = Limits {
            max_file_size: PART_SIZES.max_file_size(),
            part_sizes: PART_SIZES,
            upload_ttl: Duration::from_secs(7 * 24 * 60 * 60),
            allowed_content_types: Vec::new(),
        };
        let clock_port: Arc<dyn Clock> = Arc::new(clock.clone());
        let rotation = Duration::from_secs(24 * 60 * 60);
        let signing =
            Signing::new(database.clone(), clock_port.clone(), rotation, "http://sluice.test");
        let context = Context {
            uploads: Arc::clone(&database) as _,
            files: Arc::clone(&database) as _,
            blobs: Arc::new(blobs),
            events: Arc::clone(&events) as _,
            changes: Arc::clone(&database) as _,
            identity: Arc::new(identity(database, &clock_port, &tasks)),
            rates: Arc::new(Rates::new(NO_LIMITS)),
            signing: Arc::new(signing),
            clock: clock_port,
            limits: Arc::new(limits),
            tasks,
            stopping: CancellationToken::new(),
        };
        Ok(Self { context, disk: Arc::clone(disk), clock: clock.clone(), events, fatal })
    }

    /// Whether the process would have ended itself.
    pub(crate) fn is_dead(&self) -> bool {
        self.fatal.load(Ordering::SeqCst)
    }

    /// Whether it ends itself within a moment: the database's own thread decides.
    pub(crate) async fn dies(&self) -> bool {
        let dead = async {
            while !self.is_dead() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), dead).await.is_ok()
    }

    /// Lets the worker finish everything that is to be done, including what it
    /// has to try again later.
    pub(crate) async fn settle(&self) -> Result<()> {
        sweeper::sweep_once(&self.context, Duration::ZERO).await?;
        loop {
            self.clock.advance(LONG);
            let before = self.events.delivered.load(Ordering::Relaxed);
            self.handle_events().await;
            if self.events.delivered.load(Ordering::Relaxed) == before {
                return Ok(());
            }
        }
    }

    /// Handles events until none is waiting.
    pub(crate) async fn handle_events(&self) {
        tokio::select! {
            () = events::consume(self.context.clone()) => {}
            () = self.events.idle.notified() => {}
        }
    }

    /// Lets the worker get an event that nobody has enqueued, as a queue that
    /// delivers more than once may do.
    pub(crate) fn deliver(&self, event: Event) {
        lock(&self.events.stray).push(event);
    }

    /// Stops in good order.
    pub(crate) async fn stop(self) {
        self.context.tasks.finish(Duration::from_secs(60)).await;
        let Self { context, events, disk, .. } = self;
        drop((context, events));
        disk.wait_until_closed();
    }
}

/// The queue, and what the worker got from it.
struct WatchedQueue {
    inner: Arc<dyn EventQueue>,
    delivered: AtomicU64,
    stray: Mutex<Vec<Event>>,
    /// Rings when the worker has nothing to do.
    idle: Notify,
}

impl WatchedQueue {
    fn new(inner: Arc<dyn EventQueue>) -> Self {
        let (delivered, stray, idle) = (AtomicU64::new(0), Mutex::default(), Notify::new());
        Self { inner, delivered, stray, idle }
    }
}

#[async_trait]
impl EventQueue for WatchedQueue {
    async fn receive(
        &self,
        limit: u32,
        now: Timestamp,
        lease: Duration,
        max_attempts: u32,
    ) -> Result<Vec<Delivery>> {
        let mut deliveries = self.inner.receive(limit, now, lease, max_attempts).await?;
        let receipt = Receipt { event: u128::MAX, attempt: 1 };
        let stray = std::mem::take(&mut *lock(&self.stray));
        deliveries.extend(stray.into_iter().map(|event| Delivery { event, receipt }));
        self.delivered.fetch_add(deliveries.len() as u64, Ordering::Relaxed);
        Ok(deliveries)
    }

    async fn extend(&self, receipt: Receipt, until: Timestamp) -> Result<bool> {
        self.inner.extend(receipt, until).await
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        self.inner.acknowledge(receipt).await
    }

    async fn retry(&self, receipt: Receipt, at: Timestamp) -> Result<()> {
        self.inner.retry(receipt, at).await
    }

    async fn wait(&self, _at_most: Duration) {
        self.idle.notify_waiters();
        // Whoever waits for this moment ends the loop.
        std::future::pending().await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        self.inner.backlog(now).await
    }

    async fn dead_count(&self) -> Result<u64> {
        self.inner.dead_count().await
    }
}
