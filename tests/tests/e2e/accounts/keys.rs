//! API keys: made, listed, limited, ended.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_proto::v1::{
    CreateApiKeyRequest, ListApiKeysRequest, ListFilesRequest, RevokeApiKeyRequest, Scope,
};
use sluice_tests::{
    Client, Content, Server, assert_reason, eventually, fact, invalid_field, named,
};

const LIMIT: Duration = Duration::from_secs(10);

fn request(name: &str, scopes: &[Scope]) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        name: name.into(),
        scopes: scopes.iter().map(|scope| i32::from(*scope)).collect(),
        ttl: None,
    }
}

#[tokio::test]
async fn a_key_does_what_its_scopes_allow_and_no_more() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (secret, _) = ada.key(&[Scope::UploadsWrite]).await;
    assert!(secret.starts_with("sluice_key_") && secret.len() == 54, "{secret}");
    let writer = Client::new(&server.url(), &secret);
    let file = writer.put("a", &Content::new(1, 100)).await.expect("it may write");
    let refused = assert_reason(writer.file(&file.id).await, Reason::ScopeMissing);
    assert_eq!(fact(&refused, "scope"), "files:read");
    assert_eq!(ada.client.file(&file.id).await.unwrap(), file);

    // A key makes no key that may do more than itself.
    let (keeper, _) = ada.key(&[Scope::AccountWrite, Scope::FilesRead]).await;
    let mut accounts = Client::new(&server.url(), &keeper).accounts;
    accounts.create_api_key(request("less", &[Scope::FilesRead])).await.unwrap();
    let more = accounts.create_api_key(request("more", &[Scope::FilesWrite])).await;
    assert_eq!(fact(&assert_reason(more, Reason::ScopeMissing), "scope"), "files:write");

    // And nobody but the operator may look after others.
    let admin = ada.client.accounts.clone().create_api_key(request("admin", &[Scope::Admin])).await;
    assert_eq!(fact(&assert_reason(admin, Reason::ScopeMissing), "scope"), "admin");
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_hashed() {
    let mut server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (secret, id) = ada.key(&[Scope::FilesRead]).await;
    let client = Client::new(&server.url(), &secret);
    client.list_files(ListFilesRequest::default()).await.unwrap();
    let mut accounts = ada.client.accounts.clone();
    eventually("its use is noted", LIMIT, async || {
        let listed = accounts.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        let keys = listed.into_inner().api_keys;
        assert_eq!(keys.len(), 1);
        assert_eq!((&keys[0].id, &keys[0].name[..]), (&id, "a key"));
        assert!(!format!("{keys:?}").contains(&secret[11..]));
        keys[0].last_use_time.is_some()
    })
    .await;
    server.stop().await;
    let folder = walkdir::WalkDir::new(server.data_dir()).into_iter().filter_map(Result::ok);
    for file in folder.filter(|file| file.file_type().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{} holds the key", file.path().display());
    }
}

#[tokio::test]
async fn a_key_ends_when_it_is_revoked_or_its_time_is_over() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (secret, id) = ada.key(&[Scope::FilesRead]).await;
    let client = Client::new(&server.url(), &secret);
    client.list_files(ListFilesRequest::default()).await.unwrap();
    let mut accounts = ada.client.accounts.clone();
    let revoke = RevokeApiKeyRequest { api_key_id: id };
    let bob = server.person("bob").await;
    let foreign = bob.client.accounts.clone().revoke_api_key(revoke.clone()).await;
    assert_reason(foreign, Reason::ApiKeyNotFound);
    accounts.revoke_api_key(revoke.clone()).await.unwrap();
    let listed = client.list_files(ListFilesRequest::default()).await;
    assert_reason(listed, Reason::CredentialsInvalid);
    assert_reason(accounts.revoke_api_key(revoke).await, Reason::ApiKeyNotFound);

    let ttl = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    let short = CreateApiKeyRequest { ttl, ..request("short", &[Scope::FilesRead]) };
    let secret = accounts.create_api_key(short).await.unwrap().into_inner().secret;
    let client = Client::new(&server.url(), &secret);
    client.list_files(ListFilesRequest::default()).await.unwrap();
    eventually("the key has expired", LIMIT, async || {
        match client.list_files(ListFilesRequest::default()).await {
            Ok(_) => false,
            refused => {
                assert_reason(refused, Reason::TokenExpired);
                true
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_said() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let mut accounts = ada.client.accounts.clone();
    let mut refused = async |request| invalid_field(accounts.create_api_key(request).await);
    assert_eq!(refused(request("", &[Scope::FilesRead])).await, "name");
    assert_eq!(refused(request("a", &[])).await, "scopes");
    assert_eq!(refused(request("a", &[Scope::FilesRead, Scope::Unspecified])).await, "scopes[1]");
    let unknown = CreateApiKeyRequest { scopes: vec![99], ..request("a", &[]) };
    assert_eq!(refused(unknown).await, "scopes[0]");
    let zero = Some(prost_types::Duration::default());
    let at_once = CreateApiKeyRequest { ttl: zero, ..request("a", &[Scope::FilesRead]) };
    assert_eq!(refused(at_once).await, "ttl");
    // Nothing came of any of them.
    let mut accounts = ada.client.accounts.clone();
    let listed = accounts.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().api_keys, []);
    assert!(ada.client.create(named("a")).await.is_ok());
}
