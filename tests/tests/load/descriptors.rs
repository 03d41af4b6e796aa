//! Out of file descriptors.

use std::time::Duration;

use sluice_tests::{Server, eventually, named};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::alone;

/// With no descriptor left, the server must neither spin nor need a restart.
#[tokio::test]
async fn running_out_of_descriptors_is_harmless() {
    let _alone = alone().await;
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
