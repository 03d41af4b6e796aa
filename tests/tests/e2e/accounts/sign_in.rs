//! Signing in: the same for those who have an account and those who have none.

use std::time::{Duration, Instant};

use sluice_domain::Reason;
use sluice_proto::v1::{GetAccountRequest, ListSessionsRequest, LoginRequest};
use sluice_tests::{Client, PASSWORD, Server, assert_reason, login_request, scale};
use tonic::Code;

#[tokio::test]
async fn whoever_signs_in_is_who_they_are() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    server.person("bob").await;
    let (mut client, tokens) = server.signed_in(&ada.email).await.unwrap();
    let account = client.accounts.get_account(GetAccountRequest {}).await.unwrap();
    assert_eq!(account.into_inner().account.unwrap().id, ada.id);
    assert_ne!(tokens.session_id, ada.tokens.session_id);
    let sessions = client.accounts.list_sessions(ListSessionsRequest::default()).await.unwrap();
    let session = sessions.into_inner().sessions.into_iter().find(|session| session.current);
    let begin = session.unwrap().create_time.unwrap().seconds;
    let lived = tokens.access_expire_time.unwrap().seconds - begin;
    assert!((1..=601).contains(&lived), "an access token lives {lived} s");
}

#[tokio::test]
async fn a_wrong_password_and_no_account_look_the_same() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let auth = Client::anonymous(&server.url()).auth;
    let refused = async |email: &str, password: &str| {
        auth.clone().login(login_request(email, password)).await.unwrap_err()
    };
    let known = refused(&ada.email, "wrong password").await;
    let unknown = refused("nobody@example.com", "wrong password").await;
    assert_eq!(known.code(), Code::Unauthenticated);
    assert_eq!(known.code(), unknown.code());
    assert_eq!(known.message(), unknown.message());
    assert_eq!(known.details(), unknown.details());
    assert_reason(Err::<(), _>(known), Reason::CredentialsInvalid);
}

/// The two kinds take turns, so that whatever else the machine does hits both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_and_unknown_accounts_take_the_same_time() {
    const MOST: Duration = Duration::from_millis(5);
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let mut auth = Client::anonymous(&server.url()).auth;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..scale(1000, 5000) {
        let nobody = format!("nobody{n}@example.com");
        for (email, times) in [(&ada.email, &mut known), (&nobody, &mut unknown)] {
            let start = Instant::now();
            let outcome = auth.login(login_request(email, "wrong password")).await;
            times.push(start.elapsed());
            assert_reason(outcome, Reason::CredentialsInvalid);
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    println!("medians: {known:?} with an account, {unknown:?} without");
    assert!(known.abs_diff(unknown) <= MOST, "{known:?} and {unknown:?}");
}

#[tokio::test]
async fn strangers_are_slowed_down_and_do_not_lock_out_a_known_device() {
    let server = Server::with()
        .setting("SLUICE__ACCOUNTS__REGISTRATION", "open")
        .setting("SLUICE__ACCOUNTS__SIGN_IN_TRIES_PER_ACCOUNT", "5")
        .setting("SLUICE__ACCOUNTS__SIGN_IN_PAUSE_PER_ACCOUNT", "1h")
        .setting("SLUICE__ACCOUNTS__SIGN_IN_TRIES_PER_ADDRESS", "50")
        .setting("SLUICE__ACCOUNTS__SIGN_IN_PAUSE_PER_ADDRESS", "1h")
        .start()
        .await;
    let ada = server.person("ada").await;
    let mut auth = Client::anonymous(&server.url()).auth;
    for n in 0..20 {
        let outcome = auth.login(login_request(&ada.email, "wrong password")).await;
        let reason = if n < 5 { Reason::CredentialsInvalid } else { Reason::RateLimited };
        assert_reason(outcome, reason);
    }
    let right = login_request(&ada.email, PASSWORD);
    assert_reason(auth.login(right.clone()).await, Reason::RateLimited);
    let known = LoginRequest { device_token: ada.device_token, ..right };
    auth.login(known.clone()).await.expect("a known device is not locked out");
    let tampered = LoginRequest { device_token: format!("{}x", known.device_token), ..known };
    assert_reason(auth.login(tampered).await, Reason::RateLimited);

    // A device of one account is a stranger to another.
    let bob = server.person("bob").await;
    let of_bob =
        LoginRequest { device_token: bob.device_token, ..login_request(&ada.email, PASSWORD) };
    assert_reason(auth.login(of_bob).await, Reason::RateLimited);
}

/// One address tries one common password on many accounts.
#[tokio::test]
async fn spraying_reaches_few_accounts() {
    let server = Server::start().await;
    let auth = Client::anonymous(&server.url()).auth;
    let mut checked = 0;
    for n in 0..5000 {
        let request = login_request(&format!("user{n}@example.com"), "password1");
        let reason = sluice_tests::assert_refusal(&auth.clone().login(request).await.unwrap_err());
        checked += u32::from(reason == Reason::CredentialsInvalid);
    }
    assert!(checked <= 50, "{checked} of 5000 tries were checked");
}
