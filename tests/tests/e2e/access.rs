//! Who may call what.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use prost_reflect::DescriptorPool;
use sluice_domain::Reason;
use sluice_proto::FILE_DESCRIPTOR_SET;
use sluice_tests::{Client, Server, assert_reason, assert_refusal};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The services of the contract.
const SERVICES: [&str; 7] = [
    "UploadService",
    "FileService",
    "EventService",
    "CapabilitiesService",
    "AuthService",
    "AccountService",
    "AdminService",
];

/// What needs no credential.
pub(super) const OPEN: [&str; 7] = [
    "GetCapabilities",
    "Register",
    "Login",
    "RefreshSession",
    "Logout",
    "StartOAuth",
    "CompleteOAuth",
];

/// The path of every RPC of the contract.
pub(super) fn rpcs() -> Vec<String> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    pool.services()
        .flat_map(|service| {
            let path = |method: prost_reflect::MethodDescriptor| {
                format!("/{}/{}", service.full_name(), method.name())
            };
            service.methods().map(path).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn every_rpc_but_capabilities_needs_a_credential() {
    let server = Server::start().await;
    let key = server.key();
    let altered =
        format!("{}{}", &key[..key.len() - 1], if key.ends_with('a') { 'b' } else { 'a' });
    let strangers = [
        Client::anonymous(&server.url()),
        Client::new(&server.url(), ""),
        Client::new(&server.url(), "x"),
        Client::new(&server.url(), &altered),
        Client::new(&server.url(), &key[..key.len() - 1]),
        Client::new(&server.url(), &format!("{key} {key}")),
    ];
    let rpcs = rpcs();
    assert!(rpcs.len() >= 18, "too few RPCs: {rpcs:?}");
    for rpc in rpcs {
        for stranger in &strangers {
            let outcome = stranger.call_raw(&rpc, vec![Bytes::new()], 1).await;
            match rpc.rsplit_once('/').map(|(_, method)| method) {
                Some("GetCapabilities") => {
                    outcome.expect("anybody may ask what the server offers");
                }
                Some(method) if OPEN.contains(&method) => {
                    let reason = assert_refusal(&outcome.expect_err("nothing was asked for"));
                    assert_ne!(reason, Reason::ScopeMissing, "{rpc}");
                }
                _ => drop(assert_reason(outcome, Reason::CredentialsInvalid)),
            }
        }
    }
}

#[tokio::test]
async fn a_credential_is_asked_for_before_the_message_is_read() {
    let server = Server::start().await;
    let broken = Bytes::from_static(&[0xff; 100]);
    let is_open = |rpc: &String| OPEN.iter().any(|method| rpc.ends_with(&format!("/{method}")));
    for rpc in rpcs().into_iter().filter(|rpc| !is_open(rpc)) {
        let outcome =
            Client::anonymous(&server.url()).call_raw(&rpc, vec![broken.clone()], 1).await;
        assert_reason(outcome, Reason::CredentialsInvalid);
    }
}

#[tokio::test]
async fn the_operators_key_is_for_the_operator_alone_and_lasts() {
    let mut server = Server::start().await;
    let path = server.data_dir().join("api-key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = server.key();
    assert!(key.len() >= 43, "a key holds 256 random bits");
    server.restart().await;
    assert_eq!(server.key(), key);
    server.client().list_files(Default::default()).await.unwrap();
    assert!(!server.log().contains(&key), "the key is in the log");
    assert!(Server::start().await.key() != key, "every server makes its own key");
}

#[tokio::test]
async fn what_is_not_offered_answers_not_supported() {
    let server = Server::start().await;
    let client = server.client();
    let features = client.capabilities().await.unwrap().features.unwrap();
    let offered = [
        ("/sluice.v1.UploadService/SignUploadParts", features.direct_upload),
        ("/sluice.v1.UploadService/ConfirmUploadParts", features.direct_upload),
        ("/sluice.v1.UploadService/BidiWriteUpload", features.bidi_write_upload),
        ("/sluice.v1.EventService/WatchEvents", features.watch_events),
        ("/sluice.v1.FileService/SignDownloadUrl", features.signed_downloads),
    ];
    for (rpc, offered) in offered {
        let outcome = client.call_raw(rpc, vec![Bytes::new()], 1).await;
        let not_supported = outcome
            .as_ref()
            .err()
            .and_then(sluice_tests::reason)
            .is_some_and(|reason| reason == Reason::NotSupported);
        assert_eq!(not_supported, !offered, "{rpc} answers {outcome:?}");
    }
    let unknown = client.call_raw("/sluice.v1.UploadService/NoSuchRpc", vec![Bytes::new()], 1);
    assert_eq!(unknown.await.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn probes_answer_plain_http() {
    let server = Server::start().await;
    for path in ["/livez", "/readyz"] {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: sluice\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path} answers {answer}");
    }
}

#[tokio::test]
async fn health_is_told_per_service_without_a_credential() {
    let server = Server::start().await;
    let channel = Endpoint::from_shared(server.url()).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let services = SERVICES;
    let services = services.map(|name| format!("sluice.v1.{name}"));
    for service in services.iter().map(String::as_str).chain([""]) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest { service: "no.such.Service".into() };
    assert_eq!(health.check(request).await.unwrap_err().code(), tonic::Code::NotFound);
}

macro_rules! reflected_services {
    ($server:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let channel = Endpoint::from_shared($server.url()).unwrap().connect().await.unwrap();
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel);
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
        let answer = answers.into_inner().message().await.unwrap().unwrap();
        match answer.message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            other => panic!("not a list of services: {other:?}"),
        }
    }};
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let server = Server::start().await;
    for listed in [reflected_services!(server, v1), reflected_services!(server, v1alpha)] {
        for name in SERVICES {
            let name = format!("sluice.v1.{name}");
            assert!(listed.contains(&name), "{name} is not among {listed:?}");
        }
    }
}
