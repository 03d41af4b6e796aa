//! Every RPC of the contract with every kind of credential that is not enough,
//! and with everything that somebody else owns.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MethodDescriptor, Value};
use sluice_domain::Reason;
use sluice_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{Scope, revoke_session_request::Target},
};
use sluice_tests::{
    Client, Content, Frames, MIB, Person, Server, assert_reason, assert_refusal, eventually,
    in_small_parts,
};

use crate::access::OPEN;

/// The rule of each RPC, written down a second time on purpose. One that is
/// missing here fails the tests.
fn scopes_of(rpc: &str) -> &'static [Scope] {
    use Scope::{
        AccountRead, AccountWrite, Admin, FilesRead, FilesWrite, UploadsRead, UploadsWrite,
    };
    match rpc {
        "CreateUpload" | "ResumeUpload" | "WriteUpload" | "BidiWriteUpload" | "SignUploadParts"
        | "ConfirmUploadParts" | "CompleteUpload" | "CancelUpload" => &[UploadsWrite],
        "GetUpload" | "ListUploads" | "ListUploadParts" => &[UploadsRead],
        "GetFile" | "ListFiles" | "ReadFile" | "SignDownloadUrl" => &[FilesRead],
        "UpdateFile" | "DeleteFile" => &[FilesWrite],
        "WatchEvents" => &[UploadsRead, FilesRead],
        "GetAccount" | "ListSessions" | "ListApiKeys" | "GetUsage" | "IntrospectToken" => {
            &[AccountRead]
        }
        "UpdateAccount" | "ChangePassword" | "DeleteAccount" | "RevokeSession" | "CreateApiKey"
        | "RevokeApiKey" => &[AccountWrite],
        "ListAccounts" | "SuspendAccount" | "ReinstateAccount" | "SetQuota"
        | "CreateInvitation" => &[Admin],
        other => panic!("{other} has no rule in this test"),
    }
}

const SCOPES: [Scope; 6] = [
    Scope::UploadsRead,
    Scope::UploadsWrite,
    Scope::FilesRead,
    Scope::FilesWrite,
    Scope::AccountRead,
    Scope::AccountWrite,
];

fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn closed() -> Vec<MethodDescriptor> {
    methods().into_iter().filter(|method| !OPEN.contains(&method.name())).collect()
}

/// Calls with an empty message.
async fn call(client: &Client, method: &MethodDescriptor) -> Result<(), tonic::Status> {
    client.call_raw(&path(method), vec![Bytes::new()], 1).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_the_scope_gets_nowhere() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    for method in closed() {
        let needed = scopes_of(method.name());
        for missing in needed {
            let others: Vec<_> = SCOPES.into_iter().filter(|scope| scope != missing).collect();
            let (key, id) = ada.key(&others).await;
            let refused = call(&Client::new(&server.url(), &key), &method).await;
            let status = assert_reason(refused, Reason::ScopeMissing);
            assert!(!sluice_tests::fact(&status, "scope").is_empty(), "{}", path(&method));
            let revoke = sluice_proto::v1::RevokeApiKeyRequest { api_key_id: id };
            ada.client.accounts.clone().revoke_api_key(revoke).await.unwrap();
        }
        if needed.contains(&Scope::Admin) {
            // A session has every scope but this one.
            assert_reason(call(&ada.client, &method).await, Reason::ScopeMissing);
            continue;
        }
        let (key, id) = ada.key(needed).await;
        if let Err(status) = call(&Client::new(&server.url(), &key), &method).await {
            let reason = assert_refusal(&status);
            assert_ne!(reason, Reason::ScopeMissing, "{}: {status:?}", path(&method));
        }
        let revoke = sluice_proto::v1::RevokeApiKeyRequest { api_key_id: id };
        let _ = ada.client.accounts.clone().revoke_api_key(revoke).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_expired_or_revoked_gets_nowhere() {
    let server = Server::with()
        .open_to_all()
        .setting("SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL", "2s")
        .start()
        .await;
    let ada = server.person("ada").await;
    let (revoked, tokens) = server.signed_in(&ada.email).await.unwrap();
    let target = Some(Target::SessionId(tokens.session_id));
    let request = sluice_proto::v1::RevokeSessionRequest { target };
    ada.client.accounts.clone().revoke_session(request).await.unwrap();
    for method in closed() {
        let reason = match call(&revoked, &method).await {
            Err(status) => assert_refusal(&status),
            Ok(()) => panic!("{} answers a revoked token", path(&method)),
        };
        assert!([Reason::TokenRevoked, Reason::TokenExpired].contains(&reason), "{reason:?}");
    }
    eventually("the token has expired", std::time::Duration::from_secs(10), async || {
        matches!(call(&ada.client, &closed()[0]).await,
            Err(status) if sluice_tests::reason(&status) == Some(Reason::TokenExpired))
    })
    .await;
    for method in closed() {
        assert_reason(call(&ada.client, &method).await, Reason::TokenExpired);
    }
}

/// What one account owns.
struct Belongings {
    ids: BTreeSet<String>,
    secrets: Vec<String>,
}

async fn belongings(person: &Person) -> Belongings {
    let name = "the diary of ada";
    let file = person.client.put(name, &Content::new(1, MIB)).await.unwrap();
    let upload = person.client.create(in_small_parts("a letter of ada", 2 * MIB)).await.unwrap();
    let part = Frames::to(&upload).range(&Content::new(2, 2 * MIB), 0..MIB);
    person.client.write(part).await.unwrap();
    let (_, key) = person.key(&[Scope::FilesRead]).await;
    let session = person.tokens.session_id.clone();
    Belongings {
        ids: [file.id, file.upload_id, upload.id, upload.file_id, key, session].into(),
        secrets: vec![name.into(), "a letter of ada".into(), person.email.clone()],
    }
}

/// The request of a method with a foreign id wherever one of this kind fits;
/// nothing if there is no place for it.
fn with_id(method: &MethodDescriptor, id: &str) -> Option<DynamicMessage> {
    let mut message = DynamicMessage::new(method.input());
    let mut placed = false;
    for field in method.input().fields() {
        let name = field.name().to_owned();
        let fits = match id.split_once('_').map(|(prefix, _)| prefix) {
            Some("upl") => name == "upload_id" || name == "upload_ids",
            Some("file") => name == "file_id" || name == "file_ids",
            Some("ses") => name == "session_id",
            Some("key") => name == "api_key_id",
            _ => false,
        };
        let value = Value::String(id.to_owned());
        if fits && field.kind() == Kind::String {
            let value = if field.is_list() { Value::List(vec![value]) } else { value };
            message.set_field(&field, value);
            placed = true;
        } else if name == "file"
            && id.starts_with("file_")
            && let Kind::Message(file) = field.kind()
        {
            let mut inner = DynamicMessage::new(file);
            inner.set_field_by_name("id", value);
            inner.set_field_by_name("name", Value::String("stolen".into()));
            message.set_field(&field, Value::Message(inner));
            placed = true;
        } else if name == "writer_epoch" {
            message.set_field(&field, Value::I64(1));
        }
    }
    placed.then_some(message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_somebody_else_is_not_there() {
    let server = Server::with().open_to_all().start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let own = belongings(&ada).await;
    let mut asked = 0;
    for method in closed() {
        for id in &own.ids {
            let Some(message) = with_id(&method, id) else { continue };
            let bytes = Bytes::from(prost_reflect::prost::Message::encode_to_vec(&message));
            let outcome = bob.client.call_raw(&path(&method), vec![bytes], 5).await;
            let status = outcome.expect_err(&path(&method));
            let reason = assert_refusal(&status);
            // Some look at the rest of the request first: nothing was looked up.
            let fine = [
                Reason::UploadNotFound,
                Reason::FileNotFound,
                Reason::SessionNotFound,
                Reason::ApiKeyNotFound,
                Reason::InvalidField,
            ];
            assert!(fine.contains(&reason), "{} with {id}: {status:?}", path(&method));
            let text = format!("{status:?}");
            for secret in &own.secrets {
                assert!(!text.contains(secret), "{} tells {secret:?}", path(&method));
            }
            asked += 1;
        }
    }
    assert!(asked >= 20, "only {asked} requests were made");

    // What lists, lists nothing of it.
    for method in closed() {
        let streams = method.is_client_streaming();
        if streams || !(method.name().starts_with("List") || method.name() == "WatchEvents") {
            continue;
        }
        let Ok(answers) = bob.client.call_raw(&path(&method), vec![Bytes::new()], 1).await else {
            continue;
        };
        let text = String::from_utf8_lossy(&answers.concat()).into_owned();
        for hidden in own.ids.iter().chain(&own.secrets) {
            assert!(!text.contains(hidden.as_str()), "{} tells {hidden:?}", path(&method));
        }
    }
    // And she still has everything.
    assert_eq!(ada.client.list_files(Default::default()).await.unwrap().files.len(), 1);
    assert_eq!(ada.client.list_uploads(Default::default()).await.unwrap().uploads.len(), 2);
}
