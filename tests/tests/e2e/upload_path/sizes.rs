//! Files whose size becomes known late, and files of no size.

use sluice_domain::Reason;
use sluice_proto::v1::{CompleteUploadRequest, CreateUploadRequest, Upload, WriteUploadRequest};
use sluice_tests::{
    Client, Content, Frames, MIB, Server, assert_reason, frame, in_small_parts, named, persisted,
};

const SIZE: u64 = 2 * MIB + 77;

async fn unknown(client: &Client, name: &str) -> Upload {
    let request = CreateUploadRequest { size: None, ..in_small_parts(name, 0) };
    let upload = client.create(request).await.unwrap();
    assert_eq!(upload.size, None);
    upload
}

#[tokio::test]
async fn a_final_size_makes_the_short_last_part_whole() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, SIZE);

    let upload = unknown(&client, "at the end").await;
    let frames = Frames::to(&upload).all(&content).final_size(SIZE);
    let after = client.write(frames).await.unwrap().upload.unwrap();
    assert_eq!(persisted(&after), [(0, SIZE as i64)]);
    assert_eq!(after.size, Some(SIZE as i64));

    let upload = unknown(&client, "ahead").await;
    let frames = Frames::to(&upload).final_size(SIZE).all(&content).final_size(SIZE);
    let after = client.write(frames).await.unwrap().upload.unwrap();
    assert_eq!(persisted(&after), [(0, SIZE as i64)]);

    let upload = unknown(&client, "with the last frame").await;
    let last = WriteUploadRequest {
        final_size: Some(SIZE as i64),
        complete: true,
        ..frame(2 * MIB, content.bytes(2 * MIB..SIZE))
    };
    let frames = Frames::to(&upload).range(&content, 0..2 * MIB).message(last);
    let file = client.write(frames).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn a_final_size_may_come_with_a_frame_of_another_part() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(8, MIB + 10);
    let upload = unknown(&client, "backwards").await;
    // The last part first; the message that makes it whole begins another one.
    let both = WriteUploadRequest {
        final_size: Some(content.size() as i64),
        ..frame(0, content.bytes(0..MIB))
    };
    let frames = Frames::to(&upload).range(&content, MIB..MIB + 10).message(both);
    let after = client.write(frames).await.unwrap().upload.unwrap();
    assert_eq!(persisted(&after), [(0, content.size() as i64)]);
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn another_stream_learns_the_size_that_was_fixed() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(2, SIZE);
    let upload = unknown(&client, "told by another").await;
    client.write(Frames::to(&upload).final_size(SIZE)).await.unwrap();

    let after = client.write(Frames::to(&upload).all(&content)).await.unwrap().upload.unwrap();
    assert_eq!(persisted(&after), [(0, SIZE as i64)]);
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn complete_takes_the_highest_byte_of_the_stream_as_the_size() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, SIZE);

    let upload = unknown(&client, "in order").await;
    let file = client.write(Frames::to(&upload).all(&content).complete()).await.unwrap().file;
    client.assert_content(&file.unwrap().id, &content).await;

    let upload = unknown(&client, "in two streams").await;
    client.write(Frames::to(&upload).range(&content, 0..MIB)).await.unwrap();
    let frames = Frames::to(&upload).range(&content, MIB..SIZE).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn complete_in_mid_part_of_a_known_size_is_not_complete() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, SIZE);
    let upload = client.create(in_small_parts("too short", SIZE)).await.unwrap();
    let frames = Frames::to(&upload).range(&content, 0..2 * MIB + 50).complete();
    let status = assert_reason(client.write(frames).await, Reason::PartsMissing);
    assert_eq!(
        sluice_tests::fact(&status, "ranges"),
        format!("{}-{SIZE}", 2 * MIB),
        "the unfinished part does not count"
    );
}

#[tokio::test]
async fn complete_upload_tells_a_size_or_takes_what_is_persisted() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(5, 2 * MIB);

    let upload = unknown(&client, "silent").await;
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &content).await;

    let upload = unknown(&client, "told").await;
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    let with_size = |size: u64| CompleteUploadRequest {
        upload_id: upload.id.clone(),
        size: Some(size as i64),
        ..Default::default()
    };
    let too_small = client.complete_with(with_size(MIB)).await;
    assert_reason(too_small, Reason::SizeMismatch);
    let file = client.complete_with(with_size(2 * MIB)).await.unwrap();
    assert_eq!(file.size, 2 * MIB as i64);
}

#[tokio::test]
async fn a_size_that_was_too_large_says_what_is_missing() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(6, 2 * MIB);
    let upload = unknown(&client, "too large").await;
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    let request = CompleteUploadRequest {
        upload_id: upload.id.clone(),
        size: Some(2 * MIB as i64 + 1),
        ..Default::default()
    };
    let status = assert_reason(client.complete_with(request).await, Reason::PartsMissing);
    let missing = format!("{}-{}", 2 * MIB, 2 * MIB + 1);
    assert_eq!(sluice_tests::fact(&status, "ranges"), missing);
    assert_eq!(sluice_tests::fact(&status, "count"), "1");
}

#[tokio::test]
async fn an_empty_file_needs_no_data() {
    let server = Server::start().await;
    let client = server.client();
    let empty = Content::new(0, 0);

    let file = client.put("in one call", &empty).await.unwrap();
    client.assert_content(&file.id, &empty).await;

    let upload = client.create(in_small_parts("in two calls", 0)).await.unwrap();
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &empty).await;

    let upload = client.create(named("of unknown size")).await.unwrap();
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &empty).await;

    let upload = client.create(named("by a stream")).await.unwrap();
    let file = client.write(Frames::to(&upload).complete()).await.unwrap().file.unwrap();
    assert_eq!(file.checksums.unwrap().blake3, blake3::hash(b"").as_bytes().as_slice());
}

#[tokio::test]
async fn a_frame_without_content_is_no_data() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(7, 10);
    let upload = client.create(in_small_parts("with gaps", 10)).await.unwrap();
    let frames = Frames::to(&upload)
        .frame(0, content.bytes(0..4))
        .frame(4, content.bytes(4..4))
        .frame(4, content.bytes(4..10))
        .complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}
