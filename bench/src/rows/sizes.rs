//! Files of several sizes, by one client in four streams.

use anyhow::{Context, Result};
use futures::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::file;
use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::MIB,
    sluice::Sluice,
};

/// Streams of every upload.
const STREAMS: usize = 4;

/// How often the large file goes into the largest.
const LARGEST: u64 = 10;

/// A file that is sent in parts.
const SMALLEST: u64 = 16 * MIB;

/// The smaller file and the large one.
pub(super) fn all(size: u64) -> Vec<Case> {
    // 100 MiB beside 1 GiB, and never so small that one call is all.
    [(size / 1024 * 100).max(SMALLEST), size.max(SMALLEST)].into_iter().flat_map(cases).collect()
}

/// The largest.
pub(super) fn large(size: u64) -> Vec<Case> {
    cases(size * LARGEST)
}

fn cases(size: u64) -> Vec<Case> {
    vec![
        Case::new(Group::Sizes, limit(size), move |bench| {
            file::tcp_to_file(bench, size).boxed_local()
        }),
        Case::new(Group::Sizes, sluice(size), move |bench| upload(bench, size).boxed_local()),
    ]
}

/// The row that uploads of this size are compared with.
pub(crate) fn limit(size: u64) -> String {
    format!("{}: {}", words(size), file::TCP_TO_FILE)
}

/// Durable, checked uploads of this size.
pub(crate) fn sluice(size: u64) -> String {
    format!("{}: Sluice upload, {STREAMS} streams", words(size))
}

fn words(size: u64) -> String {
    let mib = size / MIB;
    if mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

async fn upload(bench: &Bench, size: u64) -> Result<Values> {
    let server = Sluice::start(bench).await?;
    let transfer = file::upload_to(bench, &server, size, STREAMS).await?;
    let completion = completion_ms(&server).await?;
    server.stop().await?;
    let mut values = transfer.values();
    values.push((Metric::Completion, completion));
    Ok(values)
}

/// How long the server took for the one call that completed the upload, from
/// the call's headers to the end of its answer: what its metrics say.
async fn completion_ms(server: &Sluice) -> Result<f64> {
    let mut connection = TcpStream::connect(server.address()?).await?;
    let request = "GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let sum = answer.lines().find(|line| {
        line.starts_with("rpc_server_call_duration_seconds_sum")
            && line.contains("UploadService/CompleteUpload")
    });
    let seconds = sum.and_then(|line| line.rsplit(' ').next());
    let seconds = seconds.context("the server has not measured the completion")?;
    Ok(seconds.parse::<f64>()? * 1000.0)
}
