//! One large file.

use std::time::Instant;

use anyhow::Result;
use futures::FutureExt;
use sluice_sdk::{DownloadOptions, Source, UploadOptions};

use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::Choices,
    limits::{disk, tcp::TcpServer},
    sluice::Sluice,
    usage::{Transfer, Usage, throughput},
};

/// The row that durable uploads are compared with.
pub(crate) const TCP_TO_FILE: &str = "TCP → file → fdatasync → ack";
/// A durable, checked upload.
pub(crate) const ONE_STREAM: &str = "Sluice upload, 1 stream";
/// The same in parallel.
pub(crate) const FOUR_STREAMS: &str = "Sluice upload, 4 streams";

/// What decides about a change.
pub(super) fn core(choices: &Choices) -> Vec<Case> {
    let size = choices.size();
    vec![
        Case::new(Group::File, TCP_TO_FILE, move |bench| tcp_to_file(bench, size).boxed_local()),
        Case::new(Group::File, ONE_STREAM, move |bench| upload(bench, size, 1).boxed_local()),
        Case::new(Group::File, FOUR_STREAMS, move |bench| upload(bench, size, 4).boxed_local()),
    ]
}

/// Every row.
pub(super) fn all(choices: &Choices) -> Vec<Case> {
    let size = choices.size();
    let mut cases = core(choices);
    cases.insert(
        1,
        Case::new(Group::File, "dd conv=fsync", move |bench| dd(bench, size).boxed_local()),
    );
    cases.push(Case::new(Group::File, "Sluice download, verified and synced", move |bench| {
        download(bench, size).boxed_local()
    }));
    cases
}

async fn tcp_to_file(bench: &Bench, size: u64) -> Result<Values> {
    let (source, target) = (bench.source(size)?, bench.path("target"));
    let server = TcpServer::start(Some(&target)).await?;
    let (before, client) = (server.usage()?, Usage::own()?);
    let elapsed = server.send(&source, 1)?;
    let client = Usage::own()?.cpu_since(&client);
    let transfer = Transfer { bytes: size, elapsed, server: (before, server.usage()?), client };
    server.stop().await?;
    bench.remove(&target)?;
    Ok(transfer.values())
}

async fn dd(bench: &Bench, size: u64) -> Result<Values> {
    let (source, target) = (bench.source(size)?, bench.path("target"));
    let elapsed = disk::dd(&source, &target)?;
    bench.remove(&target)?;
    Ok(vec![(Metric::Throughput, throughput(size, elapsed))])
}

async fn upload(bench: &Bench, size: u64, streams: usize) -> Result<Values> {
    let source = bench.source(size)?;
    let server = Sluice::start(bench).await?;
    let client = server.client(streams)?;
    let (before, own) = (server.usage()?, Usage::own()?);
    let started = Instant::now();
    let options = UploadOptions::new().name("large").streams(streams);
    client.upload(Source::path(source), options).await?;
    let elapsed = started.elapsed();
    let own = Usage::own()?.cpu_since(&own);
    let transfer =
        Transfer { bytes: size, elapsed, server: (before, server.usage()?), client: own };
    server.stop(bench).await?;
    Ok(transfer.values())
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
    let own = Usage::own()?.cpu_since(&own);
    let transfer =
        Transfer { bytes: size, elapsed, server: (before, server.usage()?), client: own };
    server.stop(bench).await?;
    bench.remove(&target)?;
    Ok(transfer.values())
}
