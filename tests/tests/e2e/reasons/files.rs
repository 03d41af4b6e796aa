//! Refusals of the calls around a file.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_proto::v1::{
    CreateUploadRequest, DeleteFileRequest, File, ObjectChecksums, UpdateFileRequest, file,
};
use sluice_tests::{
    Client, Content, Frames, assert_reason, eventually, fact, in_small_parts, named,
};
use tonic::Status;

pub(super) async fn file_exists(client: &Client) -> Status {
    let file = client.put("taken", &Content::new(1, 1)).await.unwrap();
    let status = client.create(named("taken")).await.unwrap_err();
    assert_eq!(fact(&status, "file_id"), file.id);
    status
}

pub(super) async fn file_not_found(client: &Client) -> Status {
    let id = format!("file_{}", uuid::Uuid::now_v7());
    assert_reason(client.read(&id, 0, 0).await, Reason::FileNotFound);
    assert_reason(client.delete_file(&id).await, Reason::FileNotFound);
    let request = UpdateFileRequest {
        file: Some(File { id: id.clone(), name: "new".into(), ..Default::default() }),
        ..Default::default()
    };
    assert_reason(client.update_file(request).await, Reason::FileNotFound);
    client.file(&id).await.unwrap_err()
}

pub(super) async fn file_not_ready(client: &Client) -> Status {
    let content = Content::new(1, 10);
    let request = CreateUploadRequest {
        expected_checksums: Some(ObjectChecksums {
            sha256: vec![1; 32].into(),
            ..Default::default()
        }),
        ..in_small_parts("never ready", content.size())
    };
    let upload = client.create(request).await.unwrap();
    let frames = Frames::to(&upload).all(&content).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    eventually("the SHA-256 is found wrong", Duration::from_secs(20), async || {
        client.file(&file.id).await.unwrap().state() == file::State::Failed
    })
    .await;
    let status = client.read(&file.id, 0, 0).await.unwrap_err();
    assert_eq!(fact(&status, "state"), "FAILED");
    status
}

pub(super) async fn etag_mismatch(client: &Client) -> Status {
    let file = client.put("versioned", &Content::new(1, 1)).await.unwrap();
    let rename = |etag: &str, name: &str| UpdateFileRequest {
        file: Some(File { id: file.id.clone(), name: name.to_owned(), ..Default::default() }),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let renamed = client.update_file(rename(&file.etag, "renamed")).await.unwrap();
    assert_ne!(renamed.etag, file.etag);
    let refused = client.update_file(rename(&file.etag, "again")).await;
    assert_reason(refused, Reason::EtagMismatch);
    let request = DeleteFileRequest { file_id: file.id, etag: file.etag };
    let status = client.files.clone().delete_file(request).await.unwrap_err();
    assert_eq!(fact(&status, "etag"), renamed.etag);
    status
}
