//! Refusals of frames.

use std::time::Duration;

use sluice_domain::{MAX_FRAME_SIZE, Reason};
use sluice_proto::v1::{ChecksummedData, CreateUploadRequest, Upload, WriteUploadRequest};
use sluice_tests::{
    Client, Content, Frames, MIB, Server, Stored, assert_reason, eventually, fact, in_small_parts,
    named, persisted,
};
use tonic::Status;

async fn three_parts(client: &Client, name: &str) -> Upload {
    client.create(in_small_parts(name, 3 * MIB)).await.unwrap()
}

pub(super) async fn checksum_missing(client: &Client) -> Status {
    let upload = three_parts(client, "unchecked").await;
    let unchecked = WriteUploadRequest {
        write_offset: MIB as i64,
        checksummed_data: Some(ChecksummedData { content: "x".into(), crc32c: None }),
        ..Default::default()
    };
    let status = client.write(Frames::to(&upload).message(unchecked)).await.unwrap_err();
    assert_eq!(fact(&status, "offset"), MIB.to_string());
    status
}

pub(super) async fn checksum_mismatch(client: &Client) -> Status {
    let upload = three_parts(client, "damaged").await;
    let content = Content::new(1, 3 * MIB);
    let frames = Frames::to(&upload)
        .framed(MIB / 2)
        .range(&content, 0..MIB + MIB / 2)
        .damaged_frame(MIB + MIB / 2, content.bytes(MIB + MIB / 2..2 * MIB));
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "offset"), (MIB + MIB / 2).to_string());
    let after = client.upload(&upload.id).await.unwrap();
    assert_eq!(persisted(&after), [(0, MIB as i64)], "whole parts before it stay");
    status
}

pub(super) async fn frame_too_large(client: &Client) -> Status {
    let upload = client.create(named("large frames")).await.unwrap();
    let content = Content::new(1, MAX_FRAME_SIZE + 1);
    let largest = Frames::to(&upload).frame(0, content.bytes(0..MAX_FRAME_SIZE));
    client.write(largest).await.expect("a frame of the largest size is taken");
    let frames = Frames::to(&upload).frame(0, content.all());
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "max_bytes"), MAX_FRAME_SIZE.to_string());

    let huge = Content::new(1, 8 * MIB);
    let frames = Frames::to(&upload).frame(0, huge.all());
    assert_reason(client.write(frames).await, Reason::FrameTooLarge);
    status
}

pub(super) async fn frame_crosses_part(client: &Client) -> Status {
    let upload = three_parts(client, "crossing").await;
    let content = Content::new(1, 3 * MIB);
    let frames = Frames::to(&upload).frame(0, content.bytes(0..10));
    let frames = frames.frame(10, content.bytes(10..MIB + 1));
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "part_size"), MIB.to_string());
    status
}

pub(super) async fn offset_mismatch(client: &Client) -> Status {
    let upload = three_parts(client, "displaced").await;
    let content = Content::new(1, 3 * MIB);
    let expect = async |frames: Frames, offset: u64| {
        let status = assert_reason(client.write(frames).await, Reason::OffsetMismatch);
        assert_eq!(fact(&status, "expected_offset"), offset.to_string());
        assert_eq!(fact(&status, "part_size"), MIB.to_string());
        status
    };
    let to = || Frames::to(&upload);
    expect(to().frame(1, "x"), 0).await;
    expect(to().frame(0, "xyz").frame(2, "x"), 3).await;
    expect(to().frame(0, "xyz").frame(MIB, "x"), 3).await;
    expect(to().range(&content, MIB..2 * MIB).frame(MIB + 1, "x"), 2 * MIB).await
}

pub(super) async fn size_exceeded(client: &Client) -> Status {
    let upload = three_parts(client, "excessive").await;
    let frames = Frames::to(&upload).frame(3 * MIB, "x");
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "size"), (3 * MIB).to_string());

    let bounded = CreateUploadRequest { max_size: Some(5), ..named("bounded") };
    let bounded = client.create(bounded).await.unwrap();
    let frames = Frames::to(&bounded).frame(0, "123456");
    let refused = assert_reason(client.write(frames).await, Reason::SizeExceeded);
    assert_eq!(fact(&refused, "size"), "5");
    status
}

pub(super) async fn content_conflict(client: &Client) -> Status {
    let upload = three_parts(client, "conflicting").await;
    let (one, other) = (Content::new(1, 3 * MIB), Content::new(2, 3 * MIB));
    client.write(Frames::to(&upload).range(&one, MIB..2 * MIB)).await.unwrap();
    let frames = Frames::to(&upload).all(&other);
    let status = client.write(frames).await.unwrap_err();
    assert_eq!(fact(&status, "offset"), MIB.to_string());
    status
}

pub(super) async fn stale_writer(client: &Client) -> Status {
    let upload = three_parts(client, "fenced").await;
    assert_eq!(client.resume(&upload.id).await.unwrap().writer_epoch, 2);
    let frames = Frames::to_epoch(&upload.id, 3);
    assert_reason(client.write(frames).await, Reason::StaleWriter);
    let status = client.write(Frames::to(&upload)).await.unwrap_err();
    assert_eq!(fact(&status, "writer_epoch"), "2");
    status
}

/// A part is busy while another stream of the same epoch is lively: so one
/// stream drips into a part until the other has been turned away.
pub(super) async fn part_busy(server: &Server, client: &Client) -> Status {
    let content = Content::new(20, 4 * MIB);
    let request = CreateUploadRequest {
        preferred_part_size: Some(4 * MIB as i64),
        ..in_small_parts("busy", content.size())
    };
    let upload = client.create(request).await.unwrap();
    let dripping = client.open();
    dripping.send(Frames::to(&upload).range(&content, 0..MIB)).await;
    eventually("the first stream writes", Duration::from_secs(10), async || {
        Stored::find(&server.data_dir(), &content).is_some()
    })
    .await;

    let drip = async {
        let mut end = MIB;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(dripping.send(Frames::empty().range(&content, end..end + 1)).await);
            end += 1;
        }
    };
    let frames = Frames::to(&upload).all(&content);
    let status = tokio::select! {
        outcome = client.write(frames) => outcome.unwrap_err(),
        () = drip => unreachable!("it drips for ever"),
    };
    assert_eq!(fact(&status, "offset"), "0");
    status
}
