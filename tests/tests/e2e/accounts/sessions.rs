//! Sessions: refreshed, listed, revoked.

use futures::future::join_all;
use sluice_domain::Reason;
use sluice_proto::v1::{
    ChangePasswordRequest, GetAccountRequest, IntrospectTokenRequest, ListSessionsRequest,
    LogoutRequest, RefreshSessionRequest, RevokeSessionRequest, Tokens,
    revoke_session_request::Target,
};
use sluice_tests::{
    Client, PASSWORD, Person, Server, assert_reason, eventually, invalid_field, login_request,
};
use tonic::Status;

/// What is revoked ends within seconds.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

async fn refresh(server: &Server, token: &str) -> Result<Tokens, Status> {
    let request = RefreshSessionRequest { refresh_token: token.into() };
    let answer = Client::anonymous(&server.url()).auth.refresh_session(request).await?;
    Ok(answer.into_inner().tokens.unwrap())
}

async fn is_good(server: &Server, access_token: &str) -> bool {
    let mut client = Client::new(&server.url(), access_token);
    client.accounts.get_account(GetAccountRequest {}).await.is_ok()
}

/// The session's access token ends with it, here within seconds.
async fn ends(server: &Server, access_token: &str) {
    eventually("the access token is good for nothing", LIMIT, async || {
        !is_good(server, access_token).await
    })
    .await;
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_and_outlives_a_restart() {
    let mut server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let next = refresh(&server, &ada.tokens.refresh_token).await.unwrap();
    assert_eq!(next.session_id, ada.tokens.session_id);
    assert_ne!(next.refresh_token, ada.tokens.refresh_token);
    assert!(is_good(&server, &next.access_token).await);
    server.restart().await;
    assert!(is_good(&server, &next.access_token).await);
    refresh(&server, &next.refresh_token).await.unwrap();
    for wrong in ["", "x", &ada.tokens.access_token, &ada.device_token, &server.key()] {
        assert_reason(refresh(&server, wrong).await, Reason::CredentialsInvalid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_refreshes_at_once_log_nobody_out() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let refreshed = join_all((0..50).map(|_| refresh(&server, &ada.tokens.refresh_token))).await;
    for tokens in refreshed {
        let tokens = tokens.expect("nobody is logged out");
        assert_eq!(tokens.session_id, ada.tokens.session_id);
        assert!(is_good(&server, &tokens.access_token).await);
    }
    let sessions = list(&ada).await;
    assert_eq!(sessions.len(), 1, "one family: {sessions:?}");
}

/// The grace is 15 s; nothing shorter shows that it ends.
#[tokio::test]
async fn a_reuse_after_the_grace_ends_the_session_at_once() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let next = refresh(&server, &ada.tokens.refresh_token).await.unwrap();
    refresh(&server, &ada.tokens.refresh_token).await.expect("the answer may have been lost");
    tokio::time::sleep(std::time::Duration::from_secs(16)).await;
    assert_reason(refresh(&server, &ada.tokens.refresh_token).await, Reason::TokenRevoked);
    assert_reason(refresh(&server, &next.refresh_token).await, Reason::TokenRevoked);
    assert!(!is_good(&server, &next.access_token).await, "this process knows at once");
}

async fn list(person: &Person) -> Vec<sluice_proto::v1::Session> {
    let mut accounts = person.client.accounts.clone();
    let (mut sessions, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSessionsRequest { page_size: 2, page_token };
        let page = accounts.list_sessions(request).await.unwrap().into_inner();
        sessions.extend(page.sessions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return sessions;
        }
    }
}

#[tokio::test]
async fn sessions_are_listed_and_revoked() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(server.signed_in(&ada.email).await.unwrap().1);
    }
    let sessions = list(&ada).await;
    assert_eq!(sessions.len(), 5);
    for session in &sessions {
        assert_eq!(session.current, session.id == ada.tokens.session_id);
        assert_eq!(session.address, "127.0.0.1");
        assert!(session.user_agent.contains("tonic"), "{session:?}");
    }
    let mut accounts = ada.client.accounts.clone();
    let revoke = |target| RevokeSessionRequest { target: Some(target) };
    let one = revoke(Target::SessionId(others[0].session_id.clone()));
    assert_eq!(accounts.revoke_session(one.clone()).await.unwrap().into_inner().revoked, 1);
    assert_reason(accounts.revoke_session(one).await, Reason::SessionNotFound);
    ends(&server, &others[0].access_token).await;
    assert_reason(refresh(&server, &others[0].refresh_token).await, Reason::TokenRevoked);

    let all = accounts.revoke_session(revoke(Target::AllOthers(true))).await.unwrap();
    assert_eq!(all.into_inner().revoked, 3);
    for other in &others {
        ends(&server, &other.access_token).await;
    }
    assert!(is_good(&server, &ada.tokens.access_token).await);
    let nothing = accounts.revoke_session(RevokeSessionRequest { target: None }).await;
    assert_eq!(invalid_field(nothing), "session_id");
    let not = accounts.revoke_session(revoke(Target::AllOthers(false))).await;
    assert_eq!(invalid_field(not), "all_others");
}

#[tokio::test]
async fn who_logs_out_is_out() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let mut auth = Client::anonymous(&server.url()).auth;
    let request = LogoutRequest { refresh_token: ada.tokens.refresh_token.clone() };
    auth.logout(request.clone()).await.unwrap();
    ends(&server, &ada.tokens.access_token).await;
    assert_reason(refresh(&server, &ada.tokens.refresh_token).await, Reason::TokenRevoked);
    auth.logout(request).await.expect("who is out stays out");
    let nonsense = LogoutRequest { refresh_token: "x".into() };
    assert_reason(auth.logout(nonsense).await, Reason::CredentialsInvalid);
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (_, other) = server.signed_in(&ada.email).await.unwrap();
    let mut accounts = ada.client.accounts.clone();
    let request = |current: &str, new: &str| ChangePasswordRequest {
        current_password: current.into(),
        new_password: new.into(),
    };
    const NEW: &str = "eleven eager elephants";
    let wrong = accounts.change_password(request("wrong password", NEW)).await;
    assert_reason(wrong, Reason::CredentialsInvalid);
    let common = accounts.change_password(request(PASSWORD, "password1")).await;
    assert_eq!(invalid_field(common), "new_password");
    accounts.change_password(request(PASSWORD, NEW)).await.unwrap();
    ends(&server, &other.access_token).await;
    assert!(is_good(&server, &ada.tokens.access_token).await);
    let mut auth = Client::anonymous(&server.url()).auth;
    let old = auth.login(login_request(&ada.email, PASSWORD)).await;
    assert_reason(old, Reason::CredentialsInvalid);
    auth.login(login_request(&ada.email, NEW)).await.unwrap();
}

#[tokio::test]
async fn a_token_is_told_only_to_its_own_account() {
    let server = Server::with().open_to_all().start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (key, key_id) = ada.key(&[sluice_proto::v1::Scope::FilesRead]).await;
    let introspect = async |person: &Person, token: &str| {
        let request = IntrospectTokenRequest { token: token.into() };
        person.client.auth.clone().introspect_token(request).await.unwrap().into_inner()
    };
    let expected = [
        (&ada.tokens.access_token, 1, &ada.tokens.session_id),
        (&ada.tokens.refresh_token, 2, &ada.tokens.session_id),
        (&key, 4, &key_id),
    ];
    for (token, kind, subject) in expected {
        let told = introspect(&ada, token).await;
        assert!(told.active);
        assert_eq!((told.kind, &told.subject_id), (kind, subject));
        assert_eq!(introspect(&bob, token).await, Default::default());
    }
    for nothing in ["", "x", &ada.device_token] {
        assert_eq!(introspect(&ada, nothing).await, Default::default());
    }
    let (_, other) = server.signed_in(&ada.email).await.unwrap();
    assert!(introspect(&ada, &other.access_token).await.active);
    let target = Some(Target::SessionId(other.session_id));
    ada.client.accounts.clone().revoke_session(RevokeSessionRequest { target }).await.unwrap();
    assert_eq!(introspect(&ada, &other.access_token).await, Default::default());
}
