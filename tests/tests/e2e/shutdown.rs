//! A server that is told to stop: it refuses at once, ends in time, and costs
//! nobody what was acknowledged.

use std::{net::SocketAddr, time::Duration};

use sluice_domain::Reason;
use sluice_proto::v1::bidi_write_upload_response::Response;
use sluice_sdk::{Source, UploadOptions};
use sluice_tests::{
    BidiStream, Content, Frames, MIB, Proxy, Seed, Server, eventually, in_small_parts, persisted,
    reason, signal,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Streams in the middle of a part, whose callers say nothing more.
const SILENT_STREAMS: u64 = 160;
/// Uploads of the SDK, each with a stream of its own.
const UPLOADS: u64 = 40;
const SILENT_SOCKETS: usize = 50;
/// One connection has no more than 128 streams.
const STREAMS_PER_CONNECTION: u64 = 40;

/// How long it may take until the server says that it is not ready.
const NOT_READY: Duration = Duration::from_millis(100);
/// How long it may take to end.
const END: Duration = Duration::from_secs(30);

/// What an upload of the SDK has.
fn of_the_sdk(seed: &Seed, number: u64) -> Content {
    Content::new(seed.value() ^ number, 3 * MIB + number)
}

/// The first line of what the server answers to a readiness probe.
async fn readiness(address: SocketAddr) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// A stream in the middle of its second part, with the upload and what of it
/// was acknowledged.
async fn silent_stream(
    client: &sluice_tests::Client,
    content: &Content,
    name: &str,
) -> (BidiStream, String, (i64, i64)) {
    let upload = client.create(in_small_parts(name, content.size())).await.unwrap();
    let mut stream = client.open_bidi(Frames::to(&upload)).await.unwrap();
    stream.send(Frames::empty().part(content, upload.part_size, 1)).await;
    let half = Frames::empty().framed(MIB / 2).range(content, MIB..MIB + MIB / 2);
    stream.send(half).await;
    loop {
        match stream.next().await.unwrap().expect("the stream is open") {
            Response::Persisted(range) => return (stream, upload.id, (range.start, range.end)),
            Response::Upload(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_costs_nobody_what_was_acknowledged() {
    let seed = Seed::of("a_stop_costs_nobody_what_was_acknowledged");
    let mut server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let address = server.address();

    let content = Content::new(seed.value(), 2 * MIB);
    let mut client = server.client();
    let mut streams = Vec::new();
    for number in 0..SILENT_STREAMS {
        if number.is_multiple_of(STREAMS_PER_CONNECTION) {
            client = server.client();
        }
        streams.push(silent_stream(&client, &content, &format!("silent/{number}")).await);
    }
    let mut sockets = Vec::new();
    for _ in 0..SILENT_SOCKETS {
        sockets.push(TcpStream::connect(address).await.unwrap());
    }
    let before = proxy.sent();
    proxy.slow_down(512 * 1024);
    let mut uploads = JoinSet::new();
    for number in 0..UPLOADS {
        let client = sluice_sdk::Client::builder(proxy.url()).api_key(server.key());
        let client = client.connections(1).build().unwrap();
        let bytes = of_the_sdk(&seed, number).all();
        // Half of them can read their source again.
        let source = match number % 2 {
            0 => Source::bytes(bytes),
            _ => Source::reader(std::io::Cursor::new(bytes)),
        };
        let options = UploadOptions::new().name(format!("sdk/{number}"));
        let options = options.part_size(MIB).streams(1);
        uploads.spawn(async move { (number, client.upload(source, options).await) });
    }
    eventually("all are sending", Duration::from_secs(60), async || {
        proxy.sent() - before > UPLOADS * MIB
    })
    .await;
    assert_eq!(readiness(address).await, "HTTP/1.1 200 OK");

    signal(server.pid(), "TERM").await;
    let told = Instant::now();
    sleep(NOT_READY).await;
    let probe = timeout(END, readiness(address)).await.expect("a probe is answered");
    assert_eq!(probe, "HTTP/1.1 503 Service Unavailable");
    // A connection that takes long to ask is ended before it does.
    eventually("new work is refused", END, async || {
        let refused = server.client().upload(&streams[0].1).await.unwrap_err();
        reason(&refused) == Some(Reason::ShuttingDown)
    })
    .await;
    eventually("it ends", END, async || !server.is_alive()).await;
    assert!(told.elapsed() <= END, "it took {:?}", told.elapsed());
    drop(sockets);

    server.restart().await;
    proxy.switch(server.address());
    proxy.slow_down(0);
    let client = server.client();
    for (stream, upload_id, (start, end)) in streams {
        assert!(stream.rest().await.is_err(), "a part in its middle cannot end well");
        let there = persisted(&client.upload(&upload_id).await.unwrap());
        assert!(
            there.iter().any(|(from, to)| *from <= start && end <= *to),
            "{start}..{end} of {upload_id} was acknowledged, {there:?} is there, {seed}"
        );
    }
    while let Some(done) = uploads.join_next().await {
        let (number, uploaded) = done.unwrap();
        let file = uploaded.unwrap_or_else(|error| panic!("upload {number}: {error:?}")).file;
        client.assert_content(&file.id, &of_the_sdk(&seed, number)).await;
    }
}
