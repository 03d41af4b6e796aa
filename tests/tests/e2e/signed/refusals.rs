//! What cannot be signed.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_proto::v1::{
    DeclaredPart, SignDownloadUrlRequest, Upload, sign_download_url_request::Disposition,
};
use sluice_tests::{
    Client, Content, Frames, Server, assert_reason, declared, fact, invalid_field, named,
};

use super::{MIB, upload_of};

async fn refused_field(client: &Client, upload: &Upload, parts: Vec<DeclaredPart>) -> String {
    let field = invalid_field(client.confirm_parts(upload, parts.clone()).await);
    assert_eq!(invalid_field(client.sign_parts(upload, parts).await), field);
    field
}

#[tokio::test]
async fn wrong_parts_are_not_signed() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 2 * MIB + 10);
    let upload = upload_of(&client, "parts", &content).await;
    let part = |number| declared(&upload, &content, number);
    let of_size = |number, size| DeclaredPart { size, ..part(number) };
    let mib = MIB as i64;
    for (parts, field) in [
        (vec![], "parts"),
        (vec![part(1); 101], "parts"),
        (vec![part(1), part(1)], "parts[1].part_number"),
        (vec![DeclaredPart { part_number: 0, ..part(1) }], "parts[0].part_number"),
        (vec![DeclaredPart { part_number: -1, ..part(1) }], "parts[0].part_number"),
        (vec![DeclaredPart { part_number: 10_001, ..part(1) }], "parts[0].part_number"),
        (vec![DeclaredPart { part_number: 4, ..part(1) }], "parts[0].part_number"),
        (vec![of_size(1, -1)], "parts[0].size"),
        (vec![of_size(1, 0)], "parts[0].size"),
        (vec![of_size(1, mib - 1)], "parts[0].size"),
        (vec![part(2), of_size(1, mib + 1)], "parts[1].size"),
        (vec![of_size(3, mib)], "parts[0].size"),
        (vec![of_size(3, 9)], "parts[0].size"),
    ] {
        assert_eq!(refused_field(&client, &upload, parts.clone()).await, field, "{parts:?}");
    }
    let bare = DeclaredPart { crc32c: None, ..part(2) };
    let status =
        assert_reason(client.sign_parts(&upload, vec![bare]).await, Reason::ChecksumMissing);
    assert_eq!(fact(&status, "offset"), MIB.to_string());
    let stale = Upload { writer_epoch: 2, ..upload.clone() };
    assert_reason(client.sign_parts(&stale, vec![part(1)]).await, Reason::StaleWriter);
    assert_reason(client.confirm_parts(&stale, vec![part(1)]).await, Reason::StaleWriter);
    client.cancel(&upload.id).await.unwrap();
    assert_reason(client.sign_parts(&upload, vec![part(1)]).await, Reason::UploadNotActive);
    assert_reason(client.confirm_parts(&upload, vec![part(1)]).await, Reason::UploadNotActive);
}

#[tokio::test]
async fn persisted_parts_are_not_signed_again() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 3 * MIB);
    let upload = upload_of(&client, "persisted", &content).await;
    client.write(Frames::to(&upload).part(&content, upload.part_size, 2)).await.unwrap();
    let part = |number| declared(&upload, &content, number);
    let signed = client.sign_parts(&upload, vec![part(3), part(2), part(1)]).await.unwrap();
    let numbers: Vec<_> = signed.iter().map(|part| part.part_number).collect();
    assert_eq!(numbers, [3, 1]);
    let other = DeclaredPart { crc32c: Some(1), ..part(2) };
    let outcome = client.sign_parts(&upload, vec![part(1), other]).await;
    let status = assert_reason(outcome, Reason::ContentConflict);
    assert_eq!(fact(&status, "offset"), MIB.to_string());
    assert_reason(client.confirm_parts(&upload, vec![other]).await, Reason::ContentConflict);
}

#[tokio::test]
async fn of_an_unknown_size_only_whole_parts_are_signed() {
    let server = Server::start().await;
    let client = server.client();
    let request = sluice_proto::v1::CreateUploadRequest {
        max_size: Some(3 * MIB as i64 + 5),
        preferred_part_size: Some(MIB as i64),
        ..named("unknown")
    };
    let upload = client.create(request).await.unwrap();
    let content = Content::new(1, 8 * MIB);
    let part = |number| declared(&upload, &content, number);
    assert_eq!(client.sign_parts(&upload, vec![part(3)]).await.unwrap().len(), 1);
    let beyond = client.sign_parts(&upload, vec![part(4)]).await;
    assert_eq!(invalid_field(beyond), "parts[0].part_number");
    let short = DeclaredPart { size: 5, ..part(3) };
    assert_eq!(invalid_field(client.sign_parts(&upload, vec![short]).await), "parts[0].size");
}

#[tokio::test]
async fn wrong_links_are_not_signed() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("file", &Content::new(1, 100)).await.unwrap();
    let sign = async |ttl| {
        let outcome = client.link_for(&file.id, ttl, Disposition::Attachment).await;
        outcome.map(drop)
    };
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    sign(week).await.unwrap();
    sign(Duration::from_nanos(1)).await.unwrap();
    for ttl in
        [Duration::ZERO, week + Duration::from_nanos(1), Duration::from_secs(u32::MAX.into())]
    {
        assert_eq!(invalid_field(sign(ttl).await), "ttl");
    }
    let call = async |request| client.files.clone().sign_download_url(request).await.map(drop);
    let request = SignDownloadUrlRequest { file_id: file.id.clone(), ..Default::default() };
    let negative = prost_types::Duration { seconds: -1, nanos: 0 };
    let extreme = prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN };
    for ttl in [negative, extreme] {
        let request = SignDownloadUrlRequest { ttl: Some(ttl), ..request.clone() };
        assert_eq!(invalid_field(call(request).await), "ttl");
    }
    let unknown = SignDownloadUrlRequest { disposition: 9, ..request.clone() };
    assert_eq!(invalid_field(call(unknown).await), "disposition");
    client.delete_file(&file.id).await.unwrap();
    assert_reason(call(request).await, Reason::FileNotFound);
}
