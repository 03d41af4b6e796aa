//! Many files at a time, each an upload of its own.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use sluice_sdk::{Client, Source, UploadOptions};

use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::Choices,
    limits::disk,
    sluice::Sluice,
};

/// Files in flight.
const CLIENTS: usize = 32;
const KIB: usize = 1024;

/// Sizes of files, and by how much fewer of them there are.
const SIZES: [(usize, usize); 4] =
    [(4 * KIB, 1), (64 * KIB, 2), (1024 * KIB, 10), (8 * 1024 * KIB, 40)];

/// What decides about a change.
pub(super) fn core(choices: &Choices) -> Vec<Case> {
    of_size(choices, SIZES[0])
}

/// Every row.
pub(super) fn all(choices: &Choices) -> Vec<Case> {
    SIZES.into_iter().flat_map(|size| of_size(choices, size)).collect()
}

fn of_size(choices: &Choices, (size, fewer): (usize, usize)) -> Vec<Case> {
    let count = (choices.small_files as usize / fewer).max(1);
    vec![
        Case::new(Group::Small, safely(size), move |bench| {
            create_safely(bench, count, size).boxed_local()
        }),
        Case::new(Group::Small, sluice(size), move |bench| {
            upload(bench, count, size).boxed_local()
        }),
    ]
}

/// The row that uploads are compared with.
pub(crate) fn safely(size: usize) -> String {
    format!("{}: create + fsync + rename + folder sync, {CLIENTS} threads", words(size))
}

/// Durable, checked uploads.
pub(crate) fn sluice(size: usize) -> String {
    format!("{}: Sluice, {CLIENTS} clients", words(size))
}

fn words(size: usize) -> String {
    let kib = size / KIB;
    if kib < KIB { format!("{kib} KiB") } else { format!("{} MiB", kib / KIB) }
}

async fn create_safely(bench: &Bench, count: usize, size: usize) -> Result<Values> {
    let folder = bench.path("small");
    let elapsed = disk::create_safely(&folder, count, size, CLIENTS)?;
    bench.remove(&folder)?;
    Ok(rate(count, elapsed))
}

async fn upload(bench: &Bench, count: usize, size: usize) -> Result<Values> {
    let server = Sluice::start(bench).await?;
    let elapsed = upload_all(&server.client(4)?, count, size).await?;
    server.stop(bench).await?;
    Ok(rate(count, elapsed))
}

async fn upload_all(client: &Client, count: usize, size: usize) -> Result<Duration> {
    let content = Bytes::from(vec![7; size]);
    let started = Instant::now();
    stream::iter(0..count)
        .map(|index| {
            let options = UploadOptions::new().name(format!("small/{index}"));
            client.upload(Source::bytes(content.clone()), options)
        })
        .buffer_unordered(CLIENTS)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(started.elapsed())
}

fn rate(count: usize, elapsed: Duration) -> Values {
    vec![(Metric::Files, count as f64 / elapsed.as_secs_f64())]
}
