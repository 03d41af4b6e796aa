//! gRPC in the framings of web pages: whatever way a body takes, the same
//! comes of it.

mod service;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tonic::{Code, Status};

use self::service::Answer;
use crate::{
    input::{chunks, take},
    refusal::check_status,
};

/// Takes any bytes as the body of a request.
pub fn check(mut input: &[u8]) {
    let [chunk_size] = take(&mut input);
    let size = usize::from(chunk_size);
    let plain = service::call("application/grpc", chunks(input, size));
    let binary = service::call("application/grpc-web+proto", chunks(input, size));
    assert_same(&plain, &binary);
    let text = STANDARD.encode(input);
    let encoded = service::call("application/grpc-web-text", chunks(text.as_bytes(), size));
    assert_same(&plain, &encoded);
    // The same bytes as what somebody believes to be text.
    check_answer(&service::call("application/grpc-web-text+proto", chunks(input, size)));
}

fn assert_same(plain: &Answer, other: &Answer) {
    check_answer(plain);
    check_answer(other);
    assert_eq!(plain.messages, other.messages);
    assert_eq!(plain.status.code(), other.status.code(), "{plain:?} and {other:?}");
    if plain.status.code() != Code::Ok {
        assert_eq!(check_status(&plain.status), check_status(&other.status));
    }
}

fn check_answer(answer: &Answer) {
    match answer.status.code() {
        Code::Ok => assert_eq!(answer.messages.len(), 1, "an answer has one message"),
        _ => {
            check_status(&answer.status);
            assert_eq!(answer.messages, Vec::<Bytes>::new(), "{:?}", answer.status);
        }
    }
}

/// Reads the body of an answer in a web page's framing: messages, and then the
/// trailers as a message of their own.
fn read_answer(mut body: &[u8]) -> (Vec<Bytes>, Option<Status>) {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let [flag, length @ ..] = take::<5>(&mut body);
        let (message, rest) = body.split_at(u32::from_be_bytes(length) as usize);
        body = rest;
        match flag {
            0 => messages.push(Bytes::copy_from_slice(message)),
            0x80 => {
                assert!(body.is_empty(), "{} bytes after the trailers", body.len());
                return (messages, Status::from_header_map(&trailers(message)));
            }
            other => panic!("flag {other} in an answer"),
        }
    }
    (messages, None)
}

fn trailers(text: &[u8]) -> http::HeaderMap {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\r"));
    let pair = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').expect("a trailer has a colon");
        let name = http::HeaderName::from_bytes(&line[..colon]).expect("a trailer's name");
        let value = line[colon + 1..].trim_ascii_start();
        (name, http::HeaderValue::from_bytes(value).expect("a trailer's value"))
    };
    lines.map(pair).collect()
}
