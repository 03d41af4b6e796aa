//! Requests whose framing is broken below the level of messages.

use std::time::Duration;

use bytes::Bytes;
use prost_reflect::MethodDescriptor;
use sluice_domain::Reason;
use sluice_proto::v1::{GetUploadRequest, WriteUploadRequest};
use sluice_tests::{
    Body, Frames, Server, Wire, assert_refusal, grpc_frame, in_small_parts, reason,
};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{methods, path};

const LIMIT: Duration = Duration::from_secs(20);

async fn call(wire: &Wire, path: &str, headers: &[(&str, &str)], body: Body) -> Status {
    let what = format!("{path} with {headers:?} and {body:?}");
    timeout(LIMIT, wire.call(path, headers, body))
        .await
        .unwrap_or_else(|_| panic!("no answer to {what}"))
        .unwrap_or_else(|error| panic!("{error} as the answer to {what}"))
        .expect("the request was not reset")
}

/// Bodies that are no sequence of gRPC messages.
fn broken_bodies() -> Vec<(&'static str, Vec<Bytes>)> {
    vec![
        ("a header that is cut off", vec![Bytes::from_static(&[0, 0, 0])]),
        ("a message that is cut off", vec![grpc_frame(0, 100, b"abc")]),
        ("a length without a message", vec![grpc_frame(0, 1, b"")]),
        ("the largest length there is", vec![grpc_frame(0, u32::MAX, b"abc")]),
        ("a length beyond the limit", vec![grpc_frame(0, 64 << 20, &[0; 1000])]),
        ("a compressed message without an encoding", vec![grpc_frame(1, 3, b"abc")]),
        ("a flag that does not exist", vec![grpc_frame(2, 3, b"abc")]),
        ("all flags at once", vec![grpc_frame(255, 3, b"abc")]),
        ("text", vec![Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n")]),
        ("a message and then rubbish", vec![grpc_frame(0, 0, b""), Bytes::from_static(&[9; 77])]),
        ("a message of rubbish", vec![grpc_frame(0, 100, &[0xff; 100])]),
    ]
}

#[tokio::test]
async fn broken_framing_is_answered_with_a_reason_by_every_rpc() {
    let server = Server::start().await;
    let wire = Wire::connect(server.address(), &server.key()).await;
    for method in methods() {
        for (what, pieces) in broken_bodies() {
            let status = call(&wire, &path(&method), &[], Body::Whole(pieces)).await;
            println!("{} by {what}: {:?} {}", method.name(), status.code(), status.message());
            if status.code() != Code::Ok {
                assert_refusal(&status);
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_off_anywhere_did_not_end_in_good_order() {
    let server = Server::start().await;
    let client = server.client();
    let wire = Wire::connect(server.address(), &server.key()).await;
    let upload = client.create(in_small_parts("cut anywhere", 3000)).await.unwrap();
    let message = prost::Message::encode_to_vec(&Frames::to(&upload).messages().next().unwrap());
    let first = grpc_frame(0, message.len() as u32, &message);
    for method in ["WriteUpload", "BidiWriteUpload"] {
        for bytes in 1..first.len() {
            let pieces = vec![first.clone(), first.slice(..bytes)];
            let path = format!("/sluice.v1.UploadService/{method}");
            let status = call(&wire, &path, &[], Body::Whole(pieces)).await;
            let reason = reason(&status);
            assert_eq!(reason, Some(Reason::MalformedMessage), "{method}, {bytes}: {status:?}");
        }
    }
}

#[tokio::test]
async fn a_request_without_any_message_is_answered() {
    let server = Server::start().await;
    let wire = Wire::connect(server.address(), &server.key()).await;
    for method in methods() {
        let status = call(&wire, &path(&method), &[], Body::Whole(Vec::new())).await;
        println!("{}: {:?} {}", method.name(), status.code(), status.message());
        if status.code() != Code::Ok {
            assert_refusal(&status);
        }
    }
}

#[tokio::test]
async fn two_messages_where_one_belongs_do_no_harm() {
    let server = Server::start().await;
    let wire = Wire::connect(server.address(), &server.key()).await;
    // A watch that was asked for well goes on for ever.
    let ends =
        |method: &MethodDescriptor| !method.is_client_streaming() && method.name() != "WatchEvents";
    for method in methods().into_iter().filter(ends) {
        let body = Body::Whole(vec![grpc_frame(0, 0, b""); 3]);
        let status = call(&wire, &path(&method), &[], body).await;
        if status.code() != Code::Ok {
            assert_refusal(&status);
        }
    }
}

#[tokio::test]
async fn hostile_headers_are_answered() {
    let server = Server::start().await;
    let wire = Wire::connect(server.address(), &server.key()).await;
    let message = prost::Message::encode_to_vec(&GetUploadRequest::default());
    let body = || Body::Whole(vec![grpc_frame(0, message.len() as u32, &message)]);
    for headers in [
        ("grpc-encoding", "gzip"),
        ("grpc-encoding", "nonsense"),
        ("grpc-timeout", "nonsense"),
        ("grpc-timeout", "99999999999999H"),
        ("grpc-timeout", "-1S"),
        ("grpc-accept-encoding", "\u{7f}"),
        ("authorization", "Basic QWxhZGRpbg=="),
        ("cookie", "session=../../"),
        ("x-forwarded-for", "127.0.0.1, , ,'"),
        ("host", "evil.example"),
        ("traceparent", "00-zz-zz-zz"),
    ] {
        for method in ["GetUpload", "WriteUpload", "BidiWriteUpload"] {
            let path = format!("/sluice.v1.UploadService/{method}");
            let Ok(headers) = http::HeaderValue::from_str(headers.1).map(|_| [headers]) else {
                continue;
            };
            let status = call(&wire, &path, &headers, body()).await;
            println!("{method} with {headers:?}: {:?} {}", status.code(), status.message());
            assert_refusal(&status);
        }
    }
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_message_keeps_what_came_before() {
    let server = Server::start().await;
    let client = server.client();
    let content = sluice_tests::Content::new(1, 3000);
    let upload = client.create(in_small_parts("cut", content.size())).await.unwrap();
    let mut pieces: Vec<Bytes> = Frames::to(&upload)
        .all(&content)
        .messages()
        .map(|message: WriteUploadRequest| {
            let message = prost::Message::encode_to_vec(&message);
            grpc_frame(0, message.len() as u32, &message)
        })
        .collect();
    pieces.push(grpc_frame(0, 1000, b"the beginning of a message"));
    let wire = Wire::connect(server.address(), &server.key()).await;
    let path = "/sluice.v1.UploadService/WriteUpload";
    let status = call(&wire, path, &[], Body::Whole(pieces)).await;
    assert_eq!(reason(&status), Some(Reason::MalformedMessage), "{status:?}");
    let after = client.upload(&upload.id).await.unwrap();
    assert_eq!(after.persisted_bytes, content.size() as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_reset_requests_leave_the_server_serving() {
    let mut server = Server::start().await;
    for _ in 0..20 {
        let wire = Wire::connect(server.address(), &server.key()).await;
        for method in methods() {
            for (_, pieces) in broken_bodies() {
                // The server may tire of it and close the connection.
                let _ = timeout(LIMIT, wire.call(&path(&method), &[], Body::Reset(pieces))).await;
            }
        }
    }
    assert!(server.is_alive());
    server.client().list_files(Default::default()).await.expect("others are served");
}

#[tokio::test]
async fn headers_beyond_any_reason_are_refused_and_others_served() {
    let mut server = Server::start().await;
    let huge = "x".repeat(100 * 1024);
    let wire = Wire::connect(server.address(), &server.key()).await;
    let path = "/sluice.v1.UploadService/GetUpload";
    let body = Body::Whole(vec![grpc_frame(0, 0, b"")]);
    let outcome = timeout(LIMIT, wire.call(path, &[("x-huge", &huge)], body)).await;
    let outcome = outcome.expect("it is answered");
    assert!(
        !matches!(&outcome, Ok(Some(status)) if status.code() == Code::Ok),
        "100 KiB of headers were taken: {outcome:?}"
    );
    assert!(server.is_alive());
    server.client().list_files(Default::default()).await.expect("others are served");
}
