//! A server that is stopped and started again under calls of every kind.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use sluice_sdk::{DownloadOptions, ListQuery, Source, UploadOptions};
use sluice_tests::{MIB, Proxy, Server, eventually};

use crate::{content, read, through};

const SIZE: u64 = 40 * MIB + 3;
const PART: u64 = MIB;
const STREAMS: u64 = 3;

/// Stops the server as an operator does, once half of the bytes went by, and
/// starts it again.
async fn restart_half_way(server: &mut Server, proxy: &Proxy, passed: impl Fn(&Proxy) -> u64) {
    let before = passed(proxy);
    proxy.slow_down(4 * MIB);
    eventually("half of it", Duration::from_secs(60), async || passed(proxy) >= before + SIZE / 2)
        .await;
    server.stop().await;
    // Long enough for a call to find nobody there.
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.restart().await;
    proxy.switch(server.address());
    proxy.slow_down(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_downloads_go_on_by_themselves() {
    let mut server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let client = through(&server, &proxy.url());
    let bytes = content(SIZE);
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in [
        ("seekable", Source::bytes(bytes.clone())),
        ("once", Source::reader(std::io::Cursor::new(bytes.clone()))),
    ] {
        let upload = tokio::spawn({
            let client = client.clone();
            let options = UploadOptions::new().name(name).part_size(PART);
            let options = options.streams(STREAMS as usize).parts_in_memory(STREAMS as usize + 1);
            async move { client.upload(source, options).await }
        });
        restart_half_way(&mut server, &proxy, Proxy::sent).await;
        let uploaded = upload.await.unwrap().unwrap();
        let statistics = uploaded.statistics;
        // A part in flight for each stream, and what its transport has queued.
        let most = STREAMS * 3 * PART;
        assert!(statistics.resent <= most, "{name}: {statistics:?}");
        assert_eq!(statistics.sent, SIZE + statistics.resent, "{name}");
        assert!(read(&client, &uploaded.file.id).await == bytes, "{name}");

        let path = folder.path().join(name);
        let download = tokio::spawn({
            let (client, path, id) = (client.clone(), path.clone(), uploaded.file.id.clone());
            async move { client.download(&id, path, DownloadOptions::new()).await }
        });
        restart_half_way(&mut server, &proxy, Proxy::received).await;
        let downloaded = download.await.unwrap().unwrap();
        assert_eq!((downloaded.statistics.sent, downloaded.statistics.resent), (SIZE, 0));
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_by_itself() {
    let mut server = Server::start().await;
    let client = through(&server, &server.url());
    // More than fit on one page.
    const FILES: usize = 1001;
    let names: Vec<_> = (0..FILES).map(|number| format!("{number:04}")).collect();
    let uploads = futures::stream::iter(&names).map(|name| {
        let client = client.clone();
        async move { client.upload(content(1), UploadOptions::new().name(name)).await }
    });
    let _: Vec<_> = uploads.buffer_unordered(32).try_collect().await.unwrap();

    let mut listed = Vec::new();
    let mut list = std::pin::pin!(client.list(ListQuery::by_name()));
    while let Some(entry) = list.try_next().await.unwrap() {
        listed.push(entry.name().to_owned());
        if listed.len() == 1000 {
            // The next page is asked for while nobody is there.
            server.stop().await;
            let restart = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                server.restart().await;
            };
            let (next, _) = tokio::join!(list.try_next(), restart);
            listed.push(next.unwrap().expect("there is one more").name().to_owned());
        }
    }
    assert_eq!(listed, names);
}
