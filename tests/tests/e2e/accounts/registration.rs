//! Who gets an account.

use std::{fs, os::unix::fs::PermissionsExt};

use sluice_domain::Reason;
use sluice_proto::v1::{CreateInvitationRequest, ListFilesRequest, RegisterRequest};
use sluice_tests::{
    Client, Content, PASSWORD, Server, assert_reason, invalid_field, login_request,
};

fn request(email: &str, setup_token: &str) -> RegisterRequest {
    RegisterRequest {
        email: email.into(),
        password: PASSWORD.into(),
        display_name: String::new(),
        setup_token: setup_token.into(),
    }
}

#[tokio::test]
async fn the_first_account_is_the_operators_and_takes_the_token_of_the_first_start() {
    let mut server = Server::embedded().await;
    let path = server.data_dir().join("setup-token");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&path).unwrap().trim().to_owned();
    assert!(token.starts_with("sluice_setup_"), "secret scanners can match it");
    assert_eq!(server.log().matches(&token).count(), 1, "it is shown at the first start");
    let file = server.client().put("from a program", &Content::new(1, 100)).await.unwrap();
    server.restart().await;
    assert_eq!(server.log().matches(&token).count(), 1, "and only then");

    let mut auth = Client::anonymous(&server.url()).auth;
    for wrong in ["", "x", &token[..token.len() - 1]] {
        let outcome = auth.register(request("ada@example.com", wrong)).await;
        assert_reason(outcome, Reason::CredentialsInvalid);
    }
    let registered = auth.register(request("ada@example.com", &token)).await.unwrap().into_inner();
    let access = registered.tokens.unwrap().access_token;
    let listed = Client::new(&server.url(), &access).list_files(ListFilesRequest::default()).await;
    assert_eq!(listed.unwrap().files, [file], "it is the account of the API key");
    let again = auth.register(request("bob@example.com", &token)).await;
    assert_reason(again, Reason::CredentialsInvalid);
    server.restart().await;
    assert!(!path.exists(), "what is used is removed");
    assert_reason(
        Client::anonymous(&server.url()).auth.register(request("bob@example.com", &token)).await,
        Reason::CredentialsInvalid,
    );
}

#[tokio::test]
async fn others_need_an_invitation_each() {
    let server = Server::start().await;
    let mut admin = server.client().admin;
    let mut auth = Client::anonymous(&server.url()).auth;
    assert_reason(auth.register(request("ada@example.com", "")).await, Reason::CredentialsInvalid);
    let invited = admin.create_invitation(CreateInvitationRequest { ttl: None }).await.unwrap();
    let token = invited.into_inner().setup_token;
    auth.register(request("ada@example.com", &token)).await.unwrap();
    let again = auth.register(request("bob@example.com", &token)).await;
    assert_reason(again, Reason::CredentialsInvalid);
    for (seconds, nanos) in [(0, 0), (-1, 0), (31 * 24 * 3600, 0)] {
        let ttl = Some(prost_types::Duration { seconds, nanos });
        let refused = admin.create_invitation(CreateInvitationRequest { ttl }).await;
        assert_eq!(invalid_field(refused), "ttl");
    }
}

#[tokio::test]
async fn what_is_no_address_or_no_good_password_is_refused() {
    let server = Server::with().open_to_all().start().await;
    let mut auth = Client::anonymous(&server.url()).auth;
    let long = format!("{}@example.com", "x".repeat(250));
    for email in ["", "ada", "@example.com", "a b@example.com", "a@b@c", &long] {
        assert_eq!(invalid_field(auth.register(request(email, "")).await), "email", "{email:?}");
    }
    for password in ["", "short", "password", "Password1", &"x".repeat(1025)] {
        let request =
            RegisterRequest { password: password.into(), ..request("ada@example.com", "") };
        assert_eq!(invalid_field(auth.register(request).await), "password", "{password:?}");
    }
    let name = RegisterRequest { display_name: "x".repeat(129), ..request("ada@example.com", "") };
    assert_eq!(invalid_field(auth.register(name).await), "display_name");
    auth.register(request("Ada@Example.com", "")).await.unwrap();
    let taken = auth.register(request("ada@example.COM", "")).await;
    assert_reason(taken, Reason::AccountExists);
    auth.login(login_request("ADA@example.com", PASSWORD)).await.unwrap();
}
