//! What ends when somebody may act no longer.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_proto::v1::{
    GetAccountRequest, ReinstateAccountRequest, RevokeSessionRequest, Scope, SuspendAccountRequest,
    revoke_session_request::Target,
};
use sluice_tests::{
    Client, Content, Frames, MIB, PASSWORD, Person, Server, assert_reason, eventually, http_get,
    in_small_parts, login_request,
};
use tokio::time::timeout;

/// What is revoked ends within seconds.
const LIMIT: Duration = Duration::from_secs(10);

async fn suspend(server: &Server, person: &Person) {
    let request = SuspendAccountRequest { account_id: person.id.clone() };
    server.client().admin.suspend_account(request).await.expect("the operator may");
}

#[tokio::test]
async fn a_suspended_account_can_do_nothing_until_it_is_reinstated() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (key, _) = ada.key(&[Scope::FilesRead]).await;
    let file = ada.client.put("a", &Content::new(1, MIB)).await.unwrap();
    let link = ada.client.link(&file.id).await;
    assert_eq!(http_get(&link, &[]).await.status, 200);
    suspend(&server, &ada).await;

    let mut by_token = ada.client.accounts.clone();
    assert_reason(by_token.get_account(GetAccountRequest {}).await, Reason::AccountSuspended);
    let by_key = Client::new(&server.url(), &key);
    assert_reason(by_key.file(&file.id).await, Reason::AccountSuspended);
    let mut auth = Client::anonymous(&server.url()).auth;
    let right = auth.login(login_request(&ada.email, PASSWORD)).await;
    assert_reason(right, Reason::AccountSuspended);
    let wrong = auth.login(login_request(&ada.email, "wrong password")).await;
    assert_reason(wrong, Reason::CredentialsInvalid);
    assert_eq!(http_get(&link, &[]).await.status, 403);

    let request = ReinstateAccountRequest { account_id: ada.id.clone() };
    server.client().admin.reinstate_account(request).await.unwrap();
    assert_eq!(by_key.file(&file.id).await.unwrap(), file, "what it owns is still there");
    assert_reason(by_token.get_account(GetAccountRequest {}).await, Reason::TokenRevoked);
    server.signed_in(&ada.email).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_end_within_seconds_and_keep_what_is_persisted() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (other, tokens) = server.signed_in(&ada.email).await.unwrap();
    let content = Content::new(1, 3 * MIB);
    let upload = other.create(in_small_parts("a", 3 * MIB)).await.unwrap();
    let writing = other.open();
    assert!(writing.send(Frames::to(&upload).range(&content, 0..MIB)).await);
    let bidi = other.open_bidi(Frames::to(&upload).range(&content, MIB..2 * MIB)).await.unwrap();
    let mut watcher = other.watch().await;
    watcher.snapshot().await;
    eventually("both parts are persisted", LIMIT, async || {
        ada.client.upload(&upload.id).await.unwrap().persisted_bytes == 2 * MIB as i64
    })
    .await;

    let target = Some(Target::SessionId(tokens.session_id));
    ada.client.accounts.clone().revoke_session(RevokeSessionRequest { target }).await.unwrap();
    let written = timeout(LIMIT, writing.outcome()).await.expect("the stream ends");
    assert_reason(written, Reason::TokenRevoked);
    let bidi = timeout(LIMIT, bidi.rest()).await.expect("the stream ends");
    assert_reason(bidi, Reason::TokenRevoked);
    let watched = timeout(LIMIT, async { while watcher.message().await.is_ok() {} }).await;
    watched.expect("the stream ends");
    assert_reason(other.watch_from("").await.map(drop), Reason::TokenRevoked);
    let left = ada.client.upload(&upload.id).await.unwrap();
    assert_eq!(left.persisted_bytes, 2 * MIB as i64);
}

#[tokio::test]
async fn the_operator_stays() {
    let server = Server::start().await;
    let mut client = server.client();
    let own = client.accounts.get_account(GetAccountRequest {}).await.unwrap().into_inner();
    let account_id = own.account.unwrap().id;
    let request = SuspendAccountRequest { account_id };
    assert_reason(client.admin.suspend_account(request).await, Reason::NotSupported);
    let request = SuspendAccountRequest { account_id: "usr_x".into() };
    let wrong = client.admin.suspend_account(request).await;
    assert_eq!(sluice_tests::invalid_field(wrong), "account_id");
    let nobody = "usr_01890000-0000-7000-8000-000000000000".to_owned();
    let request = SuspendAccountRequest { account_id: nobody };
    assert_reason(client.admin.suspend_account(request).await, Reason::AccountNotFound);
}
