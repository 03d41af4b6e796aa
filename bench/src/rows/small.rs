//! Many files at a time, each an upload of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use sluice_sdk::{Client, Source, UploadOptions};

use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::Choices,
    limits::disk,
    peers::{Peer, TusClient, TusServer, Work},
    sluice::Sluice,
};

/// Files in flight.
const CLIENTS: usize = 32;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// By how much fewer small files others get, so that a round ends in time.
const SLOWER: usize = 5;

/// Sizes of files, and by how much fewer of them there are.
const SIZES: [(usize, usize); 4] = [(4 * KIB, 1), (64 * KIB, 2), (MIB, 10), (8 * MIB, 40)];

/// What decides about a change.
pub(super) fn core(choices: &Choices) -> Vec<Case> {
    of_size(choices, SIZES[0])
}

/// Every row.
pub(super) fn all(choices: &Choices, peers: &[Peer]) -> Vec<Case> {
    let with_peers = |(size, fewer)| {
        let mut cases = of_size(choices, (size, fewer));
        let count = count(choices, fewer * if size < MIB { SLOWER } else { 1 });
        cases.extend(peers.iter().map(|&peer| {
            Case::new(Group::Small, tus(size, peer), move |bench| {
                tus_upload(bench, peer, count, size).boxed_local()
            })
        }));
        cases
    };
    SIZES.into_iter().flat_map(with_peers).collect()
}

fn of_size(choices: &Choices, (size, fewer): (usize, usize)) -> Vec<Case> {
    let count = count(choices, fewer);
    vec![
        Case::new(Group::Small, safely(size), move |bench| {
            create_safely(bench, count, size).boxed_local()
        }),
        Case::new(Group::Small, sluice(size), move |bench| {
            upload(bench, count, size).boxed_local()
        }),
    ]
}

fn count(choices: &Choices, fewer: usize) -> usize {
    (choices.small_files as usize / fewer).max(1)
}

/// The row that uploads are compared with.
pub(crate) fn safely(size: usize) -> String {
    format!("{}: create + fsync + rename + folder sync, {CLIENTS} threads", words(size))
}

/// Durable, checked uploads.
pub(crate) fn sluice(size: usize) -> String {
    format!("{}: Sluice, {CLIENTS} clients", words(size))
}

/// Uploads to another server.
pub(crate) fn tus(size: usize, peer: Peer) -> String {
    format!("{}: {} by tus-js-client, {CLIENTS} at a time", words(size), peer.name())
}

fn words(size: usize) -> String {
    let kib = size / KIB;
    if size < MIB { format!("{kib} KiB") } else { format!("{} MiB", size / MIB) }
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
    server.stop().await?;
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

async fn tus_upload(bench: &Bench, peer: Peer, count: usize, size: usize) -> Result<Values> {
    let source = bench.source(size as u64)?;
    let peers = bench.peers().context("no other upload servers")?;
    let server = TusServer::start(bench, peers, peer).await?;
    let work =
        Work { count, parallel: CLIENTS, memory: true, ..Work::of(server.address(), &source) };
    let (elapsed, _) = TusClient::start(peers, &work)?.finish().await?;
    server.stop().await?;
    Ok(rate(count, elapsed))
}

fn rate(count: usize, elapsed: Duration) -> Values {
    vec![(Metric::Files, count as f64 / elapsed.as_secs_f64())]
}
