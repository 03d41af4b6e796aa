//! Bytes that nobody keeps.

use anyhow::Result;
use futures::FutureExt;

use super::file;
use crate::{
    bench::Bench,
    case::{Case, Group, Values},
    limits::tcp::TcpServer,
    sluice::Sluice,
};

/// Every row.
pub(super) fn all(size: u64) -> Vec<Case> {
    let tcp = |connections| {
        Case::new(Group::Transport, raw(connections), move |bench| {
            raw_tcp(bench, size, connections).boxed_local()
        })
    };
    let checked = |streams| {
        Case::new(Group::Transport, checked(streams), move |bench| {
            upload_checked(bench, size, streams).boxed_local()
        })
    };
    let whole = |streams| {
        Case::new(Group::Transport, whole(streams), move |bench| {
            upload_whole(bench, size, streams).boxed_local()
        })
    };
    vec![tcp(1), checked(1), whole(1), tcp(4), checked(4), whole(4)]
}

/// The row that the others are compared with.
pub(crate) fn raw(connections: u64) -> String {
    format!("raw TCP × {connections}")
}

/// The client, the connections and the checks.
pub(crate) fn checked(streams: usize) -> String {
    format!("Sluice × {streams}, CRC32C at both ends")
}

/// The whole of Sluice but for the disk.
pub(crate) fn whole(streams: usize) -> String {
    format!("Sluice × {streams}, whole but for the disk: CRC32C, BLAKE3, records")
}

async fn raw_tcp(bench: &Bench, size: u64, connections: u64) -> Result<Values> {
    let source = bench.source(size)?;
    let server = TcpServer::start(None).await?;
    let transfer = file::over_tcp(&server, &source, size, connections)?;
    server.stop().await?;
    Ok(transfer.values())
}

async fn upload_checked(bench: &Bench, size: u64, streams: usize) -> Result<Values> {
    let server = Sluice::start_checked(bench).await?;
    upload(bench, server, size, streams).await
}

async fn upload_whole(bench: &Bench, size: u64, streams: usize) -> Result<Values> {
    let server = Sluice::start_discarding(bench).await?;
    upload(bench, server, size, streams).await
}

async fn upload(bench: &Bench, server: Sluice, size: u64, streams: usize) -> Result<Values> {
    let transfer = file::upload_to(bench, &server, size, streams).await?;
    server.stop().await?;
    Ok(transfer.values())
}
