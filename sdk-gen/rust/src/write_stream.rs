//! `WriteUpload` and `BidiWriteUpload` without copying what they send.
//!
//! tonic's encoder copies each message into one buffer. Here the content of a
//! frame goes to the socket as the very bytes that were read; only what stands
//! around it is encoded. Path, headers, answer and status remain those of the
//! generated stub.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, TryStreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};
use sluice_domain::Crc32c;
use sluice_proto::v1::{
    BidiWriteUploadResponse, ChecksummedData, WriteUploadRequest, WriteUploadResponse,
    upload_service_client::UploadServiceClient,
};
use tokio::time::{self, Instant, Sleep};
use tonic::body::Body;
use tower::Service;

use crate::{Connection, Error, RateLimit, Result};

/// A stream on which nothing moves for this long is given up. Keep-alive
/// notices dead connections much earlier; this is for servers that hang.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// Content is handed to the transport in pieces, which become HTTP/2 frames. A peer
/// sees nothing of one before all of it has arrived: with these a link of 1 KiB/s
/// still moves within the 30 seconds that servers wait.
const PIECE: usize = 32 * 1024;

/// Larger ones cost both sides less time for each byte. This is the largest frame
/// that the server takes.
const LARGE_PIECE: usize = 256 * 1024;

/// How fast a link is shows only by more than fits into buffers on the way.
const SAMPLE: u64 = 4 * 1024 * 1024;

/// What takes longer than this for a sample goes on in small pieces.
const FAST: Duration = Duration::from_secs(4);

/// Bytes on their way, with their place and checksum.
#[derive(Debug, Clone)]
pub(crate) struct FileFrame {
    pub(crate) offset: u64,
    pub(crate) content: Bytes,
    pub(crate) crc32c: Crc32c,
}

impl FileFrame {
    pub(crate) fn new(offset: u64, content: Bytes) -> Self {
        Self { offset, crc32c: Crc32c::of(&content), content }
    }

    pub(crate) fn len(&self) -> u64 {
        self.content.len() as u64
    }

    /// The message that carries it and nothing else.
    pub(crate) fn into_message(self) -> WriteUploadRequest {
        let data = ChecksummedData { content: self.content, crc32c: Some(self.crc32c.0) };
        WriteUploadRequest {
            write_offset: self.offset.cast_signed(),
            checksummed_data: Some(data),
            ..Default::default()
        }
    }
}

/// Sends these messages as one stream and waits for the answer.
pub(crate) async fn write_upload<S>(
    connection: Connection,
    messages: S,
) -> Result<WriteUploadResponse>
where
    S: Stream<Item = WriteUploadRequest> + Send + 'static,
{
    let taken = Arc::new(AtomicU64::new(0));
    let mut client = client(connection, messages, taken.clone());
    let mut answer = Box::pin(client.write_upload(stream::empty()));
    loop {
        let before = taken.load(Ordering::Relaxed);
        match time::timeout(STALL, &mut answer).await {
            Ok(answer) => return Ok(answer?.into_inner()),
            Err(_) if taken.load(Ordering::Relaxed) == before => {
                return Err(Error::timed_out(STALL));
            }
            Err(_) => {}
        }
    }
}

/// Sends these messages as one stream; what the server says meanwhile is the
/// stream that is returned. Nothing happens until it is polled. `taken` grows
/// whenever the transport takes something.
pub(crate) fn bidi_write_upload<S>(
    connection: Connection,
    messages: S,
    taken: Arc<AtomicU64>,
) -> impl Stream<Item = Result<BidiWriteUploadResponse>> + Send
where
    S: Stream<Item = WriteUploadRequest> + Send + 'static,
{
    // On the wire, a message of the one RPC is a message of the other.
    let mut client = client(connection, messages, taken);
    let call = async move { client.bidi_write_upload(stream::empty()).await };
    let replies = stream::once(call).map_ok(tonic::Response::into_inner).try_flatten();
    replies.map_err(Error::from)
}

fn client<S>(
    connection: Connection,
    messages: S,
    taken: Arc<AtomicU64>,
) -> UploadServiceClient<WithBody>
where
    S: Stream<Item = WriteUploadRequest> + Send + 'static,
{
    let rate_limit = connection.rate_limit();
    let body = MessageBody {
        messages: Box::pin(messages),
        content: None,
        pieces: Pieces::new(Instant::now()),
        taken,
        rate_limit,
        turn: None,
    };
    UploadServiceClient::new(WithBody { connection, body: Some(Body::new(body)) })
}

/// Replaces the body that the stub made of an empty stream.
struct WithBody {
    connection: Connection,
    body: Option<Body>,
}

impl Service<Request<Body>> for WithBody {
    type Response = Response<Body>;
    type Error = <Connection as Service<Request<Body>>>::Error;
    type Future = <Connection as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connection.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let body = self.body.take().unwrap_or_default();
        self.connection.call(request.map(|_| body))
    }
}

/// How large pieces are: small ones until a link has shown that it is fast, and
/// whenever it is not any more.
#[derive(Debug)]
struct Pieces {
    size: usize,
    /// Bytes of this sample, and when it began.
    sampled: u64,
    since: Instant,
}

impl Pieces {
    fn new(now: Instant) -> Self {
        Self { size: PIECE, sampled: 0, since: now }
    }

    /// The transport takes a piece.
    fn took(&mut self, bytes: u64, now: Instant) {
        self.sampled += bytes;
        if self.sampled >= SAMPLE {
            let is_fast = now.duration_since(self.since) <= FAST;
            let size = if is_fast { LARGE_PIECE } else { PIECE };
            *self = Self { size, sampled: 0, since: now };
        }
    }
}

/// Messages as the body of a gRPC request.
struct MessageBody<S> {
    messages: Pin<Box<S>>,
    /// What is left of the content of the message that is handed out.
    content: Option<Bytes>,
    pieces: Pieces,
    /// How many pieces the transport has taken.
    taken: Arc<AtomicU64>,
    rate_limit: Option<RateLimit>,
    /// When the next piece may go, where there is a limit.
    turn: Option<Pin<Box<Sleep>>>,
}

impl<S> http_body::Body for MessageBody<S>
where
    S: Stream<Item = WriteUploadRequest>,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let (Some(content), Some(limit)) = (&self.content, &self.rate_limit) {
            if self.turn.is_none() {
                let from = limit.reserve(content.len().min(self.pieces.size) as u64);
                self.turn = Some(Box::pin(time::sleep_until(from)));
            }
            if let Some(turn) = &mut self.turn {
                ready!(turn.as_mut().poll(context));
                self.turn = None;
            }
        }
        if let Some(mut content) = self.content.take() {
            let piece = content.split_to(content.len().min(self.pieces.size));
            self.pieces.took(piece.len() as u64, Instant::now());
            self.content = Some(content).filter(|content| !content.is_empty());
            self.taken.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(message) = ready!(self.messages.as_mut().poll_next(context)) else {
            return Poll::Ready(None);
        };
        self.taken.fetch_add(1, Ordering::Relaxed);
        let (head, content) = encode(message);
        self.content = content;
        Poll::Ready(Some(Ok(Frame::data(head))))
    }
}

/// A message as it stands on the wire, in two pieces: everything up to the
/// content, and the content.
fn encode(mut message: WriteUploadRequest) -> (Bytes, Option<Bytes>) {
    const COMPRESSED: u8 = 0;
    const CHECKSUMMED_DATA: u32 = 5;
    const CONTENT: u32 = 1;

    let Some(data) = message.checksummed_data.take() else {
        return (prefixed(COMPRESSED, &message, &[], 0), None);
    };
    let ChecksummedData { content, crc32c } = data;
    // Fields may come in any order, so the content can be the last.
    let mut inner = ChecksummedData { content: Bytes::new(), crc32c }.encode_to_vec();
    if !content.is_empty() {
        encode_key(CONTENT, WireType::LengthDelimited, &mut inner);
        encode_varint(content.len() as u64, &mut inner);
    }
    let inner_length = (inner.len() + content.len()) as u64;
    let mut field = Vec::with_capacity(1 + encoded_len_varint(inner_length) + inner.len());
    encode_key(CHECKSUMMED_DATA, WireType::LengthDelimited, &mut field);
    encode_varint(inner_length, &mut field);
    field.append(&mut inner);
    let head = prefixed(COMPRESSED, &message, &field, content.len());
    (head, Some(content).filter(|content| !content.is_empty()))
}

/// gRPC's prefix (a flag and the length), the message and a last field, of
/// which `following` bytes are still to come.
fn prefixed(flag: u8, message: &WriteUploadRequest, last_field: &[u8], following: usize) -> Bytes {
    let length = message.encoded_len() + last_field.len();
    let mut buffer = BytesMut::with_capacity(5 + length);
    buffer.put_u8(flag);
    // A message holds one frame, far below 4 GiB.
    buffer.put_u32(u32::try_from(length + following).unwrap_or(u32::MAX));
    message.encode_raw(&mut buffer);
    buffer.put_slice(last_field);
    buffer.freeze()
}

#[cfg(test)]
mod tests {
    use sluice_proto::v1::{
        BidiWriteUploadRequest, CreateUploadRequest, write_upload_request::FirstMessage,
    };

    use super::*;

    #[test]
    fn pieces_are_large_while_the_link_is_fast() {
        let mut now = Instant::now();
        let mut pieces = Pieces::new(now);
        let mut sample = |pieces: &mut Pieces, time: Duration| {
            let count = SAMPLE.div_ceil(pieces.size as u64);
            for index in 1..=count {
                // Most of it disappears in buffers at once.
                now += if index == count { time } else { Duration::ZERO };
                pieces.took(pieces.size as u64, now);
            }
            pieces.size
        };
        assert_eq!(pieces.size, PIECE);
        assert_eq!(sample(&mut pieces, Duration::from_secs(60)), PIECE);
        assert_eq!(sample(&mut pieces, Duration::from_secs(1)), LARGE_PIECE);
        assert_eq!(sample(&mut pieces, Duration::from_secs(1)), LARGE_PIECE);
        assert_eq!(sample(&mut pieces, Duration::from_secs(9)), PIECE);
    }

    #[test]
    fn a_message_is_the_same_on_either_stream() {
        let message = WriteUploadRequest {
            first_message: Some(FirstMessage::UploadId("upl_1".into())),
            writer_epoch: 7,
            final_size: Some(9),
            ..FileFrame::new(5, Bytes::from_static(b"abcd")).into_message()
        };
        let bidi = BidiWriteUploadRequest::decode(&message.encode_to_vec()[..]).unwrap();
        assert_eq!(bidi.encode_to_vec(), message.encode_to_vec());
        assert_eq!((bidi.writer_epoch, bidi.write_offset, bidi.final_size), (7, 5, Some(9)));
    }

    #[test]
    fn the_pieces_decode_to_the_message() {
        let create = CreateUploadRequest { name: "a".into(), size: Some(3), ..Default::default() };
        let empty = WriteUploadRequest::default();
        let data = FileFrame::new(1 << 40, Bytes::from_static(b"abc")).into_message();
        let whole = WriteUploadRequest {
            first_message: Some(FirstMessage::CreateUpload(create)),
            final_size: Some(3),
            complete: true,
            ..FileFrame::new(0, Bytes::from(vec![7; 300_000])).into_message()
        };
        let no_content = FileFrame::new(0, Bytes::new()).into_message();
        for message in [empty, data, whole, no_content] {
            let (head, content) = encode(message.clone());
            let content = content.unwrap_or_default();
            let (prefix, fields) = head.split_at(5);
            let length = fields.len() + content.len();
            assert_eq!(prefix[0], 0);
            assert_eq!(prefix[1..], u32::try_from(length).unwrap().to_be_bytes());
            let bytes = [fields, &content].concat();
            assert_eq!(WriteUploadRequest::decode(&bytes[..]).unwrap(), message);
        }
    }
}
