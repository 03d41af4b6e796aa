//! What is sent twice when half of a file was sent and all connections are cut,
//! or the client is killed and started anew.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use sluice_sdk::{Source, UploadOptions};
use sluice_tests::Proxy;
use tempfile::TempDir;
use tokio::{process::Command, time::sleep};

use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::MIB,
    peers::{Peer, TusClient, TusServer, Work},
    process::Process,
    sluice::Sluice,
};

/// A quarter of the large file is enough to see it.
const FEWER: u64 = 4;

/// Streams of Sluice.
const STREAMS: usize = 4;

/// How often the bytes are counted, to kill the client when half was sent.
const LOOK: Duration = Duration::from_micros(500);

/// Every row.
pub(super) fn all(size: u64, peers: &[Peer]) -> Vec<Case> {
    let size = (size / FEWER).max(MIB);
    let sluice = |part: u64| {
        let name = format!("Sluice, {STREAMS} streams, parts of {part} MiB");
        Case::new(Group::Cuts, name, move |bench| upload(bench, size, part * MIB).boxed_local())
    };
    let tus = |peer: Peer, chunk: Option<u64>| {
        let in_chunks = chunk.map(|mib| format!(", in requests of {mib} MiB")).unwrap_or_default();
        let name = format!("{} by tus-js-client{in_chunks}", peer.name());
        let chunk_size = chunk.map(|mib| mib * MIB);
        Case::new(Group::Cuts, name, move |bench| {
            tus_upload(bench, peer, size, chunk_size).boxed_local()
        })
    };
    let mut cases = vec![sluice(8), sluice(1)];
    for &peer in peers {
        cases.push(tus(peer, None));
        if peer == Peer::Rustus {
            cases.push(tus(peer, Some(8)));
        }
    }
    cases
}

async fn upload(bench: &Bench, size: u64, part_size: u64) -> Result<Values> {
    let source = bench.source(size)?;
    let server = Sluice::start(bench).await?;

    let proxy = Proxy::to(server.address()?).await;
    proxy.cut_after(size / 2);
    let client = server.client_of(&proxy.url(), STREAMS)?;
    let options = UploadOptions::new().name("cut").streams(STREAMS).part_size(part_size);
    client.upload(Source::path(&source), options).await?;
    let cut = sent_twice(&proxy, size);

    let proxy = Proxy::to(server.address()?).await;
    let home = TempDir::with_prefix_in("home-", bench.path(""))?;
    let start = || {
        let mut command = Command::new(bench.sluice());
        command.arg("upload").arg(&source).args(["--name", "killed", "--quiet", "--streams"]);
        command.arg(STREAMS.to_string()).args(["--part-size", &part_size.to_string()]);
        command.args(["--server", &proxy.url(), "--api-key-file"]).arg(server.key_file());
        Process::start_silent(command.env("XDG_STATE_HOME", home.path()))
    };
    let first = start()?;
    half_sent(&proxy, size).await;
    first.stop().await?;
    ensure!(start()?.end().await?, "the second upload has failed");
    let killed = sent_twice(&proxy, size);

    server.stop().await?;
    Ok(vec![(Metric::AfterCut, cut), (Metric::AfterKill, killed)])
}

async fn tus_upload(
    bench: &Bench,
    peer: Peer,
    size: u64,
    chunk_size: Option<u64>,
) -> Result<Values> {
    let source = bench.source(size)?;
    let peers = bench.peers().context("no other upload servers")?;
    let server = TusServer::start(bench, peers, peer).await?;

    let proxy = Proxy::to(server.address()).await;
    proxy.cut_after(size / 2);
    let work = |proxy: &Proxy| Work { chunk_size, ..Work::of(proxy.address(), &source) };
    TusClient::start(peers, &work(&proxy))?.finish().await?;
    let cut = sent_twice(&proxy, size);

    let proxy = Proxy::to(server.address()).await;
    let home = TempDir::with_prefix_in("home-", bench.path(""))?;
    let work = Work { urls: Some(home.path().join("urls")), ..work(&proxy) };
    let first = TusClient::start(peers, &work)?;
    half_sent(&proxy, size).await;
    first.kill().await?;
    TusClient::start(peers, &work)?.finish().await?;
    let killed = sent_twice(&proxy, size);

    server.stop().await?;
    Ok(vec![(Metric::AfterCut, cut), (Metric::AfterKill, killed)])
}

async fn half_sent(proxy: &Proxy, size: u64) {
    while proxy.sent() < size / 2 {
        sleep(LOOK).await;
    }
}

/// What went to the server beyond the file, in MiB; the protocol's own bytes
/// are in it.
fn sent_twice(proxy: &Proxy, size: u64) -> f64 {
    proxy.sent().saturating_sub(size) as f64 / MIB as f64
}
