//! Callers who take their time, thousands of them.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use h2::{SendStream, client::ResponseFuture};
use http::Request;
use sluice_domain::Reason;
use sluice_proto::v1::Upload;
use sluice_tests::{Client, Frames, MIB, Server, in_small_parts, reason};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use tonic::Status;

use crate::alone;

const PATH: &str = "/sluice.v1.UploadService/WriteUpload";

/// Streams on one connection that send parts of messages.
pub(super) struct SlowCaller {
    requests: h2::client::SendRequest<Bytes>,
    authority: String,
    key: String,
}

/// One of them.
pub(super) struct Slow {
    response: Option<ResponseFuture>,
    body: SendStream<Bytes>,
}

impl SlowCaller {
    pub(super) async fn connect(server: &Server) -> Self {
        Self::connect_to(server.address(), server.key()).await
    }

    async fn connect_to(address: SocketAddr, key: String) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self { requests, authority: address.to_string(), key }
    }

    /// Opens a write stream and announces a message of so many bytes.
    pub(super) async fn begin(&self, length: u64) -> Slow {
        let request = Request::post(format!("http://{}{PATH}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.key))
            .body(())
            .unwrap();
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        let mut prefix = vec![0];
        prefix.extend(u32::try_from(length).unwrap().to_be_bytes());
        body.send_data(prefix.into(), false).unwrap();
        Slow { response: Some(response), body }
    }
}

impl Slow {
    /// Sends more of the message, unless the stream is gone.
    pub(super) async fn send(&mut self, bytes: u64) {
        let _ = self.body.send_data(Bytes::from(vec![0; bytes as usize]), false);
    }

    /// The status with which the server ends the stream.
    fn ended(&mut self) -> impl Future<Output = Option<Status>> + use<> {
        let response = self.response.take();
        async move { Status::from_header_map(response?.await.ok()?.headers()) }
    }
}

/// How long small calls take: the second slowest of two hundred.
async fn p99(client: &Client, upload: &Upload) -> Duration {
    let mut took = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        client.upload(&upload.id).await.unwrap();
        took.push(began.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    took.sort();
    took[198]
}

/// Sends a little on every stream each second, evenly spread, until nobody
/// listens. It has a thread of its own, so that it delays nothing that is
/// measured.
async fn trickle(streams: Vec<SendStream<Bytes>>, bytes: usize) {
    let piece = Bytes::from(vec![0; bytes]);
    let mut streams = streams;
    let mut next = Instant::now();
    while !streams.is_empty() {
        let fiftieth = streams.len().div_ceil(50);
        for several in streams.chunks_mut(fiftieth) {
            for stream in several {
                let _ = stream.send_data(piece.clone(), false);
            }
            next += Duration::from_millis(20);
            tokio::time::sleep_until(next).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_slow_streams_are_cut_off_and_hurt_nobody() {
    let _alone = alone().await;
    const CONNECTIONS: usize = 50;
    const STREAMS: usize = 100;
    // Half of the rate that is asked for.
    const PIECE: usize = 512;
    let server = Server::with().setting("SLUICE__LIMITS__STREAM_IDLE", "10s").start().await;
    let client = server.client();
    let upload = client.create(in_small_parts("bystander", MIB)).await.unwrap();
    let quiet = p99(&client, &upload).await.min(p99(&client, &upload).await);

    let slow =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut bodies, mut ended) = (Vec::new(), FuturesUnordered::new());
    for _ in 0..CONNECTIONS {
        let connecting = slow.spawn(SlowCaller::connect_to(server.address(), server.key()));
        let caller = connecting.await.unwrap();
        for _ in 0..STREAMS {
            let mut stream = caller.begin(MIB).await;
            ended.push(stream.ended());
            bodies.push(stream.body);
        }
    }
    let began = Instant::now();
    slow.spawn(trickle(bodies, PIECE));
    let busy = p99(&client, &upload).await.min(p99(&client, &upload).await);
    assert!(began.elapsed() < Duration::from_secs(10), "the streams are open meanwhile");
    let (mut cut, mut peak) = (0, 0);
    while let Some(status) = ended.next().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{cut} of them were cut off");
        let status = status.expect("a status, not a broken connection");
        assert_eq!(reason(&status), Some(Reason::StreamTooSlow), "{status:?}");
        cut += 1;
        if cut % 100 == 1 {
            peak = peak.max(server.resident_bytes());
        }
    }
    slow.shutdown_background();
    assert_eq!(cut, CONNECTIONS * STREAMS);
    println!("quiet {quiet:?}, beside slow streams {busy:?}, peak {} MiB", peak / MIB);
    assert!(peak < 256 * MIB + 200 * MIB, "{} MiB", peak / MIB);
    // Below this the machine's own noise decides.
    let floor = Duration::from_millis(25);
    assert!(busy <= (2 * quiet).max(floor), "p99 went from {quiet:?} to {busy:?}");
    // The stream of an honest client is not affected.
    let content = sluice_tests::Content::new(1, MIB);
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
}
