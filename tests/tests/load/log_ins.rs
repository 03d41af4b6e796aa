//! Many who try passwords: checking one is slow on purpose, and nobody else waits for it.

use std::time::{Duration, Instant};

use sluice_domain::Reason;
use sluice_proto::v1::GetAccountRequest;
use sluice_tests::{Client, MIB, Server, login_request};
use tokio::task::JoinSet;

use crate::alone;

/// Two hundred log-ins a second are far more than can be checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_ins_hurts_nobody_else() {
    const SECONDS: u64 = 5;
    let _alone = alone().await;
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let alone = percentile(&ada.client, Duration::from_secs(SECONDS)).await;
    let before = server.resident_bytes();
    let auth = Client::anonymous(&server.url()).auth;
    let flood = tokio::spawn(async move {
        let (mut calls, mut tick) =
            (JoinSet::new(), tokio::time::interval(Duration::from_millis(5)));
        for n in 0..SECONDS * 200 {
            tick.tick().await;
            let request = login_request(&format!("nobody{n}@example.com"), "wrong password");
            let mut auth = auth.clone();
            calls.spawn(async move { auth.login(request).await.unwrap_err() });
        }
        calls.join_all().await
    });
    let beside = percentile(&ada.client, Duration::from_secs(SECONDS)).await;
    let grown = server.resident_bytes().saturating_sub(before);
    let mut refused = 0;
    for status in flood.await.unwrap() {
        match sluice_tests::assert_refusal(&status) {
            Reason::CredentialsInvalid => {}
            Reason::Overloaded => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    println!(
        "p99 {alone:?} alone, {beside:?} beside the flood; {refused} sent away; {grown} bytes"
    );
    assert!(refused > 0, "everything could be checked: this is no flood");
    assert!(beside.saturating_sub(alone) <= Duration::from_millis(20), "{beside:?}, was {alone:?}");
    assert!(grown < 200 * MIB, "{grown} bytes more");
}

/// 99 of 100 calls take no longer, over so much time.
async fn percentile(client: &Client, time: Duration) -> Duration {
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let begin = Instant::now();
        client.accounts.clone().get_account(GetAccountRequest {}).await.unwrap();
        times.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort();
    times[times.len() * 99 / 100]
}
