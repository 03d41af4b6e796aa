//! Uploads that are cut off, taken over, given up and gone on with.

use std::time::Duration;

use bytes::Bytes;
use sluice_sdk::{
    CancellationToken, Client, Error, Kind, Reason, Source, UploadOptions, v1::upload::State,
};
use sluice_tests::{MIB, Proxy, Server};

use crate::{builder, client, content, read, through};

const SIZE: u64 = 48 * MIB;

/// Uploads some of it and stops; answers with the error.
async fn stop_half_way(client: &Client, bytes: &Bytes, options: UploadOptions) -> Error {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let options = options.cancel(stop).on_progress(move |progress| {
        if progress.persisted > 0 {
            stopping.cancel();
        }
    });
    client.upload(bytes.clone(), options).await.expect_err("it was stopped")
}

/// A way to the server that is slow enough to be stopped on.
async fn slow_way(server: &Server) -> Proxy {
    let proxy = Proxy::to(server.address()).await;
    proxy.slow_down(4 * MIB);
    proxy
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_cost_at_most_a_part_for_each_stream() {
    const STREAMS: u64 = 3;
    const CUTS: u64 = 6;
    /// A part, and what the transports hold on the way.
    const LOSS: u64 = MIB + 6 * MIB;

    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let client = through(&server, &proxy.url());
    let bytes = content(SIZE);
    let cutting = async {
        for cut in 1..=CUTS {
            proxy.cut_after(proxy.sent() + 6 * MIB);
            sluice_tests::eventually("a cut", Duration::from_secs(30), async || {
                proxy.cuts() >= cut
            })
            .await;
        }
        std::future::pending::<()>().await;
    };
    let options = UploadOptions::new().name("cut").part_size(MIB).streams(STREAMS as usize);
    let uploaded = tokio::select! {
        uploaded = client.upload(bytes.clone(), options) => uploaded.unwrap(),
        () = cutting => unreachable!(),
    };
    assert!(proxy.cuts() > 0, "nothing was cut");
    let resent = uploaded.statistics.resent;
    assert!(resent <= proxy.cuts() * STREAMS * LOSS, "{resent} bytes were sent again");
    assert_eq!(uploaded.statistics.sent, SIZE + resent);
    assert!(read(&client, &uploaded.file.id).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_is_ridden_out() {
    let mut server = Server::start().await;
    let proxy = slow_way(&server).await;
    let client = through(&server, &proxy.url());
    let bytes = content(SIZE);
    for source in [Source::bytes(bytes.clone()), reader(&bytes)] {
        let name = format!("restart/{source:?}");
        let options = UploadOptions::new().name(&name).part_size(MIB);
        let upload = tokio::spawn({
            let client = client.clone();
            async move { client.upload(source, options).await }
        });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        server.kill().await;
        server.restart().await;
        proxy.switch(server.address());
        let uploaded = upload.await.unwrap().unwrap();
        assert!(read(&client, &uploaded.file.id).await == bytes, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_goes_on_where_the_first_one_stopped() {
    let server = Server::start().await;
    let proxy = slow_way(&server).await;
    let bytes = content(SIZE);
    let options = || UploadOptions::new().name("resumed").part_size(MIB);
    let error = stop_half_way(&through(&server, &proxy.url()), &bytes, options()).await;
    assert_eq!(error.kind(), Kind::Cancelled);

    let client = client(&server);
    let upload_id = error.upload_id().expect("there is an upload to resume");
    let uploaded = client.resume(upload_id, bytes.clone(), UploadOptions::new()).await.unwrap();
    let statistics = uploaded.statistics;
    assert!(statistics.resumed > 0);
    assert_eq!((statistics.resumed + statistics.sent, statistics.resent), (SIZE, 0));
    assert_eq!(uploaded.file.name, "resumed");
    assert!(read(&client, &uploaded.file.id).await == bytes);

    // Once it is complete, the same call answers with the same file.
    let again = client.resume(upload_id, bytes, UploadOptions::new()).await.unwrap();
    assert_eq!((again.file.id, again.statistics.sent), (uploaded.file.id, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_finds_its_upload_again() {
    let server = Server::start().await;
    let proxy = slow_way(&server).await;
    let bytes = content(SIZE);
    let options = || UploadOptions::new().name("same").part_size(MIB).request_id("request-1");
    stop_half_way(&through(&server, &proxy.url()), &bytes, options()).await;

    let client = client(&server);
    let uploaded = client.upload(bytes.clone(), options()).await.unwrap();
    assert!(uploaded.statistics.resumed > 0);
    let again = client.upload(bytes, options()).await.unwrap();
    assert_eq!(again.file.id, uploaded.file.id);

    let other = options().content_type("text/plain");
    let error = client.upload(content(SIZE), other).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::RequestIdReused));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_do_not_go_on() {
    let server = Server::start().await;
    let proxy = slow_way(&server).await;
    let bytes = content(SIZE);
    let options = UploadOptions::new().name("other").part_size(MIB);
    let error = stop_half_way(&through(&server, &proxy.url()), &bytes, options).await;
    let upload_id = error.upload_id().unwrap();

    let client = client(&server);
    let mut other = bytes.to_vec();
    other[0] ^= 1;
    other[MIB as usize] ^= 1;
    other[2 * MIB as usize] ^= 1;
    other[3 * MIB as usize] ^= 1;
    for bytes in [Bytes::from(other), content(SIZE + 1)] {
        let error = client.resume(upload_id, bytes, UploadOptions::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::SourceChanged, "{error}");
    }
    assert!(client.find("other").await.unwrap().is_none());

    let cancelled = client.cancel_upload(upload_id).await.unwrap();
    assert_eq!(cancelled.state(), State::Cancelled);
    let error = client.resume(upload_id, bytes, UploadOptions::new()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::UploadNotActive));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_taken_over_stops() {
    let server = Server::start().await;
    let proxy = slow_way(&server).await;
    let bytes = content(SIZE);
    let (sender, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let options =
        UploadOptions::new().name("taken over").part_size(MIB).on_progress(move |progress| {
            let _ = sender.send(progress.upload_id.clone());
        });
    let first = tokio::spawn({
        let client = through(&server, &proxy.url());
        let bytes = bytes.clone();
        async move { client.upload(bytes, options).await }
    });
    let upload_id = opened.recv().await.unwrap().unwrap();

    let client = client(&server);
    let uploaded = client.resume(&upload_id, bytes.clone(), UploadOptions::new()).await.unwrap();
    assert!(read(&client, &uploaded.file.id).await == bytes);
    let error = first.await.unwrap().unwrap_err();
    assert!(
        matches!(error.reason(), Some(Reason::StaleWriter | Reason::UploadNotActive)),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gives_up_in_the_end_and_says_how_to_go_on() {
    let mut server = Server::start().await;
    let proxy = slow_way(&server).await;
    let patience = Duration::from_secs(2);
    let client = builder(&server, &proxy.url()).give_up_after(patience).build().unwrap();
    let upload = tokio::spawn(async move {
        let options = UploadOptions::new().name("gone").part_size(MIB);
        client.upload(content(SIZE), options).await
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.kill().await;
    let error = upload.await.unwrap().unwrap_err();
    assert!(error.is_transient());
    assert!(error.upload_id().is_some());
}

fn reader(bytes: &Bytes) -> Source {
    Source::reader(std::io::Cursor::new(bytes.clone()))
}
