//! Connections that say nothing, and too many of them.

use std::{net::SocketAddr, time::Duration};

use sluice_tests::{Server, named};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
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
