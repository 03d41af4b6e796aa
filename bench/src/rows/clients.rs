//! Several clients at a time, each with a connection of its own.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use futures::{FutureExt, future::try_join_all};
use sluice_sdk::{Client, Source, UploadOptions};

use super::file;
use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::Choices,
    peers::{Peer, Work},
    sluice::Sluice,
    usage::{Transfer, Usage},
};

/// How many there are.
const CLIENTS: [usize; 4] = [1, 4, 16, 64];

/// Bytes of a small file.
const SMALL: usize = 4096;

/// The most small files of one client: one alone is slow.
const MOST_FOR_ONE: usize = 100;

/// Every row. The clients share the work, so that there is as much of it with
/// many as with one.
pub(super) fn all(choices: &Choices, peers: &[Peer]) -> Vec<Case> {
    let (size, files) = (choices.size(), choices.small_files as usize);
    let mut cases: Vec<_> = CLIENTS
        .into_iter()
        .map(|clients| {
            let name = format!("Sluice, {} with its own file", words(clients));
            Case::new(Group::Clients, name, move |bench| upload(bench, size, clients).boxed_local())
        })
        .collect();
    if peers.contains(&Peer::Tusd) {
        cases.extend(CLIENTS.map(|clients| {
            let name = format!("{}, {} with its own file", Peer::Tusd.name(), words(clients));
            Case::new(Group::Clients, name, move |bench| {
                tus_upload(bench, size, clients).boxed_local()
            })
        }));
    }
    cases.extend(CLIENTS.map(|clients| {
        let count = files.min(clients * MOST_FOR_ONE).div_ceil(clients);
        let name = format!("Sluice, {} with 4 KiB files", words(clients));
        Case::new(Group::Clients, name, move |bench| {
            upload_small(bench, count, clients).boxed_local()
        })
    }));
    cases
}

fn words(clients: usize) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients, each") }
}

async fn upload(bench: &Bench, size: u64, clients: usize) -> Result<Values> {
    let share = size / clients as u64;
    let source = bench.source(share)?;
    let server = Sluice::start(bench).await?;
    let (before, own) = (server.usage()?, Usage::own()?);
    let elapsed = at_the_same_time(&server, clients, async |client, index| {
        let options = UploadOptions::new().name(format!("large/{index}")).streams(1);
        client.upload(Source::path(&source), options).await?;
        Ok(())
    })
    .await?;
    let client = Usage::own()?.cpu_since(&own);
    let bytes = share * clients as u64;
    let transfer = Transfer { bytes, elapsed, server: (before, server.usage()?), client };
    server.stop().await?;
    Ok(transfer.values())
}

async fn upload_small(bench: &Bench, count: usize, clients: usize) -> Result<Values> {
    let content = Bytes::from(vec![7; SMALL]);
    let server = Sluice::start(bench).await?;
    let elapsed = at_the_same_time(&server, clients, async |client, index| {
        for file in 0..count {
            let options = UploadOptions::new().name(format!("small/{index}/{file}"));
            client.upload(Source::bytes(content.clone()), options).await?;
        }
        Ok(())
    })
    .await?;
    let memory = server.usage()?.peak_memory();
    server.stop().await?;
    let rate = (count * clients) as f64 / elapsed.as_secs_f64();
    Ok(vec![(Metric::Files, rate), (Metric::ServerMemory, memory)])
}

async fn at_the_same_time(
    server: &Sluice,
    clients: usize,
    work: impl AsyncFn(Client, usize) -> Result<()>,
) -> Result<Duration> {
    let own: Vec<_> = (0..clients).map(|_| server.client(1)).collect::<Result<_>>()?;
    let started = Instant::now();
    try_join_all(own.into_iter().enumerate().map(|(index, client)| work(client, index))).await?;
    Ok(started.elapsed())
}

async fn tus_upload(bench: &Bench, size: u64, clients: usize) -> Result<Values> {
    let share = size / clients as u64;
    let source = bench.source(share)?;
    file::upload_by_tus(bench, Peer::Tusd, share * clients as u64, |address| Work {
        count: clients,
        parallel: clients,
        ..Work::of(address, &source)
    })
    .await
}
