//! Bytes of the fuzzer, turned into what targets need.

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use tonic::{Status, body::Body};

/// Takes the first `N` bytes; what is not there is 0.
pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let length = N.min(input.len());
    bytes[..length].copy_from_slice(&input[..length]);
    *input = &input[length..];
    bytes
}

/// Cuts bytes into chunks of this size; 0 does not cut.
pub fn chunks(bytes: &[u8], size: usize) -> Vec<Bytes> {
    if size == 0 {
        return vec![Bytes::copy_from_slice(bytes)];
    }
    bytes.chunks(size).map(Bytes::copy_from_slice).collect()
}

/// A request's body that arrives in these chunks.
pub(crate) fn body(chunks: Vec<Bytes>) -> Body {
    let frames = stream::iter(chunks).map(|chunk| Ok::<_, Status>(http_body::Frame::data(chunk)));
    Body::new(StreamBody::new(frames).boxed_unsync())
}
