//! The services on bytes in S3 and records in SQLite, without a server around them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use sluice_domain::{AccountId, PartSizeLimits, Quota, Scopes};
use sluice_server::{
    adapters::{embedded::Database, system_clock::SystemClock},
    ports::{BlobStore, Clock},
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
};
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that services work with, on these stores.
pub(crate) fn context(database: &Arc<Database>, blobs: &Arc<dyn BlobStore>) -> Context {
    let (clock, tasks): (Arc<dyn Clock>, _) = (Arc::new(SystemClock), Tasks::new());
    let tries = Tries { burst: NonZeroU32::MAX, every: Duration::from_nanos(1) };
    let identity = Identity {
        accounts: database.clone(),
        credentials: database.clone(),
        tokens: Tokens::new(database.clone(), Arc::clone(&clock)),
        passwords: Passwords::new(tasks.clone()),
        throttle: SignInThrottle::new(SignInLimits { per_address: tries, per_account: tries }),
        standings: Standings::default(),
        clock: Arc::clone(&clock),
        policy: Policy {
            registration: Registration::Open,
            access_ttl: Duration::from_secs(600),
            session_ttl: DAY,
            quota: Quota::default(),
        },
    };
    let part_sizes = PartSizeLimits { min: 1024, max: 1024 * 1024 };
    let rates = RateLimits {
        per_address: NonZeroU32::MAX,
        per_account: NonZeroU32::MAX,
        per_credential: NonZeroU32::MAX,
    };
    Context {
        uploads: database.clone(),
        files: database.clone(),
        blobs: Arc::clone(blobs),
        events: database.clone(),
        changes: database.clone(),
        identity: Arc::new(identity),
        rates: Arc::new(Rates::new(rates)),
        signing: Arc::new(Signing::new(
            database.clone(),
            Arc::clone(&clock),
            DAY,
            "http://sluice.test",
        )),
        clock,
        limits: Arc::new(Limits {
            max_file_size: part_sizes.max_file_size(),
            part_sizes,
            upload_ttl: DAY,
            allowed_content_types: Vec::new(),
        }),
        tasks,
        stopping: CancellationToken::new(),
    }
}

/// Who may do everything with what this account has.
pub(crate) fn caller(owner: AccountId) -> Caller {
    Caller { owner, scopes: Scopes::ALL, credential: Credential::Link }
}
