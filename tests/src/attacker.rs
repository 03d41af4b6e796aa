//! HTTP/2 frames by hand, for peers that keep to no rule.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, section 6).
pub mod kind {
    #![allow(missing_docs, reason = "the names are HTTP/2's")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const CONTINUATION: u8 = 9;
}

/// The last frame of a request's headers.
pub const END_HEADERS: u8 = 4;

/// The bytes of a frame.
pub fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a gRPC request, encoded without any table. Without a path
/// they are malformed.
pub fn request_headers(path: Option<&str>) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` are entries of HPACK's static table.
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend(value.as_bytes());
    };
    literal(&[0x01], "localhost");
    if let Some(path) = path {
        literal(&[0x04], path);
    }
    // `content-type` is entry 31.
    literal(&[0x0f, 0x10], "application/grpc");
    block
}

/// Why a server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It said so, with this error code.
    GoAway(u32),
    /// It did not say so.
    Cut,
}

/// A connection that sends whatever frames it likes.
pub struct Attacker {
    socket: OwnedWriteHalf,
    end: watch::Receiver<Option<End>>,
}

impl Attacker {
    /// Connects, and says what an HTTP/2 client says first.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (reader, mut writer) = socket.into_split();
        writer.write_all(PREFACE).await?;
        writer.write_all(&http2_frame(kind::SETTINGS, 0, 0, &[])).await?;
        let (ended, end) = watch::channel(None);
        tokio::spawn(async move {
            let _ = ended.send(Some(read_end(reader).await));
        });
        Ok(Self { socket: writer, end })
    }

    /// Sends bytes; answers whether the connection still takes any.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.end.borrow().is_none() && self.socket.write_all(bytes).await.is_ok()
    }

    /// Waits for the server to end the connection.
    pub async fn end(&mut self) -> End {
        let end = self.end.wait_for(Option::is_some).await;
        end.ok().and_then(|end| *end).unwrap_or(End::Cut)
    }
}

/// Reads frames until one says that the connection ends because of an error.
async fn read_end(mut reader: OwnedReadHalf) -> End {
    let mut payload = Vec::new();
    loop {
        let mut header = [0; 9];
        if reader.read_exact(&mut header).await.is_err() {
            return End::Cut;
        }
        let [a, b, c, kind, ..] = header;
        payload.resize(u32::from_be_bytes([0, a, b, c]) as usize, 0);
        if reader.read_exact(&mut payload).await.is_err() {
            return End::Cut;
        }
        if kind == kind::GOAWAY {
            let code = payload[4..8].try_into().expect("a GOAWAY has an error code");
            return End::GoAway(u32::from_be_bytes(code));
        }
    }
}
