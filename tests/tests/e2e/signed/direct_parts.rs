//! Parts that curl sends past the server, straight to storage.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use sluice_domain::{Crc32c, Reason};
use sluice_proto::v1::{
    CompleteUploadRequest, CreateUploadRequest, DeclaredPart, File, ObjectChecksums, SignedPart,
    Upload, file::State,
};
use sluice_tests::{
    Client, Content, Curl, Frames, LocalAws, MIB, Server, assert_reason, declared, eventually,
    fact, in_small_parts, part_bytes, persisted,
};

use super::{signed, upload_of};

/// How long the worker may take to read a small file, also after its predecessor
/// was killed.
const READING: Duration = Duration::from_secs(90);

/// A server that sends clients to storage.
pub(super) async fn direct_server() -> Server {
    let setup = Server::with().setting("SLUICE__AWS__DIRECT_TRANSFERS", "true");
    setup.account(LocalAws::account().await).start().await
}

async fn put(part: &SignedPart, body: Bytes) -> StatusCode {
    let others = part.headers.iter().filter(|(name, _)| *name != "content-length");
    let curl =
        others.fold(Curl::put(&part.url, body), |curl, (name, value)| curl.header(name, value));
    curl.send().await.status
}

/// Sends these parts and confirms them.
async fn send(client: &Client, upload: &Upload, content: &Content, numbers: &[i32]) {
    let parts: Vec<_> = numbers.iter().map(|number| declared(upload, content, *number)).collect();
    for part in client.sign_parts(upload, parts.clone()).await.unwrap() {
        let body = part_bytes(upload, content, part.part_number);
        assert_eq!(put(&part, body).await, StatusCode::OK);
    }
    let confirmed = client.confirm_parts(upload, parts).await.unwrap();
    assert_eq!(confirmed.missing_part_numbers, [] as [i32; 0]);
}

fn completing(upload: &Upload, blake3: [u8; 32]) -> CompleteUploadRequest {
    CompleteUploadRequest {
        upload_id: upload.id.clone(),
        expected_checksums: Some(expecting(blake3)),
        ..Default::default()
    }
}

fn expecting(blake3: [u8; 32]) -> ObjectChecksums {
    ObjectChecksums { blake3: blake3.to_vec().into(), ..Default::default() }
}

/// The file once the worker has read it.
async fn once_read(client: &Client, file: &File) -> File {
    let is_read = async || client.file(&file.id).await.unwrap().state() != State::Processing;
    eventually("the file is read", READING, is_read).await;
    client.file(&file.id).await.unwrap()
}

#[tokio::test]
async fn parts_that_curl_sends_become_a_file_once_they_are_read() {
    let server = direct_server().await;
    let client = server.client();
    let content = Content::new(31, 4 * MIB + 77);
    let upload = upload_of(&client, "direct", &content).await;
    client.write(Frames::to(&upload).part(&content, upload.part_size, 2)).await.unwrap();
    let part = signed(&client, &upload, &content, 3).await;
    assert!(!part.url.starts_with(&server.url()), "{} is no URL of storage", part.url);
    send(&client, &upload, &content, &[1, 3, 4, 5]).await;
    let size = content.size() as i64;
    let read = client.upload(&upload.id).await.unwrap();
    assert_eq!(persisted(&read).iter().map(|(start, end)| end - start).sum::<i64>(), size);
    let parts = client.parts(&upload.id, 2).await.unwrap();
    for part in &parts {
        let bytes = part_bytes(&upload, &content, part.part_number);
        assert_eq!((part.size, part.crc32c), (bytes.len() as i64, Crc32c::of(&bytes).0));
    }
    assert_eq!(parts.len(), 5);
    // What is persisted is compared, whoever has sent it.
    client.write(Frames::to(&upload).part(&content, upload.part_size, 3)).await.unwrap();
    let other = Frames::to(&upload).part(&Content::new(32, 4 * MIB), upload.part_size, 3);
    assert_reason(client.write(other).await, Reason::ContentConflict);

    let completed = client.complete_with(completing(&upload, content.blake3())).await.unwrap();
    if completed.state() == State::Processing {
        let again = client.complete_with(completing(&upload, [7; 32])).await;
        assert_reason(again, Reason::FileChecksumMismatch);
    }
    let file = once_read(&client, &completed).await;
    assert_eq!((file.state(), file.size), (State::Ready, size));
    let checksums = file.checksums.unwrap();
    assert_eq!(checksums.blake3, content.blake3().as_slice());
    assert_eq!(checksums.crc32c, Some(content.crc32c()));
    client.assert_content(&file.id, &content).await;
    client.assert_range(&file.id, &content, 3 * MIB - 5..4 * MIB + 70).await;
    assert_reason(
        client.complete_with(completing(&upload, [7; 32])).await,
        Reason::FileChecksumMismatch,
    );
}

/// Nobody has declared a BLAKE3, and yet the file has it; also one of a single part.
#[tokio::test]
async fn reading_finds_the_blake3() {
    let server = direct_server().await;
    let client = server.client();
    for (seed, size) in [(1, 1), (2, MIB), (3, 2 * MIB + 1)] {
        let content = Content::new(seed, size);
        let upload = upload_of(&client, &format!("of {size}"), &content).await;
        let parts: Vec<_> = (1..=size.div_ceil(MIB) as i32).collect();
        send(&client, &upload, &content, &parts).await;
        let file = once_read(&client, &client.complete(&upload.id).await.unwrap()).await;
        assert_eq!(file.state(), State::Ready, "{:?}", file.error);
        assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
        client.assert_content(&file.id, &content).await;
    }
}

/// A wrong BLAKE3 is found by reading, whenever it was declared. Until then nobody
/// can read the file, and never after.
#[tokio::test]
async fn a_file_of_other_bytes_than_declared_fails() {
    let server = direct_server().await;
    let client = server.client();
    let content = Content::new(33, MIB + 9);
    for at_creation in [true, false] {
        let request = CreateUploadRequest {
            expected_checksums: at_creation.then(|| expecting([1; 32])),
            ..in_small_parts("wrong", content.size())
        };
        let upload = client.create(request).await.unwrap();
        send(&client, &upload, &content, &[1, 2]).await;
        let file = match at_creation {
            true => client.complete(&upload.id).await.unwrap(),
            false => client.complete_with(completing(&upload, [1; 32])).await.unwrap(),
        };
        assert_reason(client.read(&file.id, 0, 1).await, Reason::FileNotReady);
        let failed = once_read(&client, &file).await;
        assert_eq!(failed.state(), State::Failed);
        assert_eq!(
            failed.error.unwrap().reason(),
            sluice_proto::v1::ErrorReason::FileChecksumMismatch
        );
        assert_reason(client.read(&file.id, 0, 1).await, Reason::FileNotReady);
    }
}

/// Storage takes what was signed and nothing else, and the server believes nobody but
/// storage.
#[tokio::test]
async fn what_was_not_signed_does_not_count() {
    let server = direct_server().await;
    let client = server.client();
    let (content, other) = (Content::new(34, 2 * MIB), Content::new(35, 2 * MIB));
    let upload = upload_of(&client, "checked", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    let bytes = part_bytes(&upload, &content, 1);
    assert_eq!(put(&part, part_bytes(&upload, &other, 1)).await, StatusCode::BAD_REQUEST);
    assert_eq!(put(&part, bytes.slice(1..)).await, StatusCode::FORBIDDEN);
    let url = part.url.replacen("partNumber=1", "partNumber=2", 1);
    assert_ne!(url, part.url);
    let changed = SignedPart { url, ..part.clone() };
    assert_eq!(put(&changed, bytes.clone()).await, StatusCode::FORBIDDEN);
    let parts = [1, 2].map(|number| declared(&upload, &content, number)).to_vec();
    let confirmed = client.confirm_parts(&upload, parts.clone()).await.unwrap();
    assert_eq!(confirmed.missing_part_numbers, [1, 2]);
    assert_eq!(persisted(&confirmed.upload.unwrap()), []);

    // Sent, but declared otherwise.
    assert_eq!(put(&part, bytes.clone()).await, StatusCode::OK);
    let declared_otherwise = vec![declared(&upload, &other, 1)];
    let confirmed = client.confirm_parts(&upload, declared_otherwise).await.unwrap();
    assert_eq!(confirmed.missing_part_numbers, [1]);
    let without = DeclaredPart { crc32c: None, ..parts[0] };
    assert_reason(client.confirm_parts(&upload, vec![without]).await, Reason::ChecksumMissing);
    let confirmed = client.confirm_parts(&upload, parts.clone()).await.unwrap();
    assert_eq!(confirmed.missing_part_numbers, [2]);
    assert_eq!(persisted(&confirmed.upload.unwrap()), [(0, MIB as i64)]);
    let signed = client.sign_parts(&upload, parts).await.unwrap();
    assert_eq!(signed.iter().map(|part| part.part_number).collect::<Vec<_>>(), [2]);
    let conflict = vec![declared(&upload, &other, 1)];
    assert_reason(client.sign_parts(&upload, conflict).await, Reason::ContentConflict);
}

/// The size of an upload may be unknown as long as its parts are whole.
#[tokio::test]
async fn an_upload_of_unknown_size_takes_whole_parts() {
    let server = direct_server().await;
    let client = server.client();
    let content = Content::new(36, 2 * MIB);
    let request = CreateUploadRequest { size: None, ..in_small_parts("growing", 0) };
    let upload = client.create(request).await.unwrap();
    send(&client, &upload, &content, &[1, 2]).await;
    let file = once_read(&client, &client.complete(&upload.id).await.unwrap()).await;
    client.assert_content(&file.id, &content).await;
}

/// Records fence writers: what a stale one has sent counts only if the current one
/// says so, and what it sends too late is never published.
#[tokio::test]
async fn a_stale_writer_changes_no_record() {
    let server = direct_server().await;
    let client = server.client();
    let (content, other) = (Content::new(37, 2 * MIB), Content::new(38, 2 * MIB));
    let old = upload_of(&client, "fenced", &content).await;
    let stale = signed(&client, &old, &other, 1).await;
    let early = signed(&client, &old, &content, 2).await;
    assert_eq!(put(&early, part_bytes(&old, &content, 2)).await, StatusCode::OK);
    let new = client.resume(&old.id).await.unwrap();
    let parts = vec![declared(&old, &content, 2)];
    assert_reason(client.confirm_parts(&old, parts.clone()).await, Reason::StaleWriter);
    assert_reason(client.sign_parts(&old, parts.clone()).await, Reason::StaleWriter);
    let confirmed = client.confirm_parts(&new, parts).await.unwrap();
    assert_eq!(confirmed.missing_part_numbers, [] as [i32; 0]);
    send(&client, &new, &content, &[1]).await;

    assert_eq!(put(&stale, part_bytes(&old, &other, 1)).await, StatusCode::OK);
    let lost = assert_reason(client.complete(&new.id).await, Reason::PartsMissing);
    assert_eq!(fact(&lost, "ranges"), format!("0-{MIB}"));
    send(&client, &new, &content, &[1]).await;
    let file = once_read(&client, &client.complete(&new.id).await.unwrap()).await;
    assert_eq!(file.state(), State::Ready);
    client.assert_content(&file.id, &content).await;
}

/// When an upload ends, its URLs do.
#[tokio::test]
async fn urls_end_with_the_upload() {
    let server = direct_server().await;
    let client = server.client();
    let content = Content::new(39, 2 * MIB);
    let upload = upload_of(&client, "cancelled", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    assert_eq!(put(&part, part_bytes(&upload, &content, 1)).await, StatusCode::OK);
    client.cancel(&upload.id).await.unwrap();
    let ended =
        async || put(&part, part_bytes(&upload, &content, 1)).await == StatusCode::NOT_FOUND;
    eventually("the URL ends", READING, ended).await;
    let parts = vec![declared(&upload, &content, 1)];
    assert_reason(client.sign_parts(&upload, parts.clone()).await, Reason::UploadNotActive);
    assert_reason(client.confirm_parts(&upload, parts).await, Reason::UploadNotActive);
}

/// A server that is killed while it reads a file reads it when it is back.
#[tokio::test]
async fn an_interrupted_reading_is_done_again() {
    let mut server = direct_server().await;
    let content = Content::new(40, 24 * MIB);
    for round in 0..3 {
        let client = server.client();
        let upload = upload_of(&client, &format!("round {round}"), &content).await;
        send(&client, &upload, &content, &(1..=24).collect::<Vec<_>>()).await;
        let file = client.complete(&upload.id).await.unwrap();
        server.kill().await;
        server.restart().await;
        let client = server.client();
        let file = once_read(&client, &file).await;
        assert_eq!(file.state(), State::Ready);
        assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
        client.assert_content(&file.id, &content).await;
    }
}
