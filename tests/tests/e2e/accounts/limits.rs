//! How often somebody may ask.

use std::time::{Duration, Instant};

use sluice_domain::Reason;
use sluice_proto::v1::GetAccountRequest;
use sluice_tests::{Client, MIB, Server, assert_reason, http_get, login_request};
use tokio::task::JoinSet;

/// Asks until it is refused; answers how often it was not.
async fn until_refused(client: &Client) -> u32 {
    for count in 0..1000 {
        let asked = client.accounts.clone().get_account(GetAccountRequest {}).await;
        if asked.is_err() {
            assert_reason(asked, Reason::RateLimited);
            return count;
        }
    }
    panic!("a thousand requests were answered");
}

#[tokio::test]
async fn each_credential_each_account_and_each_address_has_a_limit() {
    for variable in ["CREDENTIAL", "ACCOUNT", "ADDRESS"] {
        let server = Server::with()
            .open_to_all()
            .setting(&format!("SLUICE__RATES__PER_{variable}"), "20")
            .start()
            .await;
        let ada = server.person("ada").await;
        let (other, _) = server.signed_in(&ada.email).await.unwrap();
        let asked = until_refused(&ada.client).await;
        assert!((10..=200).contains(&asked), "{asked} of 20 each second");
        let other = other.accounts.clone().get_account(GetAccountRequest {}).await;
        match variable {
            "CREDENTIAL" => drop(other.expect("another credential has a limit of its own")),
            _ => drop(assert_reason(other, Reason::RateLimited)),
        }
        if variable == "ADDRESS" {
            let signed = http_get(&format!("{}/.well-known/jwks.json", server.url()), &[]).await;
            assert_eq!(signed.status, 429);
            assert!(!signed.header("retry-after").is_empty());
            let probe = http_get(&format!("{}/livez", server.url()), &[]).await;
            assert_eq!(probe.status, 200, "probes are always answered");
        }
        let (client, limit) = (ada.client, Duration::from_secs(10));
        sluice_tests::eventually("it may ask again", limit, async || {
            client.accounts.clone().get_account(GetAccountRequest {}).await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn only_trusted_proxies_say_for_whom_they_ask() {
    for (trusted, answered) in [("[]", false), ("[\"127.0.0.0/8\"]", true)] {
        let server = Server::with()
            .setting("SLUICE__RATES__PER_ADDRESS", "20")
            .setting("SLUICE__SERVER__TRUSTED_PROXIES", trusted)
            .start()
            .await;
        let url = format!("{}/.well-known/jwks.json", server.url());
        let mut refused = 0;
        for n in 0..200 {
            let client = format!("198.51.100.{n}");
            let answer = http_get(&url, &[("x-forwarded-for", &client)]).await;
            refused += u32::from(answer.status == 429);
        }
        assert_eq!(refused == 0, answered, "{refused} of 200 refused");
    }
}

/// Two hundred log-ins a second are far more than can be checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_ins_hurts_nobody_else() {
    const SECONDS: u64 = 5;
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
