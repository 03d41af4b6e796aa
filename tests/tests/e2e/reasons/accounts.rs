//! Refusals around accounts and credentials.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_proto::v1::{
    GetAccountRequest, LogoutRequest, Quota, RegisterRequest, ReinstateAccountRequest,
    RevokeApiKeyRequest, RevokeSessionRequest, Scope, SuspendAccountRequest,
    revoke_session_request::Target,
};
use sluice_tests::{Client, PASSWORD, Server, eventually, in_small_parts, login_request, reason};
use tonic::Status;

async fn open_server() -> Server {
    Server::with().open_to_all().start().await
}

pub(super) async fn account_exists() -> Status {
    let server = open_server().await;
    let ada = server.person("ada").await;
    let request =
        RegisterRequest { email: ada.email, password: PASSWORD.into(), ..Default::default() };
    Client::anonymous(&server.url()).auth.register(request).await.unwrap_err()
}

pub(super) async fn account_not_found(client: &Client) -> Status {
    let account_id = format!("usr_{}", uuid::Uuid::now_v7());
    let request = ReinstateAccountRequest { account_id };
    client.admin.clone().reinstate_account(request).await.unwrap_err()
}

pub(super) async fn account_suspended() -> Status {
    let server = open_server().await;
    let ada = server.person("ada").await;
    let request = SuspendAccountRequest { account_id: ada.id };
    server.client().admin.suspend_account(request).await.unwrap();
    let mut auth = Client::anonymous(&server.url()).auth;
    auth.login(login_request(&ada.email, PASSWORD)).await.unwrap_err()
}

pub(super) async fn api_key_not_found(client: &Client) -> Status {
    let api_key_id = format!("key_{}", uuid::Uuid::now_v7());
    let request = RevokeApiKeyRequest { api_key_id };
    client.accounts.clone().revoke_api_key(request).await.unwrap_err()
}

pub(super) async fn session_not_found(client: &Client) -> Status {
    let id = format!("ses_{}", uuid::Uuid::now_v7());
    let request = RevokeSessionRequest { target: Some(Target::SessionId(id)) };
    client.accounts.clone().revoke_session(request).await.unwrap_err()
}

pub(super) async fn quota_exceeded() -> Status {
    let server = open_server().await;
    let ada = server.person("ada").await;
    server.set_quota(&ada.id, Quota { max_bytes: Some(9), ..Quota::default() }).await;
    ada.client.create(in_small_parts("a", 10)).await.unwrap_err()
}

pub(super) async fn rate_limited() -> Status {
    let server = Server::with()
        .setting("SLUICE__ACCOUNTS__SIGN_IN_TRIES_PER_ADDRESS", "1")
        .setting("SLUICE__ACCOUNTS__SIGN_IN_PAUSE_PER_ADDRESS", "1h")
        .start()
        .await;
    let mut auth = Client::anonymous(&server.url()).auth;
    let request = login_request("nobody@example.com", PASSWORD);
    auth.login(request.clone()).await.unwrap_err();
    auth.login(request).await.unwrap_err()
}

pub(super) async fn scope_missing() -> Status {
    let server = open_server().await;
    let ada = server.person("ada").await;
    let (key, _) = ada.key(&[Scope::UploadsRead]).await;
    Client::new(&server.url(), &key).list_files(Default::default()).await.unwrap_err()
}

pub(super) async fn token_expired() -> Status {
    let server = Server::with()
        .open_to_all()
        .setting("SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL", "1s")
        .start()
        .await;
    let ada = server.person("ada").await;
    let mut refused = None;
    eventually("the token expires", Duration::from_secs(10), async || {
        refused = ada.client.accounts.clone().get_account(GetAccountRequest {}).await.err();
        refused.is_some()
    })
    .await;
    refused.expect("it was waited for")
}

pub(super) async fn token_revoked() -> Status {
    let server = open_server().await;
    let ada = server.person("ada").await;
    let request = LogoutRequest { refresh_token: ada.tokens.refresh_token };
    Client::anonymous(&server.url()).auth.logout(request).await.unwrap();
    let refused = ada.client.accounts.clone().get_account(GetAccountRequest {}).await;
    let status = refused.unwrap_err();
    assert_eq!(reason(&status), Some(Reason::TokenRevoked));
    status
}
