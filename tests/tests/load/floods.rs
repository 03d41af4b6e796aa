//! Peers that flood: each of them is sent away, and nobody else notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sluice_tests::{
    Attacker, Client, Content, END_HEADERS, End, MIB, Server, http2_frame, in_small_parts, kind,
    request_headers,
};
use tokio::time::{Instant, sleep, timeout};

use crate::alone;

/// Frames after which a flood must have ended, those in the buffers of sockets
/// included.
const MOST_FRAMES: usize = 100_000;

/// No latency below this is worth comparing: a busy machine's scheduler makes
/// more difference.
const FLOOR: Duration = Duration::from_millis(10);

/// Quiet and flooded rounds that take turns.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(700);

/// How long an attacker takes to come again.
const PAUSE: Duration = Duration::from_millis(50);

/// How often a comparison is made before it counts as failed.
const ATTEMPTS: usize = 4;

/// Most that a server may hold after the floods.
const MEMORY_LIMIT: u64 = 200 * MIB;

/// A kind of flood: what it sends, again and again.
struct Flood {
    name: &'static str,
    /// What comes first.
    begin: fn() -> Vec<u8>,
    /// The n-th repetition.
    next: fn(u32) -> Vec<u8>,
}

const PATH: &str = "/sluice.v1.UploadService/WriteUpload";

static FLOODS: [Flood; 6] = [
    Flood {
        name: "rapid reset",
        begin: Vec::new,
        next: |n| {
            let headers = request_headers(Some(PATH));
            let mut frames = http2_frame(kind::HEADERS, END_HEADERS, 2 * n + 1, &headers);
            frames.extend(http2_frame(kind::RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes()));
            frames
        },
    },
    Flood {
        name: "CONTINUATION",
        begin: || http2_frame(kind::HEADERS, 0, 1, &request_headers(Some(PATH))),
        // A header of one letter, again and again.
        next: |_| http2_frame(kind::CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(200)),
    },
    Flood {
        name: "PING",
        begin: Vec::new,
        next: |n| http2_frame(kind::PING, 0, 0, &u64::from(n).to_be_bytes()),
    },
    Flood { name: "SETTINGS", begin: Vec::new, next: |_| http2_frame(kind::SETTINGS, 0, 0, &[]) },
    Flood {
        name: "empty DATA",
        begin: || http2_frame(kind::HEADERS, END_HEADERS, 1, &request_headers(Some(PATH))),
        next: |_| http2_frame(kind::DATA, 0, 1, &[]),
    },
    Flood {
        name: "malformed streams",
        begin: Vec::new,
        next: |n| http2_frame(kind::HEADERS, END_HEADERS, 2 * n + 1, &request_headers(None)),
    },
];

/// Floods one connection until it is ended; answers how, and after how many
/// repetitions.
async fn flood(server: std::net::SocketAddr, flood: &Flood) -> (End, usize) {
    let mut attacker = Attacker::connect(server).await.unwrap();
    let mut sent = 0;
    let mut bytes = (flood.begin)();
    while sent < MOST_FRAMES && attacker.send(&bytes).await {
        // A few at a time, as fast floods are sent.
        bytes = (sent..sent + 16).flat_map(|n| (flood.next)(n as u32)).collect();
        sent += 16;
    }
    let end = timeout(Duration::from_secs(20), attacker.end()).await;
    (end.unwrap_or_else(|_| panic!("a {} flood of {sent} goes on", flood.name)), sent)
}

/// Calls for a while; answers how long the slowest of a hundred took.
async fn p99(client: &Client, upload: &str, span: Duration) -> Duration {
    let began = Instant::now();
    let mut latencies = Vec::new();
    while began.elapsed() < span {
        let call = Instant::now();
        client.upload(upload).await.unwrap();
        latencies.push(call.elapsed());
    }
    latencies.sort();
    latencies[latencies.len() * 99 / 100]
}

fn is_unhurt(quiet: Duration, flooded: Duration) -> bool {
    flooded <= 2 * quiet.max(FLOOR)
}

/// The latencies of a bystander in rounds that take turns, quiet and flooded.
async fn compare(
    server: &Server,
    client: &Client,
    upload: &str,
    kind: &'static Flood,
) -> (Duration, Duration) {
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        quiet.push(p99(client, upload, ROUND).await);
        let stop = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (server.address(), Arc::clone(&stop));
        let attack = tokio::spawn(async move {
            // Sent away, it comes again.
            while !stopped.load(Ordering::Relaxed) {
                flood(address, kind).await;
                sleep(PAUSE).await;
            }
        });
        flooded.push(p99(client, upload, ROUND).await);
        let name = format!("{}/{}", kind.name, uuid::Uuid::now_v7());
        client.put(&name, &Content::new(round, 1000)).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        attack.await.unwrap();
    }
    (median(quiet), median(flooded))
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flood_ends_in_goaway_and_others_do_not_notice() {
    let _alone = alone().await;
    let mut server = Server::start().await;
    let client = server.client();
    let upload = client.create(in_small_parts("bystander", MIB)).await.unwrap().id;
    p99(&client, &upload, ROUND).await;
    for kind in &FLOODS {
        let (end, sent) = flood(server.address(), kind).await;
        assert!(matches!(end, End::GoAway(code) if code != 0), "{}: {end:?}", kind.name);
        assert!(sent < MOST_FRAMES, "{}: after {sent}", kind.name);

        // What else the machine does can only make the difference larger.
        let mut compared = Vec::new();
        while compared.len() < ATTEMPTS
            && !compared.last().is_some_and(|(quiet, flooded)| is_unhurt(*quiet, *flooded))
        {
            compared.push(compare(&server, &client, &upload, kind).await);
        }
        println!("{}: {end:?} after {sent}; p99 quiet and flooded: {compared:?}", kind.name);
        let unhurt = compared.last().is_some_and(|(quiet, flooded)| is_unhurt(*quiet, *flooded));
        assert!(unhurt, "{}: p99 quiet and flooded: {compared:?}", kind.name);
        assert!(server.is_alive());
    }
    let resident = server.resident_bytes();
    assert!(resident < MEMORY_LIMIT, "{resident} bytes resident");
}
