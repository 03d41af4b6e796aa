//! Measures Sluice beside the limits of the machine it runs on.
//!
//! Every row is measured once in each round, and the rounds are interleaved, so
//! that whatever else the machine does hits all rows alike. Only ratios within
//! one run mean anything.

mod limits;
mod server;
mod table;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use sluice_sdk::{Client, DownloadOptions, Source, UploadOptions};

use server::Server;
use table::Table;

const MIB: u64 = 1024 * 1024;

/// Measure Sluice beside the limits of this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds; the table shows medians
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Size of the large file, in MiB
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// Small files in each round
    #[arg(long, default_value_t = 2000)]
    small_files: usize,
    /// Folder on the disk to measure
    #[arg(long, env = "SLUICE_BENCH_DIR")]
    folder: Option<PathBuf>,
    /// The sluice binary
    #[arg(long, env = "SLUICE_BIN")]
    sluice: PathBuf,
}

/// Bytes of one small file, and how many are sent at the same time.
const SMALL: usize = 4096;
const CLIENTS: usize = 32;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let base = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(base)?;
    let source = folder.path().join("source");
    make_source(&source, arguments.size * MIB)?;

    let mut table = Table::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        measure(&arguments, folder.path(), &source, &mut table).await?;
    }
    println!("{table}");
    Ok(())
}

/// One round: every row once.
async fn measure(
    arguments: &Arguments,
    folder: &Path,
    source: &Path,
    table: &mut Table,
) -> Result<()> {
    let bytes = arguments.size * MIB;
    let target = folder.join("target");

    table.throughput("raw TCP, discarded", bytes, limits::tcp_discarded(source)?);
    table.throughput("TCP → file → fdatasync → ack", bytes, limits::tcp_to_file(source, &target)?);
    table.throughput("dd conv=fsync", bytes, limits::dd(source, &target)?);

    for (streams, label) in [(1, "1 stream"), (4, "4 streams")] {
        let server = Server::start(&arguments.sluice, &folder.join("data")).await?;
        let client = server.client(streams)?;
        let before = server.usage()?;
        let started = Instant::now();
        let options = UploadOptions::new().name("large").streams(streams);
        let uploaded = client.upload(Source::path(source), options).await?;
        table.throughput(&format!("Sluice upload, {label}"), bytes, started.elapsed());
        let after = server.usage()?;
        let gib = bytes as f64 / (1024 * MIB) as f64;
        let row = format!("server CPU, {label}");
        table.value(&row, "s/GiB", (after.cpu - before.cpu).as_secs_f64() / gib);
        let row = format!("server peak memory, {label}");
        table.value(&row, "MiB", after.peak_memory as f64 / MIB as f64);

        if streams == 4 {
            let started = Instant::now();
            client.download(&uploaded.file.id, &target, DownloadOptions::new()).await?;
            table.throughput("Sluice download, verified and synced", bytes, started.elapsed());
            std::fs::remove_file(&target)?;
        }
        server.stop().await?;
    }

    let small = arguments.small_files;
    let row = "create + fsync + rename + folder sync, 32 threads";
    table.rate(row, small, limits::small_files(folder, small, CLIENTS, SMALL)?);
    let server = Server::start(&arguments.sluice, &folder.join("data")).await?;
    let elapsed = upload_small(&server.client(4)?, small).await?;
    table.rate("Sluice upload of 4 KiB files, 32 clients", small, elapsed);
    server.stop().await
}

async fn upload_small(client: &Client, count: usize) -> Result<Duration> {
    let content = vec![7; SMALL];
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

/// A file that no layer can compress or share.
fn make_source(path: &Path, bytes: u64) -> Result<()> {
    let mut random = File::open("/dev/urandom").context("no random numbers")?;
    let mut file = File::create(path)?;
    let copied = std::io::copy(&mut std::io::Read::take(&mut random, bytes), &mut file)?;
    ensure!(copied == bytes, "the source file is too short");
    file.flush()?;
    file.sync_all()?;
    Ok(())
}
