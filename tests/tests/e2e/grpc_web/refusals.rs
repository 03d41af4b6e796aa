//! What goes wrong must be readable, and do no harm.

use std::{
    io::{self, Read},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, StatusCode};
use prost::Message;
use sluice_domain::Reason;
use sluice_proto::v1::WriteUploadResponse;
use sluice_tests::{
    Content, Http, MIB, Server, Web, WebAnswer, assert_reason, damaged, eventually, fact,
    grpc_frame,
};

use super::{WRITE, part, upload};

fn refused(answer: &WebAnswer, reason: Reason) -> tonic::Status {
    assert_eq!(answer.http_status, StatusCode::OK);
    assert_reason(answer.message::<WriteUploadResponse>(), reason)
}

#[tokio::test]
async fn a_damaged_frame_is_a_readable_status() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 16 * MIB);
    for http in [Http::One, Http::Two] {
        for round in 0..10 {
            let upload = upload(&client, &format!("{http:?}-{round}"), content.size()).await;
            let mut messages = part(&upload, &content, 1);
            messages[2] = damaged(messages[2].clone());
            let answer = Web::new(&server, http).call(WRITE, messages).await.unwrap();
            let status = refused(&answer, Reason::ChecksumMismatch);
            assert_eq!(fact(&status, "offset"), (2 * MIB).to_string());
            assert_eq!(client.upload(&upload.id).await.unwrap().persisted_bytes, 0);
        }
    }
}

#[tokio::test]
async fn refusals_before_the_first_byte_is_read_are_readable() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(2, 16 * MIB);
    for http in [Http::One, Http::Two] {
        let upload = upload(&client, &format!("{http:?}"), content.size()).await;
        let messages = part(&upload, &content, 2);
        for _ in 0..10 {
            let stranger = Web::anonymous(&server, http);
            let answer = stranger.call(WRITE, messages.clone()).await.unwrap();
            refused(&answer, Reason::CredentialsInvalid);
        }
    }
}

#[tokio::test]
async fn a_large_part_is_drained_whole() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 64 * MIB);
    let mut request = sluice_tests::in_small_parts("large", content.size());
    request.preferred_part_size = Some(32 * MIB as i64);
    let upload = client.create(request).await.unwrap();
    let mut messages = part(&upload, &content, 1);
    assert_eq!(messages.len(), 32);
    messages[1] = damaged(messages[1].clone());
    for _ in 0..5 {
        let answer = Web::new(&server, Http::One).call(WRITE, messages.clone()).await.unwrap();
        refused(&answer, Reason::ChecksumMismatch);
    }
}

/// Browsers send a request again by themselves when a connection that they kept
/// dies under it.
#[tokio::test]
async fn a_cut_post_and_the_same_post_again_leave_the_right_bytes() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, 8 * MIB);
    for http in [Http::One, Http::Two] {
        for cut_at in [1, 100_000, MIB as usize + 17, 8 * MIB as usize - 1] {
            let upload = upload(&client, &format!("{http:?}-{cut_at}"), content.size()).await;
            let body: Vec<u8> = part(&upload, &content, 1)
                .iter()
                .flat_map(|message| {
                    let message = message.encode_to_vec();
                    grpc_frame(0, message.len() as u32, &message)
                })
                .collect();
            let (sent, length) = (Bytes::copy_from_slice(&body[..cut_at]), body.len());
            let cut = futures::stream::iter([Ok(sent)])
                .chain(futures::stream::once(async { Err(io::Error::other("cut")) }));
            let web = Web::new(&server, http);
            let first = web.send_stream(Method::POST, WRITE, length, cut);
            let again = async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                web.send(Method::POST, WRITE, vec![body.into()]).await
            };
            let (_, answer) = tokio::join!(first, again);
            answer.unwrap().message::<WriteUploadResponse>().unwrap();
            let file = client.complete(&upload.id).await.unwrap();
            client.assert_content(&file.id, &content).await;
        }
    }
}

#[tokio::test]
async fn whoever_uploads_without_end_is_cut_off() {
    let server = Server::start().await;
    let stranger = Web::anonymous(&server, Http::One);
    let piece = Bytes::from(vec![0; MIB as usize]);
    let endless = futures::stream::repeat(piece).map(Ok).take(1000);
    let sent = stranger.send_stream(Method::POST, WRITE, 1000 * MIB as usize, endless).await;
    assert!(sent.is_err() || !sent.unwrap().status.unwrap().message().is_empty());
    // Nobody reads those bytes for long: the connection is gone.
    let gone = async || server.sockets() == 0;
    eventually("the connection ends", Duration::from_secs(30), gone).await;
}

#[tokio::test]
async fn bombs_and_unknown_compressions_are_refused() {
    let server = Server::start().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let path = "/sluice.v1.FileService/ListFiles";
    io::copy(&mut io::repeat(0).take(512 * MIB), &mut gzip).unwrap();
    let zstd = zstd::encode_all(io::repeat(0).take(512 * MIB), 19).unwrap();
    let bombs = [("gzip", gzip.finish().unwrap()), ("zstd", zstd)];
    for (encoding, bomb) in bombs {
        assert!(bomb.len() < 1024 * 1024);
        let body = grpc_frame(1, bomb.len() as u32, &bomb);
        let web = Web::new(&server, Http::Two).header("grpc-encoding", encoding);
        let answer = web.send(Method::POST, path, vec![body]).await.unwrap();
        refused(&answer, Reason::FrameTooLarge);
    }
    let web = Web::new(&server, Http::Two).header("grpc-encoding", "br");
    let answer = web.send(Method::POST, path, vec![grpc_frame(1, 1, b"x")]).await.unwrap();
    refused(&answer, Reason::NotSupported);
    assert!(server.resident_bytes() < 128 * MIB, "{} bytes", server.resident_bytes());
}
