//! Every SDK plays the scenarios of `tests/conformance` against a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod driver;
mod gateway;
mod local_file;
mod play;
mod scenario;

use futures::{StreamExt, stream};

use crate::driver::Language;

/// Scenarios that are played at a time; most of them wait most of the time.
const AT_A_TIME: usize = 3;

async fn plays_every_scenario(language: Language) {
    language.build().await;
    let scenarios = scenario::all();
    let outcomes = stream::iter(&scenarios).map(|scenario| async move {
        let outcome = play::play(language, scenario).await;
        println!(
            "{language:?}: {}: {}",
            scenario.name,
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
        outcome.err().map(|error| format!("{}: {error}", scenario.name))
    });
    let failures: Vec<_> =
        outcomes.buffer_unordered(AT_A_TIME).filter_map(async |failure| failure).collect().await;
    assert!(
        failures.is_empty(),
        "{language:?}: {} of {} scenarios failed:\n\n{}",
        failures.len(),
        scenarios.len(),
        failures.join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rust() {
    plays_every_scenario(Language::Rust).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go() {
    plays_every_scenario(Language::Go).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python() {
    plays_every_scenario(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_asyncio() {
    plays_every_scenario(Language::PythonAsync).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typescript() {
    plays_every_scenario(Language::TypeScript).await;
}
