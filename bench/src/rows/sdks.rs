//! One large file by each SDK, and by what their users would take instead.

use std::{
    path::{Path, PathBuf},
    process::Command as Setup,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::FutureExt;
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::file;
use crate::{
    bench::Bench,
    case::{Case, Group, Metric, Values},
    choices::MIB,
    peers::{ClientOfTus, Peer, Peers, TusServer, free_address},
    process::Process,
    sluice::Sluice,
    usage::{for_each_gib, throughput},
};

/// What all others are compared with.
pub(crate) const RUST: &str = "Rust SDK, 4 streams";
/// The SDKs, each in a program of its language.
pub(crate) const GO: &str = "Go SDK, 4 streams";
pub(crate) const NODE: &str = "TypeScript SDK on Node, 4 streams";
pub(crate) const PYTHON: &str = "Python SDK, 4 streams";
/// Their folders.
const SDKS: [(&str, &str); 3] = [("go", GO), ("typescript", NODE), ("python", PYTHON)];
/// The SDK for pages.
pub(crate) const WEB: &str = "TypeScript SDK in Chromium, 4 streams";
/// What pages would take instead.
pub(crate) const WEB_TUS: &str = "tusd by tus-js-client in Chromium";

/// What tuspy gets in one request, unless it gets all.
const CHUNK: u64 = 8 * MIB;

/// Drives the browser.
const BROWSER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/web/run");

/// Where the SDKs are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk-gen");

/// Builds what is missing, so that no row waits for it.
pub(crate) fn install(with_peers: bool) -> Result<()> {
    for (language, _) in SDKS {
        // It refuses an empty command once it is built.
        Setup::new(Path::new(FOLDER).join(language).join("run")).args(["driver", "{}"]).output()?;
    }
    if with_peers {
        let ready = Setup::new(BROWSER).arg("--setup").status()?;
        ensure!(ready.success(), "the browser or the web client cannot be installed");
    }
    Ok(())
}

/// Every row.
pub(super) fn all(size: u64, peers: Option<&Peers>) -> Vec<Case> {
    let mut cases =
        vec![Case::new(Group::Sdks, RUST, move |bench| rust(bench, size).boxed_local())];
    cases.extend(SDKS.map(|(language, name)| {
        Case::new(Group::Sdks, name, move |bench| by(bench, language, size).boxed_local())
    }));
    if let Some(peers) = peers {
        cases.push(Case::new(Group::Sdks, WEB, move |bench| web(bench, size).boxed_local()));
        let modules = peers.script("");
        cases.push(Case::new(Group::Sdks, WEB_TUS, move |bench| {
            web_to_tusd(bench, modules.clone(), size).boxed_local()
        }));
        let tus = |name: &str, client, chunk_size| {
            Case::new(Group::Sdks, name, move |bench| {
                file::tus_upload(bench, Peer::Tusd, client, size, chunk_size).boxed_local()
            })
        };
        cases.push(tus("tusd by tus-js-client on Node", ClientOfTus::Node, None));
        cases.push(tus("tusd by tuspy", ClientOfTus::Python, None));
        cases.push(tus("tusd by tuspy, in requests of 8 MiB", ClientOfTus::Python, Some(CHUNK)));
    }
    cases
}

async fn rust(bench: &Bench, size: u64) -> Result<Values> {
    let server = Sluice::start(bench).await?;
    let transfer = file::upload_to(bench, &server, size, 4).await?;
    server.stop().await?;
    Ok(transfer.values())
}

/// What a driver says: how far it is, and at last how long it took.
#[derive(Deserialize)]
struct Event {
    event: String,
    seconds: Option<f64>,
}

/// What the page says at its end.
#[derive(Deserialize)]
struct Done {
    seconds: f64,
}

/// Uploads the file by the program that the conformance test drives, too.
async fn by(bench: &Bench, language: &str, size: u64) -> Result<Values> {
    let source = bench.source(size)?;
    let server = Sluice::start(bench).await?;
    let command = json!({
        "verb": "upload",
        "server": format!("http://{}", server.address()?),
        "api_key": std::fs::read_to_string(server.key_file())?.trim(),
        "path": source,
        "name": "large",
        "concurrency": 4,
    });
    let before = server.usage()?;
    let mut driver = Command::new(Path::new(FOLDER).join(language).join("run"));
    let mut driver = Process::start(driver.arg("driver").arg(command.to_string()))?;
    let seconds = loop {
        let event: Event = serde_json::from_str(&driver.said("").await?)?;
        match event.event.as_str() {
            "progress" => {}
            "done" => break event.seconds.context("the driver says no time")?,
            _ => bail!("the {language} SDK has not uploaded the file"),
        }
    };
    driver.end().await?;
    let server_cpu = server.usage()?.cpu_since(&before);
    server.stop().await?;
    Ok(vec![
        (Metric::Throughput, throughput(size, Duration::from_secs_f64(seconds))),
        (Metric::ServerCpu, for_each_gib(server_cpu, size)),
    ])
}

/// Uploads the file in a browser, from a page of another origin.
async fn web(bench: &Bench, size: u64) -> Result<Values> {
    let source = bench.source(size)?;
    let page = free_address()?;
    let server = Sluice::start_for_pages_of(bench, &format!("http://{page}")).await?;
    let before = server.usage()?;
    let seconds = browse(&json!({
        "client": "sluice",
        "server": format!("http://{}", server.address()?),
        "apiKey": std::fs::read_to_string(server.key_file())?.trim(),
        "file": source,
        "port": page.port(),
    }))
    .await?;
    let server_cpu = server.usage()?.cpu_since(&before);
    server.stop().await?;
    Ok(vec![
        (Metric::Throughput, throughput(size, seconds)),
        (Metric::ServerCpu, for_each_gib(server_cpu, size)),
    ])
}

async fn web_to_tusd(bench: &Bench, modules: PathBuf, size: u64) -> Result<Values> {
    let source = bench.source(size)?;
    let peers = bench.peers().context("no other upload servers")?;
    let server = TusServer::start(bench, peers, Peer::Tusd).await?;
    let before = server.usage()?;
    let seconds = browse(&json!({
        "client": "tus",
        "endpoint": format!("http://{}/files/", server.address()),
        "file": source,
        "port": free_address()?.port(),
        "modules": modules,
    }))
    .await?;
    let server_cpu = server.usage()?.cpu_since(&before);
    server.stop().await?;
    Ok(vec![
        (Metric::Throughput, throughput(size, seconds)),
        (Metric::ServerCpu, for_each_gib(server_cpu, size)),
    ])
}

/// Answers how long it took in the page.
async fn browse(order: &serde_json::Value) -> Result<Duration> {
    let mut browser = Process::start(Command::new(BROWSER).arg(order.to_string()))?;
    let done: Done = serde_json::from_str(&browser.said("done ").await?)?;
    browser.end().await?;
    Ok(Duration::from_secs_f64(done.seconds))
}
