//! One large file to a store with S3's API: by the SDK, and through Sluice.

use anyhow::Result;
use futures::FutureExt;
use sluice_tests::LocalAws;

use super::file;
use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::MIB,
    sluice::Sluice,
    storage::{self, Keys, Manner, Storage},
    usage::{Usage, for_each_gib, throughput},
};

/// The SDK, used as Sluice uses it.
pub(crate) const DIRECT: &str = "AWS SDK → s3s-fs × 4";
/// The SDK, as it comes.
pub(crate) const DEFAULTS: &str = "AWS SDK with its defaults → s3s-fs × 4";
/// Through the server.
pub(crate) const SLUICE: &str = "Sluice → s3s-fs × 4";

/// The same in larger parts, of which there are half as many to record.
pub(crate) const DIRECT_LARGE: &str = "AWS SDK → s3s-fs × 4, parts of 16 MiB";
pub(crate) const SLUICE_LARGE: &str = "Sluice → s3s-fs × 4, parts of 16 MiB";

/// Parts, unless a row says otherwise.
const PART: u64 = 8 * MIB;
/// Parts, or streams, at a time.
const PARALLEL: usize = 4;

/// Every row.
pub(super) fn all(size: u64) -> Vec<Case> {
    let direct = |name, manner, part| {
        Case::new(Group::S3, name, move |bench| direct(bench, size, manner, part).boxed_local())
    };
    let sluice = |name, part| {
        Case::new(Group::S3, name, move |bench| through_sluice(bench, size, part).boxed_local())
    };
    vec![
        direct(DIRECT, Manner::Lean, PART),
        direct(DEFAULTS, Manner::Defaults, PART),
        sluice(SLUICE, PART),
        direct(DIRECT_LARGE, Manner::Lean, 2 * PART),
        sluice(SLUICE_LARGE, 2 * PART),
    ]
}

async fn direct(bench: &Bench, size: u64, manner: Manner, part: u64) -> Result<Values> {
    let source = bench.source(size)?;
    let keys = Keys { access: "bench".to_owned(), secret: "bench".to_owned() };
    let storage = Storage::start(bench, keys).await?;
    let (before, own) = (storage.usage()?, Usage::own()?);
    let elapsed = storage::upload(&storage, manner, &source, part, PARALLEL).await?;
    let client = Usage::own()?.cpu_since(&own);
    let stored = storage.usage()?.cpu_since(&before);
    storage.stop().await?;
    Ok(vec![
        (Metric::Throughput, throughput(size, elapsed)),
        (Metric::ClientCpu, for_each_gib(client, size)),
        (Metric::StorageCpu, for_each_gib(stored, size)),
    ])
}

async fn through_sluice(bench: &Bench, size: u64, part: u64) -> Result<Values> {
    let account = LocalAws::account().await;
    let (access, secret) = (account.access_key.clone(), account.secret_key.clone());
    let storage = Storage::start(bench, Keys { access, secret }).await?;
    let server = Sluice::start_on(bench, &storage, &account).await?;
    let before = storage.usage()?;
    let transfer = file::upload_in_parts(bench, &server, size, PARALLEL, Some(part)).await?;
    let stored = storage.usage()?.cpu_since(&before);
    server.stop().await?;
    storage.stop().await?;
    let mut values = transfer.values();
    values.push((Metric::StorageCpu, for_each_gib(stored, size)));
    Ok(values)
}
