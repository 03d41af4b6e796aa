//! How often somebody may ask.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_proto::v1::GetAccountRequest;
use sluice_tests::{Client, Server, assert_reason, http_get};

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
        // A limit that is used up allows a few more on a slow machine.
        let more = until_refused(&other).await;
        assert_eq!(more >= 10, variable == "CREDENTIAL", "{more} by another credential");
        if variable == "ADDRESS" {
            let url = format!("{}/.well-known/jwks.json", server.url());
            let mut signed = http_get(&url, &[]).await;
            for _ in 0..10 {
                if signed.status == 429 {
                    break;
                }
                signed = http_get(&url, &[]).await;
            }
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
