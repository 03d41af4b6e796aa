//! Secrets do not show in the log, whatever its level.

use sluice_domain::Reason;
use sluice_proto::v1::{
    ChangePasswordRequest, DeleteAccountRequest, IntrospectTokenRequest, LoginRequest,
    LogoutRequest, RefreshSessionRequest, RegisterRequest, Scope,
};
use sluice_tests::{
    Client, Content, Frames, MIB, Server, assert_reason, http_get, in_small_parts, login_request,
};

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let mut server =
        Server::with().open_to_all().setting("SLUICE__LOG__LEVEL", "trace").start().await;
    let ada = server.person("ada").await;
    let canary = |name: &str| format!("canary-{name}-8f14e45fceea");
    let mut auth = Client::anonymous(&server.url()).auth;

    // Planted where they are wanted and where they are not.
    let planted: Vec<_> = [
        "password", "device", "setup", "refresh", "logout", "token", "current", "new", "delete",
        "bearer",
    ]
    .map(canary)
    .into();
    let [password, device, setup, refresh, logout, token, current, new, delete, bearer] =
        &planted[..]
    else {
        unreachable!()
    };
    let login = LoginRequest {
        device_token: device.clone(),
        ..login_request("nobody@example.com", password)
    };
    assert_reason(auth.login(login).await, Reason::CredentialsInvalid);
    let register = RegisterRequest {
        email: "bob@example.com".into(),
        password: password.clone(),
        setup_token: setup.clone(),
        ..Default::default()
    };
    assert_reason(auth.register(register).await, Reason::CredentialsInvalid);
    let request = RefreshSessionRequest { refresh_token: refresh.clone() };
    assert_reason(auth.refresh_session(request).await, Reason::CredentialsInvalid);
    let request = LogoutRequest { refresh_token: logout.clone() };
    assert_reason(auth.logout(request).await, Reason::CredentialsInvalid);
    let request = IntrospectTokenRequest { token: token.clone() };
    ada.client.auth.clone().introspect_token(request).await.unwrap();
    let request =
        ChangePasswordRequest { current_password: current.clone(), new_password: new.clone() };
    let mut accounts = ada.client.accounts.clone();
    assert_reason(accounts.change_password(request).await, Reason::CredentialsInvalid);
    let request = DeleteAccountRequest { password: delete.clone() };
    assert_reason(accounts.delete_account(request).await, Reason::CredentialsInvalid);
    let stranger = Client::new(&server.url(), bearer);
    assert_reason(stranger.file("file_x").await, Reason::CredentialsInvalid);

    // Real ones, used.
    let (key, _) = ada.key(&[Scope::UploadsWrite, Scope::FilesRead]).await;
    let client = Client::new(&server.url(), &key);
    let file = client.put("a", &Content::new(1, MIB)).await.unwrap();
    let created = client.uploads.clone().create_upload(in_small_parts("b", MIB)).await.unwrap();
    let created = created.into_inner();
    let sender = Client::new(&server.url(), &created.upload_token);
    let frames = Frames::to(created.upload.as_ref().unwrap()).all(&Content::new(2, MIB));
    sender.write(frames).await.unwrap();
    let link = client.link(&file.id).await;
    assert_eq!(http_get(&link, &[]).await.status, 200);
    let request = RefreshSessionRequest { refresh_token: ada.tokens.refresh_token.clone() };
    let next = auth.refresh_session(request).await.unwrap().into_inner().tokens.unwrap();
    server.stop().await;

    let signature = link.rsplit_once("signature=").expect("a signed link").1.to_owned();
    let real = [
        key,
        created.upload_token,
        ada.tokens.access_token,
        ada.tokens.refresh_token,
        ada.device_token,
        next.access_token,
        next.refresh_token,
        signature,
        sluice_tests::PASSWORD.to_owned(),
        server.key(),
    ];
    let log = server.log();
    assert!(log.contains("TRACE"), "the log is at its most talkative");
    for secret in planted.iter().chain(&real) {
        // The signature of a token is what makes it one.
        let secret = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
    for event in ["register", "login", "create api key", "change password"] {
        let written = log.lines().any(|line| line.contains("audit") && line.contains(event));
        assert!(written, "{event:?} is not in the audit log");
    }
}
