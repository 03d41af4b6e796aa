//! Connections that say nothing, and too many of them.

use std::{net::SocketAddr, time::Duration};

use sluice_tests::{Server, eventually, named};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// How long it takes until the server ends a connection on which only this is
/// sent.
async fn lifetime(address: SocketAddr, sent: &[u8]) -> Duration {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(sent).await.unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(90), socket.read_to_end(&mut answer)).await.unwrap();
    began.elapsed()
}

#[tokio::test]
async fn connections_that_do_not_begin_are_ended() {
    let server = Server::start().await;
    let address = server.address();
    let limit = Duration::from_secs(10);
    for beginning in [&b""[..], b"PRI * HTT"] {
        assert!(lifetime(address, beginning).await <= limit, "{beginning:?}");
    }
    // The headers of a request may take longer, but not for ever; and an
    // HTTP/2 client must answer a ping.
    let (headers, preface) = tokio::join!(
        lifetime(address, b"GET /livez HTTP/1.1\r\nhost: a\r\nx-slow"),
        lifetime(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    );
    assert!(headers <= Duration::from_secs(40), "{headers:?}");
    assert!(preface <= Duration::from_secs(60), "{preface:?}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let server = Server::with().setting("SLUICE__SERVER__MAX_CONNECTIONS", "4").start().await;
    let idle: Vec<_> = futures::future::join_all((0..4).map(async |_| {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        socket
    }))
    .await;
    let client = server.client();
    let waits = timeout(Duration::from_millis(500), client.create(named("waiting"))).await;
    assert!(waits.is_err(), "there is no place");
    drop(idle);
    client.create(named("in turn")).await.unwrap();
}

/// With no descriptor left, the server must neither spin nor need a restart.
#[tokio::test]
async fn running_out_of_descriptors_is_harmless() {
    const LIMIT: u64 = 256;
    let server = Server::with().setting("SLUICE__SERVER__MAX_CONNECTIONS", "100000").start().await;
    let client = server.client();
    client.create(named("before")).await.unwrap();
    limit_descriptors(server.pid(), LIMIT);
    let mut hoard = Vec::new();
    for _ in 0..LIMIT {
        hoard.push(TcpStream::connect(server.address()).await.unwrap());
        // Known to be live: they would be ended for silence otherwise.
        hoard.last_mut().unwrap().write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    }
    sleep(Duration::from_millis(500)).await;
    let (began, used) = (Instant::now(), server.processor_seconds());
    sleep(Duration::from_secs(5)).await;
    let share = (server.processor_seconds() - used) / began.elapsed().as_secs_f64();
    assert!(share <= 0.20, "{:.0} % of a core", share * 100.0);
    assert!(server.log().contains("cannot take connections"), "it never ran out");

    drop(hoard);
    let began = Instant::now();
    let well = async || {
        let fresh = server.client();
        matches!(timeout(Duration::from_secs(1), fresh.create(named("after"))).await, Ok(Ok(_)))
    };
    eventually("new connections are taken", Duration::from_secs(10), well).await;
    assert!(began.elapsed() <= Duration::from_secs(1), "recovery took {:?}", began.elapsed());
}

fn limit_descriptors(pid: u32, most: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}
