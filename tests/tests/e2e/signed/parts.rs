//! Parts by HTTP PUT.

use std::time::Duration;

use futures::{StreamExt, future::join_all, stream};
use http::StatusCode;
use sluice_proto::v1::CompleteUploadRequest;
use sluice_tests::{
    Client, Content, Frames, MIB, Protocol, Server, declared, eventually, http_get, http_stream,
    part_bytes, persisted, scale,
};
use tokio::sync::watch;

use super::{put, put_body, signed, upload_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_parallel_puts_make_an_identical_file() {
    let server = Server::start().await;
    let client = server.client();
    for protocol in Protocol::ALL {
        let content = Content::new(11, 15 * MIB + 4321);
        let upload = upload_of(&client, &format!("over {protocol:?}"), &content).await;
        let parts: Vec<_> = (1..=16).map(|number| declared(&upload, &content, number)).collect();
        let signed = client.sign_parts(&upload, parts.clone()).await.unwrap();
        assert_eq!(signed.len(), 16);
        let before = client.confirm_parts(&upload, parts.clone()).await.unwrap();
        assert_eq!(before.missing_part_numbers, (1..=16).collect::<Vec<_>>());
        stream::iter(&signed)
            .for_each_concurrent(8, async |part| {
                assert_eq!(part.method, "PUT");
                let body = part_bytes(&upload, &content, part.part_number);
                let answer = put(protocol, part, body).await;
                assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
            })
            .await;
        let confirmed = client.confirm_parts(&upload, parts.clone()).await.unwrap();
        assert_eq!(confirmed.missing_part_numbers, [] as [i32; 0]);
        let size = content.size() as i64;
        assert_eq!(persisted(&confirmed.upload.unwrap()), [(0, size)]);
        assert_eq!(client.sign_parts(&upload, parts).await.unwrap(), []);
        let request = CompleteUploadRequest {
            upload_id: upload.id,
            writer_epoch: Some(upload.writer_epoch),
            ..Default::default()
        };
        let file = client.complete_with(request).await.unwrap();
        let checksums = file.checksums.unwrap();
        assert_eq!(checksums.blake3, content.blake3().as_slice());
        assert_eq!(checksums.crc32c, Some(content.crc32c()));
        assert_eq!(http_get(&client.link(&file.id).await, &[]).await.body, content.all());
    }
}

/// Streams and PUTs fill the same upload.
#[tokio::test]
async fn puts_and_streams_go_together() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(12, 3 * MIB);
    let upload = upload_of(&client, "mixed", &content).await;
    client.write(Frames::to(&upload).part(&content, upload.part_size, 2)).await.unwrap();
    for number in [3, 1] {
        let part = signed(&client, &upload, &content, number).await;
        let answer = put(Protocol::Http1, &part, part_bytes(&upload, &content, number)).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let file = client.complete(&upload.id).await.unwrap();
    assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
}

#[tokio::test]
async fn a_put_can_be_sent_again() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(13, MIB);
    let upload = upload_of(&client, "again", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    for protocol in [Protocol::Http1, Protocol::Http1, Protocol::Http2] {
        let answer = put(protocol, &part, content.all()).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    }
    let state = client.upload(&upload.id).await.unwrap();
    assert_eq!(state.persisted_bytes, MIB as i64);
    // A replay with other bytes is refused, and changes nothing.
    let other = Content::new(14, MIB).all();
    let answer = put(Protocol::Http1, &part, other).await;
    assert_eq!(answer.reason(), "CHECKSUM_MISMATCH");
    let file = client.complete(&upload.id).await.unwrap();
    assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
    // It is no way into a file.
    let answer = put(Protocol::Http1, &part, content.all()).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.reason(), "UPLOAD_NOT_ACTIVE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_puts_of_one_part_leave_it_whole() {
    let server = Server::start().await;
    let client = server.client();
    for round in 0..scale(5, 100) {
        let content = Content::new(round as u64, 4 * MIB);
        let request = sluice_proto::v1::CreateUploadRequest {
            preferred_part_size: Some(4 * MIB as i64),
            ..sluice_tests::in_small_parts(&format!("twice {round}"), content.size())
        };
        let upload = client.create(request).await.unwrap();
        let part = signed(&client, &upload, &content, 1).await;
        let puts = (0..2).map(|_| put(Protocol::Http1, &part, content.all()));
        for answer in join_all(puts).await {
            match answer.status {
                StatusCode::OK => {}
                StatusCode::CONFLICT => {
                    assert_eq!(answer.reason(), "PART_BUSY");
                    assert_ne!(answer.header("retry-after"), "");
                }
                other => panic!("{other}: {:?}", answer.body),
            }
        }
        let file = client.complete(&upload.id).await.unwrap();
        assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
    }
}

#[tokio::test]
async fn a_put_that_was_answered_survives_sigkill() {
    let mut server = Server::start().await;
    for round in 0..scale(10, 100) as u64 {
        let client = server.client();
        let content = Content::new(round, 2 * MIB);
        let upload = upload_of(&client, &format!("killed {round}"), &content).await;
        let part = signed(&client, &upload, &content, 2).await;
        let answer = put(Protocol::Http1, &part, part_bytes(&upload, &content, 2)).await;
        assert_eq!(answer.status, StatusCode::OK);
        server.kill().await;
        server.restart().await;
        let state = server.client().upload(&upload.id).await.unwrap();
        assert_eq!(persisted(&state), [(MIB as i64, 2 * MIB as i64)], "round {round}");
    }
}

/// A line whose other end is slow: half of each part, and the rest on command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_puts_hold_little_memory() {
    const PUTS: u64 = 64;
    let server = Server::embedded().await;
    let client = server.client();
    let part_size = 8 * MIB;
    let content = Content::new(15, PUTS * part_size);
    let request = sluice_proto::v1::CreateUploadRequest {
        preferred_part_size: Some(part_size as i64),
        ..sluice_tests::in_small_parts("slow", content.size())
    };
    let upload = client.create(request).await.unwrap();
    let parts = (1..=PUTS as i32).map(|number| declared(&upload, &content, number)).collect();
    let parts = client.sign_parts(&upload, parts).await.unwrap();
    let before = server.resident_bytes();
    let (go, gate) = watch::channel(false);
    let puts: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let (gate, start) = (gate.clone(), (part.part_number as u64 - 1) * part_size);
            tokio::spawn(async move {
                let steps = stream::iter(0..part_size / (64 * 1024)).then(move |step| {
                    let mut gate = gate.clone();
                    async move {
                        if step >= part_size / (64 * 1024) / 2 {
                            let _ = gate.wait_for(|open| *open).await;
                        }
                        let at = start + step * 64 * 1024;
                        Ok(content.bytes(at..at + 64 * 1024))
                    }
                });
                put_body(Protocol::Http1, &part, http_stream(Box::pin(steps))).await
            })
        })
        .collect();
    let mut peak = 0;
    // What is on its way has arrived once the disk holds half of every part.
    let half = PUTS * part_size / 2;
    eventually("half of every part arrives", Duration::from_secs(120), async || {
        peak = peak.max(server.resident_bytes());
        sluice_tests::bytes_on_disk(&server.data_dir()) >= half - PUTS * 2 * MIB
    })
    .await;
    peak = peak.max(server.resident_bytes());
    let growth = peak.saturating_sub(before);
    assert!(growth <= (4 * PUTS + 64) * MIB, "{PUTS} slow PUTs cost {growth} bytes");
    go.send(true).unwrap();
    for answer in join_all(puts).await {
        let answer = answer.unwrap().unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    }
    assert_complete(&client, &upload.id, &content).await;
}

async fn assert_complete(client: &Client, upload_id: &str, content: &Content) {
    let file = client.complete(upload_id).await.unwrap();
    assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice());
}
