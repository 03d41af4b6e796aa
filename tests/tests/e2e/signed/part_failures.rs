//! PUTs that are not what was signed, or do not come to their end.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, StatusCode};
use sluice_tests::{
    Answer, Client, Content, MIB, Protocol, Server, SmallDisk, eventually, http, http_body,
    http_stream, part_bytes, persisted,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch};

use super::{put, put_body, signed, upload_of};

#[track_caller]
fn assert_refused(answer: &Answer, status: StatusCode, reason: &str) {
    assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{:?}", answer.body);
}

async fn assert_nothing_persisted(client: &Client, upload_id: &str) {
    assert_eq!(client.upload(upload_id).await.unwrap().persisted_bytes, 0);
}

#[tokio::test]
async fn other_bytes_than_signed_persist_nothing() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 2 * MIB);
    let upload = upload_of(&client, "damaged", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    for protocol in Protocol::ALL {
        for at in [0, 70_000, MIB as usize - 1] {
            let mut bytes = part_bytes(&upload, &content, 1).to_vec();
            bytes[at] ^= 1;
            let answer = put(protocol, &part, bytes.into()).await;
            assert_refused(&answer, StatusCode::BAD_REQUEST, "CHECKSUM_MISMATCH");
        }
        // Right bytes, but of another part.
        let answer = put(protocol, &part, part_bytes(&upload, &content, 2)).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "CHECKSUM_MISMATCH");
    }
    assert_nothing_persisted(&client, &upload.id).await;
    // The part is free for the right ones at once.
    let answer = put(Protocol::Http1, &part, part_bytes(&upload, &content, 1)).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn another_length_than_signed_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(2, MIB);
    let upload = upload_of(&client, "lengths", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    for protocol in Protocol::ALL {
        for length in [0, MIB - 1, MIB + 1] {
            let body = http_body(Content::new(2, length).all());
            let headers = [("content-length", length.to_string())];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let answer = http(protocol, Method::PUT, &part.url, &headers, body).await.unwrap();
            assert_refused(&answer, StatusCode::BAD_REQUEST, "INVALID_FIELD");
        }
        // Chunked, or of no told length.
        let body = http_stream(stream::iter([Ok(content.all())]));
        let answer = http(protocol, Method::PUT, &part.url, &[], body).await.unwrap();
        assert_refused(&answer, StatusCode::LENGTH_REQUIRED, "INVALID_FIELD");
    }
    assert_nothing_persisted(&client, &upload.id).await;
}

#[tokio::test]
async fn a_body_that_is_cut_persists_nothing() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 2 * MIB);
    let upload = upload_of(&client, "cut", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    // All but one byte, and then nothing more: closed, reset, or silent.
    let path = part.url.strip_prefix(&server.url()).unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {MIB}\r\n\r\n");
    let most = content.bytes(0..MIB - 1);
    let mut silent = Vec::new();
    for close in [true, false] {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&most).await.unwrap();
        if close {
            socket.shutdown().await.unwrap();
        }
        silent.push(socket);
    }
    let cut = stream::iter([Ok(most.clone()), Err(io::ErrorKind::ConnectionReset.into())]);
    let outcome = put_body(Protocol::Http2, &part, http_stream(cut)).await;
    if let Ok(answer) = outcome {
        assert_ne!(answer.status, StatusCode::OK);
    }
    assert_nothing_persisted(&client, &upload.id).await;
    // A silent one does not keep the part from anybody else.
    let answer = put(Protocol::Http1, &part, part_bytes(&upload, &content, 1)).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    // And its last byte comes too late to change anything.
    for socket in &mut silent {
        let _ = socket.write_all(&content.bytes(MIB - 1..MIB)).await;
    }
    let state = client.upload(&upload.id).await.unwrap();
    assert_eq!(persisted(&state), [(0, MIB as i64)]);
}

#[tokio::test]
async fn a_resumed_upload_takes_no_older_puts() {
    let server = Server::embedded().await;
    let client = server.client();
    let content = Content::new(4, 2 * MIB);
    let upload = upload_of(&client, "resumed", &content).await;
    let under_way = signed(&client, &upload, &content, 1).await;
    let not_begun = signed(&client, &upload, &content, 2).await;
    let (go, gate) = watch::channel(false);
    let pieces = stream::iter([content.bytes(0..MIB / 2), content.bytes(MIB / 2..MIB)]);
    let pieces = pieces.enumerate().then(move |(index, piece)| {
        let mut gate = gate.clone();
        async move {
            if index == 1 {
                let _ = gate.wait_for(|open| *open).await;
            }
            Ok::<Bytes, io::Error>(piece)
        }
    });
    let body = http_stream(Box::pin(pieces));
    let under_way =
        tokio::spawn(async move { put_body(Protocol::Http1, &under_way, body).await.unwrap() });
    eventually("the PUT has begun", Duration::from_secs(20), async || {
        sluice_tests::bytes_on_disk(&server.data_dir()) >= MIB / 4
    })
    .await;
    let resumed = client.resume(&upload.id).await.unwrap();
    go.send(true).unwrap();
    assert_refused(&under_way.await.unwrap(), StatusCode::CONFLICT, "STALE_WRITER");
    let answer = put(Protocol::Http1, &not_begun, part_bytes(&upload, &content, 2)).await;
    assert_refused(&answer, StatusCode::CONFLICT, "STALE_WRITER");
    assert_nothing_persisted(&client, &upload.id).await;
    let again = signed(&client, &resumed, &content, 2).await;
    let answer = put(Protocol::Http1, &again, part_bytes(&upload, &content, 2)).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn an_upload_that_has_ended_takes_no_puts() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(5, MIB);
    let upload = upload_of(&client, "cancelled", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    client.cancel(&upload.id).await.unwrap();
    for protocol in Protocol::ALL {
        let answer = put(protocol, &part, content.all()).await;
        assert_refused(&answer, StatusCode::CONFLICT, "UPLOAD_NOT_ACTIVE");
    }
}

/// A size that was fixed after signing makes another part of the last one.
#[tokio::test]
async fn a_part_that_has_become_shorter_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(6, 2 * MIB);
    let request = sluice_proto::v1::CreateUploadRequest {
        size: None,
        ..sluice_tests::in_small_parts("fixed", 0)
    };
    let upload = client.create(request).await.unwrap();
    let part = signed(&client, &upload, &content, 2).await;
    let size = MIB + 5;
    client.write(sluice_tests::Frames::to(&upload).final_size(size)).await.unwrap();
    let answer = put(Protocol::Http1, &part, part_bytes(&upload, &content, 2)).await;
    assert_refused(&answer, StatusCode::CONFLICT, "SIZE_MISMATCH");
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let server = Server::with().disk(SmallDisk::new(96).await).start().await;
    let client = server.client();
    let content = Content::new(7, 64 * MIB);
    let request = sluice_proto::v1::CreateUploadRequest {
        preferred_part_size: Some(64 * MIB as i64),
        ..sluice_tests::in_small_parts("too large", content.size())
    };
    let upload = client.create(request).await.unwrap();
    let part = signed(&client, &upload, &content, 1).await;
    let headers = [("content-length", content.size().to_string())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    // The answer comes before the body, which HTTP/2 tells its client.
    let body = http_body(content.all());
    let answer = http(Protocol::Http2, Method::PUT, &part.url, &headers, body).await.unwrap();
    assert_refused(&answer, StatusCode::INSUFFICIENT_STORAGE, "STORAGE_FULL");
    assert_nothing_persisted(&client, &upload.id).await;
}

/// A PUT of which nothing more comes ends by itself, and says why.
#[tokio::test]
async fn a_put_that_falls_silent_is_ended() {
    let server = Server::with().setting("SLUICE__LIMITS__STREAM_IDLE", "1s").start().await;
    let client = server.client();
    let content = Content::new(8, MIB);
    let upload = upload_of(&client, "silent", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    for protocol in Protocol::ALL {
        let begin = stream::iter([Ok(content.bytes(0..MIB / 2))]);
        let body = http_stream(begin.chain(stream::pending()));
        let answer = put_body(protocol, &part, body).await.unwrap();
        assert_refused(&answer, StatusCode::REQUEST_TIMEOUT, "STREAM_IDLE");
    }
    assert_nothing_persisted(&client, &upload.id).await;
}
