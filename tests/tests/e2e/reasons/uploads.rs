//! Refusals of the calls around an upload.

use std::time::Duration;

use bytes::Bytes;
use sluice_domain::Reason;
use sluice_proto::v1::{CompleteUploadRequest, CreateUploadRequest, upload};
use sluice_tests::{
    Client, Content, Frames, Server, assert_reason, eventually, fact, in_small_parts, named,
};
use tonic::Status;

pub(super) async fn invalid_field(client: &Client) -> Status {
    let status = client.create(named("../escape")).await.unwrap_err();
    assert_eq!(sluice_tests::invalid_field(Err::<(), _>(status.clone())), "name");
    status
}

pub(super) async fn malformed_message(client: &Client) -> Status {
    // Field 1, length-delimited, longer than the message.
    let broken = Bytes::from_static(&[0x0a, 0x7f, b'x']);
    client.call_raw("/sluice.v1.UploadService/GetUpload", vec![broken], 1).await.unwrap_err()
}

pub(super) async fn file_too_large(client: &Client) -> Status {
    let limits = client.capabilities().await.unwrap().limits.unwrap();
    let request =
        CreateUploadRequest { size: Some(limits.max_file_size + 1), ..named("too large") };
    let status = client.create(request).await.unwrap_err();
    assert_eq!(fact(&status, "max_bytes"), limits.max_file_size.to_string());
    status
}

pub(super) async fn content_type_not_allowed() -> Status {
    let setting = r#"["image/*", "text/plain"]"#;
    let server = Server::with().setting("SLUICE__LIMITS__ALLOWED_CONTENT_TYPES", setting);
    let server = server.start().await;
    let client = server.client();
    let of_type = |content_type: &str| CreateUploadRequest {
        content_type: content_type.to_owned(),
        ..named(content_type)
    };
    for allowed in ["image/png", "IMAGE/WEBP", "text/plain; charset=utf-8"] {
        client.create(of_type(allowed)).await.unwrap();
    }
    let offered = client.capabilities().await.unwrap().limits.unwrap().allowed_content_types;
    assert_eq!(offered, ["image/*", "text/plain"]);
    let untyped = client.create(named("of no type")).await;
    assert_reason(untyped, Reason::ContentTypeNotAllowed);
    client.create(of_type("text/html")).await.unwrap_err()
}

pub(super) async fn request_id_reused(client: &Client) -> Status {
    let request = CreateUploadRequest { request_id: "reused".into(), ..named("one body") };
    client.create(request.clone()).await.unwrap();
    let other = CreateUploadRequest { name: "another body".into(), ..request };
    client.create(other).await.unwrap_err()
}

pub(super) async fn upload_not_found(client: &Client) -> Status {
    let id = format!("upl_{}", uuid::Uuid::now_v7());
    let frames = Frames::to_epoch(&id, 1);
    assert_reason(client.write(frames).await, Reason::UploadNotFound);
    assert_reason(client.resume(&id).await, Reason::UploadNotFound);
    assert_reason(client.complete(&id).await, Reason::UploadNotFound);
    assert_reason(client.cancel(&id).await, Reason::UploadNotFound);
    assert_reason(client.parts(&id, 0).await, Reason::UploadNotFound);
    client.upload(&id).await.unwrap_err()
}

pub(super) async fn upload_not_active(client: &Client) -> Status {
    let upload = client.create(named("cancelled")).await.unwrap();
    client.cancel(&upload.id).await.unwrap();
    let status = client.complete(&upload.id).await.unwrap_err();
    assert_eq!(fact(&status, "state"), "CANCELLED");
    status
}

pub(super) async fn upload_expired() -> Status {
    let server = Server::with()
        .setting("SLUICE__LIMITS__UPLOAD_TTL", "1s")
        .setting("SLUICE__WORKER__SWEEP_INTERVAL", "1s")
        .start()
        .await;
    let client = server.client();
    let content = Content::new(1, 10);
    let upload = client.create(in_small_parts("forgotten", content.size())).await.unwrap();
    eventually("the upload expires", Duration::from_secs(30), async || {
        client.upload(&upload.id).await.unwrap().state() == upload::State::Expired
    })
    .await;
    assert_reason(client.resume(&upload.id).await, Reason::UploadExpired);
    assert_reason(client.complete(&upload.id).await, Reason::UploadExpired);
    let cancelled = client.cancel(&upload.id).await.expect("what ended is returned as it is");
    assert_eq!(cancelled.state(), upload::State::Expired);
    let frames = Frames::to(&upload).all(&content);
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "state"), "EXPIRED");
    status
}

pub(super) async fn parts_missing(client: &Client) -> Status {
    let mib = sluice_tests::MIB;
    let content = Content::new(1, 400 * mib);
    let upload = client.create(in_small_parts("with holes", content.size())).await.unwrap();
    // Every second part of 250: more holes than an error lists.
    let frames = (1..=125)
        .fold(Frames::to(&upload), |frames, n| frames.part(&content, upload.part_size, 2 * n));
    client.write(frames).await.unwrap();
    let status = client.complete(&upload.id).await.unwrap_err();
    assert_eq!(fact(&status, "count"), "126");
    let ranges = fact(&status, "ranges");
    let expect: Vec<_> =
        (0..100).map(|n| format!("{}-{}", 2 * n * mib, (2 * n + 1) * mib)).collect();
    assert_eq!(ranges.split(',').collect::<Vec<_>>(), expect);
    client.cancel(&upload.id).await.unwrap();
    status
}

pub(super) async fn size_mismatch(client: &Client) -> Status {
    let upload = client.create(in_small_parts("of ten bytes", 10)).await.unwrap();
    let frames = Frames::to(&upload).final_size(11);
    assert_reason(client.write(frames).await, Reason::SizeMismatch);
    let request =
        CompleteUploadRequest { upload_id: upload.id, size: Some(9), ..Default::default() };
    client.complete_with(request).await.unwrap_err()
}

pub(super) async fn file_checksum_mismatch(client: &Client) -> Status {
    let content = Content::new(1, 10);
    let upload = client.create(in_small_parts("misdeclared", 10)).await.unwrap();
    let wrong =
        sluice_proto::v1::ObjectChecksums { blake3: vec![1; 32].into(), ..Default::default() };
    let frames = Frames::to(&upload).all(&content).complete_expecting(wrong);
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "algorithm"), "blake3");
    assert_eq!(fact(&status, "expected"), hex::encode([1; 32]));
    assert_eq!(fact(&status, "actual"), hex::encode(content.blake3()));
    status
}

pub(super) async fn credentials_invalid(server: &Server) -> Status {
    let stranger = Client::new(&server.url(), "sk_wrong");
    assert_reason(stranger.create(named("x")).await, Reason::CredentialsInvalid);
    Client::anonymous(&server.url()).create(named("x")).await.unwrap_err()
}

pub(super) async fn resume_token_invalid(client: &Client) -> Status {
    client.watch_from("not-a-token").await.map(drop).unwrap_err()
}

/// An RPC that no server offers.
pub(super) async fn not_supported(client: &Client) -> Status {
    let unknown = "/sluice.v1.UploadService/NoSuchRpc";
    client.call_raw(unknown, vec![Bytes::new()], 1).await.unwrap_err()
}
