//! One large file.

use std::{net::SocketAddr, path::Path, time::Instant};

use anyhow::{Context, Result};
use futures::FutureExt;
use sluice_sdk::{DownloadOptions, Source, UploadOptions};

use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::MIB,
    limits::{disk, tcp::TcpServer},
    peers::{ClientOfTus, Peer, TusClient, TusServer, Work},
    sluice::Sluice,
    usage::{Transfer, Usage, throughput},
};

/// The row that durable uploads are compared with.
pub(crate) const TCP_TO_FILE: &str = "TCP → file → fdatasync → ack";
/// A durable, checked upload.
pub(crate) const ONE_STREAM: &str = "Sluice upload, 1 stream";
/// The same in parallel.
pub(crate) const FOUR_STREAMS: &str = "Sluice upload, 4 streams";

/// What rustus gets in one request, where it does not get all: it holds a
/// request in memory.
const CHUNK: u64 = 8 * MIB;

/// What decides about a change.
pub(super) fn core(size: u64) -> Vec<Case> {
    vec![
        Case::new(Group::File, TCP_TO_FILE, move |bench| tcp_to_file(bench, size).boxed_local()),
        Case::new(Group::File, ONE_STREAM, move |bench| upload(bench, size, 1).boxed_local()),
        Case::new(Group::File, FOUR_STREAMS, move |bench| upload(bench, size, 4).boxed_local()),
    ]
}

/// Every row.
pub(super) fn all(size: u64, peers: &[Peer]) -> Vec<Case> {
    let mut cases = core(size);
    let dd = Case::new(Group::File, "dd conv=fsync", move |bench| dd(bench, size).boxed_local());
    cases.insert(1, dd);
    cases.extend(peers.iter().flat_map(|peer| tus_cases(*peer, size)));
    cases.push(Case::new(Group::File, "Sluice download, verified and synced", move |bench| {
        download(bench, size).boxed_local()
    }));
    cases
}

fn tus_cases(peer: Peer, size: u64) -> Vec<Case> {
    let case = |name: String, chunk_size| {
        Case::new(Group::File, name, move |bench| {
            tus_upload(bench, peer, ClientOfTus::Node, size, chunk_size).boxed_local()
        })
    };
    let mut cases = vec![case(tus(peer), None)];
    if peer == Peer::Rustus {
        cases.push(case(format!("{}, in requests of 8 MiB", tus(peer)), Some(CHUNK)));
    }
    cases
}

/// The row of another server.
pub(crate) fn tus(peer: Peer) -> String {
    format!("{} by tus-js-client", peer.name())
}

pub(super) async fn tcp_to_file(bench: &Bench, size: u64) -> Result<Values> {
    let (source, target) = (bench.source(size)?, bench.path("target"));
    let server = TcpServer::start(Some(&target)).await?;
    let transfer = over_tcp(&server, &source, size, 1)?;
    server.stop().await?;
    bench.remove(&target)?;
    Ok(transfer.values())
}

/// Sends a file over bare connections.
pub(super) fn over_tcp(
    server: &TcpServer,
    source: &Path,
    bytes: u64,
    connections: u64,
) -> Result<Transfer> {
    let (before, own) = (server.usage()?, Usage::own()?);
    let elapsed = server.send(source, connections)?;
    let client = Usage::own()?.cpu_since(&own);
    Ok(Transfer { bytes, elapsed, server: (before, server.usage()?), client })
}

async fn dd(bench: &Bench, size: u64) -> Result<Values> {
    let (source, target) = (bench.source(size)?, bench.path("target"));
    let elapsed = disk::dd(&source, &target)?;
    bench.remove(&target)?;
    Ok(vec![(Metric::Throughput, throughput(size, elapsed))])
}

async fn upload(bench: &Bench, size: u64, streams: usize) -> Result<Values> {
    let server = Sluice::start(bench).await?;
    let transfer = upload_to(bench, &server, size, streams).await?;
    server.stop().await?;
    Ok(transfer.values())
}

/// Uploads a file in so many streams, each over a connection of its own.
pub(super) async fn upload_to(
    bench: &Bench,
    server: &Sluice,
    size: u64,
    streams: usize,
) -> Result<Transfer> {
    upload_in_parts(bench, server, size, streams, None).await
}

/// The same, in parts of this size; unless it is given, the client chooses.
pub(super) async fn upload_in_parts(
    bench: &Bench,
    server: &Sluice,
    size: u64,
    streams: usize,
    part_size: Option<u64>,
) -> Result<Transfer> {
    let source = bench.source(size)?;
    let client = server.client(streams)?;
    let (before, own) = (server.usage()?, Usage::own()?);
    let started = Instant::now();
    let mut options = UploadOptions::new().name("large").streams(streams);
    if let Some(part_size) = part_size {
        options = options.part_size(part_size);
    }
    client.upload(Source::path(source), options).await?;
    let elapsed = started.elapsed();
    let client = Usage::own()?.cpu_since(&own);
    Ok(Transfer { bytes: size, elapsed, server: (before, server.usage()?), client })
}

async fn download(bench: &Bench, size: u64) -> Result<Values> {
    let (source, target) = (bench.source(size)?, bench.path("target"));
    let server = Sluice::start(bench).await?;
    let client = server.client(4)?;
    let uploaded = client.upload(Source::path(source), UploadOptions::new().name("large")).await?;
    bench.settle();
    let (before, own) = (server.usage()?, Usage::own()?);
    let started = Instant::now();
    client.download(&uploaded.file.id, &target, DownloadOptions::new()).await?;
    let elapsed = started.elapsed();
    let client = Usage::own()?.cpu_since(&own);
    let transfer = Transfer { bytes: size, elapsed, server: (before, server.usage()?), client };
    server.stop().await?;
    bench.remove(&target)?;
    Ok(transfer.values())
}

pub(super) async fn tus_upload(
    bench: &Bench,
    peer: Peer,
    client: ClientOfTus,
    size: u64,
    chunk_size: Option<u64>,
) -> Result<Values> {
    let source = bench.source(size)?;
    let work = |address| Work { client, chunk_size, ..Work::of(address, &source) };
    upload_by_tus(bench, peer, size, work).await
}

/// Uploads `bytes` in all to another server, and then syncs the disk.
pub(super) async fn upload_by_tus(
    bench: &Bench,
    peer: Peer,
    bytes: u64,
    work: impl FnOnce(SocketAddr) -> Work,
) -> Result<Values> {
    let peers = bench.peers().context("no other upload servers")?;
    let server = TusServer::start(bench, peers, peer).await?;
    let before = server.usage()?;
    let client = TusClient::start(peers, &work(server.address()))?;
    let (elapsed, client) = client.finish().await?;
    let answered = Instant::now();
    bench.settle();
    let synced = elapsed + answered.elapsed();
    let transfer = Transfer { bytes, elapsed, server: (before, server.usage()?), client };
    server.stop().await?;
    let mut values = transfer.values();
    values.push((Metric::Synced, throughput(bytes, synced)));
    Ok(values)
}
