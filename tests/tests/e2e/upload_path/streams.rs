//! Streams that run on, jump, repeat and break off.

use std::collections::BTreeMap;

use futures::future::join_all;
use rand::seq::SliceRandom;
use sluice_domain::Crc32c;
use sluice_proto::v1::{WriteUploadRequest, file, upload, write_upload_request::FirstMessage};
use sluice_tests::{
    Content, Frames, MIB, Seed, Server, eventually, frame, in_small_parts, persisted,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_streams_fill_one_upload_out_of_order_and_with_duplicates() {
    let seed = Seed::of("four_streams_fill_one_upload_out_of_order_and_with_duplicates");
    let server = Server::start().await;
    let content = Content::new(seed.value(), 24 * MIB + 7);
    let client = server.client();
    let upload = client.create(in_small_parts("four", content.size())).await.unwrap();

    // Each part is sent by two streams, in an order of their own.
    let streams = (0..4).map(|lane| {
        let mut numbers: Vec<u64> =
            (1..=25).filter(|n| n % 4 == lane || n % 4 == (lane + 1) % 4).collect();
        numbers.shuffle(&mut seed.rng(lane));
        let frames = numbers.iter().fold(Frames::to(&upload), |frames, number| {
            frames.part(&content, upload.part_size, *number)
        });
        let client = server.client();
        async move { client.write(frames).await }
    });
    for answer in join_all(streams).await {
        answer.expect("a duplicate is checked and dropped");
    }

    let upload = client.upload(&upload.id).await.unwrap();
    assert_eq!(persisted(&upload), [(0, content.size() as i64)]);
    let file = client.complete(&upload.id).await.unwrap();
    assert_eq!(file.state(), file::State::Ready);
    assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn one_stream_may_jump_between_parts() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 5 * MIB + 100);
    let upload = client.create(in_small_parts("jumps", content.size())).await.unwrap();
    let part = |frames: Frames, number| frames.part(&content, upload.part_size, number);

    let frames = [6, 3, 4, 1].into_iter().fold(Frames::to(&upload), part);
    let answer = client.write(frames).await.unwrap();
    let mib = MIB as i64;
    assert_eq!(
        persisted(&answer.upload.unwrap()),
        [(0, mib), (2 * mib, 4 * mib), (5 * mib, 5 * mib + 100)]
    );

    let frames = [5, 2].into_iter().fold(Frames::to(&upload), part).complete();
    let file = client.write(frames).await.unwrap().file.expect("it is complete");
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn frames_of_any_size_make_the_same_file() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(2, 2 * MIB + 300);
    for frame_size in [1000, 65_537, MIB - 1, MIB, 2 * MIB] {
        let request = sluice_proto::v1::CreateUploadRequest {
            preferred_part_size: Some(2 * MIB as i64),
            ..in_small_parts(&format!("frames of {frame_size}"), content.size())
        };
        let upload = client.create(request).await.unwrap();
        // Cut at part boundaries as well as at multiples of the frame size.
        let frames = Frames::to(&upload).framed(frame_size);
        let frames = (1..=2).fold(frames, |frames, n| frames.part(&content, upload.part_size, n));
        let file = client.write(frames.complete()).await.unwrap().file.unwrap();
        client.assert_content(&file.id, &content).await;
    }
}

#[tokio::test]
async fn the_first_and_the_last_message_may_carry_data() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 1000);
    let upload = client.create(in_small_parts("compact", content.size())).await.unwrap();

    let only = WriteUploadRequest {
        first_message: Some(FirstMessage::UploadId(upload.id)),
        writer_epoch: 1,
        complete: true,
        ..frame(0, content.all())
    };
    let file = client.write(Frames::empty().message(only)).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn closing_in_mid_part_discards_that_part_alone() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, 3 * MIB);
    let upload = client.create(in_small_parts("cut short", content.size())).await.unwrap();

    let frames = Frames::to(&upload).framed(MIB / 4).range(&content, 0..MIB + MIB / 2);
    let answer = client.write(frames).await.expect("closing in mid-part is no error");
    let after = answer.upload.unwrap();
    assert_eq!(persisted(&after), [(0, MIB as i64)]);
    assert_eq!(after.persisted_bytes, MIB as i64);
    assert_eq!(after.state(), upload::State::Active);
    assert!(answer.file.is_none());

    let frames = Frames::to(&upload).range(&content, MIB..3 * MIB).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn a_cut_connection_keeps_what_was_persisted() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(5, 3 * MIB);
    let upload = client.create(in_small_parts("aborted", content.size())).await.unwrap();

    let other = server.client();
    let stream = other.open();
    let frames = Frames::to(&upload).framed(MIB / 2).range(&content, 0..MIB + MIB / 2);
    assert!(stream.send(frames).await);
    eventually("the first part is persisted", std::time::Duration::from_secs(10), async || {
        client.upload(&upload.id).await.unwrap().persisted_bytes == MIB as i64
    })
    .await;
    drop(stream);
    drop(other);

    let frames = Frames::to(&upload).range(&content, MIB..3 * MIB).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn persisted_parts_sent_again_are_checked_and_dropped() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(6, 2 * MIB + 1);
    let upload = client.create(in_small_parts("again", content.size())).await.unwrap();
    for _ in 0..3 {
        let answer = client.write(Frames::to(&upload).all(&content)).await.unwrap();
        assert_eq!(answer.upload.unwrap().persisted_bytes, content.size() as i64);
    }
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn parts_are_listed_page_by_page_with_size_and_checksum() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(7, 9 * MIB + 5);
    let upload = client.create(in_small_parts("parts", content.size())).await.unwrap();
    let sent = [1, 2, 4, 7, 8, 10];
    let frames = sent.iter().fold(Frames::to(&upload), |frames, number| {
        frames.part(&content, upload.part_size, *number)
    });
    client.write(frames).await.unwrap();

    let expect: BTreeMap<i32, (u64, u64, u32)> = sent
        .iter()
        .map(|number| {
            let start = (number - 1) * MIB;
            let bytes = content.bytes(start..(start + MIB).min(content.size()));
            (*number as i32, (start, bytes.len() as u64, Crc32c::of(&bytes).0))
        })
        .collect();
    for page_size in [0, 1, 2, 5, 6, 1000, i32::MAX] {
        let parts = client.parts(&upload.id, page_size).await.unwrap();
        let listed: Vec<_> = parts
            .iter()
            .map(|part| (part.part_number, (part.offset as u64, part.size as u64, part.crc32c)))
            .collect();
        assert_eq!(listed, expect.clone().into_iter().collect::<Vec<_>>(), "pages of {page_size}");
    }
}
