//! A write stream: gRPC framing, messages, and what the domain makes of them.

mod model;

use std::fmt::Debug;

use bytes::Bytes;
use futures::{StreamExt, executor::block_on};
use prost::Message;
use sluice_domain::{Error, PartPlan, Reason};
use sluice_proto::v1::WriteUploadRequest;
use sluice_server::{
    api::{
        fuzzing::{self, MAX_WRITE_MESSAGE},
        layer::whole_messages::WholeMessages,
    },
    service::ingest::{Target, WriteMessage},
};
use tonic::{Streaming, codec::BufferSettings};
use tonic_prost::ProstDecoder;

use self::model::Model;
use crate::{
    input::{body, chunks, take},
    refusal::check_error,
};

/// What was read of a stream: its messages, and what ended it.
struct Read {
    target: Option<Target>,
    messages: Vec<WriteMessage>,
    refused: Option<Error>,
}

/// Takes any bytes as the body of a write stream.
pub fn check(mut input: &[u8]) {
    let [chunk_size, part_size, size] = take(&mut input);
    let read = read_in(input, 0);
    // How a body is cut into pieces on its way says nothing.
    let pieces = read_in(input, 1 + usize::from(chunk_size));
    assert_same(&read.target, &pieces.target);
    assert_same(&read.messages, &pieces.messages);
    assert_eq!(read.refused, pieces.refused, "cut into pieces of {chunk_size}");
    assert_as_sent(input, &read);

    // BLAKE3 works in chunks of 1 KiB: no part of a smaller size adds up.
    let part_size = 1024 << (part_size % 4);
    let size = Some(u64::from(size) * 100).filter(|_| size > 0);
    let mut model = Model::new(PartPlan { part_size, size });
    for message in read.messages {
        if model.take(message).is_err() {
            break;
        }
    }
    model.finish();
    read.refused.map(check_error);
}

fn read_in(bytes: &[u8], chunk_size: usize) -> Read {
    let decoder = ProstDecoder::<WriteUploadRequest>::new(BufferSettings::default());
    let body = WholeMessages::new(axum::body::Body::new(body(chunks(bytes, chunk_size))));
    let incoming = Streaming::new_request(decoder, body, None, Some(MAX_WRITE_MESSAGE));
    block_on(async {
        let (target, first, mut messages) = match fuzzing::write_messages(incoming).await {
            Ok(opened) => opened,
            Err(error) => return Read { target: None, messages: vec![], refused: Some(error) },
        };
        let mut read = Read { target: Some(target), messages: vec![first], refused: None };
        while let Some(message) = messages.next().await {
            match message {
                Ok(message) => read.messages.push(message),
                Err(error) => {
                    read.refused = Some(error);
                    break;
                }
            }
        }
        read
    })
}

fn assert_same(one: &impl Debug, other: &impl Debug) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

/// Each message is what a decoder without any framing makes of its bytes, and
/// none is invented or lost.
fn assert_as_sent(mut bytes: &[u8], read: &Read) {
    for message in &read.messages {
        let [flag, length @ ..] = take::<5>(&mut bytes);
        assert_eq!(flag, 0, "a compressed message was taken without being asked for");
        let (sent, rest) = bytes.split_at(u32::from_be_bytes(length) as usize);
        bytes = rest;
        let sent = WriteUploadRequest::decode(sent).expect("it was decoded before");
        let frame = sent.checksummed_data.unwrap_or_default();
        assert_eq!(message.data, frame.content);
        assert_eq!(message.crc32c.map(|crc| crc.0), frame.crc32c);
        assert_eq!(message.offset as i64, sent.write_offset);
        assert_eq!(message.final_size.map(|size| size as i64), sent.final_size);
        assert_eq!(message.complete, sent.complete);
    }
    match &read.refused {
        None => assert!(bytes.is_empty(), "{} bytes were ignored", bytes.len()),
        Some(error) => assert!(
            matches!(
                error.reason,
                Reason::MalformedMessage
                    | Reason::InvalidField
                    | Reason::FrameTooLarge
                    | Reason::NotSupported
            ),
            "{error:?} for bytes that cannot be read"
        ),
    }
}

/// The bytes of a message in gRPC's framing.
pub fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}
