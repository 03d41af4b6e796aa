//! What is behind the ports: one function for each engine.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::{
    adapters::{
        aws::{
            Clients, S3BlobStore,
            dynamodb::{Records, table},
        },
        embedded::{DataFolder, Database, DatabaseOptions, DiskBlobStore, disk::OsDisk},
        system_clock::SystemClock,
    },
    config::Config,
    ports::{
        AccountStore, BlobStore, ChangeFeed, Clock, CredentialStore, EventQueue, FileStore,
        SigningKeyStore, UploadStore,
    },
    service::{
        Context,
        identity::{
            Identity, access::Standings, passwords::Passwords, throttle::SignInThrottle,
            tokens::Tokens,
        },
        rates::Rates,
        signing::Signing,
    },
    tasks::Tasks,
};

/// Files and SQLite.
pub fn embedded(
    config: &Config,
    folder: &DataFolder,
    public_url: &str,
) -> Result<Context, StartError> {
    let tasks = Tasks::new();
    let database =
        Arc::new(Database::open(DatabaseOptions::new(folder.database()), tasks.clone())?);
    let root = folder.blobs();
    let (disk, reserve) = (OsDisk { direct_io: config.storage.direct_io }, config.storage.reserve);
    let blobs =
        DiskBlobStore::open(Arc::new(disk), database.clone(), &root, reserve, tasks.clone())
            .map_err(|error| StartError::Blobs(root, error))?;
    context(config, &database, Arc::new(blobs), Arc::new(SystemClock), tasks, public_url)
}

/// S3 and DynamoDB. Nothing is called yet.
pub fn aws(config: &Config, clients: Clients, public_url: &str) -> Result<Context, StartError> {
    let (tasks, clock) = (Tasks::new(), Arc::new(SystemClock));
    let table = table::name(&config.aws.table_prefix);
    let records = Records::new(clients.dynamodb, table, clock.clone(), tasks.clone());
    let (bucket, records) = (config.aws.bucket()?.to_owned(), Arc::new(records));
    let blobs = S3BlobStore::new(&config.aws, clients.s3, bucket, records.clone(), tasks.clone());
    context(config, &records, Arc::new(blobs), clock, tasks, public_url)
}

/// The services over the adapters of an engine.
fn context<R>(
    config: &Config,
    records: &Arc<R>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    public_url: &str,
) -> Result<Context, StartError>
where
    R: UploadStore
        + FileStore
        + EventQueue
        + ChangeFeed
        + AccountStore
        + CredentialStore
        + SigningKeyStore,
{
    let rotation = config.signing.rotation;
    let signing = Signing::new(records.clone(), Arc::clone(&clock), rotation, public_url);
    let identity = Identity {
        accounts: records.clone(),
        credentials: records.clone(),
        tokens: Tokens::new(records.clone(), Arc::clone(&clock)),
        passwords: Passwords::new(tasks.clone()),
        throttle: SignInThrottle::new(config.accounts.sign_in_limits()),
        standings: Standings::default(),
        clock: Arc::clone(&clock),
        policy: config.accounts.policy(&config.quota),
    };
    Ok(Context {
        uploads: records.clone(),
        files: records.clone(),
        events: records.clone(),
        changes: records.clone(),
        identity: Arc::new(identity),
        rates: Arc::new(Rates::new(config.rates.into())),
        blobs,
        signing: Arc::new(signing),
        clock,
        limits: Arc::new(config.limits()?),
        tasks,
        stopping: CancellationToken::new(),
    })
}
