//! Calls whose messages are any bytes at all.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::Client;

/// A codec that leaves messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

impl Client {
    /// Calls the method at `path` (`/package.Service/Method`), whatever kind it
    /// is, with these messages. Answers at most `most` messages of the reply:
    /// a stream may go on for ever.
    pub async fn call_raw(
        &self,
        path: &str,
        messages: Vec<Bytes>,
        most: usize,
    ) -> Result<Vec<Bytes>, Status> {
        let path: PathAndQuery = path.parse().expect("a path");
        let mut grpc = Grpc::new(self.transport.clone());
        grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        let request = Request::new(tokio_stream::iter(messages));
        let mut stream = grpc.streaming(request, path, RawCodec).await?.into_inner();
        let mut replies = Vec::new();
        while replies.len() < most {
            match stream.message().await? {
                Some(reply) => replies.push(reply),
                None => break,
            }
        }
        Ok(replies)
    }
}
