//! The states of an upload, from the first to the last.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sluice_domain::Reason;
use sluice_proto::v1::{
    CompleteUploadRequest, CreateUploadRequest, ErrorReason, ListUploadsRequest, ObjectChecksums,
    file, upload,
};
use sluice_tests::{
    Content, Frames, MIB, Server, assert_reason, eventually, fact, in_small_parts, invalid_field,
    named,
};

#[tokio::test]
async fn completing_again_gives_the_same_file() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, MIB + 1);
    let upload = client.create(in_small_parts("twice", content.size())).await.unwrap();
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    let file = client.complete(&upload.id).await.unwrap();
    assert_eq!(client.complete(&upload.id).await.unwrap(), file);
    let after = client.upload(&upload.id).await.unwrap();
    assert_eq!(after.state(), upload::State::Completed);

    let refused = client.write(Frames::to(&upload).all(&content)).await;
    let status = assert_reason(refused, Reason::UploadNotActive);
    assert_eq!(fact(&status, "state"), "COMPLETED");
    let refused = client.resume(&upload.id).await;
    assert_reason(refused, Reason::UploadNotActive);
    let refused = client.cancel(&upload.id).await;
    assert_reason(refused, Reason::UploadNotActive);
}

#[tokio::test]
async fn cancelling_ends_an_upload_for_good() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(2, 2 * MIB);
    let upload = client.create(in_small_parts("given up", content.size())).await.unwrap();
    client.write(Frames::to(&upload).range(&content, 0..MIB)).await.unwrap();

    for _ in 0..2 {
        let cancelled = client.cancel(&upload.id).await.unwrap();
        assert_eq!(cancelled.state(), upload::State::Cancelled);
    }
    for refused in [
        client.write(Frames::to(&upload).all(&content)).await.err(),
        client.resume(&upload.id).await.err(),
        client.complete(&upload.id).await.err(),
    ] {
        let status = assert_reason(Err::<(), _>(refused.unwrap()), Reason::UploadNotActive);
        assert_eq!(fact(&status, "state"), "CANCELLED");
    }
    client.create(in_small_parts("given up", 1)).await.expect("the name is free");
}

#[tokio::test]
async fn cancelling_ends_streams_that_are_open() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 4 * MIB);
    let upload = client.create(in_small_parts("under way", content.size())).await.unwrap();
    let stream = client.open();
    stream.send(Frames::to(&upload).range(&content, 0..MIB + 100)).await;
    eventually("the first part is persisted", Duration::from_secs(10), async || {
        client.upload(&upload.id).await.unwrap().persisted_bytes == MIB as i64
    })
    .await;

    client.cancel(&upload.id).await.unwrap();
    stream.send(Frames::empty().range(&content, MIB + 100..4 * MIB)).await;
    assert_reason(stream.outcome().await, Reason::UploadNotActive);
}

#[tokio::test]
async fn what_is_persisted_outlives_the_process() {
    let mut server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, 3 * MIB);
    let upload = client.create(in_small_parts("durable", content.size())).await.unwrap();
    let before = client
        .write(Frames::to(&upload).part(&content, upload.part_size, 2))
        .await
        .unwrap()
        .upload
        .unwrap();
    server.restart().await;

    let client = server.client();
    assert_eq!(client.upload(&upload.id).await.unwrap(), before);
    let frames = Frames::to(&upload).part(&content, upload.part_size, 1);
    let frames = frames.part(&content, upload.part_size, 3).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    server.restart().await;
    server.client().assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn activity_keeps_an_upload_from_expiring() {
    let server = Server::with()
        .setting("SLUICE__LIMITS__UPLOAD_TTL", "3s")
        .setting("SLUICE__WORKER__SWEEP_INTERVAL", "500ms")
        .start()
        .await;
    let client = server.client();
    let content = Content::new(9, 6 * MIB);
    let active = client.create(in_small_parts("busy", content.size())).await.unwrap();
    let idle = client.create(in_small_parts("idle", content.size())).await.unwrap();
    let mut expires = active.expire_time.unwrap().seconds;
    for number in 1..=6 {
        let frames = Frames::to(&active).part(&content, active.part_size, number);
        let after = client.write(frames).await.unwrap().upload.unwrap();
        let now_expires = after.expire_time.unwrap().seconds;
        assert!(now_expires >= expires, "the end of life moves on");
        expires = now_expires;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let state = client.upload(&idle.id).await.unwrap().state();
    assert_eq!(state, upload::State::Expired);
    let file = client.complete(&active.id).await.expect("it was busy all the time");
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn right_checksums_may_be_declared_early_or_late() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(5, 2 * MIB + 3);
    let right = ObjectChecksums {
        crc32c: Some(content.crc32c()),
        sha256: Sha256::digest(content.all()).to_vec().into(),
        blake3: content.blake3().to_vec().into(),
    };
    let early = CreateUploadRequest {
        expected_checksums: Some(right.clone()),
        ..in_small_parts("early", content.size())
    };
    let early = client.create(early).await.unwrap();
    assert_eq!(early.expected_checksums, Some(right.clone()));
    let frames = Frames::to(&early).all(&content).complete();
    let early = client.write(frames).await.unwrap().file.unwrap();

    let late = client.create(in_small_parts("late", content.size())).await.unwrap();
    let frames = Frames::to(&late).all(&content).complete_expecting(right.clone());
    let late = client.write(frames).await.unwrap().file.unwrap();

    for file in [early, late] {
        eventually("the SHA-256 is verified", Duration::from_secs(20), async || {
            client.file(&file.id).await.unwrap().state() == file::State::Ready
        })
        .await;
        assert_eq!(client.file(&file.id).await.unwrap().checksums, Some(right.clone()));
        client.assert_content(&file.id, &content).await;
    }
}

#[tokio::test]
async fn a_wrong_checksum_at_completion_can_be_corrected() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(6, 2 * MIB);
    let upload = client.create(in_small_parts("corrected", content.size())).await.unwrap();
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    let expecting = |checksums| CompleteUploadRequest {
        upload_id: upload.id.clone(),
        expected_checksums: Some(checksums),
        ..Default::default()
    };
    let wrong_crc = ObjectChecksums { crc32c: Some(content.crc32c() ^ 1), ..Default::default() };
    let status = assert_reason(
        client.complete_with(expecting(wrong_crc)).await,
        Reason::FileChecksumMismatch,
    );
    assert_eq!(fact(&status, "algorithm"), "crc32c");
    assert_eq!(fact(&status, "actual"), format!("{:08x}", content.crc32c()));
    let wrong_blake3 = ObjectChecksums { blake3: vec![7; 32].into(), ..Default::default() };
    let status = assert_reason(
        client.complete_with(expecting(wrong_blake3)).await,
        Reason::FileChecksumMismatch,
    );
    assert_eq!(fact(&status, "algorithm"), "blake3");
    assert_eq!(fact(&status, "actual"), hex::encode(content.blake3()));

    let state = client.upload(&upload.id).await.unwrap().state();
    assert_eq!(state, upload::State::Active);
    client.complete(&upload.id).await.unwrap();
}

#[tokio::test]
async fn a_wrong_checksum_at_creation_fails_the_upload() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(7, MIB + 1);
    let request = CreateUploadRequest {
        expected_checksums: Some(ObjectChecksums {
            blake3: vec![7; 32].into(),
            ..Default::default()
        }),
        ..in_small_parts("failed", content.size())
    };
    let upload = client.create(request).await.unwrap();
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    for _ in 0..2 {
        let refused = client.complete(&upload.id).await;
        assert_reason(refused, Reason::FileChecksumMismatch);
    }
    let failed = client.upload(&upload.id).await.unwrap();
    assert_eq!(failed.state(), upload::State::Failed);
    assert_eq!(failed.error.unwrap().reason(), ErrorReason::FileChecksumMismatch);
    assert_reason(client.file(&upload.file_id).await, Reason::FileNotFound);
}

#[tokio::test]
async fn a_wrong_sha256_fails_the_file() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(8, MIB + 1);
    let request = CreateUploadRequest {
        expected_checksums: Some(ObjectChecksums {
            sha256: vec![7; 32].into(),
            ..Default::default()
        }),
        ..in_small_parts("failed later", content.size())
    };
    let upload = client.create(request).await.unwrap();
    let frames = Frames::to(&upload).all(&content).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    eventually("the SHA-256 is found wrong", Duration::from_secs(20), async || {
        client.file(&file.id).await.unwrap().state() == file::State::Failed
    })
    .await;
    let file = client.file(&file.id).await.unwrap();
    let error = file.error.unwrap();
    assert_eq!(error.reason(), ErrorReason::FileChecksumMismatch);
    assert_eq!(error.metadata["algorithm"], "sha256");
    let status = assert_reason(client.read(&file.id, 0, 0).await, Reason::FileNotReady);
    assert_eq!(fact(&status, "state"), "FAILED");
    client.put("failed later", &content).await.expect("a failed file keeps no name");
}

#[tokio::test]
async fn uploads_are_listed_newest_first_page_by_page() {
    let server = Server::start().await;
    let client = server.client();
    let mut newest_first = Vec::new();
    for number in 0..7 {
        newest_first.insert(0, client.create(named(&format!("upload {number}"))).await.unwrap().id);
    }
    for (index, id) in newest_first.iter().enumerate() {
        if index % 2 == 0 {
            client.cancel(id).await.unwrap();
        }
    }
    let list = async |page_size, states: Vec<upload::State>| {
        let states: Vec<i32> = states.into_iter().map(Into::into).collect();
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListUploadsRequest { page_size, page_token, states: states.clone() };
            let page = client.list_uploads(request).await.unwrap();
            assert!(page.uploads.iter().all(|upload| upload.persisted_ranges.is_empty()));
            ids.extend(page.uploads.into_iter().map(|upload| upload.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    };
    for page_size in [0, 1, 3, 7, 2000] {
        assert_eq!(list(page_size, Vec::new()).await, newest_first, "pages of {page_size}");
        let active: Vec<_> = newest_first.iter().skip(1).step_by(2).cloned().collect();
        assert_eq!(list(page_size, vec![upload::State::Active]).await, active);
    }
    let both = vec![upload::State::Active, upload::State::Cancelled];
    assert_eq!(list(2, both).await, newest_first);
    assert!(list(0, vec![upload::State::Completed]).await.is_empty());

    let negative = ListUploadsRequest { page_size: -1, ..Default::default() };
    assert_eq!(invalid_field(client.list_uploads(negative).await), "page_size");
    let foreign = ListUploadsRequest { page_token: "not a token".into(), ..Default::default() };
    assert_eq!(invalid_field(client.list_uploads(foreign).await), "page_token");
}
