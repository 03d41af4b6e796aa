//! The tests in `tests/browser`, which drive a real browser.

use std::{path::Path, time::Duration};

use sluice_tests::{Server, binary};
use tokio::{process::Command, time::timeout};

/// The first run installs a browser.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs one file of browser tests against a server.
async fn run(server: &Server, file: &str) {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/run");
    let mut command = Command::new(runner);
    command
        .arg(file)
        .env("SLUICE_SERVER", server.url())
        .env("SLUICE_API_KEY", server.key())
        .env("SLUICE_BIN", binary())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.expect("the browser ends in time");
    let output = output.expect("tests/browser/run can be started");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{file} ended with {}", output.status);
}

#[tokio::test]
async fn a_real_browser_can_be_driven() {
    run(&Server::start().await, "harness.test.mjs").await;
}
