//! Streams that are silent or slow are ended, and nothing that counts is lost.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::Method;
use prost::Message;
use sluice_domain::Reason;
use sluice_proto::v1::{ReadFileRequest, WriteUploadResponse};
use sluice_tests::{
    Content, Frames, Http, MIB, Server, Setup, Web, assert_reason, fact, grpc_frame, in_small_parts,
};
use tokio::time::{Instant, sleep, timeout};

/// A server without much patience.
fn impatient() -> Setup {
    Server::with()
        .setting("SLUICE__LIMITS__STREAM_IDLE", "2s")
        .setting("SLUICE__LIMITS__STREAM_MIN_RATE", "64KiB")
}

#[tokio::test]
async fn silence_ends_a_write_stream_and_keeps_what_is_persisted() {
    let server = impatient().start().await;
    let client = server.client();
    let content = Content::new(1, 4 * MIB);
    let upload = client.create(in_small_parts("silent", content.size())).await.unwrap();
    let stream = client.open();
    let frames = Frames::to(&upload).framed(MIB / 4).range(&content, 0..MIB + MIB / 4);
    assert!(stream.send(frames).await);
    let began = Instant::now();
    let status = assert_reason(stream.outcome().await, Reason::StreamIdle);
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(fact(&status, "persisted_bytes"), MIB.to_string());
    let rest = Frames::to(&upload).range(&content, MIB..content.size()).complete();
    let file = client.write(rest).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn a_trickle_ends_a_write_stream() {
    let server = impatient().start().await;
    let client = server.client();
    let content = Content::new(2, 4 * MIB);
    let upload = client.create(in_small_parts("trickle", content.size())).await.unwrap();
    let stream = client.open();
    assert!(stream.send(Frames::to(&upload).range(&content, 0..MIB)).await);
    let trickle = async {
        for offset in (MIB..2 * MIB).step_by(1024) {
            let frame = Frames::empty().range(&content, offset..offset + 1024);
            if !stream.send(frame).await {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_secs(30), trickle).await.expect("it is cut off");
    let status = assert_reason(stream.outcome().await, Reason::StreamTooSlow);
    assert_eq!(fact(&status, "persisted_bytes"), MIB.to_string());
}

#[tokio::test]
async fn a_stream_above_the_rate_may_take_as_long_as_it_likes() {
    let server = impatient().start().await;
    let client = server.client();
    let content = Content::new(3, 2 * MIB);
    let upload = client.create(in_small_parts("steady", content.size())).await.unwrap();
    let stream = client.open();
    assert!(stream.send(Frames::to(&upload)).await);
    // 128 KiB a second, for four times as long as silence is allowed.
    let began = Instant::now();
    for offset in (0..content.size()).step_by(32 * 1024) {
        let frame = Frames::empty().range(&content, offset..offset + 32 * 1024);
        assert!(stream.send(frame).await);
        sleep(Duration::from_millis(125)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(8));
    let upload = stream.finish().await.unwrap().upload.unwrap();
    assert_eq!(upload.persisted_bytes, 2 * MIB as i64);
}

#[tokio::test]
async fn a_silent_body_of_a_unary_call_ends_too() {
    let server = impatient().start().await;
    for http in [Http::One, Http::Two] {
        let beginning = grpc_frame(0, 100, b"beginning");
        let silent = stream::unfold(Some(beginning), |piece| async move {
            match piece {
                Some(piece) => Some((Ok(piece), None)),
                None => std::future::pending().await,
            }
        });
        let web = Web::new(&server, http);
        let path = "/sluice.v1.UploadService/GetUpload";
        let answer = web.send_stream(Method::POST, path, 105, silent).await.unwrap();
        let status = answer.status.expect("a gRPC answer");
        // So few bytes are too slow in the same moment in which it is silent too long.
        let reason = sluice_tests::reason(&status);
        let either = [Some(Reason::StreamIdle), Some(Reason::StreamTooSlow)];
        assert!(either.contains(&reason), "{status:?}");
    }
}

#[tokio::test]
async fn whoever_does_not_read_loses_the_stream() {
    let server = impatient().start().await;
    let client = server.client();
    let content = Content::new(4, 32 * MIB);
    let file = client.put("unread", &content).await.unwrap();
    let request = ReadFileRequest { file_id: file.id.clone(), ..Default::default() };
    let mut reader = client.files.clone().read_file(request).await.unwrap().into_inner();
    assert!(reader.message().await.unwrap().is_some());
    sleep(Duration::from_secs(6)).await;
    let mut bytes = 0;
    let ended = loop {
        match reader.message().await {
            Ok(Some(message)) => bytes += message.encoded_len() as u64,
            Ok(None) => break None,
            Err(status) => break Some(status),
        }
    };
    let status = ended.expect("the file does not end here");
    assert_eq!(status.code(), tonic::Code::Aborted, "{status:?}");
    assert_eq!(sluice_tests::reason(&status), Some(Reason::StreamIdle));
    assert!(bytes < content.size());
    client.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn an_open_body_that_nobody_wants_does_not_hold_a_connection() {
    let server = Server::start().await;
    let stranger = Web::anonymous(&server, Http::One);
    let silent = stream::once(async { Ok(Bytes::from_static(b"a")) });
    let silent = futures::StreamExt::chain(silent, stream::pending());
    let path = "/sluice.v1.UploadService/WriteUpload";
    let sent = stranger.send_stream(Method::POST, path, 1000, silent);
    // The answer comes at once; its connection ends later.
    let answer = timeout(Duration::from_secs(5), sent).await.unwrap().unwrap();
    assert_reason(answer.message::<WriteUploadResponse>(), Reason::CredentialsInvalid);
    let gone = async || server.sockets() == 0;
    sluice_tests::eventually("the connection ends", Duration::from_secs(60), gone).await;
}
